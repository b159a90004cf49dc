/**
 * Packets through a real wire: weir's daemon, the kernel's HTB with the same classes, and what both are without shaping: the
 * least that an AF_XDP program does between the same devices, and the kernel handing frames from one to the other.
 *
 * Each run of a path has two stretches. In the first a sender that sleeps between its frames offers a rate that all paths
 * carry, and the CPU time of the whole machine is counted. In the second the generator sends as much as the load says, and
 * what arrives is counted. Each class is offered the same in both; in the first there are fewer of them.
 */
import { defaultBurstBytes } from '../classes/model.js';
import { type Arrivals, InlineLoad, type Offer } from './inline-load.js';
import { type InlineNet, withInlineNet } from './inline-net.js';
import { Paths, treeOf } from './inline-paths.js';
import type { BurstsName, Forwarding, LoadName, PathName } from './inline-words.js';
import { GENEROUS_BURST_BYTES } from './kernel-htb.js';
import {
  type BenchDocument,
  curveOf,
  documentOf,
  type Plot,
  type Point,
  type RigOptions,
} from './rig/document.js';
import {
  type Column,
  type Figures,
  type Measured,
  measureInTurns,
  type Ratio,
  ratioOf,
  spreadOf,
} from './rig/rounds.js';

export interface InlineOptions extends RigOptions {
  /** The first of each list together are the usual setting; every other is a point with all else as usual. */
  readonly classes: readonly number[];
  readonly queues: readonly number[];
  /** Layer-2 bytes of a frame. */
  readonly sizes: readonly number[];
  readonly loads: readonly LoadName[];
  /** Each with each instead. */
  readonly grid: boolean;
  readonly columns: readonly PathName[];
  /** Measured time of the stretch that counts packets, and of the one that counts CPU time. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly warmUpSeconds: number;
  /** What nearCeil and overload offer, packets a second; null: 0.95 of what the C forwarder carries. */
  readonly offerPps: number | null;
  /** Offered while CPU time is counted, packets a second. */
  readonly cpuPps: number;
  /** Of the kernel's classes: 32 kB, the kernel's own, or those of weir. */
  readonly bursts: BurstsName;
  /** The kernel's path: an eBPF redirect, its cheapest, or IPv4 routing. */
  readonly forwarding: Forwarding;
}

interface Setting {
  readonly classes: number;
  readonly queues: number;
  readonly size: number;
  readonly load: LoadName;
}

/** Beyond it the forwarder itself would drop frames. */
const NEAR_SHARE = 0.95;
const BELOW_RATE_FACTOR = 16;
/** Frames in all queues together: those that wait in a kernel take some 4 kB each. */
const WAITING_FRAMES_MAX = 200_000;
const LIMIT_PACKETS = { min: 4, max: 1000 };
/** Of the kernel's generous bursts: so much of the rate, but not less than some frames. */
const GENEROUS = { seconds: 0.1, frames: 4 };
const WARM_UP_SECONDS_MAX = 5;
/** A byte a second: less is no rate. */
const LEAST_BPS = 8;
const BASE = '10.0.0.0';
const NS_PER_SECOND = 1e9;
/** Which path does the same without shaping. There is none here for AF_PACKET. */
const UNSHAPED: ReadonlyMap<string, PathName> = new Map([
  ['weir xdp', 'C forwarder'],
  ['kernel HTB by priority', 'kernel forwarding'],
  ['kernel HTB by filter', 'kernel forwarding'],
  ["kernel HTB with tc's bursts", 'kernel forwarding'],
  ['mq + HTB', 'kernel forwarding'],
]);

/** Throws E_BENCH_… and E_LAB_…; all namespaces and processes are gone afterwards. */
export async function benchInline(options: InlineOptions): Promise<BenchDocument> {
  const startedMs = Date.now();
  const points: Point[] = [];
  const offers = new Map<string, number>();
  for (const settings of byNet(settingsOf(options)))
    points.push(...(await measureNet(options, settings, offers)));
  const { seconds, cpuSeconds, warmUpSeconds, cpuPps, bursts, forwarding, runs } = options;
  return documentOf({
    bench: 'inline',
    measures: 'packets through a wire and the CPU time that they take',
    parameters: { seconds, cpuSeconds, warmUpSeconds, cpuPps, bursts, forwarding },
    seed: null,
    runs,
    startedMs,
    points,
    plots: plotsOf(points),
    notes: NOTES,
  });
}

const NOTES = [
  'Generator and sink share the CPUs with what is measured, and busyNs counts them in.',
  'addedNs is busyNs less that of the same path without shaping in the same run: of the C forwarder for weir, of kernel forwarding for HTB.',
  'forwarding: redirect is bpf_redirect from the ingress of the one device to the other, the cheapest path of the kernel; route is IPv4 routing.',
  'Leaves are pfifos of equal length for all; offered classes are drawn at random, frame by frame.',
];

