/**
 * One worker over memory rings: parse, classify, enqueue, dequeue and recycling, with nothing left out and nothing
 * else in the figure. Beside it DPDK's rte_sched, which only enqueues and dequeues, and the like of that in the worker:
 * its tree, given packets that are parsed and classified.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import type { LeafKind } from '../classes/queue.js';
import {
  CoreRig,
  DEPTH_USUAL,
  headersOf,
  type MemoryRig,
  type Published,
  publishTree,
  type RigSpec,
} from './core-rig.js';
import { ShapingRig } from './core-shaping.js';
import {
  type BenchDocument,
  curveOf,
  documentOf,
  type Plot,
  type Point,
  type RigOptions,
} from './rig/document.js';
import { type Column, type Figures, type Measured, measureInTurns, ratioOf } from './rig/rounds.js';
import { RTE_SCHED, rteSched } from './rig/rte-sched.js';

export interface CoreOptions extends RigOptions {
  /** Leaf classes, a point for each. */
  readonly classes: readonly number[];
  /** 1,024 to 1,000,000 classes instead. */
  readonly curve: boolean;
  /** Shares of the classes whose ceil is half of what they are offered, a point for each; the rest stay below their rate. */
  readonly throttled: readonly number[];
  /** Null for as many as classes. */
  readonly flows: number | null;
  /** Measured time of a point. */
  readonly seconds: number;
  /** Queues that the trees share their rates with; the one that is measured works as if it were one of them. */
  readonly queues: number;
  readonly seed: number;
}

/** What the document says of its first point in fields of its own, for programs that read one figure. */
export interface CoreSummary {
  readonly classes: number;
  readonly throttled: number;
  readonly flows: number;
  readonly queues: number;
  readonly seconds: number;
  readonly packets: number;
  readonly sentShare: number;
  /** With fq_codel leaves, the default. */
  readonly nsPerPacket: number;
  readonly mpps: number;
  /** With pfifo leaves; and how much more fq_codel takes, run by run. */
  readonly pfifoNsPerPacket: number;
  readonly leafRatio: number;
  readonly leafRatioMin: number;
  readonly leafRatioMax: number;
  readonly gcCount: number;
  /** Per leaf class, direction and worker, by layout: what one class makes resident. */
  readonly bytesPerClass: number;
}

export type CoreDocument = BenchDocument & CoreSummary;

export const FQ_CODEL = 'weir fq_codel';
export const PFIFO = 'weir pfifo';
export const SHAPING_FQ_CODEL = 'weir shaping, fq_codel';
export const SHAPING_PFIFO = 'weir shaping, pfifo';

interface RigKind {
  readonly name: string;
  readonly leaf: LeafKind;
  readonly make: (spec: RigSpec, published: Published, headers: Int32Array) => MemoryRig;
}

const makeWorker: RigKind['make'] = (spec, published, headers) => new CoreRig(spec, published, 0, headers);
const makeShaping: RigKind['make'] = (spec, published) => new ShapingRig(spec, published);
const WORKERS: readonly RigKind[] = [
  { name: FQ_CODEL, leaf: 'fq_codel', make: makeWorker },
  { name: PFIFO, leaf: 'pfifo', make: makeWorker },
];
const SHAPINGS: readonly RigKind[] = [
  { name: SHAPING_FQ_CODEL, leaf: 'fq_codel', make: makeShaping },
  { name: SHAPING_PFIFO, leaf: 'pfifo', make: makeShaping },
];
/** Columns over each other. */
const RATIOS = [
  [FQ_CODEL, PFIFO],
  [FQ_CODEL, RTE_SCHED],
  [SHAPING_FQ_CODEL, RTE_SCHED],
  [SHAPING_PFIFO, RTE_SCHED],
] as const;
const CURVE_CLASSES = [1024, 4096, 16_384, 65_536, 262_144, 1_000_000];
const WARM_UP_SHARE = 0.2;
/** Of the clock, where very many classes take long to fill. */
const SETTLE_SECONDS_MAX = 60;
const GC_SETTLE_MS = 20;

