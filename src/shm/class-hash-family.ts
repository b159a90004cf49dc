import {
  CLASS_INDEX_MAX,
  HEADER_LENGTHS_VERSION,
  HEADER_LENGTHS4,
  HEADER_LENGTHS6,
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
} from './class-hash-layout.js';

export type AddressFamily = 4 | 6;

/** Smallest table of a family. */
export const SLOTS_MIN = 64;
/** Above this share of used slots the writer lays out a new table. */
const LOAD_MAX = 0.5;
/** A new table is at most this full, so that a third more entries fit before the next one. */
const LOAD_NEW = 0.375;
/** Below this share of live entries the table halves. A new table is always above it by half. */
const LOAD_MIN = 0.125;

/** Where a family's slots lie. */
export interface FamilyPlace {
  words: Int32Array;
  /** Word offset of slot 0. */
  base: number;
  /** A power of two, or 0 for no slots at all. */
  slots: number;
}

/** The writer's side of one address family's slots in the current buffer. */
export class FamilySlots {
  readonly lengthMax: number;
  /** Entries that are LIVE, and slots that are LIVE or DEAD. */
  live = 0;
  used = 0;
  slots = 0;
  readonly slotShift: number;
  private readonly prefixWords: number;
  private readonly born: number;
  private readonly died: number;
  private readonly value: number;
  private readonly lengthsAt: number;
  private readonly salts: Int32Array;
  private readonly liveOfLength: Int32Array;
  private readonly lastDeathOfLength: Int32Array;
  private words: Int32Array = new Int32Array(0);
  private base = 0;

  constructor(family: AddressFamily, seed: number) {
    const v4 = family === 4;
    this.lengthMax = v4 ? LENGTH_MAX4 : LENGTH_MAX6;
    this.slotShift = v4 ? SLOT4_SHIFT : SLOT6_SHIFT;
    this.prefixWords = v4 ? 1 : 4;
    this.born = v4 ? SLOT4_BORN : SLOT6_BORN;
    this.died = v4 ? SLOT4_DIED : SLOT6_DIED;
    this.value = v4 ? SLOT4_VALUE : SLOT6_VALUE;
    this.lengthsAt = v4 ? HEADER_LENGTHS4 : HEADER_LENGTHS6;
    this.salts = Int32Array.from({ length: this.lengthMax + 1 }, (_, length) => lengthSalt(seed, length));
    this.liveOfLength = new Int32Array(this.lengthMax + 1);
    this.lastDeathOfLength = new Int32Array(this.lengthMax + 1);
  }

  /** Word offset of the live entry of this prefix, or -1. */
  findLive(prefix: Int32Array, length: number): number {
    const words = this.words;
    const tag = (length + 1) << VALUE_LENGTH_SHIFT;
    let slot = this.homeOf(prefix, length);
    for (let probe = 0; probe < PROBE_MAX; probe++, slot = (slot + 1) & (this.slots - 1)) {
      const at = this.base + (slot << this.slotShift);
      const value = words[at + this.value]!;
      if (value === 0) return -1;
      if ((value & VALUE_LENGTH_MASK) !== tag || !this.samePrefix(at, prefix)) continue;
      if (words[at + this.died] === words[at + this.born]) return at;
    }
    return -1;
  }

  get place(): FamilyPlace {
    return { words: this.words, base: this.base, slots: this.slots };
  }

  classOf(at: number): number {
    return this.words[at + this.value]! & CLASS_INDEX_MAX;
  }

  get isFull(): boolean {
    return this.used >= this.slots * LOAD_MAX;
  }

  get isSparse(): boolean {
    return this.slots > SLOTS_MIN && this.live < this.slots * LOAD_MIN;
  }

  /** Writes a live entry; false when no slot is free near its home. */
  add(prefix: Int32Array, length: number, classIndex: number, born: number): boolean {
    const at = this.freeSlot(prefix, length);
    if (at < 0) return false;
    this.announceLength(length);
    this.write(at, prefix, born, born, ((length + 1) << VALUE_LENGTH_SHIFT) | classIndex);
    this.live++;
    this.liveOfLength[length]! += 1;
    return true;
  }

  /** Ends the live entry at `at` with `epoch`. */
  kill(at: number, epoch: number): void {
    const words = this.words;
    const length = (words[at + this.value]! >>> VALUE_LENGTH_SHIFT) - 1;
    const unseen = words[at + this.born] === epoch;
    // Publishes nothing by itself: it takes effect at an epoch that no reader has adopted.
    Atomics.store(words, at + this.died, unseen ? (epoch - 1) | 0 : epoch);
    this.live--;
    this.liveOfLength[length]! -= 1;
    this.lastDeathOfLength[length] = epoch;
  }

