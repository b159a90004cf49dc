/**
 * All that the control thread and the workers of one shaper share, and how a new version of the classes gets
 * from one to the others.
 *
 *   control                                    worker q
 *   write shapes, class words, hash entries
 *   hand a PublishedEpoch to every worker  ->  (queued)
 *   store EPOCH                            ->  load EPOCH at the start of a step: differs from mine
 *                                              take and apply what was handed over, up to EPOCH
 *   load ADOPTED of every worker           <-  store ADOPTED
 *   reuse what no worker can still see
 *
 * A worker applies a whole epoch between two steps, so it sees all of a change or nothing. The control thread may
 * wait for workers; workers never wait for it.
 */
import { createSharedTree, type SharedTree } from './tree-layout.js';

export const enum EpochWord {
  /** The epoch published last; epochs count from 1 and wrap. */
  PUBLISHED = 0,
  /** Raised when a port's link state changes, so that flow entries made before are not used. */
  PORT_STATE = 1,
  /** The epoch each worker has adopted: one word in 128 bytes, because each has another writer. */
  ADOPTED = 32,
  ADOPTED_STRIDE = 32,
}

/** One change record: what to do with one class. */
export const enum Change {
  STRIDE = 8,
  OP = 0,
  CLASS_INDEX = 1,
  /** -1 for a root. */
  PARENT_INDEX = 2,
  FLAGS = 3,
  LEVEL = 4,
  SHAPE_DOWN = 5,
  SHAPE_UP = 6,
  FAIR_SLOT = 7,

  OP_SET = 1,
  OP_REMOVE = 2,

  FLAG_INNER = 1,
  FLAG_CLAIM_DOWN = 2,
  FLAG_CLAIM_UP = 4,
}

/** How the link cuts packets up. */
export const enum LinkLayer {
  ETHERNET = 0,
  ATM = 1,
  PTM = 2,
}

export interface PublishedEpoch {
  readonly epoch: number;
  /** Change.STRIDE words a change; parents before children. */
  readonly changes: Int32Array;
  /** The class hash from this epoch on, if it moved to new memory. */
  readonly classHash: SharedArrayBuffer | null;
  /** Class of traffic that matches nothing; -1 when there is none. */
  readonly defaultClassIndex: number;
  readonly overheadBytes: number;
  readonly mpuBytes: number;
  readonly linkLayer: LinkLayer;
  /** Whether addresses belong to other classes than before, so that flow entries are void. */
  readonly remapsFlows: boolean;
}

/** Where a worker finds the epochs handed to it, oldest first. */
export interface EpochSource {
  take(): PublishedEpoch | null;
}

export interface SharedShaper {
  readonly queues: number;
  readonly capacityClasses: number;
  /** By direction. */
  readonly trees: readonly [SharedTree, SharedTree];
  readonly epochWords: Int32Array;
}

export function createSharedShaper(capacityClasses: number, queues: number): SharedShaper {
  const epochWords = EpochWord.ADOPTED + queues * EpochWord.ADOPTED_STRIDE;
  return {
    queues,
    capacityClasses,
    trees: [createSharedTree(capacityClasses, queues), createSharedTree(capacityClasses, queues)],
    epochWords: new Int32Array(new SharedArrayBuffer(epochWords * 4)),
  };
}

/** Hands epochs to a worker that runs in the same thread: simulator, benchmark, tests. */
export class EpochQueue implements EpochSource {
  readonly #epochs: PublishedEpoch[] = [];

  push(epoch: PublishedEpoch): void {
    this.#epochs.push(epoch);
  }

  take(): PublishedEpoch | null {
    return this.#epochs.shift() ?? null;
  }
}

/** Index into `epochWords` of what a worker has adopted. */
export function adoptedWord(queue: number): number {
  return EpochWord.ADOPTED + queue * EpochWord.ADOPTED_STRIDE;
}