export const CORE_NOTES: readonly string[] = [
  'With half of the classes throttled, sentShare is 0.75 once their queues are full; above that they were not yet.',
  'weir: everything for a packet that a worker does, from the RX ring to its recycling: parsing, flow table, class, leaf, shaping, TX ring.',
  'weir shaping: the part of it that rte_sched does: class, length and flow hash of each packet are given, and frames that were sent are taken back untimed.',
  'rte_sched: enqueue and dequeue alone; the caller has parsed and classified each packet and names its pipe, and neither is timed.',
  'rte_sched has five fixed levels (port, subport, pipe, traffic class, queue), pipes in powers of two, and pipes that do not borrow from each other.',
  'rte_sched keeps rates to a ten-millionth of the port; where leaves are so many that theirs would be less, it cannot throttle them.',
];

/** Throws E_CONSERVATION when a packet or a frame got lost. */
export async function benchCore(options: CoreOptions): Promise<CoreDocument> {
  const startedMs = Date.now();
  const { queues, seed, seconds, runs } = options;
  const classCounts = options.curve ? CURVE_CLASSES : options.classes;
  const measured: CorePoint[] = [];
  for (const throttled of options.throttled) {
    for (const classes of classCounts) {
      const flows = options.flows ?? classes;
      const kinds = [...WORKERS, ...SHAPINGS];
      measured.push(await measurePoint({ ...options, classes, throttled, flows }, [], kinds));
    }
  }
  const first = measured[0]!;
  const document = documentOf({
    bench: 'core',
    measures: 'time of one worker for a 64-byte packet over memory rings, beside DPDK rte_sched',
    parameters: { queues, seconds, frameBytes: 64, bytesPerClass: first.bytesPerClass },
    seed,
    runs,
    points: measured.map(({ point }) => point),
    plots: options.throttled.map((throttled) => costCurve(measured, throttled)),
    notes: CORE_NOTES,
    tools: first.tools,
    startedMs,
  });
  return { ...document, ...summaryOf(first, options) };
}

/** What of the options belongs to one point. */
export interface PointOptions extends RigOptions {
  readonly classes: number;
  readonly throttled: number;
  readonly flows: number;
  readonly seconds: number;
  readonly queues: number;
  readonly seed: number;
}

export interface CorePoint {
  readonly point: Point;
  readonly bytesPerClass: number;
  readonly tools: Readonly<Record<string, string>>;
}

/** One point: weir's columns, rte_sched and what else there is, in turns. */
export async function measurePoint(
  options: PointOptions,
  others: readonly Column[] = [],
  kinds: readonly RigKind[] = WORKERS,
): Promise<CorePoint> {
  const { classes, throttled, flows, queues, seed, runs, tell } = options;
  const name = `${classes.toLocaleString('en-US')} classes, ${throttled === 0 ? 'open' : `${throttled} throttled`}`;
  tell?.(name);
  const seconds = options.seconds / runs / (kinds.length + 1 + others.length);
  const { column: peer, version } = await rteSched({ classes, throttled, seconds, seed });
  const usual = { classes, throttled, flows, queues, busyQueues: 1, seed, depth: DEPTH_USUAL };
  const { columns, rigs } = weirColumns(kinds, usual, seconds);
  const measured = await measureInTurns([...columns, peer, ...others], runs);
  for (const rig of rigs) rig.checkConservation();
  const ratios = RATIOS.map((names) => {
    const [of, to] = names.map((wanted) => measured.find((column) => column.name === wanted));
    return of === undefined || to === undefined ? null : ratioOf(of, to, 'nsPerPacket');
  }).filter((ratio) => ratio !== null);
  return {
    point: { name, parameters: { classes, throttled, flows }, columns: measured, ratios },
    bytesPerClass: round(rigs[0]!.bytesPerClass, 1),
    tools: version === null ? {} : { [RTE_SCHED]: version },
  };
}

