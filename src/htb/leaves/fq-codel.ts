/**
 * Flow queueing with CoDel for the leaves of one tree (RFC 8290; Linux net/sched/sch_fq_codel.c), and with one flow a leaf
 * plain CoDel (RFC 8289).
 *
 *      packet ── hash ──▶ flow without a queue ──▶ new flows ──quantum used up, or emptied──▶ old flows ──emptied──▶ forgotten
 *
 * New flows go first. Each list is served by deficit round robin in bytes, and CoDel judges each flow's head when its turn
 * comes. As in sch_cake a leaf can tell the subscriber's devices apart: then a flow gets its quantum divided by the bulk
 * flows of its device; and it can have tins, each with flows of its own.
 *
 * What differs from sch_fq_codel: a leaf that becomes empty forgets its flows, and with them CoDel's memory, so that an idle
 * class holds nothing; and the head is judged when the tree looks at it, for the tree wants to know its length.
 */
import { LeafFlag, Shape } from '../../shm/tree-layout.js';
import { Field } from '../layout.js';
import type { TreeMemory } from '../memory.js';
import { Packet, type PacketPool } from '../packet-pool.js';
import { beginDropping, controlLaw, isOverTarget } from './codel.js';
import { Device } from './device-pool.js';
import type { DropList } from './drop-list.js';
import { append, firstOf, removeFirst } from './flow-list.js';
import { Flow, FlowFlag, type FlowPool } from './flow-pool.js';
import { DropCause, type LeafQueue } from './leaf-queue.js';
import type { QueuedFrames } from './queued-frames.js';
import { countSojourn } from './sojourn.js';
import { Tin, TinPool, tinOf } from './tins.js';

/** One full frame, as sch_fq_codel's quantum on Ethernet. */
const QUANTUM_BYTES = 1514;
/** How many packets a leaf over its limit drops at once, so that the search for the fattest flow is shared among them. */
const DROP_BATCH = 64;
const IS_SORTED = LeafFlag.DIFFSERV3 | LeafFlag.DIFFSERV4;
const IS_SPECIAL = IS_SORTED | LeafFlag.DEVICES_FIRST;
/** FLOW_COUNTS: sparse flows in the lower half, bulk ones in the upper. */
const SPARSE_MASK = 0xffff;
const BULK_SHIFT = 16;
const BULK_ONE = 1 << BULK_SHIFT;
/** Every so many bulk flows of a leaf, as a shift, make a round longer by a quantum. */
const MULTIPLE_SHIFT = 6;

export class FqCodel implements LeafQueue {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #clock: Float64Array;
  readonly #shapes: Float64Array;
  readonly #backlog: Int32Array;
  readonly #sojournBase: number;
  readonly #packets: Int32Array;
  readonly #drops: DropList;
  readonly #pool: FlowPool;
  readonly #flows: Int32Array;
  readonly #devices: Int32Array;
  readonly #tins: TinPool;
  readonly #frames: QueuedFrames;
  /** The tree's number in the pool of flows. */
  readonly #tree: number;
  /** The leaf that was looked at last in this step, its flow and the tin of that; 0 when that holds no longer. */
  #peekedLeaf = 0;
  #peekedFlow = 0;
  #peekedTin = 0;
  /** The step's time, in wrapping microseconds. */
  #nowUs = 0;

  constructor(memory: TreeMemory, pool: PacketPool, frames: QueuedFrames) {
    this.#words = memory.words;
    this.#doubles = memory.doubles;
    this.#clock = memory.clock;
    this.#shapes = memory.shared.shapes;
    this.#backlog = memory.backlog;
    this.#sojournBase = memory.sojournBase;
    this.#packets = pool.words;
    this.#drops = pool.drops;
    this.#pool = pool.flows;
    this.#flows = pool.flows.words;
    this.#devices = pool.flows.devices.words;
    this.#tins = new TinPool(pool.capacityPackets);
    this.#frames = frames;
    this.#tree = pool.flows.addTree();
  }

