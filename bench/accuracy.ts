/**
 * How exactly one class gets its rate: achieved ÷ configured at the receiver, in layer-2 bytes, in all and by windows of
 * 100 ms, under UDP of more than the rate and with one TCP connection. weir with its defaults beside the kernel's HTB with
 * tc's bursts and with generous ones.
 */
import { defaultBurstBytes } from '../classes/model.js';
import { formatIpv4 } from '../classes/prefix.js';
import { run } from '../src/lab/commands.js';
import {
  FIRST_SUBSCRIBER,
  prepareTcp,
  type Received,
  receiveTcp,
  receiveUdp,
  type Shaper,
  WINDOW_MS,
  type Wire,
  whileShaping,
} from './accuracy-wire.js';
import {
  type Bound,
  breakClasses,
  type Canary,
  type ClassDoc,
  type JudgedDocument,
  judge,
  type Verdict,
  withVerdict,
} from './canary.js';
import { withInlineNet } from './inline-net.js';
import { GENEROUS_BURST_BYTES, whyNoKernelHtb } from './kernel-htb.js';
import { documentOf, type Point, type RigOptions } from './rig/document.js';
import { type Column, type Figures, type Measured, measureInTurns, spreadOf } from './rig/rounds.js';

export const TRAFFICS = ['udp', 'tcp'] as const;
export type Traffic = (typeof TRAFFICS)[number];

export interface AccuracyOptions extends RigOptions {
  /** Mbit/s. */
  readonly rates: readonly number[];
  readonly traffic: readonly Traffic[];
  /** Whether to leave out what the machine can do at most; --smoke does so in any case. */
  readonly onlyRates: boolean;
  /** Measured time of a column, whole seconds, at most 15; longer where it would hold too few frames. */
  readonly seconds: number;
  /** Whether weir is broken on purpose, and how. */
  readonly canary?: Canary | null;
}

const WEIR = 'weir';
const MBIT = 1e6;
const FRAME_BYTES = 1514;
const FRAME_BITS = FRAME_BYTES * 8;
/** So many that one more or less is an eighth of a percent: 10 s at 1 Mbit/s. */
const FRAMES_LEAST = 800;
/** Until what a burst holds is used up, and a connection has found its rate. */
const WARM_UP_SECONDS = { udp: 1, tcp: 2 };
const SMOKE_WARM_UP_SECONDS = { udp: 0.5, tcp: 1 };
/** What a connection sends until it has filled the queue, at the rate: 3 s at 1 Mbit/s. */
const FILL_FRAMES = 250;
const PATH_SECONDS = 60;
/** UDP is offered so much of the rate. */
const OVERLOAD = 1.25;
const LOADED_LEAST = 1.05;
/** Of what the slower of both carries when nothing limits: the most that can be held exactly. */
const MOST_SHARE = 0.8;
const WIDE_OPEN_BPS = 100e9;

const COLUMNS: readonly { readonly name: string; readonly shaper: Shaper }[] = [
  { name: WEIR, shaper: { kind: 'weir', queues: 1 } },
  { name: 'kernel HTB, tc’s bursts', shaper: { kind: 'htb', bursts: 'kernel' } },
  {
    name: `kernel HTB, ${GENEROUS_BURST_BYTES / 1024} kB bursts`,
    shaper: { kind: 'htb', bursts: GENEROUS_BURST_BYTES },
  },
];

const isUdp = ({ parameters }: Point): boolean => parameters.traffic === 'udp';
const isTcp = ({ parameters }: Point): boolean => parameters.traffic === 'tcp';
/** Whatever the kernel does on the same machine. How near is near enough, only the kernel beside it can tell. */
const FLOORS: readonly Bound[] = [
  { column: WEIR, figure: 'total', min: 0.95, where: isUdp },
  { column: WEIR, figure: 'total', min: 0.9, where: isTcp },
  // A generator that does not get the CPU offers too little to judge by.
  { column: WEIR, figure: 'offered', min: LOADED_LEAST },
];

