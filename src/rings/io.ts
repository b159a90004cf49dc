import type { PortRings } from './ring.js';

/** What the kernel counted for one port of one queue: offsets in `WorkerIo.statistics`, plus `Statistic.COUNT` for outside. */
export const enum Statistic {
  /** Received and lost, for want of room or because longer than a frame of the UMEM. */
  RX_DROPPED = 0,
  /** Bad entries of the fill ring. */
  RX_INVALID = 1,
  RX_RING_FULL = 2,
  FILL_EMPTY = 3,
  /** Bad entries of the TX ring. */
  TX_INVALID = 4,
  /** Sends that the device refused. */
  TX_ERRORS = 5,
  /** Longer than a frame, where the backend can tell. */
  RX_TOO_LONG = 6,
  COUNT = 8,
}

/** The names of the statistics, in the order of `Statistic`; the last place is not used. */
export const STATISTIC_NAMES = [
  'rxDropped',
  'rxInvalid',
  'rxRingFull',
  'fillEmpty',
  'txInvalid',
  'txErrors',
  'rxTooLong',
] as const;

/** Room for received frames begins this far into a frame of the UMEM (XDP_PACKET_HEADROOM of linux/bpf.h). */
export const FRAME_HEADROOM_BYTES = 256;

/**
 * The rings of one queue of both ports, and the one native call of a worker's step. Made by the thread that uses it;
 * `handle` may travel to another thread, which closes the io when its owner died.
 */
export interface WorkerIo {
  /** `frames * frameBytes` bytes. */
  readonly umem: Uint8Array;
  readonly frames: number;
  readonly frameBytes: number;
  /** Inside, outside. */
  readonly ports: readonly [PortRings, PortRings];
  /** Totals since the start, by port and `Statistic`, refreshed about once a second by `turn`. */
  readonly statistics: Float64Array;
  /** Writing 8 bytes that are not all zero ends a sleep of `turn`, from any thread. */
  readonly wakeFd: number;
  /** The C pointer. */
  readonly handle: bigint;
  /** `[0]` is CLOCK_MONOTONIC in ns as of the last turn. */
  readonly nowWord: Float64Array;
  /** Whether the devices read and write the UMEM themselves. */
  readonly zeroCopy: boolean;
  /** Lets frames arrive; to be called once the fill rings are stocked. Throws `WeirError`. */
  start(): void;
  /**
   * Asks the kernel to send and receive where a ring wants it, and sleeps up to `waitNs` (0: not at all) until a
   * frame arrives or `wakeFd` is written. Allocates nothing.
   */
  turn(waitNs: number): void;
  /** Closes the sockets; none of the views may be touched afterwards. */
  close(): void;
}
