/**
 * Checks what holds between classes: parents, cycles, depth, leaves, and how rates add up.
 *
 * Everything is a loop over arrays indexed by the class's place in the file; nothing recurses, so neither depth nor
 * count is bounded by the stack.
 */
import { type ClassSpec, DEPTH_MAX } from './model.js';
import type { ProblemList } from './problems.js';
import { NO_SETTINGS } from './queue.js';
import { writtenQueue } from './queue-keys.js';
import { formatRate, quoted } from './units.js';

/** Classes as read; null where the file had something that is not a class, an empty id where it had no usable one. */
export type ReadClasses = readonly (ClassSpec | null)[];

export const NO_PARENT = -1;
const MEMBERS_NAMED_MAX = 16;

/** Marks of the walk that orders the classes. Positive marks number the walk that first reached the class. */
const UNSEEN = 0;
const PLACED = -1;
const LOST = -2;

/** Names a class in a message about another one. */
export function classLabel(classes: ReadClasses, index: number): string {
  const id = classes[index]?.id ?? '';
  return id === '' ? `classes[${index}]` : `class '${id}'`;
}

/** Maps ids to indices, the first one winning, and reports every further use of an id. */
export function indexIds(classes: ReadClasses, problems: ProblemList): Map<string, number> {
  const indexById = new Map<string, number>();
  for (let index = 0; index < classes.length; index++) {
    const id = classes[index]?.id ?? '';
    if (id === '') continue;
    const first = indexById.get(id);
    if (first === undefined) indexById.set(id, index);
    else problems.classError(id, index, 'id', `is used twice, by classes[${first}] and classes[${index}]`);
  }
  return indexById;
}

/** Per class the index of its parent, or -1 for a root and for a class whose parent is unknown, which is reported. */
export function linkParents(
  classes: ReadClasses,
  indexById: ReadonlyMap<string, number>,
  problems: ProblemList,
): Int32Array {
  const parentOf = new Int32Array(classes.length).fill(NO_PARENT);
  for (let index = 0; index < classes.length; index++) {
    const spec = classes[index];
    if (!spec || spec.parent === null) continue;
    const parent = indexById.get(spec.parent);
    if (parent !== undefined) parentOf[index] = parent;
    else problems.classError(spec.id, index, 'parent', `${quoted(spec.parent)} is not the id of a class`);
  }
  return parentOf;
}

/**
 * Class indices with parents before their children, otherwise in the file's order. Classes in a cycle or below one are
 * left out; each cycle is reported once. So is each class that is the first on its path to lie too deep.
 */
export function orderParentsFirst(
  classes: ReadClasses,
  parentOf: Int32Array,
  problems: ProblemList,
): Int32Array {
  const order = new Int32Array(classes.length);
  const mark = new Int32Array(classes.length);
  const depth = new Int32Array(classes.length);
  const path: number[] = [];
  let placed = 0;
  for (let start = 0; start < classes.length; start++) {
    if (classes[start] === null || mark[start] !== UNSEEN) continue;
    const walk = start + 1;
    let index = start;
    while (index !== NO_PARENT && mark[index] === UNSEEN) {
      mark[index] = walk;
      path.push(index);
      index = parentOf[index]!;
    }
    if (index !== NO_PARENT && mark[index] === walk) reportCycle(classes, parentOf, index, problems);
    const lost = index !== NO_PARENT && mark[index] !== PLACED;
    while (path.length > 0) {
      const next = path.pop()!;
      mark[next] = lost ? LOST : PLACED;
      if (lost) continue;
      order[placed++] = next;
      depth[next] = parentOf[next] === NO_PARENT ? 1 : depth[parentOf[next]!]! + 1;
      if (depth[next] === DEPTH_MAX + 1) {
        const message = `puts the class on level ${DEPTH_MAX + 1}; a tree may have ${DEPTH_MAX} levels`;
        problems.classError(classes[next]!.id, next, 'parent', message);
      }
    }
  }
  return order.subarray(0, placed);
}

function reportCycle(
  classes: ReadClasses,
  parentOf: Int32Array,
  member: number,
  problems: ProblemList,
): void {
  // The member that stands first in the file leads, so that the report does not depend on where the walk came in.
  let first = member;
  let length = 0;
  let index = member;
  do {
    first = Math.min(first, index);
    length++;
    index = parentOf[index]!;
  } while (index !== member);
  const names: string[] = [];
  for (index = first; names.length < Math.min(length, MEMBERS_NAMED_MAX); index = parentOf[index]!) {
    names.push(`'${classes[index]!.id}'`);
  }
  if (length > names.length) names.push(`… (${length - names.length} more)`);
  const message =
    length === 1
      ? 'is the class itself'
      : `closes a cycle, each the child of the next: ${names.join(', ')}, '${classes[first]!.id}'`;
  problems.classError(classes[first]!.id, first, 'parent', message);
}

/** Reports classes with children that match packets or say how they queue: an inner class lends, it holds no packets. */
export function checkInnerClasses(classes: ReadClasses, isInner: Uint8Array, problems: ProblemList): void {
  for (let index = 0; index < classes.length; index++) {
    const spec = classes[index];
    if (spec && isInner[index] === 1 && spec.match.length > 0) {
      const message = 'stands at a class with children; only a leaf holds packets';
      problems.classError(spec.id, index, 'match', message);
    }
    if (spec && isInner[index] === 1 && spec.queue !== NO_SETTINGS) {
      const key = Object.keys(writtenQueue(spec.queue))[0]!;
      const message = 'has no effect at a class with children, and these do not take it over';
      problems.classWarning(spec.id, index, key, message);
    }
  }
}

