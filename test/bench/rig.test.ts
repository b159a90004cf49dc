/** The parts that all benchmarks share, with known answers. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type BenchDocument, curveOf, documentOf, type Point } from '../../bench/rig/document.js';
import { evaluate, leastSquares } from '../../bench/rig/fit.js';
import { documentPage, writeIndex, writePage } from '../../bench/rig/page.js';
import { type Column, type Figures, measureInTurns, ratioOf, spreadOf } from '../../bench/rig/rounds.js';
import { numberText } from '../../bench/rig/tables.js';
import { documentText } from '../../bench/rig/text.js';

const test = suite('the parts of the benchmarks');

function column(name: string, values: readonly number[], heard: string[] = []): Column {
  const measure = async (round: number): Promise<Figures> => {
    heard.push(name);
    return { delayMs: values[round]! };
  };
  return { name, missing: null, measure };
}

const GONE: Column = {
  name: 'gone',
  missing: 'apt-get install <gone>',
  measure: () => Promise.reject(new Error('a missing column was measured')),
};

test('columns are measured in turns, a missing one never', async () => {
  const heard: string[] = [];
  const columns = [column('a', [3, 1, 2], heard), GONE, column('b', [6, 4, 1], heard)];
  const seen: string[] = [];
  const [a, gone, b] = await measureInTurns(columns, 3, (name, round) => seen.push(`${name}${round}`));
  assert.equal(heard, ['a', 'b', 'a', 'b', 'a', 'b']);
  assert.equal(seen, ['a0', 'b0', 'a1', 'b1', 'a2', 'b2']);
  assert.equal(a!.figures, { delayMs: { median: 2, min: 1, max: 3 } });
  assert.equal(b!.perRun, [{ delayMs: 6 }, { delayMs: 4 }, { delayMs: 1 }]);
  assert.equal([gone!.missing, gone!.perRun, gone!.figures], [GONE.missing, [], {}]);
});

test('spreads', () => {
  assert.equal(spreadOf([5]), { median: 5, min: 5, max: 5 });
  assert.equal(spreadOf([10, 9, 1]), { median: 9, min: 1, max: 10 });
  assert.equal(spreadOf([4, 1, 100, 2]), { median: 3, min: 1, max: 100 });
  assert.ok(Number.isNaN(spreadOf([]).median));
});

test('a ratio is one of each run, not of the medians', async () => {
  const [a, b, gone] = await measureInTurns([column('a', [1, 8, 3]), column('b', [2, 2, 3]), GONE], 3);
  const ratio = ratioOf(a!, b!, 'delayMs')!;
  assert.equal(ratio.perRun, [0.5, 4, 1]);
  assert.equal([ratio.median, ratio.min, ratio.max], [1, 0.5, 4]);
  assert.is(ratioOf(a!, gone!, 'delayMs'), null);
});

test('least squares finds the formula that made the figures', () => {
  const rows = [1, 2, 4, 8, 16].flatMap((x) => [0, 1].map((z) => [1, Math.log2(x), z]));
  const made = [10, 3, -2];
  const { coefficients, rSquared } = leastSquares(
    rows,
    rows.map((row) => evaluate(made, row)),
  );
  for (const [i, value] of made.entries()) assert.ok(Math.abs(coefficients[i]! - value) < 1e-9);
  assert.ok(Math.abs(rSquared - 1) < 1e-9);
});

test('least squares: what it cannot explain, and a term that says nothing new', () => {
  const up = leastSquares(
    [0, 1, 2, 3].map((x) => [1, x, 7]),
    [0, 2, 1, 3],
  );
  // By hand: the slope is 4/5, and 3.2 of the variance of 5 lie on the line.
  assert.ok(Math.abs(up.coefficients[1]! - 0.8) < 1e-9);
  assert.is(up.coefficients[2], 0);
  assert.ok(Math.abs(up.rSquared - 0.64) < 1e-9);
});

test('numbers as people read them', () => {
  const shown = [0, 7, 1_000_000, 12_345.6, 2.34567, 0.000123456, Number.NaN].map(numberText);
  assert.equal(shown, ['0', '7', '1,000,000', '12,346', '2.346', '0.0001235', '–']);
});

// ---- the document, as text and as a page ---------------------------------------------------------------

const AXES = { x: { label: 'users', scale: 'log' }, y: { label: 'delay, ms', scale: 'linear' } } as const;

async function sample(): Promise<BenchDocument> {
  const points: Point[] = [];
  for (const users of [10, 1000]) {
    const columns = await measureInTurns(
      [column('weir', [users / 2, users * 1.5, users]), column('peer <b>', [4, 4, 4]), GONE],
      3,
    );
    const ratios = [ratioOf(columns[0]!, columns[1]!, 'delayMs')!];
    points.push({ name: `${users} users`, parameters: { users }, columns, ratios });
  }
  const curve = { title: 'delay & users', parameter: 'users', figure: 'delayMs', ...AXES };
  return documentOf({
    bench: 'sample',
    measures: 'nothing at all',
    parameters: { seconds: 1.5 },
    seed: 77,
    runs: 3,
    points,
    plots: [curveOf(points, curve)],
    notes: ['made up'],
    model: {
      formula: 'y = a x',
      coefficients: { a: 0.125 },
      rSquared: 0.875,
      predictions: [{ name: 'at 8', value: 4321, unit: 'ms' }],
      assumptions: ['it goes on like this'],
    },
    tools: { peer: 'peer 1.2.3' },
    startedMs: 0,
  });
}

/** What a reader must find, however it is shown. */
const SAID = [
  'nothing at all',
  '10 (5 … 15)',
  '1,000 (500 … 1,500)',
  '2.5 (1.25 … 3.75)',
  'made up',
  '0.875',
  '4,321',
  'it goes on like this',
  'peer 1.2.3',
  '77',
];

