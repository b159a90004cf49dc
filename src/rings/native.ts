/**
 * The C library of `native/`: loaded once a thread, called through prepared calls, its memory mapped as typed arrays.
 *
 * An ordinary ffi call allocates its arguments and costs some 4 µs. A prepared one keeps the call's description, its
 * arguments and its result in buffers of its own and costs a tenth. The arguments of a prepared call are 8-byte slots
 * in one buffer, which hold every integer and pointer of this ABI as they are.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getSystemErrorName } from 'node:util';
import { usageError, WeirError } from '../errors.js';
import type { WorkerIo } from './io.js';
import type { RingViews } from './layout.js';
import { AddrConsumer, AddrProducer, DescConsumer, DescProducer, type PortRings } from './ring.js';

/** What is used of ffi-napi's bindings, which its types leave out. */
interface FfiBindings {
  ffi_call(cif: Buffer, fn: Buffer, result: Buffer, args: Buffer): void;
}

interface Ffi {
  CIF(returns: string, takes: readonly string[]): Buffer;
  DynamicLibrary: new (path: string, mode: number) => { get(symbol: string): Buffer };
  RTLD_NOW: number;
}

interface Ref {
  readPointer(buffer: Buffer, offset: number, bytes: number): Buffer;
  /** Exact: addresses of user space have 47 bits. */
  address(buffer: Buffer): number;
}

/** One of the integer types of the ABI; every pointer is a `pointer`. */
type NativeType = 'void' | 'int' | 'uint32' | 'pointer';
/** Pointers are numbers where they come from C, and buffers where they lead to memory of ours. */
export type NativeValue = number | bigint | Buffer;

const SLOT_BYTES = 8;
const ERROR_BYTES = 512;

/** A C function with its arguments. One thread, one call at a time. */
export class PreparedCall {
  readonly cif: Buffer;
  readonly result = Buffer.alloc(SLOT_BYTES);
  /**
   * The addresses of the slots, as C wants to have arguments, and then the slots. They are one piece of memory, because
   * an address alone keeps no slot from being collected.
   */
  readonly pointers: Buffer;
  private readonly slots: Buffer;

  constructor(
    private readonly bindings: FfiBindings,
    private readonly ref: Ref,
    ffi: Ffi,
    readonly fn: Buffer,
    returns: NativeType,
    private readonly takes: readonly NativeType[],
  ) {
    this.cif = ffi.CIF(returns, takes);
    // Never empty, because memory without bytes has no address.
    const slotsAt = SLOT_BYTES * (takes.length + 1);
    this.pointers = Buffer.alloc(2 * slotsAt);
    this.slots = this.pointers.subarray(slotsAt);
    const address = addressOf(ref, this.slots);
    for (let i = 0; i < takes.length; i++) {
      this.pointers.writeBigUInt64LE(address + BigInt(i * SLOT_BYTES), i * SLOT_BYTES);
    }
  }

  /** Stores the arguments for the calls to come. */
  store(...values: readonly NativeValue[]): void {
    if (values.length !== this.takes.length) {
      throw new WeirError(
        'E_NATIVE',
        `a native call got ${values.length} arguments, not ${this.takes.length}`,
      );
    }
    values.forEach((value, i) => {
      const at = i * SLOT_BYTES;
      if (Buffer.isBuffer(value)) this.slots.writeBigUInt64LE(addressOf(this.ref, value), at);
      else if (typeof value === 'bigint') this.slots.writeBigUInt64LE(value, at);
      else this.slots.writeInt32LE(value | 0, at);
    });
  }

  /** Stores the arguments, calls, and leaves the result in `result`. */
  call(...values: readonly NativeValue[]): void {
    this.store(...values);
    this.bindings.ffi_call(this.cif, this.fn, this.result, this.pointers);
  }

  callInt(...values: readonly NativeValue[]): number {
    this.call(...values);
    return this.result.readInt32LE(0);
  }

  callPointer(...values: readonly NativeValue[]): bigint {
    this.call(...values);
    return this.result.readBigUInt64LE(0);
  }
}

function addressOf(ref: Ref, buffer: Buffer): bigint {
  return BigInt(ref.address(buffer));
}

