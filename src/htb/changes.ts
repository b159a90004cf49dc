/**
 * Brings one tree in line with a published change of classes, between two steps, while packets are queued in it.
 *
 *   absent --set--> present --set--> present (new shape, new parent: backlog, tokens and counters stay)
 *                      |
 *                    remove --> draining (still scheduled) --last packet, last child--> absent
 *
 * A class never turns from a leaf into an inner class or back; the publisher gives it a new index instead.
 */
import { letGo } from '../shm/holds.js';
import { LeafFlag, Limit, Shape } from '../shm/tree-layout.js';
import type { Htb } from './htb.js';
import { Field, Flag } from './layout.js';
import { Sojourn } from './leaves/sojourn.js';
import { TreeMemory } from './memory.js';
import { DEBT_US_MAX } from './sharing/bucket.js';

const DEBT_NS_MAX = DEBT_US_MAX * 1000;

export interface ClassSetting {
  classIndex: number;
  /** -1 for a root. */
  parentIndex: number;
  isInner: boolean;
  /** Assured rates below some ancestor add up to more than the ancestor's. */
  hasClaim: boolean;
  /** 0 for a leaf, otherwise Limit.LEVELS - 1 less one for each ancestor. */
  level: number;
  shapeIndex: number;
  /** Inner: slot in the shared fair words. */
  fairSlot: number;
}

export class ChangeApplier {
  readonly #tree: Htb;
  readonly #memory: TreeMemory;
  readonly #words: Int32Array;
  readonly #onFreed: (classIndex: number) => void;

  /** `onFreed` hears of every class that this tree lets go of, after it was removed. */
  constructor(tree: Htb, onFreed: (classIndex: number) => void = () => {}) {
    this.#tree = tree;
    this.#memory = tree.memory;
    this.#words = tree.memory.words;
    this.#onFreed = onFreed;
    tree.onDrained = (record) => this.#free(record);
  }

