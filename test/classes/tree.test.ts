import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultBurstBytes, defaultQuantumBytes } from '../../classes/model.js';
import { parseClassTree } from '../../classes/validate.js';
import { documentOf, sampleDocument, treeOf } from './documents.js';
import { below, seededRandom } from './random.js';

const test = suite('tree');

test('a tree with every key', () => {
  const tree = treeOf(sampleDocument());
  assert.is(tree.defaultClass, 'guests');
  assert.is(tree.overheadBytes, 24);
  assert.is(tree.mpuBytes, 64);
  assert.is(tree.linkLayer, 'atm');
  assert.equal(tree.queue, { targetUs: 8000, intervalUs: 120_000, ecn: false, isolate: 'dual' });
  const user = tree.classes[2]!;
  assert.equal(user, {
    id: 'u42',
    parent: 'house',
    match: [
      { family: 4, words: [0x0a000005], length: 32, text: '10.0.0.5' },
      { family: 6, words: [0x20010db8, 0x00420000, 0, 0], length: 56, text: '2001:db8:42::/56' },
    ],
    queue: { leaf: 'pfifo', limitPackets: 500, limitBytes: 1048576 },
    down: { rateBps: 1e7, ceilBps: 1e8, burstBytes: 65536, cburstBytes: 3200, quantumBytes: 125000, prio: 3 },
    up: { rateBps: 2e6, ceilBps: 4e7, burstBytes: 1850, cburstBytes: 6600, quantumBytes: 25000, prio: 0 },
  });
});

test('what is left out', () => {
  const [bare, ceilOnly] = treeOf(
    documentOf(
      { id: 'a', parent: null },
      { id: 'b', parent: 'a', down: { ceil: '8mbit' }, up: { rate: 8e9 } },
    ),
  ).classes;
  assert.equal(bare, {
    id: 'a',
    parent: null,
    match: [],
    queue: {},
    down: null,
    up: null,
  });
  assert.equal(ceilOnly!.down, {
    rateBps: 0,
    ceilBps: 8e6,
    burstBytes: 1600,
    cburstBytes: 2600,
    quantumBytes: 1000,
    prio: 0,
  });
  assert.is(ceilOnly!.up!.ceilBps, 8e9);
  assert.is(ceilOnly!.up!.quantumBytes, 200_000);
  assert.is(treeOf(documentOf()).defaultClass, null);
});

test('default burst and quantum', () => {
  assert.is(defaultBurstBytes(1e9), 126_600);
  assert.is(defaultBurstBytes(0), 1600);
  assert.ok(defaultBurstBytes(10e12) < 2 ** 31);
  assert.is(defaultQuantumBytes(0), 1000);
  assert.is(defaultQuantumBytes(1e6), 12_500);
  assert.is(defaultQuantumBytes(1e9), 200_000);
});

test('equal directions are one frozen object, unequal ones are not', () => {
  const classes = Array.from({ length: 5000 }, (_, i) => ({
    id: `u${i}`,
    down: { rate: `${1 + (i % 1500)}mbit` },
    up: { rate: (1 + (i % 1500)) * 1e6, burst: undefined },
  }));
  const tree = treeOf(documentOf(...classes));
  const distinct = new Set(tree.classes.flatMap((spec) => [spec.down, spec.up]));
  assert.is(distinct.size, 1500);
  assert.ok(Object.isFrozen(tree.classes[0]!.down));
  for (const [i, spec] of tree.classes.entries()) assert.is(spec.down!.rateBps, (1 + (i % 1500)) * 1e6);
});

test('parents come before children, otherwise the order is the file’s', () => {
  const ids = (...classes: unknown[]) => treeOf(documentOf(...classes)).classes.map((spec) => spec.id);
  assert.equal(ids({ id: 'b' }, { id: 'a' }, { id: 'c', parent: 'a' }, { id: 'd', parent: 'b' }), [
    'b',
    'a',
    'c',
    'd',
  ]);
  assert.equal(ids({ id: 'c', parent: 'b' }, { id: 'x' }, { id: 'b', parent: 'a' }, { id: 'a' }), [
    'a',
    'b',
    'c',
    'x',
  ]);
});

