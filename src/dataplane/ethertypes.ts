/**
 * Numbers that headers carry to say what follows them. They come from the IEEE 802 EtherType registry,
 * the IANA PPP protocol field registry and the IANA protocol number registry.
 */
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERTYPE_MPLS = 0x8847;
export const ETHERTYPE_MPLS_UPSTREAM = 0x8848;
export const ETHERTYPE_PPPOE_SESSION = 0x8864;
export const ETHERTYPE_QINQ = 0x88a8;
/** The outer tag of switches that stacked VLANs before 802.1ad gave it a number. */
export const ETHERTYPE_QINQ_OLD = 0x9100;

export const PPP_IPV4 = 0x0021;
export const PPP_IPV6 = 0x0057;

export const PROTO_HOP_BY_HOP = 0;
export const PROTO_ICMP = 1;
export const PROTO_TCP = 6;
export const PROTO_UDP = 17;
export const PROTO_DCCP = 33;
export const PROTO_ROUTING = 43;
export const PROTO_FRAGMENT = 44;
export const PROTO_ESP = 50;
export const PROTO_AH = 51;
export const PROTO_ICMPV6 = 58;
export const PROTO_NONE = 59;
export const PROTO_DESTINATION = 60;
export const PROTO_SCTP = 132;
export const PROTO_MOBILITY = 135;
export const PROTO_UDPLITE = 136;
export const PROTO_HIP = 139;
export const PROTO_SHIM6 = 140;

export const ETHERNET_HEADER_BYTES = 14;
export const VLAN_TAG_BYTES = 4;
/** Six bytes of PPPoE and two of PPP protocol. */
export const PPPOE_HEADER_BYTES = 8;
export const MPLS_LABEL_BYTES = 4;
export const IPV4_HEADER_BYTES = 20;
export const IPV6_HEADER_BYTES = 40;
/** The shortest IPv6 extension header, and the unit most of them grow by. */
export const EXTENSION_UNIT_BYTES = 8;

/** What of a way to IP is walked: tags and labels beyond are nobody's. */
export const VLAN_TAGS_MAX = 2;
export const MPLS_LABELS_MAX = 8;
export const MPLS_BOTTOM_OF_STACK = 0x100;
/** Version 1, type 1, code 0: the only PPPoE header that carries session data (RFC 2516). */
export const PPPOE_SESSION_DATA = 0x1100;

export function isVlanTag(etherType: number): boolean {
  return etherType === ETHERTYPE_VLAN || etherType === ETHERTYPE_QINQ || etherType === ETHERTYPE_QINQ_OLD;
}
