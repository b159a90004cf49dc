/**
 * The parser: from the bytes of a frame to the key words of its batch slot.
 *
 *   Ethernet II → up to two VLAN tags → [ PPPoE session | MPLS stack ] → IPv4 | IPv6 → ports
 *
 * It reads only inside [addr, addr + capturedBytes), whatever the bytes say, and never throws. Every
 * packet adds one to exactly one counter, so the counters' sum is the number of packets parsed.
 *
 * Rules where the bytes leave room:
 *
 * - The first problem in byte order decides the cause, and a header is judged only when its fixed part is
 *   there. So a valid frame cut short is either parsed as if it were whole or `truncated`, nothing else.
 * - Lengths that contradict each other are `malformed`: an IPv4 header length below 20 or above the total
 *   length, an IPv6 extension header that leaves its packet, an IP packet larger than its PPPoE payload.
 *   A jumbogram (RFC 2675, payload length 0) is larger than any frame here and thus malformed too.
 * - Headers that reach beyond the captured bytes are `truncated`. A payload may reach beyond them.
 * - Ports: if IP itself says that fewer than four bytes follow its headers, the ports are 0. If IP
 *   promises them but the captured bytes end before them, the packet is `truncated`.
 * - Fragments (IPv4 MF or offset, an IPv6 fragment header that is not atomic in the sense of RFC 6946)
 *   have ports 0 and the protocol that all fragments of the packet name: in IPv6 that of the fragment
 *   header, behind which nothing is looked at.
 * - After an MPLS stack the first nibble tells IPv4 from IPv6; anything else (such as a pseudowire) is `nonIp`.
 * - A tag of VLAN 0 only carries a priority, but it still is one of the two.
 */

import type { PacketBatch } from './batch.js';
import * as batchLayout from './batch.js';
import * as ethertypes from './ethertypes.js';
import * as causes from './parse-causes.js';

export * from './parse-causes.js';

/**
 * The engine folds a module's own constants into the code, but loads and checks an imported or exported
 * binding at every use. On the per-packet path that costs about a tenth of the time, hence the copies.
 */
const {
  ETHERNET_HEADER_BYTES,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_MPLS,
  ETHERTYPE_MPLS_UPSTREAM,
  ETHERTYPE_PPPOE_SESSION,
  EXTENSION_UNIT_BYTES,
  IPV4_HEADER_BYTES,
  IPV6_HEADER_BYTES,
  MPLS_LABEL_BYTES,
  PPP_IPV4,
  PPP_IPV6,
  PPPOE_HEADER_BYTES,
  PROTO_AH,
  PROTO_DCCP,
  PROTO_DESTINATION,
  PROTO_FRAGMENT,
  PROTO_HIP,
  PROTO_HOP_BY_HOP,
  PROTO_MOBILITY,
  PROTO_ROUTING,
  PROTO_SCTP,
  PROTO_SHIM6,
  PROTO_TCP,
  PROTO_UDP,
  PROTO_UDPLITE,
  VLAN_TAG_BYTES,
  VLAN_TAGS_MAX,
  MPLS_BOTTOM_OF_STACK,
  MPLS_LABELS_MAX,
  PPPOE_SESSION_DATA,
  isVlanTag,
} = ethertypes;
const { KEY_WORDS_SHIFT, KIND_IPV4, KIND_IPV6, KIND_UNKNOWN } = batchLayout;
const {
  PARSE_CAUSE_NAMES,
  PARSE_IPV4,
  PARSE_IPV6,
  PARSE_MALFORMED,
  PARSE_NON_IP,
  PARSE_TOO_MANY_EXTENSIONS,
  PARSE_TOO_MANY_LABELS,
  PARSE_TOO_MANY_TAGS,
  PARSE_TRUNCATED,
} = causes;

/** Bounds on what a frame may make the parser walk. */
const EXTENSIONS_MAX = 8;

const PORTS_BYTES = 4;
/** Captured bytes from which on an untagged, option-free IPv4 packet with ports can be read unchecked. */
const PLAIN_BYTES = ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES + PORTS_BYTES;
/** EtherType IPv4, version 4 and header length 5, as the upper three bytes of the word at offset 12. */
const PLAIN_TYPE_AND_IHL = (ETHERTYPE_IPV4 << 8) | 0x45;
/** The same offset and more-fragments bits, in the half word and in the word that it begins. */
const IPV4_FRAGMENT_MASK = 0x3fff;
const IPV4_FRAGMENT_MASK_WORD = 0x3fff0000;
/** Offset and more-fragments bits of an IPv6 fragment header; the two reserved bits between are ignored. */
const IPV6_FRAGMENT_MASK = 0xfff9;
/** Larger than any IP packet: no outer header has bounded it. */
const UNBOUNDED_BYTES = 0x7fffffff;

