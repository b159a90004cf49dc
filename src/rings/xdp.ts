/**
 * The backend `xdp`: two devices as one wire by weir's XDP program, and AF_XDP sockets for the queues.
 * `Wire` is for the control thread, `openXdpIo` for a worker thread, which gets the wire's handle from it.
 */
import { join } from 'node:path';
import { usageError, WeirError } from '../errors.js';
import type { WorkerIo } from './io.js';
import {
  checkIoSizes,
  cText,
  type IoSizes,
  loadNative,
  type Native,
  NativeErrorText,
  nativeIo,
  regionsBuffer,
} from './native.js';

/**
 * What became of the frames that came in at a port, each counted once. The order is that of `enum weir_counter` in
 * native/xdp_layout.h.
 *
 * - `toSocket` to the worker of its queue
 * - `nonIp` crossed in the kernel: ARP, LLDP, STP and whatever else is not IP
 * - `bypass` crossed: its source or destination is a bypass prefix
 * - `failOpen`, `failClosed` crossed or dropped: no worker on its queue
 * - `runtOpen`, `runtClosed` crossed or dropped: ends within its headers
 * - `tooLong` dropped: longer than a frame of the UMEM
 */
export const WIRE_COUNTER_NAMES = [
  'toSocket',
  'nonIp',
  'bypass',
  'failOpen',
  'failClosed',
  'runtOpen',
  'runtClosed',
  'tooLong',
] as const;

export type WireCounters = Record<(typeof WIRE_COUNTER_NAMES)[number], number>;

/** How the program is attached: by the driver, or by the kernel in front of its stack, which any device can. */
export type AttachMode = 'native' | 'skb';

export interface WireOptions {
  /** Device names. */
  readonly inside: string;
  readonly outside: string;
  /** Queue pairs that both devices must have. */
  readonly queues: number;
  readonly mode: 'auto' | AttachMode;
  /** Whether frames of a queue without a worker cross, or are dropped. */
  readonly failureOpen: boolean;
}

/** A prefix as 16 address bytes (IPv4 as ::ffff:a.b.c.d) and its length over these 128 bits. */
export interface BypassPrefix {
  readonly address: Uint8Array;
  readonly bits: number;
}

const MODES = { auto: 0, native: 1, skb: 2 } as const;
const ATTACHED_SKB = 2;
const ZERO_COPY = { auto: 0, required: 1, copy: 2 } as const;
const PREFIX_BYTES = 20;
const ADDRESS_BYTES = 16;
const NOTE_BYTES = 256;

export class Wire {
  private constructor(
    private readonly native: Native,
    readonly handle: bigint,
    readonly attachMode: AttachMode,
    /** An earlier process left the program attached, and no frame was without it. */
    readonly tookOver: boolean,
    /** Why the better mode was not picked; empty if it was. */
    readonly note: string,
  ) {}

  /**
   * Makes the two devices one wire. Frames cross in the kernel, or not, as `failureOpen` says, until workers open
   * their rings. Throws `E_DEVICE`, `E_QUEUES`, `E_BUSY`, `E_PRIVILEGE`, `E_XDP` or `E_NATIVE`.
   */
  static open({ inside, outside, queues, mode, failureOpen }: WireOptions): Wire {
    const native = loadNative();
    const error = new NativeErrorText();
    const handle = native
      .function('weir_wire_open', 'pointer', [
        'pointer',
        'pointer',
        'uint32',
        'uint32',
        'uint32',
        'pointer',
        'pointer',
        'uint32',
      ])
      .callPointer(
        deviceName(inside),
        deviceName(outside),
        queues,
        MODES[mode],
        failureOpen ? 1 : 0,
        cString(join(native.directory, 'weir_xdp.o')),
        error.buffer,
        error.bytes,
      );
    if (handle === 0n) throw error.toError();
    const info = Buffer.alloc(8);
    const note = Buffer.alloc(NOTE_BYTES);
    native
      .function('weir_wire_info', 'void', ['pointer', 'pointer', 'pointer', 'uint32'])
      .call(handle, info, note, NOTE_BYTES);
    const attachMode = info.readUInt32LE(0) === ATTACHED_SKB ? 'skb' : 'native';
    return new Wire(native, handle, attachMode, info.readUInt32LE(4) !== 0, cText(note));
  }

