/**
 * Writes frames for tests, the simulator and the load generator: the counterpart of the parser, from a
 * description to bytes that a real IP stack accepts. It runs where packets are made, not where they are
 * shaped, so it may allocate and throw.
 *
 * Lengths and checksums are right, with these limits: a fragment carries no transport checksum, because
 * that covers the whole packet; SCTP and DCCP carry none either; AH carries no digest; mobility, HIP and
 * shim6 headers have the right size and nothing but zeros inside.
 */
import { WeirError } from '../errors.js';
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_MPLS,
  ETHERTYPE_PPPOE_SESSION,
  ETHERTYPE_VLAN,
  EXTENSION_UNIT_BYTES,
  IPV4_HEADER_BYTES,
  IPV6_HEADER_BYTES,
  MPLS_LABEL_BYTES,
  PPP_IPV4,
  PPP_IPV6,
  PROTO_AH,
  PROTO_DCCP,
  PROTO_DESTINATION,
  PROTO_FRAGMENT,
  PROTO_HOP_BY_HOP,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_TCP,
  PROTO_UDP,
  PROTO_UDPLITE,
  VLAN_TAG_BYTES,
} from './ethertypes.js';
import {
  extensionBytes,
  type FrameExtension,
  type FrameFragment,
  type FramePlan,
  type FrameSpec,
  planFrame,
} from './frame-plan.js';

export type { FrameAddress, FrameExtension, FrameFragment, FrameSpec, FrameVlan } from './frame-plan.js';

const TCP_FLAG_ACK = 0x10;
const TCP_WINDOW_BYTES = 65535;
const ICMP_ECHO_REQUEST = 8;
const ICMPV6_ECHO_REQUEST = 128;
const IPV4_OPTION_NOP = 1;
const OPTION_PADN = 1;

/** Where the Internet checksum stands in the transport header. */
const TRANSPORT_CHECKSUM_OFFSET = new Map([
  [PROTO_TCP, 16],
  [PROTO_UDP, 6],
  [PROTO_UDPLITE, 6],
  [PROTO_ICMP, 2],
  [PROTO_ICMPV6, 2],
]);

/** The frame as a new array of exactly its size. Throws like `writeFrame`. */
export function buildFrame(spec: FrameSpec): Uint8Array {
  const plan = planFrame(spec);
  const frame = new Uint8Array(plan.frameBytes);
  writePlan(frame, 0, plan);
  return frame;
}

/**
 * Writes the frame at `offset` of `buffer` and returns its size in bytes. Throws E_FRAME_SPEC when the
 * spec contradicts itself (addresses of two families, sizes that do not fit) and E_FRAME_SPACE when the
 * buffer ends before the frame does; then nothing has been written.
 */
export function writeFrame(buffer: Uint8Array, offset: number, spec: FrameSpec): number {
  const plan = planFrame(spec);
  if (offset < 0 || offset + plan.frameBytes > buffer.length) {
    throw new WeirError(
      'E_FRAME_SPACE',
      `a frame of ${plan.frameBytes} bytes does not fit at offset ${offset} of ${buffer.length} bytes`,
    );
  }
  writePlan(buffer, offset, plan);
  return plan.frameBytes;
}

function writePlan(buffer: Uint8Array, offset: number, plan: FramePlan): void {
  const view = new DataView(buffer.buffer, buffer.byteOffset + offset, plan.frameBytes);
  writeLink(view, plan);
  const transportAt = plan.linkBytes + plan.ipHeaderBytes;
  const packetEnd = transportAt + plan.transportHeaderBytes + plan.payloadBytes;
  // A pattern rather than zeros, so that checksums and comparisons see a payload that was moved.
  for (let i = transportAt; i < packetEnd; i++) view.setUint8(i, i & 0xff);
  for (let i = packetEnd; i < plan.frameBytes; i++) view.setUint8(i, 0);
  if (plan.isIpv6) writeIpv6(view, plan.linkBytes, plan);
  else writeIpv4(view, plan.linkBytes, plan);
  if (plan.transportHeaderBytes > 0) writeTransport(view, transportAt, packetEnd, plan);
}

