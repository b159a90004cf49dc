/**
 * Memory that all workers share about the class trees. Layout only, no behaviour.
 *
 * One `SharedTree` exists per direction. Its arrays are sized for the configured capacity but rely on
 * demand-zeroed pages: what is never used is never resident, so memory grows with the classes in use.
 *
 *   shapes      Float64, Shape.STRIDE a shape   written by the control thread before the epoch that uses it
 *   classWords  Int32, Word.STRIDE a class      written by every worker, only with Atomics
 *   fairWords   Int32, Fair.STRIDE an inner slot written by every worker, only with Atomics
 *   holds       Int32, a bit for each worker     set by the control thread, cleared by the worker
 *   generationWords  Int32                       CURRENT: control thread; ADOPTED: each worker its own
 *
 * A *shape* is what classes of one plan have in common: rates, depths, quantum, limits. 24,000 subscribers
 * on twenty plans read twenty shapes, which stay in the first-level cache.
 */
import { alignedFloat64, alignedInt32 } from './aligned.js';

export const enum Direction {
  DOWN = 0,
  UP = 1,
}

export const enum Limit {
  DIRECTIONS = 2,
  /** A tree is at most this deep; a root inner class has level LEVELS - 1, every leaf has level 0. */
  LEVELS = 32,
  PRIOS = 8,
  /** Unit of claims: sums below one class stay below 2^31 of these, 17 Tbit/s. */
  CLAIM_UNIT_BPS = 8000,
}

/** Shapes. */
export const enum Shape {
  SHIFT = 4,
  STRIDE = 1 << SHIFT,

  /** Nanoseconds one byte costs the assured-rate bucket; 0 when there is no assured rate. */
  RATE_NS_PER_BYTE = 0,
  /** Nanoseconds one byte costs the ceil bucket; 0 when there is no ceil. */
  CEIL_NS_PER_BYTE = 1,
  /** The rate bucket gives while `fullAt - now` is at most this; -Infinity when nothing is assured. */
  RATE_LIMIT_NS = 2,
  /** The ceil bucket gives while `fullAt - now` is at most this; +Infinity when there is no ceil. */
  CEIL_LIMIT_NS = 3,
  /** The same for packets that borrow through an inner class: a little less, so that assured ones find room. */
  CEIL_BORROW_LIMIT_NS = 4,
  /** What a worker may leave uncharged on the shared rate bucket; +Infinity with one queue. */
  RATE_TAB_NS = 5,
  CEIL_TAB_NS = 6,
  QUANTUM_BYTES = 7,
  LIMIT_PACKETS = 8,
  LIMIT_BYTES = 9,
  /** Quantum in weight units (see `weightUnitBytes`), what a backlogged borrower counts for. */
  WEIGHT = 10,
  /** Assured rate in claim units of CLAIM_UNIT_BPS; 0 when nothing is assured. */
  CLAIM = 11,
  PRIO = 12,
  /** Leaf: what queue it has, as `LeafFlag` bits, and how many flows it may hold. */
  LEAF = 13,
  /** CoDel's target and interval, scaled to the class's ceil. */
  TARGET_US = 14,
  INTERVAL_US = 15,
}

export const enum LeafFlag {
  /** Packets that can be marked are marked, where others are dropped. */
  ECN = 1,
  /** Clears the DSCP of what comes in. */
  WASH = 2,
  /** One flow queue for each of the subscriber's devices. */
  BY_DEVICE = 4,
  /** Shared out among the devices first, and then among the flows of each. */
  DEVICES_FIRST = 8,
  /** Sorts packets into tins by DSCP; the tables of sch_cake's diffserv3 and diffserv4. */
  DIFFSERV3 = 16,
  DIFFSERV4 = 32,
  /** Flow queues with CoDel; a pfifo otherwise. */
  IS_FAIR = 64,
  /** From here on the number of flow queues that the leaf may have at a time. */
  FLOWS_SHIFT = 8,
}

/** Class words. */
export const enum Word {
  SHIFT = 4,
  STRIDE = 1 << SHIFT,

  /** Bucket: the time in wrapping microseconds at which it would be full again (GCRA's theoretical arrival time). */
  RATE_FULL_AT_US = 0,
  CEIL_FULL_AT_US = 1,
  /** On how many queues the class has registered backlog. Two words, one for each side (see `Generation`). */
  PRESENCE = 2,
  /** Sum of the assured rates that children with registered backlog claim, in CLAIM_UNIT_BPS. Two words likewise. */
  CLAIMS = 4,
  /** A leaf's fair clock between the queues it is backlogged on, and when it was last moved. */
  LEAF_CLOCK = 6,
  LEAF_CLOCK_AT = 7,
  /** By how much the shares of the queues that a leaf borrows on lack of whole ones. Two words, one for each side. */
  LACK = 8,
  /** Bytes of a leaf, sent by workers that were not alone with it. Wraps. */
  SENT = 10,
}

/** Fair words of an inner class. */
export const enum Fair {
  SHIFT = 5,
  STRIDE = 1 << SHIFT,

  /** PRIOS words each: weight of the registered borrowers, the fair clock, and when the clock was last moved. */
  WEIGHT = 0,
  CLOCK = 8,
  CLOCK_AT = 16,
  /** From one side's weights to the other's. */
  WEIGHT_SIDE = 24,
}

/**
 * Generation words. Sums over workers exist twice; a generation uses the side that is its lowest bit, and when a worker
 * has died the next one begins (see htb/sharing/generation.ts).
 */
export const enum Generation {
  CURRENT = 0,
  /** The generation each worker's tree has come into: one word in 128 bytes, because each has another writer. */
  ADOPTED = 32,
  ADOPTED_STRIDE = 32,
}

export interface SharedTree {
  readonly capacityClasses: number;
  readonly queues: number;
  /** Bytes of quantum that one weight unit stands for, so that no sum of weights passes 2^30. */
  readonly weightUnitBytes: number;
  readonly shapes: Float64Array;
  readonly classWords: Int32Array;
  readonly fairWords: Int32Array;
  /** `holdWordsPerClass` words a class: one bit for each worker whose tree holds it. An index is free again at 0. */
  readonly holds: Int32Array;
  readonly generationWords: Int32Array;
}

const QUANTUM_BYTES_MAX = 200_000;
/** Shapes for each class: its own, the one it gets next, and the one it had before, until all workers have adopted. */
const SHAPES_PER_CLASS = 3;

/** Allocates the shared memory of one direction for `capacityClasses` classes and `queues` workers. */
export function createSharedTree(capacityClasses: number, queues: number): SharedTree {
  const slots = capacityClasses + 1;
  return {
    capacityClasses,
    queues,
    weightUnitBytes: Math.max(4, Math.ceil((QUANTUM_BYTES_MAX * capacityClasses) / 2 ** 30)),
    shapes: alignedFloat64(SHAPES_PER_CLASS * slots * Shape.STRIDE),
    classWords: alignedInt32(slots * Word.STRIDE),
    fairWords: alignedInt32(slots * Fair.STRIDE),
    holds: alignedInt32(slots * holdWordsPerClass(queues)),
    generationWords: alignedInt32(Generation.ADOPTED + queues * Generation.ADOPTED_STRIDE),
  };
}

export function holdWordsPerClass(queues: number): number {
  return (queues + 31) >>> 5;
}
