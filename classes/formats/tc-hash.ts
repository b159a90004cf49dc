/**
 * How prefixes of one length are spread over u32's hash tables.
 *
 * A table has 256 buckets and picks one by up to 8 bits of a word of the packet. A bucket that still holds many leads to a
 * table of its own, by other bits. The kernel goes through a list or a bucket one by one, so short ones are fast.
 */
import type { PrefixSpec } from '../prefix.js';

/** Bits of the address that a table looks at: `words[word] >>> shift`, the lowest `bits` of that. */
export interface HashWindow {
  readonly word: number;
  readonly shift: number;
  readonly bits: number;
}

/** A list of what stands in one bucket, or a table in its place. */
export type HashNode<T> = readonly T[] | HashTable<T>;

export interface HashTable<T> {
  readonly window: HashWindow;
  /** by bucket number; empty ones are left out */
  readonly buckets: ReadonlyMap<number, HashNode<T>>;
}

/** A list longer than this becomes a table. */
const LIST_MAX = 32;
/** Handles for tables that the kernel does not give itself: 1 to 7ff, for all filters of a device. */
const TABLES_MAX = 0x7ff;
/** The kernel follows 8 links; four tables tell all IPv4 addresses apart. */
const LEVELS_MAX = 4;
const BITS_MAX = 8;
/** Windows are tried at every so many bits: addresses are planned in hexadecimal digits and in octets. */
const STEP_BITS = 4;

type Prefixed = { readonly prefix: PrefixSpec };

/** A node for each group; the prefixes of a group have one family and length, and differ. Lists grow where tables run out. */
export function spreadGroups<T extends Prefixed>(groups: readonly (readonly T[])[]): HashNode<T>[] {
  for (let listMax = LIST_MAX; ; listMax *= 2) {
    const nodes = groups.map((group) => spread(group, listMax, 0));
    if (nodes.reduce((sum, node) => sum + countTables(node), 0) <= TABLES_MAX) return nodes;
  }
}

export function isTable<T>(node: HashNode<T>): node is HashTable<T> {
  return 'window' in node;
}

function spread<T extends Prefixed>(items: readonly T[], listMax: number, level: number): HashNode<T> {
  if (items.length <= listMax || level === LEVELS_MAX) return items;
  const window = bestWindow(items, listMax);
  const lists = new Map<number, T[]>();
  for (const item of items) {
    const bucket = bucketOf(item.prefix, window);
    const list = lists.get(bucket);
    if (list === undefined) lists.set(bucket, [item]);
    else list.push(item);
  }
  const buckets = new Map<number, HashNode<T>>();
  for (const [bucket, list] of lists) buckets.set(bucket, spread(list, listMax, level + 1));
  return { window, buckets };
}

/** The last one whose buckets are all short, or the one with which the kernel compares least. */
function bestWindow(items: readonly Prefixed[], listMax: number): HashWindow {
  let best: HashWindow | null = null;
  let bestCost = Number.POSITIVE_INFINITY;
  for (let end = items[0]!.prefix.length; end > 0; end -= STEP_BITS) {
    const window = windowBefore(end);
    const counts = new Float64Array(2 ** BITS_MAX);
    for (const { prefix } of items) counts[bucketOf(prefix, window)]!++;
    if (counts.every((count) => count <= listMax)) return window;
    const cost = counts.reduce((sum, count) => sum + count * count, 0);
    if (cost >= bestCost) continue;
    best = window;
    bestCost = cost;
  }
  return best!;
}

/** As many bits as a table has buckets for that stand before the bit `end` in one word. */
function windowBefore(end: number): HashWindow {
  const word = (end - 1) >> 5;
  const bitsInWord = end - 32 * word;
  return { word, bits: Math.min(BITS_MAX, bitsInWord), shift: 32 - bitsInWord };
}

function bucketOf({ words }: PrefixSpec, { word, shift, bits }: HashWindow): number {
  return (words[word]! >>> shift) & (2 ** bits - 1);
}

function countTables<T>(node: HashNode<T>): number {
  if (!isTable(node)) return 0;
  let count = 1;
  for (const bucket of node.buckets.values()) count += countTables(bucket);
  return count;
}
