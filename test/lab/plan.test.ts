import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseClassTree } from '../../classes/validate.js';
import { labPlan, USERS_MAX, USERS_MIN } from '../../src/lab/plan.js';
import { NARROW, NARROW_RATE } from '../../src/lab/subscribers.js';

const test = suite('lab plan');

/** Two cores carry this much TCP next to the shaper. */
const LOAD_MAX_BPS = 450e6;

test('the same settings give the same plan, another seed another one', () => {
  const settings = { users: 500, seconds: 20, seed: 3 };
  assert.equal(labPlan(settings), labPlan(settings));
  assert.not.equal(labPlan(settings).tree, labPlan({ ...settings, seed: 4 }).tree);
});

for (const users of [USERS_MIN, 200, 24_000, USERS_MAX]) {
  test(`${users} subscribers: a valid tree without warnings, a leaf and an address each`, () => {
    const { tree } = labPlan({ users, seconds: 20, seed: 1 });
    const { tree: parsed, problems } = parseClassTree(tree);
    assert.equal(problems, []);
    const leaves = parsed!.classes.filter(({ match }) => match.length > 0);
    assert.is(leaves.length, users);
    const addresses = tree.classes.flatMap(({ match }) => match ?? []);
    assert.is(new Set(addresses).size, users);
    for (const address of addresses) assert.match(address, /^10\.6[45]\.\d{1,3}\.\d{1,3}$/);
  });

  test(`${users} subscribers: every part is played by a different one, but for both directions`, () => {
    for (const seed of [0, 1, 2, 3, 4, 5, 6, 7]) {
      const { flows, idle } = labPlan({ users, seconds: 20, seed });
      const parts = flows.map(({ classId, direction }) => `${classId} ${direction}`);
      assert.is(new Set(parts).size, parts.length);
      const players = new Set([...flows.map(({ classId }) => classId), idle.classId]);
      // One plays in both directions; all flows but that and the idle one make a player each.
      assert.is(players.size, flows.length - 1 + 1);
    }
  });
}

test('assured rates are not oversubscribed anywhere', () => {
  const { tree: parsed } = parseClassTree(labPlan({ users: 3000, seconds: 20, seed: 5 }).tree);
  for (const parent of parsed!.classes) {
    const children = parsed!.classes.filter((spec) => spec.parent === parent.id);
    for (const direction of ['down', 'up'] as const) {
      const assuredBps = children.reduce((sum, child) => sum + child[direction]!.rateBps, 0);
      // Rates of sites are rounded to whole bits.
      assert.ok(assuredBps <= parent[direction]!.rateBps + children.length, `${parent.id} ${direction}`);
    }
  }
});

test('what is offered fills what is expected, and the machine can carry it', () => {
  const { flows, expectations, ceilsBps, tree } = labPlan({ users: 24_000, seconds: 20, seed: 1 });
  let expectedBps = 0;
  for (const expectation of expectations) {
    if (expectation.kind === 'sum') {
      expectedBps += expectation.wantedBps;
      assert.is(expectation.wantedBps, NARROW_RATE.downBps);
      for (const id of expectation.classIds) {
        assert.is(tree.classes.find((spec) => spec.id === id)!.parent, NARROW);
      }
    }
    if (expectation.kind !== 'rate') continue;
    expectedBps += expectation.wantedBps;
    const { classId, direction } = expectation;
    assert.is(ceilsBps.get(classId)![direction], expectation.wantedBps);
    const flow = flows.find((one) => one.classId === classId && one.direction === direction);
    assert.ok(flow!.offeredBps > expectation.wantedBps * 1.2, classId);
  }
  assert.ok(expectedBps < LOAD_MAX_BPS, `${expectedBps}`);
});

test('the cast has what the lab is for', () => {
  const { flows, expectations } = labPlan({ users: 24_000, seconds: 20, seed: 1 });
  assert.ok(flows.some(({ protocol }) => protocol === 'udp'));
  assert.ok(flows.some(({ direction }) => direction === 'up'));
  assert.ok(expectations.some((one) => one.kind === 'rate' && one.wantedBps === 2e6));
  const kinds = new Set(expectations.map(({ kind }) => kind));
  assert.equal([...kinds].sort(), [
    'agree',
    'conntrack',
    'delay',
    'equal',
    'lost',
    'masquerade',
    'rate',
    'sum',
  ]);
});

test('the warm-up is never most of the time', () => {
  assert.is(labPlan({ users: 200, seconds: 3, seed: 1 }).warmupSeconds, 3 * 0.3);
  assert.is(labPlan({ users: 200, seconds: 60, seed: 1 }).warmupSeconds, 4);
});

test.run();
