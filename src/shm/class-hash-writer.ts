import { WeirError } from '../errors.js';
import { type AddressFamily, FamilySlots } from './class-hash-family.js';
import {
  CLASS_INDEX_MAX,
  HEADER_SEED,
  HEADER_SLOTS4,
  HEADER_SLOTS6,
  HEADER_WORDS,
  wordMask,
} from './class-hash-layout.js';

export type { AddressFamily } from './class-hash-family.js';

/** Long before the age of an entry could overflow an int32, all entries are given a younger birth. */
const EPOCHS_BEFORE_REBIRTH = 1 << 29;

/**
 * The control thread's side of the class hash. How it shares memory with the readers is told in
 * class-hash-layout.ts. A round of changes goes like this:
 *
 *   1. `maintain(oldest epoch any worker still uses)`
 *   2. `insert` and `remove` for the coming epoch, which is later than any a worker has adopted
 *   3. `takeNewBuffer()`; if there is one, hand it out together with the coming epoch
 *   4. publish the coming epoch by one atomic store
 */
export class ClassHashWriter {
  private readonly seed: number;
  private readonly family4: FamilySlots;
  private readonly family6: FamilySlots;
  private readonly prefix4 = new Int32Array(1);
  private readonly prefix6 = new Int32Array(4);
  private current: SharedArrayBuffer;
  private isNew = true;
  private oldest: number | null = null;
  private coming: number | null = null;
  private rebuiltAt: number | null = null;

  /** `seed`: int32 that the slots are hashed with. */
  constructor(options: { seed: number }) {
    this.seed = options.seed | 0;
    this.family4 = new FamilySlots(4, this.seed);
    this.family6 = new FamilySlots(6, this.seed);
    this.current = this.rebuild();
  }

  /** The buffer for the coming epoch. */
  get buffer(): SharedArrayBuffer {
    return this.current;
  }

  /** Live prefixes of both families. */
  get size(): number {
    return this.family4.live + this.family6.live;
  }

  get memoryBytes(): number {
    return this.current.byteLength;
  }

  /**
   * Maps a prefix to a class from `epoch` on; an existing mapping is changed. `words`: one int32 (family 4)
   * or four (family 6), big-endian numbers; bits beyond `length` are ignored. Throws `E_CLASS_HASH_PREFIX`
   * (length or number of words), `E_CLASS_HASH_CLASS` (not in 0…16,777,215), `E_CLASS_HASH_EPOCH` (already
   * in use, or before that of an earlier change).
   */
  insert(
    family: AddressFamily,
    words: ArrayLike<number>,
    length: number,
    classIndex: number,
    epoch: number,
  ): void {
    if (!Number.isInteger(classIndex) || classIndex < 0 || classIndex > CLASS_INDEX_MAX) {
      throw new WeirError('E_CLASS_HASH_CLASS', `class index ${classIndex} is not in 0…${CLASS_INDEX_MAX}`);
    }
    const slots = this.slotsOf(family);
    const prefix = this.canonical(family, words, length);
    this.begin(epoch);
    const at = slots.findLive(prefix, length);
    if (at >= 0) {
      if (slots.classOf(at) === classIndex) return;
      slots.kill(at, epoch | 0);
    }
    if (slots.isFull) this.current = this.rebuild();
    while (!slots.add(prefix, length, classIndex, epoch | 0)) this.current = this.rebuild(slots);
  }

  /** Ends a mapping with `epoch`; false when there was none. Throws as `insert` does. */
  remove(family: AddressFamily, words: ArrayLike<number>, length: number, epoch: number): boolean {
    const slots = this.slotsOf(family);
    const prefix = this.canonical(family, words, length);
    this.begin(epoch);
    const at = slots.findLive(prefix, length);
    if (at < 0) return false;
    slots.kill(at, epoch | 0);
    return true;
  }

