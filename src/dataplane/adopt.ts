import type { ChangeApplier, ClassSetting } from '../htb/changes.js';
import { Change } from '../shm/shared-shaper.js';
import { Direction } from '../shm/tree-layout.js';

/** Applies the changes of one epoch, in their order, to the trees of both directions. */
export function applyChanges(changes: Int32Array, appliers: readonly [ChangeApplier, ChangeApplier]): void {
  const setting: ClassSetting = {
    classIndex: 0,
    parentIndex: -1,
    isInner: false,
    hasClaim: false,
    level: 0,
    shapeIndex: 0,
    fairSlot: 0,
  };
  for (let at = 0; at < changes.length; at += Change.STRIDE) {
    const classIndex = changes[at + Change.CLASS_INDEX]!;
    if (changes[at + Change.OP] === Change.OP_REMOVE) {
      appliers[Direction.DOWN].remove(classIndex);
      appliers[Direction.UP].remove(classIndex);
      continue;
    }
    const flags = changes[at + Change.FLAGS]!;
    setting.classIndex = classIndex;
    setting.parentIndex = changes[at + Change.PARENT_INDEX]!;
    setting.isInner = (flags & Change.FLAG_INNER) !== 0;
    setting.level = changes[at + Change.LEVEL]!;
    setting.fairSlot = changes[at + Change.FAIR_SLOT]!;
    setting.hasClaim = (flags & Change.FLAG_CLAIM_DOWN) !== 0;
    setting.shapeIndex = changes[at + Change.SHAPE_DOWN]!;
    appliers[Direction.DOWN].set(setting);
    setting.hasClaim = (flags & Change.FLAG_CLAIM_UP) !== 0;
    setting.shapeIndex = changes[at + Change.SHAPE_UP]!;
    appliers[Direction.UP].set(setting);
  }
}
