/**
 * The settings of a queue one by one: their keys in a tree file, their columns, what they may be, how they are written.
 */
import {
  DIFFSERVS,
  FLOWS_MAX,
  INTERVAL_MAX_US,
  ISOLATIONS,
  LEAF_KINDS,
  LIMIT_MAX_PACKETS,
  MEMORY_MIN_BYTES,
  type QueueSettings,
} from './queue.js';
import { formatSize, formatTime, parseSizeBytes, parseTimeUs, quoted } from './units.js';

export type QueueValue = string | number | boolean;

export interface QueueKey {
  readonly setting: keyof QueueSettings;
  /** in a tree file, at a class and at the top */
  readonly key: string;
  /** of plans, subscribers and settings */
  readonly column: string;
  /** What is said; a fault says what is wrong with `value`. */
  readonly read: (value: unknown) => QueueValue | ValueFault;
  /** As an operator writes it; read() takes it back. */
  readonly write: (value: QueueValue) => QueueValue;
}

export class ValueFault {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/** In the order in which they are written. */
export const QUEUE_KEYS: readonly QueueKey[] = [
  { setting: 'leaf', key: 'leaf', column: 'leaf', read: wordOf(LEAF_KINDS, 'a leaf queue'), write: same },
  {
    setting: 'limitPackets',
    key: 'limit',
    column: 'limit_packets',
    read: wholeUpTo(LIMIT_MAX_PACKETS),
    write: same,
  },
  { setting: 'limitBytes', key: 'limitBytes', column: 'limit_bytes', read: readLimitBytes, write: writeSize },
  { setting: 'targetUs', key: 'target', column: 'codel_target', read: readTime, write: writeTime },
  { setting: 'intervalUs', key: 'interval', column: 'codel_interval', read: readTime, write: writeTime },
  { setting: 'flows', key: 'flows', column: 'flows', read: wholeUpTo(FLOWS_MAX), write: same },
  { setting: 'memoryBytes', key: 'memory', column: 'memory', read: readMemory, write: writeSize },
  { setting: 'ecn', key: 'ecn', column: 'ecn', read: readBoolean, write: same },
  {
    setting: 'isolate',
    key: 'isolate',
    column: 'isolate',
    read: wordOf(ISOLATIONS, 'an isolation'),
    write: same,
  },
  {
    setting: 'diffserv',
    key: 'diffserv',
    column: 'diffserv',
    read: wordOf(DIFFSERVS, 'a set of tins'),
    write: same,
  },
  { setting: 'wash', key: 'wash', column: 'wash', read: readBoolean, write: same },
];

export const QUEUE_KEY_OF: ReadonlyMap<string, QueueKey> = new Map(QUEUE_KEYS.map((one) => [one.key, one]));

/** What is said, by its keys in a tree file. */
export function writtenQueue(settings: QueueSettings): Record<string, QueueValue> {
  const fields: Record<string, QueueValue> = {};
  for (const { setting, key, write } of QUEUE_KEYS) {
    const value = settings[setting];
    if (value !== undefined) fields[key] = write(value);
  }
  return fields;
}

/** What is wrong with a value that must be one of some words, or null. */
export function wordFault(value: unknown, known: readonly string[], what: string): string | null {
  if (known.includes(value as string)) return null;
  const names = `${known.slice(0, -1).join(', ')} and ${known.at(-1)}`;
  return `${quoted(value)} is not ${what}; known are ${names}`;
}

/** What is wrong with a value that must be a whole number from `min` to `max`, or null. */
export function wholeNumberFault(value: unknown, min: number, max: number): string | null {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return null;
  return `must be a whole number from ${min} to ${max}, not ${quoted(value)}`;
}

function wordOf(known: readonly string[], what: string): QueueKey['read'] {
  return (value) => {
    const fault = wordFault(value, known, what);
    return fault === null ? (value as string) : new ValueFault(fault);
  };
}

function wholeUpTo(max: number): QueueKey['read'] {
  return (value) => {
    const fault = wholeNumberFault(value, 1, max);
    return fault === null ? (value as number) : new ValueFault(fault);
  };
}

function readSize(value: unknown): number | ValueFault {
  const bytes = parseSizeBytes(value);
  return typeof bytes === 'number' ? bytes : new ValueFault(bytes);
}

function readLimitBytes(value: unknown): number | ValueFault {
  return readSize(value) === 0 ? 0 : readMemory(value);
}

function readMemory(value: unknown): number | ValueFault {
  const bytes = readSize(value);
  if (typeof bytes !== 'number' || bytes >= MEMORY_MIN_BYTES) return bytes;
  return new ValueFault(
    `${quoted(value)} is below ${MEMORY_MIN_BYTES} bytes, which would not hold one packet`,
  );
}

function readTime(value: unknown): number | ValueFault {
  const us = parseTimeUs(value);
  if (typeof us === 'string') return new ValueFault(us);
  if (us >= 1 && us <= INTERVAL_MAX_US) return us;
  return new ValueFault(`${quoted(value)} is not from 1us to ${formatTime(INTERVAL_MAX_US)}`);
}

function readBoolean(value: unknown): boolean | ValueFault {
  return typeof value === 'boolean' ? value : new ValueFault(`must be true or false, not ${quoted(value)}`);
}

function writeSize(bytes: QueueValue): string {
  return formatSize(bytes as number);
}

function writeTime(us: QueueValue): string {
  return formatTime(us as number);
}

function same(value: QueueValue): QueueValue {
  return value;
}
