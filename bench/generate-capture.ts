/**
 * Reads captures: pcap (draft-ietf-opsawg-pcap) of both byte orders with micro- or nanoseconds, and pcapng
 * (draft-ietf-opsawg-pcapng) with its section, interface, enhanced, simple and old packet blocks.
 *
 * A file is read in pieces, whatever its size. One that is broken is an error at the offset of the record or block, and
 * nothing of it is used.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { usageError } from '../src/errors.js';

export interface CapturedFrame {
  /** Unix time in nanoseconds. */
  readonly atNs: bigint;
  /** Valid until the next frame is read. */
  readonly bytes: Buffer;
  /** On the wire; more than was captured where frames were cut. */
  readonly wireBytes: number;
}

const NS_PER_SECOND = 1_000_000_000n;
const PIECE_BYTES = 1 << 20;
/** What a device takes at most. */
const FRAME_MAX_BYTES = 65_536;
/** Either way; some 146 years, so that a difference fits in 64 bits. */
const TIME_MAX_NS = 2n ** 62n;
/** Far more than any block with one frame has. */
const BLOCK_MAX_BYTES = 16 << 20;
const LINK_ETHERNET = 1;

const PCAP_HEADER_BYTES = 24;
const PCAP_RECORD_BYTES = 16;
const PCAP_VERSION = 2;
/** As they read in the file's own byte order. */
const PCAP_MICROSECONDS = 0xa1b2c3d4;
const PCAP_NANOSECONDS = 0xa1b23c4d;

const BLOCK_SECTION = 0x0a0d0d0a;
const BLOCK_INTERFACE = 1;
const BLOCK_OLD_PACKET = 2;
const BLOCK_SIMPLE_PACKET = 3;
const BLOCK_ENHANCED_PACKET = 6;
const SECTION_ORDER = 0x1a2b3c4d;
const SECTION_VERSION = 1;
const SECTION_MIN_BYTES = 28;
/** Type, length, and the length once more at the end. */
const BLOCK_FRAME_BYTES = 12;
const OPTION_END = 0;
const OPTION_TSRESOL = 9;
const OPTION_FCSLEN = 13;
const OPTION_TSOFFSET = 14;

/**
 * The frames in the file's order.
 * @throws WeirError E_CAPTURE, exit code 2, with the file and the offset
 */
export function* readCapture(path: string): Generator<CapturedFrame> {
  const file = new CaptureFile(path);
  try {
    const start = file.take(4, 'the first bytes');
    const magics = [start.readUInt32LE(0), start.readUInt32BE(0)];
    if (magics[0] === BLOCK_SECTION) yield* new NextGeneration(file).frames();
    else {
      const isLittle = magics[0] === PCAP_MICROSECONDS || magics[0] === PCAP_NANOSECONDS;
      const magic = isLittle ? magics[0]! : magics[1]!;
      if (magic !== PCAP_MICROSECONDS && magic !== PCAP_NANOSECONDS)
        file.fail(`neither pcap nor pcapng: it begins with ${start.toString('hex')}`);
      yield* pcapFrames(file, isLittle, magic === PCAP_NANOSECONDS ? 1n : 1000n);
    }
  } finally {
    file.close();
  }
}