/** Offsets in the control block, see native/weir.h; here in words of their type. */
const enum Control {
  KICK_INT32 = 0,
  WAIT_FLOAT64 = 1,
  NOW_FLOAT64 = 8,
  WAKE_FD_INT32 = 18,
  FEATURES_INT32 = 19,
  STATISTICS_FLOAT64 = 16,
  STATISTICS_COUNT = 16,
}

const enum Kick {
  TX_INSIDE = 1,
  TX_OUTSIDE = 2,
  FILL_INSIDE = 4,
  FILL_OUTSIDE = 8,
}

const enum Region {
  CONTROL = 0,
  UMEM = 2,
  RINGS = 4,
  RING_WORDS = 7,
  PORT_WORDS = 28,
  WORDS = 60,
}

/** How long at most a turn sleeps while there is something to send. */
const TX_RETRY_NS = 50_000;
const FEATURE_ZERO_COPY = 1;
const NO_FLAGS_WORD = 0xffffffff;
/** What one external buffer can hold, and a bound that keeps every address in a small integer. */
const UMEM_BYTES_MAX = 0x3fffffff;

/** Bytes of a region as words of 32 bits. */
export function int32View(region: Buffer, offsetBytes = 0, words?: number): Int32Array {
  const available = (region.byteLength - offsetBytes) >>> 2;
  return new Int32Array(region.buffer, region.byteOffset + offsetBytes, words ?? available);
}

/** The loaded library. */
export class Native {
  private readonly calls = new Map<string, PreparedCall>();
  private readonly library: { get(symbol: string): Buffer };

  constructor(
    private readonly bindings: FfiBindings,
    private readonly ffi: Ffi,
    private readonly ref: Ref,
    readonly directory: string,
  ) {
    this.library = new ffi.DynamicLibrary(join(directory, 'libweir.so'), ffi.RTLD_NOW);
  }

  /** A call of its own for `symbol`, with its own arguments and result. */
  prepare(symbol: string, returns: NativeType, takes: readonly NativeType[]): PreparedCall {
    return new PreparedCall(this.bindings, this.ref, this.ffi, this.library.get(symbol), returns, takes);
  }

  /** This thread's shared call for `symbol`. */
  function(symbol: string, returns: NativeType, takes: readonly NativeType[]): PreparedCall {
    let call = this.calls.get(symbol);
    if (call === undefined) {
      call = this.prepare(symbol, returns, takes);
      this.calls.set(symbol, call);
    }
    return call;
  }

  /**
   * Memory of C as a buffer, of which views may be taken. A mapping must be mapped in full and only once a thread: a
   * second external buffer over the same memory detaches the first.
   */
  mapRegion(address: bigint, bytes: number): Buffer {
    const pointer = Buffer.alloc(SLOT_BYTES);
    pointer.writeBigUInt64LE(address);
    return this.ref.readPointer(pointer, 0, bytes);
  }

  /** The compiled function that takes one pointer and returns an int, called without allocation. */
  turner(symbol: string, handle: bigint): () => void {
    const prepared = this.prepare(symbol, 'int', ['pointer']);
    prepared.store(handle);
    const { ffi_call: ffiCall } = this.bindings;
    const { cif, fn, result, pointers } = prepared;
    return () => ffiCall(cif, fn, result, pointers);
  }

  /** Binds the calling thread to a CPU, and has it let in soon when it wakes. Throws `E_PIN`. */
  pinThread(cpu: number): void {
    const failure = this.function('weir_pin_thread', 'int', ['int']).callInt(cpu);
    if (failure < 0) throw new WeirError('E_PIN', `CPU ${cpu}: ${getSystemErrorName(failure)}`);
  }

  /** Closes an io by its pointer, for a worker that cannot do so itself any more. */
  closeIo(handle: bigint): void {
    this.function('weir_io_close', 'void', ['pointer']).call(handle);
  }
}

let loaded: Native | undefined;

