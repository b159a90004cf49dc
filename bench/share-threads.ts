/**
 * A scenario with a thread for each queue, in real time: the workers meet in the shared words when they happen to, and not
 * one step after the other as in the simulator. Cards and arrivals are the simulator's, so no network is needed.
 */
import { Worker as Thread } from 'node:worker_threads';
import { Publisher } from '../src/control/publisher.js';
import { createSharedShaper, type PublishedEpoch, type SharedShaper } from '../src/shm/shared-shaper.js';
import { Subscribers, withSimulatedMatches } from '../src/sim/frames.js';
import { leafLimits, numberFlows } from '../src/sim/numbering.js';
import { ORIGIN_NS } from '../src/sim/pace.js';
import type { Scenario } from '../src/sim/scenario.js';
import { threadResult } from './rig/threads.js';
import type { Windows } from './share-figures.js';

/** What a thread is started with. */
export interface ShareThreadData {
  readonly queue: number;
  readonly scenario: Scenario;
  readonly shared: SharedShaper;
  readonly epoch: PublishedEpoch;
  readonly classNumbers: ReadonlyMap<string, number>;
  readonly limitPackets: ReadonlyMap<string, number>;
  /** Threads that are ready, and whether the traffic begins now. */
  readonly gate: Int32Array;
}

/** Int32 indexes. */
export const enum Gate {
  READY = 0,
  OPEN = 1,
}

/** What it says at its end. */
export interface ShareThreadResult {
  /** Bytes by class number and direction, window by window. */
  readonly windows: readonly Float64Array[];
  /** Of the time: how much the thread did not run. */
  readonly stalledShare: number;
}

/** For threads to load their code, to be ready for each other, and to end. */
export const PATIENCE_MS = 20_000;
const MAIN = new URL('./share-thread-main.js', import.meta.url);

export interface ThreadsResult {
  readonly windows: Windows;
  /** Of the thread that ran least. */
  readonly stalledShare: number;
}

/** Runs a scenario of down flows for as long as it says. Throws E_BENCH_THREAD when a thread fails or is not in time. */
export async function runThreads(scenario: Scenario): Promise<ThreadsResult> {
  const { classNumbers } = numberFlows(scenario.flows);
  const shared = createSharedShaper(scenario.tree.classes.length, scenario.queues);
  const epochs: PublishedEpoch[] = [];
  const publisher = new Publisher(shared, { seed: scenario.seed, deliver: (epoch) => epochs.push(epoch) });
  const subscribers = new Subscribers(scenario.flows, classNumbers);
  publisher.publish(withSimulatedMatches(scenario.tree, classNumbers, subscribers), ORIGIN_NS);
  const limitPackets = leafLimits(scenario);
  const gate = new Int32Array(new SharedArrayBuffer(8));
  const common = { scenario, shared, epoch: epochs[0]!, classNumbers, limitPackets, gate };
  const threads = Array.from(
    { length: scenario.queues },
    (_, queue) => new Thread(MAIN, { workerData: { ...common, queue } satisfies ShareThreadData }),
  );
  try {
    const patienceMs = scenario.seconds * 1e3 + PATIENCE_MS;
    const results = await Promise.all(
      threads.map((thread) => threadResult<ShareThreadResult>(thread, patienceMs)),
    );
    const windows = windowsOf(
      scenario,
      classNumbers,
      results.map((result) => result.windows),
    );
    return { windows, stalledShare: Math.max(...results.map((result) => result.stalledShare)) };
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

/** The threads' windows together, and for inner classes those of all below them. */
function windowsOf(
  scenario: Scenario,
  classNumbers: ReadonlyMap<string, number>,
  results: readonly (readonly Float64Array[])[],
): Windows {
  const parents = new Map(scenario.tree.classes.map(({ id, parent }) => [id, parent]));
  const count = Math.min(...results.map((windows) => windows.length));
  const sums = new Map<string, number[]>();
  for (const [leaf, number] of classNumbers) {
    for (let id: string | null | undefined = leaf; id != null; id = parents.get(id)) {
      const sum = sums.get(id) ?? new Array<number>(count).fill(0);
      sums.set(id, sum);
      for (const windows of results)
        for (let i = 0; i < count; i++) sum[i]! += (windows[i]![number * 2]! * 8e3) / scenario.windowMs;
    }
  }
  return sums;
}
