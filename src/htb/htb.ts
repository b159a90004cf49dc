/**
 * One worker's hierarchical token bucket for one direction.
 *
 * Semantics are sch_htb's (Devera; Linux net/sched/sch_htb.c): a class can send while it has assured tokens, may
 * borrow from the nearest ancestor that can send while it is below its ceil, and can't send otherwise. A packet is
 * charged to the rate buckets of whoever lends and of the ancestors above, and to the ceil buckets of every class
 * from the leaf to the root. So what a class borrows does not consume its own assured tokens.
 *
 * Where weir differs, on purpose:
 *  - A packet leaves only when every ancestor is below its ceil too. (sch_htb lets a leaf with assured tokens
 *    through even when its ancestors are over theirs.)
 *  - Where the assured rates of active children add up to more than the parent's, they are scaled down in proportion.
 *  - A bucket may be overdrawn by one packet, as in sch_htb, and is shallower by that packet, so in no window does a
 *    class pass rate × time by more than its burst.
 *
 * A bucket is kept as the time at which it would be full again: tokens = depth - (fullAt - now). No refill step.
 *
 * The caller's step is: beginStep(nowNs), then pass, enqueue and dequeue as it likes, then endStep.
 */

import type { LinkLayer } from '../shm/shared-shaper.js';
import type { SharedTree } from '../shm/tree-layout.js';
import { Shape } from '../shm/tree-layout.js';
import { Backlog } from './backlog.js';
import { Field, Flag } from './layout.js';
import { LeafQueues } from './leaves/leaf-queues.js';
import { NO_FRAMES, type QueuedFrames } from './leaves/queued-frames.js';
import { Ledger } from './ledger.js';
import { TreeMemory } from './memory.js';
import { Modes } from './modes.js';
import { Packet, type PacketPool } from './packet-pool.js';
import { Passing } from './passing.js';
import { Preload } from './preload.js';
import type { Schedule } from './schedule.js';
import { COST_NS_MAX } from './sharing/bucket.js';
import { Gate } from './sharing/gate.js';
import { Registry } from './sharing/registry.js';
import { Tabs } from './sharing/tab.js';
import { tickOf } from './wheel.js';

/** Nodes that are woken together: many enough for their cache misses to overlap, few enough to stay in the cache. */
const DUE_MAX = 256;
const DEFICIT_MIN = -(2 ** 30);
const NO_PACKETS = new Int32Array(0);
/** What a leaf that waits for its own tokens only has none of. */
const NOT_ALONE =
  Flag.MODE_MASK |
  Flag.ON_ROW |
  Flag.IS_PARKED |
  Flag.ON_FEED |
  Flag.IS_INNER |
  Flag.IS_GATED |
  Flag.IS_DRAINING |
  Flag.HAS_CLAIM;

export class Htb {
  readonly memory: TreeMemory;
  readonly modes: Modes;
  readonly registry: Registry;
  readonly tabs: Tabs;
  readonly leaves: LeafQueues;
  /** Present classes without a parent; kept by whoever adds and removes classes. */
  roots = 0;
  /** Called with the record of a removed leaf when its last packet has left. */
  onDrained: (record: number) => void = () => {};
  readonly #schedule: Schedule;
  readonly #ledger: Ledger;
  readonly #passing: Passing;
  readonly #preload: Preload;
  readonly #gate: Gate;
  readonly #backlog: Backlog;
  readonly #packets: Int32Array;
  /** Nodes that are being woken. */
  readonly #due = new Int32Array(DUE_MAX);
  readonly #shared: SharedTree;
  readonly #isShared: boolean;

