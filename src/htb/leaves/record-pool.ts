/**
 * Records of one size that leaves take and give back, found by leaf and hash through a chained table. A *record* is a word
 * offset into `words`; 0 is none. The one given back last is taken first, because it is still in the cache.
 */
import { alignedInt32 } from '../../shm/aligned.js';

/** The first words of every record. */
export const enum Pooled {
  /** Who has it, with a number that the hash belongs to; of a free one the next free. */
  LEAF = 0,
  HASH = 1,
  /** The next in its slot. */
  CHAIN_NEXT = 2,
}

const LEAF_FACTOR = 0x85ebca6b | 0;
const HASH_FACTOR = 0x9e3779b1 | 0;

export class RecordPool {
  readonly words: Int32Array;
  /** Records in use. */
  used = 0;
  readonly #stride: number;
  readonly #slots: Int32Array;
  readonly #slotShift: number;
  #free = 0;
  #top: number;

  /** `capacity` records of `1 << strideShift` words; the table is made for about `usual` of them. */
  constructor(capacity: number, strideShift: number, usual: number) {
    this.#stride = 1 << strideShift;
    this.#top = this.#stride;
    // Demand-zeroed, like all memory that is sized for the worst.
    this.words = alignedInt32((capacity + 1) << strideShift);
    const slotBits = Math.max(4, Math.ceil(Math.log2(usual)));
    this.#slots = new Int32Array(2 ** slotBits);
    this.#slotShift = 32 - slotBits;
  }

  /** The record of a leaf with a hash; 0 when there is none. */
  find(leaf: number, hash: number): number {
    const words = this.words;
    let record = this.#slots[this.#slotOf(leaf, hash)]!;
    while (record !== 0 && (words[record + Pooled.LEAF] !== leaf || words[record + Pooled.HASH] !== hash))
      record = words[record + Pooled.CHAIN_NEXT]!;
    return record;
  }

  /** A record for a leaf and a hash, its other words as they were left; 0 when there is none left. */
  take(leaf: number, hash: number): number {
    const words = this.words;
    let record = this.#free;
    if (record !== 0) this.#free = words[record + Pooled.LEAF]!;
    else {
      if (this.#top === words.length) return 0;
      record = this.#top;
      this.#top += this.#stride;
    }
    this.used++;
    const slot = this.#slotOf(leaf, hash);
    words[record + Pooled.LEAF] = leaf;
    words[record + Pooled.HASH] = hash;
    words[record + Pooled.CHAIN_NEXT] = this.#slots[slot]!;
    this.#slots[slot] = record;
    return record;
  }

  give(record: number): void {
    const words = this.words;
    const slot = this.#slotOf(words[record + Pooled.LEAF]!, words[record + Pooled.HASH]!);
    let at = this.#slots[slot]!;
    if (at === record) this.#slots[slot] = words[record + Pooled.CHAIN_NEXT]!;
    else {
      while (words[at + Pooled.CHAIN_NEXT] !== record) at = words[at + Pooled.CHAIN_NEXT]!;
      words[at + Pooled.CHAIN_NEXT] = words[record + Pooled.CHAIN_NEXT]!;
    }
    words[record + Pooled.LEAF] = this.#free;
    this.#free = record;
    this.used--;
  }

  #slotOf(leaf: number, hash: number): number {
    return Math.imul(leaf + Math.imul(hash, HASH_FACTOR), LEAF_FACTOR) >>> this.#slotShift;
  }
}
