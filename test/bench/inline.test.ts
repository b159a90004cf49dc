/** The benchmarks on a wire, in small: loads that every path is sure to carry, and rates that those that shape must hold. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { benchInline, type InlineOptions } from '../../bench/inline.js';
import { benchLatency, type LatencyOptions } from '../../bench/latency.js';
import type { BenchDocument } from '../../bench/rig/document.js';
import { hasTool, whyNoXdp } from '../netns/namespaces.js';

const test = suite('the benchmarks on a wire');
/** So little that rings and queues outlast a path that waits for a CPU for a tenth of a second. */
const OFFERED_PPS = 4000;
const SIZE = 1000;
const TRIES = 3;

const missing = ['make', 'clang', 'tc'].find((tool) => !hasTool(tool));
const why = whyNoXdp() ?? (missing === undefined ? null : `the command ${missing} is missing`);
if (why !== null) {
  test(`skipped: ${why}`, () => {});
  console.log(`skipped: ${why}`);
}

const SMALL: InlineOptions = {
  classes: [10],
  queues: [1],
  sizes: [SIZE],
  loads: ['overload'],
  columns: [
    'C forwarder',
    'kernel forwarding',
    'weir xdp',
    'weir packet',
    'kernel HTB by filter',
    'mq + HTB',
  ],
  seconds: 0.3,
  warmUpSeconds: 0.3,
  runs: 1,
  smoke: true,
  offerPps: OFFERED_PPS,
  cpuPps: OFFERED_PPS / 4,
  bursts: 'tree',
  forwarding: 'redirect',
};

const UNSHAPED = ['C forwarder', 'kernel forwarding'];
const SHAPED = ['weir xdp', 'weir packet', 'kernel HTB by filter'];

const CROWDED: LatencyOptions = {
  classes: 4,
  queues: 1,
  size: SIZE,
  situations: ['own'],
  probePps: 200,
  loadPps: 1000,
  // Twenty packets of a thousand bytes at four megabits a second: forty milliseconds, less than the most that can be told.
  ownBps: 4e6,
  limit: 20,
  seconds: 0.5,
  warmUpSeconds: 0.5,
  runs: 1,
  smoke: true,
  bursts: 'tree',
  forwarding: 'redirect',
};

/** The median of a figure; NaN for a column that could not be measured. */
function figure(document: BenchDocument, point: number, column: string, name: string): number {
  const found = document.points[point]!.columns.find((each) => each.name === column)!;
  if (found.missing !== null) console.log(`${column}: ${found.missing}`);
  return found.figures[name]?.median ?? Number.NaN;
}

/** Each figure that is not between its bounds. What could not be measured is not judged. */
function faultsIn(
  bounds: readonly (readonly [what: string, value: number, least: number, most: number])[],
): string[] {
  return bounds
    .filter(([, value, least, most]) => value < least || value > most)
    .map(([what, value, least, most]) => `${what}: ${value}, not ${least} to ${most}`);
}

/** A path that waits for a CPU carries less than it should, so one good try of a few is enough. What passes a rate does so each time. */
async function soon(attempt: () => Promise<string[]>): Promise<void> {
  let faults: string[] = [];
  for (let i = 0; i < TRIES; i++) {
    faults = await attempt();
    if (faults.length === 0) return;
    console.log(`try ${i + 1}: ${faults.join('; ')}`);
  }
  assert.equal(faults, []);
}

if (why === null) {
  test('what shapes delivers what the ceils allow, and what does not shape all that is offered', () =>
    soon(async () => {
      const document = await benchInline(SMALL);
      const of = (column: string, name: string): number => figure(document, 0, column, name);
      const [point] = document.points;
      assert.ok(point!.columns.at(-1)!.missing!.includes('one queue'));
      assert.ok(point!.ratios.some(({ of: one, to }) => one === 'weir xdp' && to === 'kernel HTB by filter'));
      for (const column of ['weir xdp', 'kernel HTB by filter'])
        assert.ok(Number.isFinite(of(column, 'addedNs')));
      return faultsIn([
        // A generator that was held up makes good for it afterwards, and is then above what it is told.
        ...UNSHAPED.map((column) => [column, of(column, 'ceilShare'), 1.4, 5] as const),
        ...SHAPED.map((column) => [column, of(column, 'ceilShare'), 0.7, 1.15] as const),
        // Fewer classes are active while CPU time is counted, each offered twice its ceil as before.
        ...SHAPED.map((column) => {
          const share = of(column, 'busyDeliveredPps') / of(column, 'busyOfferedPps');
          return [`${column}, fewer classes`, share, 0.3, 0.75] as const;
        }),
      ]);
    }));

  test('a flow in the own class delays probes behind a pfifo, and a little elsewhere', () =>
    soon(async () => {
      const document = await benchLatency(CROWDED);
      const p50 = (column: string): number => figure(document, 0, column, 'p50Us');
      const fullUs = (CROWDED.limit * SIZE * 8 * 1e6) / CROWDED.ownBps;
      return faultsIn([
        ...['weir, pfifo', 'kernel HTB, pfifo'].map(
          (column) => [column, p50(column), 0.6 * fullUs, 1.3 * fullUs] as const,
        ),
        ...['weir', 'C forwarder'].map((column) => [column, p50(column), 0, fullUs / 2] as const),
      ]);
    }));
}

test.run();
