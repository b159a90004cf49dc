/**
 * Fairness and utilisation against the number of queues: weir, whose queues share every class's rate, beside shapers
 * that split the rates between queues. All of them run the same classes, packets and steps in virtual time; weir runs
 * with real threads as well, where the machine has a CPU for each.
 */
import { availableParallelism } from 'node:os';
import { WeirError } from '../src/errors.js';
import { readScenario, type Scenario } from '../src/sim/scenario.js';
import { runScenario } from '../src/sim/simulator.js';
import {
  type Bound,
  breakClasses,
  type Canary,
  type ClassDoc,
  type JudgedDocument,
  judge,
  withVerdict,
} from './canary.js';
import { curveOf, documentOf, type Plot, type Point, type RigOptions } from './rig/document.js';
import { type Column, type Figures, measureInTurns } from './rig/rounds.js';
import { shareFigures, WINDOW_MS, type Windows } from './share-figures.js';
import { type FlowDoc, SITUATIONS, type Situation } from './share-situations.js';
import { runSplit, type SplitRule } from './share-split.js';
import { runThreads } from './share-threads.js';

export interface ShareOptions extends RigOptions {
  readonly queues: readonly number[];
  /** Virtual time of a run, and real time of one with threads; 0 for no threads. */
  readonly seconds: number;
  readonly threadSeconds: number;
  /** Of the first run; every further one has the next. */
  readonly seed: number;
  /** Whether weir is broken on purpose, and how. */
  readonly canary?: Canary | null;
}

const WEIR = 'weir';
const THREADS = 'weir, threads';
const SPLITS: readonly { readonly name: string; readonly rule: SplitRule }[] = [
  { name: 'static split', rule: 'static' },
  { name: 'equal split among active queues', rule: 'active' },
];
/** Packets a leaf holds: enough to borrow with, and emptied within milliseconds where a class wanders. */
const LEAF_LIMIT_PACKETS = 64;

/** Threads that the machine stopped for longer than this part of the time are not judged. */
const STALLED_MAX = 0.02;

const ranFreely = ({ columns }: Point): boolean =>
  (columns.find(({ name }) => name === THREADS)?.figures.stalled?.median ?? 0) <= STALLED_MAX;

/** Of some hundred packets a class, a packet more or less is a percent. */
const BOUNDS: readonly Bound[] = [
  { column: WEIR, figure: 'utilisation', min: 0.98, max: 1.01 },
  { column: WEIR, figure: 'jain', min: 0.995 },
  { column: WEIR, figure: 'worst', max: 0.05 },
  { column: WEIR, figure: 'overCeil', max: 0.005 },
  { column: THREADS, figure: 'utilisation', min: 0.95, max: 1.01, where: ranFreely },
  { column: THREADS, figure: 'jain', min: 0.98, where: ranFreely },
  { column: THREADS, figure: 'overCeil', max: 0.01 },
];

const NOTES = [
  'utilisation: what all leaves sent of what they are promised together. jain: fairness of what each got of its promise. worst: the largest part by which one is above or below it. overCeil: by how much a class passed ceil × time + cburst in some stretch of 10 ms windows.',
  'The static split divides every rate by the number of queues, as mq with an HTB under each queue does.',
  "The equal split divides every class's rates by the number of queues on which it is active: the rule of cake_mq (Linux 7.0), by which a queue that sends looks at the others every 200 µs at most, given to each class of a tree, which cake_mq does not have.",
  'Both are run by weir’s own trees and buckets at one queue each, with the default bursts of their divided rates.',
  `With threads, stalled is the part of the time for which the thread that ran least did not run; what the machine takes from a queue, others use up, so above ${STALLED_MAX} fairness and utilisation are not judged.`,
  'In virtual time the queues step one after the other, 5 µs apart and wider above 16 queues; a run’s figures follow from its seed.',
];

