/**
 * Random loads on a class tree: for each leaf a source that is silent, steady, bursty, or offers more than the leaf
 * may ever send, all or part of the time. Arrivals lie on a grid of time, so that a run has a bounded number of steps.
 */
import type { OracleClass } from '../oracle/htb-oracle.js';
import type { Rng } from '../oracle/random-tree.js';

export interface Arrival {
  /** Number of the grid point. */
  at: number;
  id: string;
  lenBytes: number;
}

export interface RandomLoad {
  gridNs: number;
  gridPoints: number;
  /** In order of time. */
  arrivals: Arrival[];
}

export interface LoadOptions {
  /** About as many packets as the roots let through in the whole time. */
  packets: number;
  gridPoints: number;
}

type SizeOf = () => number;

const LARGEST_BYTES = 1500;
const SMALLEST_BYTES = 64;
/** What a root without a limit of its own is taken to carry. */
const UNLIMITED_BPS = 1e9;

function sizes(rng: Rng): SizeOf {
  const kind = rng.int(4);
  if (kind === 0) return () => LARGEST_BYTES;
  if (kind === 1) return () => SMALLEST_BYTES;
  if (kind === 2) return () => (rng.chance(0.4) ? SMALLEST_BYTES : LARGEST_BYTES);
  return () => SMALLEST_BYTES + rng.int(LARGEST_BYTES - SMALLEST_BYTES + 1);
}

/** The least ceil from a class to its root. */
export function pathCeilBps(byId: ReadonlyMap<string, OracleClass>, id: string): number {
  let least = UNLIMITED_BPS;
  let isLimited = false;
  for (let at: string | null = id; at !== null; at = byId.get(at)!.parent) {
    const { unlimited, ceilBps, rateBps, parent } = byId.get(at)!;
    if (unlimited) continue;
    // A root cannot borrow, so it passes no more than its rate.
    const own = parent === null ? rateBps : ceilBps;
    least = isLimited ? Math.min(least, own) : own;
    isLimited = true;
  }
  return least;
}

/** A load for the leaves of `tree`. */
export function randomLoad(rng: Rng, tree: readonly OracleClass[], options: LoadOptions): RandomLoad {
  const byId = new Map(tree.map((spec) => [spec.id, spec]));
  const parents = new Set(tree.map((spec) => spec.parent));
  const leaves = tree.filter((spec) => !parents.has(spec.id));
  const sizeOf = sizes(rng);
  let carriedBps = 0;
  for (const spec of tree) if (spec.parent === null) carriedBps += pathCeilBps(byId, spec.id);
  const meanBits = 8 * 800;
  const durationNs = Math.ceil(((options.packets * meanBits) / Math.max(carriedBps, 1)) * 1e9);
  const gridNs = Math.max(1, Math.ceil(durationNs / options.gridPoints));
  const arrivals: Arrival[] = [];
  const saturation = rng.next();
  for (const { id } of leaves) {
    const capBps = pathCeilBps(byId, id);
    const isSaturated = rng.chance(saturation);
    const offeredBps = isSaturated ? capBps * (1.05 + rng.next()) : capBps * rng.next() ** 3;
    const onShare = rng.chance(0.4) ? 0.2 + 0.6 * rng.next() : 1;
    offer(rng, arrivals, id, offeredBps, onShare, { ...options, gridNs, sizeOf });
  }
  arrivals.sort((a, b) => a.at - b.at);
  return { gridNs, gridPoints: options.gridPoints, arrivals };
}

function offer(
  rng: Rng,
  arrivals: Arrival[],
  id: string,
  offeredBps: number,
  onShare: number,
  { gridNs, gridPoints, sizeOf }: { gridNs: number; gridPoints: number; sizeOf: SizeOf },
): void {
  let isOn = rng.chance(onShare);
  let leftPoints = 0;
  let owedBytes = rng.chance(0.3) ? rng.int(100_000) : 0;
  for (let at = 0; at < gridPoints; at++) {
    if (onShare < 1 && leftPoints-- <= 0) {
      isOn = rng.chance(onShare);
      leftPoints = 1 + rng.int(Math.ceil(gridPoints / 10));
    }
    if (!isOn) continue;
    owedBytes += (offeredBps * gridNs) / 8e9;
    for (let lenBytes = sizeOf(); owedBytes >= lenBytes; lenBytes = sizeOf()) {
      owedBytes -= lenBytes;
      arrivals.push({ at, id, lenBytes });
    }
  }
}
