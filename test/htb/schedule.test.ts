/**
 * Rows and feeds by themselves: who is first, and whose turn comes next. A small tree is laid out by hand: a root with
 * the inner class `m` and the leaf `c` below it, and the leaves `a` and `b` below `m`. Modes are set, not earned.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Field, Flag } from '../../src/htb/layout.js';
import { TreeMemory } from '../../src/htb/memory.js';
import { Schedule } from '../../src/htb/schedule.js';
import { createSharedTree, Limit, Shape } from '../../src/shm/tree-layout.js';

const QUANTUM_BYTES = 1000;

type Name = 'r' | 'm' | 'a' | 'b' | 'c' | 'd';
const NAMES: readonly Name[] = ['r', 'm', 'a', 'b', 'c', 'd'];

class Laid {
  readonly memory = new TreeMemory(createSharedTree(8, 1), 0);
  readonly schedule = new Schedule(this.memory);
  readonly record = Object.fromEntries(
    NAMES.map((name, index) => [name, TreeMemory.recordOf(index)]),
  ) as Record<Name, number>;

  constructor() {
    const { record } = this;
    this.memory.shared.shapes[Shape.QUANTUM_BYTES] = QUANTUM_BYTES;
    const level = (depth: number): number => (Limit.LEVELS - 1 - depth) << Flag.LEVEL_SHIFT;
    this.#set('r', 0, Flag.IS_INNER | level(0));
    this.#set('m', record.r, Flag.IS_INNER | level(1));
    for (const leaf of ['a', 'b'] as const) this.#set(leaf, record.m, 0);
    for (const leaf of ['c', 'd'] as const) this.#set(leaf, record.r, 0);
    this.memory.takeFeeds(record.r);
    this.memory.takeFeeds(record.m);
    this.mode('r', Flag.CAN_SEND);
    for (const name of ['m', 'a', 'b', 'c', 'd'] as const) this.mode(name, Flag.MAY_BORROW);
  }

  #set(name: Name, parent: number, flags: number): void {
    this.memory.words[this.record[name] + Field.PARENT] = parent;
    this.memory.words[this.record[name] + Field.FLAGS] = Flag.IS_PRESENT | flags;
  }

  mode(name: Name, mode: number): void {
    const at = this.record[name] + Field.FLAGS;
    this.memory.words[at] = (this.memory.words[at]! & ~Flag.MODE_MASK) | mode;
  }

  attach(...names: Name[]): void {
    for (const name of names) this.schedule.attach(this.record[name]);
  }

  /** The leaf that would be served now; '-' when there is none. */
  get next(): string {
    const node = this.schedule.first();
    if (node === 0) return '-';
    const leaf = this.schedule.leafOf(node);
    return NAMES.find((name) => this.record[name] === leaf)!;
  }

  /** The leaves of the next `count` turns among borrowers; each borrows its quantum from the root. */
  turns(count: number): string {
    let order = '';
    for (let at = 0; at < count; at++) {
      const name = this.next as Name;
      order += name;
      this.schedule.charge(this.record[name], this.record.r, QUANTUM_BYTES);
      this.schedule.turnFeed(this.record[name]);
    }
    return order;
  }
}

const schedule = suite('htb: schedule');

schedule('each leaf below a lender has one turn a round, however deep', () => {
  const laid = new Laid();
  // The first round of `m` began when `a` was alone there.
  laid.attach('a', 'b', 'c');
  assert.is(laid.turns(10), 'acbacbacba');
});

schedule('one that leaves is not waited for, whether its turn was to come or was over', () => {
  const ahead = new Laid();
  ahead.attach('a', 'b', 'c');
  assert.is(ahead.turns(2), 'ac');
  ahead.schedule.detach(ahead.record.a);
  // What was left of their common turn, `b` has alone, but no more than one of its own.
  assert.is(ahead.turns(4), 'bbcb', 'its turn was to come');
  const behind = new Laid();
  behind.attach('a', 'b', 'c');
  assert.is(behind.turns(3), 'acb');
  behind.schedule.detach(behind.record.b);
  assert.is(behind.turns(4), 'acac', 'its turn was over');
});

schedule('one that leaves in its turn has had it', () => {
  const laid = new Laid();
  laid.attach('a', 'b', 'c');
  assert.is(laid.turns(4), 'acba');
  assert.is(laid.next, 'c');
  laid.schedule.detach(laid.record.c);
  laid.attach('c');
  assert.is(laid.turns(3), 'bac');
});

schedule('assured tokens come before borrowing, and the place among the borrowers is kept', () => {
  const laid = new Laid();
  laid.attach('c', 'd', 'a');
  laid.mode('d', Flag.CAN_SEND);
  laid.attach('d');
  assert.is(laid.next, 'd');
  laid.schedule.turnRow(laid.record.d);
  assert.is(laid.next, 'd', 'alone in its row');
  laid.mode('d', Flag.MAY_BORROW);
  laid.attach('d');
  assert.is(laid.turns(4), 'cdac');
});

schedule('a lender further down comes first, and hands its borrowers on when it runs dry', () => {
  const laid = new Laid();
  laid.attach('c', 'a');
  const feed = laid.memory.words[laid.record.m + Field.FEEDS]!;
  laid.mode('m', Flag.CAN_SEND);
  laid.schedule.attach(feed);
  assert.is(laid.next, 'a');
  laid.mode('m', Flag.MAY_BORROW);
  laid.schedule.attach(feed);
  assert.is(laid.turns(4), 'caca');
  laid.schedule.detach(feed);
  assert.is(laid.turns(2), 'cc', 'a class that is shut off takes its borrowers along');
});

schedule('what is parked is in no row until it is popped, in order', () => {
  const laid = new Laid();
  for (const name of ['a', 'b', 'c'] as const) laid.mode(name, Flag.CAN_SEND);
  laid.attach('a', 'b', 'c');
  laid.schedule.park(laid.record.a, laid.record.m);
  laid.schedule.park(laid.record.b, laid.record.m);
  assert.is(laid.next, 'c');
  laid.schedule.detach(laid.record.c);
  assert.ok(laid.schedule.isEmpty);
  assert.is(laid.schedule.popParked(laid.record.m), laid.record.a);
  laid.schedule.detach(laid.record.b);
  assert.is(laid.schedule.popParked(laid.record.m), 0, 'one that left is not there');
  laid.attach('a');
  assert.is(laid.next, 'a');
});

schedule.run();
