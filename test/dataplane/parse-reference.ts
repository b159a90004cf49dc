/**
 * A slow parser to compare the real one with. It takes the frame apart layer by layer, each layer an
 * object that owns its bytes, and every read checks its bounds. It shares no code or constant with
 * the real one, only the rules that the head of `parse.ts` states.
 */
export type Verdict =
  | 'ipv4'
  | 'ipv6'
  | 'nonIp'
  | 'truncated'
  | 'malformed'
  | 'tooManyTags'
  | 'tooManyLabels'
  | 'tooManyExtensions';

export interface ReferenceResult {
  verdict: Verdict;
  /** Key words as the batch layout orders them; empty unless the verdict is ipv4 or ipv6. */
  key: number[];
}

/** Thrown by readers; not an Error, because a million stack traces would take most of the time. */
class Rejected {
  readonly verdict: Verdict;
  constructor(verdict: Verdict) {
    this.verdict = verdict;
  }
}

/** Reads numbers from the front of some bytes; what it has not got, it calls truncated. */
class Reader {
  private readonly bytes: readonly number[];
  private position = 0;

  constructor(bytes: readonly number[]) {
    this.bytes = bytes;
  }

  get left(): number {
    return this.bytes.length - this.position;
  }

  /** The next `count` bytes, which are then behind the reader. */
  take(count: number): readonly number[] {
    if (count > this.left) throw new Rejected('truncated');
    this.position += count;
    return this.bytes.slice(this.position - count, this.position);
  }

  rest(): readonly number[] {
    return this.bytes.slice(this.position);
  }
}

function number(bytes: readonly number[], from: number, count: number): number {
  let value = 0;
  for (let i = from; i < from + count; i++) {
    if (i >= bytes.length) throw new Error(`the reference parser read byte ${i} of ${bytes.length}`);
    value = value * 256 + bytes[i];
  }
  return value;
}

interface Ip {
  family: 4 | 6;
  addresses: number[];
  protocol: number;
  ports: number;
}

/** Parses one frame, of which exactly `frame` was captured. */
export function referenceParse(frame: Uint8Array): ReferenceResult {
  try {
    const { ip, vlanIds } = parseEthernet(new Reader(Array.from(frame)));
    const tags = (vlanIds[0] ?? 0) * 2 ** 8 + (vlanIds[1] ?? 0) * 2 ** 20;
    const key = [...ip.addresses, ip.ports, ip.protocol + tags].map((word) => word | 0);
    return { verdict: ip.family === 4 ? 'ipv4' : 'ipv6', key };
  } catch (reason) {
    if (reason instanceof Rejected) return { verdict: reason.verdict, key: [] };
    throw reason;
  }
}

function parseEthernet(reader: Reader): { ip: Ip; vlanIds: number[] } {
  const vlanIds: number[] = [];
  let type = number(reader.take(14), 12, 2);
  while ([0x8100, 0x88a8, 0x9100].includes(type)) {
    if (vlanIds.length === 2) throw new Rejected('tooManyTags');
    const tag = reader.take(4);
    vlanIds.push(number(tag, 0, 2) % 4096);
    type = number(tag, 2, 2);
  }
  switch (type) {
    case 0x0800:
      return { ip: parseV4(reader, Number.POSITIVE_INFINITY), vlanIds };
    case 0x86dd:
      return { ip: parseV6(reader, Number.POSITIVE_INFINITY), vlanIds };
    case 0x8864:
      return { ip: parsePppoe(reader), vlanIds };
    case 0x8847:
    case 0x8848:
      return { ip: parseMpls(reader), vlanIds };
    default:
      throw new Rejected('nonIp');
  }
}

function parsePppoe(reader: Reader): Ip {
  const header = reader.take(8);
  const length = number(header, 4, 2);
  if (header[0] !== 0x11 || header[1] !== 0 || length < 2) throw new Rejected('malformed');
  const protocol = number(header, 6, 2);
  if (protocol === 0x0021) return parseV4(reader, length - 2);
  if (protocol === 0x0057) return parseV6(reader, length - 2);
  throw new Rejected('nonIp');
}

function parseMpls(reader: Reader): Ip {
  let isBottom = false;
  for (let labels = 0; !isBottom; labels++) {
    if (labels === 8) throw new Rejected('tooManyLabels');
    isBottom = reader.take(4)[2] % 2 === 1;
  }
  const ip = new Reader(reader.rest());
  const nibble = Math.floor(new Reader(ip.rest()).take(1)[0] / 16);
  if (nibble === 4) return parseV4(ip, Number.POSITIVE_INFINITY);
  if (nibble === 6) return parseV6(ip, Number.POSITIVE_INFINITY);
  throw new Rejected('nonIp');
}

function parseV4(reader: Reader, allowedBytes: number): Ip {
  const header = reader.take(20);
  const version = Math.floor(header[0] / 16);
  const headerBytes = (header[0] % 16) * 4;
  const totalBytes = number(header, 2, 2);
  if (version !== 4 || headerBytes < 20) throw new Rejected('malformed');
  if (totalBytes < headerBytes || totalBytes > allowedBytes) throw new Rejected('malformed');
  reader.take(headerBytes - 20);
  // Byte 6 holds two flags that do not matter here, then MF, then the upper bits of the offset.
  const moreFragments = Math.floor(header[6] / 32) % 2 === 1;
  const offset = number(header, 6, 2) % 8192;
  const isFragment = moreFragments || offset > 0;
  const protocol = header[9];
  return {
    family: 4,
    addresses: [number(header, 12, 4), number(header, 16, 4)],
    protocol,
    ports: isFragment ? 0 : parsePorts(reader, protocol, totalBytes - headerBytes),
  };
}

function parseV6(reader: Reader, allowedBytes: number): Ip {
  const header = reader.take(40);
  if (Math.floor(header[0] / 16) !== 6) throw new Rejected('malformed');
  let declaredLeft = number(header, 4, 2);
  if (40 + declaredLeft > allowedBytes) throw new Rejected('malformed');
  const addresses = [8, 12, 16, 20, 24, 28, 32, 36].map((at) => number(header, at, 4));
  let protocol = header[6];
  let walked = 0;
  while ([0, 43, 44, 51, 60, 135, 139, 140].includes(protocol)) {
    if (walked++ === 8) throw new Rejected('tooManyExtensions');
    if (declaredLeft < 8) throw new Rejected('malformed');
    const start = reader.take(8);
    if (protocol === 44) {
      const offsetUnits = Math.floor(number(start, 2, 2) / 8);
      if (offsetUnits > 0 || start[3] % 2 === 1)
        return { family: 6, addresses, protocol: start[0], ports: 0 };
    }
    const bytes = protocol === 44 ? 8 : protocol === 51 ? (start[1] + 2) * 4 : (start[1] + 1) * 8;
    if (bytes > declaredLeft) throw new Rejected('malformed');
    reader.take(bytes - 8);
    declaredLeft -= bytes;
    protocol = start[0];
  }
  return { family: 6, addresses, protocol, ports: parsePorts(reader, protocol, declaredLeft) };
}

function parsePorts(reader: Reader, protocol: number, declaredBytes: number): number {
  const hasPorts = [6, 17, 33, 132, 136].includes(protocol);
  return hasPorts && declaredBytes >= 4 ? number(reader.take(4), 0, 4) : 0;
}
