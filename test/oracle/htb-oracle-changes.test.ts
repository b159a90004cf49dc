/**
 * The oracle while its classes change, against expectations worked out by hand.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ceil, cls, counters, fill, MS, order, run } from './hand-worked.js';
import { HtbOracle } from './htb-oracle.js';

const changes = suite('oracle: changes');

changes('new rates act from the next packet; tokens and backlog stay', () => {
  const oracle = new HtbOracle([cls('a', null, 8)]);
  fill(oracle, 'a', 4);
  assert.equal(run(oracle, 0.5 * MS), ['a@0']);
  oracle.change(cls('a', null, 4), 0.5 * MS);
  // Half of the first packet is not paid for yet, and takes another 1 ms at the new rate. Those after take 2 ms.
  assert.equal(run(oracle, 20 * MS, 0.5 * MS), ['a@1.5', 'a@3.5', 'a@5.5']);
});

changes('a new prio and a new quantum count for what is queued', () => {
  const oracle = new HtbOracle([cls('r', null, 8), cls('a', 'r', 0, ceil(8)), cls('b', 'r', 0, ceil(8))]);
  fill(oracle, 'a', 4);
  fill(oracle, 'b', 4);
  oracle.change(cls('a', 'r', 0, { ...ceil(8), prio: 1 }), 0);
  assert.is(order(oracle, 3 * MS), 'bbb');
  oracle.change(cls('a', 'r', 0, ceil(8)), 3 * MS);
  assert.equal(run(oracle, 9 * MS, 3 * MS), ['b@3', 'a@4', 'a@5', 'a@6', 'a@7']);
});

changes('an added class shares at once, and its leaf parent becomes inner and drops', () => {
  const oracle = new HtbOracle([cls('r', null, 8), cls('a', 'r', 0, ceil(8))]);
  fill(oracle, 'a', 4);
  oracle.add(cls('b', 'r', 0, ceil(8)));
  fill(oracle, 'b', 2);
  assert.is(order(oracle, 4 * MS), 'abab');
  oracle.add(cls('c', 'a', 0, ceil(8)));
  assert.is(oracle.stats('a').drops, 2);
  fill(oracle, 'c', 1, 5 * MS);
  assert.equal(run(oracle, 9 * MS, 5 * MS), ['c@5']);
  assert.is(counters(oracle, 'a'), 'lends 0 borrows 3 overlimits 3');
});

changes('a moved subtree takes backlog and tokens along and borrows from its new parent', () => {
  const oracle = new HtbOracle([
    cls('r', null, 8),
    cls('s', null, 1, ceil(80)),
    cls('m', 's', 0, ceil(80)),
    cls('a', 'm', 0, ceil(80)),
  ]);
  fill(oracle, 'a', 4);
  assert.equal(run(oracle, 2 * MS), ['a@0']);
  oracle.move('m', 'r');
  assert.equal(run(oracle, 9 * MS, 2 * MS), ['a@2', 'a@3', 'a@4']);
  assert.is(counters(oracle, 's'), 'lends 1 borrows 0 overlimits 1');
  assert.is(counters(oracle, 'r'), 'lends 3 borrows 0 overlimits 3');
  oracle.move('a', null);
  fill(oracle, 'a', 1, 9 * MS);
  assert.is(oracle.dequeue(9 * MS), null, 'as a root it has no rate');
});

changes('a root moved below another lends before it, within its ceil', () => {
  const oracle = new HtbOracle([
    cls('m', null, 8),
    cls('a', 'm', 0, ceil(8)),
    cls('r', null, 4),
    cls('b', 'r', 0, ceil(4)),
  ]);
  oracle.move('m', 'r');
  fill(oracle, 'a', 3);
  fill(oracle, 'b', 2);
  assert.equal(run(oracle, 20 * MS), ['a@0', 'a@2', 'a@4', 'b@6', 'b@8']);
  assert.is(counters(oracle, 'm'), 'lends 3 borrows 0 overlimits 3');
  assert.is(counters(oracle, 'r'), 'lends 2 borrows 0 overlimits 5');
});

changes('a removed leaf takes no more, drains at its rate, and is gone with its removed parent', () => {
  const oracle = new HtbOracle([
    cls('r', null, 8),
    cls('m', 'r', 8),
    cls('a', 'm', 4),
    cls('b', 'r', 0, ceil(8)),
  ]);
  fill(oracle, 'a', 2);
  fill(oracle, 'b', 9);
  oracle.remove('a');
  oracle.remove('m');
  assert.is(oracle.enqueue('a', { lenBytes: 1000, tag: 9 }, 0), false);
  assert.is(order(oracle, 5 * MS), 'ababb');
  assert.throws(() => oracle.enqueue('a', { lenBytes: 1000, tag: 9 }, 5 * MS), /unknown/);
  assert.throws(() => oracle.enqueue('m', { lenBytes: 1000, tag: 9 }, 5 * MS), /unknown/);
  const { packets, drops, backlogPackets } = oracle.stats('a');
  assert.equal([packets, drops, backlogPackets], [2, 1, 0]);
  oracle.remove('b');
  oracle.add(cls('a', 'r', 4));
  assert.is(oracle.stats('a').packets, 0, 'a new class of an old name starts afresh');
});

changes.run();
