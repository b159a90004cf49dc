/** From meters to the result: figures of the leaves, and of every class above them their sums. */
import type { ClassTree } from '../../classes/model.js';
import { HISTOGRAM_BINS, quantileMs } from './histogram.js';
import type { Meters } from './meters.js';
import type { ClassResult, DirectionResult, SimResult } from './result.js';
import type { Scenario } from './scenario.js';

const BITS_PER_BYTE = 8;
const DIRECTION_KEYS = ['down', 'up'] as const;

/** Meters by class; only those to which something may have been offered. */
type MetersBelow = Map<string, [number[], number[]]>;

export function compileResult(
  scenario: Scenario,
  classNumbers: ReadonlyMap<string, number>,
  meters: Meters,
): SimResult {
  const below = metersBelow(scenario, classNumbers);
  const classes: Record<string, ClassResult> = {};
  for (const tree of treesOf(scenario)) {
    for (const { id } of tree.classes) {
      if (Object.hasOwn(classes, id)) continue;
      const result: ClassResult = {};
      for (let d = 0; d < 2; d++) {
        const members = below.get(id)?.[d as 0 | 1] ?? [];
        if (members.length > 0) result[DIRECTION_KEYS[d]!] = summarise(scenario, meters, members);
      }
      // An id may be any text, `__proto__` too.
      Object.defineProperty(classes, id, {
        value: result,
        enumerable: true,
        writable: true,
        configurable: true,
      });
    }
  }
  const { queues, seconds, seed, windowMs } = scenario;
  return { queues, seconds, seed, windowMs, classes };
}

function treesOf(scenario: Scenario): readonly ClassTree[] {
  return [scenario.tree, ...scenario.changes.map((change) => change.tree)];
}

/** The meters of each class and of all classes that were below it in any of the trees. */
function metersBelow(scenario: Scenario, classNumbers: ReadonlyMap<string, number>): MetersBelow {
  const offered = new Set(scenario.flows.map((flow) => `${flow.direction} ${flow.classId}`));
  const sets = new Map<string, [Set<number>, Set<number>]>();
  for (const tree of treesOf(scenario)) {
    const parents = new Map(tree.classes.map((spec) => [spec.id, spec.parent]));
    for (const [leaf, number] of classNumbers) {
      for (let id: string | null | undefined = leaf; id != null; id = parents.get(id)) {
        const of = sets.get(id) ?? [new Set<number>(), new Set<number>()];
        sets.set(id, of);
        for (const d of [0, 1] as const) if (offered.has(`${d} ${leaf}`)) of[d].add(number * 2 + d);
      }
    }
  }
  return new Map([...sets].map(([id, [down, up]]) => [id, [[...down], [...up]]]));
}

function summarise(scenario: Scenario, meters: Meters, members: readonly number[]): DirectionResult {
  const { seconds, windowMs } = scenario;
  const total = (column: Float64Array): number => members.reduce((sum, meter) => sum + column[meter]!, 0);
  const bps = (bytes: number, overSeconds: number): number =>
    Math.round((bytes * BITS_PER_BYTE) / overSeconds);
  const sentPackets = total(meters.sentPackets);
  const [bins, base] = delaysOf(meters, members);
  return {
    offeredBps: bps(total(meters.offeredBytes), seconds),
    goodputBps: bps(total(meters.sentBytes), seconds),
    offeredPackets: total(meters.offeredPackets),
    sentPackets,
    drops: total(meters.leafDrops) + total(meters.nicDrops),
    backlogPackets: total(meters.backlogPackets),
    delayMs: {
      p50: quantileMs(bins, base, sentPackets, 0.5),
      p99: quantileMs(bins, base, sentPackets, 0.99),
    },
    windowsBps: meters.windows.map((bytes) => bps(total(bytes), windowMs / 1e3)),
  };
}

/** The members' delays together, and where in the bins they begin. */
function delaysOf(meters: Meters, members: readonly number[]): readonly [Uint32Array, number] {
  if (members.length === 1) return [meters.delayBins, members[0]! * HISTOGRAM_BINS];
  const sum = new Uint32Array(HISTOGRAM_BINS);
  for (const meter of members) {
    const base = meter * HISTOGRAM_BINS;
    for (let bin = 0; bin < HISTOGRAM_BINS; bin++) sum[bin]! += meters.delayBins[base + bin]!;
  }
  return [sum, 0];
}
