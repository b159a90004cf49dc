/**
 * A scenario with a thread for each queue, in real time: the workers meet in the shared words when they happen to, and not
 * one step after the other as in the simulator. Cards and arrivals are the simulator's, so no network is needed.
 */
import { Worker as Thread } from 'node:worker_threads';
import { queueSpecOf } from '../classes/queue.js';
import { Publisher } from '../src/control/publisher.js';
import { WeirError } from '../src/errors.js';
import { createSharedShaper, type PublishedEpoch, type SharedShaper } from '../src/shm/shared-shaper.js';
import { Subscribers, withSimulatedMatches } from '../src/sim/frames.js';
import type { Scenario } from '../src/sim/scenario.js';
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

export const ORIGIN_NS = 1e9;
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
  const classNumbers = new Map<string, number>();
  for (const { classId } of scenario.flows)
    if (!classNumbers.has(classId)) classNumbers.set(classId, classNumbers.size);
  const shared = createSharedShaper(scenario.tree.classes.length, scenario.queues);
  const epochs: PublishedEpoch[] = [];
  const publisher = new Publisher(shared, { seed: scenario.seed, deliver: (epoch) => epochs.push(epoch) });
  const subscribers = new Subscribers(scenario.flows, classNumbers);
  publisher.publish(withSimulatedMatches(scenario.tree, classNumbers, subscribers), ORIGIN_NS);
  const limitPackets = new Map(
    scenario.tree.classes.map(({ id, queue }) => [id, queueSpecOf(scenario.tree.queue, queue).limitPackets]),
  );
  const gate = new Int32Array(new SharedArrayBuffer(8));
  const common = { scenario, shared, epoch: epochs[0]!, classNumbers, limitPackets, gate };
  const threads = Array.from(
    { length: scenario.queues },
    (_, queue) => new Thread(MAIN, { workerData: { ...common, queue } satisfies ShareThreadData }),
  );
  try {
    const results = await Promise.all(threads.map((thread) => resultOf(thread, scenario.seconds)));
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

function resultOf(thread: Thread, seconds: number): Promise<ShareThreadResult> {
  return new Promise((resolve, reject) => {
    const fail = (message: string): void => reject(new WeirError('E_BENCH_THREAD', message));
    const timer = setTimeout(() => fail('a thread does not end'), seconds * 1e3 + PATIENCE_MS);
    thread.once('message', (result: ShareThreadResult) => {
      clearTimeout(timer);
      resolve(result);
    });
    thread.once('error', (error) => fail(error.message));
    thread.once('exit', (code) => {
      clearTimeout(timer);
      fail(`a thread ended with ${code}`);
    });
  });
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
