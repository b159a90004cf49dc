/**
 * How that is taken back which a dead worker had announced.
 *
 * Presence, lacks, weights and claims are sums over workers. A worker that dies between noting what it adds and adding it
 * leaves a sum of which nobody can say whether its part is in. So nothing is subtracted; the sums begin anew.
 * Each exists twice, on an even and on an odd side:
 *
 *   control                                     worker
 *   wait until all that live are in g
 *   clear the side of g + 1
 *   store CURRENT, g + 1                   ->   load CURRENT when a step begins: another than mine?
 *                                               add all it has announced to the side of g + 1
 *   load ADOPTED of every worker           <-   store ADOPTED, g + 1
 *
 * From the old side nothing is taken away: nobody looks at it again before it is cleared. Until all have come over, those
 * who have see too little of the others; that shifts shares for a step, and rates not at all, for buckets have no
 * sides. A worker that stalls delays only the generation after the next. One that has just started touches no sum
 * before its first step has begun, so it does not matter which generation the worker before it was in.
 */
import { Fair, Generation, Limit, type SharedTree, Word } from '../../shm/tree-layout.js';

const SIDE_MASK = 1;

/** The side that a generation's sums are on. */
export function sideOf(generation: number): number {
  return generation & SIDE_MASK;
}

/** Index into `generationWords` of what a worker's tree has come into. */
export function generationWord(queue: number): number {
  return Generation.ADOPTED + queue * Generation.ADOPTED_STRIDE;
}

/**
 * Begins the next generation, for classes and slots of inner classes below the numbers given. False, and nothing has
 * changed, while a worker that lives is not in the present one. With one queue there is nobody to tell, and none may
 * live: its sums are cleared.
 */
export function beginGeneration(
  tree: SharedTree,
  isLive: (queue: number) => boolean,
  classes: number,
  slots: number,
): boolean {
  const words = tree.generationWords;
  const present = Atomics.load(words, Generation.CURRENT);
  if (tree.queues === 1) {
    clearSide(tree, sideOf(present), classes, slots);
    return true;
  }
  for (let queue = 0; queue < tree.queues; queue++) {
    // Pairs with the store of a worker that joins: the worker has touched the other side for the last time before it.
    if (isLive(queue) && Atomics.load(words, generationWord(queue)) !== present) return false;
  }
  const next = (present + 1) | 0;
  clearSide(tree, sideOf(next), classes, slots);
  // Publishes the cleared side to the load at the start of every step.
  Atomics.store(words, Generation.CURRENT, next);
  return true;
}

function clearSide(tree: SharedTree, side: number, classes: number, slots: number): void {
  for (let index = 0; index < classes; index++) {
    const base = (index << Word.SHIFT) + side;
    Atomics.store(tree.classWords, base + Word.PRESENCE, 0);
    Atomics.store(tree.classWords, base + Word.CLAIMS, 0);
    Atomics.store(tree.classWords, base + Word.LACK, 0);
  }
  for (let slot = 0; slot < slots; slot++) {
    const base = (slot << Fair.SHIFT) + Fair.WEIGHT + side * Fair.WEIGHT_SIDE;
    for (let prio = 0; prio < Limit.PRIOS; prio++) Atomics.store(tree.fairWords, base + prio, 0);
  }
}
