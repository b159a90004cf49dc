/**
 * What a packet costs against classes, flows, depth and queues; how often workers are in each other's way; and a formula
 * fitted to both, which says what a larger machine would do.
 */
import { availableParallelism } from 'node:os';
import { measureRig } from './core.js';
import { CoreRig, DEPTH_USUAL, headersOf, publishTree, type RigSpec } from './core-rig.js';
import {
  type BenchDocument,
  curveOf,
  documentOf,
  type Plot,
  type Point,
  type RigOptions,
} from './rig/document.js';
import { type Column, type Figures, measureInTurns } from './rig/rounds.js';
import { ExchangeCounter } from './scale-exchanges.js';
import { fitModel } from './scale-model.js';
import { measureThreads } from './scale-threads.js';

export interface ScaleOptions extends RigOptions {
  /** Leaf classes, a point for each; the first is that of the points along the other axes. */
  readonly classes: readonly number[];
  /** Flows for each class. */
  readonly flows: readonly number[];
  /** Levels of the tree. */
  readonly depths: readonly number[];
  /** Queues that share the tree. */
  readonly queues: readonly number[];
  /** Leaf classes that all queues of the contention points share. */
  readonly sharedClasses: readonly number[];
  /** Most threads; fewer where the machine has fewer CPUs. */
  readonly threads: number;
  /** Measured time of a point. */
  readonly seconds: number;
  readonly seed: number;
}

/** What the columns are: shares of the classes that are throttled. */
const LOADS: readonly { readonly name: string; readonly throttled: number }[] = [
  { name: 'open', throttled: 0 },
  { name: 'half throttled', throttled: 0.5 },
];
/** A million classes take some two minutes to fill. */
const SETTLE_SECONDS_MAX = 240;
const SIMULATED_TURNS = 40;
const SIMULATED_SETTLE_TURNS = 40;

type Axis = 'classes' | 'flows' | 'depth' | 'queues';

interface Setting {
  readonly axis: Axis;
  readonly classes: number;
  readonly flows: number;
  readonly depth: number;
  readonly queues: number;
}

/** Throws E_CONSERVATION, and E_BENCH_THREAD when a thread fails. */
export async function benchScale(options: ScaleOptions): Promise<BenchDocument> {
  const startedMs = Date.now();
  const { runs, seed, seconds } = options;
  const points: Point[] = [];
  for (const setting of settingsOf(options)) points.push(await measureCost(setting, options));
  const contention: Point[] = [];
  const threads = Math.min(options.threads, availableParallelism());
  for (const classes of options.sharedClasses) {
    for (const queues of options.queues) contention.push(await measureSimulated(classes, queues, options));
    for (let queues = 1; queues <= threads; queues++)
      contention.push(await measureInThreads(classes, queues, options));
  }
  return documentOf({
    bench: 'scale',
    measures: 'time for a packet against classes, flows, depth and queues; contention against queues',
    parameters: { seconds, frameBytes: 64, leaf: 'fq_codel' },
    seed,
    runs,
    points: [...points, ...contention],
    plots: [
      ...(['classes', 'flows', 'depth', 'queues'] as const).map((axis) => costPlot(points, axis)),
      ...options.sharedClasses.flatMap((classes) => contentionPlots(contention, classes)),
    ],
    model: fitModel(points, contention),
    notes: [
      'Points along queues: one worker runs, in a tree that is shared by so many; it pays for sharing, but nobody contends with it.',
      'Simulated queues run one after the other in one thread, so no compare-exchange fails. A meeting is one on a word that another queue has changed within the same 0.1 ms of virtual time: an upper view of what could fail.',
      'Threads run on CPUs of their own, each with the full load of all classes. Failed compare-exchanges are counted in a run of their own, because counting takes longer than what is counted.',
      ...(threads < options.threads ? [`This machine has CPUs for ${threads} threads only.`] : []),
    ],
    startedMs,
  });
}

/** Along each axis in turn, the others at their usual value. */
function settingsOf({ classes, flows, depths, queues }: ScaleOptions): Setting[] {
  const base = { classes: classes[0]!, flows: classes[0]!, depth: DEPTH_USUAL, queues: 1 };
  return [
    ...classes.map((value) => ({ ...base, axis: 'classes' as const, classes: value, flows: value })),
    ...flows.map((value) => ({ ...base, axis: 'flows' as const, flows: value * base.classes })),
    ...depths.map((value) => ({ ...base, axis: 'depth' as const, depth: value })),
    ...queues.map((value) => ({ ...base, axis: 'queues' as const, queues: value })),
  ];
}

