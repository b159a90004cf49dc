/**
 * Packets through a real wire: weir's daemon, the kernel's HTB with the same classes, and what both are without shaping: the
 * least that an AF_XDP program does between the same devices, and the kernel handing frames from one to the other.
 *
 * Each run of a path has two stretches. In the first a sender that sleeps between its frames offers a rate that all paths
 * carry, and the CPU time of the whole machine is counted. In the second the generator sends as much as the load says, and
 * what arrives is counted. Each class is offered the same in both; in the first there are fewer of them.
 */
import { type Arrivals, InlineLoad, type Offer } from './inline-load.js';
import { type InlineNet, withInlineNet } from './inline-net.js';
import { BURSTS, PATH_NAMES, type PathName, Paths, treeOf } from './inline-paths.js';
import { FORWARDINGS } from './kernel-htb.js';
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

/**
 * below: every class far below its rate. nearCeil: offered what the ceils of all allow together. overload: twice that.
 */
export const LOADS = ['below', 'nearCeil', 'overload'] as const;
export type LoadName = (typeof LOADS)[number];

export { BURSTS, FORWARDINGS, PATH_NAMES };

export interface InlineOptions extends RigOptions {
  /** Each with each: a point of its own. */
  readonly classes: readonly number[];
  readonly queues: readonly number[];
  /** Layer-2 bytes of a frame. */
  readonly sizes: readonly number[];
  readonly loads: readonly LoadName[];
  readonly columns: readonly PathName[];
  /** Measured time of each stretch. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** What nearCeil and overload offer, packets a second; null: 0.95 of what the C forwarder carries. */
  readonly offerPps: number | null;
  /** Offered while CPU time is counted, packets a second. */
  readonly cpuPps: number;
  /** Of the kernel's classes: 32 kB, the kernel's own, or those of weir. */
  readonly bursts: (typeof BURSTS)[number];
  /** The kernel's path: an eBPF redirect, its cheapest, or IPv4 routing. */
  readonly forwarding: (typeof FORWARDINGS)[number];
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
const BASE = '10.0.0.0';
const NS_PER_SECOND = 1e9;
/** Which path does the same without shaping. There is none here for AF_PACKET. */
const UNSHAPED: ReadonlyMap<string, PathName> = new Map([
  ['weir xdp', 'C forwarder'],
  ['kernel HTB by priority', 'kernel forwarding'],
  ['kernel HTB by filter', 'kernel forwarding'],
  ['mq + HTB', 'kernel forwarding'],
]);

/** Throws E_BENCH_… and E_LAB_…; all namespaces and processes are gone afterwards. */
export async function benchInline(options: InlineOptions): Promise<BenchDocument> {
  const startedMs = Date.now();
  const points: Point[] = [];
  for (const queues of options.queues)
    for (const size of options.sizes)
      for (const classes of options.classes)
        points.push(...(await measureLoads(options, queues, size, classes)));
  const { seconds, warmUpSeconds, cpuPps, bursts, forwarding, runs } = options;
  return documentOf({
    bench: 'inline',
    measures: 'packets through a wire and the CPU time that they take',
    parameters: { seconds, warmUpSeconds, cpuPps, bursts, forwarding },
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

async function measureLoads(
  options: InlineOptions,
  queues: number,
  size: number,
  classes: number,
): Promise<Point[]> {
  const { warmUpSeconds, seconds } = options;
  const points: Point[] = [];
  let offerPps = options.offerPps;
  for (const load of options.loads) {
    // A net for each: the kernel takes long to take 24,000 classes back from a device, and none to forget it.
    await withInlineNet(queues, async (net, folder) => {
      const wire = new InlineLoad(net, { queues, warmUpSeconds, seconds });
      const bench = new PointBench({ net, folder, wire, options, setting: { classes, queues, size, load } });
      offerPps ??= (await bench.forwarderPps()) * NEAR_SHARE;
      points.push(await bench.measure(offerPps));
    });
  }
  return points;
}

interface PointParts {
  readonly net: InlineNet;
  readonly folder: string;
  readonly wire: InlineLoad;
  readonly options: InlineOptions;
  readonly setting: Setting;
}

class PointBench {
  private readonly parts: PointParts;
  private readonly limitPackets: number;

  constructor(parts: PointParts) {
    this.parts = parts;
    const share = Math.floor(WAITING_FRAMES_MAX / parts.setting.classes);
    this.limitPackets = Math.min(Math.max(share, LIMIT_PACKETS.min), LIMIT_PACKETS.max);
  }

  /** What the C forwarder carries of as much as the generator can send. */
  async forwarderPps(): Promise<number> {
    const { wire } = this.parts;
    const path = (await this.paths(1)).path('C forwarder');
    const { deliveredPps } = await path.while(wire.longestSeconds, () =>
      wire.arrivals(path.sink, this.flood(0)),
    );
    return deliveredPps;
  }

  async measure(offerPps: number): Promise<Point> {
    const { options, setting } = this.parts;
    const { load, classes, size, queues } = setting;
    const ceilPps = { below: offerPps * BELOW_RATE_FACTOR, nearCeil: offerPps, overload: offerPps / 2 }[load];
    const paths = await this.paths((ceilPps * size * 8) / classes);
    const columns = options.columns.map((name) => this.column(name, paths, offerPps, ceilPps));
    const name = `${classes.toLocaleString('en')} classes, ${queues} ${queues === 1 ? 'queue' : 'queues'}, ${size} bytes, ${load}`;
    const measured = await measureInTurns(columns, options.runs, (column, round) =>
      options.tell?.(`${name}: ${column}, run ${round + 1}`),
    );
    const withAddedNs = withAdded(measured);
    const parameters = { ...setting, ceilPps: Math.round(ceilPps) };
    return { name, parameters, columns: withAddedNs, ratios: ratiosOf(withAddedNs) };
  }

  private async paths(rateBps: number): Promise<Paths> {
    const { net, folder, options, setting } = this.parts;
    const { limitPackets } = this;
    const document = treeOf(setting.classes, Math.max(rateBps, 8), limitPackets);
    const { bursts, forwarding } = options;
    const { queues } = setting;
    return Paths.create({ net, folder, queues, document, bursts, limitPackets, forwarding });
  }

  private column(name: PathName, paths: Paths, offerPps: number, ceilPps: number): Column {
    const { wire, setting } = this.parts;
    const { load, queues } = setting;
    const path = paths.path(name);
    const missing =
      name === 'mq + HTB' && queues === 1 ? 'with one queue it is the HTB itself' : path.missing;
    const atCpu = this.cpuOffer(offerPps);
    return {
      name,
      missing,
      measure: () =>
        path.while(2 * wire.longestSeconds, async () => {
          // CPU time first: what a flood leaves in the queues would be counted with it.
          const busy = atCpu === null ? {} : busyFigures(await wire.arrivals(path.sink, atCpu));
          const flood = this.flood(load === 'below' ? 0 : offerPps);
          const { deliveredPps, offeredPps } = await wire.arrivals(path.sink, flood);
          return { deliveredPps, offeredPps, ceilShare: deliveredPps / ceilPps, ...busy };
        }),
    };
  }

  private flood(pps: number): Offer {
    const { classes: subscribers, size } = this.parts.setting;
    return { pps, size, subscribers, base: BASE, by: 'live' };
  }

  /** With so many of the classes that each is offered what it is offered otherwise; null when less than one would be. */
  private cpuOffer(offerPps: number): Offer | null {
    const { options, setting } = this.parts;
    const { classes, size, load } = setting;
    const pps = Math.min(options.cpuPps, offerPps);
    const active = load === 'below' ? classes : Math.round((classes * pps) / offerPps);
    return active < 1 ? null : { pps, size, subscribers: active, base: BASE, by: 'socket' };
  }
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
