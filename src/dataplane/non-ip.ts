import * as ethertypes from './ethertypes.js';

const {
  ETHERNET_HEADER_BYTES,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_PPPOE_SESSION,
  PPP_IPV4,
  PPP_IPV6,
  PPPOE_HEADER_BYTES,
  VLAN_TAG_BYTES,
  VLAN_TAGS_MAX,
  isVlanTag,
} = ethertypes;

/**
 * Whether a frame of kind unknown is none of IP's, and not an IP packet that could not be read: those of the first kind
 * (ARP, LLDP, PPP's own) keep the wire alive. `at` is its first byte in the UMEM. What ends too early is not told.
 */
export function isNonIp(umem: Uint8Array, at: number, capturedBytes: number): boolean {
  const end = at + capturedBytes;
  let next = at + ETHERNET_HEADER_BYTES;
  if (next > end) return false;
  let type = wordAt(umem, next - 2);
  for (let tags = 0; isVlanTag(type); tags++) {
    next += VLAN_TAG_BYTES;
    if (tags === VLAN_TAGS_MAX || next > end) return false;
    type = wordAt(umem, next - 2);
  }
  if (type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6) return false;
  if (type !== ETHERTYPE_PPPOE_SESSION) return true;
  if (next + PPPOE_HEADER_BYTES > end) return false;
  const protocol = wordAt(umem, next + PPPOE_HEADER_BYTES - 2);
  return protocol !== PPP_IPV4 && protocol !== PPP_IPV6;
}

function wordAt(umem: Uint8Array, at: number): number {
  return (umem[at]! << 8) | umem[at + 1]!;
}
