import { usageError, WeirError } from '../errors.js';

/*
 * The shape of a ring in memory, without behaviour. Facts from linux/if_xdp.h and the AF_XDP chapter of the
 * kernel's networking documentation. The word numbers are those of a little-endian machine; weir runs on no other.
 *
 *   RX, TX            struct xdp_desc, 16 bytes   | addr u64           | len u32  | options u32 |
 *                     int32 word of the entry     | 0 low    1 high    | 2        | 3           |
 *   fill, completion  u64, 8 bytes                | addr u64           |
 *                     int32 word of the entry     | 0 low    1 high    |
 *
 * `addr` is a byte offset into the UMEM. weir keeps a UMEM below 2 GiB, so the low word alone is the address
 * and is never negative; producers write the high word as 0.
 */

/** log2 of the int32 words of a descriptor. */
export const DESC_WORDS_SHIFT = 2;
/** log2 of the int32 words of a bare address. */
export const ADDR_WORDS_SHIFT = 1;

/** Bounds every ring, so that no byte offset inside a port's rings passes 2^31. */
export const RING_SIZE_MAX = 1 << 24;

/** One u32 of memory that two parties see. */
export interface SharedWord {
  readonly words: Int32Array;
  readonly index: number;
}

/** Where one ring lives; the same for memory of this process and for memory mapped from the kernel. */
export interface RingViews {
  /** Free-running index of the next entry to be produced. Only the producer writes it. */
  readonly producer: SharedWord;
  /** Free-running index of the next entry to be consumed. Only the consumer writes it. */
  readonly consumer: SharedWord;
  /** Flags, written by the kernel. Left out where there is nobody to wake. */
  readonly flags?: SharedWord;
  /** The entries, `size << wordsShift` int32 words. */
  readonly entries: Int32Array;
  /** Number of entries, a power of two. */
  readonly size: number;
}

/** Throws `E_RING_SIZE` unless `size` is a power of two from 1 to `RING_SIZE_MAX`. */
export function checkRingSize(size: number): void {
  const isPowerOfTwo =
    Number.isInteger(size) && size > 0 && size <= RING_SIZE_MAX && (size & (size - 1)) === 0;
  if (!isPowerOfTwo) {
    throw usageError('E_RING_SIZE', `ring size ${size}: must be a power of two from 1 to ${RING_SIZE_MAX}`);
  }
}

/** Throws `E_RING_SIZE` or `E_RING_VIEWS` when the views cannot be a ring with entries of this width. */
export function checkRingViews(views: RingViews, wordsShift: number): void {
  checkRingSize(views.size);
  const wordsNeeded = views.size << wordsShift;
  if (views.entries.length < wordsNeeded) {
    throw new WeirError('E_RING_VIEWS', `ring entries: ${views.entries.length} words, ${wordsNeeded} needed`);
  }
  checkSharedWord('producer', views.producer);
  checkSharedWord('consumer', views.consumer);
  if (views.flags !== undefined) checkSharedWord('flags', views.flags);
}

function checkSharedWord(name: string, word: SharedWord): void {
  if (!(Number.isInteger(word.index) && word.index >= 0 && word.index < word.words.length)) {
    throw new WeirError('E_RING_VIEWS', `ring ${name} word: index ${word.index} outside its view`);
  }
}
