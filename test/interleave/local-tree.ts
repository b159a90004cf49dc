/**
 * Small trees for the scenarios: shared memory that the explorer sees, and a worker's own records below it, set up
 * as ChangeApplier would.
 *
 *     class 0  site    inner, 1,000 units assured
 *     class 1  house   inner, 400 units assured
 *     class 2  u1      leaf below the house, 300 units assured, weight 6
 *     class 3  u2      leaf below the house, 300 units assured, weight 9
 */
import { Field, Flag } from '../../src/htb/layout.js';
import { TreeMemory } from '../../src/htb/memory.js';
import { createSharedTree, Fair, Shape, type SharedTree, Word } from '../../src/shm/tree-layout.js';
import type { World } from './world.js';

export const SITE = 0;
export const HOUSE = 1;
export const U1 = 2;
export const U2 = 3;
export const CLASSES = 4;

const PARENTS = [-1, SITE, HOUSE, HOUSE];
export const CLAIMS = [1000, 400, 300, 300];
export const WEIGHTS = [1, 1, 6, 9];

/** Shared memory of one direction, with a shape for each class. */
export function smallTree(queues: number): SharedTree {
  const tree = createSharedTree(CLASSES, queues);
  for (let i = 0; i < CLASSES; i++) {
    const shape = i << Shape.SHIFT;
    tree.shapes[shape + Shape.CLAIM] = CLAIMS[i]!;
    tree.shapes[shape + Shape.WEIGHT] = WEIGHTS[i]!;
  }
  return tree;
}

/** The same where the explorer sees it; only Atomics may touch class words and fair words. */
export function exploredTree(world: World, queues: number): SharedTree {
  const tree = smallTree(queues);
  return {
    ...tree,
    classWords: world.int32('classWords', tree.classWords.length),
    fairWords: world.int32('fairWords', tree.fairWords.length),
    generationWords: world.int32('generations', tree.generationWords.length),
  };
}

/** A worker's own view of the tree above. */
export function localTree(shared: SharedTree, queue: number): TreeMemory {
  const memory = new TreeMemory(shared, queue);
  const { words } = memory;
  for (let i = 0; i < CLASSES; i++) {
    const record = TreeMemory.recordOf(i);
    const isInner = i === SITE || i === HOUSE;
    words[record + Field.FLAGS] = Flag.IS_PRESENT | Flag.HAS_CLAIM | (isInner ? Flag.IS_INNER : 0);
    words[record + Field.PARENT] = PARENTS[i]! < 0 ? 0 : TreeMemory.recordOf(PARENTS[i]!);
    words[record + Field.SHAPE] = i << Shape.SHIFT;
    memory.lastIndex = i;
    if (!isInner) continue;
    words[record + Field.FAIR_SLOT] = i + 1;
    memory.takeFeeds(record);
  }
  return memory;
}

export function classWord(classIndex: number, word: number): number {
  return (classIndex << Word.SHIFT) + word;
}

/** Where the sum of weights at an inner class of the tree above is, for prio 0. */
export function weightWord(classIndex: number): number {
  return ((classIndex + 1) << Fair.SHIFT) + Fair.WEIGHT;
}