const AFTER_PORTS = 1;
const AFTER_EXTENSION = 2;

/** What the header after IP is, by protocol number: begins with two ports, is an IPv6 extension, or neither. */
const AFTER_IP = new Uint8Array(256);
for (const protocol of [PROTO_TCP, PROTO_UDP, PROTO_DCCP, PROTO_SCTP, PROTO_UDPLITE]) {
  AFTER_IP[protocol] = AFTER_PORTS;
}
for (const protocol of [
  PROTO_HOP_BY_HOP,
  PROTO_ROUTING,
  PROTO_FRAGMENT,
  PROTO_AH,
  PROTO_DESTINATION,
  PROTO_MOBILITY,
  PROTO_HIP,
  PROTO_SHIM6,
]) {
  AFTER_IP[protocol] = AFTER_EXTENSION;
}

/** The second and third result of `walkExtensions`: the last next-header value, and where that header is. */
const WALKED_PROTOCOL = 0;
const WALKED_NEXT = 1;
const walked = new Int32Array(2);

/** Parses the frames of one UMEM for one worker; it owns its counters and shares nothing. */
export class Parser {
  /** Packets by cause since the start, indexed by the PARSE_ constants. Only this parser writes it. */
  readonly counters = new Float64Array(PARSE_CAUSE_NAMES.length);
  private readonly view: DataView;
  private readonly umem: Uint8Array;
  /** Keeps the first pass from being optimised away. */
  touched = 0;

  /** `umem` is the whole memory that `PacketBatch.addr` points into, shared or not. */
  constructor(umem: Uint8Array) {
    this.view = new DataView(umem.buffer, umem.byteOffset, umem.byteLength);
    this.umem = umem;
  }

  /** Loads the first line of every frame: what another CPU has just written takes long to come, and comes in parallel. */
  private touch(addr: Int32Array, count: number): void {
    const umem = this.umem;
    const umemBytes = umem.byteLength;
    let sum = 0;
    for (let slot = 0; slot < count; slot++) {
      const at = addr[slot]!;
      if (at >= 0 && at < umemBytes) sum = (sum + umem[at]!) | 0;
    }
    this.touched = sum;
  }

  /**
   * Parses slots 0 to `count - 1`: reads `addr` and `capturedBytes`, writes `kind` and, unless that is
   * KIND_UNKNOWN, the key words of the kind. A slot that reaches out of the UMEM counts as truncated.
   */
  parse(batch: PacketBatch, count: number): void {
    const { view, counters } = this;
    const { addr, capturedBytes, kind, key } = batch;
    const umemBytes = view.byteLength;
    this.touch(addr, count);
    let ipv4Packets = 0;
    let ipv6Packets = 0;
    for (let slot = 0; slot < count; slot++) {
      const at = addr[slot];
      const frameBytes = capturedBytes[slot];
      const keyAt = slot << KEY_WORDS_SHIFT;
      if (at < 0 || frameBytes > umemBytes - at) {
        kind[slot] = KIND_UNKNOWN;
        counters[PARSE_TRUNCATED]++;
        continue;
      }
      // Most packets are untagged IPv4 without options: six word reads, and no walk along the headers.
      if (frameBytes >= PLAIN_BYTES && view.getInt32(at + 12) >>> 8 === PLAIN_TYPE_AND_IHL) {
        const fragmentTtlProtocol = view.getInt32(at + 20);
        const protocol = fragmentTtlProtocol & 0xff;
        if (
          (fragmentTtlProtocol & IPV4_FRAGMENT_MASK_WORD) === 0 &&
          (protocol === PROTO_TCP || protocol === PROTO_UDP) &&
          view.getUint16(at + 16) >= IPV4_HEADER_BYTES + PORTS_BYTES
        ) {
          key[keyAt] = view.getInt32(at + 26);
          key[keyAt + 1] = view.getInt32(at + 30);
          key[keyAt + 2] = view.getInt32(at + 34);
          key[keyAt + 3] = protocol;
          kind[slot] = KIND_IPV4;
          ipv4Packets++;
          continue;
        }
      }
      const cause = parseFrame(view, at, at + frameBytes, key, keyAt);
      if (cause === PARSE_IPV4) {
        kind[slot] = KIND_IPV4;
        ipv4Packets++;
      } else if (cause === PARSE_IPV6) {
        kind[slot] = KIND_IPV6;
        ipv6Packets++;
      } else {
        kind[slot] = KIND_UNKNOWN;
        counters[cause]++;
      }
    }
    counters[PARSE_IPV4] += ipv4Packets;
    counters[PARSE_IPV6] += ipv6Packets;
  }
}

