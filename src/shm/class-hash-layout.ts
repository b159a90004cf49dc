/**
 * Memory of the class hash: match prefix → class index, one writer (the control thread), any number of
 * readers (the workers) that never lock and never retry.
 *
 * Buffer (words of 4 bytes):
 *
 *   0 … 63              header
 *   64 …                IPv4 slots, 4 words each:  prefix      born  died  value
 *   64 + 4 × slots4 …   IPv6 slots, 8 words each:  prefix 0-3  born  died  value  unused
 *
 *   value  31            24 23                    0
 *         |  length + 1    |     class index       |      0 means the slot is EMPTY
 *
 * A slot's states. No slot is ever used a second time:
 *
 *   EMPTY ── insert(born) ──▶ LIVE ── remove or change (died) ──▶ DEAD ── rebuild ──▶ not carried over
 *   value 0                   value ≠ 0                           value ≠ 0
 *                             died = born                         died ≠ born
 *
 * A reader at epoch e sees an entry when born ≤ e, and died = born or e < died; all by int32 difference,
 * so epochs may wrap. An entry that dies in the epoch it was born in gets died = born - 1: nobody
 * has seen it, nobody will. A change of class is a death and a birth in the same epoch. The writer only
 * writes for the *coming* epoch, which no reader has adopted yet; so every change of one
 * epoch becomes visible to a worker at the moment it adopts that epoch, and all of them together.
 *
 * Growing and shrinking: the writer lays all entries that some reader may still see into a new buffer and
 * from then on writes there only. The old buffer stays right for all epochs before the coming one. Readers
 * change buffers when they adopt the epoch that was published with the new one.
 *
 * Orderings that matter:
 *   1. Writer: prefix, born and died are plain stores, then one `Atomics.store` of `value`. Reader: after
 *      a plain match it loads `value` by `Atomics.load` before it reads born. So it never pairs a
 *      new value with an old, zero `born` and takes an entry of the coming epoch for a visible one.
 *   2. Entries that matter at epoch e were all written before the control thread published e by an atomic
 *      store, and the reader has seen that store. So plain loads of slots are up to date
 *      where it matters; where they are not, the entry is invisible at e whichever value is read.
 *   3. A death may be seen early or late: it takes effect at an epoch the reader has not adopted.
 *   4. Lengths in use: the bitmap is written before its version (atomic), and both before the first slot of
 *      that length. By 2 a plain load of the version is enough to notice what matters at e.
 */
export const HEADER_WORDS = 64;
export const HEADER_SEED = 0;
export const HEADER_SLOTS4 = 1;
export const HEADER_SLOTS6 = 2;
/** Counts changes of the two bitmaps below. */
export const HEADER_LENGTHS_VERSION = 3;
/** Bit n of a bitmap: some reader may see an entry of prefix length n. */
export const HEADER_LENGTHS4 = 16;
export const HEADER_LENGTHS6 = 24;

export const SLOT4_SHIFT = 2;
export const SLOT4_BORN = 1;
export const SLOT4_DIED = 2;
export const SLOT4_VALUE = 3;

export const SLOT6_SHIFT = 3;
export const SLOT6_BORN = 4;
export const SLOT6_DIED = 5;
export const SLOT6_VALUE = 6;

export const LENGTH_MAX4 = 32;
export const LENGTH_MAX6 = 128;

export const VALUE_LENGTH_SHIFT = 24;
export const VALUE_LENGTH_MASK = -1 << VALUE_LENGTH_SHIFT;
export const CLASS_INDEX_MAX = 0xffffff;

/** A search ends after so many slots; the writer takes a larger table rather than a longer way. */
export const PROBE_MAX = 64;

/** What prefixes of one length are mixed with, so that 10.0.0.0/8 and 10.0.0.0/16 lie apart. */
export function lengthSalt(seed: number, length: number): number {
  return mix(seed ^ Math.imul(length + 1, 0x9e3779b1));
}

/** A bijection of the prefix for each salt: prefixes of one length collide in slots, never in hashes. */
export function hashPrefix4(prefix: number, salt: number): number {
  return mix(prefix ^ salt);
}

export function hashPrefix6(w0: number, w1: number, w2: number, w3: number, salt: number): number {
  let h = Math.imul(w0 ^ salt, 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 15) ^ w1, 0x297a2d39);
  h = Math.imul(h ^ (h >>> 14) ^ w2, 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15) ^ w3, 0x846ca68b);
  return mix(h);
}

/** The bits of word `index` of an address that a prefix of this length fixes. */
export function wordMask(length: number, index: number): number {
  const bits = length - (index << 5);
  if (bits <= 0) return 0;
  return bits >= 32 ? -1 : -1 << (32 - bits);
}

function mix(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