function settingsOf({ classes, queues, sizes, loads, grid }: InlineOptions): Setting[] {
  const all = classes.flatMap((each) =>
    queues.flatMap((count) =>
      sizes.flatMap((size) => loads.map((load) => ({ classes: each, queues: count, size, load }))),
    ),
  );
  if (grid) return all;
  const usual = all[0]!;
  const keys = Object.keys(usual) as (keyof Setting)[];
  return all.filter((setting) => keys.filter((key) => setting[key] !== usual[key]).length <= 1);
}

/** Points of the same classes and queues together. */
function byNet(settings: readonly Setting[]): Setting[][] {
  const nets = new Map<string, Setting[]>();
  for (const setting of settings) {
    const key = `${setting.classes} ${setting.queues}`;
    nets.set(key, [...(nets.get(key) ?? []), setting]);
  }
  return [...nets.values()];
}

/** All points that have the same classes and queues, on one net: the kernel takes its classes but once. */
async function measureNet(
  options: InlineOptions,
  settings: readonly Setting[],
  offers: Map<string, number>,
): Promise<Point[]> {
  const { bursts, forwarding } = options;
  const { queues, classes } = settings[0]!;
  return withInlineNet(queues, async (net, folder) => {
    const share = Math.floor(WAITING_FRAMES_MAX / classes);
    const limitPackets = Math.min(Math.max(share, LIMIT_PACKETS.min), LIMIT_PACKETS.max);
    const document = treeOf(classes, LEAST_BPS, limitPackets);
    const paths = await Paths.create({
      ...{ net, folder, queues, document, bursts, limitPackets, forwarding },
    });
    const points: Point[] = [];
    for (const setting of settings) {
      const bench = new PointBench(net, paths, options, setting, limitPackets);
      const key = `${queues} ${setting.size}`;
      const offerPps = options.offerPps ?? offers.get(key) ?? (await bench.forwarderPps()) * NEAR_SHARE;
      offers.set(key, offerPps);
      points.push(await bench.measure(offerPps));
    }
    return points;
  });
}

class PointBench {
  private readonly net: InlineNet;
  private readonly paths: Paths;
  private readonly options: InlineOptions;
  private readonly setting: Setting;
  private readonly limitPackets: number;

  constructor(net: InlineNet, paths: Paths, options: InlineOptions, setting: Setting, limitPackets: number) {
    this.net = net;
    this.paths = paths;
    this.options = options;
    this.setting = setting;
    this.limitPackets = limitPackets;
  }

  /** What the C forwarder carries of as much as the generator can send. */
  async forwarderPps(): Promise<number> {
    const wire = this.wire(this.options.warmUpSeconds);
    const path = this.paths.path('C forwarder');
    const { deliveredPps } = await path.while(wire.longestSeconds, () =>
      wire.arrivals(path.sink, this.flood(0)),
    );
    return deliveredPps;
  }

  async measure(offerPps: number): Promise<Point> {
    const { options, setting, paths } = this;
    const { load, classes, size, queues } = setting;
    const ceilPps = { below: offerPps * BELOW_RATE_FACTOR, nearCeil: offerPps, overload: offerPps / 2 }[load];
    const rateBps = Math.max((ceilPps * size * 8) / classes, LEAST_BPS);
    const generousBytes = generousBurst(rateBps, size);
    paths.setRates(treeOf(classes, rateBps, this.limitPackets), generousBytes);
    // With an HTB for each queue a class has as many bursts.
    const kernelBytes = options.bursts === 'generous' ? generousBytes * queues : 0;
    const heldBytes = Math.max(defaultBurstBytes(rateBps), kernelBytes);
    // Until all classes have used up what their bursts hold: the other half of the offer goes into that.
    const drainSeconds = load === 'overload' ? ((heldBytes / size) * classes) / (offerPps - ceilPps) : 0;
    const wire = this.wire(Math.min(Math.max(options.warmUpSeconds, drainSeconds), WARM_UP_SECONDS_MAX));
    const columns = options.columns.map((name) => this.column(name, wire, offerPps, ceilPps));
    const name = `${classes.toLocaleString('en')} classes, ${queues} ${queues === 1 ? 'queue' : 'queues'}, ${size} bytes, ${load}`;
    const measured = await measureInTurns(columns, options.runs, (column, round) =>
      options.tell?.(`${name}: ${column}, run ${round + 1}`),
    );
    const withAddedNs = withAdded(measured);
    const parameters = { ...setting, ceilPps: Math.round(ceilPps) };
    return { name, parameters, columns: withAddedNs, ratios: ratiosOf(withAddedNs) };
  }

  private wire(warmUpSeconds: number): InlineLoad {
    const { queues } = this.setting;
    const { seconds, cpuSeconds } = this.options;
    return new InlineLoad(this.net, { queues, warmUpSeconds, seconds: Math.max(seconds, cpuSeconds) });
  }

