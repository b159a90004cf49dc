/**
 * What each class may do, and when that changes. A class's mode follows from its two buckets; this module alone
 * sets it, moves the class in the schedule accordingly, and sets the timer for the next change.
 *
 *                 tokens left            tokens gone, below ceil        over ceil
 *     leaf        CAN_SEND  row 0        MAY_BORROW  parent's feed      CANT_SEND  nowhere
 *     inner       CAN_SEND  lends        MAY_BORROW  passes on          CANT_SEND  shuts off its borrowers
 *
 * An inner class knows one more state: *shut*, when it is so far over its ceil that not even packets with assured
 * tokens pass. With several queues borrowers are shut off a little earlier than that, so that one queue's
 * borrowers leave room for another's assured packets.
 */
import { Shape } from '../shm/tree-layout.js';
import type { Backlog } from './backlog.js';
import { Field, Flag } from './layout.js';
import type { TreeMemory } from './memory.js';
import { Schedule } from './schedule.js';
import type { Gate } from './sharing/gate.js';
import type { Tabs } from './sharing/tab.js';
import { TimingWheel, tickOf } from './wheel.js';

const ALL_PRIOS = 8;
/** Longer waits are looked at again on the way; ticks wrap after hours. */
const WAIT_NS_MAX = 60e9;

export class Modes {
  readonly schedule: Schedule;
  readonly wheel: TimingWheel;
  readonly #words: Int32Array;
  readonly #clock: Float64Array;
  readonly #doubles: Float64Array;
  readonly #shapes: Float64Array;
  readonly #feedBase: number;
  readonly #isShared: boolean;
  readonly #backlog: Backlog;
  readonly #tabs: Tabs;
  readonly #gate: Gate;
  #shutRoots = 0;

  constructor(memory: TreeMemory, backlog: Backlog, tabs: Tabs, gate: Gate) {
    this.schedule = new Schedule(memory);
    this.wheel = new TimingWheel(memory.words);
    this.#words = memory.words;
    this.#clock = memory.clock;
    this.#doubles = memory.doubles;
    this.#shapes = memory.shared.shapes;
    this.#feedBase = memory.feedBase;
    this.#isShared = memory.shared.queues > 1;
    this.#backlog = backlog;
    this.#tabs = tabs;
    this.#gate = gate;
  }

  /** Root classes that let nothing through now. */
  get shutRoots(): number {
    return this.#shutRoots;
  }

