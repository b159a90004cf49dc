/** From meters to the result: figures of the leaves, and of every class above them their sums. */
import type { ClassTree } from '../../classes/model.js';
import { leafFigures } from '../htb/leaf-figures.js';
import { addStats, emptyStats } from '../htb/memory.js';
import { HISTOGRAM_BINS, quantileMs } from './histogram.js';
import type { Meters } from './meters.js';
import type { ClassResult, DirectionResult, FlowResult, Percentiles, SimResult } from './result.js';
import type { Scenario } from './scenario.js';
import type { SimQueue, TupleSums } from './sim-queue.js';

const BITS_PER_BYTE = 8;
const DIRECTION_KEYS = ['down', 'up'] as const;

/** Meters by class; only those to which something may have been offered. */
type MetersBelow = Map<string, [number[], number[]]>;

export function compileResult(
  scenario: Scenario,
  classNumbers: ReadonlyMap<string, number>,
  meters: Meters,
  queues: readonly SimQueue[],
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
  const { seconds, seed, windowMs } = scenario;
  return {
    queues: queues.length,
    seconds,
    seed,
    windowMs,
    classes,
    flows: flowResults(scenario, meters, queues),
  };
}

function flowResults(scenario: Scenario, meters: Meters, queues: readonly SimQueue[]): FlowResult[] {
  const tuples = scenario.flows.map((): TupleSums => ({ count: 0, bytes: 0, squares: 0 }));
  for (const queue of queues) queue.countTuples(tuples);
  return scenario.flows.map(({ classId, direction }, flow) => ({
    class: classId,
    direction: DIRECTION_KEYS[direction],
    goodputBps: bps(meters.sentBytes[flow]!, scenario.seconds),
    offeredPackets: meters.offeredPackets[flow]!,
    sentPackets: meters.sentPackets[flow]!,
    markedPackets: meters.markedPackets[flow]!,
    delayMs: percentiles(meters, [flow]),
    fairness: jainIndex(tuples[flow]!),
  }));
}

/** (Σx)² / n Σx², to five digits. */
function jainIndex({ count, bytes, squares }: TupleSums): number | null {
  if (count < 2 || bytes === 0) return null;
  return Number(((bytes * bytes) / (count * squares)).toPrecision(5));
}

function bps(bytes: number, overSeconds: number): number {
  return Math.round((bytes * BITS_PER_BYTE) / overSeconds);
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
  const flows = members.flatMap((meter) => meters.flowsOf[meter]!);
  const ofFlows = (column: Float64Array): number => totalOf(column, flows);
  const stats = emptyStats();
  for (const meter of members) addStats(stats, meters.stats[meter]!);
  const { dropsBy, sojournMs, flows: seen } = leafFigures(stats, stats.packets);
  const nic = ofFlows(meters.nicDrops);
  return {
    offeredBps: bps(ofFlows(meters.offeredBytes), seconds),
    goodputBps: bps(ofFlows(meters.sentBytes), seconds),
    offeredPackets: ofFlows(meters.offeredPackets),
    sentPackets: ofFlows(meters.sentPackets),
    drops: stats.drops + nic,
    dropsBy: { ...dropsBy, nic },
    marks: stats.marks,
    markedPackets: ofFlows(meters.markedPackets),
    backlogPackets: totalOf(meters.backlogPackets, members),
    delayMs: percentiles(meters, flows),
    sojournMs,
    flows: seen,
    windowsBps: meters.windows.map((bytes) => bps(totalOf(bytes, members), windowMs / 1e3)),
  };
}

function totalOf(column: Float64Array, members: readonly number[]): number {
  return members.reduce((sum, member) => sum + column[member]!, 0);
}

function percentiles(meters: Meters, flows: readonly number[]): Percentiles {
  const sentPackets = totalOf(meters.sentPackets, flows);
  const [bins, base] = delaysOf(meters, flows);
  return {
    p50: quantileMs(bins, base, sentPackets, 0.5),
    p99: quantileMs(bins, base, sentPackets, 0.99),
  };
}

/** The flows' delays together, and where in the bins they begin. */
function delaysOf(meters: Meters, flows: readonly number[]): readonly [Uint32Array, number] {
  if (flows.length === 1) return [meters.delayBins, flows[0]! * HISTOGRAM_BINS];
  const sum = new Uint32Array(HISTOGRAM_BINS);
  for (const flow of flows) {
    const base = flow * HISTOGRAM_BINS;
    for (let bin = 0; bin < HISTOGRAM_BINS; bin++) sum[bin]! += meters.delayBins[base + bin]!;
  }
  return [sum, 0];
}