test('the document is not changed', () => {
  const value = sampleDocument();
  parseClassTree(value);
  assert.equal(value, sampleDocument());
});

test('20,000 random mutations of a document: a tree or an error, never an exception', () => {
  const random = seededRandom('tree');
  let trees = 0;
  for (let i = 0; i < 20_000; i++) {
    const value = { root: sampleDocument() as unknown };
    for (let edit = below(random, 4); edit >= 0; edit--) mutate(value, random);
    const { tree, problems } = parseClassTree(value.root);
    assert.is(
      tree === null,
      problems.some((problem) => problem.severity === 'error'),
    );
    for (const problem of problems) assert.not.match(problem.key + problem.message, /\n|NaN/);
    if (tree === null) continue;
    trees++;
    const seen = new Set<string | null>([null]);
    for (const spec of tree.classes) {
      assert.ok(seen.has(spec.parent));
      seen.add(spec.id);
      for (const direction of [spec.down, spec.up]) {
        if (direction !== null) assert.ok(Object.values(direction).every(Number.isSafeInteger));
      }
    }
  }
  assert.ok(trees > 1000 && trees < 19_000, `${trees} of the mutated documents are valid`);
});

/** Replaces, removes, duplicates or moves one value somewhere below `holder`. */
function mutate(holder: object, random: () => number): void {
  let parent = holder as Record<string, unknown>;
  let key = 'root';
  while (random() < 0.85) {
    const next = parent[key];
    if (typeof next !== 'object' || next === null || Object.keys(next).length === 0) break;
    const keys = Object.keys(next);
    parent = next as Record<string, unknown>;
    key = keys[below(random, keys.length)]!;
  }
  const action = below(random, 4);
  if (action === 0) delete parent[key];
  else if (action === 1) parent[`${key}x`] = parent[key];
  else if (Array.isArray(parent) && action === 2)
    parent.push(structuredClone(parent[below(random, parent.length)]));
  else parent[key] = JUNK[below(random, JUNK.length)]!();
}

const JUNK: readonly (() => unknown)[] = [
  () => null,
  () => [],
  () => ({}),
  () => true,
  () => -1,
  () => 1e300,
  () => 0,
  () => 1,
  () => 'u42',
  () => 'house',
  () => 'guests',
  () => '10.0.0.5',
  () => '::/0',
  () => '5mbit',
  () => '64kb',
  () => '',
  () => 'a\nb',
  () => ['10.0.0.0/33', {}, [[]]],
  () => ({ rate: '1mbit', ceil: null }),
  () => JSON.parse('{"__proto__": {"id": "x"}, "constructor": 1, "toString": null}'),
];

test('200,000 classes in reverse order, each in its place', () => {
  const count = 200_000;
  const classes: unknown[] = [];
  for (let i = count - 1; i > 0; i--) {
    const match = `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
    classes.push(
      i < 1000
        ? { id: `c${i}`, parent: 'c0' }
        : { id: `c${i}`, parent: `c${(i % 999) + 1}`, match, down: { rate: 1e6 } },
    );
  }
  classes.push({ id: 'c0', down: { rate: '200gbit' } });
  const tree = treeOf({ version: 1, classes });
  assert.is(tree.classes.length, count);
  const placeById = new Map(tree.classes.map((spec, place) => [spec.id, place]));
  assert.is(placeById.size, count);
  for (const [place, spec] of tree.classes.entries()) {
    assert.ok(spec.parent === null || placeById.get(spec.parent)! < place);
  }
});

test('a cycle of 200,000 classes does not exhaust the stack', () => {
  const count = 200_000;
  const classes = Array.from({ length: count }, (_, i) => ({ id: `c${i}`, parent: `c${(i + 1) % count}` }));
  assert.is(parseClassTree({ version: 1, classes }).problems.length, 1);
});

test.run();
