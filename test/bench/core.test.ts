/** The benchmarks in miniature, so that they cannot rot. What they measure is not judged here, only that it makes sense. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { benchCore, type CoreOptions, type CoreResult } from '../../bench/core.js';
import { benchFlows } from '../../bench/flows.js';
import { type Outcome, weir } from '../cli/weir.js';

const SMALL: CoreOptions = { classes: 512, throttled: 0.5, flows: 512, seconds: 0.2, queues: 1, seed: 1 };
/** Shared and local memory of a leaf class in one direction of one worker. */
const BYTES_PER_CLASS_MAX = 512;

/** A throttled class's burst, 3200 bytes less the 1600 a packet may overdraw, in frames of 64, and the one that overdraws. */
const BURST_PACKETS = 1600 / 64 + 1;
/** What every benchmark prints. */
const SPEED_KEYS = ['nsPerPacket', 'mpps', 'gcCount'];

const test = suite('bench');

function assertSane(result: CoreResult, options: CoreOptions): void {
  assert.is(result.bench, 'core');
  for (const key of ['classes', 'throttled', 'flows', 'queues', 'seed', 'seconds'] as const)
    assert.is(result[key], options[key], key);
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

/**
 * Half of the classes are offered twice their ceil: three quarters of the packets can leave, and at the start what the
 * throttled ones' bursts hold. A slow machine carries fewer packets in its time, so bursts weigh more.
 */
function assertHalfThrottled(result: CoreResult): void {
  const burstShare = ((result.classes / 2) * BURST_PACKETS) / result.packets;
  const { sentShare } = result;
  assert.ok(sentShare > 0.72 && sentShare < 0.76 + burstShare, `sent ${sentShare} of ${result.packets}`);
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
  const options = { ...SMALL, throttled: 0, flows: 2048 };
  const result = await benchCore(options);
  assertSane(result, options);
  assert.ok(result.sentShare > 0.99 && result.sentShare <= 1, `sent ${result.sentShare}`);
});

test('flows finds every flow again, and the same classes each time', async () => {
  const options = { flows: 10_000, prefixes: 1_000, seconds: 0.05, seed: 7 };
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
  const { queues, flows, throttled } = onlyDocument(weir('bench', 'core', ...args)) as CoreResult;
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