  /** Adds a class, or gives one that is there other values. Parents come before children. */
  set(setting: ClassSetting): void {
    const record = TreeMemory.recordOf(setting.classIndex);
    this.#memory.lastIndex = Math.max(this.#memory.lastIndex, setting.classIndex);
    if ((this.#words[record + Field.FLAGS]! & Flag.IS_PRESENT) === 0) this.#add(record, setting);
    else if (setting.isInner) this.#changeInner(record, setting);
    else this.#changeLeaf(record, setting);
  }

  /** Removes a class; it drains first. */
  remove(classIndex: number): void {
    const words = this.#words;
    const record = TreeMemory.recordOf(classIndex);
    const flags = words[record + Field.FLAGS]!;
    if ((flags & Flag.IS_PRESENT) === 0) return;
    words[record + Field.FLAGS] = flags | Flag.IS_DRAINING;
    const holds =
      (flags & Flag.IS_INNER) !== 0
        ? words[record + Field.CHILDREN]!
        : words[record + Field.BACKLOG_PACKETS]!;
    if (holds === 0) this.#free(record);
  }

  #add(record: number, setting: ClassSetting): void {
    const words = this.#words;
    this.#clearHistogram(record);
    words.fill(0, record, record + Field.CLASS_STRIDE);
    words[record + Field.FLAGS] = Flag.IS_PRESENT | (setting.isInner ? Flag.IS_INNER : 0);
    this.#setFields(record, setting);
    this.#adopt(record);
    // Full when the class is new, and what the publisher left in them when the worker is.
    this.#tree.tabs.refresh(record);
    if (setting.isInner) {
      this.#memory.takeFeeds(record);
      // Queues that have adopted the class earlier may have used up its tokens: it may begin with nothing, and waits.
      this.#tree.modes.restartInner(record);
    } else words[record + Field.FLAGS]! |= this.#tree.modes.modeOf(record);
  }

  /** Only where a class before may have written into it: it is not resident otherwise. */
  #clearHistogram(record: number): void {
    if (this.#memory.doubles[(record >> 1) + Field.D_PACKETS] === 0) return;
    const at = this.#memory.sojournBase + (TreeMemory.classIndexOf(record) << Sojourn.SHIFT);
    this.#memory.doubles.fill(0, at, at + Sojourn.BUCKETS);
  }

  #changeLeaf(record: number, setting: ClassSetting): void {
    const modes = this.#tree.modes;
    const hadPackets = this.#words[record + Field.BACKLOG_PACKETS] !== 0;
    if (this.#movesOrTurns(record, setting)) {
      // Weights and claims are announced along the path to the root; they are withdrawn before it changes.
      this.#tree.registry.unregister(record);
      modes.retireLeaf(record);
      this.#disown(record);
      this.#setFields(record, setting);
      this.#adopt(record);
    } else {
      modes.schedule.changeQuantum(record, setting.shapeIndex << Shape.SHIFT);
      this.#setFields(record, setting);
    }
    if (this.#words[record + Field.BACKLOG_PACKETS] !== 0) modes.placeLeaf(record);
    // Another queue may have had no room for any of them.
    else if (hadPackets) this.#tree.emptied(record);
  }

  #changeInner(record: number, setting: ClassSetting): void {
    const words = this.#words;
    const modes = this.#tree.modes;
    const registry = this.#tree.registry;
    if (!this.#movesInner(record, setting)) {
      this.#reshapeInner(record, setting);
      return;
    }
    this.#withdrawBelow(record, setting);
    // What is parked above may stand for this class or for leaves below it; let it find its place anew.
    for (let a = words[record + Field.PARENT]!; a !== 0; a = words[a + Field.PARENT]!) modes.releaseParked(a);
    modes.detachInner(record);
    const oldParent = words[record + Field.PARENT]!;
    const wasClaiming = (words[record + Field.FLAGS]! & Flag.IS_CLAIMING) !== 0;
    if (wasClaiming) registry.dropClaims(record);
    this.#shiftWeights(record, oldParent, -1);
    modes.retireInner(record);
    this.#disown(record);
    this.#setFields(record, setting);
    this.#adopt(record);
    this.#shiftWeights(record, words[record + Field.PARENT]!, 1);
    if (wasClaiming) registry.addClaims(record);
    const feeds = words[record + Field.FEEDS]!;
    for (let prio = 0; prio < Limit.PRIOS; prio++) {
      const flags = feeds + (prio << Field.FEED_SHIFT) + Field.FLAGS;
      words[flags] = (words[flags]! & ~Flag.LEVEL_MASK) | (setting.level << Flag.LEVEL_SHIFT);
    }
    modes.restartInner(record);
  }

  /** Gives an inner class that stays where it is other rates; what borrows through it keeps its turn. */
  #reshapeInner(record: number, setting: ClassSetting): void {
    this.#withdrawBelow(record, setting);
    const registry = this.#tree.registry;
    const wasClaiming = (this.#words[record + Field.FLAGS]! & Flag.IS_CLAIMING) !== 0;
    if (wasClaiming) registry.dropClaims(record);
    this.#setFields(record, setting);
    if (wasClaiming) registry.addClaims(record);
    this.#tree.modes.reviewInner(record);
  }

