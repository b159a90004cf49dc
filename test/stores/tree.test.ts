/** A class tree through a database and back, and the sample. */
import { suite, type Test } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../classes/compile.js';
import { CLASSES_MAX, type ClassTree } from '../../classes/model.js';
import { fillStore, sampleTree } from '../../classes/sample.js';
import { rowsOfTree } from '../../classes/stores/rows.js';
import { parseClassTree } from '../../classes/validate.js';
import { below, seededRandom } from '../classes/random.js';
import { randomQueue } from '../classes/random-queue.js';
import { backends, closeStores, open, type Scratch } from './backends.js';

/** What the schema of version 1 had not. */
const LATER = ['codel_target', 'codel_interval', 'flows', 'memory', 'ecn', 'isolate', 'diffserv', 'wash'];
const SINCE_VERSION_1 = {
  settings: ['link_layer', 'leaf', 'limit_packets', 'limit_bytes', ...LATER],
  plans: LATER,
  subscribers: LATER,
};
const NOW_MS = Date.parse('2030-01-01T00:00:00Z');

for (const backend of backends()) {
  const test = suite(`trees in ${backend.name}`);
  test.after.each(closeStores);
  test.after(() => backend.remove());
  addRoundTrips(test, backend.make, backend.name);
  test.run();
}

