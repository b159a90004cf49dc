/**
 * The differential test: the same class trees and the same offered load on the kernel's HTB and on weir at one queue, and on
 * weir at two queues. What each class gets must be the same within 3 %.
 */
import { formatIpv4 } from '../classes/prefix.js';
import { FIRST_SUBSCRIBER, receiveUdp, type Shaper, type Wire, whileShaping } from './accuracy-wire.js';
import { AGREE_TREES, type AgreeTree, LOAD_UNIT_BPS } from './agree-trees.js';
import {
  breakClasses,
  type Canary,
  type ClassDoc,
  type JudgedDocument,
  type Verdict,
  withVerdict,
} from './canary.js';
import { withInlineNet } from './inline-net.js';
import { whyNoKernelHtb } from './kernel-htb.js';
import { documentOf, type Point, type RigOptions } from './rig/document.js';
import { type Column, type Figures, measureInTurns, type Ratio, ratioOf } from './rig/rounds.js';

export interface AgreeOptions extends RigOptions {
  /** Measured time of a column, whole seconds, at most 15. */
  readonly seconds: number;
  /** How many of the trees, from the first. */
  readonly trees: number;
  /** Whether weir is broken on purpose, and how. */
  readonly canary?: Canary | null;
}

const KERNEL = 'kernel HTB';
const ONE = 'weir';
const TWO = 'weir, 2 queues';
const QUEUES = 2;
const FRAME_BYTES = 1400;
const WARM_UP_SECONDS = { smoke: 0.5, full: 1 };
const PATH_SECONDS = 60;
/** How far a class may be from what the other gives it. */
const TOLERANCE = 0.03;
const UNIT = 'Mbit/s';
/** Of what was to be offered. */
const OFFERED = 'offered';
const OFFERED_LEAST = 0.98;

const NOTES = [
  `Figures are layer-2 ${UNIT} by class, counted where frames arrive. Offered are ${FRAME_BYTES}-byte UDP frames, evenly spaced, to all classes in turn.`,
  'Bursts, which hold 20 ms of the rate unless the tree is about them, and quanta are the same in the kernel; leaves are pfifos of 200 packets. The kernel runs one HTB, and so does weir at one queue; at two, every class has half of its frames on each.',
  `offered is the part of the load that the generator did offer. Within ${TOLERANCE * 100} %: each class of weir at one queue beside the kernel, and of weir at two queues beside one.`,
];

/** Throws E_BENCH_… and E_LAB_…; all namespaces and processes are gone afterwards. */
export async function benchAgree(options: AgreeOptions): Promise<JudgedDocument> {
  const startedMs = Date.now();
  const trees = AGREE_TREES.slice(0, options.trees);
  const points = await withInlineNet(QUEUES, async (net, folder) => {
    const missing = await whyNoKernelHtb(net.shaper);
    const measured: Point[] = [];
    for (const tree of trees) {
      options.tell?.(tree.name);
      measured.push(await pointOf(tree, { net, folder }, missing, options));
    }
    return measured;
  });
  const { seconds, runs, canary = null } = options;
  const explained = trees.flatMap(({ name, differs }) =>
    differs === null ? [] : [`${name}: ${differs.why}.`],
  );
  const document = documentOf({
    bench: 'agree',
    measures: "what classes get of weir and of the kernel's HTB, the same trees and load",
    parameters: { seconds, frameBytes: FRAME_BYTES, unitBps: LOAD_UNIT_BPS, canary },
    seed: null,
    runs,
    startedMs,
    points,
    notes: [...NOTES, ...explained],
  });
  return withVerdict(document, judgeAgreement(points, trees));
}