  /**
   * A class without an assured rate passes claims on to the one above. When it gets a rate, loses it or moves, leaves
   * below have their claims with another class than before: they are withdrawn, and announced again if they go on.
   * Seldom enough to look at every class.
   */
  #withdrawBelow(record: number, setting: ClassSetting): void {
    const words = this.#words;
    const shapes = this.#memory.shared.shapes;
    const hadRate = shapes[words[record + Field.SHAPE]! + Shape.CLAIM]! > 0;
    const hasRate = shapes[(setting.shapeIndex << Shape.SHIFT) + Shape.CLAIM]! > 0;
    if (hadRate && hasRate) return;
    for (let index = 0; index <= this.#memory.lastIndex; index++) {
      const leaf = TreeMemory.recordOf(index);
      if ((words[leaf + Field.FLAGS]! & (Flag.IS_INNER | Flag.IS_CLAIMING)) !== Flag.IS_CLAIMING) continue;
      let above = words[leaf + Field.PARENT]!;
      while (above !== 0 && above !== record) above = words[above + Field.PARENT]!;
      if (above === 0) continue;
      this.#tree.registry.unregister(leaf);
      if (words[leaf + Field.BACKLOG_PACKETS] !== 0) this.#tree.modes.placeLeaf(leaf);
    }
  }

  #movesInner(record: number, setting: ClassSetting): boolean {
    const words = this.#words;
    const parent = setting.parentIndex < 0 ? 0 : TreeMemory.recordOf(setting.parentIndex);
    const level = (words[record + Field.FLAGS]! & Flag.LEVEL_MASK) >> Flag.LEVEL_SHIFT;
    return words[record + Field.PARENT] !== parent || level !== setting.level;
  }

  #movesOrTurns(record: number, setting: ClassSetting): boolean {
    const words = this.#words;
    const parent = setting.parentIndex < 0 ? 0 : TreeMemory.recordOf(setting.parentIndex);
    const prio = this.#memory.shared.shapes[(setting.shapeIndex << Shape.SHIFT) + Shape.PRIO]!;
    const hadClaim = (words[record + Field.FLAGS]! & Flag.HAS_CLAIM) !== 0;
    if (words[record + Field.PARENT] !== parent || hadClaim !== setting.hasClaim) return true;
    return (words[record + Field.FLAGS]! & Flag.PRIO_MASK) >> Flag.PRIO_SHIFT !== prio;
  }

  #setFields(record: number, setting: ClassSetting): void {
    const words = this.#words;
    const shape = setting.shapeIndex << Shape.SHIFT;
    const { shapes } = this.#memory.shared;
    this.#rescale(record, words[record + Field.SHAPE]!, shape);
    const prio = shapes[shape + Shape.PRIO]!;
    const mustQueue = !setting.isInner && (shapes[shape + Shape.LEAF]! & LeafFlag.WASH) !== 0;
    const isAnnounced = !setting.isInner && (this.#memory.shared.queues > 1 || setting.hasClaim);
    const kept =
      words[record + Field.FLAGS]! &
      ~(Flag.PRIO_MASK | Flag.LEVEL_MASK | Flag.HAS_CLAIM | Flag.MUST_REGISTER | Flag.MUST_QUEUE);
    words[record + Field.FLAGS] =
      kept |
      (prio << Flag.PRIO_SHIFT) |
      (setting.level << Flag.LEVEL_SHIFT) |
      (setting.hasClaim ? Flag.HAS_CLAIM : 0) |
      (isAnnounced ? Flag.MUST_REGISTER : 0) |
      (mustQueue ? Flag.MUST_QUEUE : 0);
    words[record + Field.PARENT] = setting.parentIndex < 0 ? 0 : TreeMemory.recordOf(setting.parentIndex);
    if (
      !setting.isInner &&
      words[record + Field.BACKLOG_PACKETS] !== 0 &&
      this.#queuesOtherwise(record, shape)
    )
      this.#tree.leaves.requeue(record, shape);
    else words[record + Field.SHAPE] = shape;
    if (setting.isInner) words[record + Field.FAIR_SLOT] = setting.fairSlot;
  }

  /** Whether a leaf's packets lie elsewhere in the queue of another shape. */
  #queuesOtherwise(record: number, shape: number): boolean {
    const { shapes } = this.#memory.shared;
    const before = this.#words[record + Field.SHAPE]!;
    const changed = shapes[before + Shape.LEAF]! ^ shapes[shape + Shape.LEAF]!;
    return (changed & ~(LeafFlag.ECN | LeafFlag.WASH)) !== 0;
  }

  /**
   * Keeps what the buckets lack in bytes when the price of a byte changes, so that what was sent at the old rate is
   * paid for at the new one. Shared words have been rescaled by the publisher; the worker's tabs are its own.
   */
  #rescale(record: number, oldShape: number, shape: number): void {
    const { doubles, shared } = this.#memory;
    const nowNs = this.#memory.clock[0]!;
    const at = record >> 1;
    for (let bucket = 0; bucket < 2; bucket++) {
      const oldNsPerByte = shared.shapes[oldShape + Shape.RATE_NS_PER_BYTE + bucket]!;
      const nsPerByte = shared.shapes[shape + Shape.RATE_NS_PER_BYTE + bucket]!;
      if (nsPerByte === oldNsPerByte) continue;
      const ratio = oldNsPerByte > 0 ? nsPerByte / oldNsPerByte : 0;
      const debtNs = Math.max(0, doubles[at + Field.D_RATE_FULL_AT_NS + bucket]! - nowNs);
      // No more than a shared word can say: above its lender a class owes without limit, and from a fast rate to a
      // slow one that may come to months.
      doubles[at + Field.D_RATE_FULL_AT_NS + bucket] = nowNs + Math.min(debtNs * ratio, DEBT_NS_MAX);
      doubles[at + Field.D_RATE_TAB_NS + bucket]! *= ratio;
    }
    if (shared.queues === 1) return;
    // A tab that is more than the new shape allows would hold the class back for ever: it is charged now.
    this.#tree.tabs.settle(record);
    this.#tree.tabs.refresh(record);
  }

  #adopt(record: number): void {
    const parent = this.#words[record + Field.PARENT]!;
    if (parent === 0) this.#tree.roots++;
    else this.#words[parent + Field.CHILDREN]! += 1;
  }

  #disown(record: number): void {
    const parent = this.#words[record + Field.PARENT]!;
    if (parent === 0) this.#tree.roots--;
    else this.#words[parent + Field.CHILDREN]! -= 1;
  }

  /** Moves what borrowers below an inner class have announced from one chain of ancestors to another. */
  #shiftWeights(record: number, parent: number, sign: number): void {
    const feeds = this.#words[record + Field.FEEDS]!;
    for (let prio = 0; prio < Limit.PRIOS; prio++) {
      const weight = this.#words[feeds + (prio << Field.FEED_SHIFT) + Field.FEED_WEIGHT]!;
      if (weight !== 0) this.#tree.registry.shiftWeight(parent, prio, sign * weight);
    }
  }

  /** Lets go of an empty class, and of removed ancestors that it was the last child of. */
  #free(from: number): void {
    const words = this.#words;
    let record = from;
    while (record !== 0) {
      const parent = words[record + Field.PARENT]!;
      if ((words[record + Field.FLAGS]! & Flag.IS_INNER) !== 0) {
        this.#tree.modes.detachInner(record);
        this.#tree.modes.retireInner(record);
        this.#memory.giveFeeds(record);
      } else {
        this.#tree.modes.retireLeaf(record);
        this.#tree.registry.unregister(record);
        if ((words[record + Field.FLAGS]! & Flag.IS_FAT) !== 0) this.#tree.leaves.overflow.leave(record);
      }
      this.#disown(record);
      words[record + Field.FLAGS] = words[record + Field.FLAGS]! & Flag.MODE_MASK;
      const classIndex = TreeMemory.classIndexOf(record);
      this.#onFreed(classIndex);
      letGo(this.#memory.shared, this.#memory.queue, classIndex);
      const goesToo =
        parent !== 0 &&
        (words[parent + Field.FLAGS]! & Flag.IS_DRAINING) !== 0 &&
        words[parent + Field.CHILDREN] === 0;
      record = goesToo ? parent : 0;
    }
  }
}