  /** Replaces the prefixes whose traffic crosses in the kernel. Throws `E_BYPASS`. */
  setBypass(prefixes: readonly BypassPrefix[]): void {
    const bytes = Buffer.alloc(PREFIX_BYTES * Math.max(prefixes.length, 1));
    prefixes.forEach(({ address, bits }, i) => {
      if (address.length !== ADDRESS_BYTES || !(Number.isInteger(bits) && bits >= 0 && bits <= 128)) {
        throw usageError('E_BYPASS', `bypass prefix ${i}: ${address.length} bytes and ${bits} bits`);
      }
      bytes.writeUInt32LE(bits, i * PREFIX_BYTES);
      bytes.set(address, i * PREFIX_BYTES + 4);
    });
    const error = new NativeErrorText();
    const failure = this.native
      .function('weir_wire_set_bypass', 'int', ['pointer', 'pointer', 'uint32', 'pointer', 'uint32'])
      .callInt(this.handle, bytes, prefixes.length, error.buffer, error.bytes);
    if (failure !== 0) throw error.toError();
  }

  /** What became of the frames that came in at a port, since the program was attached. 0 inside, 1 outside. */
  counters(port: 0 | 1): WireCounters {
    const count = WIRE_COUNTER_NAMES.length;
    const sums = Buffer.alloc(count * 8);
    const failure = this.native
      .function('weir_wire_counters', 'int', ['pointer', 'uint32', 'pointer', 'uint32'])
      .callInt(this.handle, port, sums, count);
    if (failure !== 0) throw new WeirError('E_XDP', `the counters of port ${port} cannot be read`);
    const named = WIRE_COUNTER_NAMES.map((name, i) => [name, Number(sums.readBigUInt64LE(i * 8))]);
    return Object.fromEntries(named) as WireCounters;
  }

  /** Takes a dead worker's sockets out of the wire: its queue does what `failureOpen` says. */
  releaseQueue(queue: number): void {
    const failure = this.native
      .function('weir_wire_release_queue', 'int', ['pointer', 'uint32'])
      .callInt(this.handle, queue);
    if (failure !== 0) throw new WeirError('E_XDP', `queue ${queue} cannot be released`);
  }

  /** Ends the use of the wire. `detach` removes the program too; otherwise it goes on as `failureOpen` says. */
  close(detach: boolean): void {
    this.native.function('weir_wire_close', 'void', ['pointer', 'uint32']).call(this.handle, detach ? 1 : 0);
  }
}

export interface XdpIoOptions extends IoSizes {
  readonly wireHandle: bigint;
  readonly queue: number;
  /** `auto` takes zero-copy where both devices have it. */
  readonly zeroCopy: keyof typeof ZERO_COPY;
}

/**
 * Rings for queue `queue` of both ports over one UMEM, for the calling thread. Frames arrive from `start` on.
 * Throws `E_BUSY`, `E_PRIVILEGE`, `E_ZERO_COPY`, `E_MEMORY`, `E_XDP`, `E_FRAMES` or `E_RING_SIZE`.
 */
export function openXdpIo(options: XdpIoOptions): WorkerIo {
  checkIoSizes(options);
  const native = loadNative();
  const error = new NativeErrorText();
  const regions = regionsBuffer();
  const handle = native
    .function('weir_io_open_xdp', 'pointer', [
      'pointer',
      'uint32',
      'uint32',
      'uint32',
      'uint32',
      'uint32',
      'pointer',
      'pointer',
      'uint32',
    ])
    .callPointer(
      options.wireHandle,
      options.queue,
      options.frames,
      options.frameBytes,
      options.ringSize,
      ZERO_COPY[options.zeroCopy],
      regions,
      error.buffer,
      error.bytes,
    );
  if (handle === 0n) throw error.toError();
  return nativeIo(native, handle, regions, options);
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

/** Throws `E_DEVICE` for what cannot be a device's name: the kernel allows 15 bytes. */
function deviceName(name: string): Buffer {
  const text = cString(name);
  if (name === '' || text.length > 16 || name.includes('\0')) {
    throw usageError('E_DEVICE', `'${name}' is not the name of a device`);
  }
  return text;
}
