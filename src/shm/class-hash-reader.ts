import {
  CLASS_INDEX_MAX,
  HEADER_LENGTHS_VERSION,
  HEADER_LENGTHS4,
  HEADER_LENGTHS6,
  HEADER_SEED,
  HEADER_SLOTS4,
  HEADER_SLOTS6,
  HEADER_WORDS,
  hashPrefix4,
  hashPrefix6,
  LENGTH_MAX4,
  LENGTH_MAX6,
  lengthSalt,
  PROBE_MAX,
  SLOT4_BORN,
  SLOT4_DIED,
  SLOT4_SHIFT,
  SLOT4_VALUE,
  SLOT6_BORN,
  SLOT6_DIED,
  SLOT6_SHIFT,
  SLOT6_VALUE,
  VALUE_LENGTH_MASK,
  VALUE_LENGTH_SHIFT,
  wordMask,
} from './class-hash-layout.js';

/**
 * A worker's view of one published buffer of the class hash. It holds no shared state of its own: make one
 * per worker and buffer, and pass the epoch that the worker has adopted to every look-up.
 */
export class ClassHashReader {
  private readonly words: Int32Array;
  private readonly seed: number;
  private readonly slotMask4: number;
  private readonly slotMask6: number;
  private readonly base6: number;
  private lengthsVersion: number;
  // The lengths in use, longest first, with what a look-up needs of each.
  private lengths4 = 0;
  private readonly tag4 = new Int32Array(LENGTH_MAX4 + 1);
  private readonly salt4 = new Int32Array(LENGTH_MAX4 + 1);
  private readonly mask4 = new Int32Array(LENGTH_MAX4 + 1);
  private lengths6 = 0;
  private readonly tag6 = new Int32Array(LENGTH_MAX6 + 1);
  private readonly salt6 = new Int32Array(LENGTH_MAX6 + 1);
  private readonly mask6 = new Int32Array((LENGTH_MAX6 + 1) * 4);

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
    this.seed = this.words[HEADER_SEED]!;
    this.slotMask4 = this.words[HEADER_SLOTS4]! - 1;
    this.slotMask6 = this.words[HEADER_SLOTS6]! - 1;
    this.base6 = HEADER_WORDS + (this.words[HEADER_SLOTS4]! << SLOT4_SHIFT);
    this.lengthsVersion = this.readLengths();
  }

  /** Class index of the longest prefix that holds this IPv4 address at this epoch, or -1. */
  lookup4(addr: number, epoch: number): number {
    const words = this.words;
    if (words[HEADER_LENGTHS_VERSION] !== this.lengthsVersion) this.lengthsVersion = this.readLengths();
    const slotMask = this.slotMask4;
    for (let i = 0; i < this.lengths4; i++) {
      const prefix = addr & this.mask4[i]!;
      const tag = this.tag4[i]!;
      let slot = hashPrefix4(prefix, this.salt4[i]!) & slotMask;
      for (let probe = 0; probe < PROBE_MAX; probe++, slot = (slot + 1) & slotMask) {
        const at = HEADER_WORDS + (slot << SLOT4_SHIFT);
        const value = words[at + SLOT4_VALUE]!;
        if (value === 0) break;
        if (words[at] !== prefix || (value & VALUE_LENGTH_MASK) !== tag) continue;
        // Pairs with the writer's store of the value: born and died are written by now.
        const classIndex = Atomics.load(words, at + SLOT4_VALUE) & CLASS_INDEX_MAX;
        if (isVisible(words[at + SLOT4_BORN]!, words[at + SLOT4_DIED]!, epoch)) return classIndex;
      }
    }
    return -1;
  }

  /** The same for an IPv6 address of four big-endian words. */
  lookup6(w0: number, w1: number, w2: number, w3: number, epoch: number): number {
    const words = this.words;
    if (words[HEADER_LENGTHS_VERSION] !== this.lengthsVersion) this.lengthsVersion = this.readLengths();
    const mask = this.mask6;
    for (let i = 0; i < this.lengths6; i++) {
      const p0 = w0 & mask[i * 4]!;
      const p1 = w1 & mask[i * 4 + 1]!;
      const p2 = w2 & mask[i * 4 + 2]!;
      const p3 = w3 & mask[i * 4 + 3]!;
      const classIndex = this.probe6(p0, p1, p2, p3, i, epoch);
      if (classIndex >= 0) return classIndex;
    }
    return -1;
  }

  private probe6(p0: number, p1: number, p2: number, p3: number, i: number, epoch: number): number {
    const words = this.words;
    const slotMask = this.slotMask6;
    const tag = this.tag6[i]!;
    let slot = hashPrefix6(p0, p1, p2, p3, this.salt6[i]!) & slotMask;
    for (let probe = 0; probe < PROBE_MAX; probe++, slot = (slot + 1) & slotMask) {
      const at = this.base6 + (slot << SLOT6_SHIFT);
      const value = words[at + SLOT6_VALUE]!;
      if (value === 0) break;
      if ((value & VALUE_LENGTH_MASK) !== tag || words[at] !== p0 || words[at + 1] !== p1) continue;
      if (words[at + 2] !== p2 || words[at + 3] !== p3) continue;
      // Pairs with the writer's store of the value: born and died are written by now.
      const classIndex = Atomics.load(words, at + SLOT6_VALUE) & CLASS_INDEX_MAX;
      if (isVisible(words[at + SLOT6_BORN]!, words[at + SLOT6_DIED]!, epoch)) return classIndex;
    }
    return -1;
  }

  /** Reads which lengths are in use; returns the version they are at least as new as. */
  private readLengths(): number {
    const words = this.words;
    // Pairs with the writer's addition to the version: the bitmaps read below are no older.
    const version = Atomics.load(words, HEADER_LENGTHS_VERSION);
    this.lengths4 = this.lengths6 = 0;
    for (let length = LENGTH_MAX4; length >= 0; length--) {
      if (((words[HEADER_LENGTHS4 + (length >>> 5)]! >>> (length & 31)) & 1) === 0) continue;
      const i = this.lengths4++;
      this.tag4[i] = (length + 1) << VALUE_LENGTH_SHIFT;
      this.salt4[i] = lengthSalt(this.seed, length);
      this.mask4[i] = wordMask(length, 0);
    }
    for (let length = LENGTH_MAX6; length >= 0; length--) {
      if (((words[HEADER_LENGTHS6 + (length >>> 5)]! >>> (length & 31)) & 1) === 0) continue;
      const i = this.lengths6++;
      this.tag6[i] = (length + 1) << VALUE_LENGTH_SHIFT;
      this.salt6[i] = lengthSalt(this.seed, length);
      for (let word = 0; word < 4; word++) this.mask6[i * 4 + word] = wordMask(length, word);
    }
    return version;
  }
}

function isVisible(born: number, died: number, epoch: number): boolean {
  return ((epoch - born) | 0) >= 0 && (died === born || ((died - epoch) | 0) > 0);
}