test('a curve has the medians with least and most, and no series for what is missing', async () => {
  const { plots } = await sample();
  assert.equal(
    plots[0]!.series.map(({ name }) => name),
    ['weir', 'peer <b>'],
  );
  assert.equal(plots[0]!.series[0]!.points, [
    { x: 10, y: 10, min: 5, max: 15 },
    { x: 1000, y: 1000, min: 500, max: 1500 },
  ]);
});

test('the text has the figures, the machine, and what is missing', async () => {
  const document = await sample();
  const shown = documentText(document);
  for (const said of [...SAID, document.machine.kernel, 'missing: gone: apt-get install <gone>'])
    assert.ok(shown.includes(said), said);
});

test('the page has the same and a plot, and asks nothing of a network or a script', async () => {
  const document = await sample();
  const page = documentPage(document);
  for (const said of [...SAID, document.machine.kernel, 'apt-get install &lt;gone&gt;', 'peer &lt;b&gt;'])
    assert.ok(page.includes(said), said);
  assert.match(page, /<svg .*delay, ms.*delay &amp; users.*<\/svg>/s);
  assert.not.match(page, /peer <b>|<gone>/);
  assert.not.match(page, /https?:|<script|<link|<img|<iframe|src=|@import|url\((?!#)/i);
});

/** The drawn paths of all bars: "M x y L x y" for each. */
function barsOf(document: BenchDocument): number {
  const bars = documentPage(document).matchAll(/<path d="([^"]*)"[^>]*stroke-width="1\.2"/g);
  return [...bars].flatMap(([, path]) => path!.match(/L/g) ?? []).length;
}

test('a plot has a bar where runs differ, and no other', async () => {
  const document = await sample();
  assert.is(barsOf(document), 2, 'one for each of the points of weir; the peer is always the same');
  const [plot] = document.plots;
  const series = plot!.series.map(({ name, points }) => ({ name, points: points.slice(1) }));
  assert.is(barsOf({ ...document, plots: [{ ...plot!, series }] }), 1);
});

test('a logarithmic axis leaves out what it has no place for', async () => {
  const document = await sample();
  const series = [{ name: 'weir', points: [{ x: 0, y: 1, min: null, max: null }] }];
  assert.not.match(
    documentPage({ ...document, plots: [{ title: 'none', ...AXES, series }] }),
    /NaN|Infinity/,
  );
});

test('files: JSON as printed, a page each, an index that says what did not run', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-rig-'));
  try {
    const document = await sample();
    const out = join(folder, 'new', 'out');
    await writePage(out, document);
    await writeIndex(out, [document], [{ bench: 'other', reason: 'needs <root>' }]);
    assert.equal(JSON.parse(readFileSync(join(out, 'sample.json'), 'utf8')), document);
    assert.match(readFileSync(join(out, 'sample.html'), 'utf8'), /<h1>weir bench sample<\/h1>.*<\/html>/s);
    const index = readFileSync(join(out, 'index.html'), 'utf8');
    assert.match(index, /href="sample\.html"/);
    assert.match(index, /other: not run: needs &lt;root&gt;/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
