/**
 * What a worker tells the others about its backlog, so that shares can follow it:
 *
 *   presence   on how many queues a class has backlog           divides the class's claim
 *   lack       what a leaf's shares lack of whole ones          with presence divides its weight (see shares.ts)
 *   weight     quantum of the backlogged borrowers, for each ancestor and prio
 *   claim      assured rate of the backlogged children, for each ancestor whose children oversubscribe it
 *
 * All are sums in shared words, kept by batched differences. The worker remembers what it has published for
 * each class and takes back exactly that, so sums never drift, whatever order workers adopt changes in.
 * When a worker has died the sums begin anew (see generation.ts), and each announces what it has once more.
 * Only a leaf whose backlog outlasts a step is announced, and it is withdrawn when it has been empty for
 * LINGER_NS, so a leaf that sends now and then causes no traffic here.
 */
import { Fair, Generation, Limit, Shape, Word } from '../../shm/tree-layout.js';
import { Field, Flag } from '../layout.js';
import { TreeMemory } from '../memory.js';
import { generationWord, sideOf } from './generation.js';
import { Shares, WHOLE_SHARE } from './shares.js';

export const LINGER_NS = 1_000_000;
/** How long a worker uses a claim factor before it looks again. */
const FACTOR_FRESH_NS = 50_000;
/** Claims get this much less than the whole, so that the class's own ceil is not what holds them. */
const CLAIM_MARGIN = 1.004;

export class Registry {
  readonly #words: Int32Array;
  readonly #clock: Float64Array;
  readonly #doubles: Float64Array;
  readonly #shapes: Float64Array;
  readonly #classWords: Int32Array;
  readonly #fairWords: Int32Array;
  readonly #memory: TreeMemory;
  readonly #shares: Shares;
  #generation = 0;

  constructor(memory: TreeMemory) {
    this.#memory = memory;
    this.#shares = new Shares(memory);
    this.#words = memory.words;
    this.#clock = memory.clock;
    this.#doubles = memory.doubles;
    this.#shapes = memory.shared.shapes;
    this.#classWords = memory.shared.classWords;
    this.#fairWords = memory.shared.fairWords;
  }