/** A file that is read from its start to its end; what is wrong is wrong at the record that was begun last. */
class CaptureFile {
  readonly #path: string;
  readonly #fd: number;
  #piece: Buffer = Buffer.alloc(0);
  /** In the piece. */
  #at = 0;
  /** Of the piece's end in the file. */
  #end = 0;
  #recordOffset = 0;

  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(path, 'r');
    } catch (cause) {
      throw usageError('E_CAPTURE', `${path}: ${(cause as Error).message}`, cause);
    }
  }

  /** What follows is one record or block. False at the end of the file. */
  begin(): boolean {
    this.#recordOffset = this.#end - (this.#piece.length - this.#at);
    return this.#has(1);
  }

  /** The next bytes, valid until the next call. */
  take(bytes: number, what: string): Buffer {
    if (!this.#has(bytes)) this.fail(`the file ends within ${what}`);
    const taken = this.#piece.subarray(this.#at, this.#at + bytes);
    this.#at += bytes;
    return taken;
  }

  fail(message: string): never {
    throw usageError('E_CAPTURE', `${this.#path}: offset ${this.#recordOffset}: ${message}`);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #has(bytes: number): boolean {
    if (this.#piece.length - this.#at >= bytes) return true;
    const rest = this.#piece.subarray(this.#at);
    const piece = Buffer.allocUnsafe(Math.max(bytes, PIECE_BYTES));
    let length = rest.copy(piece);
    while (length < bytes) {
      const read = this.#read(piece, length);
      if (read === 0) break;
      length += read;
    }
    this.#piece = piece.subarray(0, length);
    this.#at = 0;
    return length >= bytes;
  }

  #read(piece: Buffer, at: number): number {
    try {
      const read = readSync(this.#fd, piece, at, piece.length - at, null);
      this.#end += read;
      return read;
    } catch (cause) {
      throw usageError('E_CAPTURE', `${this.#path}: ${(cause as Error).message}`, cause);
    }
  }
}

/** Of the file's byte order. */
class Fields {
  constructor(
    private readonly bytes: Buffer,
    private readonly isLittle: boolean,
  ) {}

  u16(at: number): number {
    return this.isLittle ? this.bytes.readUInt16LE(at) : this.bytes.readUInt16BE(at);
  }

  u32(at: number): number {
    return this.isLittle ? this.bytes.readUInt32LE(at) : this.bytes.readUInt32BE(at);
  }

  i64(at: number): bigint {
    return this.isLittle ? this.bytes.readBigInt64LE(at) : this.bytes.readBigInt64BE(at);
  }
}

/** Without the check sequence that some captures keep behind the frame, and that a device adds anew. */
function frameOf(
  file: CaptureFile,
  data: Buffer,
  frame: { readonly atNs: bigint; readonly wireBytes: number; readonly fcsBytes: number },
): CapturedFrame {
  if (frame.atNs > TIME_MAX_NS || frame.atNs < -TIME_MAX_NS)
    file.fail(`a time of ${frame.atNs / NS_PER_SECOND} s`);
  const wireBytes = frame.wireBytes - frame.fcsBytes;
  const length = Math.max(0, Math.min(data.length, wireBytes));
  if (length > FRAME_MAX_BYTES)
    file.fail(`a frame of ${length} bytes; at most ${FRAME_MAX_BYTES} can be sent`);
  return { atNs: frame.atNs, bytes: data.subarray(0, length), wireBytes };
}

function checkLink(file: CaptureFile, linkType: number): void {
  if (linkType !== LINK_ETHERNET)
    file.fail(`frames of link type ${linkType}; only Ethernet (${LINK_ETHERNET}) can be sent`);
}

// ---- pcap -------------------------------------------------------------------------------------------------

function* pcapFrames(file: CaptureFile, isLittle: boolean, nsPerTick: bigint): Generator<CapturedFrame> {
  const header = new Fields(file.take(PCAP_HEADER_BYTES - 4, 'the header'), isLittle);
  const [major, minor] = [header.u16(0), header.u16(2)];
  if (major !== PCAP_VERSION) file.fail(`pcap of version ${major}.${minor}; known is ${PCAP_VERSION}.4`);
  const link = header.u32(16);
  checkLink(file, link & 0xffff);
  // The upper bits say how many 16-bit words of FCS there are, if bit 26 says that they say so.
  const fcsBytes = (link & (1 << 26)) === 0 ? 0 : (link >>> 28) * 2;
  while (file.begin()) {
    const record = new Fields(file.take(PCAP_RECORD_BYTES, "a record's header"), isLittle);
    const [seconds, ticks, length, wireBytes] = [0, 4, 8, 12].map((at) => record.u32(at));
    if (BigInt(ticks!) * nsPerTick >= NS_PER_SECOND) file.fail(`${ticks} is no part of a second`);
    if (length! > BLOCK_MAX_BYTES) file.fail(`a record of ${length} bytes`);
    const atNs = BigInt(seconds!) * NS_PER_SECOND + BigInt(ticks!) * nsPerTick;
    yield frameOf(file, file.take(length!, 'a frame'), { atNs, wireBytes: wireBytes!, fcsBytes });
  }
}

// ---- pcapng -----------------------------------------------------------------------------------------------

interface Interface {
  readonly linkType: number;
  /** Bytes that are captured of a frame at most; 0: all. */
  readonly snapBytes: number;
  readonly ticksPerSecond: bigint;
  readonly offsetNs: bigint;
  readonly fcsBytes: number;
}

class NextGeneration {
  readonly #file: CaptureFile;
  #isLittle = true;
  #interfaces: Interface[] = [];
  /** Of the packet before, for packets without a time. */
  #lastNs = 0n;

  constructor(file: CaptureFile) {
    this.#file = file;
  }

  /** The type of the first block has been read. */
  *frames(): Generator<CapturedFrame> {
    this.#section();
    while (this.#file.begin()) {
      const head = this.#file.take(4, 'a block');
      // The same in both byte orders.
      if (head.readUInt32LE(0) === BLOCK_SECTION) {
        this.#section();
        continue;
      }
      const type = new Fields(head, this.#isLittle).u32(0);
      const frame = this.#packet(type, this.#body(this.#length()));
      if (frame === null) continue;
      this.#lastNs = frame.atNs;
      yield frame;
    }
  }

  /** A section has a byte order of its own, and its own interfaces. */
  #section(): void {
    const file = this.#file;
    const head = Buffer.from(file.take(8, 'a section header'));
    this.#isLittle = head.readUInt32LE(4) === SECTION_ORDER;
    if (!this.#isLittle && head.readUInt32BE(4) !== SECTION_ORDER)
      file.fail(`${head.toString('hex', 4)} is not the mark of a byte order`);
    const length = this.#checkLength(new Fields(head, this.#isLittle).u32(0));
    if (length < SECTION_MIN_BYTES) file.fail(`a section header of ${length} bytes`);
    const rest = this.#body(length - 4, length);
    const fields = new Fields(rest, this.#isLittle);
    if (fields.u16(0) !== SECTION_VERSION)
      file.fail(`pcapng of version ${fields.u16(0)}.${fields.u16(2)}; known is ${SECTION_VERSION}.0`);
    this.#interfaces = [];
  }

  #length(): number {
    return this.#checkLength(new Fields(this.#file.take(4, 'a block'), this.#isLittle).u32(0));
  }

  #checkLength(length: number): number {
    if (length % 4 !== 0 || length < BLOCK_FRAME_BYTES || length > BLOCK_MAX_BYTES)
      this.#file.fail(`a block of ${length} bytes`);
    return length;
  }

  /** What is left of a block whose type and length have been read, without the length at its end. */
  #body(left: number, length = left): Buffer {
    const bytes = this.#file.take(left - 8, 'a block');
    const again = new Fields(bytes, this.#isLittle).u32(bytes.length - 4);
    if (again !== length) this.#file.fail(`a block of ${length} bytes ends with the length ${again}`);
    return bytes.subarray(0, -4);
  }

  /** Null for a block without a frame. */
  #packet(type: number, body: Buffer): CapturedFrame | null {
    if (type === BLOCK_INTERFACE) this.#interfaces.push(this.#interface(body));
    else if (type === BLOCK_ENHANCED_PACKET || type === BLOCK_OLD_PACKET) {
      this.#needs(body, 20);
      const fields = new Fields(body, this.#isLittle);
      // The old block has a count of drops in the upper half of the interface's number.
      const source = this.#interfaceAt(type === BLOCK_OLD_PACKET ? fields.u16(0) : fields.u32(0));
      const ticks = (BigInt(fields.u32(4)) << 32n) | BigInt(fields.u32(8));
      const atNs = (ticks * NS_PER_SECOND) / source.ticksPerSecond + source.offsetNs;
      return this.#frame(source, body.subarray(20), fields.u32(12), { atNs, wireBytes: fields.u32(16) });
    } else if (type === BLOCK_SIMPLE_PACKET) {
      this.#needs(body, 4);
      const source = this.#interfaceAt(0);
      const wireBytes = new Fields(body, this.#isLittle).u32(0);
      const captured = source.snapBytes === 0 ? wireBytes : Math.min(wireBytes, source.snapBytes);
      return this.#frame(source, body.subarray(4), captured, { atNs: this.#lastNs, wireBytes });
    }
    return null;
  }

  #frame(
    { fcsBytes }: Interface,
    data: Buffer,
    captured: number,
    frame: { readonly atNs: bigint; readonly wireBytes: number },
  ): CapturedFrame {
    if (captured > data.length)
      this.#file.fail(`${captured} bytes captured in a block with room for ${data.length}`);
    return frameOf(this.#file, data.subarray(0, captured), { ...frame, fcsBytes });
  }

  #interfaceAt(number: number): Interface {
    const found = this.#interfaces[number];
    if (found === undefined)
      this.#file.fail(`a packet of interface ${number}, which the section does not have`);
    checkLink(this.#file, found.linkType);
    return found;
  }

  #needs(body: Buffer, bytes: number): void {
    if (body.length < bytes)
      this.#file.fail(`a block too short for what it is, by ${bytes - body.length} bytes`);
  }

  #interface(body: Buffer): Interface {
    this.#needs(body, 8);
    const fields = new Fields(body, this.#isLittle);
    let ticksPerSecond = 1_000_000n;
    let offsetNs = 0n;
    let fcsBytes = 0;
    for (let at = 8; at + 4 <= body.length; ) {
      const [code, length] = [fields.u16(at), fields.u16(at + 2)];
      if (code === OPTION_END) break;
      const value = at + 4;
      const least = code === OPTION_TSOFFSET ? 8 : code === OPTION_TSRESOL || code === OPTION_FCSLEN ? 1 : 0;
      if (value + length > body.length || length < least)
        this.#file.fail(`option ${code} of an interface has ${length} bytes`);
      if (code === OPTION_TSRESOL) {
        const resolution = body[value]!;
        const exponent = BigInt(resolution & 0x7f);
        ticksPerSecond = resolution >= 0x80 ? 2n ** exponent : 10n ** exponent;
      } else if (code === OPTION_TSOFFSET) offsetNs = fields.i64(value) * NS_PER_SECOND;
      else if (code === OPTION_FCSLEN) fcsBytes = body[value]!;
      at = value + ((length + 3) & ~3);
    }
    const [linkType, snapBytes] = [fields.u16(0), fields.u32(4)];
    return { linkType, snapBytes, ticksPerSecond, offsetNs, fcsBytes };
  }
}
