/**
 * Turns a class tree into what workers run on, and every later tree into the difference. The one writer of the
 * class table, the shapes and the class hash.
 *
 * A class keeps its index as long as its id stays and it does not turn from a leaf into an inner class or back;
 * with the index it keeps tokens, backlog and counters. An index is used again only when no worker holds it.
 */
import type { ClassSpec, ClassTree } from '../../classes/model.js';
import { WeirError } from '../errors.js';
import { freshenBucket, rescaleBucket, wrapUs } from '../htb/sharing/bucket.js';
import { ClassHashWriter } from '../shm/class-hash-writer.js';
import {
  adoptedWord,
  Change,
  EpochWord,
  type PublishedEpoch,
  type SharedShaper,
} from '../shm/shared-shaper.js';
import { Direction, Limit, Shape, Word } from '../shm/tree-layout.js';
import { ShapeTable } from './shapes.js';

/** A published class. */
export interface PublishedClass {
  readonly index: number;
  spec: ClassSpec;
  parentIndex: number;
  readonly isInner: boolean;
  level: number;
  /** Change.FLAG_CLAIM_* bits. */
  claims: number;
  shapes: [number, number];
  readonly fairSlot: number;
}

/** What a publication changed, by class. */
export interface PublishSummary {
  readonly epoch: number;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}

const DIRECTION_KEYS = ['down', 'up'] as const;
/** What a byte costs, and the shared word, of the assured and of the ceil bucket. */
const BUCKETS = [
  [Shape.RATE_NS_PER_BYTE, Word.RATE_FULL_AT_US],
  [Shape.CEIL_NS_PER_BYTE, Word.CEIL_FULL_AT_US],
] as const;
const CLAIM_FLAGS = [Change.FLAG_CLAIM_DOWN, Change.FLAG_CLAIM_UP] as const;

export class Publisher {
  readonly #shared: SharedShaper;
  readonly #hash: ClassHashWriter;
  readonly #shapes: readonly [ShapeTable, ShapeTable];
  readonly #classes = new Map<string, PublishedClass>();
  readonly #deliver: (epoch: PublishedEpoch) => void;
  #epoch = 0;
  #nextIndex = 0;
  #freeIndexes: number[] = [];
  /** Removed classes that some tree may still be draining; till then their index, slot and shapes are in use. */
  #retired: PublishedClass[] = [];
  #nextFairSlot = 0;
  #freeFairSlots: number[] = [];
  #changes: number[] = [];
  #hashIsNew = true;

