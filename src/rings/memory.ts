import { WeirError } from '../errors.js';
import { ADDR_WORDS_SHIFT, checkRingSize, DESC_WORDS_SHIFT, type RingViews } from './layout.js';
import { AddrConsumer, AddrProducer, DescConsumer, DescProducer, type PortRings } from './ring.js';

/**
 * A port whose rings lie in ordinary or shared memory, with the network card's ends as an object: the port of
 * simulator, tests and benchmarks. Bytes of one ring:
 *
 *   0 producer word | 128 consumer word | 256 entries … | up to a multiple of 128, and 128 more
 *
 * so that nothing two parties write is ever within 128 bytes, wherever the memory begins. The port is its RX,
 * TX, fill and completion ring in this order.
 */
const PAD_BYTES = 128;
const CONSUMER_BYTE = PAD_BYTES;
const ENTRIES_BYTE = 2 * PAD_BYTES;

function ringBytes(ringSize: number, wordsShift: number): number {
  const entriesBytes = (ringSize << wordsShift) * Int32Array.BYTES_PER_ELEMENT;
  return ENTRIES_BYTE + Math.ceil(entriesBytes / PAD_BYTES) * PAD_BYTES + PAD_BYTES;
}

function ringViews(
  memory: ArrayBufferLike,
  offsetBytes: number,
  ringSize: number,
  wordsShift: number,
): RingViews {
  return {
    producer: { words: new Int32Array(memory, offsetBytes, 1), index: 0 },
    consumer: { words: new Int32Array(memory, offsetBytes + CONSUMER_BYTE, 1), index: 0 },
    entries: new Int32Array(memory, offsetBytes + ENTRIES_BYTE, ringSize << wordsShift),
    size: ringSize,
  };
}

/** The four rings of a port in one piece of memory. */
class PortMemory {
  readonly rx: RingViews;
  readonly tx: RingViews;
  readonly fill: RingViews;
  readonly completion: RingViews;

  static bytesFor(ringSize: number): number {
    return 2 * (ringBytes(ringSize, DESC_WORDS_SHIFT) + ringBytes(ringSize, ADDR_WORDS_SHIFT));
  }

  constructor(memory: ArrayBufferLike, ringSize: number) {
    const descRingBytes = ringBytes(ringSize, DESC_WORDS_SHIFT);
    const addrRingBytes = ringBytes(ringSize, ADDR_WORDS_SHIFT);
    this.rx = ringViews(memory, 0, ringSize, DESC_WORDS_SHIFT);
    this.tx = ringViews(memory, descRingBytes, ringSize, DESC_WORDS_SHIFT);
    this.fill = ringViews(memory, 2 * descRingBytes, ringSize, ADDR_WORDS_SHIFT);
    this.completion = ringViews(memory, 2 * descRingBytes + addrRingBytes, ringSize, ADDR_WORDS_SHIFT);
  }

  /** Sets every index, before anybody looks. */
  startAt(firstIndex: number): void {
    for (const ring of [this.rx, this.tx, this.fill, this.completion]) {
      ring.producer.words[ring.producer.index] = firstIndex;
      ring.consumer.words[ring.consumer.index] = firstIndex;
    }
  }
}

/**
 * The network card's side of a memory port. The methods handle one frame and publish it at once; who moves
 * many uses the ring ends themselves, with one `submit` or `release` per batch. One thread only.
 */
export class MemoryNic {
  readonly rx: DescProducer;
  readonly tx: DescConsumer;
  readonly fill: AddrConsumer;
  readonly completion: AddrProducer;
  /** UMEM byte offset of the frame that `takeTx` took last. */
  txAddr = 0;
  /** Length in bytes of the frame that `takeTx` took last. */
  txLen = 0;
  /** Frames taken by `takeTx` and not yet given to `complete`: those on the wire. */
  framesHeld = 0;

  constructor(memory: PortMemory) {
    this.rx = new DescProducer(memory.rx);
    this.tx = new DescConsumer(memory.tx);
    this.fill = new AddrConsumer(memory.fill);
    this.completion = new AddrProducer(memory.completion);
  }

  /**
   * UMEM byte offset of the frame the next reception goes into, −1 if the fill ring is empty. Takes nothing:
   * it stays the same until `pushRx` succeeds, so that a refused reception costs no frame.
   */
  nextFillAddr(): number {
    const fill = this.fill;
    return fill.peek(1) === 0 ? -1 : fill.addrAt(fill.cachedCons);
  }

