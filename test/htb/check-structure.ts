/**
 * Looks at all lists of a tree between two steps: whoever has packets must be where its flags say and come to its
 * turn, and whoever has none must be nowhere. Reads the records only; nothing of the tree helps it.
 */

import type { Htb } from '../../src/htb/htb.js';
import { Field, Flag } from '../../src/htb/layout.js';
import { TreeMemory } from '../../src/htb/memory.js';
import { Limit, Shape } from '../../src/shm/tree-layout.js';

const ON_A_ROW_LIST = Flag.ON_ROW | Flag.IS_PARKED;
const levelOf = (flags: number): number => (flags & Flag.LEVEL_MASK) >> Flag.LEVEL_SHIFT;
const prioOf = (flags: number): number => (flags & Flag.PRIO_MASK) >> Flag.PRIO_SHIFT;

/** The first thing that is wrong with the tree's lists, or null. */
export function checkStructure(tree: Htb, classes: number): string | null {
  return new StructureCheck(tree, classes).run();
}

class StructureCheck {
  readonly #tree: Htb;
  readonly #words: Int32Array;
  readonly #classes: number;
  readonly #rows = new Map<number, number[]>();
  readonly #feeds = new Map<number, number[]>();
  #parked = 0;
  #parkedFound = 0;
  #onWheel = 0;
  #roots = 0;
  #shutRoots = 0;
  #backlogPackets = 0;
  #wrong: string | null = null;

  constructor(tree: Htb, classes: number) {
    this.#tree = tree;
    this.#words = tree.memory.words;
    this.#classes = classes;
  }

  run(): string | null {
    for (let index = 0; index < this.#classes; index++) this.#class(index);
    this.#checkRows();
    for (const [feed, members] of this.#feeds) this.#checkFeed(feed, members);
    for (let index = 0; index < this.#classes; index++) this.#checkParked(TreeMemory.recordOf(index));
    const { modes, roots, backlogPackets } = this.#tree;
    this.#expect(this.#parkedFound === this.#parked, `${this.#parked} parked, ${this.#parkedFound} found`);
    this.#expect(modes.wheel.count === this.#onWheel, `wheel: ${modes.wheel.count}, not ${this.#onWheel}`);
    this.#expect(roots === this.#roots, `${roots} roots, not ${this.#roots}`);
    this.#expect(
      modes.shutRoots === this.#shutRoots,
      `${modes.shutRoots} shut roots, not ${this.#shutRoots}`,
    );
    this.#expect(
      backlogPackets === this.#backlogPackets,
      `${backlogPackets} packets, not ${this.#backlogPackets}`,
    );
    return this.#wrong;
  }

  #expect(holds: boolean, message: string): void {
    if (!holds) this.#wrong ??= message;
  }

