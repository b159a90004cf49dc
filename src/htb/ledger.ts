/**
 * Charges of inner classes, gathered while a batch passes. Between a leaf with assured tokens and the root every
 * class is charged for every packet, and most of the time nothing follows from it. So each inner class opens a ledger
 * with a budget of bytes within which its mode cannot change, nor a tab be used up, and takes it as a grant from its
 * parent's. A packet then costs its leaf's parent three integer additions and the classes above nothing; when the
 * batch is through, what was used is charged to the buckets and the counters, from below to the root, and what was
 * not goes back.
 *
 *     root    budget 80,000          grants 20,000 to site
 *     site    budget 12,000          grants  8,000 to house
 *     house   budget  8,000          every packet below it is taken from here
 *
 * All packets of a batch are charged at the same time, so it makes no difference when the sum is taken. Outside of
 * `Htb.pass` every ledger is closed, and nobody else need know of them.
 */
import { Shape, type SharedTree } from '../shm/tree-layout.js';
import { Field, Flag } from './layout.js';
import type { TreeMemory } from './memory.js';
import type { Tabs } from './sharing/tab.js';

const BUDGET_MAX_BYTES = 2 ** 30;
/** A grant is at most this, and at most a quarter of what is left above, so that siblings find some too. */
const GRANT_BYTES = 8192;
/** Ends the list of open ledgers; 0 would mean that a ledger is not on it. */
const LIST_END = -1;

export class Ledger {
  private readonly words: Int32Array;
  private readonly doubles: Float64Array;
  private readonly clock: Float64Array;
  private readonly shared: SharedTree;
  private first = LIST_END;

  constructor(
    memory: TreeMemory,
    private readonly tabs: Tabs,
  ) {
    this.words = memory.words;
    this.doubles = memory.doubles;
    this.clock = memory.clock;
    this.shared = memory.shared;
  }

  /** Makes the budget of an inner class at least `bytes`, if it and all above it have room. */
  extend(record: number, bytes: number): boolean {
    const words = this.words;
    if (words[record + Field.LEDGER_NEXT] === 0) this.open(record);
    const ownRoom = words[record + Field.LEDGER_ROOM]!;
    if (ownRoom < bytes) return false;
    const parent = words[record + Field.PARENT]!;
    let grant = ownRoom;
    if (parent !== 0) {
      if (words[parent + Field.LEDGER_BUDGET]! < bytes && !this.extend(parent, bytes)) return false;
      const quarter = words[parent + Field.LEDGER_BUDGET]! >> 2;
      const share = quarter < GRANT_BYTES ? quarter : GRANT_BYTES;
      grant = share < bytes ? bytes : share;
      if (grant > ownRoom) grant = ownRoom;
      words[parent + Field.LEDGER_BUDGET]! -= grant;
    }
    words[record + Field.LEDGER_ROOM] = ownRoom - grant;
    words[record + Field.LEDGER_BUDGET]! += grant;
    words[record + Field.LEDGER_GRANTED]! += grant;
    return words[record + Field.LEDGER_BUDGET]! >= bytes;
  }

  /** Charges everything and closes all ledgers. */
  close(): void {
    const words = this.words;
    let record = this.first;
    // A ledger is opened after its parent's and listed before it, so children come first.
    while (record !== LIST_END) {
      this.settle(record);
      const next = words[record + Field.LEDGER_NEXT]!;
      words[record + Field.LEDGER_NEXT] = 0;
      record = next;
    }
    this.first = LIST_END;
  }

  private open(record: number): void {
    const words = this.words;
    const parent = words[record + Field.PARENT]!;
    if (parent !== 0 && words[parent + Field.LEDGER_NEXT] === 0) this.open(parent);
    words[record + Field.LEDGER_NEXT] = this.first;
    this.first = record;
    words[record + Field.LEDGER_ROOM] = 0;
    if (this.shared.queues > 1) this.tabs.renew(record);
    if ((words[record + Field.FLAGS]! & (Flag.IS_SHUT | Flag.HAS_CLAIM)) === 0) this.setRoom(record);
  }

