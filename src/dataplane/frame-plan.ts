/**
 * The description of a frame for the frame builder, and how large each of its parts will be.
 */
import ipaddr from 'ipaddr.js';
import { WeirError } from '../errors.js';
import {
  ETHERNET_HEADER_BYTES,
  EXTENSION_UNIT_BYTES,
  IPV4_HEADER_BYTES,
  IPV6_HEADER_BYTES,
  MPLS_LABEL_BYTES,
  PPPOE_HEADER_BYTES,
  PROTO_AH,
  PROTO_DCCP,
  PROTO_FRAGMENT,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_SCTP,
  PROTO_TCP,
  PROTO_UDP,
  PROTO_UDPLITE,
  VLAN_TAG_BYTES,
} from './ethertypes.js';

/** Text, an IPv4 address as one number, or an IPv6 address as four big-endian words. */
export type FrameAddress = string | number | readonly number[];

export interface FrameVlan {
  /** Default 0x8100. */
  tpid?: number;
  /** 0 to 4095. */
  id: number;
  /** Priority code point, 0 to 7. */
  prio?: number;
}

export interface FrameExtension {
  /** Protocol number of the header; 44 is where the fragment header goes (an atomic one without `fragment`). */
  type: number;
  /** Whole size, a multiple of 8 (for AH of 4) and at least 8; default 8. Without effect for type 44. */
  bytes?: number;
}

export interface FrameFragment {
  /** Multiple of 8. */
  offsetBytes: number;
  more: boolean;
  id?: number;
}

export interface FrameSpec {
  /** `02:00:00:00:00:01` when left out. */
  sourceMac?: string;
  /** `02:00:00:00:00:02` when left out. */
  destinationMac?: string;
  /** From the outermost tag inwards. */
  vlans?: readonly FrameVlan[];
  pppoe?: { session: number };
  /** Labels from the top of the stack to its bottom. */
  mpls?: readonly number[];
  src: FrameAddress;
  dst: FrameAddress;
  protocol: 'tcp' | 'udp' | 'icmp' | number;
  sport?: number;
  dport?: number;
  /** IPv4 options in bytes, a multiple of 4 up to 40: no-operations, then end of list. */
  ipOptionsBytes?: number;
  /** IPv6 extension headers in their order. */
  extensionHeaders?: readonly FrameExtension[];
  fragment?: FrameFragment;
  /** Bytes after the transport header. Default 0, or what fills `frameBytes`. */
  payloadBytes?: number;
  /** Size of the whole frame without FCS. With `payloadBytes` the rest is padding after the IP packet. */
  frameBytes?: number;
  /** TTL or hop limit; default 64. */
  ttl?: number;
  dscp?: number;
  ecn?: number;
}

const DEFAULT_SOURCE_MAC = '02:00:00:00:00:01';
const DEFAULT_DESTINATION_MAC = '02:00:00:00:00:02';

/** Size of the transport header by protocol; others have none, and their payload follows IP directly. */
const TRANSPORT_HEADER_BYTES = new Map([
  [PROTO_TCP, 20],
  [PROTO_UDP, 8],
  [PROTO_UDPLITE, 8],
  [PROTO_ICMP, 8],
  [PROTO_ICMPV6, 8],
  [PROTO_SCTP, 12],
  [PROTO_DCCP, 16],
]);

/** A spec with its defaults filled in and the sizes of its parts. */
export interface FramePlan {
  spec: FrameSpec;
  isIpv6: boolean;
  sourceMac: readonly number[];
  destinationMac: readonly number[];
  sourceWords: readonly number[];
  destinationWords: readonly number[];
  protocol: number;
  /** IPv6 extension headers that this packet holds; a later fragment has none behind the fragment header. */
  extensions: readonly FrameExtension[];
  /** What the last header in this packet names as the next: differs from `protocol` in later fragments. */
  lastNextHeader: number;
  linkBytes: number;
  ipHeaderBytes: number;
  transportHeaderBytes: number;
  payloadBytes: number;
  frameBytes: number;
}

function specError(message: string): WeirError {
  return new WeirError('E_FRAME_SPEC', message);
}