const NOTES = [
  'Figures are achieved ÷ configured, in layer-2 bytes at the receiver. total: over the whole time, errorPercent: what is more than configured; windowMedian, windowMin, windowMax: of windows of 100 ms; offered: what the generator sent.',
  'weir is out of bounds where its error is larger than that of the better of the kernel’s columns, by the median of the runs, and by more than a frame at either end of the time and twice the median deviation of the kernel’s own runs; and where it is above the rate by more than one burst.',
  `UDP is offered ${OVERLOAD} times the rate in frames of ${FRAME_BYTES} bytes; TCP is one connection of iperf3. At 1 Mbit/s a window holds 8 of these frames, so a frame more or less is 12 %.`,
  'weir has its defaults; leaves are pfifos of 200 packets for all.',
  `The last rate, where it is measured, is ${MOST_SHARE} of what the slower of weir and the kernel's HTB carries when nothing limits.`,
];

/** Throws E_BENCH_… and E_LAB_…; all namespaces and processes are gone afterwards. */
export async function benchAccuracy(options: AccuracyOptions): Promise<JudgedDocument> {
  const startedMs = Date.now();
  const whyNoIperf = await whyNoTool('iperf3', 'iperf3');
  const points = await withInlineNet(1, async (net, folder) => {
    const wire = { net, folder };
    await prepareTcp(wire);
    const bench = new AccuracyBench(wire, options, await whyNoKernelHtb(net.shaper), whyNoIperf);
    return bench.measure();
  });
  const { seconds, runs, canary = null } = options;
  const document = documentOf({
    bench: 'accuracy',
    measures: 'achieved ÷ configured rate of one class',
    parameters: { seconds, windowMs: WINDOW_MS, frameBytes: FRAME_BYTES, canary },
    seed: null,
    runs,
    startedMs,
    points,
    notes: NOTES,
  });
  return withVerdict(document, judgeAccuracy(points));
}

/** See the notes. Points have their rate and measured seconds among their parameters. */
export function judgeAccuracy(points: readonly Point[]): Verdict {
  const outOfBounds = [...judge(points, FLOORS).outOfBounds];
  for (const { name, parameters, columns } of points) {
    const weir = columns.find((column) => column.name === WEIR);
    if (weir === undefined || weir.perRun.length === 0) continue;
    const rateBps = Number(parameters.rateMbit) * MBIT;
    const bits = rateBps * Number(parameters.seconds);
    const frames = (2 * FRAME_BITS) / bits;
    const { median: total } = weir.figures.total!;
    const most = 1 + frames + (defaultBurstBytes(rateBps) * 8) / bits;
    if (total > most)
      outOfBounds.push(`${name}: ${WEIR}: total is ${five(total)}, must be at most ${five(most)}`);
    const kernel = nearest(columns.filter((column) => column !== weir && column.perRun.length > 0));
    if (kernel === null) continue;
    const { median: excess } = spreadOf(
      weir.perRun.map((run, i) => errorOf(run.total!) - errorOf(kernel.perRun[i]!.total!)),
    );
    const tolerance = frames + 2 * deviationOf(kernel.perRun.map((run) => run.total!));
    if (excess > tolerance)
      outOfBounds.push(
        `${name}: ${WEIR}: off by ${percent(errorOf(total))}, ${percent(excess)} more than ${kernel.name}, must be at most ${percent(tolerance)} more`,
      );
  }
  return { withinBounds: outOfBounds.length === 0, outOfBounds };
}

/** The one whose total is nearest to what was configured. */
function nearest(columns: readonly Measured[]): Measured | null {
  const error = ({ figures }: Measured): number => errorOf(figures.total!.median);
  return columns.reduce<Measured | null>(
    (best, column) => (best === null || error(column) < error(best) ? column : best),
    null,
  );
}

/** How far the runs of one column are from each other: the median distance from their median. */
function deviationOf(totals: readonly number[]): number {
  const { median } = spreadOf(totals);
  return spreadOf(totals.map((total) => Math.abs(total - median))).median;
}