  /** The mode of a class by its buckets (htb_class_mode). */
  modeOf(record: number): number {
    const nowNs = this.#clock[0]!;
    const shape = this.#words[record + Field.SHAPE]!;
    const at = record >> 1;
    const ceilDebtNs = this.#doubles[at + Field.D_CEIL_FULL_AT_NS]! - nowNs;
    if (ceilDebtNs > this.#shapes[shape + Shape.CEIL_BORROW_LIMIT_NS]!) return Flag.CANT_SEND;
    const rateDebtNs = this.#doubles[at + Field.D_RATE_FULL_AT_NS]! - nowNs;
    return rateDebtNs <= this.#shapes[shape + Shape.RATE_LIMIT_NS]! ? Flag.CAN_SEND : Flag.MAY_BORROW;
  }

  // ---- leaves -----------------------------------------------------------------------------------------

  /** Puts a backlogged leaf where its tokens allow, and sets its timer for when they allow more. */
  placeLeaf(leaf: number): void {
    const words = this.#words;
    const flags = words[leaf + Field.FLAGS]!;
    const mode = this.modeOf(leaf);
    words[leaf + Field.FLAGS] = (flags & ~Flag.MODE_MASK) | mode;
    if (mode === Flag.CANT_SEND) {
      if ((flags & Flag.MODE_MASK) !== Flag.CANT_SEND) this.#countOverlimit(leaf);
      this.schedule.detach(leaf);
    } else this.schedule.attach(leaf);
    // A gated leaf has its timer for the gate, which looks at the mode again when it opens.
    if ((flags & Flag.IS_GATED) === 0) {
      if (words[leaf + Field.WHEEL_SLOT] !== 0) this.wheel.remove(leaf);
      if (mode !== Flag.CAN_SEND) this.#wakeLater(leaf, mode);
    }
    this.#backlog.watch(leaf);
  }

  /** Lets the place of a leaf that has just sent follow its mode. */
  settleLeaf(leaf: number): void {
    if (this.modeOf(leaf) !== (this.#words[leaf + Field.FLAGS]! & Flag.MODE_MASK)) this.placeLeaf(leaf);
  }

  /** Takes a leaf that is empty, or about to change, out of the schedule and off the wheel. */
  retireLeaf(leaf: number): void {
    this.schedule.detach(leaf);
    if (this.#words[leaf + Field.WHEEL_SLOT] !== 0) this.wheel.remove(leaf);
    this.#words[leaf + Field.FLAGS]! &= ~Flag.IS_GATED;
  }

  /** Holds a leaf back for `waitNs`. */
  gateLeaf(leaf: number, waitNs: number): void {
    this.schedule.detach(leaf);
    if (this.#words[leaf + Field.WHEEL_SLOT] !== 0) this.wheel.remove(leaf);
    this.#words[leaf + Field.FLAGS]! |= Flag.IS_GATED;
    this.wheel.insert(leaf, tickOf(this.#clock[0]! + waitNs));
  }

  // ---- inner classes ----------------------------------------------------------------------------------

  /** Lets an inner class, and the borrowers below it, follow its tokens. */
  settleInner(record: number): void {
    const nowNs = this.#clock[0]!;
    const flags = this.#words[record + Field.FLAGS]!;
    const mode = this.modeOf(record);
    const ceilDebtNs = this.#doubles[(record >> 1) + Field.D_CEIL_FULL_AT_NS]! - nowNs;
    const shut =
      ceilDebtNs > this.#shapes[this.#words[record + Field.SHAPE]! + Shape.CEIL_LIMIT_NS]! ? Flag.IS_SHUT : 0;
    if (((flags ^ (mode | shut)) & (Flag.MODE_MASK | Flag.IS_SHUT)) === 0) return;
    if ((flags & Flag.MODE_MASK) !== mode) this.#setInnerMode(record, mode);
    if ((flags & Flag.IS_SHUT) !== shut) this.#setShut(record, shut !== 0);
    this.#watchInner(record);
  }

  /** The same after the class has got other rates, which move its next change too. */
  reviewInner(record: number): void {
    this.settleInner(record);
    this.#watchInner(record);
  }

  /** Holds the borrowers of one prio back for `waitNs`. */
  gateFeed(feed: number, waitNs: number): void {
    if ((this.#words[feed + Field.FLAGS]! & Flag.IS_GATED) !== 0) return;
    this.schedule.detach(feed);
    this.#words[feed + Field.FLAGS]! |= Flag.IS_GATED;
    this.wheel.insert(feed, tickOf(this.#clock[0]! + waitNs));
  }

  /** Takes an inner class with all its feeds out of the schedule; `attachInner` puts it back. */
  detachInner(record: number): void {
    const feeds = this.#words[record + Field.FEEDS]!;
    for (let prio = 0; prio < ALL_PRIOS; prio++) this.schedule.detach(feeds + (prio << Field.FEED_SHIFT));
  }

  attachInner(record: number): void {
    const words = this.#words;
    const feeds = words[record + Field.FEEDS]!;
    for (let prio = 0; prio < ALL_PRIOS; prio++) {
      const feed = feeds + (prio << Field.FEED_SHIFT);
      if (words[feed + Field.FEED_HEAD] !== 0) this.schedule.attach(feed);
    }
  }

  /** Takes an inner class and its feeds off the wheel and out of the count of shut roots. */
  retireInner(record: number): void {
    const words = this.#words;
    if (words[record + Field.WHEEL_SLOT] !== 0) this.wheel.remove(record);
    for (let prio = 0; prio < ALL_PRIOS; prio++) {
      const feed = words[record + Field.FEEDS]! + (prio << Field.FEED_SHIFT);
      if (words[feed + Field.WHEEL_SLOT] !== 0) this.wheel.remove(feed);
      words[feed + Field.FLAGS]! &= ~Flag.IS_GATED;
    }
    if ((words[record + Field.FLAGS]! & Flag.IS_SHUT) !== 0 && words[record + Field.PARENT] === 0)
      this.#shutRoots--;
    words[record + Field.FLAGS]! &= ~Flag.IS_SHUT;
  }

  /** Puts a retired and detached inner class back to work, with whatever it and its feeds hold. */
  restartInner(record: number): void {
    const words = this.#words;
    words[record + Field.FLAGS] = (words[record + Field.FLAGS]! & ~Flag.MODE_MASK) | this.modeOf(record);
    if ((words[record + Field.FLAGS]! & Flag.MODE_MASK) !== Flag.CANT_SEND) this.attachInner(record);
    this.settleInner(record);
    this.releaseParked(record);
    this.#watchInner(record);
  }

  /** Lets everything that an inner class has set aside try again. */
  releaseParked(record: number): void {
    for (let node = this.schedule.popParked(record); node !== 0; node = this.schedule.popParked(record)) {
      if (node >= this.#feedBase) this.schedule.attach(node);
      else this.placeLeaf(node);
    }
  }

  #setInnerMode(record: number, mode: number): void {
    this.#words[record + Field.FLAGS] = (this.#words[record + Field.FLAGS]! & ~Flag.MODE_MASK) | mode;
    if (mode === Flag.CANT_SEND) {
      this.#countOverlimit(record);
      this.detachInner(record);
    } else this.attachInner(record);
  }

  #setShut(record: number, shut: boolean): void {
    const words = this.#words;
    words[record + Field.FLAGS]! ^= Flag.IS_SHUT;
    if (words[record + Field.PARENT] === 0) this.#shutRoots += shut ? 1 : -1;
    if (!shut && words[record + Field.PARKED_HEAD] !== 0) this.releaseParked(record);
  }

  // ---- timers -----------------------------------------------------------------------------------------

  /** Looks again at a node that was due. */
  wake(node: number): void {
    if (node >= this.#feedBase) this.#wakeFeed(node);
    else if ((this.#words[node + Field.FLAGS]! & Flag.IS_INNER) !== 0) this.#wakeInner(node);
    else this.#wakeLeaf(node);
  }

  #wakeLeaf(leaf: number): void {
    if (this.#isShared) this.#tabs.refresh(leaf);
    if ((this.#words[leaf + Field.FLAGS]! & Flag.IS_GATED) !== 0) {
      const waitNs = this.#gate.leafWaits(leaf);
      if (waitNs > 0) {
        this.wheel.insert(leaf, tickOf(this.#clock[0]! + waitNs));
        return;
      }
      this.#words[leaf + Field.FLAGS]! &= ~Flag.IS_GATED;
    }
    this.placeLeaf(leaf);
  }

  #wakeInner(record: number): void {
    if (this.#isShared) this.#tabs.refresh(record);
    this.settleInner(record);
    if (this.#words[record + Field.WHEEL_SLOT] === 0) this.#watchInner(record);
  }

  #wakeFeed(feed: number): void {
    const words = this.#words;
    const record = words[feed + Field.OWNER]!;
    const lends = (words[record + Field.FLAGS]! & Flag.MODE_MASK) === Flag.CAN_SEND;
    if (this.#isShared) this.#tabs.refresh(record);
    const waitNs = this.#gate.feedWaits(
      record,
      (words[feed + Field.FLAGS]! & Flag.PRIO_MASK) >> Flag.PRIO_SHIFT,
      lends,
    );
    if (waitNs > 0) {
      this.wheel.insert(feed, tickOf(this.#clock[0]! + waitNs));
      return;
    }
    words[feed + Field.FLAGS]! &= ~Flag.IS_GATED;
    if (words[feed + Field.FEED_HEAD] !== 0) this.schedule.attach(feed);
  }

  /** Sets the timer of an inner class for its next change of mode. */
  #watchInner(record: number): void {
    if (this.#words[record + Field.WHEEL_SLOT] !== 0) this.wheel.remove(record);
    const mode = this.#words[record + Field.FLAGS]! & Flag.MODE_MASK;
    if (mode !== Flag.CAN_SEND) this.#wakeLater(record, mode);
  }

  /** Sets the timer of a class that is not in CAN_SEND for when it may do more than it may now, if it ever may. */
  #wakeLater(record: number, mode: number): void {
    const shape = this.#words[record + Field.SHAPE]!;
    const at = record >> 1;
    let dueNs: number;
    if (mode === Flag.MAY_BORROW) {
      dueNs = this.#doubles[at + Field.D_RATE_FULL_AT_NS]! - this.#shapes[shape + Shape.RATE_LIMIT_NS]!;
    } else {
      const isShut = (this.#words[record + Field.FLAGS]! & Flag.IS_SHUT) !== 0;
      const limit = isShut ? Shape.CEIL_LIMIT_NS : Shape.CEIL_BORROW_LIMIT_NS;
      dueNs = this.#doubles[at + Field.D_CEIL_FULL_AT_NS]! - this.#shapes[shape + limit]!;
    }
    if (dueNs === Number.POSITIVE_INFINITY) return;
    const aheadNs = dueNs - this.#clock[0]!;
    this.wheel.insert(record, tickOf(aheadNs < WAIT_NS_MAX ? dueNs : this.#clock[0]! + WAIT_NS_MAX));
  }

  #countOverlimit(record: number): void {
    this.#doubles[(record >> 1) + Field.D_OVERLIMITS]! += 1;
  }
}