/** Loads the library, once a thread. Throws `E_NATIVE` with the command that mends it. */
export function loadNative(directory = nativeDirectory()): Native {
  if (loaded !== undefined) return loaded;
  const mend = `run ${join(directory, '..', 'setup')}`;
  if (!existsSync(join(directory, 'libweir.so'))) {
    throw new WeirError('E_NATIVE', `${join(directory, 'libweir.so')} is not there; ${mend}`);
  }
  const require = createRequire(import.meta.url);
  try {
    const bindings: FfiBindings = require('ffi-napi/lib/bindings');
    const ffi: Ffi = require('ffi-napi');
    const ref: Ref = require('ref-napi');
    loaded = new Native(bindings, ffi, ref, directory);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new WeirError('E_NATIVE', `the native library does not load (${why}); ${mend}`, { cause });
  }
  return loaded;
}

/** `native/build` of the package this module belongs to. */
export function nativeDirectory(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return join(folder, 'native', 'build');
}

// ---- errors -----------------------------------------------------------------------------------------------

/** Codes of C that the user's configuration causes. */
const USAGE_CODES = new Set(['E_DEVICE', 'E_QUEUES', 'E_RING_SIZE', 'E_FRAMES']);

/** A buffer for C's `err`, and what it says as a `WeirError`. */
export class NativeErrorText {
  readonly buffer = Buffer.alloc(ERROR_BYTES);
  readonly bytes = ERROR_BYTES;

  /** The line in the buffer, `E_CODE: message`. */
  toError(): WeirError {
    const line = cText(this.buffer);
    const found = /^(E_[A-Z_]+): (.*)$/s.exec(line);
    if (found === null)
      return new WeirError('E_NATIVE', line === '' ? 'the native library gave no reason' : line);
    return USAGE_CODES.has(found[1]!)
      ? usageError(found[1]!, found[2]!)
      : new WeirError(found[1]!, found[2]!);
  }
}

/** The text up to the first zero byte. */
export function cText(buffer: Buffer): string {
  const end = buffer.indexOf(0);
  return buffer.toString('utf8', 0, end < 0 ? buffer.length : end);
}

// ---- a worker's rings -------------------------------------------------------------------------------------

export interface IoSizes {
  readonly frames: number;
  readonly frameBytes: number;
  readonly ringSize: number;
}

/** Throws `E_FRAMES` or `E_RING_SIZE` where the sizes cannot be those of a UMEM and its rings. */
export function checkIoSizes({ frames, frameBytes, ringSize }: IoSizes): void {
  const isPowerOfTwo = (n: number): boolean => Number.isInteger(n) && n > 0 && (n & (n - 1)) === 0;
  if (!(Number.isInteger(frames) && frames > 0))
    throw usageError('E_FRAMES', `${frames} frames: must be 1 or more`);
  if (!isPowerOfTwo(frameBytes) || frameBytes < 2048 || frameBytes > 4096) {
    throw usageError('E_FRAMES', `frames of ${frameBytes} bytes: must be 2048 or 4096`);
  }
  if (frames * frameBytes > UMEM_BYTES_MAX) {
    throw usageError('E_FRAMES', `${frames} frames of ${frameBytes} bytes: a queue may have less than 1 GiB`);
  }
  if (!isPowerOfTwo(ringSize) || ringSize > 1 << 20) {
    throw usageError('E_RING_SIZE', `ring size ${ringSize}: must be a power of two up to ${1 << 20}`);
  }
}

/** Room for the `regions` of an open call. */
export function regionsBuffer(): Buffer {
  return Buffer.alloc(Region.WORDS * SLOT_BYTES);
}

/** Wraps what an open call left behind as a `WorkerIo`. */
export function nativeIo(native: Native, handle: bigint, regions: Buffer, sizes: IoSizes): WorkerIo {
  const region = (word: number): Buffer =>
    native.mapRegion(
      regions.readBigUInt64LE(word * SLOT_BYTES),
      Number(regions.readBigUInt64LE((word + 1) * SLOT_BYTES)),
    );
  const control = region(Region.CONTROL);
  const umem = region(Region.UMEM);
  const ports = [0, 1].map((port) => {
    const ring = (index: number): RingViews => {
      const word = Region.RINGS + port * Region.PORT_WORDS + index * Region.RING_WORDS;
      const offset = (at: number): number =>
        Number(BigInt.asUintN(32, regions.readBigUInt64LE((word + at) * SLOT_BYTES)));
      return ringViews(region(word), offset(2), offset(3), offset(4), offset(5), offset(6));
    };
    return {
      rx: new DescConsumer(ring(0)),
      tx: new DescProducer(ring(1)),
      fill: new AddrProducer(ring(2)),
      completion: new AddrConsumer(ring(3)),
    };
  });
  return new NativeIo(native, handle, control, umem, [ports[0]!, ports[1]!], sizes);
}

