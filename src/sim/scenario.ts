/**
 * The simulator's scenario: what it is once it has been read. Times are seconds of virtual time from the start of
 * the run. `scenario-reader.ts` makes one from a document.
 */
import type { ClassTree } from '../../classes/model.js';
import type { Direction } from '../shm/tree-layout.js';

export type ArrivalKind = 'cbr' | 'poisson';

/** Traffic of one class in one direction. */
export interface FlowSpec {
  readonly classId: string;
  readonly direction: Direction;
  /** Layer-2 bits a second over all queues. */
  readonly offeredBps: number;
  /** Layer-2 bytes of each packet, without FCS. */
  readonly sizeBytes: number;
  readonly startSeconds: number;
  readonly stopSeconds: number;
  /** What part of the packets arrives on each queue; as many as there are queues, and they add up to 1. */
  readonly shares: readonly number[];
  readonly arrival: ArrivalKind;
  /** 5-tuples that packets take in turn, on each queue others. */
  readonly tuples: number;
  /** The subscriber's addresses that the 5-tuples are of, in turn: the first one's number, and how many. */
  readonly firstDevice: number;
  readonly devices: number;
  /** Whether packets are ECN capable, ECT(0). */
  readonly ecn: boolean;
  readonly dscp: number;
}

/** The worker of a queue does not step in [at, at + seconds). */
export interface StallSpec {
  readonly queue: number;
  readonly atSeconds: number;
  readonly seconds: number;
}

/** Another class tree that is published while the traffic goes on. */
export interface ChangeSpec {
  readonly atSeconds: number;
  readonly tree: ClassTree;
}

export interface Scenario {
  readonly queues: number;
  readonly seconds: number;
  /** Decides phases and distances of arrivals. */
  readonly seed: number;
  readonly windowMs: number;
  /** Frames of each worker; null for enough to fill every leaf, within bounds. */
  readonly frames: number | null;
  readonly tree: ClassTree;
  /** The class of each is a leaf in `tree` and in the tree of every change. */
  readonly flows: readonly FlowSpec[];
  readonly stalls: readonly StallSpec[];
  /** In the order of their times. */
  readonly changes: readonly ChangeSpec[];
}

export interface ScenarioProblem {
  readonly severity: 'error' | 'warning';
  /** Dotted, as in `flows[2].class`; empty where the document as a whole is wrong. */
  readonly key: string;
  /** One line. */
  readonly message: string;
}

/** `scenario` is null exactly when `problems` holds an error. */
export interface ScenarioResult {
  readonly scenario: Scenario | null;
  readonly problems: readonly ScenarioProblem[];
}

export { readScenario } from './scenario-reader.js';