  /** `deliver` hands an epoch to every worker; it is called before the epoch becomes visible. */
  constructor(shared: SharedShaper, options: { seed: number; deliver: (epoch: PublishedEpoch) => void }) {
    this.#shared = shared;
    this.#hash = new ClassHashWriter({ seed: options.seed });
    this.#shapes = [new ShapeTable(shared.trees[Direction.DOWN]), new ShapeTable(shared.trees[Direction.UP])];
    this.#deliver = options.deliver;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** The classes of the epoch published last, by id. */
  get classes(): ReadonlyMap<string, PublishedClass> {
    return this.#classes;
  }

  get classHashBytes(): number {
    return this.#hash.memoryBytes;
  }

  /**
   * Publishes `tree` as the next epoch. `nowNs` is the workers' clock. Throws E_CAPACITY, and changes nothing,
   * when there is no room for the classes.
   */
  publish(tree: ClassTree, nowNs: number): PublishSummary {
    this.reclaim();
    const layout = layOut(tree);
    this.#checkCapacity(tree, layout);
    const epoch = (this.#epoch + 1) | 0;
    this.#changes = [];
    const stale = new Set(this.#classes.keys());
    const summary = { epoch, added: 0, changed: 0, removed: 0 };
    let remapsFlows = false;
    const removals: PublishedClass[] = [];
    for (let i = 0; i < tree.classes.length; i++) {
      const spec = tree.classes[i]!;
      const isInner = layout.isInner[i] === 1;
      const before = this.#classes.get(spec.id);
      if (before !== undefined && before.isInner === isInner) {
        stale.delete(spec.id);
        if (this.#update(before, spec, layout, i, epoch, nowNs)) summary.changed++;
        if (this.#rematch(before.index, before.spec, spec, epoch)) remapsFlows = true;
        before.spec = spec;
        continue;
      }
      if (before !== undefined) {
        stale.delete(spec.id);
        removals.push(before);
        this.#rematch(before.index, before.spec, null, epoch);
      }
      const added = this.#add(spec, isInner, layout, i, nowNs);
      this.#rematch(added.index, null, spec, epoch);
      remapsFlows = true;
      summary.added++;
    }
    for (const id of stale) {
      const gone = this.#classes.get(id)!;
      this.#classes.delete(id);
      this.#rematch(gone.index, gone.spec, null, epoch);
      removals.push(gone);
      summary.removed++;
    }
    // Children before parents, so that a removed subtree is let go of from below.
    for (const gone of removals.reverse()) this.#remove(gone);
    if (removals.length > 0) remapsFlows = true;
    this.#release(tree, epoch, remapsFlows);
    return summary;
  }

  /** Makes memory available again that no worker uses any more. Cheap; call it now and then. */
  reclaim(): void {
    const oldest = this.oldestAdoptedEpoch();
    this.#hash.maintain(oldest);
    const held: PublishedClass[] = [];
    for (const gone of this.#retired) {
      if (Atomics.load(this.#shared.holders, gone.index) !== 0) {
        held.push(gone);
        continue;
      }
      for (let d = 0; d < Limit.DIRECTIONS; d++) this.#shapes[d]!.drop(gone.shapes[d]!, this.#epoch);
      this.#freeIndexes.push(gone.index);
      if (gone.fairSlot > 0) this.#freeFairSlots.push(gone.fairSlot);
    }
    this.#retired = held;
    for (const shapes of this.#shapes) shapes.reclaim(oldest);
  }

  /**
   * Keeps the wrapping clocks of idle buckets from being misread. To be called at least every ten minutes; `nowNs` is
   * the workers' clock.
   */
  freshen(nowNs: number): void {
    const nowUs = wrapUs(nowNs);
    for (const tree of this.#shared.trees) {
      for (let index = 0; index < this.#nextIndex; index++) {
        for (const [, word] of BUCKETS) freshenBucket(tree.classWords, (index << Word.SHIFT) + word, nowUs);
      }
    }
  }

  /** The oldest epoch that some worker still runs on. */
  oldestAdoptedEpoch(): number {
    let oldest = this.#epoch;
    for (let queue = 0; queue < this.#shared.queues; queue++) {
      const adopted = Atomics.load(this.#shared.epochWords, adoptedWord(queue));
      if (((adopted - oldest) | 0) < 0) oldest = adopted;
    }
    return oldest;
  }

  #checkCapacity(tree: ClassTree, layout: TreeLayout): void {
    const free = this.#shared.capacityClasses - this.#nextIndex + this.#freeIndexes.length;
    let wanted = 0;
    for (let i = 0; i < tree.classes.length; i++) {
      const before = this.#classes.get(tree.classes[i]!.id);
      if (before === undefined || before.isInner !== (layout.isInner[i] === 1)) wanted++;
    }
    // Every class may take a new shape before its old one is free, which takes the workers' adoption.
    if (this.#shapes.some((shapes) => shapes.room < tree.classes.length))
      throw new WeirError(
        'E_CAPACITY',
        'too many changes at once: the workers have not adopted the last ones',
      );
    if (wanted <= free) return;
    throw new WeirError(
      'E_CAPACITY',
      `${tree.classes.length} classes do not fit: room for ${free} new ones, ${wanted} wanted`,
    );
  }

  #add(spec: ClassSpec, isInner: boolean, layout: TreeLayout, at: number, nowNs: number): PublishedClass {
    const index = this.#freeIndexes.pop() ?? this.#nextIndex++;
    const fairSlot = isInner ? (this.#freeFairSlots.pop() ?? ++this.#nextFairSlot) : 0;
    const nowUs = wrapUs(nowNs);
    for (const tree of this.#shared.trees) {
      const base = index << Word.SHIFT;
      // Nobody holds the index, so plain stores do; the epoch word publishes them.
      tree.classWords.fill(0, base, base + Word.STRIDE);
      tree.classWords[base + Word.RATE_FULL_AT_US] = nowUs;
      tree.classWords[base + Word.CEIL_FULL_AT_US] = nowUs;
    }
    Atomics.store(this.#shared.holders, index, this.#shared.queues * Limit.DIRECTIONS);
    const added: PublishedClass = {
      index,
      spec,
      parentIndex: this.#parentIndex(spec),
      isInner,
      level: layout.level[at]!,
      claims: layout.claims[at]!,
      shapes: this.#takeShapes(spec, isInner, layout.claims[at]!),
      fairSlot,
    };
    this.#classes.set(spec.id, added);
    this.#recordSet(added);
    return added;
  }

  /** Records what is new about a class that stays; false when nothing is. */
  #update(
    entry: PublishedClass,
    spec: ClassSpec,
    layout: TreeLayout,
    at: number,
    epoch: number,
    nowNs: number,
  ): boolean {
    const parentIndex = this.#parentIndex(spec);
    const shapes = this.#takeShapes(spec, entry.isInner, layout.claims[at]!);
    for (let d = 0; d < Limit.DIRECTIONS; d++) this.#shapes[d]!.drop(entry.shapes[d]!, epoch);
    const same =
      parentIndex === entry.parentIndex &&
      shapes[0] === entry.shapes[0] &&
      shapes[1] === entry.shapes[1] &&
      layout.level[at] === entry.level &&
      layout.claims[at] === entry.claims;
    if (!same) this.#rescale(entry, shapes, nowNs);
    entry.shapes = shapes;
    if (same) return false;
    entry.parentIndex = parentIndex;
    entry.level = layout.level[at]!;
    entry.claims = layout.claims[at]!;
    this.#recordSet(entry);
    return true;
  }

  /** What a shared bucket lacks stays the same in bytes when its rate changes. */
  #rescale(entry: PublishedClass, shapes: readonly [number, number], nowNs: number): void {
    if (this.#shared.queues === 1 || entry.shapes === shapes) return;
    const nowUs = wrapUs(nowNs);
    for (let d = 0; d < Limit.DIRECTIONS; d++) {
      const tree = this.#shared.trees[d]!;
      for (const [price, word] of BUCKETS) {
        const before = tree.shapes[(entry.shapes[d]! << Shape.SHIFT) + price]!;
        const after = tree.shapes[(shapes[d]! << Shape.SHIFT) + price]!;
        if (before === after) continue;
        const ratio = before > 0 ? after / before : 0;
        rescaleBucket(tree.classWords, (entry.index << Word.SHIFT) + word, nowUs, ratio);
      }
    }
  }

  #remove(gone: PublishedClass): void {
    this.#changes.push(Change.OP_REMOVE, gone.index, 0, 0, 0, 0, 0, 0);
    this.#retired.push(gone);
  }

  #recordSet(entry: PublishedClass): void {
    const flags = (entry.isInner ? Change.FLAG_INNER : 0) | entry.claims;
    this.#changes.push(Change.OP_SET, entry.index, entry.parentIndex, flags, entry.level);
    this.#changes.push(entry.shapes[0], entry.shapes[1], entry.fairSlot);
  }

  #takeShapes(spec: ClassSpec, isInner: boolean, claims: number): [number, number] {
    const { limitPackets, limitBytes } = spec;
    const isRoot = spec.parent === null;
    const of = (d: 0 | 1): number =>
      this.#shapes[d].take({
        direction: spec[DIRECTION_KEYS[d]],
        isInner,
        isRoot,
        hasClaim: (claims & CLAIM_FLAGS[d]) !== 0,
        limitPackets,
        limitBytes,
      });
    return [of(Direction.DOWN), of(Direction.UP)];
  }

  #parentIndex(spec: ClassSpec): number {
    return spec.parent === null ? -1 : this.#classes.get(spec.parent)!.index;
  }

  /** Brings a class's entries in the class hash up to date; true when any changed. */
  #rematch(index: number, before: ClassSpec | null, after: ClassSpec | null, epoch: number): boolean {
    if (before !== null && after !== null && before.match === after.match) return false;
    const kept = new Set(after?.match.map(({ text }) => text));
    let changed = false;
    for (const prefix of before?.match ?? []) {
      if (kept.has(prefix.text)) continue;
      // An address that has moved to another class in this epoch is that class's already.
      if (this.#hash.get(prefix.family, prefix.words, prefix.length) !== index) continue;
      this.#hash.remove(prefix.family, prefix.words, prefix.length, epoch);
      changed = true;
    }
    for (const prefix of after?.match ?? []) {
      if (this.#hash.get(prefix.family, prefix.words, prefix.length) === index) continue;
      this.#hash.insert(prefix.family, prefix.words, prefix.length, index, epoch);
      changed = true;
    }
    return changed;
  }

  #release(tree: ClassTree, epoch: number, remapsFlows: boolean): void {
    const moved = this.#hash.takeNewBuffer();
    const classHash = moved ?? (this.#hashIsNew ? this.#hash.buffer : null);
    this.#hashIsNew = false;
    const changes = new Int32Array(new SharedArrayBuffer(this.#changes.length * 4));
    changes.set(this.#changes);
    this.#changes = [];
    this.#epoch = epoch;
    this.#deliver({
      epoch,
      changes,
      classHash,
      defaultClassIndex: tree.defaultClass === null ? -1 : this.#classes.get(tree.defaultClass)!.index,
      overheadBytes: tree.overheadBytes,
      mpuBytes: tree.mpuBytes,
      remapsFlows,
    });
    // Publishes all stores above to the workers' load at the start of a step.
    Atomics.store(this.#shared.epochWords, EpochWord.PUBLISHED, epoch);
  }
}

/** Per class, in the tree's order: kind, level, and in which directions it takes part in claims. */
interface TreeLayout {
  isInner: Uint8Array;
  level: Uint8Array;
  claims: Uint8Array;
}

function layOut(tree: ClassTree): TreeLayout {
  const count = tree.classes.length;
  const order = new Map<string, number>();
  const parent = new Int32Array(count).fill(-1);
  const isInner = new Uint8Array(count);
  const depth = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const spec = tree.classes[i]!;
    order.set(spec.id, i);
    if (spec.parent === null) continue;
    const above = order.get(spec.parent)!;
    parent[i] = above;
    isInner[above] = 1;
    depth[i] = depth[above]! + 1;
  }
  const level = depth.map((d, i) => (isInner[i] === 1 ? Limit.LEVELS - 1 - d : 0));
  const claims = new Uint8Array(count);
  for (let d = 0; d < Limit.DIRECTIONS; d++) markClaims(tree, parent, d as 0 | 1, claims);
  return { isInner, level, claims };
}

/**
 * Marks the classes below an ancestor whose children have more assured than itself. A class without a limit of
 * its own passes the claims of its children on to the nearest ancestor that has one.
 */
function markClaims(tree: ClassTree, parent: Int32Array, direction: 0 | 1, claims: Uint8Array): void {
  const count = tree.classes.length;
  const sumBps = new Float64Array(count);
  const rateOf = (i: number): number => tree.classes[i]![DIRECTION_KEYS[direction]]?.rateBps ?? 0;
  for (let i = 0; i < count; i++) {
    let holder = parent[i]!;
    while (holder >= 0 && rateOf(holder) === 0) holder = parent[holder]!;
    if (holder >= 0) sumBps[holder]! += rateOf(i);
  }
  for (let i = 0; i < count; i++) {
    const above = parent[i]!;
    if (above < 0) continue;
    const flag = CLAIM_FLAGS[direction];
    const isOver = rateOf(above) > 0 && sumBps[above]! > rateOf(above);
    if (isOver || (claims[above]! & flag) !== 0) claims[i]! |= flag;
  }
}