  /** Sets the room to the bytes that can be charged before the class's mode changes or one of its tabs is used up. */
  private setRoom(record: number): void {
    const nowNs = this.clock[0]!;
    const shapes = this.shared.shapes;
    const doubles = this.doubles;
    const shape = this.words[record + Field.SHAPE]!;
    const at = record >> 1;
    let bytes = BUDGET_MAX_BYTES;
    const ceilNsPerByte = shapes[shape + Shape.CEIL_NS_PER_BYTE]!;
    if (ceilNsPerByte > 0) {
      const debtNs = Math.max(0, doubles[at + Field.D_CEIL_FULL_AT_NS]! - nowNs);
      const borrowLimitNs = shapes[shape + Shape.CEIL_BORROW_LIMIT_NS]!;
      const limitNs = debtNs <= borrowLimitNs ? borrowLimitNs : shapes[shape + Shape.CEIL_LIMIT_NS]!;
      const tabNs = shapes[shape + Shape.CEIL_TAB_NS]! - doubles[at + Field.D_CEIL_TAB_NS]!;
      bytes = Math.min(bytes, Math.min(limitNs - debtNs, tabNs) / ceilNsPerByte);
    }
    const rateNsPerByte = shapes[shape + Shape.RATE_NS_PER_BYTE]!;
    if (rateNsPerByte > 0) {
      const debtNs = Math.max(0, doubles[at + Field.D_RATE_FULL_AT_NS]! - nowNs);
      const limitNs = shapes[shape + Shape.RATE_LIMIT_NS]!;
      // Beyond its limit more debt changes nothing.
      const roomNs = debtNs <= limitNs ? limitNs - debtNs : Number.POSITIVE_INFINITY;
      const tabNs = shapes[shape + Shape.RATE_TAB_NS]! - doubles[at + Field.D_RATE_TAB_NS]!;
      bytes = Math.min(bytes, Math.min(roomNs, tabNs) / rateNsPerByte);
    }
    // Stored here, not returned: a double that is returned is allocated.
    this.words[record + Field.LEDGER_ROOM] = bytes > 0 ? bytes | 0 : 0;
  }

  /** Charges what was used of a ledger to its class, and reports it to the parent's. */
  private settle(record: number): void {
    const words = this.words;
    const unused = words[record + Field.LEDGER_BUDGET]!;
    const chargedBytes = words[record + Field.LEDGER_GRANTED]! - unused;
    const lenBytes = words[record + Field.LEDGER_BYTES]!;
    const packets = words[record + Field.LEDGER_PACKETS]!;
    words[record + Field.LEDGER_BUDGET] = 0;
    words[record + Field.LEDGER_GRANTED] = 0;
    words[record + Field.LEDGER_BYTES] = 0;
    words[record + Field.LEDGER_PACKETS] = 0;
    const parent = words[record + Field.PARENT]!;
    if (parent !== 0) {
      words[parent + Field.LEDGER_BUDGET]! += unused;
      words[parent + Field.LEDGER_BYTES]! += lenBytes;
      words[parent + Field.LEDGER_PACKETS]! += packets;
    }
    if (packets === 0) return;
    const nowNs = this.clock[0]!;
    const doubles = this.doubles;
    const shapes = this.shared.shapes;
    const shape = words[record + Field.SHAPE]!;
    const at = record >> 1;
    const ceilCostNs = chargedBytes * shapes[shape + Shape.CEIL_NS_PER_BYTE]!;
    const rateCostNs = chargedBytes * shapes[shape + Shape.RATE_NS_PER_BYTE]!;
    doubles[at + Field.D_CEIL_FULL_AT_NS] =
      Math.max(doubles[at + Field.D_CEIL_FULL_AT_NS]!, nowNs) + ceilCostNs;
    doubles[at + Field.D_RATE_FULL_AT_NS] =
      Math.max(doubles[at + Field.D_RATE_FULL_AT_NS]!, nowNs) + rateCostNs;
    if (this.shared.queues > 1) {
      doubles[at + Field.D_RATE_TAB_NS]! += rateCostNs;
      doubles[at + Field.D_CEIL_TAB_NS]! += ceilCostNs;
    }
    doubles[at + Field.D_BYTES]! += lenBytes;
    doubles[at + Field.D_PACKETS]! += packets;
  }
}