function errorOf(total: number): number {
  return Math.abs(total - 1);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(3)} %`;
}

function five(value: number): number {
  return Number(value.toPrecision(5));
}

class AccuracyBench {
  private readonly wire: Wire;
  private readonly options: AccuracyOptions;
  private readonly whyNoHtb: string | null;
  private readonly whyNoIperf: string | null;

  constructor(wire: Wire, options: AccuracyOptions, whyNoHtb: string | null, whyNoIperf: string | null) {
    this.wire = wire;
    this.options = options;
    this.whyNoHtb = whyNoHtb;
    this.whyNoIperf = whyNoIperf;
  }

  async measure(): Promise<Point[]> {
    const { onlyRates, smoke } = this.options;
    const rates = this.options.rates.map((mbit) => mbit * MBIT);
    if (!onlyRates && !smoke) rates.push(await this.mostBps());
    const points: Point[] = [];
    for (const rateBps of rates)
      for (const traffic of this.options.traffic) points.push(await this.point(rateBps, traffic));
    return points;
  }

  private async point(rateBps: number, traffic: Traffic): Promise<Point> {
    const rateMbit = rateBps / MBIT;
    const name = `${rateMbit.toLocaleString('en')} Mbit/s, ${traffic.toUpperCase()}`;
    this.options.tell?.(name);
    const columns = COLUMNS.map(
      (column): Column => ({
        name: column.name,
        missing: this.missing(column.shaper, traffic),
        measure: async () => figuresOf(await this.received(column.shaper, rateBps, traffic), rateBps),
      }),
    );
    const measured = await measureInTurns(columns, this.options.runs);
    const parameters = { rateMbit, traffic, seconds: this.seconds(rateBps) };
    return { name, parameters, columns: measured, ratios: [] };
  }

  private seconds(rateBps: number): number {
    const { seconds, smoke } = this.options;
    return smoke ? seconds : Math.max(seconds, Math.ceil((FRAMES_LEAST * FRAME_BITS) / rateBps));
  }

  private warmUpSeconds(rateBps: number, traffic: Traffic): number {
    if (this.options.smoke) return SMOKE_WARM_UP_SECONDS[traffic];
    return WARM_UP_SECONDS[traffic] + (traffic === 'tcp' ? (FILL_FRAMES * FRAME_BITS) / rateBps : 0);
  }

  private missing(shaper: Shaper, traffic: Traffic): string | null {
    return (shaper.kind === 'htb' ? this.whyNoHtb : null) ?? (traffic === 'tcp' ? this.whyNoIperf : null);
  }

  private received(shaper: Shaper, rateBps: number, traffic: Traffic): Promise<Received> {
    const { wire } = this;
    const { canary = null } = this.options;
    const classes = oneClass(rateBps);
    const given = shaper.kind === 'weir' ? breakClasses(classes, canary) : classes;
    return whileShaping(wire, shaper, given, PATH_SECONDS, () =>
      traffic === 'udp'
        ? this.udp(rateBps * OVERLOAD, rateBps)
        : receiveTcp(wire, this.warmUpSeconds(rateBps, traffic), this.seconds(rateBps)),
    );
  }

  private udp(offeredBps: number | null, rateBps: number): Promise<Received> {
    const load = { subscribers: 1, offeredBps, frameBytes: FRAME_BYTES, cpus: [0] };
    const warmUpSeconds = this.warmUpSeconds(rateBps, 'udp');
    return receiveUdp(this.wire, { ...load, warmUpSeconds, seconds: this.seconds(rateBps) });
  }

  /** A rate that both can hold as far as forwarding goes. */
  private async mostBps(): Promise<number> {
    const carried: number[] = [];
    for (const { shaper } of COLUMNS) {
      if (this.missing(shaper, 'udp') !== null) continue;
      const { bps } = await whileShaping(this.wire, shaper, oneClass(WIDE_OPEN_BPS), PATH_SECONDS, () =>
        this.udp(null, WIDE_OPEN_BPS),
      );
      carried.push(bps[0]!);
    }
    return Math.round((Math.min(...carried) * MOST_SHARE) / MBIT) * MBIT;
  }
}

function oneClass(rateBps: number): ClassDoc[] {
  return [{ id: 'one', match: formatIpv4(FIRST_SUBSCRIBER), down: { rate: rateBps } }];
}

function figuresOf({ bps, windowsBps, offeredBps }: Received, rateBps: number): Figures {
  const { median, min, max } = spreadOf(windowsBps.map((window) => window / rateBps));
  const total = bps[0]! / rateBps;
  const errorPercent = (total - 1) * 100;
  const figures = { total, errorPercent, windowMedian: median, windowMin: min, windowMax: max };
  return offeredBps === null ? figures : { ...figures, offered: offeredBps / rateBps };
}

async function whyNoTool(tool: string, debian: string): Promise<string | null> {
  return run([tool, '--version']).then(
    () => null,
    () => `the command ${tool} is not there: apt-get install ${debian}`,
  );
}