  beginStep(): void {
    this.#nowUs = (this.#clock[0]! / 1000) | 0;
    // What was looked at before is judged anew.
    this.#peekedLeaf = 0;
  }

  enqueue(record: number, packet: number, lenBytes: number, flowHash: number, deviceHash: number): boolean {
    const words = this.#words;
    const shapes = this.#shapes;
    const shape = words[record + Field.SHAPE]!;
    const leafFlags = shapes[shape + Shape.LEAF]! | 0;
    this.#peekedLeaf = 0;
    const packets = this.#packets;
    const flows = this.#flows;
    const at = packet << Packet.SHIFT;
    packets[at + Packet.NEXT] = 0;
    packets[at + Packet.LEN_BYTES] = lenBytes;
    packets[at + Packet.QUEUED_AT_US] = this.#nowUs;
    const hash = (leafFlags & LeafFlag.BY_DEVICE) !== 0 ? deviceHash : flowHash;
    const flow =
      (leafFlags & IS_SPECIAL) === 0
        ? this.#flowOf(record, hash, words, record + Field.HEAD_PACKET, 0, 0)
        : this.#sort(record, packet, hash, leafFlags, deviceHash);
    if (flow === 0) return false;
    if (flows[flow + Flow.HEAD] === 0) flows[flow + Flow.HEAD] = packet + 1;
    else packets[((flows[flow + Flow.TAIL]! - 1) << Packet.SHIFT) + Packet.NEXT] = packet + 1;
    flows[flow + Flow.TAIL] = packet + 1;
    flows[flow + Flow.BACKLOG_BYTES]! += lenBytes;
    flows[flow + Flow.BACKLOG_PACKETS]! += 1;
    const backlogPackets = words[record + Field.BACKLOG_PACKETS]! + 1;
    const backlogBytes = words[record + Field.BACKLOG_BYTES]! + lenBytes;
    words[record + Field.BACKLOG_PACKETS] = backlogPackets;
    words[record + Field.BACKLOG_BYTES] = backlogBytes;
    this.#backlog[0]! += 1;
    if (
      backlogPackets > shapes[shape + Shape.LIMIT_PACKETS]! ||
      backlogBytes > shapes[shape + Shape.LIMIT_BYTES]!
    )
      this.#trim(record, shape);
    return true;
  }

  peek(record: number): number {
    const flow = this.#select(record);
    this.#peekedLeaf = record;
    this.#peekedFlow = flow;
    return this.#flows[flow + Flow.HEAD]! - 1;
  }

