/**
 * What a wire adds to a packet's way: probes of one subscriber through weir, the kernel's HTB and what neither shapes, alone on
 * the wire, beside a load in other classes, and beside a load in the subscriber's own class.
 *
 * The load is twice what its classes may send. Its senders sleep between frames and leave the CPUs to what is measured.
 */
import { InlineLoad, type Offer } from './inline-load.js';
import { withInlineNet } from './inline-net.js';
import { type Path, Paths, type TreeDocument, treeOf } from './inline-paths.js';
import type { BurstsName, Forwarding, PathName } from './inline-words.js';
import {
  type BenchDocument,
  documentOf,
  type Parameters,
  type Point,
  type RigOptions,
} from './rig/document.js';
import { type Column, type Measured, measureInTurns, type Ratio, ratioOf } from './rig/rounds.js';

export const SITUATIONS = ['idle', 'others', 'own'] as const;
export type Situation = (typeof SITUATIONS)[number];

export interface LatencyOptions extends RigOptions {
  readonly classes: number;
  readonly queues: number;
  /** Layer-2 bytes of the load's frames; probes have 64. */
  readonly size: number;
  readonly situations: readonly Situation[];
  /** Of the probes. */
  readonly probePps: number;
  /** Offered to the other classes, twice what they may send. */
  readonly loadPps: number;
  /** Of the probes' own class. */
  readonly ownBps: number;
  /** Packets that a pfifo holds. */
  readonly limit: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly bursts: BurstsName;
  readonly forwarding: Forwarding;
}

/** What is compared, with the leaves of its tree. The kernel's own are pfifos. */
const COLUMNS: readonly { readonly name: string; readonly path: PathName; readonly leaf: string }[] = [
  { name: 'C forwarder', path: 'C forwarder', leaf: 'pfifo' },
  { name: 'kernel forwarding', path: 'kernel forwarding', leaf: 'pfifo' },
  { name: 'weir', path: 'weir xdp', leaf: 'fq_codel' },
  { name: 'weir, pfifo', path: 'weir xdp', leaf: 'pfifo' },
  { name: 'kernel HTB, pfifo', path: 'kernel HTB by priority', leaf: 'pfifo' },
];
const FIGURES = ['p50Us', 'p99Us', 'p999Us'] as const;
const OWN_ADDRESS = '10.0.0.0';
/** The other classes' addresses follow that of the probes. */
const OTHERS_BASE = '10.0.0.1';
const OVERLOAD = 2;

/** Throws E_BENCH_… and E_LAB_…; all namespaces and processes are gone afterwards. */
export async function benchLatency(options: LatencyOptions): Promise<BenchDocument> {
  const startedMs = Date.now();
  const { situations, runs } = options;
  const points = await withInlineNet(options.queues, async (net, folder) => {
    const { queues, bursts, forwarding, limit: limitPackets } = options;
    const pathsWith = (leaf: string): Promise<Paths> =>
      Paths.create({
        net,
        folder,
        queues,
        document: treeWith(options, leaf),
        bursts,
        limitPackets,
        forwarding,
      });
    const byLeaf = { pfifo: await pathsWith('pfifo'), fq_codel: await pathsWith('fq_codel') };
    const wire = new InlineLoad(net, options);
    const measured: Point[] = [];
    for (const situation of situations) {
      const columns = COLUMNS.map(({ name, path, leaf }) =>
        columnOf(name, byLeaf[leaf as 'pfifo' | 'fq_codel'].path(path), wire, options, situation),
      );
      const tell = (column: string, round: number): void =>
        options.tell?.(`${TITLES[situation]}: ${column}, run ${round + 1}`);
      measured.push(pointOf(situation, await measureInTurns(columns, runs, tell)));
    }
    return measured;
  });
  return documentOf({
    bench: 'latency',
    measures: 'how long a packet is on its way through a wire, in microseconds',
    parameters: parametersOf(options),
    seed: null,
    runs,
    startedMs,
    points,
    notes: NOTES,
  });
}

function parametersOf(options: LatencyOptions): Parameters {
  const { classes, queues, size, probePps, loadPps, ownBps, limit } = options;
  const { seconds, warmUpSeconds, bursts, forwarding } = options;
  return {
    classes,
    queues,
    size,
    probePps,
    loadPps,
    ownBps,
    limit,
    seconds,
    warmUpSeconds,
    bursts,
    forwarding,
  };
}

const NOTES = [
  "Times run from the sender's clock to the arrival at the sink's device, exact to a microsecond, above 65 ms to 64 of them; above 4.2 s all count as that.",
  'others: all other classes are offered twice their ceils. own: the class of the probes is offered twice its ceil by another flow.',
  'Generator, probes and sink share the CPUs with what is measured.',
  'A pfifo under overload is full all the time: what it adds is its limit × the size of a frame ÷ the rate of the class.',
];

const TITLES: Record<Situation, string> = {
  idle: 'probes alone',
  others: 'load in other classes',
  own: "load in the probes' class",
};

/** The first class is that of the probes. */
function treeWith({ classes, loadPps, size, ownBps, limit }: LatencyOptions, leaf: string): TreeDocument {
  const othersBps = (loadPps * size * 8) / OVERLOAD / Math.max(classes - 1, 1);
  const tree = treeOf(classes, Math.max(othersBps, 8), limit);
  const own = { rate: ownBps };
  const list = tree.classes.map((spec) => (spec.id === 'u0' ? { ...spec, down: own, up: own } : spec));
  // Above the subscribers nothing limits, whatever the one may have.
  const wide = { rate: ownBps * 2 + othersBps * classes * 2 };
  const inner = list.map((spec) => (/^u\d/.test(spec.id) ? spec : { ...spec, down: wide, up: wide }));
  const queue = leaf === 'pfifo' ? { leaf, limit } : { leaf };
  const document = { version: 1, ...queue, classes: inner };
  return document;
}

function columnOf(
  name: string,
  path: Path,
  wire: InlineLoad,
  options: LatencyOptions,
  situation: Situation,
): Column {
  const offers = offersOf(options, situation);
  return {
    name,
    missing: path.missing,
    measure: () =>
      path.while(wire.longestSeconds, async () => {
        const { p50, p99, p999, arrivedPps } = await wire.latency(path.sink, options.probePps, offers);
        return { p50Us: p50, p99Us: p99, p999Us: p999, arrivedPps };
      }),
  };
}

function offersOf({ classes, size, loadPps, ownBps }: LatencyOptions, situation: Situation): Offer[] {
  if (situation === 'idle') return [];
  const others: Offer = { pps: loadPps, size, subscribers: classes - 1, base: OTHERS_BASE, by: 'socket' };
  if (situation === 'others') return [others];
  const ownPps = (ownBps * OVERLOAD) / 8 / size;
  return [others, { ...others, pps: ownPps, subscribers: 1, base: OWN_ADDRESS }];
}

function pointOf(situation: Situation, columns: readonly Measured[]): Point {
  const weir = columns.find(({ name }) => name === 'weir')!;
  const ratios: (Ratio | null)[] = [];
  for (const column of columns)
    if (column !== weir) for (const figure of FIGURES) ratios.push(ratioOf(weir, column, figure));
  return {
    name: TITLES[situation],
    parameters: { situation },
    columns,
    ratios: ratios.filter((ratio) => ratio !== null),
  };
}
