/**
 * The filters of an exported script: every prefix to its class, longest prefixes first. That order is in the prefs; the lines
 * themselves keep the tree's order, so that reading them gives it back.
 */
import type { PrefixSpec } from '../prefix.js';
import { type HashNode, type HashTable, isTable, spreadGroups } from './tc-hash.js';

export interface Target {
  readonly prefix: PrefixSpec;
  /** hexadecimal minor of the class */
  readonly minor: string;
  readonly classId: string;
}

export type FilterKind = 'flower' | 'u32';

/** What one list or one bucket of u32 can number. */
export const BUCKET_MAX = 2048;
const TABLE_BUCKETS = 256;
/** Where the address stands in a packet, in bytes from the IP header. */
const OFFSETS = { dst: { 4: 16, 6: 24 }, src: { 4: 12, 6: 8 } } as const;
/** IPv6 prefixes come after all IPv4 ones; a pref belongs to one protocol. */
const FIRST_PREF = { 4: 1, 6: 101 } as const;

export interface FilterLines {
  readonly lines: readonly string[];
  /** A class with a prefix that no bucket has room for; null if all fit. */
  readonly overfull: Target | null;
}

/** One pref per family and length, so that the kernel asks for the longest first. */
export function filterLines(
  device: string,
  side: 'dst' | 'src',
  kind: FilterKind,
  targets: readonly Target[],
): FilterLines {
  const byPref = new Map<number, Placed[]>();
  targets.forEach((target, at) => {
    const { family, length } = target.prefix;
    const pref = FIRST_PREF[family] + (family === 4 ? 32 : 128) - length;
    const sameLength = byPref.get(pref);
    if (sameLength === undefined) byPref.set(pref, [{ ...target, at }]);
    else sameLength.push({ ...target, at });
  });
  const writer = new FilterWriter(device, side);
  const prefs = [...byPref.keys()].sort((a, b) => a - b);
  const groups = prefs.map((pref) => byPref.get(pref)!);
  if (kind === 'flower') groups.forEach((group, at) => void writer.flower(prefs[at]!, group));
  else spreadGroups(groups).forEach((node, at) => void writer.u32(prefs[at]!, groups[at]![0]!.prefix, node));
  return { lines: [...writer.tables, ...writer.matches], overfull: writer.overfull };
}

/** `at`: its place among all. */
type Placed = Target & { readonly at: number };

class FilterWriter {
  readonly tables: string[] = [];
  readonly matches: string[] = [];
  overfull: Target | null = null;
  readonly #device: string;
  readonly #side: 'dst' | 'src';
  #tables = 0;

  constructor(device: string, side: 'dst' | 'src') {
    this.#device = device;
    this.#side = side;
  }

  flower(pref: number, targets: readonly Placed[]): void {
    for (const { prefix, minor, at } of targets) {
      this.matches[at] = this.#line(
        prefix.family,
        pref,
        `flower ${this.#side}_ip ${withLength(prefix)} classid 1:${minor}`,
      );
    }
  }

  /** `like`: one of the prefixes below the node. */
  u32(pref: number, like: PrefixSpec, node: HashNode<Placed>, bucket = ''): void {
    if (isTable(node)) this.#table(pref, like, node, bucket);
    else this.#list(pref, node, bucket);
  }

  #table(pref: number, like: PrefixSpec, { window, buckets }: HashTable<Placed>, bucket: string): void {
    const { family } = like;
    const table = (++this.#tables).toString(16);
    const at = OFFSETS[this.#side][family] + 4 * window.word;
    const mask = (2 ** window.bits - 1) * 2 ** window.shift;
    const hashkey = `hashkey mask 0x${mask.toString(16).padStart(8, '0')} at ${at}`;
    this.tables.push(this.#line(family, pref, `handle ${table}: u32 divisor ${TABLE_BUCKETS}`));
    this.tables.push(
      this.#line(family, pref, `u32 ${bucket}match u32 0 0 at ${at} ${hashkey} link ${table}:`),
    );
    for (const [number, node] of buckets) this.u32(pref, like, node, `ht ${table}:${number.toString(16)}: `);
  }

  #list(pref: number, targets: readonly Placed[], bucket: string): void {
    if (targets.length > BUCKET_MAX) this.overfull ??= targets[BUCKET_MAX]!;
    for (const { prefix, minor, at } of targets) {
      const match = `match ${prefix.family === 4 ? 'ip' : 'ip6'} ${this.#side} ${withLength(prefix)}`;
      this.matches[at] = this.#line(prefix.family, pref, `u32 ${bucket}${match} flowid 1:${minor}`);
    }
  }

  #line(family: 4 | 6, pref: number, rest: string): string {
    const protocol = family === 4 ? 'ip' : 'ipv6';
    return `filter add dev ${this.#device} parent 1: protocol ${protocol} pref ${pref} ${rest}`;
  }
}

function withLength({ text, family }: PrefixSpec): string {
  return text.includes('/') ? text : `${text}/${family === 4 ? 32 : 128}`;
}
