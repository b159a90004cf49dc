/** What a worker thread of a benchmark says at its end. */
import type { Worker as Thread } from 'node:worker_threads';
import { WeirError } from '../../src/errors.js';

/** The thread's one message. Rejects with E_BENCH_THREAD when it fails, or ends or waits without one. */
export function threadResult<T>(thread: Thread, patienceMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (message: string): void => reject(new WeirError('E_BENCH_THREAD', message));
    const timer = setTimeout(() => fail('a thread does not end'), patienceMs);
    thread.once('message', (result: T) => {
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
