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
 * The caller's step is: runTimers, enqueue…, dequeue…, endStep, all with the same `nowNs`.
 */

import type { SharedTree } from '../shm/tree-layout.js';
import { Shape, Stat } from '../shm/tree-layout.js';
import { Backlog } from './backlog.js';
import { Field, Flag } from './layout.js';
import { type LeafQueue, Pfifo } from './leaf-queue.js';
import { TreeMemory } from './memory.js';
import { Modes } from './modes.js';
import { Packet, type PacketPool } from './packet-pool.js';
import type { Schedule } from './schedule.js';
import { Gate } from './sharing/gate.js';
import { Registry } from './sharing/registry.js';
import { Tabs } from './sharing/tab.js';

export class Htb {
  readonly memory: TreeMemory;
  readonly modes: Modes;
  readonly registry: Registry;
  readonly tabs: Tabs;
  /** Packets in all leaves. */
  backlogPackets = 0;
  /** Present classes without a parent; kept by whoever adds and removes classes. */
  roots = 0;
  /** Keeps `touch` from being optimised away. */
  touched = 0;
  /** Called with the record of a removed leaf when its last packet has left. */
  onDrained: (record: number) => void = () => {};
  readonly #schedule: Schedule;
  readonly #gate: Gate;
  readonly #backlog: Backlog;
  readonly #leafQueues: readonly LeafQueue[];
  readonly #packets: Int32Array;
  readonly #shared: SharedTree;
  readonly #isShared: boolean;
  #overheadBytes = 0;
  #mpuBytes = 0;

