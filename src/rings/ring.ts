import { WeirError } from '../errors.js';
import { ADDR_WORDS_SHIFT, checkRingViews, DESC_WORDS_SHIFT, type RingViews } from './layout.js';

// V8 folds a module's own constants into optimized code, but loads an imported one at each use, which made a
// loop over descriptors cost half as much again. So the words of an entry (see layout.ts) are named here.
const DESC_SHIFT = DESC_WORDS_SHIFT;
const ADDR_SHIFT = ADDR_WORDS_SHIFT;
const WORD_ADDR_LOW = 0;
const WORD_ADDR_HIGH = 1;
const WORD_LEN = 2;
const WORD_OPTIONS = 3;

/** Bit of a ring's flags word: the kernel sleeps and wants a system call (XDP_RING_NEED_WAKEUP). */
const FLAG_NEED_WAKEUP = 1;

/**
 * The ends of single-producer single-consumer rings, as AF_XDP has them (verbs and cached indices after
 * xdp-tools' xsk.h). Indices run freely over u32; entry `i` lives in slot `i & (size - 1)`.
 *
 *        consumer                 producer             consumer + size
 *           |                        |                        |
 *   --------[ published, not yet     ][ free, the producer's   ]--------> index
 *           | released: consumer's   |                        |
 *             peek(n) … release(n)     reserve(n) … submit(n)
 *
 * Each end owns one index word and caches the other. The other's word is read only when the cached copy does
 * not satisfy the request, the own word is written once per `submit` or `release`: at most one atomic load
 * and one store per batch. `reserve` and `peek` move nothing, so an entry reserved and not submitted, or
 * peeked and not released, is simply reserved or peeked again; there is nothing to cancel.
 *
 * Indices are kept as int32 bit patterns (`| 0`): V8 holds those unboxed, where a u32 beyond 2^31 would be a
 * heap number. Callers may add to them without care, because every method masks its index.
 *
 * An end throws only when the ring's invariant `0 ≤ producer − consumer ≤ size` is broken, which no load can
 * cause: then frames would be lost or handed out twice, and the worker must stop.
 */
abstract class RingEnd {
  // Numbers begin as 0 and not as undefined, because V8 would then never treat the fields as small integers.
  /** Number of entries, a power of two. */
  readonly size: number = 0;
  protected readonly mask: number = 0;
  protected readonly entries: Int32Array;
  protected readonly producerWords: Int32Array;
  protected readonly producerIndex: number = 0;
  protected readonly consumerWords: Int32Array;
  protected readonly consumerIndex: number = 0;
  /** The producer's own next index; for a consumer a copy, never ahead of the shared word. */
  cachedProd = 0;
  /** The consumer's own next index; for a producer a copy, never ahead of the shared word. */
  cachedCons = 0;

  /** Takes over the indices found in memory. Throws `E_RING_SIZE`, `E_RING_VIEWS` or `E_RING_CORRUPT`. */
  constructor(views: RingViews, wordsShift: number) {
    checkRingViews(views, wordsShift);
    this.size = views.size;
    this.mask = views.size - 1;
    this.entries = views.entries;
    this.producerWords = views.producer.words;
    this.producerIndex = views.producer.index;
    this.consumerWords = views.consumer.words;
    this.consumerIndex = views.consumer.index;
    // These pair with the stores in submit and release of whoever held the ring's ends before.
    this.cachedProd = Atomics.load(this.producerWords, this.producerIndex);
    this.cachedCons = Atomics.load(this.consumerWords, this.consumerIndex);
    if ((this.cachedProd - this.cachedCons) >>> 0 > this.size) throw corruptRing(this);
  }

  /**
   * Entries submitted and not yet released, as the shared words say. For accounting, not for the packet path.
   * Exact for the thread of either end; a third thread may see a number beyond 0 … size.
   */
  published(): number {
    // These pair with the stores in submit and release; one of both words is the caller's own.
    const prod = Atomics.load(this.producerWords, this.producerIndex);
    return (prod - Atomics.load(this.consumerWords, this.consumerIndex)) >>> 0;
  }
}

/** What both kinds of producer share: `reserve(n)`, write entries from `cachedProd` on, `submit(n)`. */
abstract class ProducerEnd extends RingEnd {
  private readonly flagsWords: Int32Array | null;
  private readonly flagsIndex: number = 0;

  constructor(views: RingViews, wordsShift: number) {
    super(views, wordsShift);
    this.flagsWords = views.flags?.words ?? null;
    this.flagsIndex = views.flags?.index ?? 0;
  }

  /** How many entries may be written now, at most `want`; the first of them is `cachedProd`. */
  reserve(want: number): number {
    const size = this.size;
    let free = size - ((this.cachedProd - this.cachedCons) >>> 0);
    if (free < want) {
      // Pairs with the store in release: what the consumer gave back it has read, so it may be overwritten.
      this.cachedCons = Atomics.load(this.consumerWords, this.consumerIndex);
      free = size - ((this.cachedProd - this.cachedCons) >>> 0);
      if (free < 0) throw corruptRing(this);
    }
    return Math.min(free, want);
  }

  /** Hands the next `count` written entries to the consumer; `count` is at most what `reserve` returned. */
  submit(count: number): void {
    // An idle loop must not take the word's cache line from the other side again and again.
    if (count === 0) return;
    const prod = this.cachedProd;
    if (count >>> 0 > this.size - ((prod - this.cachedCons) >>> 0)) throw overrun(this, 'submit', count);
    const nextProd = (prod + count) | 0;
    this.cachedProd = nextProd;
    // Publishes the entries, and the frame bytes written before them; pairs with the load in peek.
    Atomics.store(this.producerWords, this.producerIndex, nextProd);
  }

