/** Writes captures, byte by byte: what the reader has to read, and what it has to refuse. */

/** A frame in a capture: nanoseconds of Unix time, and the bytes. */
export interface WrittenFrame {
  readonly atNs: bigint;
  readonly bytes: Buffer;
  /** On the wire, where not all was captured. */
  readonly wireBytes?: number;
}

export interface Order {
  readonly isLittle: boolean;
}

/** Fields of either byte order, one after the other. */
export class Writer {
  readonly #parts: Buffer[] = [];

  constructor(readonly order: Order) {}

  u16(...values: readonly number[]): this {
    for (const value of values) {
      const part = Buffer.alloc(2);
      if (this.order.isLittle) part.writeUInt16LE(value);
      else part.writeUInt16BE(value);
      this.#parts.push(part);
    }
    return this;
  }

  u32(...values: readonly number[]): this {
    for (const value of values) {
      const part = Buffer.alloc(4);
      if (this.order.isLittle) part.writeUInt32LE(value >>> 0);
      else part.writeUInt32BE(value >>> 0);
      this.#parts.push(part);
    }
    return this;
  }

  i64(value: bigint): this {
    const part = Buffer.alloc(8);
    if (this.order.isLittle) part.writeBigInt64LE(value);
    else part.writeBigInt64BE(value);
    this.#parts.push(part);
    return this;
  }

  /** Filled up with zeros to a multiple of `align`. */
  bytes(bytes: Buffer, align = 1): this {
    this.#parts.push(bytes, Buffer.alloc((align - (bytes.length % align)) % align));
    return this;
  }

  get buffer(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export function pcap(
  frames: readonly WrittenFrame[],
  options: Order & { readonly isNano: boolean; readonly link?: number },
): Buffer {
  const writer = new Writer(options);
  writer.u32(options.isNano ? 0xa1b23c4d : 0xa1b2c3d4).u16(2, 4);
  writer.u32(0, 0, 65_535, options.link ?? 1);
  for (const { atNs, bytes, wireBytes = bytes.length } of frames) {
    const ticks = (atNs % 1_000_000_000n) / (options.isNano ? 1n : 1000n);
    writer.u32(Number(atNs / 1_000_000_000n), Number(ticks), bytes.length, wireBytes).bytes(bytes);
  }
  return writer.buffer;
}

export function block(order: Order, type: number, body: Buffer): Buffer {
  const length = body.length + 12;
  return new Writer(order).u32(type, length).bytes(body).u32(length).buffer;
}

export function section(order: Order): Buffer {
  return block(order, 0x0a0d0d0a, new Writer(order).u32(0x1a2b3c4d).u16(1, 0).i64(-1n).buffer);
}

/** An interface with a snap length and, where they are given, if_tsresol and if_tsoffset. */
export function interfaceBlock(
  order: Order,
  options: {
    readonly snap?: number;
    readonly tsresol?: number;
    readonly tsoffset?: bigint;
    readonly link?: number;
  } = {},
): Buffer {
  const writer = new Writer(order).u16(options.link ?? 1, 0).u32(options.snap ?? 0);
  // A name that is no multiple of four long, to be passed over.
  writer.u16(2, 5).bytes(Buffer.from('wlan0'), 4);
  if (options.tsresol !== undefined) writer.u16(9, 1).bytes(Buffer.of(options.tsresol), 4);
  if (options.tsoffset !== undefined) writer.u16(14, 8).i64(options.tsoffset);
  return block(order, 1, writer.u16(0, 0).buffer);
}

/** `ticks`: in the interface's resolution. */
export function enhanced(
  order: Order,
  source: number,
  ticks: bigint,
  bytes: Buffer,
  wireBytes = bytes.length,
): Buffer {
  const writer = new Writer(order).u32(source, Number(ticks >> 32n), Number(ticks & 0xffffffffn));
  // A comment behind the frame.
  writer.u32(bytes.length, wireBytes).bytes(bytes, 4).u16(1, 3).bytes(Buffer.from('why'), 4).u16(0, 0);
  return block(order, 6, writer.buffer);
}

export function simple(order: Order, captured: Buffer, wireBytes = captured.length): Buffer {
  return block(order, 3, new Writer(order).u32(wireBytes).bytes(captured, 4).buffer);
}
