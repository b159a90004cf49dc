/**
 * The flow queues of all fair leaves of one worker. A leaf takes one when a packet of a flow arrives that has none, and
 * gives it back when the flow is forgotten; so a leaf without backlog holds nothing here, whatever its `flows` says.
 *
 * Flows are found by leaf and hash, so two of them share a queue only when their hashes are the same, or when their leaf has
 * as many as it may. A *flow* is a record, one cache line.
 */
import { DevicePool } from './device-pool.js';
import { RecordPool } from './record-pool.js';

export const enum Flow {
  SHIFT = 4,

  /**
   * As in `Pooled`: the record of the leaf, a multiple of 16, and in the low bits the tree, the tin, and whether it is shared
   * by all flows of a bucket.
   */
  LEAF = 0,
  TREE_MASK = 1,
  TIN_SHIFT = 1,
  TIN_MASK = 3 << TIN_SHIFT,
  IS_SHARED = 8,
  /** As in `Pooled`: hash of the flow, or number of the bucket. */
  HASH = 1,
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

export class FlowPool {
  readonly words: Int32Array;
  readonly devices: DevicePool;
  readonly capacityFlows: number;
  readonly #records: RecordPool;
  #trees = 0;

  constructor(capacityPackets: number) {
    this.capacityFlows = capacityPackets * FLOWS_PER_FRAME;
    this.#records = new RecordPool(this.capacityFlows, Flow.SHIFT, capacityPackets);
    this.words = this.#records.words;
    this.devices = new DevicePool(this.capacityFlows, capacityPackets);
  }

  /** A number for a tree that takes flows from here: a worker has two. */
  addTree(): number {
    if (this.#trees > Flow.TREE_MASK) throw new RangeError('two trees share this pool of flows already');
    return this.#trees++;
  }

  /** Flows in use. */
  get used(): number {
    return this.#records.used;
  }

  /** Whether flows without packets should go rather than stay for the rest of the round. */
  get isScarce(): boolean {
    return this.#records.used > this.capacityFlows >> 1;
  }

  /** The flow of a leaf with a hash; 0 when there is none. `leaf` is as in `Flow.LEAF`. */
  find(leaf: number, hash: number): number {
    return this.#records.find(leaf, hash);
  }

  /** An empty flow for a leaf and a hash; 0 when there is none left. */
  take(leaf: number, hash: number): number {
    const flow = this.#records.take(leaf, hash);
    if (flow === 0) return 0;
    const words = this.words;
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
    const device = this.words[flow + Flow.DEVICE]!;
    if (device !== 0) this.devices.release(device);
    this.#records.give(flow);
  }
}