/** Walks the headers below IP of the frame in [at, end); returns the cause. */
function parseFrame(view: DataView, at: number, end: number, key: Int32Array, keyAt: number): number {
  if (end - at < ETHERNET_HEADER_BYTES) return PARSE_TRUNCATED;
  let etherType = view.getUint16(at + 12);
  let next = at + ETHERNET_HEADER_BYTES;
  let vlanBits = 0;
  for (let tags = 0; isVlanTag(etherType); tags++) {
    if (tags === VLAN_TAGS_MAX) return PARSE_TOO_MANY_TAGS;
    if (end - next < VLAN_TAG_BYTES) return PARSE_TRUNCATED;
    const tagAndType = view.getInt32(next);
    vlanBits |= ((tagAndType >>> 16) & 0xfff) << (tags === 0 ? 8 : 20);
    etherType = tagAndType & 0xffff;
    next += VLAN_TAG_BYTES;
  }
  if (etherType === ETHERTYPE_IPV4) return parseIpv4(view, next, end, UNBOUNDED_BYTES, vlanBits, key, keyAt);
  if (etherType === ETHERTYPE_IPV6) return parseIpv6(view, next, end, UNBOUNDED_BYTES, vlanBits, key, keyAt);
  if (etherType === ETHERTYPE_PPPOE_SESSION) return parsePppoe(view, next, end, vlanBits, key, keyAt);
  if (etherType === ETHERTYPE_MPLS || etherType === ETHERTYPE_MPLS_UPSTREAM) {
    return parseMpls(view, next, end, vlanBits, key, keyAt);
  }
  return PARSE_NON_IP;
}

function parsePppoe(
  view: DataView,
  at: number,
  end: number,
  vlanBits: number,
  key: Int32Array,
  keyAt: number,
): number {
  if (end - at < PPPOE_HEADER_BYTES) return PARSE_TRUNCATED;
  if (view.getUint16(at) !== PPPOE_SESSION_DATA) return PARSE_MALFORMED;
  // The PPPoE length counts the two bytes of the PPP protocol.
  const payloadBytes = view.getUint16(at + 4) - 2;
  if (payloadBytes < 0) return PARSE_MALFORMED;
  const pppProtocol = view.getUint16(at + 6);
  const next = at + PPPOE_HEADER_BYTES;
  if (pppProtocol === PPP_IPV4) return parseIpv4(view, next, end, payloadBytes, vlanBits, key, keyAt);
  if (pppProtocol === PPP_IPV6) return parseIpv6(view, next, end, payloadBytes, vlanBits, key, keyAt);
  return PARSE_NON_IP;
}

function parseMpls(
  view: DataView,
  at: number,
  end: number,
  vlanBits: number,
  key: Int32Array,
  keyAt: number,
): number {
  let next = at;
  for (let labels = 0, label = 0; (label & MPLS_BOTTOM_OF_STACK) === 0; labels++) {
    if (labels === MPLS_LABELS_MAX) return PARSE_TOO_MANY_LABELS;
    if (end - next < MPLS_LABEL_BYTES) return PARSE_TRUNCATED;
    label = view.getInt32(next);
    next += MPLS_LABEL_BYTES;
  }
  if (end - next < 1) return PARSE_TRUNCATED;
  const version = view.getUint8(next) >>> 4;
  if (version === 4) return parseIpv4(view, next, end, UNBOUNDED_BYTES, vlanBits, key, keyAt);
  if (version === 6) return parseIpv6(view, next, end, UNBOUNDED_BYTES, vlanBits, key, keyAt);
  return PARSE_NON_IP;
}

/** `boundBytes` is how large the outer headers allow the IP packet to be. */
function parseIpv4(
  view: DataView,
  at: number,
  end: number,
  boundBytes: number,
  vlanBits: number,
  key: Int32Array,
  keyAt: number,
): number {
  if (end - at < IPV4_HEADER_BYTES) return PARSE_TRUNCATED;
  const versionAndIhl = view.getUint8(at);
  const headerBytes = (versionAndIhl & 0xf) << 2;
  const totalBytes = view.getUint16(at + 2);
  if (versionAndIhl >>> 4 !== 4 || headerBytes < IPV4_HEADER_BYTES) return PARSE_MALFORMED;
  if (totalBytes < headerBytes || totalBytes > boundBytes) return PARSE_MALFORMED;
  if (end - at < headerBytes) return PARSE_TRUNCATED;
  const protocol = view.getUint8(at + 9);
  let ports = 0;
  if (
    AFTER_IP[protocol] === AFTER_PORTS &&
    (view.getUint16(at + 6) & IPV4_FRAGMENT_MASK) === 0 &&
    totalBytes - headerBytes >= PORTS_BYTES
  ) {
    if (end - at < headerBytes + PORTS_BYTES) return PARSE_TRUNCATED;
    ports = view.getInt32(at + headerBytes);
  }
  key[keyAt] = view.getInt32(at + 12);
  key[keyAt + 1] = view.getInt32(at + 16);
  key[keyAt + 2] = ports;
  key[keyAt + 3] = protocol | vlanBits;
  return PARSE_IPV4;
}

