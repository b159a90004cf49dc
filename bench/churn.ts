/**
 * What changing the classes costs while traffic flows: weir, whose classes come from a user database that another program
 * changes, beside `tc -batch` on the kernel's HTB with the same classes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { TC_CLASSES_MAX } from '../classes/formats/tc-export.js';
import { usageError } from '../src/errors.js';
import { underLoad } from './churn-load.js';
import { TC_EXIT, TcChurn } from './churn-tc.js';
import { WeirChurn } from './churn-weir.js';
import { type InlineNet, withInlineNet } from './inline-net.js';
import { whyNoKernelHtb } from './kernel-htb.js';
import { type BenchDocument, documentOf, type RigOptions } from './rig/document.js';
import { type Column, type Figures, measureInTurns, ratioOf, spreadOf } from './rig/rounds.js';

export interface ChurnOptions extends RigOptions {
  /** Subscribers, a leaf class each. */
  readonly classes: number;
  /** How long batches of changes, and then single ones, come as fast as they can. */
  readonly seconds: number;
  /** Packets a second to all subscribers meanwhile. */
  readonly pps: number;
  /** Changes made at once; no more than there are classes. */
  readonly batch: number;
  /** Changes that are timed one by one. */
  readonly changes: number;
}

/** What can be changed, and how long it takes. */
export interface Timed {
  /** One subscriber's rate: milliseconds until it is in force. */
  one(subscriber: number): Promise<number>;
  /** Single changes for so many seconds, not waiting for each other where nothing has to: those in force, a second. */
  singles(seconds: number): Promise<number>;
  /** These subscribers' rates at once; done when they are in force. */
  many(subscribers: readonly number[]): Promise<void>;
  /** All subscribers' rates: seconds until they are in force. */
  all(): Promise<number>;
}

export type ChurnFigures = Figures;

export interface ChurnSide {
  /** Runs `body` while classes are in force; adds how long it took until they were. */
  while(body: (timed: Timed) => Promise<ChurnFigures>): Promise<ChurnFigures>;
  /** Where in the sink's namespace its traffic arrives. */
  readonly sink: string;
}

const FIGURES = [
  'changesPerSecond',
  'singlesPerSecond',
  'oneChangeMs',
  'reloadSeconds',
  'fromNothingSeconds',
] as const;
const COLUMNS = { weir: 'weir', tc: 'tc -batch' } as const;
/** The load ends by itself; see churn-load.ts. */
const SECONDS_MAX = 60;
/** Far from each other in the tree. */
const STRIDE = 7919;

/** Needs root. Throws E_BENCH_…; all namespaces and processes are gone afterwards. */
export async function benchChurn(options: ChurnOptions): Promise<BenchDocument> {
  const startedMs = Date.now();
  const { classes, seconds, pps, batch, changes, runs, tell = () => {} } = options;
  if (seconds > SECONDS_MAX) throw usageError('E_USAGE', `--seconds: at most ${SECONDS_MAX}`);
  return withInlineNet(1, async (net, folder) => {
    const tooMany = classes + 1 + Math.ceil(classes / 1024) > TC_CLASSES_MAX;
    const whyNoTc = tooMany
      ? `an HTB has numbers for ${TC_CLASSES_MAX} classes`
      : await whyNoKernelHtb(net.shaper);
    const columns: Column[] = [
      columnOf(COLUMNS.weir, null, net, options, () => new WeirChurn(net, folder, classes)),
      columnOf(COLUMNS.tc, whyNoTc, net, options, () => new TcChurn(net, folder, classes)),
    ];
    const measured = await measureInTurns(columns, runs, (column, round) =>
      tell(`${column}, run ${round + 1}`),
    );
    const [weir, tc] = measured;
    const ratios = FIGURES.map((figure) => ratioOf(weir!, tc!, figure)).filter((ratio) => ratio !== null);
    const name = `${classes.toLocaleString('en')} classes`;
    return documentOf({
      bench: 'churn',
      measures: 'changes of classes while traffic flows: how many, how fast, and what they cost the traffic',
      parameters: {
        classes,
        seconds,
        pps,
        batch: Math.min(batch, classes),
        changes,
        frameBytes: 64,
        queues: 1,
      },
      seed: null,
      runs,
      startedMs,
      points: [{ name, parameters: { classes }, columns: measured, ratios }],
      notes: NOTES,
    });
  });
}

const NOTES = [
  'changesPerSecond: batches, each in force before the next: a commit of so many rows, or a run of tc -batch.',
  'singlesPerSecond: for weir rows that another program commits one by one, until the last is in force; for tc a run of it for each. oneChangeMs: the median, commit or start of tc included.',
  'weir: rows of a SQLite database; a change is in force when every worker has adopted its epoch, for both directions.',
  `tc: classes of one direction, on the device ${TC_EXIT.device} alone; the class comes with the packet. Changes of a rate touch neither leaf queues nor filters.`,
  'reloadSeconds: every class gets another rate. fromNothingSeconds: from nothing to all classes in force with their leaf queues and addresses, without traffic; for weir the start of the daemon, in both directions. tc does it once, before the first run, and every run has that figure; onlyClassesSeconds is the part of it without leaf queues and filters.',
  'lostPackets: of sentPackets, from the first change to the last of a run; idleLostPackets: of idleSentPackets, the same load with no change.',
];

function columnOf(
  name: string,
  missing: string | null,
  net: InlineNet,
  options: ChurnOptions,
  open: () => ChurnSide,
): Column {
  let side: ChurnSide | null = null;
  return {
    name,
    missing,
    measure: () => {
      side ??= open();
      const { sink } = side;
      return side.while((timed) => measure(net, options, sink, timed));
    },
  };
}

async function measure(
  net: InlineNet,
  options: ChurnOptions,
  sink: string,
  timed: Timed,
): Promise<ChurnFigures> {
  const { classes, seconds, pps, changes } = options;
  const load = { pps, subscribers: classes, sink };
  const idle = await underLoad(net, load, () => sleep(seconds * 1000));
  const busy = await underLoad(net, load, async () => {
    const changesPerSecond = await batches(options, timed);
    const singlesPerSecond = await timed.singles(seconds);
    const timesMs: number[] = [];
    for (let i = 0; i < changes; i++) timesMs.push(await timed.one((i * STRIDE) % classes));
    return {
      changesPerSecond,
      singlesPerSecond,
      oneChangeMs: spreadOf(timesMs).median,
      reloadSeconds: await timed.all(),
    };
  });
  return {
    ...busy.value,
    lostPackets: busy.lostPackets,
    sentPackets: busy.sentPackets,
    idleLostPackets: idle.lostPackets,
    idleSentPackets: idle.sentPackets,
  };
}

async function batches({ classes, seconds, batch }: ChurnOptions, timed: Timed): Promise<number> {
  const length = Math.min(batch, classes);
  const startMs = performance.now();
  let done = 0;
  for (; performance.now() < startMs + seconds * 1000; done += length) {
    const first = done;
    await timed.many(Array.from({ length }, (_, i) => (first + i) % classes));
  }
  return (done * 1000) / (performance.now() - startMs);
}
