/**
 * Reads a scenario from a document, whatever the document is, and reports everything that is wrong at once.
 *
 * A field that cannot be read is reported and replaced by a stand-in, so that the others are still checked. A
 * scenario with an error is not handed out.
 */
import { type Fields, isFields } from '../../classes/class-reader.js';
import { type ClassTree, formatProblem } from '../../classes/model.js';
import { printableKey, unknownKeyMessage } from '../../classes/problems.js';
import { wholeNumberFault } from '../../classes/queue-keys.js';
import { parseRateBps, quoted } from '../../classes/units.js';
import { parseClassTree } from '../../classes/validate.js';
import { Direction } from '../shm/tree-layout.js';
import { FRAMES_MAX, FRAMES_MIN } from './frames.js';
import type {
  ArrivalKind,
  ChangeSpec,
  FlowSpec,
  Scenario,
  ScenarioProblem,
  ScenarioResult,
  StallSpec,
} from './scenario.js';

export const QUEUES_MAX = 256;
export const SECONDS_MAX = 3600;
export const FLOWS_MAX = 100_000;
/** 5-tuples times queues: each pair costs some hundred bytes. */
export const SOURCES_MAX = 4_000_000;
/** Windows of a run: each class's are in memory and in the result. */
export const WINDOWS_MAX = 100_000;
export const SIZE_MIN_BYTES = 60;
export const SIZE_MAX_BYTES = 9000;
/** 5-tuples of one flow differ in one of their ports. */
export const TUPLES_MAX = 60_000;
export const DEVICES_MAX = 4096;
export const DSCP_MAX = 63;
/** Spreads that add up to 1 but for rounding are taken as exact. */
const SHARE_TOLERANCE = 1e-6;
const STALLS_MAX = 10_000;
const CHANGES_MAX = 100;

const DEFAULTS = { queues: 1, seconds: 5, seed: 1, windowMs: 100, sizeBytes: 1500 };

const SCENARIO_KEYS = new Set([
  'queues',
  'seconds',
  'seed',
  'windowMs',
  'frames',
  'classes',
  'flows',
  'stalls',
  'changes',
]);
const FLOW_KEYS = new Set([
  'class',
  'direction',
  'offered',
  'size',
  'start',
  'stop',
  'spread',
  'arrival',
  'flows',
  'device',
  'devices',
  'ecn',
  'dscp',
]);
const STALL_KEYS = new Set(['queue', 'at', 'seconds']);
const CHANGE_KEYS = new Set(['at', 'classes']);

/** Validates a document as JSON.parse hands it out. Never throws, never changes `value`. */
export function readScenario(value: unknown): ScenarioResult {
  const reader = new ScenarioReader();
  const scenario = reader.read(value);
  return { scenario: reader.hasErrors ? null : scenario, problems: reader.problems };
}

class ScenarioReader {
  readonly problems: ScenarioProblem[] = [];
  hasErrors = false;
  private queues = DEFAULTS.queues;
  private seconds = DEFAULTS.seconds;
  private evenShares: readonly number[] = [];
  /** Of the scenario's tree and of those of its changes: whether a class is a leaf. */
  private readonly leaves: { readonly key: string; readonly isLeaf: ReadonlyMap<string, boolean> }[] = [];
  /** Whether a flow's class can be checked, because all trees could be read. */
  private treesRead = true;

  read(value: unknown): Scenario | null {
    if (!isFields(value)) {
      this.error('', `a scenario must be a map with classes and flows, not ${quoted(value)}`);
      return null;
    }
    this.checkKeys(value, SCENARIO_KEYS, '');
    this.queues = this.whole(value.queues, 'queues', 1, QUEUES_MAX, DEFAULTS.queues);
    this.seconds = this.amount(value.seconds, 'seconds', 'seconds', SECONDS_MAX, DEFAULTS.seconds, true);
    const seed = this.whole(value.seed, 'seed', 0, 2 ** 32 - 1, DEFAULTS.seed);
    const windowMs = this.readWindow(value.windowMs);
    const frames = this.readFrames(value.frames);
    this.evenShares = new Array<number>(this.queues).fill(1 / this.queues);
    const tree = this.readTree(value.classes, 'classes');
    const changes = this.readList(value.changes, 'changes', CHANGES_MAX, (item, key) =>
      this.readChange(item, key),
    );
    const flows = this.readFlows(value.flows);
    const stalls = this.readList(value.stalls, 'stalls', STALLS_MAX, (item, key) =>
      this.readStall(item, key),
    );
    if (tree === null) return null;
    const ordered = [...changes].sort((a, b) => a.atSeconds - b.atSeconds);
    return {
      queues: this.queues,
      seconds: this.seconds,
      seed,
      windowMs,
      frames,
      tree,
      flows,
      stalls,
      changes: ordered,
    };
  }

  // ---- parts ------------------------------------------------------------------------------------------

  private readWindow(value: unknown): number {
    const windowMs = this.amount(
      value,
      'windowMs',
      'milliseconds',
      SECONDS_MAX * 1e3,
      DEFAULTS.windowMs,
      true,
    );
    if (this.seconds * 1e3 > windowMs * WINDOWS_MAX) {
      this.error(
        'windowMs',
        `${windowMs} makes more than ${WINDOWS_MAX} windows of the ${this.seconds} seconds`,
      );
    }
    return windowMs;
  }

