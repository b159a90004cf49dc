/** The benchmarks in miniature, so that they cannot rot. What they measure is not judged here, only that it makes sense. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { benchCore, type CoreDocument, type CoreOptions } from '../../bench/core.js';
import { CoreRig, DEPTH_USUAL, publishTree, type RigSpec } from '../../bench/core-rig.js';
import { ShapingRig } from '../../bench/core-shaping.js';
import { benchFlows } from '../../bench/flows.js';
import { rteSched } from '../../bench/rig/rte-sched.js';
import { type Outcome, weir } from '../cli/weir.js';

const TRIES = 3;
const SMALL: CoreOptions = {
  classes: [512],
  curve: false,
  throttled: [0.5],
  flows: 512,
  seconds: 0.2,
  queues: 1,
  seed: 1,
  runs: 2,
  smoke: true,
};
/** Shared and local memory of a leaf class in one direction of one worker. */
const BYTES_PER_CLASS_MAX = 512;

/** What every benchmark prints. */
const SPEED_KEYS = ['nsPerPacket', 'mpps', 'gcCount'];

const test = suite('bench');

function assertSane(result: CoreDocument, options: CoreOptions): void {
  assert.is(result.bench, 'core');
  for (const key of ['flows', 'queues', 'seed', 'seconds', 'runs'] as const)
    assert.is(result[key], options[key], key);
  assert.equal([result.classes, result.throttled], [options.classes[0], options.throttled[0]]);
  assert.ok(Number.isInteger(result.packets) && result.packets > 0);
  assert.ok(Number.isFinite(result.nsPerPacket) && result.nsPerPacket > 0);
  // Two spellings of one figure, each rounded.
  assert.ok(Math.abs((result.mpps * result.nsPerPacket) / 1000 - 1) < 0.01);
  assert.ok(Number.isInteger(result.gcCount) && result.gcCount >= 0);
  assert.ok(
    result.bytesPerClass > 0 && result.bytesPerClass <= BYTES_PER_CLASS_MAX,
    `${result.bytesPerClass} bytes`,
  );
}

/** Half of the classes are offered twice their ceil, and have used up their bursts: three quarters of the packets leave. */
function assertHalfThrottled({ sentShare, packets }: CoreDocument): void {
  assert.ok(sentShare > 0.72 && sentShare < 0.78, `sent ${sentShare} of ${packets}`);
}

for (const queues of [1, 2]) {
  const options = { ...SMALL, queues };
  test(`core, half of the classes throttled, ${queues} ${queues === 1 ? 'queue' : 'queues'}`, async () => {
    const result = await benchCore(options);
    assertSane(result, options);
    assertHalfThrottled(result);
  });
}

test('core without throttled classes sends everything', async () => {
  const options = { ...SMALL, throttled: [0], flows: 2048 };
  const result = await benchCore(options);
  assertSane(result, options);
  assert.ok(result.sentShare > 0.99 && result.sentShare <= 1, `sent ${result.sentShare}`);
});

test('core: a point for each number of classes and share of throttled ones, and a curve', async () => {
  const options = { ...SMALL, classes: [64, 256], throttled: [0, 0.5], flows: null, seconds: 0.05 };
  const { points, plots, ...rest } = await benchCore(options);
  assert.equal([rest.classes, rest.throttled, rest.flows], [64, 0, 64], 'the first point is the summary');
  assert.equal(
    points.map(({ parameters: { classes, throttled } }) => [classes, throttled]),
    [
      [64, 0],
      [256, 0],
      [64, 0.5],
      [256, 0.5],
    ],
  );
  for (const { columns } of points) {
    assert.equal(
      columns.map(({ name }) => name),
      ['weir fq_codel', 'weir pfifo', 'weir shaping, fq_codel', 'weir shaping, pfifo', 'rte_sched'],
    );
    for (const { missing, perRun } of columns) assert.is(perRun.length, missing === null ? options.runs : 0);
  }
  for (const { series } of plots)
    assert.equal(
      series[0]!.points.map(({ x }) => x),
      [64, 256],
    );
});

for (const leaf of ['fq_codel', 'pfifo'] as const) {
  test(`the shaping column shapes as the worker does, ${leaf}`, () => {
    const spec: RigSpec = {
      classes: 512,
      throttled: 0.5,
      flows: 1024,
      queues: 1,
      busyQueues: 1,
      seed: 3,
      leaf,
      depth: DEPTH_USUAL,
    };
    const rigs = [new CoreRig(spec, publishTree(spec)), new ShapingRig(spec, publishTree(spec))];
    const [worker, shaping] = rigs.map((rig) => {
      rig.settle(30);
      const { received, sent } = rig;
      while (rig.received < received + 20_000) rig.turn();
      rig.checkConservation();
      return (rig.sent - sent) / (rig.received - received);
    });
    assert.ok(worker! > 0.72 && worker! < 0.78, `the worker sent ${worker}`);
    assert.ok(Math.abs(shaping! - worker!) < 0.01, `the worker sent ${worker}, its tree alone ${shaping}`);
  });
}

