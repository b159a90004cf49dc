/**
 * The oracle against expectations worked out by hand from sch_htb's rules.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ceil, cls, counters, fill, MS, order, run } from './hand-worked.js';
import { HtbOracle } from './htb-oracle.js';

const single = suite('oracle: one class');

single('departs at exactly the rate', () => {
  const oracle = new HtbOracle([cls('a', null, 8)]);
  fill(oracle, 'a', 4);
  assert.equal(oracle.nextEventNs(0), 0, 'a packet can leave now');
  assert.equal(run(oracle, 10 * MS), ['a@0', 'a@1', 'a@2', 'a@3']);
  assert.equal(oracle.nextEventNs(10 * MS), null, 'nothing is due without backlog');
  assert.equal(oracle.stats('a'), {
    bytes: 4000,
    packets: 4,
    drops: 0,
    lends: 4,
    borrows: 0,
    overlimits: 4,
    backlogPackets: 0,
    backlogBytes: 0,
  });
});

single('sends its burst, of which 1600 bytes are the packet that overdraws', () => {
  const oracle = new HtbOracle([cls('a', null, 8, { burstBytes: 4600, cburstBytes: 4600 })]);
  fill(oracle, 'a', 6);
  assert.equal(run(oracle, 10 * MS), ['a@0', 'a@0', 'a@0', 'a@0', 'a@1', 'a@2']);
  // The last left 1 ms of debt at 2 ms; by 7 ms the bucket is full again (3 ms) and has no more than that.
  fill(oracle, 'a', 6, 10 * MS);
  assert.equal(run(oracle, 13 * MS, 10 * MS), ['a@10', 'a@10', 'a@10', 'a@10', 'a@11', 'a@12']);
});

single('the smaller of burst and cburst decides where ceil is the rate', () => {
  const oracle = new HtbOracle([cls('a', null, 8, { burstBytes: 9600, cburstBytes: 2600 })]);
  fill(oracle, 'a', 4);
  assert.equal(run(oracle, 10 * MS), ['a@0', 'a@0', 'a@1', 'a@2']);
});

single('charges overhead and the minimum packet size, and counts the packet alone', () => {
  const oracle = new HtbOracle([cls('a', null, 8)], { overheadBytes: 24, mpuBytes: 84 });
  oracle.enqueue('a', { lenBytes: 50, tag: 1 }, 0);
  oracle.enqueue('a', { lenBytes: 76, tag: 2 }, 0);
  oracle.enqueue('a', { lenBytes: 1000, tag: 3 }, 0);
  assert.equal(oracle.stats('a').backlogBytes, 1126);
  assert.equal(run(oracle, 10 * MS), ['a@0', 'a@0.084', 'a@0.184']);
  assert.is(oracle.stats('a').bytes, 1126);
});

single('drops by packets and by bytes, and keeps the order', () => {
  const byPackets = new HtbOracle([cls('a', null, 8, { limitPackets: 2 })]);
  const accepted = [1, 2, 3].map((tag) => byPackets.enqueue('a', { lenBytes: 100, tag }, 0));
  assert.equal(accepted, [true, true, false]);
  assert.is(byPackets.stats('a').drops, 1);
  assert.equal(byPackets.dequeue(0), { id: 'a', lenBytes: 100, tag: 1 });
  assert.is(byPackets.dequeue(0), null, 'the rate holds');
  assert.equal(byPackets.dequeue(MS), { id: 'a', lenBytes: 100, tag: 2 });

  const byBytes = new HtbOracle([cls('a', null, 8, { limitBytes: 1500 })]);
  assert.equal(
    [1000, 501, 500].map((lenBytes) => byBytes.enqueue('a', { lenBytes, tag: 0 }, 0)),
    [true, false, true],
  );
});

single('refuses misuse', () => {
  const oracle = new HtbOracle([cls('r', null, 8), cls('a', 'r', 1)]);
  assert.throws(() => oracle.enqueue('r', { lenBytes: 100, tag: 0 }, 0), /only a leaf/);
  assert.throws(() => oracle.enqueue('x', { lenBytes: 100, tag: 0 }, 0), /unknown/);
  assert.throws(() => oracle.add(cls('a', 'r', 1)), /exists/);
  assert.throws(() => oracle.add(cls('b', 'r', 1, { prio: 8 })), /prio/);
  assert.throws(() => oracle.remove('r'), /children/);
  assert.throws(() => oracle.move('r', 'a'), /below itself/);
  oracle.dequeue(5);
  assert.throws(() => oracle.dequeue(4), /time went/);
});

single.run();

const borrowing = suite('oracle: borrowing');

borrowing('alternates own and borrowed tokens, and borrowing leaves its own alone', () => {
  const oracle = new HtbOracle([cls('r', null, 8), cls('a', 'r', 2, ceil(4))]);
  fill(oracle, 'a', 5);
  // Own tokens are back every 4 ms, ceil every 2 ms. Were borrowed packets paid from both, none would be own after 0.
  assert.equal(run(oracle, 7 * MS), ['a@0', 'a@2', 'a@4', 'a@6']);
  assert.is(counters(oracle, 'a'), 'lends 2 borrows 2 overlimits 4');
  assert.is(counters(oracle, 'r'), 'lends 2 borrows 0 overlimits 4');
});

borrowing('comes from the nearest ancestor that can lend, over three levels', () => {
  const oracle = new HtbOracle([cls('r', null, 8), cls('m', 'r', 2, ceil(8)), cls('a', 'm', 1, ceil(4))]);
  fill(oracle, 'a', 20);
  // Every 2 ms: own at 0, 8; the middle class, which pays for those too, at 4, 12; the root in between.
  assert.is(run(oracle, 15 * MS).join(' '), 'a@0 a@2 a@4 a@6 a@8 a@10 a@12 a@14');
  assert.is(counters(oracle, 'a'), 'lends 2 borrows 6 overlimits 8');
  assert.is(counters(oracle, 'm'), 'lends 2 borrows 4 overlimits 8');
  assert.is(counters(oracle, 'r'), 'lends 4 borrows 0 overlimits 8');
  assert.is(oracle.stats('r').bytes, 8000);
});

borrowing('a single class without siblings reaches its ceil, not more', () => {
  const oracle = new HtbOracle([cls('r', null, 80), cls('a', 'r', 0.8, ceil(8))]);
  fill(oracle, 'a', 1001);
  assert.is(run(oracle, 1000 * MS).length, 1000);
});

borrowing('assured tokens come before any borrowing, whatever the prio', () => {
  const oracle = new HtbOracle([
    cls('r', null, 8),
    cls('a', 'r', 0, { ...ceil(8), prio: 0 }),
    cls('b', 'r', 2, { ...ceil(8), prio: 7 }),
  ]);
  fill(oracle, 'a', 9);
  fill(oracle, 'b', 3);
  assert.is(order(oracle, 9 * MS), 'baaabaaab');
});

borrowing('a lower prio number takes all that is lent', () => {
  const oracle = new HtbOracle([
    cls('r', null, 8),
    cls('a', 'r', 0, { ...ceil(8), prio: 3 }),
    cls('b', 'r', 0, { ...ceil(8), prio: 2 }),
    cls('c', 'r', 0, { ...ceil(4), prio: 1 }),
  ]);
  for (const id of ['a', 'b', 'c']) fill(oracle, id, 3);
  assert.is(order(oracle, 20 * MS), 'cbcbcbaaa');
});

borrowing('prio also orders leaves with tokens of their own, and lenders of one level', () => {
  const own = new HtbOracle([cls('r', null, 8), cls('a', 'r', 8, { prio: 1 }), cls('b', 'r', 8)]);
  fill(own, 'a', 3);
  fill(own, 'b', 3);
  assert.is(order(own, 9 * MS), 'bbbaaa');

  const lent = new HtbOracle([
    cls('r', null, 8),
    cls('m', 'r', 8),
    cls('n', 'r', 8),
    cls('a', 'm', 0, { ...ceil(8), prio: 1 }),
    cls('b', 'n', 0, ceil(8)),
  ]);
  fill(lent, 'a', 3);
  fill(lent, 'b', 3);
  assert.is(order(lent, 9 * MS), 'bbbaaa');
});

borrowing('the deeper lender comes first, whatever the prio', () => {
  const oracle = new HtbOracle([
    cls('r', null, 8),
    cls('b', 'r', 0, { ...ceil(8), prio: 0 }),
    cls('m', 'r', 4, ceil(8)),
    cls('a', 'm', 0, { ...ceil(8), prio: 7 }),
  ]);
  fill(oracle, 'b', 8);
  fill(oracle, 'a', 8);
  assert.is(order(oracle, 8 * MS), 'abababab');
  assert.is(counters(oracle, 'm'), 'lends 4 borrows 0 overlimits 4');
});

borrowing('a class above the lender pays assured tokens too', () => {
  // `a` sends on its own 4 Mbit/s, which the root's tokens pay for; only the other half is there to be lent.
  const oracle = new HtbOracle([cls('r', null, 8), cls('a', 'r', 4), cls('b', 'r', 0, ceil(8))]);
  fill(oracle, 'a', 9);
  fill(oracle, 'b', 9);
  assert.is(order(oracle, 8 * MS), 'abababab');
});

borrowing('a root with ceil above its rate lends its rate only, and a root leaf sends its rate only', () => {
  const oracle = new HtbOracle([
    cls('r', null, 8, ceil(80)),
    cls('a', 'r', 0, ceil(80)),
    cls('s', null, 4, ceil(80)),
  ]);
  fill(oracle, 'a', 200);
  fill(oracle, 's', 200);
  const sent = order(oracle, 100 * MS);
  assert.is(sent.replaceAll('s', '').length, 100);
  assert.is(sent.replaceAll('a', '').length, 50);
});

borrowing('a root leaf without a rate never sends and has no event', () => {
  const oracle = new HtbOracle([cls('a', null, 0, ceil(8))]);
  fill(oracle, 'a', 1);
  assert.is(oracle.dequeue(0), null);
  assert.is(oracle.nextEventNs(0), null);
});

borrowing.run();

const shares = suite('oracle: rounds');

shares('borrowers take turns by quantum', () => {
  const oracle = new HtbOracle([
    cls('r', null, 8),
    cls('a', 'r', 0, { ...ceil(8), quantumBytes: 3000 }),
    cls('b', 'r', 0, { ...ceil(8), quantumBytes: 6000 }),
  ]);
  fill(oracle, 'a', 50);
  fill(oracle, 'b', 50);
  // The first packet overdraws a deficit of zero and brings the first quantum; from then on a turn is one quantum.
  assert.is(order(oracle, 20 * MS), 'abaaabbbbbbaaabbbbbb');
});

shares('leaves with tokens of their own take turns by quantum as well', () => {
  // Bursts so deep that neither runs out of assured tokens.
  const deep = { quantumBytes: 2000, burstBytes: 1e6, cburstBytes: 1e6 };
  const oracle = new HtbOracle([
    cls('r', null, 8),
    cls('a', 'r', 8, deep),
    cls('b', 'r', 8, { ...deep, quantumBytes: 4000 }),
  ]);
  fill(oracle, 'a', 50);
  fill(oracle, 'b', 50);
  assert.is(order(oracle, 14 * MS), 'abaabbbbaabbbb');
});

shares('each leaf below the lender has one turn a round, however deep', () => {
  const oracle = new HtbOracle([
    cls('r', null, 8),
    cls('m', 'r', 0, ceil(8)),
    cls('a', 'm', 0, ceil(8)),
    cls('b', 'm', 0, ceil(8)),
    cls('c', 'r', 0, ceil(8)),
  ]);
  for (const id of ['a', 'b', 'c']) fill(oracle, id, 50);
  const sent = order(oracle, 90 * MS);
  for (const id of ['a', 'b', 'c']) assert.is(sent.split(id).length - 1, 30, id);
  assert.ok(!/aa|bb|cc/.test(sent));
});

shares('a class that often sends on its own tokens keeps its place among the borrowers', () => {
  // `a` is assured 2 of 8; the other 6 are lent to `a` and three others in equal parts: 1.5 each, 3.5 in all for `a`.
  const others = ['b', 'c', 'd'];
  const oracle = new HtbOracle([
    cls('r', null, 8),
    cls('a', 'r', 2, ceil(8)),
    ...others.map((id) => cls(id, 'r', 0, ceil(8))),
  ]);
  for (const id of ['a', ...others]) fill(oracle, id, 5000);
  const sent = order(oracle, 4000 * MS);
  assert.is(sent.length, 4000);
  const share = (id: string): number => (sent.split(id).length - 1) / 500;
  assert.ok(Math.abs(share('a') - 3.5) < 0.05, `a had ${share('a')} Mbit/s`);
  for (const id of others) assert.ok(Math.abs(share(id) - 1.5) < 0.05, `${id} had ${share(id)} Mbit/s`);
});

shares('newcomers that come and go do not keep a backlogged sibling from its turn', () => {
  const oracle = new HtbOracle([cls('r', null, 8), ...['a', 'b', 'c'].map((id) => cls(id, 'r', 0, ceil(8)))]);
  fill(oracle, 'a', 100);
  let sentByA = 0;
  for (let ms = 0; ms < 90; ms++) {
    for (const id of ['b', 'c']) {
      if (oracle.stats(id).backlogPackets === 0) fill(oracle, id, 1, ms * MS);
    }
    if (oracle.dequeue(ms * MS)?.id === 'a') sentByA++;
  }
  assert.is(sentByA, 30);
});

shares.run();

const limits = suite('oracle: weir’s own rules');

limits('an ancestor’s ceil is hard, also for tokens of one’s own', () => {
  const oracle = new HtbOracle([cls('r', null, 80), cls('m', 'r', 4), cls('a', 'm', 4), cls('b', 'm', 4)]);
  fill(oracle, 'a', 9);
  fill(oracle, 'b', 9);
  // Without the rule, `a` and `b` would both leave at 0, 2, 4 …: 8 Mbit/s through a class of 4.
  assert.equal(run(oracle, 7 * MS), ['a@0', 'b@2', 'a@4', 'b@6']);
});

limits('an ancestor’s ceil is hard above an inner lender as well', () => {
  const oracle = new HtbOracle([cls('r', null, 4), cls('m', 'r', 8), cls('a', 'm', 0, ceil(80))]);
  fill(oracle, 'a', 9);
  assert.equal(run(oracle, 7 * MS), ['a@0', 'a@2', 'a@4', 'a@6']);
  assert.is(counters(oracle, 'm'), 'lends 4 borrows 0 overlimits 4');
});

limits('an unlimited root always lends; an unlimited root leaf always sends', () => {
  const oracle = new HtbOracle([
    cls('r', null, 0, { unlimited: true }),
    cls('a', 'r', 2, ceil(4)),
    cls('s', null, 0, { unlimited: true }),
  ]);
  fill(oracle, 'a', 4);
  fill(oracle, 's', 3);
  assert.equal(run(oracle, 7 * MS), ['a@0', 's@0', 's@0', 's@0', 'a@2', 'a@4', 'a@6']);
  assert.is(counters(oracle, 'r'), 'lends 2 borrows 0 overlimits 0');
  assert.is(counters(oracle, 's'), 'lends 3 borrows 0 overlimits 0');
});

limits('a left-out class below the root has nothing assured and no ceil', () => {
  const oracle = new HtbOracle([
    cls('r', null, 8),
    cls('m', 'r', 0, { unlimited: true }),
    cls('a', 'm', 0, { unlimited: true }),
    cls('b', 'r', 4, ceil(8)),
  ]);
  fill(oracle, 'a', 9);
  fill(oracle, 'b', 9);
  // `b` has its own tokens at even milliseconds; the root lends at odd ones, to `a` and `b` in turns.
  assert.is(order(oracle, 8 * MS), 'babbbabb');
  assert.is(counters(oracle, 'a'), 'lends 0 borrows 2 overlimits 0');
  assert.is(counters(oracle, 'm'), 'lends 0 borrows 2 overlimits 0');
  assert.is(counters(oracle, 'b'), 'lends 4 borrows 2 overlimits 6');
  assert.is(counters(oracle, 'r'), 'lends 4 borrows 0 overlimits 8');
});

limits.run();