  private readFrames(value: unknown): number | null {
    return value === undefined ? null : this.whole(value, 'frames', FRAMES_MIN, FRAMES_MAX, FRAMES_MIN);
  }

  private readTree(value: unknown, key: string): ClassTree | null {
    if (value === undefined) {
      this.error(key, 'is missing; it holds the class tree');
      this.treesRead = false;
      return null;
    }
    const { tree, problems } = parseClassTree(value);
    for (const problem of problems) {
      if (problem.severity === 'error') this.error(key, formatProblem(problem));
      else this.problems.push({ severity: 'warning', key, message: formatProblem(problem) });
    }
    if (tree === null) {
      this.treesRead = false;
      return null;
    }
    const isLeaf = new Map<string, boolean>();
    for (const spec of tree.classes) {
      isLeaf.set(spec.id, true);
      if (spec.parent !== null) isLeaf.set(spec.parent, false);
    }
    this.leaves.push({ key, isLeaf });
    return tree;
  }

  private readChange(value: unknown, key: string): ChangeSpec | null {
    if (!isFields(value)) {
      this.error(key, `must be a map with at and classes, not ${quoted(value)}`);
      return null;
    }
    this.checkKeys(value, CHANGE_KEYS, `${key}.`);
    const atSeconds = this.requiredTime(value.at, `${key}.at`);
    const tree = this.readTree(value.classes, `${key}.classes`);
    return tree === null ? null : { atSeconds, tree };
  }

  private readStall(value: unknown, key: string): StallSpec | null {
    if (!isFields(value)) {
      this.error(key, `must be a map with queue, at and seconds, not ${quoted(value)}`);
      return null;
    }
    this.checkKeys(value, STALL_KEYS, `${key}.`);
    if (value.queue === undefined) this.error(`${key}.queue`, 'is missing');
    const queue = this.whole(value.queue, `${key}.queue`, 0, this.queues - 1, 0);
    const atSeconds = this.requiredTime(value.at, `${key}.at`);
    if (value.seconds === undefined) this.error(`${key}.seconds`, 'is missing');
    const seconds = this.amount(value.seconds, `${key}.seconds`, 'seconds', SECONDS_MAX, 0, true);
    return { queue, atSeconds, seconds };
  }

  private readFlows(value: unknown): readonly FlowSpec[] {
    if (value === undefined) {
      this.error('flows', 'is missing; it lists the traffic');
      return [];
    }
    const flows = this.readList(value, 'flows', FLOWS_MAX, (item, key) => this.readFlow(item, key));
    const count = flows.reduce((sum, { tuples }) => sum + tuples, 0);
    if (count * this.queues > SOURCES_MAX)
      this.error('flows', `${count} flows on ${this.queues} queues are more than ${SOURCES_MAX} pairs`);
    return flows;
  }

  private readFlow(value: unknown, key: string): FlowSpec | null {
    if (!isFields(value)) {
      this.error(key, `must be a map with class, direction and offered, not ${quoted(value)}`);
      return null;
    }
    this.checkKeys(value, FLOW_KEYS, `${key}.`);
    const startSeconds = value.start === undefined ? 0 : this.requiredTime(value.start, `${key}.start`);
    const stopSeconds =
      value.stop === undefined ? this.seconds : this.requiredTime(value.stop, `${key}.stop`);
    if (stopSeconds < startSeconds) {
      this.error(`${key}.stop`, `${stopSeconds} is before the start, ${startSeconds}`);
    }
    return {
      classId: this.readClass(value.class, `${key}.class`),
      direction: this.readDirection(value.direction, `${key}.direction`),
      offeredBps: this.readOffered(value.offered, `${key}.offered`),
      sizeBytes: this.whole(value.size, `${key}.size`, SIZE_MIN_BYTES, SIZE_MAX_BYTES, DEFAULTS.sizeBytes),
      startSeconds,
      stopSeconds: Math.min(stopSeconds, this.seconds),
      shares: this.readSpread(value.spread, `${key}.spread`),
      arrival: this.readArrival(value.arrival, `${key}.arrival`),
      ...this.readTuples(value, key),
      ecn: this.readBoolean(value.ecn, `${key}.ecn`),
      dscp: this.whole(value.dscp, `${key}.dscp`, 0, DSCP_MAX, 0),
    };
  }

  private readTuples(value: Fields, key: string): Pick<FlowSpec, 'tuples' | 'firstDevice' | 'devices'> {
    const firstDevice = this.whole(value.device, `${key}.device`, 0, DEVICES_MAX - 1, 0);
    const devices = this.whole(value.devices, `${key}.devices`, 1, DEVICES_MAX - firstDevice, 1);
    const tuples = this.whole(value.flows, `${key}.flows`, 1, TUPLES_MAX, devices);
    if (tuples < devices)
      this.error(
        `${key}.devices`,
        `${devices} devices cannot share ${tuples === 1 ? 'one flow' : `${tuples} flows`}`,
      );
    return { tuples, firstDevice, devices };
  }

