/**
 * The flows of the fair leaves of one tree: which of a leaf's lists each is on, which device and tin it belongs to, and what
 * it may send in a round. What is in them, `FqCodel` knows.
 *
 * A leaf's two lists, of new and of old flows, are words next to each other: in its record, or in each of its tins.
 */
import { LeafFlag, Shape } from '../../shm/tree-layout.js';
import { Field } from '../layout.js';
import type { TreeMemory } from '../memory.js';
import type { PacketPool } from '../packet-pool.js';
import { Device } from './device-pool.js';
import { append, firstOf, removeFirst } from './flow-list.js';
import { Flow, FlowFlag, type FlowPool } from './flow-pool.js';
import { Tin, TinPool } from './tins.js';

/** One full frame, as sch_fq_codel's quantum on Ethernet. */
const QUANTUM_BYTES = 1514;
/** FLOW_COUNTS: sparse flows in the lower half, bulk ones in the upper. */
const SPARSE_MASK = 0xffff;
const BULK_SHIFT = 16;
const BULK_ONE = 1 << BULK_SHIFT;
/** Every so many bulk flows of a leaf, as a shift, make a round longer by a quantum. */
const MULTIPLE_SHIFT = 6;
/** More than a leaf can have: its `flows`, and as many shared ones in each tin. */
const FLOWS_MAX = 1 << 16;

export class FairFlows {
  readonly tins: TinPool;
  /** What `gather` has found. */
  readonly gathered = new Int32Array(FLOWS_MAX);
  readonly #words: Int32Array;
  readonly #shapes: Float64Array;
  readonly #pool: FlowPool;
  readonly #flows: Int32Array;
  readonly #devices: Int32Array;
  /** The tree's number in the pool of flows. */
  readonly #tree: number;

  constructor(memory: TreeMemory, pool: PacketPool) {
    this.#words = memory.words;
    this.#shapes = memory.shared.shapes;
    this.#pool = pool.flows;
    this.#flows = pool.flows.words;
    this.#devices = pool.flows.devices.words;
    this.#tree = pool.flows.addTree();
    this.tins = new TinPool(pool.capacityPackets);
  }

  /**
   * The flow with a hash, which becomes a new one where there was none. `lists` and `at` say where the leaf's lists are,
   * `place` which tin that is; `device` is a hash, or 0 where devices are not told apart. 0 when the pool is empty.
   */
  of(record: number, hash: number, lists: Int32Array, at: number, place: number, device: number): number {
    const leaf = record | (place << Flow.TIN_SHIFT) | this.#tree;
    const last = this.#lastIs(leaf, hash, lists, at);
    return last !== 0 ? this.#met(record, last) : this.#search(record, leaf, hash, lists, at, device);
  }