/** Checks the spec and lays the frame out. Throws E_FRAME_SPEC with what contradicts what. */
export function planFrame(spec: FrameSpec): FramePlan {
  const sourceWords = addressWords(spec.src);
  const destinationWords = addressWords(spec.dst);
  const isIpv6 = sourceWords.length === 4;
  if (sourceWords.length !== destinationWords.length)
    throw specError('src and dst are of two address families');
  if (spec.pppoe && spec.mpls) throw specError('pppoe and mpls exclude each other');
  if (spec.mpls?.length === 0) throw specError('an mpls stack needs a label');
  const protocol = protocolNumber(spec.protocol, isIpv6);
  const { extensions, lastNextHeader } = planExtensions(spec, isIpv6, protocol);
  const ipHeaderBytes = isIpv6
    ? IPV6_HEADER_BYTES + extensions.reduce((sum, extension) => sum + extensionBytes(extension), 0)
    : IPV4_HEADER_BYTES + optionsBytes(spec);
  const isLaterFragment = (spec.fragment?.offsetBytes ?? 0) > 0;
  const transportHeaderBytes = isLaterFragment ? 0 : (TRANSPORT_HEADER_BYTES.get(protocol) ?? 0);
  const linkBytes =
    ETHERNET_HEADER_BYTES +
    (spec.vlans?.length ?? 0) * VLAN_TAG_BYTES +
    (spec.pppoe ? PPPOE_HEADER_BYTES : 0) +
    (spec.mpls?.length ?? 0) * MPLS_LABEL_BYTES;
  const headerBytes = linkBytes + ipHeaderBytes + transportHeaderBytes;
  const payloadBytes = spec.payloadBytes ?? Math.max(0, (spec.frameBytes ?? 0) - headerBytes);
  const frameBytes = spec.frameBytes ?? headerBytes + payloadBytes;
  if (headerBytes + payloadBytes > frameBytes) {
    throw specError(
      `headers of ${headerBytes} and payload of ${payloadBytes} exceed frameBytes ${frameBytes}`,
    );
  }
  if (ipHeaderBytes + transportHeaderBytes + payloadBytes > 0xffff)
    throw specError('IP packet above 65535 bytes');
  return {
    spec,
    isIpv6,
    sourceMac: macBytes(spec.sourceMac ?? DEFAULT_SOURCE_MAC),
    destinationMac: macBytes(spec.destinationMac ?? DEFAULT_DESTINATION_MAC),
    sourceWords,
    destinationWords,
    protocol,
    extensions,
    lastNextHeader,
    linkBytes,
    ipHeaderBytes,
    transportHeaderBytes,
    payloadBytes,
    frameBytes,
  };
}

function macBytes(mac: string): readonly number[] {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac)) throw specError(`'${mac}' is not a MAC address`);
  return mac.split(':').map((byte) => Number.parseInt(byte, 16));
}

function addressWords(address: FrameAddress): readonly number[] {
  if (typeof address === 'number') return [address];
  if (typeof address !== 'string') {
    if (address.length !== 4) throw specError(`an IPv6 address has 4 words, not ${address.length}`);
    return address;
  }
  if (!ipaddr.isValid(address)) throw specError(`'${address}' is not an IP address`);
  const bytes = ipaddr.parse(address).toByteArray();
  const words: number[] = [];
  for (let i = 0; i < bytes.length; i += 4) {
    words.push((bytes[i] << 24) | (bytes[i + 1] << 16) | (bytes[i + 2] << 8) | bytes[i + 3]);
  }
  return words;
}

function protocolNumber(protocol: FrameSpec['protocol'], isIpv6: boolean): number {
  if (typeof protocol === 'number') return protocol;
  if (protocol === 'tcp') return PROTO_TCP;
  if (protocol === 'udp') return PROTO_UDP;
  return isIpv6 ? PROTO_ICMPV6 : PROTO_ICMP;
}

function planExtensions(
  spec: FrameSpec,
  isIpv6: boolean,
  protocol: number,
): { extensions: readonly FrameExtension[]; lastNextHeader: number } {
  const given = spec.extensionHeaders ?? [];
  if ((spec.fragment?.offsetBytes ?? 0) % 8 !== 0) throw specError('a fragment offset is a multiple of 8');
  if (!isIpv6) {
    if (given.length > 0) throw specError('extensionHeaders belong to IPv6');
    return { extensions: [], lastNextHeader: protocol };
  }
  for (const extension of given) {
    const bytes = extensionBytes(extension);
    const unitBytes = extension.type === PROTO_AH ? 4 : EXTENSION_UNIT_BYTES;
    if (bytes < EXTENSION_UNIT_BYTES || bytes % unitBytes !== 0 || bytes > 256 * unitBytes) {
      throw specError(`extension header ${extension.type} cannot have ${bytes} bytes`);
    }
  }
  const hasPlace = given.some((extension) => extension.type === PROTO_FRAGMENT);
  const all = spec.fragment && !hasPlace ? [...given, { type: PROTO_FRAGMENT }] : given;
  if (!spec.fragment || spec.fragment.offsetBytes === 0) return { extensions: all, lastNextHeader: protocol };
  const cut = all.findIndex((extension) => extension.type === PROTO_FRAGMENT) + 1;
  return { extensions: all.slice(0, cut), lastNextHeader: all[cut]?.type ?? protocol };
}

/** Whole size of an extension header. */
export function extensionBytes(extension: FrameExtension): number {
  return extension.type === PROTO_FRAGMENT ? EXTENSION_UNIT_BYTES : (extension.bytes ?? EXTENSION_UNIT_BYTES);
}

function optionsBytes(spec: FrameSpec): number {
  const bytes = spec.ipOptionsBytes ?? 0;
  if (bytes % 4 !== 0 || bytes < 0 || bytes > 40) throw specError(`IPv4 options cannot have ${bytes} bytes`);
  return bytes;
}
