/**
 * Turns a class tree into what workers run on, and every later tree into the difference. The one writer of the
 * class table, the shapes and the class hash.
 *
 * A class keeps its index as long as its id stays and it does not turn from a leaf into an inner class or back;
 * with the index it keeps tokens, backlog and counters. An index is used again only when no worker holds it.
 */
import { type ClassSpec, type ClassTree, LINK_LAYERS, type PrefixSpec } from '../../classes/model.js';
import { NO_SETTINGS, type QueueSettings, queueSpecOf } from '../../classes/queue.js';
import { areEqualSettings } from '../../classes/queue-table.js';
import { WeirError } from '../errors.js';
import { freshenBucket, rescaleBucket, wrapUs } from '../htb/sharing/bucket.js';
import { beginGeneration } from '../htb/sharing/generation.js';
import { chargeLostTab } from '../htb/sharing/lost-tab.js';
import { ClassHashWriter } from '../shm/class-hash-writer.js';
import { holdByAll, isHeld, letGo } from '../shm/holds.js';
import { adoptedWord, EpochWord, type PublishedEpoch, type SharedShaper } from '../shm/shared-shaper.js';
import { Direction, Limit, Shape, Word } from '../shm/tree-layout.js';
import { ChangeList } from './change-list.js';
import { CLAIM_FLAGS, DIRECTION_KEYS, layOut, type TreeLayout } from './class-layout.js';
import { OVERDRAFT_BYTES, ShapeTable } from './shapes.js';

/** A published class. */
export interface PublishedClass {
  readonly index: number;
  spec: ClassSpec;
  parentIndex: number;
  readonly isInner: boolean;
  /** Place in the tree published last. */
  place: number;
  level: number;
  /** Change.FLAG_CLAIM_* bits. */
  claims: number;
  shapes: [number, number];
  readonly fairSlot: number;
}

/** How many classes a publication changed. */
export interface PublishSummary {
  readonly epoch: number;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}

/** Who wants to know which classes have come and gone. */
export interface ClassWatcher {
  /** Was published under an index that nobody holds; its id may be that of a class that left in the same epoch. */
  onArrival(arrived: PublishedClass, epoch: number): void;
  /** Is in no tree any more, but workers may still send what it holds. */
  onDeparture(gone: PublishedClass): void;
  /** No worker holds it any more; its index will be used again. */
  onRelease(gone: PublishedClass): void;
}

/** What a byte costs, and the shared word, of the assured and of the ceil bucket. */
const BUCKETS = [
  [Shape.RATE_NS_PER_BYTE, Word.RATE_FULL_AT_US],
  [Shape.CEIL_NS_PER_BYTE, Word.CEIL_FULL_AT_US],
] as const;

export class Publisher {
  readonly #shared: SharedShaper;
  readonly #hash: ClassHashWriter;
  readonly #shapes: readonly [ShapeTable, ShapeTable];
  readonly #classes = new Map<string, PublishedClass>();
  readonly #deliver: (epoch: PublishedEpoch) => void;
  readonly #watcher: ClassWatcher | null;
  /** Of the tree published last, and its classes in its order. */
  #layout: TreeLayout | null = null;
  #published: PublishedClass[] = [];
  #epoch = 0;
  #nextIndex = 0;
  #freeIndexes: number[] = [];
  /** Removed classes that some tree may still be draining; till then their index, slot and shapes are in use. */
  #retired: PublishedClass[] = [];
  #nextFairSlot = 0;
  #freeFairSlots: number[] = [];
  readonly #changes = new ChangeList();
  #hashIsNew = true;
  /** The tree published last, and what it says of queues. */
  #tree: ClassTree | null = null;
  #queue: QueueSettings = NO_SETTINGS;
  /** 1 for a queue whose worker has died and has no successor yet. */
  readonly #isVacant: Uint8Array;
  /** By direction: a worker has died, and what it had announced is still in the sums. */
  readonly #hasRemains: [boolean, boolean] = [false, false];

