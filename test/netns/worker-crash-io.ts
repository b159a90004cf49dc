/** Real rings that fail when they are told to: the opener that `worker-crash-daemon.ts` gives its workers. */
import type { WorkerIo } from '../../src/rings/io.js';
import { openXdpIo, type XdpIoOptions } from '../../src/rings/xdp.js';

/** By number in the shared word; 0 is none. */
export const FAULTS = ['', 'throw', 'hang', 'exit'] as const;

export interface FaultyOptions extends XdpIoOptions {
  /** One word, set from outside and cleared by the worker that it strikes. */
  readonly fault: Int32Array;
}

export function openFaultyIo({ fault, ...options }: FaultyOptions): WorkerIo {
  const io = openXdpIo(options);
  const turn = io.turn.bind(io);
  io.turn = (waitNs) => {
    const wanted = FAULTS[Atomics.exchange(fault, 0, 0)];
    if (wanted === 'throw') throw new Error('a fault in the worker');
    if (wanted === 'exit') process.exit();
    // Only the end of the thread ends this.
    if (wanted === 'hang') for (;;) fault[0]! |= 0;
    turn(waitNs);
  };
  return io;
}
