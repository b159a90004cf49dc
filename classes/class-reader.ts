/**
 * Reads one class of the document into a ClassSpec, field by field, whatever the value is.
 *
 * A field that cannot be read is reported and replaced by a stand-in, so that the other fields and the structure of the
 * tree are still checked. Stand-ins never leave this folder: a tree with an error is not handed out.
 */
import { DirectionTable } from './direction-table.js';
import {
  type ClassSpec,
  type DirectionSpec,
  defaultBurstBytes,
  defaultQuantumBytes,
  ID_LENGTH_MAX,
  MATCHES_MAX,
  PRIO_MAX,
  type PrefixSpec,
  QUANTUM_MAX_BYTES,
  QUANTUM_MIN_BYTES,
} from './model.js';
import { parsePrefix } from './prefix.js';
import { type ProblemList, printableKey, unknownKeyMessage } from './problems.js';
import { NO_SETTINGS, type QueueSettings } from './queue.js';
import { QUEUE_KEY_OF, wholeNumberFault } from './queue-keys.js';
import { classQueue, type Fail, type SaidSettings, takeQueueKey } from './queue-reader.js';
import { QueueTable } from './queue-table.js';
import { formatRate, parseRateBps, parseSizeBytes, quoted } from './units.js';

export type Fields = Readonly<Record<string, unknown>>;

const CLASS_KEYS: ReadonlySet<string> = new Set([
  'id',
  'parent',
  'match',
  ...QUEUE_KEY_OF.keys(),
  'down',
  'up',
]);
const DIRECTION_KEYS: ReadonlySet<string> = new Set(['rate', 'ceil', 'burst', 'cburst', 'quantum', 'prio']);

const NO_PREFIXES: readonly PrefixSpec[] = Object.freeze([]);

/** Stands in for a direction that could not be read: no comparison with NaN holds, so no further warning follows from it. */
export const UNREADABLE: DirectionSpec = Object.freeze({
  rateBps: Number.NaN,
  ceilBps: Number.NaN,
  burstBytes: 0,
  cburstBytes: 0,
  quantumBytes: 0,
  prio: 0,
});

/** Texts remembered per grammar. A provider has few plans; a file of all-different rates is read without the memory. */
const REMEMBERED_MAX = 4096;

/** True for a JSON or YAML map. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What the classes of a tree share: one object for all equal directions, and for all equal queues. */
export class SpecTables {
  readonly directions = new DirectionTable();
  readonly queues = new QueueTable();
}

export class ClassReader {
  private readonly problems: ProblemList;
  private readonly rates = new Map<unknown, number | string>();
  private readonly sizes = new Map<unknown, number | string>();
  private readonly tables: SpecTables;
  private readonly treeQueue: QueueSettings;
  /** canonical prefix → index of the class that has it */
  private readonly classByMatch = new Map<string, number>();
  private tooManyMatches = false;
  private readonly labelOf: (index: number) => string;
  /** of the class being read */
  private index = 0;
  private id = '';
  private readonly fail: Fail = (key, message) => this.problems.classError(this.id, this.index, key, message);

  /**
   * `labelOf` names a class that has been read already, for messages about two classes; `treeQueue` is what the tree says for
   * all of them.
   */
  constructor(
    problems: ProblemList,
    labelOf: (index: number) => string,
    tables: SpecTables,
    treeQueue: QueueSettings,
  ) {
    this.problems = problems;
    this.labelOf = labelOf;
    this.tables = tables;
    this.treeQueue = treeQueue;
  }

  /**
   * The class at `index` of the file; its id is empty if it has no usable one. Null if `value` is not a map. What `base` says of
   * the queue holds where the class does not say otherwise.
   */
  read(value: unknown, index: number, base: QueueSettings = NO_SETTINGS): ClassSpec | null {
    this.index = index;
    this.id = '';
    if (!isFields(value)) {
      this.fail('', `must be a map with an id, not ${quoted(value)}`);
      return null;
    }
    this.id = this.readId(value.id);
    this.checkKeys(value, CLASS_KEYS, '');
    const queue = this.readQueue(value, base);
    return {
      id: this.id,
      parent: this.readParent(value.parent),
      match: this.readMatches(value.match),
      queue,
      down: this.readDirection(value.down, 'down'),
      up: this.readDirection(value.up, 'up'),
    };
  }

  private checkKeys(fields: Fields, known: ReadonlySet<string>, prefix: string): void {
    for (const key of Object.keys(fields)) {
      if (!known.has(key)) this.fail(prefix + printableKey(key), unknownKeyMessage(key, known));
    }
  }

  private readId(value: unknown): string {
    const fault = idFault(value);
    if (fault === null) return value as string;
    this.fail('id', fault);
    return '';
  }

  private readParent(value: unknown): string | null {
    if (value === undefined || value === null) return null;
    if (typeof value === 'string') return value;
    this.fail('parent', `must be the id of a class, not ${quoted(value)}`);
    return null;
  }

  private readQueue(fields: Fields, base: QueueSettings): QueueSettings {
    let said: SaidSettings | null = null;
    for (const name in fields) {
      const key = QUEUE_KEY_OF.get(name);
      if (key === undefined) continue;
      said ??= {};
      takeQueueKey(said, key, fields[name], this.fail);
    }
    return said === null ? base : classQueue(said, base, this.treeQueue, this.tables.queues, this.fail);
  }