test('rte_sched: figures, or the package that brings it', async () => {
  const shares: number[] = [];
  // Its clock is the machine's, which may have other things to do: one good try of a few shows that it throttles.
  for (let left = TRIES; left > 0; left--) {
    const { points } = await benchCore({ ...SMALL, seconds: 0.05 });
    const { missing, figures } = points[0]!.columns.find(({ name }) => name === 'rte_sched')!;
    if (missing !== null) {
      console.log(`  skipped: ${missing}`);
      assert.match(missing, /dpdk-dev/);
      return;
    }
    assert.ok(figures.nsPerPacket!.median > 0);
    const { median } = figures.sentShare!;
    if (median > 0.6 && median < 0.95) return;
    shares.push(median);
  }
  assert.unreachable(`sent ${shares.join(', ')} with half of the leaves throttled`);
});

test('a column whose package is missing says so', async () => {
  const path = process.env.PATH;
  // No pkg-config there, so no DPDK either.
  process.env.PATH = '/nonexistent';
  try {
    const { column } = await rteSched({ classes: 64, throttled: 0, seconds: 0.01, seed: 1 });
    assert.match(column.missing!, /dpdk-dev/);
  } finally {
    process.env.PATH = path;
  }
});

test('flows finds every flow again, and the same classes each time', async () => {
  const options = { flows: 10_000, prefixes: 1_000, seconds: 0.2, seed: 7, runs: 2, smoke: true };
  const first = await benchFlows(options);
  const second = await benchFlows(options);
  assert.equal([first.bench, first.flows, first.classes, first.seed], ['flows', 10_000, 1_000, 7]);
  for (const key of ['nsPerPacket', 'lookupNs', 'lookupNsBest', 'nsPerNewFlow', 'bytesPerFlow'] as const)
    assert.ok(Number.isFinite(first[key]) && first[key] > 0, key);
  assert.ok(first.lookupNsBest <= first.lookupNs);
  assert.ok(first.hitShare > 0.99 && first.hitShare <= 1, `hit ${first.hitShare}`);
  assert.is(first.fillHash, second.fillHash);
  assert.is(first.classHashBytes, second.classHashBytes);
});

// ---- the command ---------------------------------------------------------------------------------------

function onlyDocument({ code, stdout, stderr }: Outcome): unknown {
  assert.is(stderr, '');
  assert.is(code, 0);
  // JSON.parse accepts white space around a document; weir prints one line.
  assert.match(stdout, /^[^\n]+\n$/);
  return JSON.parse(stdout);
}

function assertFigures(document: unknown, bench: string, classes: number, keys: readonly string[]): void {
  const figures = document as Record<string, unknown>;
  assert.is(figures.bench, bench);
  assert.is(figures.classes, classes);
  for (const key of keys) assert.ok(Number.isFinite(figures[key]), `${key}: ${String(figures[key])}`);
}

test('weir bench core --json', () => {
  const args = ['--classes', '256', '--flows', '256', '--seconds', '0.2', '--json'];
  assertFigures(onlyDocument(weir('bench', 'core', ...args)), 'core', 256, [...SPEED_KEYS, 'bytesPerClass']);
});

test('weir bench core --queues 2 --throttled 0.5 --json', () => {
  const args = ['--classes', '64', '--queues', '2', '--throttled', '0.5', '--seconds', '0.05', '--json'];
  const { queues, flows, throttled } = onlyDocument(weir('bench', 'core', ...args)) as CoreDocument;
  assert.equal([queues, flows, throttled], [2, 64, 0.5]);
});

test('weir bench flows --json', () => {
  const args = ['--flows', '10000', '--prefixes', '1000', '--seconds', '0.2', '--json'];
  const document = onlyDocument(weir('bench', 'flows', ...args));
  assertFigures(document, 'flows', 1000, [...SPEED_KEYS, 'lookupNs', 'bytesPerFlow']);
});

const MISUSES: readonly (readonly string[])[] = [
  ['core', '--classes', '0'],
  ['core', '--classes'],
  ['core', '--queues', '257'],
  ['core', '--throttled', '-0.1'],
  ['core', '--throttled', '0,2'],
  ['core', '--classes', '64,'],
  ['core', '--runs', '0'],
  ['all', '--classes', '64'],
  ['scale', '--depths', '1'],
  ['core', '--seconds', 'Infinity'],
  ['core', '--colour'],
  ['core', 'surplus'],
  ['flows', '--flows', '1e9'],
  ['flows', '--classes', '5'],
];

for (const args of MISUSES) {
  test(`weir bench ${args.join(' ')}: one line, exit code 2`, () => {
    const { code, stdout, stderr } = weir('bench', ...args);
    assert.is(code, 2);
    assert.is(stdout, '');
    assert.match(stderr, /^weir: E_USAGE: [^\n]+\n$/);
  });
}

test.run();
