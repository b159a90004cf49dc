/**
 * Which workers hold a class: one bit for each in `SharedTree.holds`. The publisher sets all bits of a new class; a
 * worker clears its own when its tree has let go of the class, and the publisher does it for a worker that has died. A
 * bit, not a count, because clearing it twice does no harm: nobody can say whether a dead worker had done it.
 */
import { holdWordsPerClass, type SharedTree } from './tree-layout.js';

/** Notes that every worker holds a new class, one that has yet to begin too: it will hear of the class. */
export function holdByAll({ holds, queues }: SharedTree, classIndex: number): void {
  const words = holdWordsPerClass(queues);
  for (let word = 0; word < words; word++) {
    const bits = queues - word * 32;
    Atomics.store(holds, classIndex * words + word, bits >= 32 ? -1 : (1 << bits) - 1);
  }
}

/** Notes that a worker's tree is done with a class. */
export function letGo({ holds, queues }: SharedTree, queue: number, classIndex: number): void {
  const word = classIndex * holdWordsPerClass(queues) + (queue >>> 5);
  // Pairs with the load in isHeld: all that the worker did with the class came before.
  Atomics.and(holds, word, ~(1 << (queue & 31)));
}

export function isHeld({ holds, queues }: SharedTree, classIndex: number): boolean {
  const words = holdWordsPerClass(queues);
  for (let word = classIndex * words; word < (classIndex + 1) * words; word++)
    if (Atomics.load(holds, word) !== 0) return true;
  return false;
}
