/**
 * Who may be served next: rows and feeds, as sch_htb has them.
 *
 * A *row* (one for each level and prio) lists those who can send now: at level 0 leaves on their own assured
 * tokens, above it inner classes that lend and have borrowers. A *feed* (one for each inner class and prio)
 * lists the children that want to borrow through it. An inner class that may only borrow stands itself in its
 * parent's feed, so one that runs dry moves all borrowers below it by one list operation a prio.
 *
 *        row[level 31][prio 0]:  (root)            root lends
 *                                  |  feed
 *                                (site)  u7        site may borrow, u7 may borrow
 *                                  |  feed
 *                                u1  u2  u3        they take turns by their quantum
 *
 * Lists are rings; the head is served next, new members come last. Leaves take turns by their quantum, feeds by the
 * quanta of all borrowers below them together, so what a class lends goes to the leaves below it, whatever inner
 * classes lie between. (In htb_lookup_leaf an inner class's turn lasts until each of its leaves had one, and a turn that
 * a leaf has on the tokens of a class below counts as well; which tokens come when then decides who gets more.) A feed
 * owes its turns in its parent's feed and those in its row apart, for the same reason.
 *
 * Who has tokens of its own again joins its row and keeps its place in the feed meanwhile. Would it leave and
 * join again as the last, a class with a small assured rate would lose its turn with every packet that it sends
 * on its own account. Rows are looked at from the lowest level up, so it is never served through the feed while
 * it stands in a row.
 */
import { Limit, Shape } from '../shm/tree-layout.js';
import { Field, Flag } from './layout.js';
import type { TreeMemory } from './memory.js';

const PRIOS_SHIFT = 3;

export class Schedule {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #shapes: Float64Array;
  readonly #feedBase: number;
  readonly #rowHeads = new Int32Array(Limit.LEVELS * Limit.PRIOS);
  /** One bit a prio, for each level. */
  readonly #rowMasks = new Int32Array(Limit.LEVELS);
  #levelMask = 0;

  constructor(memory: TreeMemory) {
    this.#words = memory.words;
    this.#doubles = memory.doubles;
    this.#shapes = memory.shared.shapes;
    this.#feedBase = memory.feedBase;
  }

  /** The row node served next: lowest level first, then lowest prio. 0 when nobody can send. */
  first(): number {
    const levels = this.#levelMask;
    if (levels === 0) return 0;
    const level = 31 - Math.clz32(levels & -levels);
    const prios = this.#rowMasks[level]!;
    const prio = 31 - Math.clz32(prios & -prios);
    return this.#rowHeads[level * Limit.PRIOS + prio]!;
  }