function addRoundTrips(test: Test, make: () => Promise<Scratch>, name: string): void {
  test('a tree with everything in it comes back as it was', async () => {
    const { url } = await make();
    const store = open(url);
    await store.createSchema();
    const classes = [
      { id: 'uplink', down: { rate: '5gbit', burst: '1mb' }, up: { rate: '1gbit', cburst: '3kb' } },
      { id: 'campus 1 é', parent: 'uplink', down: { rate: '1gbit', prio: 2 } },
      ...['anna', 'bert'].map((id, n) => ({
        id,
        parent: 'campus 1 é',
        match: [`10.0.0.${n}`, `2001:db8:${n}::/56`],
        leaf: 'fq_codel',
        limit: 50,
        limitBytes: '64kb',
        target: '3ms',
        interval: '99ms',
        flows: 77,
        memory: '1mb',
        ecn: false,
        isolate: 'host',
        diffserv: 'diffserv3',
        wash: false,
        down: { rate: '1500kbit', ceil: '100mbit', burst: '77kb', cburst: 1601, quantum: 1514, prio: 3 },
        up: { ceil: '40mbit' },
      })),
      { id: "o'hara", parent: 'uplink', match: ['10.2.0.0/16'] },
      { id: '42', parent: 'uplink', match: ['10.3.0.1'], up: { rate: 1 } },
      ...[0, 1, 2].map((prio) => ({ id: `prio${prio}`, parent: 'uplink', down: { rate: '1mbit', prio } })),
      { id: 'guests', parent: 'uplink', down: { rate: '3bit' } },
      { id: 'alone', match: ['10.4.0.1'], leaf: 'pfifo', up: { rate: '1mbit' } },
    ];
    const tree = treeOf({
      version: 1,
      default: 'guests',
      overhead: -4,
      mpu: 64,
      linklayer: 'ptm',
      wash: true,
      classes,
    });
    await store.writeTree(tree);
    const records = await store.readAll();
    assert.is(records.settings[0]!.wash === true || records.settings[0]!.wash === 1, true);
    assert.equal(records.plans.map(({ id }) => id).sort(), ['100m-40m', 'free-free']);
    same(compile(records, NOW_MS).tree, tree);
  });

  test('random trees come back as they were, each in the place of the one before', async () => {
    const { url } = await make();
    const store = open(url);
    await store.createSchema();
    const random = seededRandom(`trees in ${name}`);
    for (let round = 0; round < 15; round++) {
      const tree = treeOf(randomDocument(random));
      await store.writeTree(tree);
      const result = compile(await store.readAll(), NOW_MS);
      same(result.tree, tree, `round ${round}: ${JSON.stringify(result.problems[0])}`);
    }
  });

  test('a database of the first version is read, and brought up to date', async () => {
    const { url, run, rows } = await make();
    const store = open(url);
    await store.createSchema();
    const kept = { id: 'anna', leaf: 'codel', limit: 7, limitBytes: 0, down: { rate: '1mbit' } };
    const tree = treeOf({ version: 1, mpu: 64, classes: [kept, { id: 'bert', down: { rate: '1mbit' } }] });
    await store.writeTree(tree);
    for (const [table, columns] of Object.entries(SINCE_VERSION_1)) {
      for (const column of columns) await run(`ALTER TABLE ${table} DROP COLUMN ${column}`);
    }
    await run('UPDATE weir_schema SET version = 1');
    same(compile(await store.readAll(), NOW_MS).tree, tree);
    assert.is((await store.readSubscribers(['anna']))!.subscribers[0]!.leaf, 'codel');
    await store.writeTree(tree);
    same(compile(await store.readAll(), NOW_MS).tree, tree);
    const newer = treeOf({ version: 1, ecn: false, classes: [{ ...kept, target: '1ms' }] });
    const fault = await store.writeTree(newer).then(
      () => 'no error',
      (error: Error) => error.message,
    );
    assert.match(fault, /ecn.*; `weir classes init` adds what a database of an earlier weir lacks$/);
    same(compile(await store.readAll(), NOW_MS).tree, tree);

    await open(url).createSchema();
    assert.equal(await rows('SELECT version FROM weir_schema'), [{ version: 2 }]);
    same(compile(await store.readAll(), NOW_MS).tree, tree);
    await store.writeTree(newer);
    same(compile(await store.readAll(), NOW_MS).tree, newer);
    const patch = (await store.readSubscribers(['anna']))!.subscribers[0]!;
    assert.equal([patch.codel_target, patch.flows], ['1ms', undefined], 'and nothing that is not said');
    for (const statement of ['UPDATE subscribers SET flows = 0', "UPDATE settings SET link_layer = 'x'"]) {
      assert.ok(
        await run(statement).then(
          () => false,
          () => true,
        ),
        statement,
      );
    }
  });

  test('a tree that cannot be written leaves the one before', async () => {
    const { url, run } = await make();
    const store = open(url);
    await store.createSchema();
    const tree = treeOf({ version: 1, classes: [{ id: 'anna', down: { rate: '1mbit' } }] });
    await store.writeTree(tree);
    const twice: ClassTree = { ...tree, classes: [...tree.classes, ...tree.classes] };
    const code = await store.writeTree(twice).catch((error: { code: string }) => error.code);
    assert.is(code, 'E_STORE_WRITE');
    same(compile(await store.readAll(), NOW_MS).tree, tree);
    await run('DROP TABLE addresses');
    assert.is(await store.writeTree(tree).catch((error: { code: string }) => error.code), 'E_STORE_SCHEMA');
  });

  test('the sample of 24,000 users is written, read and compiled without a warning', async () => {
    const { url } = await make();
    const store = open(url);
    let startMs = performance.now();
    const { tree, expiring } = await fillStore(store, { users: 24_000, seed: 1 }, NOW_MS);
    const writeMs = performance.now() - startMs;
    startMs = performance.now();
    const records = await store.readAll();
    const readMs = performance.now() - startMs;
    console.log(`${name}: sampled and written in ${writeMs.toFixed(0)} ms, read in ${readMs.toFixed(0)} ms`);
    const result = compile(records, NOW_MS);
    assert.equal(result.problems, []);
    same(result.tree, tree);
    assert.ok(expiring > 150 && expiring < 350, `${expiring} of 24,000 expire`);
    assert.ok(result.nextExpiryMs! > NOW_MS);
    assert.is(records.subscribers.filter(({ expires_at }) => expires_at !== null).length, expiring);
    assert.is(compile(records, NOW_MS + 100 * 86_400_000).expired.size, expiring);
  });
}

const sample = suite('sample');

sample('of any size without a problem, and within the limits of a tree', () => {
  for (const users of [0, 1, 2, 19, 300, 5_000]) {
    for (const seed of [0, 1, 0xffffffff]) {
      const { tree, problems } = parseClassTree(sampleTree({ users, seed }));
      assert.equal(problems, [], `${users} users, seed ${seed}`);
      assert.is(tree!.classes.filter(({ match }) => match.length > 0).length, users);
    }
  }
  assert.ok(sampleTree({ users: 1_000_000, seed: 1 }).classes.length <= CLASSES_MAX);
});

sample('is the same for a seed and another one for another', () => {
  const text = (seed: number) => JSON.stringify(sampleTree({ users: 200, seed }));
  assert.is(text(5), text(5));
  assert.is.not(text(5), text(6));
});