/** `boundBytes` is how large the outer headers allow the IP packet to be. */
function parseIpv6(
  view: DataView,
  at: number,
  end: number,
  boundBytes: number,
  vlanBits: number,
  key: Int32Array,
  keyAt: number,
): number {
  if (end - at < IPV6_HEADER_BYTES) return PARSE_TRUNCATED;
  if (view.getUint8(at) >>> 4 !== 6) return PARSE_MALFORMED;
  const totalBytes = IPV6_HEADER_BYTES + view.getUint16(at + 4);
  if (totalBytes > boundBytes) return PARSE_MALFORMED;
  let protocol = view.getUint8(at + 6);
  let next = at + IPV6_HEADER_BYTES;
  if (AFTER_IP[protocol] === AFTER_EXTENSION) {
    const cause = walkExtensions(view, next, end, at + totalBytes, protocol);
    if (cause !== PARSE_IPV6) return cause;
    next = walked[WALKED_NEXT];
    protocol = walked[WALKED_PROTOCOL];
  }
  let ports = 0;
  // A fragment ends the walk with `next` at the packet's end, so that it has no ports to look for.
  if (AFTER_IP[protocol] === AFTER_PORTS && at + totalBytes - next >= PORTS_BYTES) {
    if (end - next < PORTS_BYTES) return PARSE_TRUNCATED;
    ports = view.getInt32(next);
  }
  key[keyAt] = view.getInt32(at + 8);
  key[keyAt + 1] = view.getInt32(at + 12);
  key[keyAt + 2] = view.getInt32(at + 16);
  key[keyAt + 3] = view.getInt32(at + 20);
  key[keyAt + 4] = view.getInt32(at + 24);
  key[keyAt + 5] = view.getInt32(at + 28);
  key[keyAt + 6] = view.getInt32(at + 32);
  key[keyAt + 7] = view.getInt32(at + 36);
  key[keyAt + 8] = ports;
  key[keyAt + 9] = protocol | vlanBits;
  return PARSE_IPV6;
}

/**
 * Walks the extension headers in [at, end) of a packet that declares to reach to `packetEnd`, the first
 * of which is `first`. Returns PARSE_IPV6 and leaves the rest in `walked`, or returns why it gave up.
 */
function walkExtensions(view: DataView, at: number, end: number, packetEnd: number, first: number): number {
  let protocol = first;
  let next = at;
  for (let extensions = 0; AFTER_IP[protocol] === AFTER_EXTENSION; extensions++) {
    if (extensions === EXTENSIONS_MAX) return PARSE_TOO_MANY_EXTENSIONS;
    if (packetEnd - next < EXTENSION_UNIT_BYTES) return PARSE_MALFORMED;
    if (end - next < EXTENSION_UNIT_BYTES) return PARSE_TRUNCATED;
    const following = view.getUint8(next);
    if (protocol === PROTO_FRAGMENT && (view.getUint16(next + 2) & IPV6_FRAGMENT_MASK) !== 0) {
      walked[WALKED_PROTOCOL] = following;
      walked[WALKED_NEXT] = packetEnd;
      return PARSE_IPV6;
    }
    next += extensionBytes(protocol, view.getUint8(next + 1));
    if (next > packetEnd) return PARSE_MALFORMED;
    if (next > end) return PARSE_TRUNCATED;
    protocol = following;
  }
  walked[WALKED_PROTOCOL] = protocol;
  walked[WALKED_NEXT] = next;
  return PARSE_IPV6;
}

/** Size of an extension header from its length byte: most count units of eight beyond the first. */
function extensionBytes(protocol: number, lengthByte: number): number {
  if (protocol === PROTO_FRAGMENT) return EXTENSION_UNIT_BYTES;
  // The authentication header alone counts in words, two of them not counted (RFC 4302).
  if (protocol === PROTO_AH) return (lengthByte + 2) << 2;
  return (lengthByte + 1) << 3;
}
