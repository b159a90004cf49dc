/** What the counters of a leaf say to people: drops by cause, how long packets were queued, and its flows. */
import { Sojourn, sojournPercentileUs } from './leaves/sojourn.js';
import type { ClassStats } from './memory.js';

export interface LeafFigures {
  /** Adds up to all drops: at the leaf's limits, by CoDel, and for want of frames. */
  readonly dropsBy: { readonly limit: number; readonly codel: number; readonly evicted: number };
  /** Within which half of the packets left, and 99 %; 0 for what was never queued, null when nothing was sent. */
  readonly sojournMs: { readonly p50: number | null; readonly p99: number | null };
  /** How many are new or seldom have packets, and how many have a standing queue. */
  readonly flows: { readonly sparse: number; readonly bulk: number };
}

/**
 * `sentPackets`: those that were sent as a leaf's, 0 for a class that is none. They are counted apart from the
 * histogram, so the difference may be a packet off.
 */
export function leafFigures(stats: ClassStats, sentPackets: number): LeafFigures {
  const { drops, codelDrops: codel, evictedDrops: evicted, sojourns } = stats;
  let queued = 0;
  for (let i = 0; i < Sojourn.BUCKETS; i++) queued += sojourns[i]!;
  const passed = Math.max(0, sentPackets - queued);
  const ms = (share: number): number | null =>
    sentPackets === 0 ? null : roundedMs(sojournPercentileUs(sojourns, passed, share));
  return {
    dropsBy: { limit: Math.max(0, drops - codel - evicted), codel, evicted },
    sojournMs: { p50: ms(0.5), p99: ms(0.99) },
    flows: { sparse: stats.sparseFlows, bulk: stats.bulkFlows },
  };
}

/** Three digits, more than the histogram's buckets bear out. */
function roundedMs(us: number | null): number | null {
  return us === null || us === 0 ? us : Number((us / 1000).toPrecision(3));
}