  /** `deliver` hands an epoch to every worker; it is called before the epoch becomes visible. */
  constructor(
    shared: SharedShaper,
    options: { seed: number; deliver: (epoch: PublishedEpoch) => void; watcher?: ClassWatcher },
  ) {
    this.#shared = shared;
    this.#hash = new ClassHashWriter({ seed: options.seed });
    this.#shapes = [new ShapeTable(shared.trees[Direction.DOWN]), new ShapeTable(shared.trees[Direction.UP])];
    this.#deliver = options.deliver;
    this.#watcher = options.watcher ?? null;
    this.#isVacant = new Uint8Array(shared.queues);
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
    const layout = layOut(tree, this.#layout, (id) => this.#classes.get(id)?.place ?? -1);
    const queuesStay = areEqualSettings(tree.queue, this.#queue);
    // What all classes have in common has changed, or how they stand: each is looked at. Otherwise only a few are.
    const places = queuesStay ? layout.changed : null;
    const count = places?.length ?? tree.classes.length;
    this.#checkCapacity(layout, count);
    const epoch = (this.#epoch + 1) | 0;
    if (!queuesStay) this.#queue = tree.queue;
    this.#changes.clear();
    const arrivals: PublishedClass[] = [];
    const departures = layout.gone.map((place) => this.#published[place]!);
    const summary = { epoch, added: 0, changed: 0, removed: departures.length };
    let remapsFlows = departures.length > 0;
    const published: PublishedClass[] = places === null ? [] : this.#published;
    for (let at = 0; at < count; at++) {
      const i = places === null ? at : places[at]!;
      const spec = tree.classes[i]!;
      const place = layout.before[i]!;
      const before = place < 0 ? null : this.#published[place]!;
      const parentIndex = layout.parent[i]! < 0 ? -1 : published[layout.parent[i]!]!.index;
      if (before !== null && before.isInner === (layout.isInner[i] === 1)) {
        published[i] = before;
        before.place = i;
        if (queuesStay && isSame(before, spec, parentIndex, layout, i)) continue;
        if (this.#update(before, spec, parentIndex, layout, i, epoch, nowNs)) summary.changed++;
        if (this.#rematch(before.index, before.spec, spec, epoch)) remapsFlows = true;
        before.spec = spec;
        continue;
      }
      if (before !== null) {
        departures.push(before);
        this.#rematch(before.index, before.spec, null, epoch);
      }
      const added = this.#add(spec, parentIndex, layout, i, nowNs);
      this.#rematch(added.index, null, spec, epoch);
      published[i] = added;
      arrivals.push(added);
      remapsFlows = true;
      summary.added++;
    }
    for (const place of layout.gone) {
      const gone = this.#published[place]!;
      this.#classes.delete(gone.spec.id);
      this.#rematch(gone.index, gone.spec, null, epoch);
    }
    // Children before parents, so that a removed subtree is let go of from below; an inner class's level falls with its
    // depth, and a leaf's is 0.
    departures.sort((a, b) => a.level - b.level);
    for (const gone of departures) this.#remove(gone);
    this.#layout = layout;
    this.#published = published;
    this.#release(tree, epoch, remapsFlows);
    for (const gone of departures) this.#watcher?.onDeparture(gone);
    for (const arrived of arrivals) this.#watcher?.onArrival(arrived, epoch);
    return summary;
  }

  /** The epoch published last, as a whole: for a worker that starts when others have run for long. */
  snapshot(): PublishedEpoch {
    this.#changes.clear();
    // An inner class's level falls with its depth and a leaf's is 0, so parents come before their children.
    for (const entry of [...this.#classes.values()].sort((a, b) => b.level - a.level))
      this.#changes.set(entry);
    return this.#takeEpoch(this.#hash.buffer, true);
  }

  /**
   * Takes back what the worker of `queue`, which has ended, had in shared memory: it holds no class and no epoch any
   * more, and what it had announced goes out of the sums, at once or in a later `reclaim`, as soon as the workers that
   * live have come into the present generation. `nowNs` is the workers' clock. To be called when the thread has ended,
   * however it did, and may be called again.
   */
  release(queue: number, nowNs: number): void {
    if (this.#isVacant[queue] === 1) return;
    this.#isVacant[queue] = 1;
    const entries = [...this.#classes.values(), ...this.#retired];
    for (let d = 0; d < Limit.DIRECTIONS; d++) {
      const tree = this.#shared.trees[d]!;
      for (const { index, shapes } of entries)
        chargeLostTab(tree, index, shapes[d]!, OVERDRAFT_BYTES, wrapUs(nowNs));
      for (const { index } of this.#retired) letGo(tree, queue, index);
      this.#hasRemains[d] = true;
    }
    this.reclaim();
  }

  /**
   * Lets a new worker begin on `queue`: gives the epoch published last as a whole, to be the first that it is handed.
   * What the worker before had is released if it was not yet. From here on the epochs that `deliver` hands out are for
   * the new worker too, and what it needs is not used again before it has adopted.
   */
  restart(queue: number, nowNs: number): PublishedEpoch {
    this.release(queue, nowNs);
    this.#isVacant[queue] = 0;
    // The worker that wrote the word has ended, and the next has not begun.
    Atomics.store(this.#shared.epochWords, adoptedWord(queue), this.#epoch);
    return this.snapshot();
  }

  /** Whether something that a dead worker had announced is still in the sums, for some worker has not stepped since. */
  get hasRemains(): boolean {
    return this.#hasRemains.some((has) => has);
  }

  /** Makes memory available again that no worker uses any more. Cheap; call it now and then. */
  reclaim(): void {
    this.#clearRemains();
    const oldest = this.oldestAdoptedEpoch();
    this.#hash.maintain(oldest);
    const held: PublishedClass[] = [];
    for (const gone of this.#retired) {
      if (this.#shared.trees.some((tree) => isHeld(tree, gone.index))) {
        held.push(gone);
        continue;
      }
      for (let d = 0; d < Limit.DIRECTIONS; d++) this.#shapes[d]!.drop(gone.shapes[d]!, this.#epoch);
      this.#watcher?.onRelease(gone);
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
      if (this.#isVacant[queue] === 1) continue;
      const adopted = Atomics.load(this.#shared.epochWords, adoptedWord(queue));
      if (((adopted - oldest) | 0) < 0) oldest = adopted;
    }
    return oldest;
  }

  /** Begins new sums where a dead worker is in the present ones, if the living let it. */
  #clearRemains(): void {
    const isLive = (queue: number): boolean => this.#isVacant[queue] === 0;
    for (let d = 0; d < Limit.DIRECTIONS; d++) {
      if (!this.#hasRemains[d]) continue;
      const isClear = beginGeneration(
        this.#shared.trees[d]!,
        isLive,
        this.#nextIndex,
        this.#nextFairSlot + 1,
      );
      this.#hasRemains[d] = !isClear;
    }
  }

  /** `visited` classes may get other values. */
  #checkCapacity(layout: TreeLayout, visited: number): void {
    const { length } = layout.classes;
    const { capacityClasses } = this.#shared;
    if (length > capacityClasses)
      throw new WeirError(
        'E_CAPACITY',
        `${length} classes are more than the ${capacityClasses} that classes.capacity has room for`,
      );
    const free = this.#shared.capacityClasses - this.#nextIndex + this.#freeIndexes.length;
    let wanted = 0;
    for (let i = 0; layout.changed === null && i < length; i++) {
      const place = layout.before[i]!;
      if (place < 0 || this.#published[place]!.isInner !== (layout.isInner[i] === 1)) wanted++;
    }
    // Each may take a new shape before its old one is free, which takes the workers' adoption.
    if (this.#shapes.some((shapes) => shapes.room < visited))
      throw new WeirError(
        'E_CAPACITY',
        'too many changes at once: the workers have not adopted the last ones',
      );
    if (wanted <= free) return;
    throw new WeirError(
      'E_CAPACITY',
      `${length} classes do not fit: room for ${free} new ones, ${wanted} wanted`,
    );
  }

  #add(spec: ClassSpec, parentIndex: number, layout: TreeLayout, at: number, nowNs: number): PublishedClass {
    const isInner = layout.isInner[at] === 1;
    const index = this.#freeIndexes.pop() ?? this.#nextIndex++;
    const fairSlot = isInner ? (this.#freeFairSlots.pop() ?? ++this.#nextFairSlot) : 0;
    const nowUs = wrapUs(nowNs);
    for (const tree of this.#shared.trees) {
      const base = index << Word.SHIFT;
      // Nobody holds the index, so plain stores do; the epoch word publishes them.
      tree.classWords.fill(0, base, base + Word.STRIDE);
      tree.classWords[base + Word.RATE_FULL_AT_US] = nowUs;
      tree.classWords[base + Word.CEIL_FULL_AT_US] = nowUs;
      holdByAll(tree, index);
    }
    const added: PublishedClass = {
      index,
      spec,
      parentIndex,
      isInner,
      place: at,
      level: layout.level[at]!,
      claims: layout.claims[at]!,
      shapes: this.#takeShapes(spec, isInner, layout.claims[at]!),
      fairSlot,
    };
    this.#classes.set(spec.id, added);
    this.#changes.set(added);
    return added;
  }

  /** Records what is new about a class that stays; false when nothing is. */
  #update(
    entry: PublishedClass,
    spec: ClassSpec,
    parentIndex: number,
    layout: TreeLayout,
    at: number,
    epoch: number,
    nowNs: number,
  ): boolean {
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
    this.#changes.set(entry);
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
    this.#changes.remove(gone.index);
    this.#retired.push(gone);
    // A worker that is yet to begin never hears of the class.
    for (let queue = 0; queue < this.#shared.queues; queue++)
      if (this.#isVacant[queue] === 1) for (const tree of this.#shared.trees) letGo(tree, queue, gone.index);
  }

  #takeShapes(spec: ClassSpec, isInner: boolean, claims: number): [number, number] {
    const queue = isInner ? null : queueSpecOf(this.#queue, spec.queue);
    const isRoot = spec.parent === null;
    const of = (d: 0 | 1): number =>
      this.#shapes[d].take({
        direction: spec[DIRECTION_KEYS[d]],
        isInner,
        isRoot,
        hasClaim: (claims & CLAIM_FLAGS[d]) !== 0,
        queue,
      });
    return [of(Direction.DOWN), of(Direction.UP)];
  }

  /** Brings a class's entries in the class hash up to date; true when any changed. */
  #rematch(index: number, before: ClassSpec | null, after: ClassSpec | null, epoch: number): boolean {
    if (before !== null && after !== null && areSamePrefixes(before.match, after.match)) return false;
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
    this.#epoch = epoch;
    this.#tree = tree;
    this.#deliver(this.#takeEpoch(classHash, remapsFlows));
    // Publishes all stores above to the workers' load at the start of a step.
    Atomics.store(this.#shared.epochWords, EpochWord.PUBLISHED, epoch);
  }

  /** The present epoch with the changes recorded so far. */
  #takeEpoch(classHash: SharedArrayBuffer | null, remapsFlows: boolean): PublishedEpoch {
    const changes = this.#changes.take();
    const defaultClass = this.#tree?.defaultClass ?? null;
    return {
      epoch: this.#epoch,
      changes,
      classHash,
      defaultClassIndex: defaultClass === null ? -1 : this.#classes.get(defaultClass)!.index,
      overheadBytes: this.#tree?.overheadBytes ?? 0,
      mpuBytes: this.#tree?.mpuBytes ?? 0,
      linkLayer: LINK_LAYERS.indexOf(this.#tree?.linkLayer ?? 'ethernet'),
      remapsFlows,
    };
  }
}

/** Whether the prefixes are the same, in the same order. */
function areSamePrefixes(a: readonly PrefixSpec[], b: readonly PrefixSpec[]): boolean {
  return a === b || (a.length === b.length && a.every(({ text }, at) => text === b[at]!.text));
}

/** Whether nothing about a class is new: the very object, and what the rest of the tree decides about it. */
function isSame(
  entry: PublishedClass,
  spec: ClassSpec,
  parentIndex: number,
  layout: TreeLayout,
  at: number,
): boolean {
  return (
    entry.spec === spec &&
    entry.parentIndex === parentIndex &&
    entry.level === layout.level[at] &&
    entry.claims === layout.claims[at]
  );
}