function ringViews(
  region: Buffer,
  producer: number,
  consumer: number,
  flags: number,
  entries: number,
  size: number,
): RingViews {
  // One view over everything: its entries come first only where their offset is 0, so they have a view of their own.
  const words = int32View(region);
  return {
    producer: { words, index: producer >>> 2 },
    consumer: { words, index: consumer >>> 2 },
    ...(flags === NO_FLAGS_WORD ? {} : { flags: { words, index: flags >>> 2 } }),
    entries: int32View(region, entries),
    size,
  };
}

class NativeIo implements WorkerIo {
  readonly umem: Uint8Array;
  readonly frames: number;
  readonly frameBytes: number;
  readonly statistics: Float64Array;
  readonly nowWord: Float64Array;
  readonly wakeFd: number;
  readonly zeroCopy: boolean;
  private readonly controlWords: Int32Array;
  private readonly controlDoubles: Float64Array;
  private readonly turnNow: () => void;
  private closed = false;

  constructor(
    private readonly native: Native,
    readonly handle: bigint,
    control: Buffer,
    umem: Buffer,
    readonly ports: readonly [PortRings, PortRings],
    sizes: IoSizes,
  ) {
    this.umem = new Uint8Array(umem.buffer, umem.byteOffset, umem.byteLength);
    this.frames = sizes.frames;
    this.frameBytes = sizes.frameBytes;
    this.controlWords = int32View(control);
    const doubles = new Float64Array(control.buffer, control.byteOffset, control.byteLength >>> 3);
    this.controlDoubles = doubles;
    this.nowWord = doubles.subarray(Control.NOW_FLOAT64, Control.NOW_FLOAT64 + 1);
    const statisticsEnd = Control.STATISTICS_FLOAT64 + Control.STATISTICS_COUNT;
    this.statistics = doubles.subarray(Control.STATISTICS_FLOAT64, statisticsEnd);
    this.wakeFd = this.controlWords[Control.WAKE_FD_INT32]!;
    this.zeroCopy = (this.controlWords[Control.FEATURES_INT32]! & FEATURE_ZERO_COPY) !== 0;
    this.turnNow = native.turner('weir_io_turn', handle);
  }

  start(): void {
    const failure = this.native.function('weir_io_start', 'int', ['pointer']).callInt(this.handle);
    if (failure < 0) throw new WeirError('E_RINGS', `the rings do not start: ${getSystemErrorName(failure)}`);
  }

  turn(waitNs: number): void {
    const [inside, outside] = this.ports;
    // Entries that the kernel did not take at the last turn count as well, so the question is what lies in the ring.
    let kick = 0;
    if (inside.tx.published() !== 0 && inside.tx.needsWakeup()) kick |= Kick.TX_INSIDE;
    if (outside.tx.published() !== 0 && outside.tx.needsWakeup()) kick |= Kick.TX_OUTSIDE;
    if (inside.fill.needsWakeup()) kick |= Kick.FILL_INSIDE;
    if (outside.fill.needsWakeup()) kick |= Kick.FILL_OUTSIDE;
    this.controlWords[Control.KICK_INT32] = kick;
    // Frames that the kernel cannot take right now are not announced when it can again, so they bound the sleep.
    const mayStay = (kick & (Kick.TX_INSIDE | Kick.TX_OUTSIDE)) !== 0 && waitNs > TX_RETRY_NS;
    this.controlDoubles[Control.WAIT_FLOAT64] = mayStay ? TX_RETRY_NS : waitNs;
    this.turnNow();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.native.closeIo(this.handle);
  }
}