  #search(record: number, leaf: number, hash: number, lists: Int32Array, at: number, device: number): number {
    const pool = this.#pool;
    const most = (this.#shapes[this.#words[record + Field.SHAPE]! + Shape.LEAF]! | 0) >> LeafFlag.FLOWS_SHIFT;
    const bucket = Math.imul(hash >>> 16, most) >>> 16;
    if (this.#words[record + Field.BACKLOG_PACKETS] !== 0) {
      let known = pool.find(leaf, hash);
      // Who shares goes on sharing while the bucket has packets, or they could be overtaken.
      if (known === 0) known = pool.find(leaf | Flow.IS_SHARED, bucket);
      if (known !== 0) return this.#met(record, known);
      this.tidy(record);
    }
    const isFull = this.count(record) >= most - 1;
    const flow = isFull ? pool.take(leaf | Flow.IS_SHARED, bucket) : pool.take(leaf, hash);
    if (flow === 0) return 0;
    if (device !== 0) this.#flows[flow + Flow.DEVICE] = pool.devices.hold(leaf, device);
    this.#flows[flow + Flow.DEFICIT] = this.quantumBytes(record, flow);
    append(this.#flows, lists, at, flow);
    this.#words[record + Field.FLOW_COUNTS]! += 1;
    return flow;
  }

  /** A flow that a packet has come for: one that had emptied and waits among the old ones is bulk from now on. */
  #met(record: number, flow: number): number {
    if ((this.#flows[flow + Flow.FLAGS]! & (FlowFlag.IS_OLD | FlowFlag.IS_BULK)) === FlowFlag.IS_OLD)
      this.thicken(record, flow);
    return flow;
  }

  /** The last of a list has been loaded already, and most leaves have one flow. 0 when it is another one. */
  #lastIs(leaf: number, hash: number, lists: Int32Array, at: number): number {
    const list = lists[at + 1] !== 0 ? lists[at + 1]! : lists[at]!;
    if (list === 0) return 0;
    const last = ~list;
    return this.#flows[last + Flow.HASH] === hash && this.#flows[last + Flow.LEAF] === leaf ? last : 0;
  }

  /** Flows that the leaf has, with packets or not. */
  count(record: number): number {
    const counts = this.#words[record + Field.FLOW_COUNTS]!;
    return (counts & SPARSE_MASK) + (counts >>> BULK_SHIFT);
  }

  /**
   * What a flow may send in a round. A device's bulk flows share one flow's (sch_cake); where these parts become small,
   * all are multiplied, or a packet would take a thousand rounds.
   */
  quantumBytes(record: number, flow: number): number {
    const device = this.#flows[flow + Flow.DEVICE]!;
    if (device === 0) return QUANTUM_BYTES;
    const multiple = 1 + (this.#words[record + Field.FLOW_COUNTS]! >>> (BULK_SHIFT + MULTIPLE_SHIFT));
    const bulkFlows = this.#devices[device + Device.BULK_FLOWS]!;
    return bulkFlows > 1 ? ((QUANTUM_BYTES * multiple) / bulkFlows) | 0 : QUANTUM_BYTES * multiple;
  }

  /** Gives a flow that has used its quantum up another one, behind all others. It is the first of its list. */
  nextRound(record: number, lists: Int32Array, at: number, isNew: boolean, flow: number): void {
    const flows = this.#flows;
    if (isNew) this.#age(lists, at, flow);
    else lists[at + 1] = ~flow;
    if (flows[flow + Flow.HEAD] !== 0 && (flows[flow + Flow.FLAGS]! & FlowFlag.IS_BULK) === 0)
      this.thicken(record, flow);
    flows[flow + Flow.DEFICIT]! += this.quantumBytes(record, flow);
  }

  /**
   * Puts an empty flow aside, the first of its list. A new one has a round to wait before it can be new again, or it would go
   * first for ever.
   */
  emptied(record: number, lists: Int32Array, at: number, isNew: boolean, flow: number): void {
    this.#flows[flow + Flow.FLAGS]! &= ~(FlowFlag.IS_ABOVE | FlowFlag.IS_DROPPING);
    if (isNew && lists[at + 1] !== 0) this.#age(lists, at, flow);
    else {
      removeFirst(this.#flows, lists, isNew ? at : at + 1);
      this.#give(record, flow);
    }
  }

  /** Moves the first new flow to the end of the old ones. */
  #age(lists: Int32Array, at: number, flow: number): void {
    removeFirst(this.#flows, lists, at);
    append(this.#flows, lists, at + 1, flow);
    this.#flows[flow + Flow.FLAGS]! |= FlowFlag.IS_OLD;
  }

  /** Counts a sparse flow as a bulk one. */
  thicken(record: number, flow: number): void {
    const flows = this.#flows;
    flows[flow + Flow.FLAGS]! |= FlowFlag.IS_BULK;
    this.#words[record + Field.FLOW_COUNTS]! += BULK_ONE - 1;
    const device = flows[flow + Flow.DEVICE]!;
    if (device !== 0) this.#devices[device + Device.BULK_FLOWS]! += 1;
  }

  /** Gives back a flow that has left its list. */
  #give(record: number, flow: number): void {
    const flows = this.#flows;
    const isBulk = (flows[flow + Flow.FLAGS]! & FlowFlag.IS_BULK) !== 0;
    const device = flows[flow + Flow.DEVICE]!;
    if (isBulk && device !== 0) this.#devices[device + Device.BULK_FLOWS]! -= 1;
    this.#words[record + Field.FLOW_COUNTS]! -= isBulk ? BULK_ONE : 1;
    this.#pool.give(flow);
  }

  // ---- all flows of a leaf ------------------------------------------------------------------------------

  /** Puts all flows of a leaf into `gathered`, list by list in their order; returns how many. */
  gather(record: number): number {
    const words = this.#words;
    const at = record + Field.HEAD_PACKET;
    const block = words[at]!;
    if (block <= 0) return this.#gatherLists(words, at, 0);
    let count = 0;
    for (let tin = block; tin < block + Tin.BLOCK_WORDS; tin += Tin.STRIDE)
      count = this.#gatherLists(this.tins.words, tin + Tin.NEW_FLOWS, count);
    return count;
  }

  #gatherLists(lists: Int32Array, at: number, from: number): number {
    const flows = this.#flows;
    let count = from;
    for (let list = at; list <= at + 1; list++) {
      if (lists[list] === 0) continue;
      const last = ~lists[list]!;
      let flow = last;
      do {
        flow = flows[flow + Flow.NEXT]!;
        this.gathered[count++] = flow;
      } while (flow !== last);
    }
    return count;
  }

  /** When the pool runs low: gives back what of a leaf's flows is empty, once that is the larger part. */
  tidy(record: number): void {
    if (!this.#pool.isScarce) return;
    if (this.count(record) > 2 * this.#words[record + Field.BACKLOG_PACKETS]!) this.#clear(record, false);
  }

  /** Gives back all that an empty leaf holds. */
  forget(record: number): void {
    this.#clear(record, true);
    const at = record + Field.HEAD_PACKET;
    const block = this.#words[at]!;
    if (block <= 0) return;
    this.tins.give(block);
    this.#words[at] = 0;
  }

  #clear(record: number, withPackets: boolean): void {
    const words = this.#words;
    const at = record + Field.HEAD_PACKET;
    // Of a list it is the last flow, and of tins the block.
    const block = words[at]!;
    if (block <= 0) this.#clearLists(record, words, at, withPackets);
    else
      for (let tin = block; tin < block + Tin.BLOCK_WORDS; tin += Tin.STRIDE)
        this.#clearLists(record, this.tins.words, tin + Tin.NEW_FLOWS, withPackets);
  }

  #clearLists(record: number, lists: Int32Array, at: number, withPackets: boolean): void {
    const flows = this.#flows;
    for (let list = at; list <= at + 1; list++) {
      if (lists[list] === 0) continue;
      const last = ~lists[list]!;
      let flow = 0;
      do {
        flow = firstOf(flows, lists, list);
        removeFirst(flows, lists, list);
        if (withPackets || flows[flow + Flow.HEAD] === 0) this.#give(record, flow);
        else append(flows, lists, list, flow);
      } while (flow !== last);
    }
  }
}