  private readBoolean(value: unknown, key: string): boolean {
    if (value === undefined || typeof value === 'boolean') return value ?? false;
    this.error(key, `must be true or false, not ${quoted(value)}`);
    return false;
  }

  private readClass(value: unknown, key: string): string {
    if (typeof value !== 'string') {
      this.error(key, value === undefined ? 'is missing' : `must be the id of a class, not ${quoted(value)}`);
      return '';
    }
    if (!this.treesRead) return value;
    for (const tree of this.leaves) {
      const where = tree.key === 'classes' ? '' : ` in ${tree.key}`;
      const isLeaf = tree.isLeaf.get(value);
      if (isLeaf === undefined) this.error(key, `no class ${quoted(value)}${where}`);
      else if (!isLeaf) this.error(key, `${quoted(value)} has children${where}; only a leaf holds packets`);
    }
    return value;
  }

  private readDirection(value: unknown, key: string): Direction {
    if (value === 'up') return Direction.UP;
    if (value === undefined) this.error(key, 'is missing; it is "down" or "up"');
    else if (value !== 'down') this.error(key, `must be "down" or "up", not ${quoted(value)}`);
    return Direction.DOWN;
  }

  private readOffered(value: unknown, key: string): number {
    if (value === undefined) {
      this.error(key, 'is missing; it is a rate such as "10mbit"');
      return 0;
    }
    const bps = parseRateBps(value);
    if (typeof bps === 'number') return bps;
    this.error(key, bps);
    return 0;
  }

  private readSpread(value: unknown, key: string): readonly number[] {
    if (value === undefined) return this.evenShares;
    if (!Array.isArray(value)) {
      this.error(key, `must be a list with a share for each queue, not ${quoted(value)}`);
      return this.evenShares;
    }
    if (value.length > this.queues) {
      this.error(
        key,
        `has ${value.length} shares, but there ${this.queues === 1 ? 'is one queue' : `are ${this.queues} queues`}`,
      );
      return this.evenShares;
    }
    const bad = value.findIndex((share) => !(typeof share === 'number' && share >= 0 && share <= 1));
    if (bad >= 0) {
      this.error(`${key}[${bad}]`, `must be a number from 0 to 1, not ${quoted(value[bad])}`);
      return this.evenShares;
    }
    const sum = (value as number[]).reduce((total, share) => total + share, 0);
    if (Math.abs(sum - 1) > SHARE_TOLERANCE) {
      this.error(key, `the shares add up to ${Number(sum.toPrecision(6))}, not to 1`);
      return this.evenShares;
    }
    return Array.from(
      { length: this.queues },
      (_, queue) => ((value[queue] as number | undefined) ?? 0) / sum,
    );
  }

  private readArrival(value: unknown, key: string): ArrivalKind {
    if (value === undefined || value === 'cbr' || value === 'poisson') return value ?? 'cbr';
    this.error(key, `must be "cbr" or "poisson", not ${quoted(value)}`);
    return 'cbr';
  }

  // ---- values -----------------------------------------------------------------------------------------

  private error(key: string, message: string): void {
    this.hasErrors = true;
    this.problems.push({ severity: 'error', key, message });
  }

  private checkKeys(fields: Fields, known: ReadonlySet<string>, prefix: string): void {
    for (const key of Object.keys(fields)) {
      if (!known.has(key)) this.error(prefix + printableKey(key), unknownKeyMessage(key, known));
    }
  }

  private readList<T>(
    value: unknown,
    key: string,
    max: number,
    read: (item: unknown, key: string) => T | null,
  ): T[] {
    if (value === undefined) return [];
    if (!Array.isArray(value)) {
      this.error(key, `must be a list, not ${quoted(value)}`);
      return [];
    }
    if (value.length > max) {
      this.error(key, `holds ${value.length} entries; there may be ${max}`);
      return [];
    }
    return value.map((item, index) => read(item, `${key}[${index}]`)).filter((item) => item !== null);
  }

  private whole(value: unknown, key: string, min: number, max: number, fallback: number): number {
    if (value === undefined) return fallback;
    const fault = wholeNumberFault(value, min, max);
    if (fault === null) return value as number;
    this.error(key, fault);
    return fallback;
  }

  /** A time of the run in seconds. */
  private requiredTime(value: unknown, key: string): number {
    if (value === undefined) this.error(key, 'is missing');
    return this.amount(value, key, 'seconds', SECONDS_MAX, 0, false);
  }

  /** A number from 0, or above 0, to `max`. */
  private amount(
    value: unknown,
    key: string,
    unit: string,
    max: number,
    fallback: number,
    mustBePositive: boolean,
  ): number {
    if (value === undefined) return fallback;
    if (typeof value === 'number' && value <= max && (mustBePositive ? value > 0 : value >= 0)) return value;
    const from = mustBePositive ? 'above 0 and up to' : 'from 0 to';
    this.error(key, `must be a number of ${unit} ${from} ${max}, not ${quoted(value)}`);
    return fallback;
  }
}