function writeLink(view: DataView, plan: FramePlan): void {
  const { spec, isIpv6 } = plan;
  for (let i = 0; i < 6; i++) {
    view.setUint8(i, plan.destinationMac[i]);
    view.setUint8(6 + i, plan.sourceMac[i]);
  }
  let at = 12;
  for (const vlan of spec.vlans ?? []) {
    view.setUint16(at, vlan.tpid ?? ETHERTYPE_VLAN);
    view.setUint16(at + 2, ((vlan.prio ?? 0) << 13) | (vlan.id & 0xfff));
    at += VLAN_TAG_BYTES;
  }
  if (spec.pppoe) {
    const ipBytes = plan.ipHeaderBytes + plan.transportHeaderBytes + plan.payloadBytes;
    view.setUint16(at, ETHERTYPE_PPPOE_SESSION);
    view.setUint16(at + 2, 0x1100);
    view.setUint16(at + 4, spec.pppoe.session);
    view.setUint16(at + 6, ipBytes + 2);
    view.setUint16(at + 8, isIpv6 ? PPP_IPV6 : PPP_IPV4);
  } else if (spec.mpls) {
    view.setUint16(at, ETHERTYPE_MPLS);
    at += 2;
    spec.mpls.forEach((label, index, stack) => {
      const bottom = index === stack.length - 1 ? 0x100 : 0;
      view.setUint32(at + index * MPLS_LABEL_BYTES, (label << 12) | bottom | (spec.ttl ?? 64));
    });
  } else {
    view.setUint16(at, isIpv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
  }
}

function trafficClass(spec: FrameSpec): number {
  return (((spec.dscp ?? 0) & 0x3f) << 2) | ((spec.ecn ?? 0) & 3);
}

function writeIpv4(view: DataView, at: number, plan: FramePlan): void {
  const { spec, ipHeaderBytes } = plan;
  const { fragment } = spec;
  view.setUint8(at, 0x40 | (ipHeaderBytes >> 2));
  view.setUint8(at + 1, trafficClass(spec));
  view.setUint16(at + 2, ipHeaderBytes + plan.transportHeaderBytes + plan.payloadBytes);
  view.setUint16(at + 4, fragment?.id ?? 0);
  view.setUint16(at + 6, fragment ? (fragment.more ? 0x2000 : 0) | (fragment.offsetBytes >> 3) : 0x4000);
  view.setUint8(at + 8, spec.ttl ?? 64);
  view.setUint8(at + 9, plan.protocol);
  view.setUint16(at + 10, 0);
  view.setInt32(at + 12, plan.sourceWords[0]);
  view.setInt32(at + 16, plan.destinationWords[0]);
  for (let i = IPV4_HEADER_BYTES; i < ipHeaderBytes; i++) {
    view.setUint8(at + i, i === ipHeaderBytes - 1 ? 0 : IPV4_OPTION_NOP);
  }
  view.setUint16(at + 10, foldChecksum(sumWords(view, at, at + ipHeaderBytes)));
}

function writeIpv6(view: DataView, at: number, plan: FramePlan): void {
  const { spec, extensions } = plan;
  const payloadLength =
    plan.ipHeaderBytes - IPV6_HEADER_BYTES + plan.transportHeaderBytes + plan.payloadBytes;
  view.setUint32(at, (6 << 28) | (trafficClass(spec) << 20));
  view.setUint16(at + 4, payloadLength);
  view.setUint8(at + 6, extensions[0]?.type ?? plan.lastNextHeader);
  view.setUint8(at + 7, spec.ttl ?? 64);
  for (let word = 0; word < 4; word++) {
    view.setInt32(at + 8 + word * 4, plan.sourceWords[word]);
    view.setInt32(at + 24 + word * 4, plan.destinationWords[word]);
  }
  let next = at + IPV6_HEADER_BYTES;
  extensions.forEach((extension, index) => {
    writeExtension(view, next, extension, extensions[index + 1]?.type ?? plan.lastNextHeader, spec.fragment);
    next += extensionBytes(extension);
  });
}

function writeExtension(
  view: DataView,
  at: number,
  extension: FrameExtension,
  nextHeader: number,
  fragment: FrameFragment | undefined,
): void {
  const { type } = extension;
  const bytes = extensionBytes(extension);
  for (let i = 0; i < bytes; i++) view.setUint8(at + i, 0);
  view.setUint8(at, nextHeader);
  if (type === PROTO_FRAGMENT) {
    view.setUint16(at + 2, (fragment?.offsetBytes ?? 0) | (fragment?.more ? 1 : 0));
    view.setUint32(at + 4, fragment?.id ?? 0);
    return;
  }
  view.setUint8(at + 1, type === PROTO_AH ? bytes / 4 - 2 : bytes / EXTENSION_UNIT_BYTES - 1);
  if (type === PROTO_HOP_BY_HOP || type === PROTO_DESTINATION) writePadding(view, at + 2, at + bytes);
}

/** Fills an options header with PadN options (RFC 8200, 4.2), of even sizes so that no single byte is left. */
function writePadding(view: DataView, from: number, to: number): void {
  for (let at = from; at < to; ) {
    const bytes = Math.min(to - at, 256);
    view.setUint8(at, OPTION_PADN);
    view.setUint8(at + 1, bytes - 2);
    at += bytes;
  }
}

function writeTransport(view: DataView, at: number, end: number, plan: FramePlan): void {
  const { spec, protocol } = plan;
  for (let i = 0; i < plan.transportHeaderBytes; i++) view.setUint8(at + i, 0);
  if (protocol === PROTO_ICMP || protocol === PROTO_ICMPV6) {
    view.setUint8(at, protocol === PROTO_ICMP ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST);
  } else {
    view.setUint16(at, spec.sport ?? 0);
    view.setUint16(at + 2, spec.dport ?? 0);
  }
  if (protocol === PROTO_TCP) {
    view.setUint8(at + 12, (plan.transportHeaderBytes >> 2) << 4);
    view.setUint8(at + 13, TCP_FLAG_ACK);
    view.setUint16(at + 14, TCP_WINDOW_BYTES);
  } else if (protocol === PROTO_UDP) {
    view.setUint16(at + 4, end - at);
  } else if (protocol === PROTO_DCCP) {
    view.setUint8(at + 4, plan.transportHeaderBytes >> 2);
  }
  const checksumOffset = TRANSPORT_CHECKSUM_OFFSET.get(protocol);
  const isFragment = spec.fragment !== undefined && (spec.fragment.more || spec.fragment.offsetBytes > 0);
  if (checksumOffset === undefined || isFragment) return;
  const pseudo = protocol === PROTO_ICMP ? 0 : pseudoHeaderSum(plan, end - at);
  const checksum = foldChecksum(pseudo + sumWords(view, at, end));
  // In UDP a zero would say that there is no checksum (RFC 768).
  const hasZeroMeaning = protocol === PROTO_UDP || protocol === PROTO_UDPLITE;
  view.setUint16(at + checksumOffset, checksum === 0 && hasZeroMeaning ? 0xffff : checksum);
}

function pseudoHeaderSum(plan: FramePlan, transportBytes: number): number {
  let sum = plan.protocol + transportBytes;
  for (const words of [plan.sourceWords, plan.destinationWords]) {
    for (const word of words) sum += (word >>> 16) + (word & 0xffff);
  }
  return sum;
}

/** Sum of the big-endian 16-bit words in [from, to); an odd last byte counts as if a zero followed it. */
function sumWords(view: DataView, from: number, to: number): number {
  let sum = 0;
  let at = from;
  for (; at + 2 <= to; at += 2) sum += view.getUint16(at);
  return at < to ? sum + (view.getUint8(at) << 8) : sum;
}

/** The Internet checksum of a sum of words (RFC 1071). */
function foldChecksum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}
