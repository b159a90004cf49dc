/**
 * What happens to packets, tokens and indexes when classes change under a running tree.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ceil, cls, MS } from '../oracle/hand-worked.js';
import type { OracleClass } from '../oracle/htb-oracle.js';
import { TreeDriver } from './tree-driver.js';

/** Steps every tenth of a millisecond over [fromNs, untilNs) and gives what left: `id` and tag of each packet. */
function run(driver: TreeDriver, fromNs: number, untilNs: number): string[] {
  const sent: string[] = [];
  for (let nowNs = fromNs; nowNs < untilNs; nowNs += 0.1 * MS)
    driver.step(nowNs, ({ id, tag }) => sent.push(`${id}${tag}`));
  return sent;
}

function started(classes: OracleClass[], capacityClasses = 16): TreeDriver {
  const driver = new TreeDriver({ capacityClasses });
  driver.publish(classes, 0);
  return driver;
}

function fill(driver: TreeDriver, id: string, count: number): void {
  for (let tag = 0; tag < count; tag++) assert.ok(driver.enqueue(id, 1000, tag));
}

const changes = suite('htb: changes');

changes('a removed leaf drains at its rate, then its index is free and is used again', () => {
  const root = cls('r', null, 8);
  const driver = started([root, cls('a', 'r', 4), cls('b', 'r', 2)]);
  const index = driver.indexOf('a');
  fill(driver, 'a', 3);
  driver.publish([root, cls('b', 'r', 2)], 0);
  assert.equal(driver.freed, []);
  driver.publish([root, cls('b', 'r', 2), cls('c', 'r', 2)], 0);
  assert.is.not(driver.indexOf('c'), index, 'a still has the index');
  assert.equal(run(driver, 0, 5 * MS), ['a0', 'a1', 'a2'], 'at 0, 2 and 4 ms');
  assert.equal(driver.freed, [index]);
  driver.publish([root, cls('b', 'r', 2), cls('d', 'r', 2)], 5 * MS);
  assert.is(driver.indexOf('d'), index);
  assert.is(driver.stats('d').packets, 0, 'a new class begins at nothing');
});

changes('a removed leaf keeps its rates, however many classes take new ones meanwhile', () => {
  const root = cls('r', null, 80);
  const driver = started([root, cls('a', 'r', 1), cls('z', 'r', 1)], 64);
  fill(driver, 'a', 4);
  const kept = [root, cls('z', 'r', 1)];
  driver.publish(kept, 0);
  for (let at = 0; at < 20; at++) {
    kept.push(cls(`n${at}`, 'r', 0, ceil(40 + at)));
    driver.publish(kept, 0);
  }
  // 8 ms a packet: it must not have got the ceil of a newcomer.
  assert.equal(run(driver, 0, 15.9 * MS), ['a0', 'a1']);
});

changes('an empty removed class goes at once, with its removed parent', () => {
  const root = cls('r', null, 8);
  const driver = started([root, cls('m', 'r', 4), cls('a', 'm', 2), cls('b', 'r', 2)]);
  const indexes = [driver.indexOf('a'), driver.indexOf('m')];
  driver.publish([root, cls('b', 'r', 2)], 0);
  assert.equal(driver.freed, indexes);
});

changes('a removed inner class lends until its last leaf is empty', () => {
  const root = cls('r', null, 8);
  const driver = started([root, cls('m', 'r', 4), cls('a', 'm', 0, ceil(8)), cls('b', 'r', 2)]);
  const indexes = [driver.indexOf('a'), driver.indexOf('m')];
  fill(driver, 'a', 3);
  driver.publish([root, cls('b', 'r', 2)], 0);
  assert.equal(run(driver, 0, 5 * MS), ['a0', 'a1', 'a2']);
  assert.equal(driver.freed, indexes);
  assert.is(driver.stats('m').lends, 3);
});

changes('all classes can be removed, and others come', () => {
  const driver = started([cls('r', null, 8), cls('a', 'r', 4)], 4);
  fill(driver, 'a', 2);
  driver.publish([], 0);
  assert.equal(run(driver, 0, 4 * MS), ['a0', 'a1']);
  assert.is(driver.freed.length, 2);
  for (let round = 0; round < 10; round++) {
    driver.publish([cls(`r${round}`, null, 8), cls(`a${round}`, `r${round}`, 8)], (4 + round) * MS);
    fill(driver, `a${round}`, 1);
    assert.equal(run(driver, (4 + round) * MS, (5 + round) * MS), [`a${round}0`]);
  }
});