  dequeue(record: number): number {
    const words = this.#words;
    const flow = this.#peekedLeaf === record ? this.#peekedFlow : this.#select(record);
    this.#peekedLeaf = 0;
    const packet = this.#takeHead(record, flow);
    const at = packet << Packet.SHIFT;
    const lenBytes = this.#packets[at + Packet.LEN_BYTES]!;
    this.#flows[flow + Flow.DEFICIT]! -= lenBytes;
    const sojournUs = this.#nowUs - this.#packets[at + Packet.QUEUED_AT_US]!;
    countSojourn(this.#doubles, this.#sojournBase, record, sojournUs);
    if (this.#peekedTin !== 0) {
      const leafFlags = this.#shapes[words[record + Field.SHAPE]! + Shape.LEAF]! | 0;
      this.#tins.charge(words[record + Field.HEAD_PACKET]!, this.#peekedTin, lenBytes, leafFlags);
    }
    if (words[record + Field.BACKLOG_PACKETS] === 0) this.#forget(record);
    return packet;
  }

  evict(record: number, count: number): number {
    this.#peekedLeaf = 0;
    const flow = this.#fattest(record, Flow.BACKLOG_PACKETS);
    let evicted = 0;
    while (evicted < count && this.#mayDropFrom(record, flow)) {
      this.#drop(record, flow, DropCause.EVICTED);
      evicted++;
    }
    this.#doubles[(record >> 1) + Field.D_EVICTED]! += evicted;
    return evicted;
  }

  takeOut(record: number): number {
    this.#peekedLeaf = 0;
    const flow = this.#fattest(record, Flow.BACKLOG_PACKETS);
    const packet = this.#takeHead(record, flow);
    if (this.#words[record + Field.BACKLOG_PACKETS] === 0) this.#forget(record);
    return packet;
  }

  // ---- flows --------------------------------------------------------------------------------------------

  /** The flow for a packet of a leaf with tins, or that tells devices apart. 0 when none is left. */
  #sort(record: number, packet: number, hash: number, leafFlags: number, deviceHash: number): number {
    const words = this.#words;
    const device = (leafFlags & LeafFlag.DEVICES_FIRST) !== 0 ? deviceHash | 1 : 0;
    const dscp = (leafFlags & IS_SORTED) !== 0 ? this.#frames.dscp(packet) : 0;
    if ((leafFlags & IS_SORTED) === 0)
      return this.#flowOf(record, hash, words, record + Field.HEAD_PACKET, 0, device);
    if (words[record + Field.BACKLOG_PACKETS] === 0) words[record + Field.HEAD_PACKET] = this.#tins.take();
    const block = words[record + Field.HEAD_PACKET]!;
    const place = tinOf(leafFlags, dscp);
    const tin = block + (place << Tin.SHIFT);
    const flow = this.#flowOf(record, hash, this.#tins.words, tin + Tin.NEW_FLOWS, place, device);
    if (flow !== 0) this.#tins.entered(block, tin);
    else if (words[record + Field.BACKLOG_PACKETS] === 0) this.#forget(record);
    return flow;
  }

  /** The flow with a hash, which becomes a new one where there was none. `device` is a hash, or 0. */
  #flowOf(
    record: number,
    hash: number,
    lists: Int32Array,
    at: number,
    place: number,
    device: number,
  ): number {
    const pool = this.#pool;
    const leaf = record | (place << Flow.TIN_SHIFT) | this.#tree;
    const most = (this.#shapes[this.#words[record + Field.SHAPE]! + Shape.LEAF]! | 0) >> LeafFlag.FLOWS_SHIFT;
    const bucket = Math.imul(hash >>> 16, most) >>> 16;
    if (this.#words[record + Field.BACKLOG_PACKETS] !== 0) {
      // The last of a list has been loaded, and most leaves have one flow.
      const last = ~(lists[at + 1]! === 0 ? lists[at]! : lists[at + 1]!);
      const isIt = this.#flows[last + Flow.HASH] === hash && this.#flows[last + Flow.LEAF] === leaf;
      let known = isIt ? last : pool.find(leaf, hash);
      // Who shares goes on sharing while the bucket has packets, or they could be overtaken.
      if (known === 0) known = pool.find(leaf | Flow.IS_SHARED, bucket);
      if (known !== 0) {
        // One that had emptied and waits among the old ones is bulk from now on.
        if ((this.#flows[known + Flow.FLAGS]! & (FlowFlag.IS_OLD | FlowFlag.IS_BULK)) === FlowFlag.IS_OLD)
          this.#thicken(record, known);
        return known;
      }
    }
    const counts = this.#words[record + Field.FLOW_COUNTS]!;
    const isFull = (counts & SPARSE_MASK) + (counts >>> BULK_SHIFT) >= most - 1;
    const flow = isFull ? pool.take(leaf | Flow.IS_SHARED, bucket) : pool.take(leaf, hash);
    if (flow === 0) return 0;
    if (device !== 0) this.#flows[flow + Flow.DEVICE] = pool.devices.hold(leaf, device);
    this.#flows[flow + Flow.DEFICIT] = this.#quantumBytes(record, flow);
    append(this.#flows, lists, at, flow);
    this.#words[record + Field.FLOW_COUNTS]! += 1;
    return flow;
  }

  /**
   * What a flow may send in a round. A device's bulk flows share one flow's; where these parts become small, all are
   * multiplied, or a packet would take a thousand rounds.
   */
  #quantumBytes(record: number, flow: number): number {
    const device = this.#flows[flow + Flow.DEVICE]!;
    if (device === 0) return QUANTUM_BYTES;
    const multiple = 1 + (this.#words[record + Field.FLOW_COUNTS]! >>> (BULK_SHIFT + MULTIPLE_SHIFT));
    const bulkFlows = this.#devices[device + Device.BULK_FLOWS]!;
    return bulkFlows > 1 ? ((QUANTUM_BYTES * multiple) / bulkFlows) | 0 : QUANTUM_BYTES * multiple;
  }

  /** The flow whose head packet goes next, after CoDel has dropped what it wants to. The leaf has packets. */
  #select(record: number): number {
    const words = this.#words;
    const flows = this.#flows;
    const shape = words[record + Field.SHAPE]!;
    const isSorted = ((this.#shapes[shape + Shape.LEAF]! | 0) & IS_SORTED) !== 0;
    const lists = isSorted ? this.#tins.words : words;
    const targetUs = this.#shapes[shape + Shape.TARGET_US]! | 0;
    for (;;) {
      let at = record + Field.HEAD_PACKET;
      this.#peekedTin = 0;
      if (isSorted) {
        this.#peekedTin = this.#tins.choose(words[at]!);
        at = this.#peekedTin + Tin.NEW_FLOWS;
      }
      const isNew = lists[at] !== 0;
      const list = isNew ? at : at + 1;
      const flow = firstOf(flows, lists, list);
      if (flows[flow + Flow.DEFICIT]! <= 0) {
        if (isNew) this.#age(lists, at, flow);
        else lists[list] = ~flow;
        if (flows[flow + Flow.HEAD] !== 0 && (flows[flow + Flow.FLAGS]! & FlowFlag.IS_BULK) === 0)
          this.#thicken(record, flow);
        flows[flow + Flow.DEFICIT]! += this.#quantumBytes(record, flow);
        continue;
      }
      if (flows[flow + Flow.HEAD] === 0) {
        flows[flow + Flow.FLAGS]! &= ~(FlowFlag.IS_ABOVE | FlowFlag.IS_DROPPING);
        // A new flow that is empty now has a round to wait before it can be new again, or it would go first for ever.
        if (isNew && lists[at + 1] !== 0 && !this.#pool.isScarce) this.#age(lists, at, flow);
        else {
          removeFirst(flows, lists, list);
          this.#give(record, flow);
        }
        continue;
      }
      if (this.#isFresh(flow, targetUs) || this.#judge(record, shape, flow)) return flow;
    }
  }

  /** Moves the first new flow to the end of the old ones. */
  #age(lists: Int32Array, at: number, flow: number): void {
    removeFirst(this.#flows, lists, at);
    append(this.#flows, lists, at + 1, flow);
    this.#flows[flow + Flow.FLAGS]! |= FlowFlag.IS_OLD;
  }

  /** Counts a sparse flow as a bulk one. */
  #thicken(record: number, flow: number): void {
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

  /** Gives back all that an empty leaf holds. */
  #forget(record: number): void {
    const words = this.#words;
    const at = record + Field.HEAD_PACKET;
    // Of a flow's list it is the last one, and of tins the block.
    const block = words[at]!;
    if (block > 0) {
      for (let tin = block; tin < block + Tin.BLOCK_WORDS; tin += Tin.STRIDE)
        this.#forgetLists(record, this.#tins.words, tin + Tin.NEW_FLOWS);
      this.#tins.give(block);
      words[at] = 0;
    } else this.#forgetLists(record, words, at);
  }

  #forgetLists(record: number, lists: Int32Array, at: number): void {
    for (let list = at; list <= at + 1; list++) {
      while (lists[list] !== 0) {
        const flow = firstOf(this.#flows, lists, list);
        removeFirst(this.#flows, lists, list);
        this.#give(record, flow);
      }
    }
  }

  // ---- packets ------------------------------------------------------------------------------------------

  /** The common case: CoDel has no quarrel with the flow, and its head has not waited long. */
  #isFresh(flow: number, targetUs: number): boolean {
    const flows = this.#flows;
    if ((flows[flow + Flow.FLAGS]! & (FlowFlag.IS_ABOVE | FlowFlag.IS_DROPPING)) !== 0) return false;
    const at = (flows[flow + Flow.HEAD]! - 1) << Packet.SHIFT;
    return ((this.#nowUs - this.#packets[at + Packet.QUEUED_AT_US]!) | 0) < targetUs;
  }

  /** Runs CoDel on a flow with packets. False when it has dropped all of them; the leaf has others then. */
  #judge(record: number, shape: number, flow: number): boolean {
    const flows = this.#flows;
    const head = flows[flow + Flow.HEAD]!;
    if (flows[flow + Flow.MARKED] === head) return true;
    const nowUs = this.#nowUs;
    const intervalUs = this.#shapes[shape + Shape.INTERVAL_US]! | 0;
    const isOver = this.#isOver(record, shape, flow, intervalUs);
    if ((flows[flow + Flow.FLAGS]! & FlowFlag.IS_DROPPING) === 0) {
      if (!isOver) return true;
      const isMarked = this.#mark(record, shape, flow);
      if (!isMarked) {
        this.#dropHead(record, flow);
        this.#isOver(record, shape, flow, intervalUs);
      }
      beginDropping(flows, flow, nowUs, intervalUs);
      return flows[flow + Flow.HEAD] !== 0;
    }
    if (!isOver) {
      flows[flow + Flow.FLAGS]! &= ~FlowFlag.IS_DROPPING;
      return true;
    }
    while (((nowUs - flows[flow + Flow.DROP_NEXT_US]!) | 0) >= 0) {
      const count = (flows[flow + Flow.CODEL_COUNT]! + 1) | 0;
      flows[flow + Flow.CODEL_COUNT] = count;
      const nextUs = controlLaw(flows[flow + Flow.DROP_NEXT_US]!, intervalUs, count);
      if (this.#mark(record, shape, flow)) {
        flows[flow + Flow.DROP_NEXT_US] = nextUs;
        return true;
      }
      this.#dropHead(record, flow);
      if (!this.#isOver(record, shape, flow, intervalUs)) {
        flows[flow + Flow.FLAGS]! &= ~FlowFlag.IS_DROPPING;
        break;
      }
      flows[flow + Flow.DROP_NEXT_US] = nextUs;
    }
    return flows[flow + Flow.HEAD] !== 0;
  }

  /** Whether the flow's head has to be dropped or marked, were it time; of an empty flow not. */
  #isOver(record: number, shape: number, flow: number, intervalUs: number): boolean {
    const flows = this.#flows;
    const head = flows[flow + Flow.HEAD]!;
    if (head === 0) {
      flows[flow + Flow.FLAGS]! &= ~FlowFlag.IS_ABOVE;
      return false;
    }
    const at = (head - 1) << Packet.SHIFT;
    const nowUs = this.#nowUs;
    const sojournUs = (nowUs - this.#packets[at + Packet.QUEUED_AT_US]!) | 0;
    const restBytes = this.#words[record + Field.BACKLOG_BYTES]! - this.#packets[at + Packet.LEN_BYTES]!;
    const targetUs = this.#shapes[shape + Shape.TARGET_US]! | 0;
    return isOverTarget(flows, flow, nowUs, sojournUs, restBytes, targetUs, intervalUs);
  }

  /** Marks the flow's head instead of dropping it, if the leaf does that and the packet can be marked. */
  #mark(record: number, shape: number, flow: number): boolean {
    if (((this.#shapes[shape + Shape.LEAF]! | 0) & LeafFlag.ECN) === 0) return false;
    const head = this.#flows[flow + Flow.HEAD]!;
    if (!this.#frames.markCe(head - 1)) return false;
    this.#flows[flow + Flow.MARKED] = head;
    this.#doubles[(record >> 1) + Field.D_MARKS]! += 1;
    this.#drops.marks++;
    return true;
  }

  #dropHead(record: number, flow: number): void {
    this.#drop(record, flow, DropCause.CODEL);
    this.#doubles[(record >> 1) + Field.D_CODEL_DROPS]! += 1;
  }

  /** Drops from the head of the fattest flow until the leaf is within its limits: a batch of it at a time. */
  #trim(record: number, shape: number): void {
    const words = this.#words;
    const limitPackets = this.#shapes[shape + Shape.LIMIT_PACKETS]!;
    const limitBytes = this.#shapes[shape + Shape.LIMIT_BYTES]!;
    do {
      const flow = this.#fattest(record, Flow.BACKLOG_BYTES);
      const halfBytes = (this.#flows[flow + Flow.BACKLOG_BYTES]! + 1) >> 1;
      let dropped = 0;
      while (dropped < DROP_BATCH && this.#mayDropFrom(record, flow)) {
        if (dropped > 0 && this.#flows[flow + Flow.BACKLOG_BYTES]! <= halfBytes) break;
        this.#drop(record, flow, DropCause.LIMIT);
        dropped++;
      }
      if (dropped === 0) return;
      // As sch_fq_codel: a flow that fills a leaf is to hear more often from CoDel as well.
      this.#flows[flow + Flow.CODEL_COUNT] = (this.#flows[flow + Flow.CODEL_COUNT]! + dropped) | 0;
    } while (
      words[record + Field.BACKLOG_PACKETS]! > limitPackets ||
      words[record + Field.BACKLOG_BYTES]! > limitBytes
    );
  }

  #mayDropFrom(record: number, flow: number): boolean {
    return this.#flows[flow + Flow.HEAD] !== 0 && this.#words[record + Field.BACKLOG_PACKETS]! > 1;
  }

  #drop(record: number, flow: number, cause: DropCause): void {
    const packet = this.#takeHead(record, flow);
    this.#doubles[(record >> 1) + Field.D_DROPS]! += 1;
    this.#drops.add(packet, cause);
  }

  #takeHead(record: number, flow: number): number {
    const words = this.#words;
    const flows = this.#flows;
    const packet = flows[flow + Flow.HEAD]! - 1;
    const at = packet << Packet.SHIFT;
    const lenBytes = this.#packets[at + Packet.LEN_BYTES]!;
    flows[flow + Flow.HEAD] = this.#packets[at + Packet.NEXT]!;
    // Another packet may soon lie in the same frame.
    flows[flow + Flow.MARKED] = 0;
    flows[flow + Flow.BACKLOG_BYTES]! -= lenBytes;
    flows[flow + Flow.BACKLOG_PACKETS]! -= 1;
    words[record + Field.BACKLOG_PACKETS]! -= 1;
    words[record + Field.BACKLOG_BYTES]! -= lenBytes;
    this.#backlog[0]! -= 1;
    const block = words[record + Field.HEAD_PACKET]!;
    if (block > 0) {
      const place = (flows[flow + Flow.LEAF]! & Flow.TIN_MASK) >> Flow.TIN_SHIFT;
      const tin = block + (place << Tin.SHIFT);
      this.#tins.words[tin + Tin.BACKLOG_PACKETS]! -= 1;
    }
    return packet;
  }

  /** The flow of a leaf with packets that has the most, by a field of flows. */
  #fattest(record: number, field: number): number {
    const words = this.#words;
    const at = record + Field.HEAD_PACKET;
    const block = words[at]!;
    if (block <= 0) return this.#fatterOf(words, at, field, 0);
    let fattest = 0;
    for (let tin = block; tin < block + Tin.BLOCK_WORDS; tin += Tin.STRIDE)
      fattest = this.#fatterOf(this.#tins.words, tin + Tin.NEW_FLOWS, field, fattest);
    return fattest;
  }

  #fatterOf(lists: Int32Array, at: number, field: number, than: number): number {
    const flows = this.#flows;
    let fattest = than;
    for (let list = at; list <= at + 1; list++) {
      if (lists[list] === 0) continue;
      const last = ~lists[list]!;
      let flow = last;
      do {
        if (flows[flow + field]! > (fattest === 0 ? 0 : flows[fattest + field]!)) fattest = flow;
        flow = flows[flow + Flow.NEXT]!;
      } while (flow !== last);
    }
    return fattest;
  }
}
