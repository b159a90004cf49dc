/**
 * What the control thread hands to a worker thread, what it hears back, and the words both see while it runs. Types
 * and layout only, so that the control thread need not load the data plane.
 */
import type { SharedShaper } from '../shm/shared-shaper.js';

/**
 * A worker thread's words: doubles that it alone writes and the control thread reads. They say how the thread is;
 * what became of its packets is in the worker's counters.
 */
export const enum ThreadWord {
  /** Turns of the loop: the heartbeat that the supervisor looks at. */
  TURNS = 0,
  /** Time of the last turn, in ns since the daemon's origin. */
  NOW_NS = 1,
  /** Time spent in turns that moved packets. */
  BUSY_NS = 2,
  /** Turns that were allowed to sleep. */
  SLEEPS = 3,
  /** Free frames, as of the last copy. */
  FREE_FRAMES = 4,
  /** The io's statistics, both ports, copied about once a second. */
  SOCKETS = 16,
  SOCKETS_COUNT = 16,
  /** The parser's counters, copied likewise. */
  PARSE = 32,
  PARSE_COUNT = 16,
  COUNT = 48,
}

/** Which function of which module opens the io, and with what. Names instead of imports, because threads share no code. */
export interface IoOpener {
  /** Address of the module, for import(). */
  readonly module: string;
  readonly name: string;
  /** Its one argument. */
  readonly options: object;
}

export interface ThreadData {
  readonly queue: number;
  /** CLOCK_MONOTONIC in ns that counts as 0 for all threads of the daemon. */
  readonly originNs: number;
  /** -1: not pinned. */
  readonly cpu: number;
  readonly shared: SharedShaper;
  readonly mailbox: Int32Array;
  readonly words: Float64Array;
  readonly opener: IoOpener;
  /** Where epochs come from: a MessagePort, transferred. */
  readonly epochs: unknown;
  readonly capacityFlows: number;
  readonly flowIdleMs: number;
  readonly seed: number;
  readonly unknownPolicy: 'pass' | 'drop';
  readonly bypassHash: SharedArrayBuffer | null;
}

/** Sent once the io is open and before the first frame can arrive. */
export interface ThreadReady {
  readonly kind: 'ready';
  /** The io's C pointer. */
  readonly handle: bigint;
  readonly wakeFd: number;
  readonly zeroCopy: boolean;
  readonly counters: Float64Array;
  /** Words of the trees' memory by direction, in which the control thread reads the classes' counters. */
  readonly trees: readonly [Int32Array, Int32Array];
  /** What went wrong on the way and does not hinder: the CPU that could not be had. */
  readonly warnings: readonly string[];
}

/** Frames arrive from now on. */
export interface ThreadStarted {
  readonly kind: 'started';
}

/** The io could not be opened or started; the thread ends. */
export interface ThreadFailed {
  readonly kind: 'failed';
  readonly code: string;
  readonly message: string;
}

export type ThreadMessage = ThreadReady | ThreadStarted | ThreadFailed;