function weirColumns(
  kinds: readonly RigKind[],
  usual: Omit<RigSpec, 'leaf'>,
  seconds: number,
): { columns: Column[]; rigs: MemoryRig[] } {
  const headers = headersOf({ ...usual, leaf: 'fq_codel' });
  const rigs = kinds.map(({ leaf, make }) => {
    const spec = { ...usual, leaf };
    const rig = make(spec, publishTree(spec), headers);
    rig.settle(SETTLE_SECONDS_MAX);
    return rig;
  });
  const columns = kinds.map(({ name }, i) => ({
    name,
    missing: null,
    measure: () => measureRig(rigs[i]!, seconds),
  }));
  return { columns, rigs };
}

/** Warms up for a fifth of the time, then counts. */
export function measureRig(rig: MemoryRig, seconds: number): Promise<Figures> {
  return withGcCount(async (gcCount) => {
    rig.run(seconds * WARM_UP_SHARE);
    await gcCount();
    const { packets, ns, sentShare } = rig.run(seconds);
    const gcs = await gcCount();
    const nsPerPacket = ns / packets;
    return {
      nsPerPacket: round(nsPerPacket, 2),
      mpps: round(1000 / nsPerPacket, 3),
      sentShare: round(sentShare, 4),
      packets,
      gcCount: gcs,
    };
  });
}

function costCurve(measured: readonly CorePoint[], throttled: number): Plot {
  const points = measured
    .map(({ point }) => point)
    .filter(({ parameters }) => parameters.throttled === throttled);
  return curveOf(points, {
    title: throttled === 0 ? 'all classes below their rate' : `${throttled} of the classes throttled`,
    parameter: 'classes',
    figure: 'nsPerPacket',
    x: { label: 'leaf classes', scale: 'log' },
    y: { label: 'time per packet, ns', scale: 'log' },
  });
}

/** Medians of a point's columns in weir's fields. */
export function summaryOf(
  { point, bytesPerClass }: CorePoint,
  { queues, seconds }: Pick<CoreOptions, 'queues' | 'seconds'>,
): CoreSummary {
  const fair = columnOf(point, FQ_CODEL);
  const fifo = columnOf(point, PFIFO);
  const { classes, throttled, flows } = point.parameters;
  const ratio = ratioOf(fair, fifo, 'nsPerPacket')!;
  const nsPerPacket = fair.figures.nsPerPacket!.median;
  return {
    classes: Number(classes),
    throttled: Number(throttled),
    flows: Number(flows),
    queues,
    seconds,
    packets: sumOf(fair, 'packets'),
    sentShare: fair.figures.sentShare!.median,
    nsPerPacket,
    mpps: round(1000 / nsPerPacket, 3),
    pfifoNsPerPacket: fifo.figures.nsPerPacket!.median,
    leafRatio: round(ratio.median, 3),
    leafRatioMin: round(ratio.min, 3),
    leafRatioMax: round(ratio.max, 3),
    gcCount: sumOf(fair, 'gcCount') + sumOf(fifo, 'gcCount'),
    bytesPerClass,
  };
}

export function columnOf({ columns }: Point, name: string): Measured {
  return columns.find((column) => column.name === name)!;
}

function sumOf({ perRun }: Measured, figure: string): number {
  return perRun.reduce((sum, figures) => sum + figures[figure]!, 0);
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** Runs `body` with a function that tells how many garbage collections there were since it was last asked. */
async function withGcCount<T>(body: (gcCount: () => Promise<number>) => Promise<T>): Promise<T> {
  let count = 0;
  const observer = new PerformanceObserver((list) => {
    count += list.getEntries().length;
  });
  observer.observe({ entryTypes: ['gc'] });
  try {
    return await body(async () => {
      // Entries reach the observer with the next turn of the event loop.
      await new Promise((resolve) => setTimeout(resolve, GC_SETTLE_MS));
      const since = count;
      count = 0;
      return since;
    });
  } finally {
    observer.disconnect();
  }
}
