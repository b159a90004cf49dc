/**
 * Where the IP header of a frame begins, and its traffic class: the byte that DSCP (RFC 2474) and ECN (RFC 3168) share.
 *
 *   Ethernet II → up to two VLAN tags → [ PPPoE session | MPLS stack ] → IPv4 | IPv6
 *
 * That is the parser's way to IP, for packets that have left their batch: in every frame that the parser gives a key a
 * header is found. It ends at the fixed part of the header: what lies behind is not looked at, so a header may also be
 * found in a frame that the parser calls malformed for its lengths or truncated.
 */
import * as ethertypes from './ethertypes.js';

// Imported constants are looked up at each use; the engine folds a module's own into the code.
const {
  ETHERNET_HEADER_BYTES,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_MPLS,
  ETHERTYPE_MPLS_UPSTREAM,
  ETHERTYPE_PPPOE_SESSION,
  IPV4_HEADER_BYTES,
  IPV6_HEADER_BYTES,
  MPLS_LABEL_BYTES,
  PPP_IPV4,
  PPP_IPV6,
  PPPOE_HEADER_BYTES,
  VLAN_TAG_BYTES,
  VLAN_TAGS_MAX,
  MPLS_BOTTOM_OF_STACK,
  MPLS_LABELS_MAX,
  PPPOE_SESSION_DATA,
  isVlanTag,
} = ethertypes;

/** What `ipHeaderAt` returns: the header's offset from the frame's first byte, and 4 or 6. */
export const enum IpHeader {
  NONE = -1,
  FAMILY_MASK = 7,
  OFFSET_SHIFT = 3,
}

const IPV4_WORDS_MIN = IPV4_HEADER_BYTES >> 2;
const IPV4_CHECKSUM = 10;

/**
 * Finds the IP header of the frame that begins at `at` of the memory and of which `capturedBytes` are there. Reads only
 * those, and nothing of a frame that reaches out of the memory. Returns an `IpHeader`.
 */
export function ipHeaderAt(view: DataView, at: number, capturedBytes: number): number {
  if (at < 0 || capturedBytes < ETHERNET_HEADER_BYTES || capturedBytes > view.byteLength - at)
    return IpHeader.NONE;
  const end = at + capturedBytes;
  let next = at + ETHERNET_HEADER_BYTES;
  let type = view.getUint16(next - 2);
  for (let tags = 0; isVlanTag(type); tags++) {
    next += VLAN_TAG_BYTES;
    if (tags === VLAN_TAGS_MAX || next > end) return IpHeader.NONE;
    type = view.getUint16(next - 2);
  }
  if (type === ETHERTYPE_IPV4) return headerOf(view, at, next, end, 4);
  if (type === ETHERTYPE_IPV6) return headerOf(view, at, next, end, 6);
  if (type === ETHERTYPE_PPPOE_SESSION) {
    next += PPPOE_HEADER_BYTES;
    if (next > end || view.getUint16(next - PPPOE_HEADER_BYTES) !== PPPOE_SESSION_DATA) return IpHeader.NONE;
    const protocol = view.getUint16(next - 2);
    if (protocol === PPP_IPV4) return headerOf(view, at, next, end, 4);
    if (protocol === PPP_IPV6) return headerOf(view, at, next, end, 6);
  } else if (type === ETHERTYPE_MPLS || type === ETHERTYPE_MPLS_UPSTREAM) {
    return headerBehindLabels(view, at, next, end);
  }
  return IpHeader.NONE;
}

/** The stack says nothing of what it carries; the first nibble behind it does. */
function headerBehindLabels(view: DataView, at: number, stackAt: number, end: number): number {
  let next = stackAt;
  for (let labels = 0, label = 0; (label & MPLS_BOTTOM_OF_STACK) === 0; labels++) {
    next += MPLS_LABEL_BYTES;
    if (labels === MPLS_LABELS_MAX || next > end) return IpHeader.NONE;
    label = view.getInt32(next - MPLS_LABEL_BYTES);
  }
  if (next === end) return IpHeader.NONE;
  const version = view.getUint8(next) >>> 4;
  return version === 4 || version === 6 ? headerOf(view, at, next, end, version) : IpHeader.NONE;
}

/** The header at `next` if it is there and of `family`. */
function headerOf(view: DataView, at: number, next: number, end: number, family: number): number {
  if (end - next < (family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES)) return IpHeader.NONE;
  const first = view.getUint8(next);
  if (first >>> 4 !== family || (family === 4 && (first & 0xf) < IPV4_WORDS_MIN)) return IpHeader.NONE;
  return ((next - at) << IpHeader.OFFSET_SHIFT) | family;
}

/** Of the frame at `at`; `header` is what `ipHeaderAt` said of it. */
export function trafficClassOf(view: DataView, at: number, header: number): number {
  // In IPv6 it straddles the first two bytes; in IPv4 it is the second.
  const first = view.getUint16(at + (header >>> IpHeader.OFFSET_SHIFT));
  return (header & IpHeader.FAMILY_MASK) === 4 ? first & 0xff : (first >>> 4) & 0xff;
}

/** Gives the frame another traffic class than it has, and puts the IPv4 checksum right. */
export function setTrafficClass(view: DataView, at: number, header: number, trafficClass: number): void {
  const headerAt = at + (header >>> IpHeader.OFFSET_SHIFT);
  const before = view.getUint16(headerAt);
  if ((header & IpHeader.FAMILY_MASK) === 6) {
    view.setUint16(headerAt, (before & 0xf00f) | (trafficClass << 4));
    return;
  }
  const after = (before & 0xff00) | trafficClass;
  view.setUint16(headerAt, after);
  // RFC 1624, equation 3: exactly what summing all up would give (never 0xffff), and a wrong checksum stays wrong.
  const checksum = view.getUint16(headerAt + IPV4_CHECKSUM);
  let sum = (~checksum & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(headerAt + IPV4_CHECKSUM, ~sum & 0xffff);
}