  /** Stops readers from probing lengths of which no reader at `oldest` or later can see an entry. */
  retireLengths(oldest: number): void {
    for (let length = 0; length <= this.lengthMax; length++) {
      const gone = this.liveOfLength[length] === 0 && ((oldest - this.lastDeathOfLength[length]!) | 0) >= 0;
      if (gone && this.isAnnounced(length)) this.flipLength(length);
    }
  }

  /** How many entries some reader at `oldest` or later may see; all that were ever visible if null. */
  countVisibleSince(oldest: number | null): number {
    let kept = 0;
    for (let slot = 0; slot < this.slots; slot++) {
      if (this.isVisibleSince(this.words, this.base + (slot << this.slotShift), oldest)) kept++;
    }
    return kept;
  }

  /** The size a new table should have for so many entries. */
  slotsFor(kept: number): number {
    const fits = kept <= this.slots * LOAD_NEW && !this.isSparse;
    return fits && this.slots > 0
      ? this.slots
      : 2 ** Math.ceil(Math.log2(Math.max(SLOTS_MIN, kept / LOAD_NEW)));
  }

  /**
   * Goes on in zeroed memory: `slots` slots (a power of two) from word `base` on, with copies of what
   * readers at `oldest` or later may see. Births before `oldest` become `oldest`, so that no entry grows so
   * old that its age overflows. Returns false when an entry found no slot; then this can be done again
   * with more slots.
   */
  moveTo(to: FamilyPlace, from: FamilyPlace, oldest: number | null): boolean {
    this.words = to.words;
    this.base = to.base;
    this.slots = to.slots;
    this.used = 0;
    const prefix = new Int32Array(this.prefixWords);
    for (let slot = 0; slot < from.slots; slot++) {
      const source = from.base + (slot << this.slotShift);
      if (!this.isVisibleSince(from.words, source, oldest)) continue;
      for (let i = 0; i < this.prefixWords; i++) prefix[i] = from.words[source + i]!;
      const value = from.words[source + this.value]!;
      const length = (value >>> VALUE_LENGTH_SHIFT) - 1;
      const at = this.freeSlot(prefix, length);
      if (at < 0) return false;
      const born = from.words[source + this.born]!;
      const died = from.words[source + this.died]!;
      const bornNow = oldest !== null && ((oldest - born) | 0) > 0 ? oldest : born;
      this.announceLength(length);
      this.write(at, prefix, bornNow, died === born ? bornNow : died, value);
    }
    return true;
  }

  private isVisibleSince(words: Int32Array, at: number, oldest: number | null): boolean {
    if (words[at + this.value] === 0) return false;
    const born = words[at + this.born]!;
    const died = words[at + this.died]!;
    if (died === born) return true;
    if (((died - born) | 0) < 0) return false;
    return oldest === null || ((died - oldest) | 0) > 0;
  }

  private write(at: number, prefix: Int32Array, born: number, died: number, value: number): void {
    const words = this.words;
    for (let i = 0; i < this.prefixWords; i++) words[at + i] = prefix[i]!;
    words[at + this.born] = born;
    words[at + this.died] = died;
    // Publishes the slot: a reader that loads this value finds the words above written.
    Atomics.store(words, at + this.value, value);
    this.used++;
  }

  private freeSlot(prefix: Int32Array, length: number): number {
    let slot = this.homeOf(prefix, length);
    for (let probe = 0; probe < PROBE_MAX; probe++, slot = (slot + 1) & (this.slots - 1)) {
      const at = this.base + (slot << this.slotShift);
      if (this.words[at + this.value] === 0) return at;
    }
    return -1;
  }

  private homeOf(prefix: Int32Array, length: number): number {
    const salt = this.salts[length]!;
    const hash =
      this.prefixWords === 1
        ? hashPrefix4(prefix[0]!, salt)
        : hashPrefix6(prefix[0]!, prefix[1]!, prefix[2]!, prefix[3]!, salt);
    return hash & (this.slots - 1);
  }

  private samePrefix(at: number, prefix: Int32Array): boolean {
    for (let i = 0; i < this.prefixWords; i++) if (this.words[at + i] !== prefix[i]) return false;
    return true;
  }

  private isAnnounced(length: number): boolean {
    return ((this.words[this.lengthsAt + (length >>> 5)]! >>> (length & 31)) & 1) === 1;
  }

  private announceLength(length: number): void {
    if (!this.isAnnounced(length)) this.flipLength(length);
  }

  private flipLength(length: number): void {
    const at = this.lengthsAt + (length >>> 5);
    Atomics.store(this.words, at, this.words[at]! ^ (1 << (length & 31)));
    // Publishes the bitmap: a reader that sees the new version sees the bit.
    Atomics.add(this.words, HEADER_LENGTHS_VERSION, 1);
  }
}