  /**
   * Receives: takes the fill entry last shown by `nextFillAddr` and produces a descriptor. `addr` is that
   * frame, or a place inside it when there is headroom. False, and nothing changed, when the RX ring is full.
   */
  pushRx(addr: number, lenBytes: number): boolean {
    const rx = this.rx;
    if (rx.reserve(1) === 0) return false;
    this.fill.release(1);
    rx.write(rx.cachedProd, addr, lenBytes);
    rx.submit(1);
    return true;
  }

  /** Takes the next frame to send into `txAddr` and `txLen`; false when the TX ring is empty. */
  takeTx(): boolean {
    const tx = this.tx;
    if (tx.peek(1) === 0) return false;
    this.txAddr = tx.addrAt(tx.cachedCons);
    this.txLen = tx.lenAt(tx.cachedCons);
    this.framesHeld++;
    tx.release(1);
    return true;
  }

  /** Reports a taken frame as sent; false when the completion ring is full, then the card still holds it. */
  complete(addr: number): boolean {
    const completion = this.completion;
    if (completion.reserve(1) === 0) return false;
    completion.write(completion.cachedProd, addr);
    this.framesHeld--;
    completion.submit(1);
    return true;
  }
}

/** A port in new memory, or one over the memory of a port that another thread made. */
export type MemoryPortOptions =
  | {
      /** Entries of each ring, a power of two. */
      readonly ringSize: number;
      /** Whether another thread is to attach: the memory is then a SharedArrayBuffer. */
      readonly shared?: boolean;
      /** u32 at which all indices begin; tests start shortly before 2^32. */
      readonly firstIndex?: number;
    }
  | { readonly ringSize: number; readonly memory: ArrayBufferLike };

/**
 * Both sides of a port. Over a SharedArrayBuffer two threads make one each, the second with `memory`, and
 * from then on one of them uses only `rings` and the other only `nic`.
 * Throws `E_RING_SIZE` for a bad size and `E_RING_VIEWS` for memory that is too small.
 */
export class MemoryPort {
  readonly ringSize: number;
  /** What another thread needs, besides `ringSize`, to attach. */
  readonly memory: ArrayBufferLike;
  /** The worker's side. */
  readonly rings: PortRings;
  /** The network card's side. */
  readonly nic: MemoryNic;

  constructor(options: MemoryPortOptions) {
    const { ringSize } = options;
    checkRingSize(ringSize);
    const bytes = PortMemory.bytesFor(ringSize);
    let portMemory: PortMemory;
    if ('memory' in options) {
      this.memory = options.memory;
      if (this.memory.byteLength < bytes) {
        throw new WeirError('E_RING_VIEWS', `port memory: ${this.memory.byteLength} bytes, ${bytes} needed`);
      }
      portMemory = new PortMemory(this.memory, ringSize);
    } else {
      this.memory = options.shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
      portMemory = new PortMemory(this.memory, ringSize);
      portMemory.startAt(options.firstIndex ?? 0);
    }
    this.ringSize = ringSize;
    this.rings = {
      rx: new DescConsumer(portMemory.rx),
      tx: new DescProducer(portMemory.tx),
      fill: new AddrProducer(portMemory.fill),
      completion: new AddrConsumer(portMemory.completion),
    };
    this.nic = new MemoryNic(portMemory);
  }
}

/** Where a port's frames are; `total` is the sum of the others. */
export interface FrameCounts {
  readonly rx: number;
  readonly tx: number;
  readonly fill: number;
  readonly completion: number;
  /** Held by the card between `takeTx` and `complete`. */
  readonly nic: number;
  readonly total: number;
}

/**
 * Counts the frames in a port's rings, to assert `frames = free + queued + total` over the ports of a worker.
 * Call it while both sides rest: an entry peeked and not released still counts as in its ring.
 */
export function countFrames(port: MemoryPort): FrameCounts {
  const rx = port.rings.rx.published();
  const tx = port.rings.tx.published();
  const fill = port.rings.fill.published();
  const completion = port.rings.completion.published();
  const nic = port.nic.framesHeld;
  return { rx, tx, fill, completion, nic, total: rx + tx + fill + completion + nic };
}