  /** Whether some leaf with assured tokens waits for its turn. */
  get hasAssured(): boolean {
    return (this.#levelMask & 1) !== 0;
  }

  get isEmpty(): boolean {
    return this.#levelMask === 0;
  }

  /** The leaf whose turn it is below a row node. */
  leafOf(node: number): number {
    const words = this.#words;
    const feedBase = this.#feedBase;
    let leaf = node;
    while (leaf >= feedBase) leaf = words[leaf + Field.FEED_HEAD]!;
    return leaf;
  }

  /**
   * Puts a leaf with backlog, or a feed node with borrowers, where its class's mode says it belongs, and feeds
   * above it that were idle likewise.
   */
  attach(node: number): void {
    const words = this.#words;
    let at = node;
    for (;;) {
      const flags = words[at + Field.FLAGS]!;
      if ((flags & Flag.IS_GATED) !== 0) return;
      const owner = at >= this.#feedBase ? words[at + Field.OWNER]! : at;
      const mode = words[owner + Field.FLAGS]! & Flag.MODE_MASK;
      if (mode === Flag.CAN_SEND) {
        if ((flags & (Flag.ON_ROW | Flag.IS_PARKED)) === 0) this.#rowInsert(at);
        return;
      }
      if (mode === Flag.CANT_SEND) return;
      if ((flags & (Flag.ON_ROW | Flag.IS_PARKED)) !== 0) this.#leaveRow(at);
      const parent = words[owner + Field.PARENT]!;
      if (parent === 0 || (flags & Flag.ON_FEED) !== 0) return;
      const feed =
        words[parent + Field.FEEDS]! + (((flags & Flag.PRIO_MASK) >> Flag.PRIO_SHIFT) << Field.FEED_SHIFT);
      const wasIdle = words[feed + Field.FEED_HEAD] === 0;
      this.#feedInsert(feed, at);
      if (!wasIdle) return;
      at = feed;
    }
  }

  /** Takes a leaf or feed node off all lists, and feeds above that are idle then off theirs. */
  detach(node: number): void {
    const words = this.#words;
    let at = node;
    for (;;) {
      if ((words[at + Field.FLAGS]! & (Flag.ON_ROW | Flag.IS_PARKED)) !== 0) this.#leaveRow(at);
      if ((words[at + Field.FLAGS]! & Flag.ON_FEED) === 0) return;
      const feed = this.#feedOver(at);
      this.#feedRemove(feed, at);
      if (words[feed + Field.FEED_HEAD] !== 0) return;
      at = feed;
    }
  }

  /** Sets a row node aside until `ancestor` lets assured packets through. */
  park(node: number, ancestor: number): void {
    const words = this.#words;
    this.#leaveRow(node);
    words[node + Field.FLAGS]! |= Flag.IS_PARKED;
    const head = words[ancestor + Field.PARKED_HEAD]!;
    if (head === 0) words[ancestor + Field.PARKED_HEAD] = node;
    this.#ringInsert(head, node, Field.ROW_NEXT, Field.ROW_PREV);
  }

  /** Takes one parked node from an ancestor; 0 when there is none. It is then in no row. */
  popParked(ancestor: number): number {
    const node = this.#words[ancestor + Field.PARKED_HEAD]!;
    if (node !== 0) this.#leaveRow(node);
    return node;
  }

  /** Ends the turn of a row's first node. */
  turnRow(node: number): void {
    const row = rowOf(this.#words[node + Field.FLAGS]!);
    if (this.#rowHeads[row] === node) this.#rowHeads[row] = this.#words[node + Field.ROW_NEXT]!;
  }

  /** Ends the turn of a leaf or a feed node in the feed above it. */
  turnFeed(node: number): void {
    const words = this.#words;
    if ((words[node + Field.FLAGS]! & Flag.ON_FEED) === 0) return;
    const feed = this.#feedOver(node);
    if (words[feed + Field.FEED_HEAD] === node)
      words[feed + Field.FEED_HEAD] = words[node + Field.FEED_NEXT]!;
  }

  /** To be called before a leaf that stays where it is gets another shape: feeds above have longer or shorter turns. */
  changeQuantum(leaf: number, shape: number): void {
    if ((this.#words[leaf + Field.FLAGS]! & Flag.ON_FEED) === 0) return;
    this.#lengthen(this.#feedOver(leaf), this.#shapes[shape + Shape.QUANTUM_BYTES]! - this.#turnBytes(leaf));
  }

  /**
   * Counts what a leaf has borrowed from `lender` towards the turns of the feeds between: each has a turn in the feed above
   * it that is as long as the turns of its borrowers together, and the lender's own has one in its row. A leaf that is
   * backlogged on several queues has only a part of its quantum on each, and `cost` is as many times its bytes.
   */
  charge(leaf: number, lender: number, cost: number): void {
    const words = this.#words;
    const doubles = this.#doubles;
    const prio = (words[leaf + Field.FLAGS]! & Flag.PRIO_MASK) >> Flag.PRIO_SHIFT;
    for (let record = words[leaf + Field.PARENT]!; ; record = words[record + Field.PARENT]!) {
      const feed = words[record + Field.FEEDS]! + (prio << Field.FEED_SHIFT);
      const at = (feed >> 1) + (record === lender ? Field.D_ROW_DEFICIT : Field.D_FEED_DEFICIT);
      const turnBytes = doubles[(feed >> 1) + Field.D_TURN_BYTES]!;
      // Who leaves takes what is left of its turn along.
      doubles[at] = Math.min(doubles[at]!, turnBytes) - cost;
      if (doubles[at]! < 0) this.#endTurn(feed, at, record === lender);
      if (record === lender) return;
    }
  }

  /**
   * Whether a feed on the way from a leaf to `lender` still owes from earlier turns. It has then lost this one. Only with
   * several queues: there a turn is often less than a packet costs.
   */
  sitsOut(leaf: number, lender: number): boolean {
    const words = this.#words;
    const doubles = this.#doubles;
    const prio = (words[leaf + Field.FLAGS]! & Flag.PRIO_MASK) >> Flag.PRIO_SHIFT;
    let highest = 0;
    for (
      let record = words[leaf + Field.PARENT]!;
      record !== lender;
      record = words[record + Field.PARENT]!
    ) {
      const feed = words[record + Field.FEEDS]! + (prio << Field.FEED_SHIFT);
      if (doubles[(feed >> 1) + Field.D_FEED_DEFICIT]! < 0) highest = feed;
    }
    const own = words[lender + Field.FEEDS]! + (prio << Field.FEED_SHIFT);
    if (doubles[(own >> 1) + Field.D_ROW_DEFICIT]! < 0)
      this.#endTurn(own, (own >> 1) + Field.D_ROW_DEFICIT, true);
    else if (highest !== 0) this.#endTurn(highest, (highest >> 1) + Field.D_FEED_DEFICIT, false);
    else return false;
    return true;
  }

  /** Ends a feed's turn in its row, or in the feed above, and lets the deficit at `at` have its next. */
  #endTurn(feed: number, at: number, inRow: boolean): void {
    const next = this.#words[feed + (inRow ? Field.ROW_NEXT : Field.FEED_NEXT)]!;
    // Nobody else waits: there is nothing to owe.
    if (next === feed) this.#doubles[at] = 0;
    else this.#doubles[at]! += this.#doubles[(feed >> 1) + Field.D_TURN_BYTES]!;
    if (inRow) this.turnRow(feed);
    else this.turnFeed(feed);
  }

  /** The feed that a node on a feed list is a member of. */
  #feedOver(node: number): number {
    const words = this.#words;
    const owner = node >= this.#feedBase ? words[node + Field.OWNER]! : node;
    const prio = (words[node + Field.FLAGS]! & Flag.PRIO_MASK) >> Flag.PRIO_SHIFT;
    return words[words[owner + Field.PARENT]! + Field.FEEDS]! + (prio << Field.FEED_SHIFT);
  }

  #rowInsert(node: number): void {
    const flags = this.#words[node + Field.FLAGS]!;
    const row = rowOf(flags);
    this.#words[node + Field.FLAGS] = flags | Flag.ON_ROW;
    const head = this.#rowHeads[row]!;
    if (head === 0) {
      const level = row >> PRIOS_SHIFT;
      this.#rowHeads[row] = node;
      this.#rowMasks[level]! |= 1 << (row & (Limit.PRIOS - 1));
      this.#levelMask |= 1 << level;
    }
    this.#ringInsert(head, node, Field.ROW_NEXT, Field.ROW_PREV);
  }

  /** Takes a node out of its row or off the list it is parked on. */
  #leaveRow(node: number): void {
    const words = this.#words;
    const flags = words[node + Field.FLAGS]!;
    words[node + Field.FLAGS] = flags & ~(Flag.ON_ROW | Flag.IS_PARKED);
    const next = this.#ringRemove(node, Field.ROW_NEXT, Field.ROW_PREV);
    if ((flags & Flag.IS_PARKED) !== 0) {
      this.#unpark(node, next);
      return;
    }
    const row = rowOf(flags);
    if (this.#rowHeads[row] !== node) return;
    this.#rowHeads[row] = next;
    if (next !== 0) return;
    const level = row >> PRIOS_SHIFT;
    this.#rowMasks[level]! &= ~(1 << (row & (Limit.PRIOS - 1)));
    if (this.#rowMasks[level] === 0) this.#levelMask &= ~(1 << level);
  }

  #unpark(node: number, next: number): void {
    const words = this.#words;
    const owner = node >= this.#feedBase ? words[node + Field.OWNER]! : node;
    for (let a = words[owner + Field.PARENT]!; a !== 0; a = words[a + Field.PARENT]!) {
      if (words[a + Field.PARKED_HEAD] === node) {
        words[a + Field.PARKED_HEAD] = next;
        return;
      }
    }
  }

  #feedInsert(feed: number, node: number): void {
    const words = this.#words;
    const head = words[feed + Field.FEED_HEAD]!;
    if (head === 0) words[feed + Field.FEED_HEAD] = node;
    words[node + Field.FLAGS]! |= Flag.ON_FEED;
    this.#ringInsert(head, node, Field.FEED_NEXT, Field.FEED_PREV);
    this.#lengthen(feed, this.#turnBytes(node));
  }

  #feedRemove(feed: number, node: number): void {
    const words = this.#words;
    words[node + Field.FLAGS]! &= ~Flag.ON_FEED;
    const next = this.#ringRemove(node, Field.FEED_NEXT, Field.FEED_PREV);
    if (words[feed + Field.FEED_HEAD] === node) words[feed + Field.FEED_HEAD] = next;
    this.#lengthen(feed, -this.#turnBytes(node));
  }