  constructor(shared: SharedTree, queue: number, pool: PacketPool, frames: QueuedFrames = NO_FRAMES) {
    const memory = new TreeMemory(shared, queue);
    this.memory = memory;
    this.registry = new Registry(memory);
    this.tabs = new Tabs(memory);
    this.#ledger = new Ledger(memory, this.tabs);
    this.#passing = new Passing(memory, this.#ledger, this.tabs);
    this.#preload = new Preload(memory, pool);
    this.#gate = new Gate(memory);
    this.#backlog = new Backlog(memory, this.registry, this.tabs);
    this.modes = new Modes(memory, this.#backlog, this.tabs, this.#gate);
    this.#schedule = this.modes.schedule;
    this.leaves = new LeafQueues(memory, pool, frames);
    this.#packets = pool.words;
    this.#shared = shared;
    this.#isShared = shared.queues > 1;
  }

  /** Packets in all leaves. */
  get backlogPackets(): number {
    return this.memory.backlog[0]!;
  }

  /** What is added to every packet's length before it is charged, the least that is charged, and what the link adds. */
  setLinkLayer(overheadBytes: number, mpuBytes: number, linkLayer: LinkLayer): void {
    this.#passing.setLinkLayer(overheadBytes, mpuBytes, linkLayer);
  }

  // ---- the step ---------------------------------------------------------------------------------------

  /** Sets the time for changes of classes before a step. It must not go back. */
  setNow(nowNs: number): void {
    this.memory.clock[0] = nowNs;
  }

  /** Sets the time of the step, and lets classes whose waiting time is over try again. */
  beginStep(nowNs: number): void {
    this.memory.clock[0] = nowNs;
    this.resume();
  }

  /** The same at the time that the caller has put into `memory.clock`, as a double in a call would be boxed. */
  resume(): void {
    this.release(NO_PACKETS, 0);
  }

  /**
   * `resume` that also sends: a leaf that waited for its own tokens only, and now has them, sends at once if no leaf
   * with assured tokens waits and nothing above is near a limit. It is what `resume` and `dequeue` would do with it,
   * without the way through the lists. Puts the packets into `packets`, at most `room`; returns how many.
   */
  release(packets: Int32Array, room: number): number {
    if (this.#isShared) this.registry.followGeneration();
    this.leaves.beginStep();
    const { modes } = this;
    const due = this.#due;
    modes.wheel.advance(tickOf(this.memory.clock[0]!));
    let sent = 0;
    for (let count = modes.wheel.take(due); count > 0; count = modes.wheel.take(due)) {
      this.#preload.nodes(due, count);
      for (let i = 0; i < count; i++) {
        const node = due[i]!;
        // Everybody who is due must find room, or prios and turns would have to decide who does.
        let spare = room - sent - (count - i);
        if (spare < 0 || this.#schedule.hasAssured || !this.#maySendOwn(node)) {
          this.#ledger.close();
          modes.wake(node);
          continue;
        }
        let packet = this.#sendOwn(node);
        while (packet >= 0) {
          packets[sent++] = packet;
          packet = spare-- > 0 ? this.#sendOwn(node) : -1;
        }
        if (this.memory.words[node + Field.BACKLOG_PACKETS] !== 0) modes.placeLeaf(node);
      }
    }
    this.#ledger.close();
    return sent;
  }

  /** Whether a due node is a leaf that was over its ceil and waited for nothing else. */
  #maySendOwn(node: number): boolean {
    if (node >= this.memory.feedBase) return false;
    const words = this.memory.words;
    const flags = words[node + Field.FLAGS]!;
    if ((flags & NOT_ALONE) !== Flag.CANT_SEND) return false;
    if (words[node + Field.BACKLOG_PACKETS] === 0) return false;
    if (this.#isShared) this.tabs.refresh(node);
    return true;
  }

  /**
   * Sends the first packet of a leaf that is on no list, on its own assured tokens. -1 when there is none, or when it has
   * to go through the lists.
   */
  #sendOwn(leaf: number): number {
    const { words, doubles } = this.memory;
    const shapes = this.#shared.shapes;
    const nowNs = this.memory.clock[0]!;
    const at = leaf >> 1;
    // Having sent, it may be held back for other queues.
    if (words[leaf + Field.BACKLOG_PACKETS] === 0 || (words[leaf + Field.FLAGS]! & Flag.IS_GATED) !== 0)
      return -1;
    const shape = words[leaf + Field.SHAPE]!;
    let ceilFullAtNs = doubles[at + Field.D_CEIL_FULL_AT_NS]!;
    if (ceilFullAtNs - nowNs > shapes[shape + Shape.CEIL_BORROW_LIMIT_NS]!) return -1;
    let rateFullAtNs = doubles[at + Field.D_RATE_FULL_AT_NS]!;
    if (rateFullAtNs - nowNs > shapes[shape + Shape.RATE_LIMIT_NS]!) return -1;
    const queue = this.leaves.of(leaf);
    const lenBytes = this.#packets[(queue.peek(leaf) << Packet.SHIFT) + Packet.LEN_BYTES]!;
    const bytes = this.#passing.chargedBytes(lenBytes);
    const parent = words[leaf + Field.PARENT]!;
    if (parent !== 0 && words[parent + Field.LEDGER_BUDGET]! < bytes && !this.#ledger.extend(parent, bytes))
      return -1;
    if (this.#isShared) {
      if (!this.tabs.drawOwn(leaf, bytes)) return -1;
      ceilFullAtNs = doubles[at + Field.D_CEIL_FULL_AT_NS]!;
      rateFullAtNs = doubles[at + Field.D_RATE_FULL_AT_NS]!;
    }
    if (parent !== 0) {
      words[parent + Field.LEDGER_BUDGET]! -= bytes;
      words[parent + Field.LEDGER_BYTES]! += lenBytes;
      words[parent + Field.LEDGER_PACKETS]! += 1;
    }
    const packet = queue.dequeue(leaf);
    const ceilCostNs = bytes * shapes[shape + Shape.CEIL_NS_PER_BYTE]!;
    const rateCostNs = bytes * shapes[shape + Shape.RATE_NS_PER_BYTE]!;
    doubles[at + Field.D_CEIL_FULL_AT_NS] = (ceilFullAtNs > nowNs ? ceilFullAtNs : nowNs) + ceilCostNs;
    if (rateCostNs !== 0)
      doubles[at + Field.D_RATE_FULL_AT_NS] = (rateFullAtNs > nowNs ? rateFullAtNs : nowNs) + rateCostNs;
    doubles[at + Field.D_BYTES]! += lenBytes;
    doubles[at + Field.D_PACKETS]! += 1;
    // As placeLeaf would have set it before the packet left.
    words[leaf + Field.FLAGS]! &= ~Flag.MODE_MASK;
    if (this.#isShared) {
      doubles[at + Field.D_RATE_TAB_NS]! += rateCostNs;
      doubles[at + Field.D_CEIL_TAB_NS]! += ceilCostNs;
    }
    if (words[leaf + Field.BACKLOG_PACKETS] === 0) this.#backlog.emptied(leaf);
    else this.#takeTurn(leaf, Field.DEFICIT_GREEN, bytes);
    if (this.#isShared) this.#share(leaf, leaf, bytes);
    return packet;
  }

  /** Loads what `pass` will need of the leaves of `count` classes into the cache; negative indexes are none. */
  touch(classIndexes: Int32Array, count: number): void {
    this.#preload.leaves(classIndexes, count);
  }

  /** The same for what queueing the packets that may not pass will need. */
  touchQueues(classIndexes: Int32Array, passes: Int32Array, count: number): void {
    this.#preload.queues(classIndexes, passes, count);
  }

  /**
   * Lets packets of a batch leave at once, and charges them: those whose leaf is idle and has assured tokens, while no
   * other such leaf waits and nothing above is near a limit. It is what `enqueue` and `dequeue` would do with them,
   * without the way through the lists. Sets `passes[i]` to 1 for them and to 0 for the rest, which are to be queued;
   * lets at most `room` pass. Packets with a negative class index are left alone.
   */
  pass(classIndexes: Int32Array, lengths: Int32Array, passes: Int32Array, count: number, room: number): void {
    this.#passing.pass(classIndexes, lengths, passes, count, this.#schedule.hasAssured ? 0 : room);
  }

  /**
   * Queues a packet of `lenBytes` layer-2 bytes. False: the leaf is full, the drop is counted, the caller keeps it. The
   * hashes tell the flows and the devices of a leaf apart.
   */
  enqueue(classIndex: number, packet: number, lenBytes: number, flowHash = 0, deviceHash = 0): boolean {
    const record = (classIndex + 1) * Field.CLASS_STRIDE;
    const words = this.memory.words;
    const wasIdle = words[record + Field.BACKLOG_PACKETS] === 0;
    if (!this.leaves.enqueue(record, packet, lenBytes, flowHash, deviceHash)) return false;
    if (wasIdle) this.modes.placeLeaf(record);
    return true;
  }

  /** Takes the packet that is to leave next; -1 when none may leave now. */
  dequeue(): number {
    const words = this.memory.words;
    const feedBase = this.memory.feedBase;
    for (;;) {
      // With every root over its ceil nothing can leave, whatever stands in the rows.
      if (this.modes.shutRoots === this.roots) return -1;
      const node = this.#schedule.first();
      if (node === 0) return -1;
      const leaf = this.#schedule.leafOf(node);
      const lender = node < feedBase ? node : words[node + Field.OWNER]!;
      let ancestor = words[lender + Field.PARENT]!;
      while (ancestor !== 0 && (words[ancestor + Field.FLAGS]! & Flag.IS_SHUT) === 0)
        ancestor = words[ancestor + Field.PARENT]!;
      if (ancestor !== 0) this.#schedule.park(node, ancestor);
      else if (this.#isShared && lender !== leaf && this.#mustSitOut(leaf, lender)) continue;
      else if (!this.#isShared || this.#drawPath(leaf, lender)) return this.#send(leaf, lender);
    }
  }

  /** Tells the other workers what outlasts this step, and withdraws what no longer holds. */
  endStep(): void {
    this.#backlog.endStep();
  }

  /** When the tree has something to do next: `nowNs` if at once, Infinity if never. May be a few µs early. */
  nextDueNs(nowNs: number): number {
    if (!this.#schedule.isEmpty && this.modes.shutRoots !== this.roots) return nowNs;
    const timer = this.modes.wheel.nextDueNs(nowNs);
    const linger = this.#backlog.nextDueNs();
    return Math.max(nowNs, timer < linger ? timer : linger);
  }

  // ---- sending ----------------------------------------------------------------------------------------

  #send(leaf: number, lender: number): number {
    const words = this.memory.words;
    const packet = this.leaves.of(leaf).dequeue(leaf);
    const lenBytes = this.#packets[(packet << Packet.SHIFT) + Packet.LEN_BYTES]!;
    const chargedBytes = this.#passing.chargedBytes(lenBytes);
    const isEmpty = words[leaf + Field.BACKLOG_PACKETS] === 0;
    if (lender !== leaf) {
      this.#schedule.charge(leaf, lender, chargedBytes * this.#parts(leaf));
      this.#takeTurn(leaf, Field.DEFICIT_BORROW, chargedBytes);
    } else if (!isEmpty) this.#takeTurn(leaf, Field.DEFICIT_GREEN, chargedBytes);
    if (isEmpty) this.emptied(leaf);
    this.#charge(leaf, lender, lenBytes, chargedBytes);
    if (!isEmpty) this.modes.settleLeaf(leaf);
    if (this.#isShared) this.#share(leaf, lender, chargedBytes);
    if (isEmpty && (words[leaf + Field.FLAGS]! & Flag.IS_DRAINING) !== 0) this.onDrained(leaf);
    return packet;
  }

  /** Takes a leaf that has no packets any more out of all lists. */
  emptied(leaf: number): void {
    this.modes.retireLeaf(leaf);
    this.#backlog.emptied(leaf);
  }

  /** Pays for a packet from the leaf to the root (htb_charge_class) and lets the modes on the way follow. */
  #charge(leaf: number, lender: number, lenBytes: number, chargedBytes: number): void {
    const words = this.memory.words;
    this.#chargeClass(leaf, lender === leaf, lenBytes, chargedBytes);
    const doubles = this.memory.doubles;
    if (lender !== leaf) doubles[(leaf >> 1) + Field.D_BORROWS]! += 1;
    let pays = lender === leaf;
    for (let record = words[leaf + Field.PARENT]!; record !== 0; record = words[record + Field.PARENT]!) {
      if (!pays) doubles[(record >> 1) + (record === lender ? Field.D_LENDS : Field.D_BORROWS)]! += 1;
      if (record === lender) pays = true;
      this.#chargeClass(record, pays, lenBytes, chargedBytes);
      this.modes.settleInner(record);
    }
  }

  #chargeClass(record: number, pays: boolean, lenBytes: number, chargedBytes: number): void {
    const nowNs = this.memory.clock[0]!;
    const doubles = this.memory.doubles;
    const shapes = this.#shared.shapes;
    const at = record >> 1;
    const shape = this.memory.words[record + Field.SHAPE]!;
    doubles[at + Field.D_BYTES]! += lenBytes;
    doubles[at + Field.D_PACKETS]! += 1;
    const ceilCostNs = chargedBytes * shapes[shape + Shape.CEIL_NS_PER_BYTE]!;
    const ceilFullAtNs = doubles[at + Field.D_CEIL_FULL_AT_NS]!;
    doubles[at + Field.D_CEIL_FULL_AT_NS] = (ceilFullAtNs > nowNs ? ceilFullAtNs : nowNs) + ceilCostNs;
    let rateCostNs = 0;
    if (pays) {
      rateCostNs = chargedBytes * shapes[shape + Shape.RATE_NS_PER_BYTE]!;
      if ((this.memory.words[record + Field.FLAGS]! & Flag.HAS_CLAIM) !== 0)
        rateCostNs = Math.min(rateCostNs * this.#claimFactor(record), COST_NS_MAX);
      const rateFullAtNs = doubles[at + Field.D_RATE_FULL_AT_NS]!;
      doubles[at + Field.D_RATE_FULL_AT_NS] = (rateFullAtNs > nowNs ? rateFullAtNs : nowNs) + rateCostNs;
    }
    if (!this.#isShared) return;
    doubles[at + Field.D_RATE_TAB_NS]! += rateCostNs;
    doubles[at + Field.D_CEIL_TAB_NS]! += ceilCostNs;
  }

  /** By what a packet costs a class's assured tokens more because claims oversubscribe an ancestor. */
  #claimFactor(record: number): number {
    return this.registry.claimFactor(this.memory.words[record + Field.PARENT]!);
  }

  /** Deficit round robin (Shreedhar and Varghese) as sch_htb does it: serve, and turn when the deficit is used up. */
  #takeTurn(leaf: number, deficitField: number, chargedBytes: number): void {
    const words = this.memory.words;
    let deficit = words[leaf + deficitField]! - chargedBytes;
    if (deficit < 0) {
      // A quantum that is less than a packet makes it ever lower; it must not come round to be a credit.
      deficit = Math.max(deficit + this.#quantumBytes(leaf), DEFICIT_MIN);
      if (deficitField === Field.DEFICIT_GREEN) this.#schedule.turnRow(leaf);
      else this.#schedule.turnFeed(leaf);
    }
    words[leaf + deficitField] = deficit;
  }

  /**
   * Whether a borrower, or a feed that it is served through, still owes from earlier turns; its turn is then over. sch_htb
   * would serve it a packet a turn even so, which is more than its quantum if that is small, as a quantum divided among
   * queues is.
   */
  #mustSitOut(leaf: number, lender: number): boolean {
    if (this.#schedule.sitsOut(leaf, lender)) return true;
    const words = this.memory.words;
    const deficit = words[leaf + Field.DEFICIT_BORROW]!;
    if (deficit >= 0) return false;
    words[leaf + Field.DEFICIT_BORROW] = deficit + this.#quantumBytes(leaf);
    this.#schedule.turnFeed(leaf);
    return true;
  }

  /** A leaf that is backlogged on several queues has its quantum divided among them, and tells its ancestors. */
  #quantumBytes(leaf: number): number {
    const words = this.memory.words;
    const flags = words[leaf + Field.FLAGS]!;
    const quantumBytes = this.#shared.shapes[words[leaf + Field.SHAPE]! + Shape.QUANTUM_BYTES]!;
    if ((flags & (Flag.IS_REGISTERED | Flag.HAS_CLAIM)) === (Flag.IS_REGISTERED | Flag.HAS_CLAIM))
      this.registry.refreshClaims(leaf);
    if ((flags & Flag.IS_WEIGHTED) !== 0) this.registry.publishWeight(leaf, this.registry.weightNow(leaf));
    return Math.max(1, (quantumBytes / this.#parts(leaf)) | 0);
  }

  /** By what a leaf's quantum is divided because it borrows on other queues as well. */
  #parts(leaf: number): number {
    return (this.memory.words[leaf + Field.FLAGS]! & Flag.IS_WEIGHTED) !== 0
      ? this.registry.presence(leaf)
      : 1;
  }

  // ---- sharing with other workers ---------------------------------------------------------------------

  /**
   * Makes sure that the shared buckets on the way cover the packet, before it is taken. False when one does not:
   * the class concerned has then been given the mode that follows, and the caller chooses anew.
   */
  #drawPath(leaf: number, lender: number): boolean {
    const words = this.memory.words;
    const packet = this.leaves.of(leaf).peek(leaf);
    const bytes = this.#passing.chargedBytes(this.#packets[(packet << Packet.SHIFT) + Packet.LEN_BYTES]!);
    let ceilLimit = lender === leaf ? Shape.CEIL_LIMIT_NS : Shape.CEIL_BORROW_LIMIT_NS;
    let pays = false;
    for (let record = leaf; record !== 0; record = words[record + Field.PARENT]!) {
      let given = this.tabs.drawCeil(record, bytes, ceilLimit);
      if (given && (pays || record === lender)) {
        const factor = (words[record + Field.FLAGS]! & Flag.HAS_CLAIM) !== 0 ? this.#claimFactor(record) : 1;
        given = this.tabs.drawRate(record, bytes, factor, !pays);
        pays = true;
        ceilLimit = Shape.CEIL_LIMIT_NS;
      }
      if (given) continue;
      this.#giveBack(leaf, record);
      if (record === leaf) this.modes.settleLeaf(leaf);
      else this.modes.settleInner(record);
      return false;
    }
    return true;
  }

  /**
   * Returns what was charged ahead from a leaf up to where the bucket of `last` refused. Were it kept, time would pay it
   * off and every queue could send one packet beyond the ceil with it later.
   */
  #giveBack(leaf: number, last: number): void {
    const words = this.memory.words;
    for (let record = leaf; record !== last; record = words[record + Field.PARENT]!)
      this.tabs.giveBack(record);
    this.tabs.giveBack(last);
  }

  /** Holds back what is now ahead of its fair share: the leaf among its queues, feeds among all borrowers. */
  #share(leaf: number, lender: number, chargedBytes: number): void {
    const words = this.memory.words;
    const flags = words[leaf + Field.FLAGS]!;
    if ((flags & Flag.IS_REGISTERED) !== 0 && words[leaf + Field.BACKLOG_PACKETS] !== 0) {
      const queues = this.registry.presence(leaf);
      if (queues > 1) {
        const waitNs = this.#gate.leafSent(leaf, queues, chargedBytes);
        if (waitNs > 0) this.modes.gateLeaf(leaf, waitNs);
      }
    }
    if (lender === leaf) return;
    const prio = (flags & Flag.PRIO_MASK) >> Flag.PRIO_SHIFT;
    // What the sums hold for the leaf, or would hold: one that never waits here is not announced, but is no more than
    // its part of a class that waits elsewhere.
    const isWeighted = (flags & Flag.IS_WEIGHTED) !== 0;
    const weight = isWeighted ? words[leaf + Field.WEIGHT_PUBLISHED]! : this.registry.weightNow(leaf);
    for (let record = words[leaf + Field.PARENT]!; record !== 0; record = words[record + Field.PARENT]!) {
      const lends = record === lender && (words[record + Field.FLAGS]! & Flag.MODE_MASK) === Flag.CAN_SEND;
      const waitNs = this.#gate.feedSent(record, prio, lends, weight, chargedBytes);
      if (waitNs > 0) this.modes.gateFeed(words[record + Field.FEEDS]! + (prio << Field.FEED_SHIFT), waitNs);
      if (record === lender) return;
    }
  }
}