sample('looks like a dormitory', () => {
  const tree = treeOf(sampleTree({ users: 24_000, seed: 1 }));
  const users = tree.classes.filter(({ match }) => match.length > 0);
  const share = (holds: (user: (typeof users)[number]) => boolean) =>
    users.filter(holds).length / users.length;
  assert.ok(Math.abs(share(({ match }) => match.some(({ family }) => family === 6)) - 0.3) < 0.02);
  assert.ok(Math.abs(share(({ match }) => match.length > 1) - 0.33) < 0.03);
  assert.ok(share(({ match }) => match.some(({ family, length }) => family === 4 && length < 32)) > 0.002);
  const { plans } = rowsOfTree(tree);
  assert.is(plans.filter(({ id }) => id !== 'free-free').length, 8);
  const depths = new Set(users.map(({ parent }) => parent!.split('-').length));
  assert.equal([...depths].sort(), [2, 3]);
  assert.equal([tree.classes[0]!.down!.rateBps, tree.classes[0]!.up!.rateBps], [5e9, 1e9]);
});

sample('refuses a number of users that is none', () => {
  for (const users of [-1, 0.5, Number.NaN, 1_000_001]) {
    assert.throws(() => sampleTree({ users, seed: 1 }), /users must be a whole number from 0 to 1000000/);
  }
});

sample.run();

function treeOf(document: unknown): ClassTree {
  const { tree, problems } = parseClassTree(document);
  assert.ok(tree !== null, JSON.stringify(problems[0]));
  return tree!;
}

/** A database keeps no order, so classes are compared by id. */
function same(actual: ClassTree | null, expected: ClassTree, message = ''): void {
  assert.ok(actual !== null, message);
  const sorted = ({ classes, ...rest }: ClassTree) => ({
    ...rest,
    classes: classes
      .map((spec) => ({ ...spec, match: spec.match.map(({ text }) => text).sort() }))
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
  });
  const [one, other] = [sorted(actual!), sorted(expected)];
  // A difference of a whole tree is unreadable and slow to print.
  const first = one.classes.findIndex((spec, n) => JSON.stringify(spec) !== JSON.stringify(other.classes[n]));
  if (first >= 0) assert.equal(one.classes[first], other.classes[first], message);
  assert.is(JSON.stringify(one), JSON.stringify(other), message);
}

/** Up to some tens of classes whose rates fit, for a database with an error could not be read back. */
function randomDocument(random: () => number): unknown {
  const pick = <T>(...of: readonly T[]): T => of[below(random, of.length)]!;
  const size = () => pick<unknown>(undefined, undefined, '5kb', 1999);
  // A leaf at the top that assures nothing could never send, which a database is not let do.
  const direction = (ceilMbit: number, isRoot: boolean) => ({
    rate: isRoot ? pick<unknown>(1, '1kbit') : pick<unknown>(undefined, 0, 1, '1kbit', 1234, '100kbit'),
    ceil: `${ceilMbit}mbit`,
    burst: size(),
    cburst: size(),
    quantum: pick(undefined, undefined, 1514),
    prio: pick(undefined, 0, 7),
  });
  const classes: Record<string, unknown>[] = [];
  const add = (id: string, parent: string | undefined, ceilMbit: number, rest: object = {}): void => {
    const rates: Record<string, unknown> = {};
    for (const name of ['down', 'up'])
      if (random() < 0.8) rates[name] = direction(ceilMbit, parent === undefined);
    classes.push({ id, parent, ...rates, ...rest });
  };
  const sites = below(random, 6);
  for (let n = 0; n < sites; n++) {
    add(`s${n}`, n === 0 ? undefined : pick(undefined, `s${below(random, n)}`), 1000 - 100 * n);
    // A rate that its children's fit below whatever they are.
    for (const name of ['down', 'up'])
      if (classes[n]![name] !== undefined) Object.assign(classes[n]![name]!, { rate: '50mbit' });
  }
  const users = below(random, 30);
  for (let n = 0; n < users; n++) {
    const match = [`10.0.${n}.0/${pick(24, 25, 32)}`, `2001:db8:${n}::/48`].slice(0, below(random, 3));
    const rest = {
      match,
      ...(random() < 0.5 ? randomQueue(random) : {}),
    };
    add(`u${n}`, sites === 0 ? undefined : pick(undefined, `s${below(random, sites)}`), pick(5, 10), rest);
  }
  const text = JSON.stringify({
    version: 1,
    overhead: pick(0, 14),
    mpu: pick(0, 64),
    linklayer: pick(undefined, 'atm', 'ptm'),
    ...randomQueue(random, undefined, true),
    classes,
  });
  return JSON.parse(text); // without the keys that are undefined
}
