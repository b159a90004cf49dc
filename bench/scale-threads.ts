/** Real threads that share one tree, each with a worker of its own and the full load: what sharing costs in earnest. */
import { Worker as Thread } from 'node:worker_threads';
import { type Published, publishTree, type RigSpec } from './core-rig.js';
import type { Figures } from './rig/rounds.js';
import { threadResult } from './rig/threads.js';
import type { Exchanges } from './scale-exchanges.js';

/** What a thread is started with. */
export interface ScaleThreadData {
  readonly spec: RigSpec;
  readonly published: Published;
  readonly queue: number;
  /** Of each of its two runs: the timed one and the counted one. */
  readonly seconds: number;
  /** Turns that each thread has begun, TURN_STRIDE words apart; DONE when it has ended. */
  readonly turns: Int32Array;
}

/** What it says at its end. */
export interface ScaleThreadResult {
  readonly nsPerPacket: number;
  readonly packetsCounted: number;
  readonly exchanges: Exchanges;
}

export const TURN_STRIDE = 32;
export const DONE = 0x7fffffff;
const MAIN = new URL('./scale-thread-main.js', import.meta.url);
const PATIENCE_MS = 60_000;

/** Throws E_BENCH_THREAD when a thread fails or does not end. */
export async function measureThreads(spec: RigSpec, seconds: number): Promise<Figures> {
  const published = publishTree(spec);
  const turns = new Int32Array(new SharedArrayBuffer(spec.queues * TURN_STRIDE * 4));
  const threads = Array.from({ length: spec.queues }, (_, queue) => {
    const workerData = { spec, published, queue, seconds, turns } satisfies ScaleThreadData;
    return new Thread(MAIN, { workerData });
  });
  try {
    const patienceMs = seconds * 4000 + PATIENCE_MS;
    const results = await Promise.all(
      threads.map((thread) => threadResult<ScaleThreadResult>(thread, patienceMs)),
    );
    const total = (of: (result: ScaleThreadResult) => number): number =>
      results.reduce((sum, result) => sum + of(result), 0);
    const packets = total(({ packetsCounted }) => packetsCounted);
    return {
      nsPerPacket: total(({ nsPerPacket }) => nsPerPacket) / results.length,
      exchangesPerPacket: total(({ exchanges }) => exchanges.attempts) / packets,
      failedExchangesPerPacket: total(({ exchanges }) => exchanges.failures) / packets,
    };
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}
