/** Looks at what all queues of a shaper have, and at what is shared, together. */
import { Field, Flag } from '../../src/htb/layout.js';
import { TreeMemory } from '../../src/htb/memory.js';
import { Direction, Fair, Limit, Shape, Word } from '../../src/shm/tree-layout.js';
import { CAPACITY_CLASSES, type ChurnShaper, currentSide } from './churn-shaper.js';

/** Where a queue that has adopted all has other classes than were published; null when none has. */
export function wrongClass(shaper: ChurnShaper): string | null {
  for (const { queue, tree } of shaper.queues) {
    const { words } = tree.memory;
    for (const {
      index,
      spec,
      parentIndex,
      shapes,
      level,
      isInner,
      fairSlot,
    } of shaper.publisher.classes.values()) {
      const record = TreeMemory.recordOf(index);
      const flags = words[record + Field.FLAGS]!;
      const holds =
        (flags & (Flag.IS_PRESENT | Flag.IS_DRAINING)) === Flag.IS_PRESENT &&
        ((flags & Flag.IS_INNER) !== 0) === isInner &&
        (flags & Flag.LEVEL_MASK) >> Flag.LEVEL_SHIFT === level &&
        words[record + Field.PARENT] === (parentIndex < 0 ? 0 : TreeMemory.recordOf(parentIndex)) &&
        words[record + Field.SHAPE]! >> Shape.SHIFT === shapes[Direction.DOWN] &&
        (!isInner || words[record + Field.FAIR_SLOT] === fairSlot);
      if (!holds) return `queue ${queue}: class ${spec.id} (${index}) is not as published`;
    }
  }
  return null;
}

/** Whether every sum is what the queues have announced; null when it is, or some are on their way to a generation. */
export function wrongSum(shaper: ChurnShaper): string | null {
  if (shaper.publisher.hasRemains || shaper.queues.length < shaper.shared.queues) return null;
  const tree = shaper.shared.trees[Direction.DOWN];
  const side = currentSide(tree);
  if (shaper.queues.some(({ tree: { memory } }) => memory.side !== side)) return null;
  const count = (of: (words: Int32Array, record: number) => number, index: number): number =>
    shaper.queues.reduce(
      (sum, { tree: { memory } }) => sum + of(memory.words, TreeMemory.recordOf(index)),
      0,
    );
  for (let index = 0; index < CAPACITY_CLASSES; index++) {
    const base = (index << Word.SHIFT) + side;
    const presence = count(presenceOf, index);
    if (tree.classWords[base + Word.PRESENCE] !== presence)
      return `presence of class ${index} is ${tree.classWords[base + Word.PRESENCE]}, not ${presence}`;
    const inner = [...shaper.publisher.classes.values()].find(
      (entry) => entry.index === index && entry.isInner,
    );
    if (inner === undefined) continue;
    for (let prio = 0; prio < Limit.PRIOS; prio++) {
      const at = (inner.fairSlot << Fair.SHIFT) + Fair.WEIGHT + side * Fair.WEIGHT_SIDE + prio;
      const weight = count((words, record) => weightOf(words, record, prio), index);
      if (tree.fairWords[at] !== weight)
        return `weight of class ${index}, prio ${prio}, is ${tree.fairWords[at]}, not ${weight}`;
    }
  }
  return null;
}

/** What a worker's records say that it has added to a class's presence, and to a weight of an inner class. */
function presenceOf(words: Int32Array, record: number): number {
  const flags = words[record + Field.FLAGS]!;
  if ((flags & Flag.IS_PRESENT) === 0) return 0;
  return (flags & ((flags & Flag.IS_INNER) !== 0 ? Flag.IS_CLAIMING : Flag.IS_REGISTERED)) !== 0 ? 1 : 0;
}

function weightOf(words: Int32Array, record: number, prio: number): number {
  if (
    (words[record + Field.FLAGS]! & (Flag.IS_PRESENT | Flag.IS_INNER)) !==
    (Flag.IS_PRESENT | Flag.IS_INNER)
  )
    return 0;
  return words[words[record + Field.FEEDS]! + (prio << Field.FEED_SHIFT) + Field.FEED_WEIGHT]!;
}