changes('a moved leaf takes its packets along, in order, and borrows from its new parent', () => {
  const roots = [cls('r', null, 8), cls('s', null, 2), cls('x', 'r', 1), cls('y', 's', 1)];
  const driver = started([...roots, cls('a', 's', 0, ceil(8))]);
  fill(driver, 'a', 4);
  assert.equal(run(driver, 0, 3 * MS), ['a0']);
  driver.publish([...roots, cls('a', 'r', 0, ceil(8))], 3 * MS);
  assert.equal(run(driver, 3 * MS, 6 * MS), ['a1', 'a2', 'a3']);
  assert.equal([driver.stats('s').lends, driver.stats('r').lends], [1, 3]);
  assert.is(driver.freePackets, 1 << 16);
});

changes('a moved subtree takes its packets along, also those that wait for an ancestor', () => {
  const before = [cls('r', null, 8), cls('s', null, 0.8), cls('x', 'r', 1), cls('y', 's', 0.1)];
  const subtree = (parent: string): OracleClass[] => [
    cls('m', parent, 0.8, ceil(8)),
    cls('a', 'm', 0.8, ceil(8)),
    cls('b', 'm', 0, ceil(8)),
  ];
  const driver = started([...before, ...subtree('s')]);
  fill(driver, 'a', 2);
  fill(driver, 'b', 2);
  assert.equal(run(driver, 0, 3 * MS), ['a0']);
  driver.publish([...before, ...subtree('r')], 3 * MS);
  const sent = run(driver, 3 * MS, 7 * MS);
  assert.equal([...sent].sort(), ['a1', 'b0', 'b1']);
  assert.ok(sent.indexOf('b0') < sent.indexOf('b1'));
});

changes('a leaf that becomes an inner class drains under its old index', () => {
  const root = cls('r', null, 8);
  const driver = started([root, cls('a', 'r', 4), cls('z', 'r', 1)]);
  const index = driver.indexOf('a');
  fill(driver, 'a', 2);
  driver.publish([root, cls('a', 'r', 4), cls('c', 'a', 4), cls('z', 'r', 1)], 0);
  assert.is.not(driver.indexOf('a'), index);
  fill(driver, 'c', 2);
  const sent = run(driver, 0, 6 * MS);
  assert.equal([...sent].sort(), ['a0', 'a1', 'c0', 'c1']);
  assert.equal(driver.freed, [index]);
  assert.is(driver.stats('a').lends, 0);
  driver.publish([root, cls('a', 'r', 4), cls('z', 'r', 1)], 6 * MS);
  fill(driver, 'a', 1);
  assert.equal(run(driver, 6 * MS, 8 * MS), ['a0'], 'and back again');
});

changes('new rates act from the next packet, debts stay, and nobody loses a turn', () => {
  const root = cls('r', null, 8);
  const driver = started([root, cls('a', 'r', 8), cls('z', 'r', 0)]);
  fill(driver, 'a', 4);
  assert.equal(run(driver, 0, 0.5 * MS), ['a0']);
  driver.publish([root, cls('a', 'r', 4), cls('z', 'r', 0)], 0.5 * MS);
  // Half a packet's bytes are still owed, which take a whole millisecond now.
  assert.equal(run(driver, 0.5 * MS, 1.45 * MS), [], 'the debt stays the same in bytes');
  assert.equal(run(driver, 1.5 * MS, 5.55 * MS), ['a1', 'a2', 'a3'], 'at 1.5, 3.5 and 5.5 ms');
});

changes('the same tree again changes nothing', () => {
  const tree = (): OracleClass[] => [cls('r', null, 8), cls('a', 'r', 4), cls('b', 'r', 2)];
  const driver = started(tree());
  const { added, changed, removed } = driver.publish(tree(), 0);
  assert.equal({ added, changed, removed }, { added: 0, changed: 0, removed: 0 });
});

changes('refuses what does not fit, also when leaves become inner classes', () => {
  const driver = started([cls('r', null, 8), cls('a', 'r', 4)], 3);
  const larger = [cls('r', null, 8), cls('a', 'r', 4), cls('c', 'a', 4)];
  assert.throws(() => driver.publish(larger, 0), /do not fit/);
  fill(driver, 'a', 1);
  assert.equal(run(driver, 0, MS), ['a0']);
});

changes.run();