  #class(index: number): void {
    const record = TreeMemory.recordOf(index);
    const words = this.#words;
    const flags = words[record + Field.FLAGS]!;
    if ((flags & Flag.IS_PRESENT) === 0) {
      if (record < words.length)
        this.#expect(words[record + Field.WHEEL_SLOT] === 0, `absent class ${index} waits`);
      return;
    }
    if (words[record + Field.PARENT] === 0) this.#roots++;
    if (words[record + Field.WHEEL_SLOT] !== 0) this.#onWheel++;
    const shape = words[record + Field.SHAPE]!;
    const isAssured =
      this.#tree.memory.shared.shapes[shape + Shape.RATE_LIMIT_NS] !== Number.NEGATIVE_INFINITY;
    const mode = flags & Flag.MODE_MASK;
    const mustWait = mode === Flag.CANT_SEND || (mode === Flag.MAY_BORROW && isAssured);
    if ((flags & Flag.IS_INNER) === 0) {
      this.#leaf(record, `leaf ${index}`, mustWait);
      return;
    }
    if (words[record + Field.PARENT] === 0 && (flags & Flag.IS_SHUT) !== 0) this.#shutRoots++;
    if (mustWait)
      this.#expect(words[record + Field.WHEEL_SLOT] !== 0, `inner ${index} in mode ${mode} has no timer`);
    for (let prio = 0; prio < Limit.PRIOS; prio++) {
      const feed = words[record + Field.FEEDS]! + (prio << Field.FEED_SHIFT);
      if (words[feed + Field.WHEEL_SLOT] !== 0) this.#onWheel++;
      const feedFlags = words[feed + Field.FLAGS]!;
      const name = `feed ${prio} of ${index}`;
      this.#expect(
        prioOf(feedFlags) === prio && words[feed + Field.OWNER] === record,
        `${name}: whose is it?`,
      );
      this.#expect(levelOf(feedFlags) === levelOf(flags), `${name}: other level than its class`);
      const isGated = (feedFlags & Flag.IS_GATED) !== 0;
      this.#expect(
        isGated === (words[feed + Field.WHEEL_SLOT] !== 0),
        `${name}: gated ${isGated}, and the wheel?`,
      );
      this.#place(feed, record, words[feed + Field.FEED_HEAD] !== 0, name);
      if (!this.#feeds.has(feed)) this.#feeds.set(feed, []);
    }
  }

  #leaf(record: number, name: string, mustWait: boolean): void {
    const words = this.#words;
    const packets = words[record + Field.BACKLOG_PACKETS]!;
    const isGated = (words[record + Field.FLAGS]! & Flag.IS_GATED) !== 0;
    const waits = words[record + Field.WHEEL_SLOT] !== 0;
    this.#backlogPackets += packets;
    if (packets === 0) this.#expect(!isGated && !waits, `${name}: empty, but waits`);
    else if (isGated || mustWait) this.#expect(waits, `${name}: has no timer`);
    this.#place(record, record, packets !== 0, name);
  }

  /** A node that has something to send must be on the lists that the mode of `owner` says, or be gated. */
  #place(node: number, owner: number, isBusy: boolean, name: string): void {
    const words = this.#words;
    const flags = words[node + Field.FLAGS]!;
    const mode = words[owner + Field.FLAGS]! & Flag.MODE_MASK;
    const parent = words[owner + Field.PARENT]!;
    const onRow = (flags & ON_A_ROW_LIST) !== 0;
    const onFeed = (flags & Flag.ON_FEED) !== 0;
    const isHeld = !isBusy || (flags & Flag.IS_GATED) !== 0 || mode === Flag.CANT_SEND;
    const seen = `mode ${mode}, busy ${isBusy}, flags ${flags.toString(16)}`;
    if (isHeld) this.#expect(!onRow && !onFeed, `${name}: on a list (${seen})`);
    else if (mode === Flag.CAN_SEND) this.#expect(onRow, `${name}: in no row (${seen})`);
    else this.#expect(!onRow && onFeed === (parent !== 0), `${name}: not where borrowers are (${seen})`);
    this.#expect((flags & ON_A_ROW_LIST) !== ON_A_ROW_LIST, `${name}: in a row and parked`);
    if ((flags & Flag.IS_PARKED) !== 0) this.#parked++;
    if ((flags & Flag.ON_ROW) !== 0) push(this.#rows, levelOf(flags) * Limit.PRIOS + prioOf(flags), node);
    if (onFeed) push(this.#feeds, words[parent + Field.FEEDS]! + (prioOf(flags) << Field.FEED_SHIFT), node);
  }

  #checkRows(): void {
    const { schedule } = this.#tree.modes;
    const lowest = Math.min(...this.#rows.keys());
    const first = schedule.first();
    this.#expect(schedule.isEmpty === (this.#rows.size === 0), 'rows: isEmpty is wrong');
    this.#expect(schedule.hasAssured === lowest < Limit.PRIOS, 'rows: hasAssured is wrong');
    if (this.#rows.size > 0)
      this.#expect(this.#rows.get(lowest)!.includes(first), `row ${lowest}: not first`);
    else this.#expect(first === 0, 'rows: first of none');
    for (const [row, members] of this.#rows) {
      const ring = this.#ring(members[0]!, Field.ROW_NEXT, Field.ROW_PREV, members.length);
      this.#expect(
        sameMembers(ring, members),
        `row ${row}: ${members.length} say they are in it, ${ring.length} are`,
      );
    }
  }

  #checkFeed(feed: number, members: readonly number[]): void {
    const words = this.#words;
    const head = words[feed + Field.FEED_HEAD]!;
    const name = `feed ${feed}`;
    const { doubles, feedBase, shared } = this.#tree.memory;
    const turnOf = (node: number): number =>
      node >= feedBase
        ? doubles[(node >> 1) + Field.D_TURN_BYTES]!
        : shared.shapes[words[node + Field.SHAPE]! + Shape.QUANTUM_BYTES]!;
    const turnBytes = members.reduce((sum, node) => sum + turnOf(node), 0);
    this.#expect(turnOf(feed) === turnBytes, `${name}: turns of ${turnOf(feed)} bytes, not ${turnBytes}`);
    this.#expect((head === 0) === (members.length === 0), `${name}: head ${head} of ${members.length}`);
    if (head === 0 || members.length === 0) return;
    const ring = this.#ring(head, Field.FEED_NEXT, Field.FEED_PREV, members.length);
    this.#expect(
      sameMembers(ring, members),
      `${name}: ${members.length} say they are in it, ${ring.length} are`,
    );
  }

  #checkParked(record: number): void {
    const words = this.#words;
    const flags = words[record + Field.FLAGS]!;
    if ((flags & Flag.IS_INNER) === 0 || words[record + Field.PARKED_HEAD] === 0) return;
    this.#expect((flags & Flag.IS_SHUT) !== 0, `class ${record}: parks, but is not shut`);
    const ring = this.#ring(words[record + Field.PARKED_HEAD]!, Field.ROW_NEXT, Field.ROW_PREV, this.#parked);
    this.#parkedFound += ring.length;
    for (const node of ring) {
      this.#expect((words[node + Field.FLAGS]! & Flag.IS_PARKED) !== 0, `node ${node}: parked unawares`);
      let above =
        words[(node >= this.#tree.memory.feedBase ? words[node + Field.OWNER]! : node) + Field.PARENT]!;
      while (above !== 0 && above !== record) above = words[above + Field.PARENT]!;
      this.#expect(above === record, `node ${node}: parked where it is not below`);
    }
  }

  /** The members of a ring; stops one after `most`. */
  #ring(head: number, nextField: number, prevField: number, most: number): number[] {
    const words = this.#words;
    const found = [head];
    for (
      let at = words[head + nextField]!;
      at !== head && found.length <= most;
      at = words[at + nextField]!
    ) {
      this.#expect(words[words[at + prevField]! + nextField] === at, `node ${at}: torn ring`);
      found.push(at);
    }
    return found;
  }
}

function push(lists: Map<number, number[]>, key: number, node: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [node]);
  else list.push(node);
}

function sameMembers(ring: readonly number[], members: readonly number[]): boolean {
  const known = new Set(members);
  return ring.length === members.length && ring.every((node) => known.has(node));
}
