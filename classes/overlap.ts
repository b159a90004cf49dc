/**
 * Prefixes of one class that lie inside those of another: legal, for the longest wins, but often a slip of the pen.
 *
 * Sorted by address and then by length, a prefix stands behind all that contain it, so one sweep with a stack finds for
 * each the nearest one around it. The sort is by digits over typed arrays: a million prefixes take a fraction of a second,
 * where a sort that calls a function to compare takes several.
 */
import type { ClassSpec, PrefixSpec } from './model.js';
import type { ProblemList } from './problems.js';
import { classLabel } from './structure.js';

/** A prefix that is the nearest one around `count` prefixes of other classes. */
export interface Overlap {
  /** index of the class that has it, among those asked about */
  readonly classIndex: number;
  readonly prefix: PrefixSpec;
  readonly count: number;
  /** The first of the prefixes inside, by address, and the class that has it. */
  readonly innerIndex: number;
  readonly inner: PrefixSpec;
}

const DIGIT_BITS = 8;
const DIGITS = 1 << DIGIT_BITS;
const DIGIT_MASK = DIGITS - 1;

/** All overlaps between different classes, IPv4 first, in the order of addresses. */
export function findOverlaps(classes: readonly ClassSpec[]): Overlap[] {
  return [...new Sweep(classes, 4).run(), ...new Sweep(classes, 6).run()];
}

/** One warning for each prefix that contains some of other classes, however many there are. */
export function warnOfOverlaps(classes: readonly ClassSpec[], problems: ProblemList): void {
  for (const { classIndex, prefix, count, inner, innerIndex } of findOverlaps(classes)) {
    const others = count === 1 ? '' : ` and ${count - 1} more prefixes of other classes`;
    const whose = classLabel(classes, innerIndex);
    const message = `${prefix.text} contains ${inner.text} of ${whose}${others}; there the longer prefix wins`;
    problems.classWarning(classes[classIndex]!.id, classIndex, 'match', message);
  }
}

/** The sweep over the prefixes of one family. */
class Sweep {
  readonly #prefixes: PrefixSpec[] = [];
  readonly #owners: Int32Array;

  constructor(classes: readonly ClassSpec[], family: 4 | 6) {
    const owners: number[] = [];
    for (let index = 0; index < classes.length; index++) {
      for (const prefix of classes[index]!.match) {
        if (prefix.family !== family) continue;
        this.#prefixes.push(prefix);
        owners.push(index);
      }
    }
    this.#owners = Int32Array.from(owners);
  }

  run(): Overlap[] {
    const prefixes = this.#prefixes;
    const owners = this.#owners;
    if (prefixes.length < 2) return [];
    const counts = new Int32Array(prefixes.length);
    const first = new Int32Array(prefixes.length);
    const order = this.#sorted();
    const around: number[] = [];
    for (const at of order) {
      const prefix = prefixes[at]!;
      while (around.length > 0 && !contains(prefixes[around[around.length - 1]!]!, prefix)) around.pop();
      if (around.length > 0) {
        const outer = around[around.length - 1]!;
        if (owners[outer] !== owners[at] && counts[outer]!++ === 0) first[outer] = at;
      }
      around.push(at);
    }
    const found: Overlap[] = [];
    for (const at of order) {
      if (counts[at] === 0) continue;
      const inner = first[at]!;
      found.push({
        classIndex: owners[at]!,
        prefix: prefixes[at]!,
        count: counts[at]!,
        innerIndex: owners[inner]!,
        inner: prefixes[inner]!,
      });
    }
    return found;
  }

  /** Indices of the prefixes by address, the shorter of two that start alike first. */
  #sorted(): Int32Array {
    const prefixes = this.#prefixes;
    const keys = new Int32Array(prefixes.length);
    let order = Int32Array.from(prefixes.keys());
    for (let at = 0; at < prefixes.length; at++) keys[at] = prefixes[at]!.length;
    order = sortByDigit(order, keys, 0);
    for (let word = prefixes[0]!.words.length - 1; word >= 0; word--) {
      for (let at = 0; at < prefixes.length; at++) keys[at] = prefixes[at]!.words[word]!;
      for (let shift = 0; shift < 32; shift += DIGIT_BITS) order = sortByDigit(order, keys, shift);
    }
    return order;
  }
}

/** Stable, so that sorting by the lowest digit first and the highest last sorts by the whole. */
function sortByDigit(
  order: Int32Array<ArrayBuffer>,
  keys: Int32Array,
  shift: number,
): Int32Array<ArrayBuffer> {
  const starts = new Int32Array(DIGITS + 1);
  for (let at = 0; at < keys.length; at++) starts[((keys[at]! >>> shift) & DIGIT_MASK) + 1]!++;
  for (let digit = 0; digit < DIGITS; digit++) {
    if (starts[digit + 1] === keys.length) return order;
    starts[digit + 1]! += starts[digit]!;
  }
  const sorted = new Int32Array(order.length);
  for (let at = 0; at < order.length; at++) {
    const index = order[at]!;
    sorted[starts[(keys[index]! >>> shift) & DIGIT_MASK]!++] = index;
  }
  return sorted;
}

function contains(outer: PrefixSpec, inner: PrefixSpec): boolean {
  if (outer.length > inner.length) return false;
  for (let word = 0, left = outer.length; left > 0; word++, left -= 32) {
    const mask = left >= 32 ? -1 : -1 << (32 - left);
    if (((outer.words[word]! ^ inner.words[word]!) & mask) !== 0) return false;
  }
  return true;
}

/** Compares by family, address and length, for lists of prefixes that have no order of their own. */
export function comparePrefixes(a: PrefixSpec, b: PrefixSpec): number {
  if (a.family !== b.family) return a.family - b.family;
  for (let word = 0; word < a.words.length; word++) {
    const difference = (a.words[word]! >>> 0) - (b.words[word]! >>> 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
