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
import { beginDropping, CODEL_MTU_BYTES, controlLaw, isOverTarget } from './codel.js';
import type { DropList } from './drop-list.js';
import { FairFlows } from './fair-flows.js';
import { firstOf } from './flow-list.js';
import { Flow, FlowFlag } from './flow-pool.js';
import { DropCause, type LeafQueue } from './leaf-queue.js';
import type { QueuedFrames } from './queued-frames.js';
import { countSojourn } from './sojourn.js';
import { Tin, type TinPool, thresholdShift, tinOf } from './tins.js';

/** How many packets a leaf over its limit drops at once, so that the search for the fattest flows is shared among them. */
const DROP_BATCH = 64;
/** As a shift: of how many flows are looked at for one packet that is dropped. */
const FLOWS_PER_DROP_SHIFT = 4;
/** The next drop is a fraction of a microsecond away then; and a count that went on would wrap. */
const COUNT_MAX = 1 << 24;
const IS_SORTED = LeafFlag.DIFFSERV3 | LeafFlag.DIFFSERV4;
const IS_SPECIAL = IS_SORTED | LeafFlag.DEVICES_FIRST;

export class FqCodel implements LeafQueue {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #clock: Float64Array;
  readonly #shapes: Float64Array;
  readonly #backlog: Int32Array;
  readonly #sojournBase: number;
  readonly #packets: Int32Array;
  readonly #drops: DropList;
  readonly #flows: Int32Array;
  readonly #fair: FairFlows;
  readonly #tins: TinPool;
  readonly #frames: QueuedFrames;
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
    this.#flows = pool.flows.words;
    this.#fair = new FairFlows(memory, pool);
    this.#tins = this.#fair.tins;
    this.#frames = frames;
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
        ? this.#fair.of(record, hash, words, record + Field.HEAD_PACKET, 0, 0)
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
      this.#trim(record, shape, flow);
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
    if (words[record + Field.BACKLOG_PACKETS] === 0) this.#fair.forget(record);
    return packet;
  }

  evict(record: number, count: number): number {
    this.#peekedLeaf = 0;
    const { gathered } = this.#fair;
    const flows = this.#flows;
    const known = this.#fair.gather(record);
    let evicted = 0;
    while (evicted < count && this.#words[record + Field.BACKLOG_PACKETS]! > 1) {
      // Down to half of the fattest one, those that have as much as it first; and so on.
      const level = flows[this.#fattestOf(known, Flow.BACKLOG_PACKETS) + Flow.BACKLOG_PACKETS]! >> 1;
      for (let i = 0; i < known && evicted < count; i++) {
        const flow = gathered[i]!;
        while (
          evicted < count &&
          flows[flow + Flow.BACKLOG_PACKETS]! > level &&
          this.#mayDropFrom(record, flow)
        ) {
          this.#drop(record, flow, DropCause.EVICTED);
          evicted++;
        }
      }
    }
    this.#doubles[(record >> 1) + Field.D_EVICTED]! += evicted;
    this.#fair.tidy(record);
    return evicted;
  }

  takeOut(record: number): number {
    const words = this.#words;
    this.#peekedLeaf = 0;
    for (;;) {
      let lists = words;
      let at = record + Field.HEAD_PACKET;
      const block = words[at]!;
      if (block > 0) {
        lists = this.#tins.words;
        at = this.#tins.choose(block) + Tin.NEW_FLOWS;
      }
      const isNew = lists[at] !== 0;
      const flow = firstOf(this.#flows, lists, isNew ? at : at + 1);
      if (this.#flows[flow + Flow.HEAD] === 0) {
        this.#fair.emptied(record, lists, at, isNew, flow);
        continue;
      }
      const packet = this.#takeHead(record, flow);
      if (words[record + Field.BACKLOG_PACKETS] === 0) this.#fair.forget(record);
      return packet;
    }
  }

  // ---- flows --------------------------------------------------------------------------------------------

  /** The flow for a packet of a leaf with tins, or that tells devices apart. 0 when none is left. */
  #sort(record: number, packet: number, hash: number, leafFlags: number, deviceHash: number): number {
    const words = this.#words;
    const device = (leafFlags & LeafFlag.DEVICES_FIRST) !== 0 ? deviceHash | 1 : 0;
    const dscp = (leafFlags & IS_SORTED) !== 0 ? this.#frames.dscp(packet) : 0;
    if ((leafFlags & IS_SORTED) === 0)
      return this.#fair.of(record, hash, words, record + Field.HEAD_PACKET, 0, device);
    if (words[record + Field.BACKLOG_PACKETS] === 0) words[record + Field.HEAD_PACKET] = this.#tins.take();
    const block = words[record + Field.HEAD_PACKET]!;
    const place = tinOf(leafFlags, dscp);
    const tin = block + (place << Tin.SHIFT);
    const flow = this.#fair.of(record, hash, this.#tins.words, tin + Tin.NEW_FLOWS, place, device);
    if (flow !== 0) this.#tins.entered(block, tin);
    else if (words[record + Field.BACKLOG_PACKETS] === 0) this.#fair.forget(record);
    return flow;
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
      const flow = firstOf(flows, lists, isNew ? at : at + 1);
      if (flows[flow + Flow.DEFICIT]! <= 0) {
        this.#fair.nextRound(record, lists, at, isNew, flow);
        continue;
      }
      if (flows[flow + Flow.HEAD] === 0) {
        this.#fair.emptied(record, lists, at, isNew, flow);
        continue;
      }
      if (this.#isFresh(flow, targetUs) || this.#judge(record, shape, flow)) return flow;
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
    let restBytes = this.#words[record + Field.BACKLOG_BYTES]! - this.#packets[at + Packet.LEN_BYTES]!;
    let targetUs = this.#shapes[shape + Shape.TARGET_US]! | 0;
    let patienceUs = intervalUs;
    if (this.#peekedTin !== 0) {
      // A tin may be served as slowly as its threshold says, and other tins' packets are no queue of its own.
      const moreUs = this.#tinTargetUs(record, shape) - targetUs;
      if (moreUs > 0) {
        targetUs += moreUs;
        patienceUs += moreUs;
      }
      if (this.#tins.words[this.#peekedTin + Tin.BACKLOG_PACKETS] === 1) restBytes = 0;
    }
    return isOverTarget(flows, flow, nowUs, sojournUs, restBytes, targetUs, patienceUs);
  }

  /** One full packet's time at the threshold of the tin that is looked at. */
  #tinTargetUs(record: number, shape: number): number {
    const place = (this.#peekedTin - this.#words[record + Field.HEAD_PACKET]!) >> Tin.SHIFT;
    const shift = thresholdShift(this.#shapes[shape + Shape.LEAF]! | 0, place);
    return ((CODEL_MTU_BYTES * this.#shapes[shape + Shape.CEIL_NS_PER_BYTE]! * (1 << shift)) / 1000) | 0;
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

  /**
   * Drops a batch from the head of the fattest flow, as sch_fq_codel: half of it at most. Where a leaf has so many flows that
   * finding that one costs more than the batch is worth, those with more than half as much lose theirs as well. Until
   * the leaf is within its limits. `flow` is one of the leaf's.
   */
  #trim(record: number, shape: number, flow: number): void {
    const words = this.#words;
    const limitPackets = this.#shapes[shape + Shape.LIMIT_PACKETS]!;
    const limitBytes = this.#shapes[shape + Shape.LIMIT_BYTES]!;
    const { gathered } = this.#fair;
    let known = 1;
    if (this.#fair.count(record) === 1) gathered[0] = flow;
    else known = this.#fair.gather(record);
    const wanted = Math.min(DROP_BATCH, known >> FLOWS_PER_DROP_SHIFT);
    do {
      const fattest = this.#fattestOf(known, Flow.BACKLOG_BYTES);
      const halfBytes = (this.#flows[fattest + Flow.BACKLOG_BYTES]! + 1) >> 1;
      let dropped = this.#trimFlow(record, fattest, halfBytes, DROP_BATCH);
      for (let i = 0; i < known && dropped < wanted; i++)
        if (this.#flows[gathered[i]! + Flow.BACKLOG_BYTES]! > halfBytes)
          dropped += this.#trimFlow(record, gathered[i]!, halfBytes, wanted - dropped);
      if (dropped === 0) break;
    } while (
      words[record + Field.BACKLOG_PACKETS]! > limitPackets ||
      words[record + Field.BACKLOG_BYTES]! > limitBytes
    );
    this.#fair.tidy(record);
  }

  /** Drops from one flow until it has no more than `toBytes`, at least one packet and at most `count`. */
  #trimFlow(record: number, flow: number, toBytes: number, count: number): number {
    const flows = this.#flows;
    let dropped = 0;
    while (dropped < count && this.#mayDropFrom(record, flow)) {
      if (dropped > 0 && flows[flow + Flow.BACKLOG_BYTES]! <= toBytes) break;
      this.#drop(record, flow, DropCause.LIMIT);
      dropped++;
    }
    // As sch_fq_codel: a flow that fills a leaf is to hear more often from CoDel as well.
    flows[flow + Flow.CODEL_COUNT] = Math.min(flows[flow + Flow.CODEL_COUNT]! + dropped, COUNT_MAX);
    return dropped;
  }

  /** Of the first `known` gathered flows the one that has the most, by a field of flows. */
  #fattestOf(known: number, field: number): number {
    const { gathered } = this.#fair;
    const flows = this.#flows;
    let fattest = gathered[0]!;
    for (let i = 1; i < known; i++)
      if (flows[gathered[i]! + field]! > flows[fattest + field]!) fattest = gathered[i]!;
    return fattest;
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
}