  /** How long a member's turn is in the feed that it is on. */
  #turnBytes(node: number): number {
    if (node >= this.#feedBase) return this.#doubles[(node >> 1) + Field.D_TURN_BYTES]!;
    return this.#shapes[this.#words[node + Field.SHAPE]! + Shape.QUANTUM_BYTES]!;
  }

  /** Makes the turns of a feed, and of those that it counts in above, longer or shorter. */
  #lengthen(feed: number, bytes: number): void {
    let at = feed;
    for (;;) {
      this.#doubles[(at >> 1) + Field.D_TURN_BYTES]! += bytes;
      if ((this.#words[at + Field.FLAGS]! & Flag.ON_FEED) === 0) return;
      at = this.#feedOver(at);
    }
  }

  /** Inserts before `head`, that is last; alone when `head` is 0. */
  #ringInsert(head: number, node: number, nextField: number, prevField: number): void {
    const words = this.#words;
    if (head === 0) {
      words[node + nextField] = node;
      words[node + prevField] = node;
      return;
    }
    const last = words[head + prevField]!;
    words[node + nextField] = head;
    words[node + prevField] = last;
    words[last + nextField] = node;
    words[head + prevField] = node;
  }

  /** Unlinks a node and returns the one after it; 0 when it was the only one. */
  #ringRemove(node: number, nextField: number, prevField: number): number {
    const words = this.#words;
    const next = words[node + nextField]!;
    if (next === node) return 0;
    const prev = words[node + prevField]!;
    words[prev + nextField] = next;
    words[next + prevField] = prev;
    return next;
  }
}

/** Number of the row that a node's level and prio name. */
function rowOf(flags: number): number {
  return (
    (((flags & Flag.LEVEL_MASK) >> Flag.LEVEL_SHIFT) << PRIOS_SHIFT) +
    ((flags & Flag.PRIO_MASK) >> Flag.PRIO_SHIFT)
  );
}
