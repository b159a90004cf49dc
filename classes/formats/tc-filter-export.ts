/**
 * The filters of an exported script: every prefix to its class, longest prefixes first. That order is in the prefs; the lines
 * themselves keep the tree's order, so that reading them gives it back.
 */
import type { PrefixSpec } from '../prefix.js';

export interface Target {
  readonly prefix: PrefixSpec;
  /** hexadecimal minor of the class */
  readonly minor: string;
  readonly classId: string;
}

export type FilterKind = 'flower' | 'u32';

/** More prefixes of one length than this are spread over a hash table; the kernel would go through a list one by one. */
const LIST_MAX = 32;
/** What one bucket of u32 can number. */
export const BUCKET_MAX = 2048;
const HASH_BITS = 8;
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
  for (const [pref, sameLength] of [...byPref].sort((a, b) => a[0] - b[0])) {
    if (kind === 'flower') writer.flower(pref, sameLength);
    else writer.u32(pref, sameLength);
  }
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

  u32(pref: number, targets: readonly Placed[]): void {
    const { family, length } = targets[0]!.prefix;
    if (targets.length <= LIST_MAX || length === 0) {
      this.#fill(pref, targets, () => '');
      return;
    }
    const table = (++this.#tables).toString(16);
    const { word, bits, shift } = hashPart(length);
    const mask = (2 ** bits - 1) * 2 ** shift;
    const at = OFFSETS[this.#side][family] + 4 * word;
    this.tables.push(this.#line(family, pref, `handle ${table}: u32 divisor ${2 ** HASH_BITS}`));
    const hashkey = `hashkey mask 0x${mask.toString(16).padStart(8, '0')} at ${at}`;
    this.tables.push(this.#line(family, pref, `u32 match u32 0 0 at ${at} ${hashkey} link ${table}:`));
    this.#fill(pref, targets, ({ words }) => {
      const bucket = (words[word]! >>> shift) & (2 ** bits - 1);
      return `ht ${table}:${bucket.toString(16)}: `;
    });
  }

  #fill(pref: number, targets: readonly Placed[], bucketOf: (prefix: PrefixSpec) => string): void {
    const counts = new Map<string, number>();
    for (const target of targets) {
      const { prefix, minor, at } = target;
      const bucket = bucketOf(prefix);
      const count = (counts.get(bucket) ?? 0) + 1;
      counts.set(bucket, count);
      if (count > BUCKET_MAX) this.overfull ??= target;
      const match = `match ${prefix.family === 4 ? 'ip' : 'ip6'} ${this.#side} ${withLength(prefix)}`;
      this.matches[at] = this.#line(prefix.family, pref, `u32 ${bucket}${match} flowid 1:${minor}`);
    }
  }

  #line(family: 4 | 6, pref: number, rest: string): string {
    const protocol = family === 4 ? 'ip' : 'ipv6';
    return `filter add dev ${this.#device} parent 1: protocol ${protocol} pref ${pref} ${rest}`;
  }
}

/** The last bits of a prefix of this length, as many as a table has buckets for, that lie in one word of the address. */
function hashPart(length: number): { word: number; bits: number; shift: number } {
  const word = (length - 1) >> 5;
  const bitsInWord = length - 32 * word;
  return { word, bits: Math.min(HASH_BITS, bitsInWord), shift: 32 - bitsInWord };
}

function withLength({ text, family }: PrefixSpec): string {
  return text.includes('/') ? text : `${text}/${family === 4 ? 32 : 128}`;
}
