/** `bench agree`: its trees, its verdict, and on the wire a small run and one with a shaper that favours a class. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { judgeAgreement } from '../../bench/agree.js';
import { AGREE_TREES, LOAD_UNIT_BPS } from '../../bench/agree-trees.js';
import type { JudgedDocument } from '../../bench/canary.js';
import type { Point } from '../../bench/rig/document.js';
import { ratioOf } from '../../bench/rig/rounds.js';
import { parseClassTree } from '../../classes/validate.js';
import { hasTool, whyNoXdp } from '../netns/namespaces.js';
import { smokeOf } from './smoke.js';

const test = suite('bench agree');
const COLUMNS = ['kernel HTB', 'weir', 'weir, 2 queues'] as const;

test('a dozen trees, each valid, each with traffic for leaves only', () => {
  assert.ok(AGREE_TREES.length >= 12);
  assert.is(new Set(AGREE_TREES.map(({ name }) => name)).size, AGREE_TREES.length);
  for (const { name, classes, units, differs } of AGREE_TREES) {
    const { tree, problems } = parseClassTree({ version: 1, classes });
    assert.ok(tree !== null, `${name}: ${JSON.stringify(problems)}`);
    const parents = new Set(classes.map(({ parent }) => parent));
    for (const id of [...Object.keys(units), ...Object.keys(differs?.promisedBps ?? {})])
      assert.ok(classes.some((spec) => spec.id === id) && !parents.has(id), `${name}: ${id}`);
    const offered = Object.values(units).reduce((sum, count) => sum + count, 0) * LOAD_UNIT_BPS;
    assert.ok(offered > 80e6 && offered <= 250e6, `${name}: ${offered}`);
  }
});

/** A point of the named tree at which the columns get so many Mbit/s for `a`, or are missing. */
function pointWith(name: string, mbits: readonly (number | null)[]): Point {
  const columns = COLUMNS.map((column, i) => {
    const mbit = mbits[i]!;
    if (mbit === null) return { name: column, missing: 'not there', perRun: [], figures: {} };
    const figures = { 'a, Mbit/s': mbit };
    return {
      name: column,
      missing: null,
      perRun: [figures],
      figures: { 'a, Mbit/s': { median: mbit, min: mbit, max: mbit } },
    };
  });
  const [kernel, one, two] = columns;
  const pairs = [ratioOf(one!, kernel!, 'a, Mbit/s'), ratioOf(two!, one!, 'a, Mbit/s')];
  return { name, parameters: {}, columns, ratios: pairs.filter((ratio) => ratio !== null) };
}

test('a class that is further off than the tolerance is named', () => {
  const judge = (...mbits: (number | null)[]): readonly string[] =>
    judgeAgreement([pointWith('borrowing', mbits)], AGREE_TREES).outOfBounds;
  assert.equal(judge(20, 20.5, 20.1), []);
  assert.equal(judge(20, 22, 22), [
    'borrowing: a, Mbit/s: weir beside kernel HTB: 10.0 %, must be within 3 %',
  ]);
  assert.equal(judge(20, 20, 10), [
    'borrowing: a, Mbit/s: weir, 2 queues beside weir: -50.0 %, must be within 3 %',
  ]);
  // Without the kernel's HTB, weir is still beside itself.
  assert.equal(judge(null, 20, 20), []);
  assert.is(judge(null, 20, 22).length, 1);
});

test('where they differ on purpose, weir is held against its promise', () => {
  const { promisedBps } = AGREE_TREES.find(({ name }) => name === 'oversubscription')!.differs!;
  const promised = {
    name: 'oversubscription',
    classes: [],
    units: {},
    differs: { why: '', promisedBps: { a: 20e6 } },
  };
  const judge = (...mbits: number[]): readonly string[] =>
    judgeAgreement([pointWith('oversubscription', mbits)], [promised]).outOfBounds;
  assert.equal(judge(40, 20, 20), []);
  assert.equal(judge(22, 22, 22), [
    'oversubscription: a: weir beside its promise: 10.0 %, must be within 3 %',
  ]);
  assert.is(
    Object.values(promisedBps).reduce((sum, bps) => sum + bps, 0),
    80e6,
  );
});

const missing = ['make', 'clang', 'tc'].find((tool) => !hasTool(tool));
const why = whyNoXdp() ?? (missing === undefined ? null : `the command ${missing} is missing`);
if (why === null) {
  test('four classes that borrow get equal parts of the link, of both', async () => {
    const { points, verdict, notes } = (await smokeOf('agree')) as JudgedDocument;
    const [{ columns, ratios }] = points as [Point];
    assert.equal(
      columns.map(({ name }) => name),
      [...COLUMNS],
    );
    assert.ok(ratios.length >= 4);
    for (const { name, missing: without, figures } of columns) {
      if (without !== null) continue;
      // How near their sum comes to the link is a matter of what else the machine does; the parts are not.
      const parts = ['a', 'b', 'c', 'd'].map((id) => figures[`${id}, Mbit/s`]!.median);
      const sum = parts.reduce((total, mbit) => total + mbit, 0);
      for (const mbit of parts)
        assert.ok(Math.abs(mbit / (sum / 4) - 1) < 0.03, `${name}: ${parts.join(' ')}`);
      assert.ok(sum < 80 * 1.03, `${name}: ${sum}`);
    }
    assert.is(notes[0], verdict.withinBounds ? 'Verdict: within bounds.' : 'Verdict: OUT OF BOUNDS.');
  });

  test('a class that counts twice is caught', async () => {
    const { points, verdict } = (await smokeOf('agree', { canary: 'unfair' })) as JudgedDocument;
    if (points[0]!.columns[0]!.missing !== null) return console.log('skipped: no kernel HTB to compare with');
    assert.is(verdict.withinBounds, false);
    assert.ok(
      verdict.outOfBounds.some((line) => line.startsWith('borrowing: a, Mbit/s: weir beside kernel HTB: ')),
    );
  });
} else {
  test(`skipped: ${why}`, () => {});
  console.log(`skipped: ${why}`);
}

test.run();
