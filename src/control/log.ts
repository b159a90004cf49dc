/** The daemon's log on stderr: JSON lines, or lines for people on a terminal. */
import { writeSync } from 'node:fs';
import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

const STDERR = 2;

/** `level` is one of pino's, or silent. Lines are written at once, so that none is lost when the process ends. */
export function createLogger(level: string, isTerminal = process.stderr.isTTY === true): Logger {
  const destination: DestinationStream = isTerminal
    ? { write: (line) => writeOut(prettyLine(line)) }
    : { write: writeOut };
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

/** One line for people from one JSON line: time, level, message, then what else the line holds. */
export function prettyLine(line: string): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const label = (pino.levels.labels[Number(level)] ?? 'info').toUpperCase().padEnd(5);
  const values = Object.entries(rest).map(([key, value]) => ` ${key}=${plain(value)}`);
  return `${String(time).slice(11, 23)} ${label} ${String(msg)}${values.join('')}\n`;
}

function plain(value: unknown): string {
  return typeof value === 'string' && /^[\w./:-]+$/.test(value) ? value : JSON.stringify(value);
}

/** A log that nobody reads any more must not end the daemon. */
function writeOut(line: string): void {
  try {
    writeSync(STDERR, line);
  } catch {
    // The pipe is closed or full; the line is lost, the packets are not.
  }
}
