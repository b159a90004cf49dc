/**
 * Random class trees and the generator behind them: the same seed gives the same trees everywhere.
 */
import type { OracleClass } from './htb-oracle.js';

const PRIO_COUNT = 8;

export interface Rng {
  /** In [0, 1). */
  next(): number;
  /** An integer in [0, n). */
  int(n: number): number;
  /** True with probability `p`. */
  chance(p: number): boolean;
  /** An integer in [low, high], each octave as likely as the next. */
  logInt(low: number, high: number): number;
}

/**
 * A small generator after Steele, Lea and Flood's SplitMix, in 32 bits: the same seed gives the same numbers
 * everywhere.
 */
export function makeRng(seed: number): Rng {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    int: (n) => Math.floor(next() * n),
    chance: (p) => next() < p,
    logInt: (low, high) => Math.min(high, Math.max(low, Math.round(low * (high / low) ** next()))),
  };
}

export interface RandomTreeOptions {
  /** Default 40. */
  maxLeaves?: number;
  /** Default: 4 in nine trees of ten, else 16. */
  maxLevels?: number;
  /** Lets the children's assured rates add up to more than the parent's; each alone is still at most that. */
  oversubscribed?: boolean;
  /** Default true: some classes have their direction left out. */
  leftOut?: boolean;
}

const MIN_RATE_BPS = 64_000;
const MAX_RATE_BPS = 1e10;
const LONGEST_BURST_SECONDS = 0.02;
/** A direction that is left out names no quantum and no prio either: it has sch_htb's smallest and the first. */
const LEFT_OUT_QUANTUM_BYTES = 1000;

/**
 * A valid random tree, parents first, with ids `c0`, `c1`, …: rates 64 kbit/s to 10 Gbit/s, sometimes several
 * roots.
 */
export function randomTree(rng: Rng, options: RandomTreeOptions = {}): OracleClass[] {
  const {
    maxLeaves = 40,
    maxLevels = rng.chance(0.1) ? 16 : 4,
    oversubscribed = false,
    leftOut = true,
  } = options;
  const levels = 1 + rng.int(maxLevels);
  const leafCount = 1 + rng.int(maxLeaves);
  const rootCount = levels === 1 ? leafCount : rng.chance(0.2) ? Math.min(leafCount, 2 + rng.int(2)) : 1;
  const samePrio = rng.chance(0.3);
  const tree: OracleClass[] = [];

  const randomBurst = (rateBps: number): number =>
    rng.logInt(1600, Math.max(1600, Math.floor((rateBps * LONGEST_BURST_SECONDS) / 8)));

  /**
   * `shareBps` is what the class may be assured; one that is left out, or assures nothing, passes it on all
   * the same.
   */
  const grow = (
    parent: string | null,
    leaves: number,
    levelsLeft: number,
    shareBps: number,
    ceilBps: number,
  ): void => {
    const isLeaf = levelsLeft === 1 || (leaves === 1 && rng.chance(0.3));
    const unlimited = leftOut && rng.chance(0.06);
    const ownCeilBps = rng.chance(0.3) ? ceilBps : rng.chance(0.3) ? shareBps : rng.logInt(shareBps, ceilBps);
    const id = `c${tree.length}`;
    tree.push({
      id,
      parent,
      rateBps: unlimited || (isLeaf && rng.chance(0.05)) ? 0 : shareBps,
      ceilBps: unlimited ? 0 : ownCeilBps,
      burstBytes: unlimited ? 0 : randomBurst(shareBps),
      cburstBytes: unlimited ? 0 : randomBurst(ownCeilBps),
      quantumBytes: unlimited ? LEFT_OUT_QUANTUM_BYTES : rng.logInt(1600, 60_000),
      prio: samePrio || unlimited ? 0 : rng.int(PRIO_COUNT),
      unlimited,
      limitPackets: rng.logInt(1, 1000),
      limitBytes: rng.chance(0.3) ? rng.logInt(1600, 1_000_000) : 0,
    });
    if (isLeaf) return;
    const groups = splitLeaves(rng, leaves, levelsLeft === 2 ? leaves : 1 + rng.int(Math.min(leaves, 5)));
    const shares = splitRate(rng, shareBps, groups, oversubscribed);
    groups.forEach((count, at) => {
      grow(id, count, levelsLeft - 1, shares[at]!, unlimited ? ceilBps : ownCeilBps);
    });
  };

  for (const leaves of splitLeaves(rng, leafCount, rootCount)) {
    const rateBps = rng.logInt(MIN_RATE_BPS * leaves, MAX_RATE_BPS);
    grow(null, leaves, levels, rateBps, rng.chance(0.8) ? rateBps : MAX_RATE_BPS);
  }
  return tree;
}

/** `leaves` dealt at random to `groupCount` groups of at least one. */
function splitLeaves(rng: Rng, leaves: number, groupCount: number): number[] {
  const groups = Array.from({ length: groupCount }, () => 1);
  for (let left = leaves - groupCount; left > 0; left--) groups[rng.int(groupCount)]! += 1;
  return groups;
}

/**
 * Assured rates for the groups, at least the minimum for each leaf in them, together at most `rateBps` unless
 * oversubscribed.
 */
function splitRate(rng: Rng, rateBps: number, groups: readonly number[], oversubscribed: boolean): number[] {
  const leaves = groups.reduce((sum, count) => sum + count, 0);
  const spareBps = (rateBps - leaves * MIN_RATE_BPS) * (rng.chance(0.5) ? 1 : rng.next());
  const weights = groups.map(() => rng.next() + 0.01);
  const weightSum = weights.reduce((sum, weight) => sum + weight, 0);
  return groups.map((count, at) => {
    const fairBps = count * MIN_RATE_BPS + (spareBps * weights[at]!) / weightSum;
    return Math.floor(oversubscribed ? Math.min(rateBps, fairBps * (1 + 3 * rng.next())) : fairBps);
  });
}
