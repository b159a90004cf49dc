/**
 * The flow queues of all fair leaves of one worker. A leaf takes one when a packet of a flow arrives that has none, and
 * gives it back when the flow is forgotten; so a leaf without backlog holds nothing here, whatever its `flows` says.
 *
 * Flows are found by leaf and hash through a chained table, so two of them share a queue only when their hashes are the
 * same, or when their leaf has as many as it may. A *flow* is a word offset into `words`, one cache line; 0 is none. The one
 * given back last is taken first, because it is still in the cache.
 */
import { alignedInt32 } from '../../shm/aligned.js';
import { DevicePool } from './device-pool.js';

export const enum Flow {
  SHIFT = 4,
  STRIDE = 1 << SHIFT,

  /**
   * Record of the leaf, a multiple of 16, and in the low bits the tree, the tin, and whether it is shared by all flows of a
   * bucket. Of a free one the next free.
   */
  LEAF = 0,
  TREE_MASK = 1,
  TIN_SHIFT = 1,
  TIN_MASK = 3 << TIN_SHIFT,
  IS_SHARED = 8,
  /** Hash of the flow, or number of the bucket. */
  HASH = 1,
  /** The next in its hash slot. */
  CHAIN_NEXT = 2,
  /** The next in its circular list of new or old flows. */
  NEXT = 3,
  /** First and last packet, as frame number + 1. */
  HEAD = 4,
  TAIL = 5,
  BACKLOG_BYTES = 6,
  BACKLOG_PACKETS = 7,
  /** Bytes it may still send in this round. */
  DEFICIT = 8,
  /** `FlowFlag` bits. */
  FLAGS = 9,
  /** CoDel's state; see codel.ts. */
  CODEL_COUNT = 10,
  CODEL_LAST_COUNT = 11,
  FIRST_ABOVE_US = 12,
  DROP_NEXT_US = 13,
  /** The packet that was marked last, as frame number + 1: it is not judged again. */
  MARKED = 14,
  /** Where devices are told apart: the device it belongs to. */
  DEVICE = 15,
}

export const enum FlowFlag {
  /** CoDel: FIRST_ABOVE_US holds since when, plus an interval, packets have waited longer than the target. */
  IS_ABOVE = 1,
  /** CoDel: it drops, and DROP_NEXT_US says when it does so next. */
  IS_DROPPING = 2,
  /** On the list of old flows. */
  IS_OLD = 4,
  /** Had packets when its quantum was used up or when it was old: a standing queue, not one that emptied and waits there. */
  IS_BULK = 8,
}

/**
 * Flow queues for each frame. Every frame may be alone in one, and emptied ones stay for up to a round: when half of the pool
 * is in use, leaves give those back that are more than their packets, so the other half is enough for all.
 */
const FLOWS_PER_FRAME = 6;
const LEAF_FACTOR = 0x85ebca6b | 0;
const HASH_FACTOR = 0x9e3779b1 | 0;

export class FlowPool {
  readonly words: Int32Array;
  readonly devices: DevicePool;
  /** Flows in use. */
  used = 0;
  readonly capacityFlows: number;
  readonly #slots: Int32Array;
  readonly #slotShift: number;
  #free = 0;
  #top: number = Flow.STRIDE;
  #trees = 0;

  constructor(capacityPackets: number) {
    this.capacityFlows = capacityPackets * FLOWS_PER_FRAME;
    // Demand-zeroed, like all memory that is sized for the worst.
    this.words = alignedInt32((this.capacityFlows + 1) << Flow.SHIFT);
    const slotBits = Math.max(4, Math.ceil(Math.log2(capacityPackets)));
    this.#slots = new Int32Array(2 ** slotBits);
    this.#slotShift = 32 - slotBits;
    this.devices = new DevicePool(capacityPackets, this.capacityFlows);
  }

  /** A number for a tree that takes flows from here: a worker has two. */
  addTree(): number {
    if (this.#trees > Flow.TREE_MASK) throw new RangeError('two trees share this pool of flows already');
    return this.#trees++;
  }

  /** Whether flows without packets should go rather than stay for the rest of the round. */
  get isScarce(): boolean {
    return this.used > this.capacityFlows >> 1;
  }

  /** The flow of a leaf with a hash; 0 when there is none. `leaf` is as in `Flow.LEAF`. */
  find(leaf: number, hash: number): number {
    const words = this.words;
    let flow = this.#slots[this.#slotOf(leaf, hash)]!;
    while (flow !== 0 && (words[flow + Flow.LEAF] !== leaf || words[flow + Flow.HASH] !== hash))
      flow = words[flow + Flow.CHAIN_NEXT]!;
    return flow;
  }

  /** An empty flow for a leaf and a hash; 0 when there is none left. */
  take(leaf: number, hash: number): number {
    const words = this.words;
    let flow = this.#free;
    if (flow !== 0) this.#free = words[flow + Flow.LEAF]!;
    else {
      if (this.#top === words.length) return 0;
      flow = this.#top;
      this.#top += Flow.STRIDE;
    }
    this.used++;
    const slot = this.#slotOf(leaf, hash);
    words[flow + Flow.LEAF] = leaf;
    words[flow + Flow.HASH] = hash;
    words[flow + Flow.CHAIN_NEXT] = this.#slots[slot]!;
    this.#slots[slot] = flow;
    words[flow + Flow.HEAD] = 0;
    words[flow + Flow.TAIL] = 0;
    words[flow + Flow.BACKLOG_BYTES] = 0;
    words[flow + Flow.BACKLOG_PACKETS] = 0;
    words[flow + Flow.FLAGS] = 0;
    words[flow + Flow.CODEL_COUNT] = 0;
    words[flow + Flow.CODEL_LAST_COUNT] = 0;
    words[flow + Flow.MARKED] = 0;
    words[flow + Flow.DEVICE] = 0;
    return flow;
  }

  /** Takes a flow back that is on no list. */
  give(flow: number): void {
    const words = this.words;
    const slot = this.#slotOf(words[flow + Flow.LEAF]!, words[flow + Flow.HASH]!);
    let at = this.#slots[slot]!;
    if (at === flow) this.#slots[slot] = words[flow + Flow.CHAIN_NEXT]!;
    else {
      while (words[at + Flow.CHAIN_NEXT] !== flow) at = words[at + Flow.CHAIN_NEXT]!;
      words[at + Flow.CHAIN_NEXT] = words[flow + Flow.CHAIN_NEXT]!;
    }
    if (words[flow + Flow.DEVICE] !== 0) this.devices.release(words[flow + Flow.DEVICE]!);
    words[flow + Flow.LEAF] = this.#free;
    this.#free = flow;
    this.used--;
  }

  #slotOf(leaf: number, hash: number): number {
    return Math.imul(leaf + Math.imul(hash, HASH_FACTOR), LEAF_FACTOR) >>> this.#slotShift;
  }
}
