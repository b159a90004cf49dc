/** What the child of the crash tests counts: a function of seed, life and number, so that the parent knows it too. */
import { makeRng } from '../oracle/random-tree.js';
import type { Four } from './parts.js';

/** What parent and child agree on, as one argument. */
export interface ChildOptions {
  readonly url: string;
  readonly spool: string;
  readonly seed: number;
  readonly life: number;
  /** Checkpoints until the child stops by itself; 0 for one that only delivers. */
  readonly checkpoints: number;
  /** How long the child's end may deliver. */
  readonly deliverMs: number;
}

/** A subscriber of each checkpoint's own tells whether it has arrived. */
export const MARK = 'mark';

export function markOf(life: number, number: number): string {
  return `${MARK}-${life}-${number}`;
}

/** What is counted before a checkpoint, by subscriber. */
export function countedBefore(seed: number, life: number, number: number): Record<string, Four> {
  const rng = makeRng(seed + life * 7919 + number * 104_729);
  const entries: Record<string, Four> = { [markOf(life, number)]: [1, 1, 0, 0] };
  for (let i = 0; i < 20; i++) {
    const bytes = rng.logInt(60, 2 ** 34);
    entries[`u${rng.int(60)}`] = [bytes, 1 + rng.int(1000), rng.chance(0.5) ? 64 : 0, rng.int(2)];
  }
  return entries;
}
