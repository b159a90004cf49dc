/** The verb `weir stats`: asks the running daemon. */
import { ask } from '../control/client.js';
import { formatStats, type StatsDocument } from '../metrics/report.js';
import { controlSocket } from './control-socket.js';
import { printText } from './output.js';

export interface StatsArguments {
  readonly class?: string;
  readonly json?: boolean;
  readonly config?: string;
  readonly socket?: string;
}

/** Prints the counters of the daemon. Returns the exit code; throws WeirError. */
export async function runStats(options: StatsArguments): Promise<number> {
  const socket = controlSocket(options);
  if (socket === null) return 2;
  const query = options.class === undefined ? '' : `?class=${encodeURIComponent(options.class)}`;
  const text = await ask(socket, `/stats${query}`);
  if (options.json === true) await printText(text.endsWith('\n') ? text : `${text}\n`);
  else await printText(formatStats(JSON.parse(text) as StatsDocument));
  return 0;
}