async function pointOf(
  tree: AgreeTree,
  wire: Wire,
  missing: string | null,
  options: AgreeOptions,
): Promise<Point> {
  const broken = breakClasses(tree.classes, options.canary ?? null);
  const column = (
    name: string,
    shaper: Shaper,
    classes: readonly ClassDoc[],
    why: string | null,
  ): Column => ({
    name,
    missing: why,
    measure: () => goodputs(tree, withMatches(classes, tree), wire, shaper, options),
  });
  const columns = await measureInTurns(
    [
      column(KERNEL, { kind: 'htb', bursts: 'tree' }, tree.classes, missing),
      column(ONE, { kind: 'weir', queues: 1 }, broken, null),
      column(TWO, { kind: 'weir', queues: 2 }, broken, null),
    ],
    options.runs,
  );
  const [kernel, one, two] = columns;
  const ratios = Object.keys(tree.units).flatMap((id) => [
    ratioOf(one!, kernel!, figureOf(id)),
    ratioOf(two!, one!, figureOf(id)),
  ]);
  return {
    name: tree.name,
    parameters: { tree: tree.name },
    columns,
    ratios: ratios.filter((ratio): ratio is Ratio => ratio !== null),
  };
}

/** What each leaf with traffic gets. */
async function goodputs(
  tree: AgreeTree,
  classes: readonly ClassDoc[],
  wire: Wire,
  shaper: Shaper,
  { seconds, smoke }: AgreeOptions,
): Promise<Figures> {
  const units = Object.entries(tree.units);
  const subscribers = units.reduce((sum, [, count]) => sum + count, 0);
  const load = {
    subscribers,
    offeredBps: subscribers * LOAD_UNIT_BPS,
    frameBytes: FRAME_BYTES,
    cpus: shaper.kind === 'weir' && shaper.queues === 2 ? [0, 1] : [0],
    warmUpSeconds: smoke ? WARM_UP_SECONDS.smoke : WARM_UP_SECONDS.full,
    seconds,
  };
  const { bps, offeredBps } = await whileShaping(wire, shaper, classes, PATH_SECONDS, () =>
    receiveUdp(wire, load),
  );
  let next = 0;
  const figures: Record<string, number> = {};
  for (const [id, count] of units) {
    const own = bps.slice(next, (next += count));
    figures[figureOf(id)] = own.reduce((sum, each) => sum + each, 0) / 1e6;
  }
  return { ...figures, [OFFERED]: offeredBps! / load.offeredBps };
}

/** Every unit of a leaf's load is an address of it, one after the other in the order of the units. */
function withMatches(classes: readonly ClassDoc[], tree: AgreeTree): ClassDoc[] {
  const matches = new Map<string, string[]>();
  let address = FIRST_SUBSCRIBER;
  for (const [id, count] of Object.entries(tree.units))
    matches.set(
      id,
      Array.from({ length: count }, () => formatIpv4(address++)),
    );
  return classes.map((spec) => {
    const match = matches.get(spec.id);
    return match === undefined ? spec : { ...spec, match };
  });
}

function figureOf(id: string): string {
  return `${id}, ${UNIT}`;
}

/** Holds the ratios of every class against the tolerance; where the two differ on purpose, weir against its promise. */
export function judgeAgreement(points: readonly Point[], trees: readonly AgreeTree[]): Verdict {
  const outOfBounds: string[] = [];
  const check = (what: string, value: number): void => {
    if (Math.abs(value - 1) <= TOLERANCE) return;
    const percent = ((value - 1) * 100).toFixed(1);
    outOfBounds.push(`${what}: ${percent} %, must be within ${TOLERANCE * 100} %`);
  };
  for (const point of points) {
    for (const { name, figures } of point.columns) {
      const share = figures[OFFERED]?.median ?? 1;
      // The generator did not get the CPU for it.
      if (share < OFFERED_LEAST)
        outOfBounds.push(`${point.name}: ${name}: ${(share * 100).toFixed(1)} % of the load were offered`);
    }
    const differs = trees.find(({ name }) => name === point.name)?.differs ?? null;
    for (const { of, to, figure, median } of point.ratios)
      if (differs === null || to !== KERNEL) check(`${point.name}: ${figure}: ${of} beside ${to}`, median);
    const weir = point.columns.find(({ name }) => name === ONE);
    for (const [id, bps] of Object.entries(differs?.promisedBps ?? {}))
      check(
        `${point.name}: ${id}: ${ONE} beside its promise`,
        (weir!.figures[figureOf(id)]!.median * 1e6) / bps,
      );
  }
  return { withinBounds: outOfBounds.length === 0, outOfBounds };
}