  constructor(shared: SharedTree, queue: number, pool: PacketPool) {
    const memory = new TreeMemory(shared, queue);
    this.memory = memory;
    this.registry = new Registry(memory);
    this.tabs = new Tabs(memory);
    this.#gate = new Gate(memory);
    this.#backlog = new Backlog(memory, this.registry, this.tabs);
    this.modes = new Modes(memory, this.#backlog, this.tabs, this.#gate);
    this.#schedule = this.modes.schedule;
    this.#leafQueues = [new Pfifo(memory, pool)];
    this.#packets = pool.words;
    this.#shared = shared;
    this.#isShared = shared.queues > 1;
  }

  /** What is added to every packet's length before it is charged, and the least that is charged. */
  setLinkLayer(overheadBytes: number, mpuBytes: number): void {
    this.#overheadBytes = overheadBytes;
    this.#mpuBytes = mpuBytes;
  }

  // ---- the step ---------------------------------------------------------------------------------------

  /** Lets classes whose waiting time is over try again. */
  runTimers(nowNs: number): void {
    this.modes.runTimers(nowNs);
  }

  /** Loads the first line of the records of `count` classes into the cache; negative indexes are none. */
  touch(classIndexes: Int32Array, count: number): void {
    const words = this.memory.words;
    let sum = 0;
    for (let i = 0; i < count; i++) sum += words[((classIndexes[i]! + 1) << Field.CLASS_SHIFT) + Field.BACKLOG_PACKETS]!;
    this.touched = sum;
  }

  /** Queues a packet of `lenBytes` layer-2 bytes. False: the leaf is full, the drop is counted, the caller keeps it. */
  enqueue(classIndex: number, packet: number, lenBytes: number, nowNs: number): boolean {
    const record = (classIndex + 1) << Field.CLASS_SHIFT;
    const words = this.memory.words;
    const kind = this.#shared.shapes[words[record + Field.SHAPE]! + Shape.LEAF_KIND]!;
    if (!this.#leafQueues[kind]!.enqueue(record, packet, lenBytes, nowNs)) {
      this.memory.stats[((classIndex + 1) << Stat.SHIFT) + Stat.DROPS]! += 1;
      return false;
    }
    this.backlogPackets++;
    if (words[record + Field.BACKLOG_PACKETS] === 1) this.modes.placeLeaf(record, nowNs);
    return true;
  }

  /** Takes the packet that is to leave next; -1 when none may leave now. */
  dequeue(nowNs: number): number {
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
      else if (!this.#isShared || this.#drawPath(leaf, lender, nowNs)) return this.#send(leaf, lender, nowNs);
    }
  }

  /** Tells the other workers what outlasts this step, and withdraws what no longer holds. */
  endStep(nowNs: number): void {
    this.#backlog.endStep(nowNs);
  }

  /** When the tree has something to do next: `nowNs` if at once, Infinity if never. May be a few µs early. */
  nextDueNs(nowNs: number): number {
    if (!this.#schedule.isEmpty && this.modes.shutRoots !== this.roots) return nowNs;
    const timer = this.modes.wheel.nextDueNs();
    const linger = this.#backlog.nextDueNs();
    return Math.max(nowNs, timer < linger ? timer : linger);
  }

  // ---- sending ----------------------------------------------------------------------------------------

  #send(leaf: number, lender: number, nowNs: number): number {
    const words = this.memory.words;
    const shape = words[leaf + Field.SHAPE]!;
    const packet = this.#leafQueues[this.#shared.shapes[shape + Shape.LEAF_KIND]!]!.dequeue(leaf, nowNs);
    const lenBytes = this.#packets[(packet << Packet.SHIFT) + Packet.LEN_BYTES]!;
    const chargedBytes = this.#chargedBytes(lenBytes);
    this.backlogPackets--;
    const isEmpty = words[leaf + Field.BACKLOG_PACKETS] === 0;
    if (lender !== leaf) this.#takeTurn(leaf, Field.DEFICIT_BORROW, chargedBytes);
    else if (!isEmpty) this.#takeTurn(leaf, Field.DEFICIT_GREEN, chargedBytes);
    if (isEmpty) {
      this.modes.retireLeaf(leaf);
      this.#backlog.emptied(leaf, nowNs);
    }
    this.#charge(leaf, lender, lenBytes, chargedBytes, nowNs);
    if (!isEmpty) this.modes.settleLeaf(leaf, nowNs);
    if (this.#isShared) this.#share(leaf, lender, chargedBytes, nowNs);
    if (isEmpty && (words[leaf + Field.FLAGS]! & Flag.IS_DRAINING) !== 0) this.onDrained(leaf);
    return packet;
  }

  /** Pays for a packet from the leaf to the root (htb_charge_class) and lets the modes on the way follow. */
  #charge(leaf: number, lender: number, lenBytes: number, chargedBytes: number, nowNs: number): void {
    const words = this.memory.words;
    const doubles = this.memory.doubles;
    const stats = this.memory.stats;
    const shapes = this.#shared.shapes;
    let pays = false;
    for (let record = leaf; record !== 0; record = words[record + Field.PARENT]!) {
      const at = record >> 1;
      const shape = words[record + Field.SHAPE]!;
      const stat = (record >> Field.CLASS_SHIFT) << Stat.SHIFT;
      stats[stat + Stat.BYTES]! += lenBytes;
      stats[stat + Stat.PACKETS]! += 1;
      if (record === lender) {
        pays = true;
        stats[stat + Stat.LENDS]! += 1;
      } else if (!pays) stats[stat + Stat.BORROWS]! += 1;
      const ceilCostNs = chargedBytes * shapes[shape + Shape.CEIL_NS_PER_BYTE]!;
      const ceilFullAtNs = doubles[at + Field.D_CEIL_FULL_AT_NS]!;
      doubles[at + Field.D_CEIL_FULL_AT_NS] = (ceilFullAtNs > nowNs ? ceilFullAtNs : nowNs) + ceilCostNs;
      let rateCostNs = 0;
      if (pays) {
        rateCostNs = this.#rateCostNs(record, shape, chargedBytes, nowNs);
        const rateFullAtNs = doubles[at + Field.D_RATE_FULL_AT_NS]!;
        doubles[at + Field.D_RATE_FULL_AT_NS] = (rateFullAtNs > nowNs ? rateFullAtNs : nowNs) + rateCostNs;
      }
      if (this.#isShared) this.tabs.add(record, rateCostNs, ceilCostNs);
      if (record !== leaf) this.modes.settleInner(record, nowNs);
    }
  }

  /** What a packet costs a rate bucket: more than its bytes where claims oversubscribe an ancestor. */
  #rateCostNs(record: number, shape: number, chargedBytes: number, nowNs: number): number {
    const costNs = chargedBytes * this.#shared.shapes[shape + Shape.RATE_NS_PER_BYTE]!;
    if ((this.memory.words[record + Field.FLAGS]! & Flag.HAS_CLAIM) === 0) return costNs;
    return costNs * this.registry.claimFactor(this.memory.words[record + Field.PARENT]!, nowNs);
  }

  #chargedBytes(lenBytes: number): number {
    const bytes = lenBytes + this.#overheadBytes;
    return bytes > this.#mpuBytes ? bytes : this.#mpuBytes;
  }