  private readMatches(value: unknown): readonly PrefixSpec[] {
    if (value === undefined) return NO_PREFIXES;
    const prefixes: PrefixSpec[] = [];
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) this.readMatch(value[i], `match[${i}]`, prefixes);
    } else {
      this.readMatch(value, 'match', prefixes);
    }
    return prefixes.length === 0 ? NO_PREFIXES : prefixes;
  }

  private readMatch(value: unknown, key: string, into: PrefixSpec[]): void {
    if (typeof value !== 'string') {
      this.fail(
        key,
        `must be an address or prefix such as "10.0.0.5" or "2001:db8::/56", not ${quoted(value)}`,
      );
      return;
    }
    const parsed = parsePrefix(value);
    if (typeof parsed === 'string') {
      this.fail(key, parsed);
      return;
    }
    const prefix = parsed.prefix;
    if (parsed.normalised) {
      const message = `${quoted(value)} has bits set after its length; read as ${prefix.text}`;
      this.problems.classWarning(this.id, this.index, key, message);
    }
    if (this.isFirstUse(prefix, key)) into.push(prefix);
  }

  private isFirstUse(prefix: PrefixSpec, key: string): boolean {
    const owner = this.classByMatch.get(prefix.text);
    if (owner !== undefined) {
      const whose = owner === this.index ? 'this class' : this.labelOf(owner);
      this.fail(key, `${prefix.text} is matched by ${whose} already`);
      return false;
    }
    if (this.classByMatch.size >= MATCHES_MAX) {
      if (!this.tooManyMatches) this.fail(key, `is one prefix more than the ${MATCHES_MAX} a tree may have`);
      this.tooManyMatches = true;
      return false;
    }
    this.classByMatch.set(prefix.text, this.index);
    return true;
  }

  private readDirection(value: unknown, name: 'down' | 'up'): DirectionSpec | null {
    if (value === undefined) return null;
    if (!isFields(value)) {
      const message = `must be a map with a rate, not ${quoted(value)}; leave the key out to set no limit`;
      this.fail(name, message);
      return UNREADABLE;
    }
    const errorsBefore = this.problems.errorCount;
    this.checkKeys(value, DIRECTION_KEYS, `${name}.`);
    if (value.rate === undefined && value.ceil === undefined) {
      this.fail(name, 'needs a rate, a ceil or both; leave the key out to set no limit');
    }
    const rateBps = this.readRate(value.rate, name, 'rate', 0);
    const ceilBps = this.readRate(value.ceil, name, 'ceil', rateBps);
    this.checkCeil(value, name, rateBps, ceilBps);
    const burstBytes = this.readSize(value.burst, `${name}.burst`, defaultBurstBytes(rateBps));
    const cburstBytes = this.readSize(value.cburst, `${name}.cburst`, defaultBurstBytes(ceilBps));
    const quantumBytes = this.readSize(value.quantum, `${name}.quantum`, defaultQuantumBytes(rateBps));
    if (
      value.quantum !== undefined &&
      (quantumBytes < QUANTUM_MIN_BYTES || quantumBytes > QUANTUM_MAX_BYTES)
    ) {
      const message = `${quoted(value.quantum)} is not from ${QUANTUM_MIN_BYTES} to ${QUANTUM_MAX_BYTES} bytes`;
      this.fail(`${name}.quantum`, message);
    }
    const prio = this.readWhole(value.prio, `${name}.prio`, 0, PRIO_MAX, 0);
    if (this.problems.errorCount !== errorsBefore) return UNREADABLE;
    return this.tables.directions.intern({ rateBps, ceilBps, burstBytes, cburstBytes, quantumBytes, prio });
  }

  private checkCeil(fields: Fields, name: string, rateBps: number, ceilBps: number): void {
    if (ceilBps < rateBps) {
      const message = `${quoted(fields.ceil)} is below the rate, ${formatRate(rateBps)}`;
      this.fail(`${name}.ceil`, message);
    } else if (ceilBps === 0) {
      const key = fields.ceil === undefined ? 'rate' : 'ceil';
      // Without this the class would be accepted and never send a packet.
      if (fields[key] !== undefined) this.fail(`${name}.${key}`, 'is 0, which lets nothing through');
    }
  }

  /** NaN after an error, so that no comparison with the result reports a second one. */
  private readRate(value: unknown, name: string, key: string, fallbackBps: number): number {
    if (value === undefined) return fallbackBps;
    const bps = remember(this.rates, value, parseRateBps);
    if (typeof bps === 'number') return bps;
    this.fail(`${name}.${key}`, bps);
    return Number.NaN;
  }

  /** NaN after an error, as readRate(). */
  private readSize(value: unknown, key: string, fallbackBytes: number): number {
    if (value === undefined) return fallbackBytes;
    const bytes = remember(this.sizes, value, parseSizeBytes);
    if (typeof bytes === 'number') return bytes;
    this.fail(key, bytes);
    return Number.NaN;
  }

  private readWhole(value: unknown, key: string, min: number, max: number, fallback: number): number {
    if (value === undefined) return fallback;
    const message = wholeNumberFault(value, min, max);
    if (message === null) return value as number;
    this.fail(key, message);
    return fallback;
  }
}

/** What is wrong with a value that must be an id, or null. */
export function idFault(value: unknown): string | null {
  if (value === undefined) return 'is missing';
  if (typeof value === 'number') return `must be a string; write "${value}" in quotes`;
  if (typeof value !== 'string') return `must be a string, not ${quoted(value)}`;
  if (value === '') return 'is empty';
  if (value.length > ID_LENGTH_MAX) return `is longer than ${ID_LENGTH_MAX} characters`;
  if (/\p{Cc}/u.test(value)) return `${quoted(value)} contains a control character`;
  return null;
}

function remember(
  memory: Map<unknown, number | string>,
  value: unknown,
  parse: (value: unknown) => number | string,
): number | string {
  const known = memory.get(value);
  if (known !== undefined) return known;
  const parsed = parse(value);
  if (memory.size < REMEMBERED_MAX) memory.set(value, parsed);
  return parsed;
}