async function measureCost(setting: Setting, options: ScaleOptions): Promise<Point> {
  const { axis, ...parameters } = setting;
  const name = `${axis}: ${parameters[axis].toLocaleString('en-US')}`;
  options.tell?.(name);
  const seconds = options.seconds / options.runs / LOADS.length;
  const usual = { ...parameters, busyQueues: 1, seed: options.seed, leaf: 'fq_codel', throttled: 0 } as const;
  const headers = headersOf(usual);
  const rigs = LOADS.map(({ throttled }) => {
    const spec = { ...usual, throttled };
    const rig = new CoreRig(spec, publishTree(spec), 0, headers);
    rig.settle(SETTLE_SECONDS_MAX);
    return rig;
  });
  const columns = LOADS.map((load, i) => ({
    name: load.name,
    missing: null,
    measure: () => measureRig(rigs[i]!, seconds),
  }));
  const measured = await measureInTurns(columns, options.runs);
  for (const rig of rigs) rig.checkConservation();
  return { name, parameters: { axis, ...parameters }, columns: measured, ratios: [] };
}

function costPlot(points: readonly Point[], axis: Axis): Plot {
  const along = points.filter(({ parameters }) => parameters.axis === axis);
  return curveOf(along, {
    title: `time per packet against ${axis}`,
    parameter: axis,
    figure: 'nsPerPacket',
    x: { label: axis === 'depth' ? 'levels' : axis, scale: axis === 'depth' ? 'linear' : 'log' },
    y: { label: 'time per packet, ns', scale: 'linear' },
  });
}

function contentionPlots(contention: readonly Point[], classes: number): Plot[] {
  const points = contention.filter(({ parameters }) => parameters.classes === classes);
  const shared = `${classes.toLocaleString('en-US')} shared ${classes === 1 ? 'class' : 'classes'}`;
  const plot = (title: string, figure: string): Plot =>
    curveOf(points, {
      title: `${title}, ${shared}`,
      parameter: 'queues',
      figure,
      x: { label: 'queues', scale: 'linear' },
      y: { label: 'per packet', scale: 'linear' },
    });
  return [
    plot('compare-exchanges that meet another queue', 'meetingsPerPacket'),
    plot('compare-exchanges that failed, real threads', 'failedExchangesPerPacket'),
  ];
}

function sharedSpec(classes: number, queues: number, throttled: number, seed: number): RigSpec {
  return {
    classes,
    flows: classes,
    depth: DEPTH_USUAL,
    queues,
    busyQueues: queues,
    leaf: 'fq_codel',
    throttled,
    seed,
  };
}

/** All queues in this thread, one turn each, one after the other. */
async function measureSimulated(classes: number, queues: number, options: ScaleOptions): Promise<Point> {
  options.tell?.(`contention: ${queues} simulated queues`);
  const columns = LOADS.map(
    ({ name, throttled }): Column => ({
      name,
      missing: null,
      measure: async (round) => simulate(sharedSpec(classes, queues, throttled, options.seed + round)),
    }),
  );
  return {
    name: `contention: ${queues} simulated, ${classes} shared`,
    parameters: { kind: 'simulated', queues, classes },
    // Virtual time: every run of one seed is the same.
    columns: await measureInTurns(columns, options.runs),
    ratios: [],
  };
}

function simulate(spec: RigSpec): Figures {
  const published = publishTree(spec);
  const headers = headersOf(spec);
  const rigs = Array.from(
    { length: spec.queues },
    (_, queue) => new CoreRig(spec, published, queue, headers),
  );
  for (let turn = 0; turn < SIMULATED_SETTLE_TURNS; turn++) for (const rig of rigs) rig.turn();
  const counter = new ExchangeCounter();
  let packets = 0;
  const { attempts, meetings } = counter.during(() => {
    for (let turn = 1; turn <= SIMULATED_TURNS; turn++) {
      for (const [queue, rig] of rigs.entries()) {
        counter.enter(queue, turn);
        packets += rig.turn();
      }
    }
  });
  for (const rig of rigs) rig.checkConservation();
  return { exchangesPerPacket: attempts / packets, meetingsPerPacket: meetings / packets };
}

async function measureInThreads(classes: number, threads: number, options: ScaleOptions): Promise<Point> {
  options.tell?.(`contention: ${threads} threads`);
  const seconds = options.seconds / options.runs / LOADS.length / 2;
  const columns = LOADS.map(
    ({ name, throttled }): Column => ({
      name,
      missing: null,
      measure: (round) =>
        measureThreads(sharedSpec(classes, threads, throttled, options.seed + round), seconds),
    }),
  );
  return {
    name: `contention: ${threads} ${threads === 1 ? 'thread' : 'threads'}, ${classes} shared`,
    parameters: { kind: 'threads', queues: threads, classes },
    columns: await measureInTurns(columns, options.runs),
    ratios: [],
  };
}
