/** What follows from a class tree's shape: who is inner, how deep each class lies, and whose assured rates compete. */
import type { ClassTree } from '../../classes/model.js';
import { Change } from '../shm/shared-shaper.js';
import { Limit } from '../shm/tree-layout.js';

export const DIRECTION_KEYS = ['down', 'up'] as const;
export const CLAIM_FLAGS = [Change.FLAG_CLAIM_DOWN, Change.FLAG_CLAIM_UP] as const;

/** Per class, in the tree's order: kind, level, and in which directions it takes part in claims. */
export interface TreeLayout {
  isInner: Uint8Array;
  level: Uint8Array;
  claims: Uint8Array;
}

export function layOut(tree: ClassTree): TreeLayout {
  const count = tree.classes.length;
  const order = new Map<string, number>();
  const parent = new Int32Array(count).fill(-1);
  const isInner = new Uint8Array(count);
  const depth = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const spec = tree.classes[i]!;
    order.set(spec.id, i);
    if (spec.parent === null) continue;
    const above = order.get(spec.parent)!;
    parent[i] = above;
    isInner[above] = 1;
    depth[i] = depth[above]! + 1;
  }
  const level = depth.map((d, i) => (isInner[i] === 1 ? Limit.LEVELS - 1 - d : 0));
  const claims = new Uint8Array(count);
  for (let d = 0; d < Limit.DIRECTIONS; d++) markClaims(tree, parent, d as 0 | 1, claims);
  return { isInner, level, claims };
}

/**
 * Marks the classes below an ancestor whose children have more assured than itself. A class without a limit of
 * its own passes the claims of its children on to the nearest ancestor that has one.
 */
function markClaims(tree: ClassTree, parent: Int32Array, direction: 0 | 1, claims: Uint8Array): void {
  const count = tree.classes.length;
  const sumBps = new Float64Array(count);
  const rateOf = (i: number): number => tree.classes[i]![DIRECTION_KEYS[direction]]?.rateBps ?? 0;
  for (let i = 0; i < count; i++) {
    let holder = parent[i]!;
    while (holder >= 0 && rateOf(holder) === 0) holder = parent[holder]!;
    if (holder >= 0) sumBps[holder]! += rateOf(i);
  }
  for (let i = 0; i < count; i++) {
    const above = parent[i]!;
    if (above < 0) continue;
    const flag = CLAIM_FLAGS[direction];
    const isOver = rateOf(above) > 0 && sumBps[above]! > rateOf(above);
    if (isOver || (claims[above]! & flag) !== 0) claims[i]! |= flag;
  }
}
