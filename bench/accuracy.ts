/**
 * How exactly one class gets its rate: achieved ÷ configured at the receiver, in layer-2 bytes, in all and by windows of
 * 100 ms, under UDP of more than the rate and with one TCP connection. weir with its defaults beside the kernel's HTB with
 * tc's bursts and with generous ones.
 */
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
  withVerdict,
} from './canary.js';
import { withInlineNet } from './inline-net.js';
import { GENEROUS_BURST_BYTES, whyNoKernelHtb } from './kernel-htb.js';
import { documentOf, type Point, type RigOptions } from './rig/document.js';
import { type Column, type Figures, measureInTurns, spreadOf } from './rig/rounds.js';

export const TRAFFICS = ['udp', 'tcp'] as const;
export type Traffic = (typeof TRAFFICS)[number];

export interface AccuracyOptions extends RigOptions {
  /** Mbit/s. */
  readonly rates: readonly number[];
  readonly traffic: readonly Traffic[];
  /** Whether to leave out what the machine can do at most; --smoke does so in any case. */
  readonly onlyRates: boolean;
  /** Measured time of a column, whole seconds, at most 15. */
  readonly seconds: number;
  /** Whether weir is broken on purpose, and how. */
  readonly canary?: Canary | null;
}

const WEIR = 'weir';
const MBIT = 1e6;
const FRAME_BYTES = 1514;
/** A connection has to find its rate first, and at 1 Mbit/s a queue takes seconds to fill. */
const WARM_UP_SECONDS = { udp: 1.5, tcp: 5 };
const SMOKE_WARM_UP_SECONDS = { udp: 0.5, tcp: 1 };
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
const isWithin = (mbit: number) => (point: Point) =>
  isUdp(point) && Number(point.parameters.rateMbit) <= mbit;
/** At 1 Mbit/s a second holds 83 frames, so one more or less at either end is seen. */
const BOUNDS: readonly Bound[] = [
  { column: WEIR, figure: 'total', max: 1.02 },
  { column: WEIR, figure: 'total', min: 0.98, where: isWithin(100) },
  { column: WEIR, figure: 'total', min: 0.95, where: isUdp },
  { column: WEIR, figure: 'total', min: 0.9, where: isTcp },
  // A generator that does not get the CPU offers too little to judge by.
  { column: WEIR, figure: 'offered', min: LOADED_LEAST },
];

const NOTES = [
  'Figures are achieved ÷ configured, in layer-2 bytes at the receiver. total: over the whole time; windowMedian, windowMin, windowMax: of its windows of 100 ms; offered: what the generator sent.',
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
  return withVerdict(document, judge(points, BOUNDS));
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
    return { name, parameters: { rateMbit, traffic }, columns: measured, ratios: [] };
  }

  private get warmUpSeconds(): typeof WARM_UP_SECONDS {
    return this.options.smoke ? SMOKE_WARM_UP_SECONDS : WARM_UP_SECONDS;
  }

  private missing(shaper: Shaper, traffic: Traffic): string | null {
    return (shaper.kind === 'htb' ? this.whyNoHtb : null) ?? (traffic === 'tcp' ? this.whyNoIperf : null);
  }

  private received(shaper: Shaper, rateBps: number, traffic: Traffic): Promise<Received> {
    const { wire, options } = this;
    const { seconds, canary = null } = options;
    const classes = oneClass(rateBps);
    const given = shaper.kind === 'weir' ? breakClasses(classes, canary) : classes;
    return whileShaping(wire, shaper, given, PATH_SECONDS, () =>
      traffic === 'udp' ? this.udp(rateBps * OVERLOAD) : receiveTcp(wire, this.warmUpSeconds.tcp, seconds),
    );
  }

  private udp(offeredBps: number | null): Promise<Received> {
    const { seconds } = this.options;
    const load = { subscribers: 1, offeredBps, frameBytes: FRAME_BYTES, cpus: [0], seconds };
    return receiveUdp(this.wire, { ...load, warmUpSeconds: this.warmUpSeconds.udp });
  }

  /** A rate that both can hold as far as forwarding goes. */
  private async mostBps(): Promise<number> {
    const carried: number[] = [];
    for (const { shaper } of COLUMNS) {
      if (this.missing(shaper, 'udp') !== null) continue;
      const { bps } = await whileShaping(this.wire, shaper, oneClass(WIDE_OPEN_BPS), PATH_SECONDS, () =>
        this.udp(null),
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
  const figures = { total: bps[0]! / rateBps, windowMedian: median, windowMin: min, windowMax: max };
  return offeredBps === null ? figures : { ...figures, offered: offeredBps / rateBps };
}

async function whyNoTool(tool: string, debian: string): Promise<string | null> {
  return run([tool, '--version']).then(
    () => null,
    () => `the command ${tool} is not there: apt-get install ${debian}`,
  );
}