/** Throws E_CONSERVATION or E_BENCH_THREAD. */
export async function benchShare(
  options: ShareOptions,
  situations: readonly Situation[] = SITUATIONS,
): Promise<JudgedDocument> {
  const startedMs = Date.now();
  const points: Point[] = [];
  for (const situation of situations) {
    for (const queues of options.queues) {
      const columns = columnsOf(situation, queues, options);
      const name = `${situation.name}, ${queues} queue${queues === 1 ? '' : 's'}`;
      options.tell?.(name);
      points.push({
        name,
        parameters: { situation: situation.name, queues },
        columns: await measureInTurns(columns, options.runs),
        ratios: [],
      });
    }
  }
  const { seconds, threadSeconds, seed, runs, canary = null } = options;
  const document = documentOf({
    bench: 'share',
    measures:
      'fairness and utilisation against the number of queues, beside splitting the rates between them',
    parameters: { seconds, threadSeconds, windowMs: WINDOW_MS, canary },
    seed,
    runs,
    startedMs,
    points,
    plots: plotsOf(points, situations),
    notes: [...NOTES, ...situations.map(({ name, what }) => `${name}: ${what}.`)],
  });
  return withVerdict(document, judge(points, BOUNDS));
}

function columnsOf(situation: Situation, queues: number, options: ShareOptions): Column[] {
  const { seconds, threadSeconds, seed, canary = null } = options;
  const column = (name: string, run: (round: number) => Windows): Column => ({
    name,
    missing: null,
    measure: async (round): Promise<Figures> => shareFigures(situation, run(round)),
  });
  const scenario = (classes: readonly ClassDoc[], round: number, forSeconds = seconds): Scenario =>
    scenarioOf(classes, situation.flows(queues, forSeconds, seed + round), queues, forSeconds, seed + round);
  const ofWeir = breakClasses(situation.classes, canary);
  const columns = [
    column(WEIR, (round) => windowsOf(runScenario(scenario(ofWeir, round)))),
    ...SPLITS.map(({ name, rule }) =>
      column(name, (round) => windowsOf(runSplit(scenario(situation.classes, round), rule))),
    ),
  ];
  if (threadSeconds > 0 && queues <= availableParallelism())
    columns.push({
      name: THREADS,
      missing: null,
      measure: async (round): Promise<Figures> => {
        const { windows, stalledShare } = await runThreads(scenario(ofWeir, round, threadSeconds));
        return { ...shareFigures(situation, windows), stalled: stalledShare };
      },
    });
  return columns;
}

function scenarioOf(
  classes: readonly ClassDoc[],
  flows: readonly FlowDoc[],
  queues: number,
  seconds: number,
  seed: number,
): Scenario {
  const { scenario, problems } = readScenario({
    queues,
    seconds,
    seed,
    windowMs: WINDOW_MS,
    classes: { version: 1, leaf: 'pfifo', limit: LEAF_LIMIT_PACKETS, classes },
    flows,
  });
  if (scenario !== null) return scenario;
  throw new WeirError(
    'E_BENCH_SCENARIO',
    problems.map(({ key, message }) => `${key}: ${message}`).join('; '),
  );
}

function windowsOf({ classes }: ReturnType<typeof runScenario>): Windows {
  return new Map(Object.entries(classes).map(([id, { down }]) => [id, down?.windowsBps ?? []]));
}

function plotsOf(points: readonly Point[], situations: readonly Situation[]): Plot[] {
  return situations.flatMap(({ name }) => {
    const own = points.filter(({ parameters }) => parameters.situation === name);
    const x = { label: 'queues', scale: 'log' } as const;
    const curve = (figure: string, label: string): Plot =>
      curveOf(own, {
        title: `${name}: ${figure}`,
        parameter: 'queues',
        figure,
        x,
        y: { label, scale: 'linear' },
      });
    return [curve('utilisation', 'sent of what is promised'), curve('jain', "Jain's index")];
  });
}