/** Per class 1 if it has children. */
export function markInnerClasses(parentOf: Int32Array): Uint8Array {
  const isInner = new Uint8Array(parentOf.length);
  for (let index = 0; index < parentOf.length; index++) {
    const parent = parentOf[index]!;
    if (parent !== NO_PARENT) isInner[parent] = 1;
  }
  return isInner;
}

/** What classes of one direction are held against, by index: -1 where nothing above has it. */
export interface UpperClasses {
  /** the class itself or its nearest ancestor with this direction */
  readonly limiter: Int32Array;
  /** the class itself or its nearest ancestor with a rate above 0 */
  readonly assurer: Int32Array;
}

/**
 * Warns of rates that cannot all be kept in one direction. A class that leaves the direction out is passed over:
 * its children's claims are held against the nearest ancestor that has it. `strict` makes an assured rate that is above
 * the nearest one on the way to the root an error; it does not count for the sums then. So it makes a leaf that can never send.
 */
export function warnOfRates(
  classes: ReadClasses,
  parentOf: Int32Array,
  order: Int32Array,
  name: 'down' | 'up',
  problems: ProblemList,
  strict: boolean,
): UpperClasses {
  const limiter = new Int32Array(classes.length).fill(NO_PARENT);
  const assurer = new Int32Array(classes.length).fill(NO_PARENT);
  const claimedBps = new Float64Array(classes.length);
  const isInner = strict ? markInnerClasses(parentOf) : null;
  const silent = new SilentRoots(name);
  for (const index of order) {
    const spec = classes[index]!;
    const direction = spec[name];
    const parent = parentOf[index]!;
    const above = parent === NO_PARENT ? NO_PARENT : limiter[parent]!;
    const assuredAbove = parent === NO_PARENT ? NO_PARENT : assurer[parent]!;
    limiter[index] = direction === null ? above : index;
    // An unreadable rate, NaN, stays in the way of its children, for nothing is known of what they may claim.
    assurer[index] = direction !== null && direction.rateBps !== 0 ? index : assuredAbove;
    if (direction === null) continue;
    const kept = !strict || checkAssured(classes, spec, index, assuredAbove, name, problems);
    // The rate of a direction that could not be read is NaN; the other claims still count.
    if (kept && above !== NO_PARENT && direction.rateBps > 0) claimedBps[above]! += direction.rateBps;
    if (isInner?.[index] === 0 && silent.take(spec, index)) continue;
    warnOfCeil(classes, spec, index, above, name, problems);
  }
  silent.report(problems);
  for (const index of order) {
    const spec = classes[index]!;
    const direction = spec[name];
    if (direction === null || !(claimedBps[index]! > direction.rateBps)) continue;
    const message = `the children's assured rates add up to ${formatRate(claimedBps[index]!)}, above this ${formatRate(direction.rateBps)}`;
    problems.classWarning(spec.id, index, `${name}.rate`, message);
  }
  return { limiter, assurer };
}

/** Leaves without a parent that assure nothing in one direction: HTB sends nothing for them. One mistake, however many. */
export class SilentRoots {
  readonly #name: 'down' | 'up';
  #first: { readonly spec: ClassSpec; readonly index: number } | null = null;
  #count = 0;

  constructor(name: 'down' | 'up') {
    this.#name = name;
  }

  /** True if the leaf is one; it will be reported then. */
  take(spec: ClassSpec, index: number): boolean {
    if (spec.parent !== null || spec[this.#name]?.rateBps !== 0) return false;
    this.#first ??= { spec, index };
    this.#count++;
    return true;
  }

  report(problems: ProblemList): void {
    if (this.#first === null) return;
    const { spec, index } = this.#first;
    const more = this.#count === 1 ? '' : ` (here and in ${this.#count - 1} more)`;
    const message = `nothing is assured and a root has nobody to borrow from: it would never send${more}; give a rate, or a parent`;
    problems.classError(spec.id, index, `${this.#name}.rate`, message);
  }
}

/** False, and reported, if the class assures more than `classes[assuredAbove]` has to lend. */
export function checkAssured(
  classes: ReadClasses,
  spec: ClassSpec,
  index: number,
  assuredAbove: number,
  name: 'down' | 'up',
  problems: ProblemList,
): boolean {
  const direction = spec[name];
  if (direction === null || assuredAbove === NO_PARENT) return true;
  const upperBps = classes[assuredAbove]![name]!.rateBps;
  if (!(direction.rateBps > upperBps)) return true;
  const message = `${formatRate(direction.rateBps)} is above ${formatRate(upperBps)}, the assured rate of ${classLabel(classes, assuredAbove)}`;
  problems.classError(spec.id, index, `${name}.rate`, message);
  return false;
}

/** Warns of a ceil that can never be reached, below `classes[above]` or at a root. */
export function warnOfCeil(
  classes: ReadClasses,
  spec: ClassSpec,
  index: number,
  above: number,
  name: 'down' | 'up',
  problems: ProblemList,
): void {
  const direction = spec[name];
  if (direction === null) return;
  const { rateBps, ceilBps } = direction;
  if (spec.parent === null && ceilBps > rateBps) {
    const message = `${formatRate(ceilBps)} is above the rate, ${formatRate(rateBps)}, but a root has nobody to borrow from`;
    problems.classWarning(spec.id, index, `${name}.ceil`, message);
  }
  if (above === NO_PARENT) return;
  const upperBps = classes[above]![name]!.ceilBps;
  if (ceilBps > upperBps) {
    const message = `${formatRate(ceilBps)} is above ${formatRate(upperBps)}, the ceil of ${classLabel(classes, above)}`;
    problems.classWarning(spec.id, index, `${name}.ceil`, message);
  }
}
