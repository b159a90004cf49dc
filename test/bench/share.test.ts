/** `bench share`: known answers for its figures and its verdict, weir beside the splits, and shapers broken on purpose. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Bound,
  breakClasses,
  type Canary,
  type JudgedDocument,
  jainIndex,
  judge,
} from '../../bench/canary.js';
import type { Point } from '../../bench/rig/document.js';
import { benchShare, type ShareOptions } from '../../bench/share.js';
import { shareFigures } from '../../bench/share-figures.js';
import { SITUATIONS } from '../../bench/share-situations.js';

const test = suite('bench share');
const SEED = Number(process.env.WEIR_SEED ?? 1);
console.log(`seed ${SEED}`);

const smoke: ShareOptions = {
  smoke: true,
  runs: 1,
  queues: [1, 4],
  seconds: 0.12,
  threadSeconds: 0,
  seed: SEED,
};
const WEIR = 'weir';
const STATIC = 'static split';
const ACTIVE = 'equal split among active queues';

function figure(document: JudgedDocument, point: string, column: string, name: string): number {
  const columns = document.points.find((each) => each.name === point)?.columns;
  const spread = columns?.find((each) => each.name === column)?.figures[name];
  if (spread === undefined) throw new Error(`no ${name} of ${column} at ${point}`);
  return spread.median;
}

test("Jain's index of equals is 1, and of one who has all 1/n", () => {
  assert.is(jainIndex([3, 3, 3]), 1);
  assert.is(jainIndex([5, 0, 0, 0]), 0.25);
  assert.is(jainIndex([0, 0]), 0);
});

test('figures of windows that are given', () => {
  const situation = {
    name: 'two',
    what: '',
    classes: [
      { id: 'a', down: { rate: 100e6 } },
      { id: 'b', down: { rate: 100e6 } },
    ],
    flows: () => [],
    promisedBps: new Map([
      ['a', 100e6],
      ['b', 100e6],
    ]),
  };
  const exact = new Array<number>(100).fill(100e6);
  const halved = shareFigures(
    situation,
    new Map([
      ['a', exact],
      ['b', exact.map((bps) => bps / 2)],
    ]),
  );
  assert.is(halved.utilisation, 0.75);
  assert.is(halved.worst, 0.5);
  assert.is(halved.jain, 0.9);
  assert.is(halved.overCeil, 0);
  // In one window a burst covers it; in a row it does not.
  const above = exact.map((bps) => bps * 1.1);
  const fast = shareFigures(
    situation,
    new Map([
      ['a', above],
      ['b', exact],
    ]),
  );
  assert.ok(fast.overCeil! > 0.06 && fast.overCeil! < 0.1, `${fast.overCeil}`);
  const once = exact.map((bps, i) => (i === 50 ? bps * 1.1 : bps));
  assert.is(
    shareFigures(
      situation,
      new Map([
        ['a', once],
        ['b', exact],
      ]),
    ).overCeil,
    0,
  );
});

test('a verdict names what is out of its bounds, and nothing else', () => {
  const point = (x: number): Point => ({
    name: `point ${x}`,
    parameters: { x },
    columns: [
      { name: 'one', missing: null, perRun: [], figures: { share: { median: x, min: 0, max: 9 } } },
      { name: 'two', missing: 'not there', perRun: [], figures: {} },
    ],
    ratios: [],
  });
  const bounds: Bound[] = [
    { column: 'one', figure: 'share', min: 0.9, max: 1.1 },
    { column: 'one', figure: 'share', max: 0.5, where: ({ parameters }) => parameters.x === 1 },
    { column: 'two', figure: 'share', min: 5 },
  ];
  assert.equal(judge([point(1.05), point(0.9)], bounds), { withinBounds: true, outOfBounds: [] });
  assert.equal(judge([point(1.2), point(0.2), point(1)], bounds).outOfBounds, [
    'point 1.2: one: share is 1.2, must be at most 1.1',
    'point 0.2: one: share is 0.2, must be at least 0.9',
    'point 1: one: share is 1, must be at most 0.5',
  ]);
});

test('what is broken on purpose is broken, and nothing else', () => {
  const classes = [
    { id: 'link', down: { rate: 100 } },
    { id: 'a', parent: 'link', down: { rate: 10, ceil: 50, quantum: 3000 } },
    { id: 'b', parent: 'link', down: { rate: 10, quantum: 3000 } },
  ];
  assert.is(breakClasses(classes, null), classes);
  assert.equal(breakClasses(classes, 'unfair'), [
    classes[0],
    { id: 'a', parent: 'link', down: { rate: 20, ceil: 100, quantum: 6000 } },
    classes[2],
  ]);
  const fast = breakClasses(classes, 'fast').map(({ down }) => Math.round(down.ceil!));
  assert.equal(fast, [110, 55, 11]);
});

test('promises of all leaves together are what their link or their ceils give', () => {
  const sums = SITUATIONS.map(({ name, promisedBps }) => [
    name,
    Math.round([...promisedBps.values()].reduce((sum, bps) => sum + bps, 0) / 1e6),
  ]);
  assert.equal(Object.fromEntries(sums), {
    alone: 1000,
    skewed: 1000,
    zipf: 1000,
    houses: 1000,
    ceils: 400,
    wandering: 400,
  });
});

test('weir is within bounds, and the splits are what they are known to be', async () => {
  const document = await benchShare(smoke);
  assert.equal(document.verdict, { withinBounds: true, outOfBounds: [] });
  assert.is(document.notes[0], 'Verdict: within bounds.');
  for (const { name } of SITUATIONS) {
    // With one queue there is nothing to split.
    for (const column of [WEIR, STATIC, ACTIVE])
      assert.ok(figure(document, `${name}, 1 queue`, column, 'worst') < 0.05, `${name}: ${column}`);
  }
  // Two of four queues have traffic, and one has a single class that can send 100 Mbit/s.
  const alone = figure(document, 'alone, 4 queues', STATIC, 'utilisation');
  assert.ok(Math.abs(alone - 0.35) < 0.01, `static split: ${alone}`);
  const shared = figure(document, 'alone, 4 queues', ACTIVE, 'utilisation');
  assert.ok(Math.abs(shared - 0.6) < 0.01, `active split: ${shared}`);
  // Evenly spread, all three do well.
  for (const column of [STATIC, ACTIVE])
    assert.ok(Math.abs(figure(document, 'ceils, 4 queues', column, 'utilisation') - 1) < 0.02, column);
  // A class that wanders from queue to queue has a quarter of its rate on each.
  assert.ok(figure(document, 'wandering, 4 queues', STATIC, 'utilisation') < 0.6);
});

for (const canary of ['fast', 'unfair'] satisfies Canary[]) {
  test(`a shaper that is ${canary} is caught`, async () => {
    const { verdict, notes } = await benchShare({ ...smoke, queues: [2], canary });
    assert.is(verdict.withinBounds, false);
    assert.is(notes[0], 'Verdict: OUT OF BOUNDS.');
    const figures = canary === 'fast' ? ['overCeil', 'utilisation'] : ['jain', 'worst'];
    for (const name of figures)
      assert.ok(
        verdict.outOfBounds.some((line) => line.includes(`weir: ${name} is`)),
        `${name} is not among ${verdict.outOfBounds.join('; ')}`,
      );
  });
}

test('with real threads nothing passes its ceil, and all queues have sent', async () => {
  const two = SITUATIONS.filter(({ name }) => name === 'ceils' || name === 'zipf');
  const document = await benchShare({ ...smoke, queues: [2], seconds: 0.02, threadSeconds: 0.3 }, two);
  assert.is(document.points.length, two.length);
  for (const { name, columns } of document.points) {
    const threads = columns.find((column) => column.name === 'weir, threads');
    // There is none with fewer CPUs than queues.
    if (threads === undefined) continue;
    assert.ok(threads.figures.overCeil!.max < 0.02, `${name}: ${threads.figures.overCeil!.max} above`);
    // Threads that hardly get a CPU send little; one that counts nothing sends nothing.
    assert.ok(threads.figures.utilisation!.median > 0.002, `${name}: ${threads.figures.utilisation!.median}`);
  }
});

test.run();