  /** Class index of exactly this prefix at the coming epoch, or -1. Throws as `insert` does. */
  get(family: AddressFamily, words: ArrayLike<number>, length: number): number {
    const slots = this.slotsOf(family);
    const at = slots.findLive(this.canonical(family, words, length), length);
    return at < 0 ? -1 : slots.classOf(at);
  }

  /** The buffer, if it is another than at the last call; to be published with the coming epoch. */
  takeNewBuffer(): SharedArrayBuffer | null {
    if (!this.isNew) return null;
    this.isNew = false;
    return this.current;
  }

  /**
   * To be called before each round of changes. `oldestEpochInUse`: no worker uses an earlier epoch, now or
   * later. What only they could see is forgotten: lengths are no longer probed, and a sparse table halves.
   */
  maintain(oldestEpochInUse: number): void {
    this.oldest = oldestEpochInUse | 0;
    this.family4.retireLengths(this.oldest);
    this.family6.retireLengths(this.oldest);
    this.rebuiltAt ??= this.oldest;
    const isAgeing = ((this.oldest - this.rebuiltAt) | 0) > EPOCHS_BEFORE_REBIRTH;
    if (isAgeing || this.shrinks(this.family4) || this.shrinks(this.family6)) this.current = this.rebuild();
  }

  private slotsOf(family: AddressFamily): FamilySlots {
    return family === 4 ? this.family4 : this.family6;
  }

  /** Whether a new table of a sparse family would be smaller, the dead that some reader sees included. */
  private shrinks(slots: FamilySlots): boolean {
    return slots.isSparse && slots.slotsFor(slots.countVisibleSince(this.oldest)) < slots.slots;
  }

  private begin(epoch: number): void {
    const isUsed = this.oldest !== null && ((epoch - this.oldest) | 0) <= 0;
    if (isUsed || (this.coming !== null && ((epoch - this.coming) | 0) < 0)) {
      throw new WeirError(
        'E_CLASS_HASH_EPOCH',
        `epoch ${epoch} is not a coming one: oldest in use ${this.oldest}, last changed ${this.coming}`,
      );
    }
    this.coming = epoch | 0;
  }

  private canonical(family: AddressFamily, words: ArrayLike<number>, length: number): Int32Array {
    const prefix = family === 4 ? this.prefix4 : this.prefix6;
    const lengthMax = this.slotsOf(family).lengthMax;
    if (!Number.isInteger(length) || length < 0 || length > lengthMax || words.length < prefix.length) {
      throw new WeirError(
        'E_CLASS_HASH_PREFIX',
        `not an IPv${family} prefix: ${words.length} words / ${length}`,
      );
    }
    for (let i = 0; i < prefix.length; i++) prefix[i] = words[i]! & wordMask(length, i);
    return prefix;
  }

  /** Lays the table out anew in new memory, `crowded` in twice the slots it has. */
  private rebuild(crowded?: FamilySlots): SharedArrayBuffer {
    const { family4, family6, oldest } = this;
    const from4 = family4.place;
    const from6 = family6.place;
    let slots4 = family4.slotsFor(family4.countVisibleSince(oldest)) * (crowded === family4 ? 2 : 1);
    let slots6 = family6.slotsFor(family6.countVisibleSince(oldest)) * (crowded === family6 ? 2 : 1);
    for (;;) {
      const base6 = HEADER_WORDS + (slots4 << family4.slotShift);
      const buffer = new SharedArrayBuffer((base6 + (slots6 << family6.slotShift)) * 4);
      const words = new Int32Array(buffer);
      words[HEADER_SEED] = this.seed;
      words[HEADER_SLOTS4] = slots4;
      words[HEADER_SLOTS6] = slots6;
      const fits4 = family4.moveTo({ words, base: HEADER_WORDS, slots: slots4 }, from4, oldest);
      const fits6 = family6.moveTo({ words, base: base6, slots: slots6 }, from6, oldest);
      if (fits4 && fits6) {
        this.isNew = true;
        this.rebuiltAt = oldest;
        return buffer;
      }
      if (!fits4) slots4 *= 2;
      if (!fits6) slots6 *= 2;
    }
  }
}
