/**
 * The class model: what a class tree is once it has been read, its limits, and the defaults tc would choose.
 *
 * Everything is in base units: bit/s, bytes, packets. The tree is data only; nothing here reads files.
 */
import type { PrefixSpec } from './prefix.js';
import type { QueueSettings } from './queue.js';

export type { PrefixSpec } from './prefix.js';

/** What one direction of a class may send. Frozen and shared: equal directions are one object in a tree. */
export interface DirectionSpec {
  /** assured rate; 0 where nothing is assured */
  readonly rateBps: number;
  /** never below rateBps, never 0 */
  readonly ceilBps: number;
  readonly burstBytes: number;
  readonly cburstBytes: number;
  readonly quantumBytes: number;
  /** 0 is served first, 7 last */
  readonly prio: number;
}

export const LINK_LAYERS = ['ethernet', 'atm', 'ptm'] as const;
export type LinkLayer = (typeof LINK_LAYERS)[number];

/** A node of the tree. `down` or `up` is null where the class puts no limit of its own: nothing assured, ceil as the parent's. */
export interface ClassSpec {
  readonly id: string;
  /** null: a root */
  readonly parent: string | null;
  readonly match: readonly PrefixSpec[];
  /** what the class says of its queue; see queueSpecOf() for what follows */
  readonly queue: QueueSettings;
  readonly down: DirectionSpec | null;
  readonly up: DirectionSpec | null;
}

/** A valid tree. Parents stand before their children; apart from that `classes` has the order of the file. */
export interface ClassTree {
  readonly version: 1;
  readonly defaultClass: string | null;
  /** added to the layer-2 length of every packet before it is charged; may be negative */
  readonly overheadBytes: number;
  /** packets shorter than this, after the overhead, are charged as this */
  readonly mpuBytes: number;
  /** how the link cuts packets up: ATM into cells of 48 bytes in 53, PTM with a byte more for every 64 */
  readonly linkLayer: LinkLayer;
  /** for classes that do not say otherwise */
  readonly queue: QueueSettings;
  readonly classes: readonly ClassSpec[];
}

export interface Problem {
  readonly severity: 'error' | 'warning';
  /** null: not about a class, or about one without a usable id; then `key` starts with `classes[INDEX]` */
  readonly classId: string | null;
  /** Where it stands if not in a tree file, as in `plans row 'gold'`; then `key` is a column or empty. */
  readonly place?: string;
  /** dotted, as in `down.ceil` or `match[1]`; empty where the text itself could not be read */
  readonly key: string;
  /** one line */
  readonly message: string;
}

/** `tree` is null exactly when `problems` holds an error. */
export interface TreeResult {
  readonly tree: ClassTree | null;
  readonly problems: readonly Problem[];
}

export interface CheckOptions {
  /**
   * Makes an assured rate above the nearest one on the way to the root an error, and warns of prefixes that overlap
   * between classes. Without it the first is a warning at the class above, and the second passes in silence.
   */
  readonly strict?: boolean;
}

export const CLASSES_MAX = 2 ** 20;
/** Prefixes in the whole tree; bounds the table that finds duplicates, whose hard limit is 2^24 entries. */
export const MATCHES_MAX = 8_000_000;
/** Levels of classes on the way from a root (level 1) to a leaf. */
export const DEPTH_MAX = 32;
export const ID_LENGTH_MAX = 128;
export const PRIO_MAX = 7;
export const OVERHEAD_MIN_BYTES = -64;
export const OVERHEAD_MAX_BYTES = 256;
export const MPU_MAX_BYTES = 1500;
/** A quantum below the smallest frame would make the round-robin go round many times for one packet. */
export const QUANTUM_MIN_BYTES = 60;
export const QUANTUM_MAX_BYTES = 10_000_000;

/** sch_htb's bounds for a quantum that it derives from the rate; one given by hand may leave them. */
const DERIVED_QUANTUM_MIN_BYTES = 1000;
const DERIVED_QUANTUM_MAX_BYTES = 200_000;
/** sch_htb's default "rate to quantum": a class may send a tenth of a second's bytes per round. */
const RATE_TO_QUANTUM = 10;

const BURST_TICKS_PER_SECOND = 1000;
const TC_DEFAULT_MTU_BYTES = 1600;

/**
 * The burst (from the rate) or cburst (from the ceil) of a class that gives none.
 *
 * tc takes what the rate sends in one kernel tick, plus one mtu, so that a class loses nothing between two
 * looks at the clock. We take the tick of a kernel with HZ=1000. tc itself reads the tick from /proc/net/psched,
 * where kernels with high-resolution timers claim a nanosecond, and then arrives at the bare mtu: 1600 bytes, which is
 * one frame of slack and costs 12 % of the throughput at 1 Gbit/s.
 */
export function defaultBurstBytes(rateBps: number): number {
  return Math.floor(rateBps / 8 / BURST_TICKS_PER_SECOND) + TC_DEFAULT_MTU_BYTES;
}

/** The quantum of a class that gives none, as sch_htb derives it from the assured rate. */
export function defaultQuantumBytes(rateBps: number): number {
  const bytes = Math.floor(rateBps / 8 / RATE_TO_QUANTUM);
  return Math.min(Math.max(bytes, DERIVED_QUANTUM_MIN_BYTES), DERIVED_QUANTUM_MAX_BYTES);
}

/**
 * One line for a person: `class 'u42': down.rate: "10mbt" has the unknown unit "mbt"`, or with the problem's own place,
 * `plans row 'gold': down_rate: …`.
 */
export function formatProblem(problem: Problem): string {
  const where = problem.place ?? (problem.classId === null ? '' : `class '${problem.classId}'`);
  const place = where === '' ? '' : `${where}: `;
  const key = problem.key === '' ? '' : `${problem.key}: `;
  return `${place}${key}${problem.message}`;
}