  /** Whether the kernel sleeps and wants a system call to look at this ring. Ask after `submit`. */
  needsWakeup(): boolean {
    const flagsWords = this.flagsWords;
    // Pairs with the kernel's write of the flag. Sequential consistency keeps this load behind the store in
    // submit; the other way round, a kernel that went to sleep in between would be missed.
    return flagsWords !== null && (Atomics.load(flagsWords, this.flagsIndex) & FLAG_NEED_WAKEUP) !== 0;
  }
}

/** What both kinds of consumer share: `peek(n)`, read entries from `cachedCons` on, `release(n)`. */
abstract class ConsumerEnd extends RingEnd {
  /**
   * How many entries may be read now, at most `want`; the first of them is `cachedCons`. Looks for more as
   * soon as fewer than `want` are known, where xsk.h waits until none is left: batches stay full that way.
   */
  peek(want: number): number {
    let ready = (this.cachedProd - this.cachedCons) >>> 0;
    if (ready < want) {
      // Pairs with the store in submit: entries and frame bytes written before it are visible after this.
      this.cachedProd = Atomics.load(this.producerWords, this.producerIndex);
      ready = (this.cachedProd - this.cachedCons) >>> 0;
      if (ready > this.size) throw corruptRing(this);
    }
    return Math.min(ready, want);
  }

  /** Gives the next `count` entries back to the producer; `count` is at most what `peek` returned. */
  release(count: number): void {
    if (count === 0) return;
    const cons = this.cachedCons;
    if (count >>> 0 > (this.cachedProd - cons) >>> 0) throw overrun(this, 'release', count);
    const nextCons = (cons + count) | 0;
    this.cachedCons = nextCons;
    // Everything wanted from the entries was read before this; pairs with the load in reserve.
    Atomics.store(this.consumerWords, this.consumerIndex, nextCons);
  }
}

/** Producer of descriptors: the worker's end of a TX ring. */
export class DescProducer extends ProducerEnd {
  constructor(views: RingViews) {
    super(views, DESC_WORDS_SHIFT);
  }

  /** Fills reserved entry `index`: `addr` is a byte offset in the UMEM, `lenBytes` the frame's length. */
  write(index: number, addr: number, lenBytes: number): void {
    const entries = this.entries;
    const base = (index & this.mask) << DESC_SHIFT;
    entries[base + WORD_ADDR_LOW] = addr;
    entries[base + WORD_ADDR_HIGH] = 0;
    entries[base + WORD_LEN] = lenBytes;
    entries[base + WORD_OPTIONS] = 0;
  }
}

/** Consumer of descriptors: the worker's end of an RX ring. */
export class DescConsumer extends ConsumerEnd {
  constructor(views: RingViews) {
    super(views, DESC_WORDS_SHIFT);
  }

  /** Byte offset in the UMEM of peeked entry `index`. */
  addrAt(index: number): number {
    return this.entries[((index & this.mask) << DESC_SHIFT) + WORD_ADDR_LOW]!;
  }

  /** Length in bytes of the frame of peeked entry `index`. */
  lenAt(index: number): number {
    return this.entries[((index & this.mask) << DESC_SHIFT) + WORD_LEN]!;
  }
}

/** Producer of bare addresses: the worker's end of a fill ring. */
export class AddrProducer extends ProducerEnd {
  constructor(views: RingViews) {
    super(views, ADDR_WORDS_SHIFT);
  }

  /** Fills reserved entry `index`: `addr` is a byte offset in the UMEM. */
  write(index: number, addr: number): void {
    const entries = this.entries;
    const base = (index & this.mask) << ADDR_SHIFT;
    entries[base + WORD_ADDR_LOW] = addr;
    entries[base + WORD_ADDR_HIGH] = 0;
  }
}

/** Consumer of bare addresses: the worker's end of a completion ring. */
export class AddrConsumer extends ConsumerEnd {
  constructor(views: RingViews) {
    super(views, ADDR_WORDS_SHIFT);
  }

  /** Byte offset in the UMEM of peeked entry `index`. */
  addrAt(index: number): number {
    return this.entries[((index & this.mask) << ADDR_SHIFT) + WORD_ADDR_LOW]!;
  }
}

/** The worker's ends of one port's rings, whatever stands behind them. */
export interface PortRings {
  /** Frames that came in. */
  readonly rx: DescConsumer;
  /** Frames to be sent. */
  readonly tx: DescProducer;
  /** Free frames given away to be received into. */
  readonly fill: AddrProducer;
  /** Frames that were sent and are free again. */
  readonly completion: AddrConsumer;
}

function corruptRing(ring: RingEnd): WeirError {
  const producer = ring.cachedProd >>> 0;
  const consumer = ring.cachedCons >>> 0;
  return new WeirError('E_RING_CORRUPT', `ring of ${ring.size}: producer ${producer}, consumer ${consumer}`);
}

function overrun(ring: RingEnd, verb: 'submit' | 'release', count: number): WeirError {
  const producer = ring.cachedProd >>> 0;
  const consumer = ring.cachedCons >>> 0;
  const state = `ring of ${ring.size}, producer ${producer}, consumer ${consumer}`;
  return new WeirError('E_RING_OVERRUN', `${verb} of ${count}, more than was granted: ${state}`);
}