  /** Deficit round robin (Shreedhar and Varghese) as sch_htb does it: serve, and turn when the deficit is used up. */
  #takeTurn(leaf: number, deficitField: number, chargedBytes: number): void {
    const words = this.memory.words;
    let deficit = words[leaf + deficitField]! - chargedBytes;
    if (deficit < 0) {
      deficit += this.#quantumBytes(leaf);
      if (deficitField === Field.DEFICIT_GREEN) this.#schedule.turnRow(leaf);
      else this.#schedule.turnFeed(leaf);
    }
    words[leaf + deficitField] = deficit;
  }

  /** A leaf that is backlogged on several queues has its quantum divided among them, and tells its ancestors. */
  #quantumBytes(leaf: number): number {
    const words = this.memory.words;
    const quantumBytes = this.#shared.shapes[words[leaf + Field.SHAPE]! + Shape.QUANTUM_BYTES]!;
    if ((words[leaf + Field.FLAGS]! & Flag.IS_REGISTERED) === 0) return quantumBytes;
    if ((words[leaf + Field.FLAGS]! & Flag.HAS_CLAIM) !== 0) this.registry.refreshClaim(leaf);
    if ((words[leaf + Field.FLAGS]! & Flag.IS_WEIGHTED) === 0) return quantumBytes;
    this.registry.publishWeight(leaf, this.registry.weightNow(leaf));
    return (quantumBytes / this.registry.presence(leaf)) | 0;
  }

  // ---- sharing with other workers ---------------------------------------------------------------------

  /**
   * Makes sure that the shared buckets on the way cover the packet, before it is taken. False when one does not:
   * the class concerned has then been given the mode that follows, and the caller chooses anew. What was charged
   * ahead on the way up to there stays on the worker's tab and pays for the next packet.
   */
  #drawPath(leaf: number, lender: number, nowNs: number): boolean {
    const words = this.memory.words;
    const shapes = this.#shared.shapes;
    const kind = shapes[words[leaf + Field.SHAPE]! + Shape.LEAF_KIND]!;
    const packet = this.#leafQueues[kind]!.peek(leaf, nowNs);
    const bytes = this.#chargedBytes(this.#packets[(packet << Packet.SHIFT) + Packet.LEN_BYTES]!);
    let ceilLimit = lender === leaf ? Shape.CEIL_LIMIT_NS : Shape.CEIL_BORROW_LIMIT_NS;
    let pays = false;
    for (let record = leaf; record !== 0; record = words[record + Field.PARENT]!) {
      const shape = words[record + Field.SHAPE]!;
      let given = this.tabs.drawCeil(
        record,
        bytes * shapes[shape + Shape.CEIL_NS_PER_BYTE]!,
        shapes[shape + ceilLimit]!,
        nowNs,
      );
      if (given && (pays || record === lender)) {
        const limitNs = pays ? Number.POSITIVE_INFINITY : shapes[shape + Shape.RATE_LIMIT_NS]!;
        given = this.tabs.drawRate(record, this.#rateCostNs(record, shape, bytes, nowNs), limitNs, nowNs);
        pays = true;
        ceilLimit = Shape.CEIL_LIMIT_NS;
      }
      if (given) continue;
      if (record === leaf) this.modes.settleLeaf(leaf, nowNs);
      else this.modes.settleInner(record, nowNs);
      return false;
    }
    return true;
  }

  /** Holds back what is now ahead of its fair share: the leaf among its queues, feeds among all borrowers. */
  #share(leaf: number, lender: number, chargedBytes: number, nowNs: number): void {
    const words = this.memory.words;
    const flags = words[leaf + Field.FLAGS]!;
    if ((flags & Flag.IS_REGISTERED) !== 0 && words[leaf + Field.BACKLOG_PACKETS] !== 0) {
      const queues = this.registry.presence(leaf);
      if (queues > 1) {
        const waitNs = this.#gate.leafSent(leaf, queues, chargedBytes, nowNs);
        if (waitNs > 0) this.modes.gateLeaf(leaf, waitNs, nowNs);
      }
    }
    if (lender === leaf) return;
    const prio = (flags & Flag.PRIO_MASK) >> Flag.PRIO_SHIFT;
    const weight = this.#shared.shapes[words[leaf + Field.SHAPE]! + Shape.WEIGHT]!;
    for (let record = words[leaf + Field.PARENT]!; record !== 0; record = words[record + Field.PARENT]!) {
      const lends = record === lender && (words[record + Field.FLAGS]! & Flag.MODE_MASK) === Flag.CAN_SEND;
      const waitNs = this.#gate.feedSent(record, prio, lends, weight, chargedBytes, nowNs);
      if (waitNs > 0)
        this.modes.gateFeed(words[record + Field.FEEDS]! + (prio << Field.FEED_SHIFT), waitNs, nowNs);
      if (record === lender) return;
    }
  }
}