  /** Announces a leaf that stays backlogged. */
  registerPresence(leaf: number): void {
    const words = this.#words;
    words[leaf + Field.FLAGS]! |= Flag.IS_REGISTERED;
    if ((words[leaf + Field.FLAGS]! & Flag.HAS_CLAIM) !== 0) this.addClaims(leaf);
    else Atomics.add(this.#classWords, this.#sumWord(leaf, Word.PRESENCE), 1);
  }

  /** Announces a leaf that waits to borrow to all its ancestors. */
  registerWeight(leaf: number): void {
    this.#words[leaf + Field.FLAGS]! |= Flag.IS_WEIGHTED;
    this.#shares.begin(leaf, this.#queues(leaf) === 1);
    this.#addLack(leaf, this.lackOf(leaf));
    this.publishWeight(leaf, this.#dividedWeight(leaf));
  }

  /** Withdraws all that was announced for a leaf. */
  unregister(leaf: number): void {
    const words = this.#words;
    const flags = words[leaf + Field.FLAGS]!;
    if ((flags & Flag.IS_WEIGHTED) !== 0) {
      this.#follow(leaf, false);
      this.#addLack(leaf, -this.lackOf(leaf));
      this.publishWeight(leaf, 0);
    }
    if ((flags & Flag.IS_REGISTERED) !== 0) {
      if ((flags & Flag.IS_CLAIMING) !== 0) this.dropClaims(leaf);
      else Atomics.sub(this.#classWords, this.#sumWord(leaf, Word.PRESENCE), 1);
    }
    words[leaf + Field.FLAGS] = words[leaf + Field.FLAGS]! & ~(Flag.IS_WEIGHTED | Flag.IS_REGISTERED);
  }

  /** Tells of a borrower whose last packet was taken, if it is on other queues too. */
  emptied(leaf: number): void {
    const words = this.#words;
    const flags = words[leaf + Field.FLAGS]!;
    if ((flags & Flag.IS_WEIGHTED) === 0 || words[leaf + Field.WEIGHT_PUBLISHED] === this.#weightOf(leaf))
      return;
    this.#follow(leaf, true);
    this.publishWeight(leaf, this.#dividedWeight(leaf));
  }

  /** What this worker has announced that the leaf's share lacks of a whole one. */
  lackOf(leaf: number): number {
    return (this.#words[leaf + Field.FLAGS]! & Flag.IS_WEIGHTED) !== 0 ? this.#shares.lackOf(leaf) : 0;
  }

  /** By what the leaf's quantum is to be divided on this queue: the shares of all queues by its share here, 1 if it is alone. */
  presence(leaf: number): number {
    const queues = this.#queues(leaf);
    if (queues === 1) return 1;
    const own = WHOLE_SHARE - this.lackOf(leaf);
    const all = queues * WHOLE_SHARE - Atomics.load(this.#classWords, this.#sumWord(leaf, Word.LACK));
    return all > own ? all / own : 1;
  }

  /** The leaf's weight on this queue as of its last turn. One that is not announced counts as if it were. */
  weightNow(leaf: number): number {
    const flags = this.#words[leaf + Field.FLAGS]!;
    if ((flags & Flag.IS_WEIGHTED) !== 0) this.#follow(leaf, false);
    if ((flags & Flag.IS_REGISTERED) !== 0) return this.#dividedWeight(leaf);
    const announced = Atomics.load(this.#classWords, this.#sumWord(leaf, Word.PRESENCE));
    const weight = this.#weightOf(leaf);
    return announced <= 0 ? weight : Math.max(1, Math.round(weight / (announced + 1)));
  }

  #weightOf(leaf: number): number {
    return this.#shapes[this.#words[leaf + Field.SHAPE]! + Shape.WEIGHT]!;
  }

  #dividedWeight(leaf: number): number {
    return Math.max(1, Math.round(this.#weightOf(leaf) / this.presence(leaf)));
  }

  /** On how many queues the class has backlog, this one included. */
  #queues(record: number): number {
    const count = Atomics.load(this.#classWords, this.#sumWord(record, Word.PRESENCE));
    return count > 1 ? count : 1;
  }

  /** Lets the share of a borrower follow what it sends. One that is on this queue alone has nothing to share. */
  #follow(leaf: number, isEmptied: boolean): void {
    const queues = this.#queues(leaf);
    const wasAlone = this.#words[leaf + Field.WEIGHT_PUBLISHED] === this.#weightOf(leaf);
    if (wasAlone) {
      if (queues === 1) return;
      this.#shares.join(leaf);
    }
    const lack = this.lackOf(leaf);
    let others = 0;
    if (queues > 1) {
      const allLack = Atomics.load(this.#classWords, this.#sumWord(leaf, Word.LACK));
      others = Math.max(0, (queues - 1) * WHOLE_SHARE - (allLack - lack));
    }
    this.#shares.follow(leaf, others, isEmptied);
    this.#addLack(leaf, this.lackOf(leaf) - lack);
  }

  #addLack(leaf: number, difference: number): void {
    // Read with the presence by other workers; of two sums a moment apart one shifts shares for that moment.
    if (difference !== 0) Atomics.add(this.#classWords, this.#sumWord(leaf, Word.LACK), difference);
  }

  /** Makes `weight` what the ancestors' sums hold for this leaf on this queue. */
  publishWeight(leaf: number, weight: number): void {
    const words = this.#words;
    const difference = weight - words[leaf + Field.WEIGHT_PUBLISHED]!;
    if (difference === 0) return;
    words[leaf + Field.WEIGHT_PUBLISHED] = weight;
    const prio = (words[leaf + Field.FLAGS]! & Flag.PRIO_MASK) >> Flag.PRIO_SHIFT;
    this.shiftWeight(words[leaf + Field.PARENT]!, prio, difference);
  }

  /** Adds a difference to the sums of `from` and all its ancestors. */
  shiftWeight(from: number, prio: number, difference: number): void {
    const words = this.#words;
    for (let a = from; a !== 0; a = words[a + Field.PARENT]!) {
      words[words[a + Field.FEEDS]! + (prio << Field.FEED_SHIFT) + Field.FEED_WEIGHT]! += difference;
      // Read by gates of other workers; a sum that is a little old only shifts shares for a moment.
      Atomics.add(this.#fairWords, this.#weightWord(a, prio), difference);
    }
  }

  /**
   * By what the assured rates of a class's children are to be divided, because the children that are active
   * claim more than the class has: the product over the class and its ancestors, at least 1.
   */
  claimFactor(record: number): number {
    const nowNs = this.#clock[0]!;
    if (record === 0) return 1;
    const doubles = this.#doubles;
    const at = record >> 1;
    if (nowNs - doubles[at + Field.D_CLAIM_FACTOR_AT_NS]! < FACTOR_FRESH_NS)
      return doubles[at + Field.D_CLAIM_FACTOR]!;
    const own = this.#shapes[this.#words[record + Field.SHAPE]! + Shape.CLAIM]!;
    const claims = Atomics.load(this.#classWords, this.#sumWord(record, Word.CLAIMS)) >>> 0;
    let factor = this.claimFactor(this.#words[record + Field.PARENT]!);
    if (own > 0 && claims > own) factor *= (claims / own) * CLAIM_MARGIN;
    doubles[at + Field.D_CLAIM_FACTOR] = factor;
    doubles[at + Field.D_CLAIM_FACTOR_AT_NS] = nowNs;
    return factor;
  }

  /** Publishes the claim of a class, and of inner classes above it that had none on this worker. */
  addClaims(from: number): void {
    const words = this.#words;
    let record = from;
    for (;;) {
      words[record + Field.FLAGS]! |= Flag.IS_CLAIMING;
      const queues = Atomics.add(this.#classWords, this.#sumWord(record, Word.PRESENCE), 1) + 1;
      const holder = this.#claimHolder(record);
      words[record + Field.CLAIM_HOLDER] = holder;
      if (holder === 0) return;
      const part = this.#claimPart(record, queues);
      words[record + Field.CLAIM_PUBLISHED] = part;
      // Read by claimFactor in other workers. Sums commute, so their order does not matter.
      if (part !== 0) Atomics.add(this.#classWords, this.#sumWord(holder, Word.CLAIMS), part);
      words[holder + Field.CLAIM_COUNT]! += 1;
      if (words[holder + Field.CLAIM_COUNT] !== 1) return;
      record = holder;
    }
  }

  /** Takes back what `addClaims` has published for a class, and for inner classes that it was the last below. */
  dropClaims(from: number): void {
    const words = this.#words;
    let record = from;
    for (;;) {
      words[record + Field.FLAGS]! &= ~Flag.IS_CLAIMING;
      Atomics.sub(this.#classWords, this.#sumWord(record, Word.PRESENCE), 1);
      const holder = words[record + Field.CLAIM_HOLDER]!;
      if (holder === 0) return;
      const part = words[record + Field.CLAIM_PUBLISHED]!;
      words[record + Field.CLAIM_PUBLISHED] = 0;
      words[record + Field.CLAIM_HOLDER] = 0;
      if (part !== 0) Atomics.sub(this.#classWords, this.#sumWord(holder, Word.CLAIMS), part);
      words[holder + Field.CLAIM_COUNT]! -= 1;
      if (words[holder + Field.CLAIM_COUNT] !== 0) return;
      record = holder;
    }
  }

  /** Brings the published claims of a leaf and of the classes above it in line with the queues they are active on. */
  refreshClaims(leaf: number): void {
    const words = this.#words;
    let record = leaf;
    for (
      let holder = words[record + Field.CLAIM_HOLDER]!;
      holder !== 0;
      holder = words[record + Field.CLAIM_HOLDER]!
    ) {
      const part = this.#claimPart(record, this.#queues(record));
      const difference = part - words[record + Field.CLAIM_PUBLISHED]!;
      words[record + Field.CLAIM_PUBLISHED] = part;
      if (difference !== 0) Atomics.add(this.#classWords, this.#sumWord(holder, Word.CLAIMS), difference);
      record = holder;
    }
  }

  /** What one of `queues` workers publishes of a class's claim. */
  #claimPart(record: number, queues: number): number {
    const claim = this.#shapes[this.#words[record + Field.SHAPE]! + Shape.CLAIM]!;
    return claim === 0 ? 0 : Math.max(1, Math.round(claim / queues));
  }

  /** The nearest ancestor with an assured rate: one without a limit of its own passes claims on. */
  #claimHolder(record: number): number {
    const words = this.#words;
    let a = words[record + Field.PARENT]!;
    while (a !== 0 && this.#shapes[words[a + Field.SHAPE]! + Shape.CLAIM] === 0) a = words[a + Field.PARENT]!;
    return a;
  }

  /** Comes into the present generation, if it is another than before. To be called when a step begins. */
  followGeneration(): void {
    // Pairs with the store in beginGeneration: the sums of a new generation are at nothing when it is seen.
    const generation = Atomics.load(this.#memory.shared.generationWords, Generation.CURRENT);
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#join(generation);
  }

  /** Adds all that it has announced to the sums of `generation`. */
  #join(generation: number): void {
    const memory = this.#memory;
    memory.side = sideOf(generation);
    for (let index = 0; index <= memory.lastIndex; index++) {
      const record = TreeMemory.recordOf(index);
      if ((this.#words[record + Field.FLAGS]! & Flag.IS_PRESENT) !== 0) this.#announceAgain(record);
    }
    // Tells the control thread that this tree has touched the other side for the last time.
    Atomics.store(memory.shared.generationWords, generationWord(memory.queue), generation);
  }

  #announceAgain(record: number): void {
    const words = this.#words;
    const flags = words[record + Field.FLAGS]!;
    const isInner = (flags & Flag.IS_INNER) !== 0;
    if ((flags & (isInner ? Flag.IS_CLAIMING : Flag.IS_REGISTERED)) !== 0)
      Atomics.add(this.#classWords, this.#sumWord(record, Word.PRESENCE), 1);
    const holder = words[record + Field.CLAIM_HOLDER]!;
    const claim = words[record + Field.CLAIM_PUBLISHED]!;
    if (holder !== 0 && claim !== 0) Atomics.add(this.#classWords, this.#sumWord(holder, Word.CLAIMS), claim);
    if (!isInner) {
      this.#addLack(record, this.lackOf(record));
      return;
    }
    for (let prio = 0; prio < Limit.PRIOS; prio++) {
      const weight = words[words[record + Field.FEEDS]! + (prio << Field.FEED_SHIFT) + Field.FEED_WEIGHT]!;
      if (weight !== 0) Atomics.add(this.#fairWords, this.#weightWord(record, prio), weight);
    }
  }

  #sumWord(record: number, word: Word.PRESENCE | Word.CLAIMS | Word.LACK): number {
    return (TreeMemory.classIndexOf(record) << Word.SHIFT) + word + this.#memory.side;
  }

  #weightWord(record: number, prio: number): number {
    const slot = this.#words[record + Field.FAIR_SLOT]! << Fair.SHIFT;
    return slot + Fair.WEIGHT + this.#memory.side * Fair.WEIGHT_SIDE + prio;
  }
}