  private column(name: PathName, wire: InlineLoad, offerPps: number, ceilPps: number): Column {
    const { load, queues } = this.setting;
    const { seconds, cpuSeconds } = this.options;
    const path = this.paths.path(name);
    const missing =
      name === 'mq + HTB' && queues === 1 ? 'with one queue it is the HTB itself' : path.missing;
    const atCpu = this.cpuOffer(offerPps);
    return {
      name,
      missing,
      measure: () =>
        path.while(2 * wire.longestSeconds, async () => {
          // CPU time first: what a flood leaves in the queues would be counted with it.
          const busy = atCpu === null ? {} : busyFigures(await wire.arrivals(path.sink, atCpu, cpuSeconds));
          const flood = this.flood(load === 'below' ? 0 : offerPps);
          const { deliveredPps, offeredPps } = await wire.arrivals(path.sink, flood, seconds);
          return { deliveredPps, offeredPps, ceilShare: deliveredPps / ceilPps, ...busy };
        }),
    };
  }

  private flood(pps: number): Offer {
    const { classes: subscribers, size } = this.setting;
    return { pps, size, subscribers, base: BASE, by: 'live' };
  }

  /** With so many of the classes that each is offered what it is offered otherwise; null when less than one would be. */
  private cpuOffer(offerPps: number): Offer | null {
    const { classes, size, load } = this.setting;
    const pps = Math.min(this.options.cpuPps, offerPps);
    const active = load === 'below' ? classes : Math.round((classes * pps) / offerPps);
    return active < 1 ? null : { pps, size, subscribers: active, base: BASE, by: 'socket' };
  }
}

/**
 * What keeps timers and locks out of the kernel's way, and is used up within seconds: with 32 kB a class of twenty small
 * frames a second would be free of its rate for as long as it is measured.
 */
function generousBurst(rateBps: number, size: number): number {
  const least = Math.max(GENEROUS.frames * size, defaultBurstBytes(0));
  return Math.round(Math.min(GENEROUS_BURST_BYTES, Math.max(least, (rateBps / 8) * GENEROUS.seconds)));
}

/** CPU time for each packet offered, and how the rate at which it was counted was kept. */
function busyFigures({ busyCpus, offeredPps, deliveredPps }: Arrivals): Figures {
  const busyNs = (busyCpus * NS_PER_SECOND) / offeredPps;
  return { busyNs, busyOfferedPps: offeredPps, busyDeliveredPps: deliveredPps };
}

/** What shaping adds to the CPU time of a packet, run by run. */
function withAdded(columns: readonly Measured[]): Measured[] {
  return columns.map((column) => {
    const unshaped = columns.find(({ name }) => name === UNSHAPED.get(column.name));
    const isThere = column.figures.busyNs !== undefined && unshaped?.figures.busyNs !== undefined;
    if (!isThere) return column;
    const added = column.perRun.map((run, i) => run.busyNs! - unshaped!.perRun[i]!.busyNs!);
    const perRun: Figures[] = column.perRun.map((run, i) => ({ ...run, addedNs: added[i]! }));
    return { ...column, perRun, figures: { ...column.figures, addedNs: spreadOf(added) } };
  });
}

/** Everything to the C forwarder, and weir to each way of the kernel. */
function ratiosOf(columns: readonly Measured[]): Ratio[] {
  const ratios: (Ratio | null)[] = [];
  const named = (name: PathName): Measured | undefined => columns.find((column) => column.name === name);
  const forwarder = named('C forwarder');
  const weir = named('weir xdp');
  for (const column of columns) {
    if (forwarder !== undefined && column !== forwarder)
      ratios.push(ratioOf(column, forwarder, 'deliveredPps'));
    if (weir === undefined || UNSHAPED.get(column.name) !== 'kernel forwarding') continue;
    ratios.push(ratioOf(weir, column, 'deliveredPps'));
    for (const figure of ['busyNs', 'addedNs'])
      if (weir.figures[figure] !== undefined && column.figures[figure] !== undefined)
        ratios.push(ratioOf(weir, column, figure));
  }
  return ratios.filter((ratio) => ratio !== null);
}

/** What is delivered against the number of classes, where there is more than one. */
function plotsOf(points: readonly Point[]): Plot[] {
  const groups = new Map<string, Point[]>();
  for (const point of points) {
    const { queues, size, load } = point.parameters;
    const key = `${load}, ${queues === 1 ? '1 queue' : `${queues} queues`}, ${size} bytes`;
    groups.set(key, [...(groups.get(key) ?? []), point]);
  }
  const x = { label: 'classes', scale: 'log' } as const;
  const y = { label: 'delivered, packets/s', scale: 'linear' } as const;
  return [...groups]
    .filter(([, group]) => group.length > 1)
    .map(([title, group]) => curveOf(group, { title, parameter: 'classes', figure: 'deliveredPps', x, y }));
}
