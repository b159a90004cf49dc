/**
 * One description of a frame for every kind and combination that the parser knows, and what the parser
 * must say of each, worked out from the description and not from the bytes.
 */
import type { FrameSpec, FrameVlan } from '../../src/dataplane/frame-builder.js';

export interface CatalogueEntry {
  name: string;
  spec: FrameSpec;
  kind: 4 | 6;
  key: number[];
}

const SOURCE_V4 = '10.200.3.4';
const SOURCE_V4_WORDS = [0x0ac80304];
const DESTINATION_V4 = '203.0.113.250';
const DESTINATION_V4_WORDS = [0xcb0071fa];
const SOURCE_V6 = '2001:db8:a1b2:c3d4::8765:4321';
const SOURCE_V6_WORDS = [0x20010db8, 0xa1b2c3d4, 0, 0x87654321];
const DESTINATION_V6 = 'fe80::ffff:1:2:3';
const DESTINATION_V6_WORDS = [0xfe800000, 0, 0xffff0001, 0x00020003];
const SPORT = 0xf123;
const DPORT = 443;
const PORTS = (SPORT << 16) | DPORT;

interface Outer {
  name: string;
  spec: Pick<FrameSpec, 'vlans' | 'pppoe' | 'mpls'>;
}

interface Inner {
  name: string;
  family: 4 | 6;
  spec: Omit<FrameSpec, 'src' | 'dst'>;
  protocol: number;
  ports: number;
}

const tag: FrameVlan = { id: 0xabc, prio: 5 };
const serviceTag: FrameVlan = { tpid: 0x88a8, id: 0xfff, prio: 7 };
const ports = { sport: SPORT, dport: DPORT };

const outers: Outer[] = [
  { name: 'untagged', spec: {} },
  { name: 'VLAN', spec: { vlans: [tag] } },
  { name: 'priority tag', spec: { vlans: [{ id: 0, prio: 6 }] } },
  { name: 'QinQ', spec: { vlans: [serviceTag, tag] } },
  { name: 'old QinQ', spec: { vlans: [{ tpid: 0x9100, id: 1 }, tag] } },
  { name: 'two 802.1Q tags', spec: { vlans: [{ id: 2 }, { id: 3 }] } },
  { name: 'PPPoE', spec: { pppoe: { session: 0x1234 } } },
  { name: 'VLAN, PPPoE', spec: { vlans: [tag], pppoe: { session: 1 } } },
  { name: 'QinQ, PPPoE', spec: { vlans: [serviceTag, tag], pppoe: { session: 0xffff } } },
  { name: 'MPLS', spec: { mpls: [0xfffff] } },
  { name: 'VLAN, MPLS', spec: { vlans: [tag], mpls: [16, 17] } },
  { name: 'QinQ, MPLS of 8 labels', spec: { vlans: [serviceTag, tag], mpls: [1, 2, 3, 4, 5, 6, 7, 8] } },
];

const inners: Inner[] = [
  inner('TCP', 4, { protocol: 'tcp', ...ports, payloadBytes: 6 }, 6),
  inner('UDP', 4, { protocol: 'udp', ...ports, payloadBytes: 3, dscp: 46, ecn: 1 }, 17),
  inner('SCTP', 4, { protocol: 132, ...ports }, 132),
  inner('DCCP', 4, { protocol: 33, ...ports }, 33),
  inner('UDP-Lite', 4, { protocol: 136, ...ports, payloadBytes: 5 }, 136),
  inner('ICMP', 4, { protocol: 'icmp', payloadBytes: 8 }, 1, 0),
  inner('ESP', 4, { protocol: 50, payloadBytes: 24 }, 50, 0),
  // Over IPv4 these numbers are no extension headers.
  inner('AH', 4, { protocol: 51, payloadBytes: 24 }, 51, 0),
  inner('protocol 0', 4, { protocol: 0, payloadBytes: 8 }, 0, 0),
  inner('TCP after 4 bytes of options', 4, { protocol: 'tcp', ...ports, ipOptionsBytes: 4 }, 6),
  inner('UDP after 40 bytes of options', 4, { protocol: 'udp', ...ports, ipOptionsBytes: 40 }, 17),
  inner(
    'first fragment',
    4,
    { protocol: 'udp', ...ports, payloadBytes: 16, fragment: fragment(0, true) },
    17,
    0,
  ),
  inner('middle fragment', 4, { protocol: 'tcp', payloadBytes: 16, fragment: fragment(1480, true) }, 6, 0),
  inner('last fragment', 4, { protocol: 'tcp', payloadBytes: 1, fragment: fragment(65528, false) }, 6, 0),
  inner('last fragment with options', 4, { ...lastFragment(), ipOptionsBytes: 8 }, 6, 0),
  inner('padded to the minimum', 4, { protocol: 'udp', ...ports, payloadBytes: 0, frameBytes: 100 }, 17),
  inner('TCP', 6, { protocol: 'tcp', ...ports, payloadBytes: 6 }, 6),
  inner('UDP', 6, { protocol: 'udp', ...ports, payloadBytes: 3, dscp: 46, ecn: 3 }, 17),
  inner('SCTP', 6, { protocol: 132, ...ports }, 132),
  inner('ICMPv6', 6, { protocol: 'icmp', payloadBytes: 8 }, 58, 0),
  inner('ESP', 6, { protocol: 50, payloadBytes: 24 }, 50, 0),
  inner('no next header', 6, { protocol: 59 }, 59, 0),
  ...[0, 43, 51, 60, 135, 139, 140].map((type) =>
    inner(
      `UDP after header ${type}`,
      6,
      { protocol: 'udp', ...ports, extensionHeaders: [{ type, bytes: 24 }] },
      17,
    ),
  ),
  inner('ICMPv6 after options', 6, { protocol: 'icmp', extensionHeaders: [{ type: 0, bytes: 16 }] }, 58, 0),
  inner(
    'no next header after options',
    6,
    { protocol: 59, extensionHeaders: [{ type: 60, bytes: 16 }] },
    59,
    0,
  ),
  inner('AH of 12 bytes', 6, { protocol: 'tcp', ...ports, extensionHeaders: [{ type: 51, bytes: 12 }] }, 6),
  inner('eight extension headers', 6, { protocol: 'tcp', ...ports, extensionHeaders: eightHeaders() }, 6),
  inner(
    'largest extension',
    6,
    { protocol: 'tcp', ...ports, extensionHeaders: [{ type: 60, bytes: 2048 }] },
    6,
  ),
  inner('atomic fragment', 6, { protocol: 'udp', ...ports, extensionHeaders: [{ type: 44 }] }, 17),
  inner(
    'first fragment',
    6,
    { protocol: 'udp', ...ports, payloadBytes: 16, fragment: fragment(0, true) },
    17,
    0,
  ),
  inner('middle fragment', 6, { protocol: 'tcp', payloadBytes: 16, fragment: fragment(1448, true) }, 6, 0),
  inner('last fragment', 6, { protocol: 'tcp', payloadBytes: 1, fragment: fragment(65528, false) }, 6, 0),
  // All fragments of a packet name the header behind the fragment header, here destination options.
  inner('first of options', 6, { protocol: 'udp', ...ports, ...optionsBehind(0, true) }, 60, 0),
  inner('last of options', 6, { protocol: 'udp', payloadBytes: 9, ...optionsBehind(64, false) }, 60, 0),
  inner('padded', 6, { protocol: 'udp', ...ports, payloadBytes: 0, frameBytes: 130 }, 17),
];

function inner(
  name: string,
  family: 4 | 6,
  spec: Inner['spec'],
  protocol: number,
  portsWord: number = PORTS,
): Inner {
  return { name: `IPv${family} ${name}`, family, spec, protocol, ports: portsWord };
}

function fragment(offsetBytes: number, more: boolean): NonNullable<FrameSpec['fragment']> {
  return { offsetBytes, more, id: 0xbeef };
}

function lastFragment(): Inner['spec'] {
  return { protocol: 'tcp', payloadBytes: 2, fragment: fragment(8, false) };
}

function optionsBehind(offsetBytes: number, more: boolean): Partial<FrameSpec> {
  const extensionHeaders = [{ type: 0 }, { type: 44 }, { type: 60, bytes: 16 }];
  return { extensionHeaders, fragment: fragment(offsetBytes, more) };
}

function eightHeaders(): NonNullable<FrameSpec['extensionHeaders']> {
  return [0, 60, 43, 44, 51, 135, 139, 140].map((type) => ({ type }));
}

/** Every inner packet in every outer encapsulation. */
export function frameCatalogue(): CatalogueEntry[] {
  return outers.flatMap((outer) =>
    inners.map((packet) => {
      const [outerId, innerId] = [outer.spec.vlans?.[0]?.id ?? 0, outer.spec.vlans?.[1]?.id ?? 0];
      const words =
        packet.family === 4
          ? [...SOURCE_V4_WORDS, ...DESTINATION_V4_WORDS]
          : [...SOURCE_V6_WORDS, ...DESTINATION_V6_WORDS];
      const addresses =
        packet.family === 4
          ? { src: SOURCE_V4, dst: DESTINATION_V4 }
          : { src: SOURCE_V6, dst: DESTINATION_V6 };
      const protocolWord = packet.protocol | (outerId << 8) | (innerId << 20);
      return {
        name: `${outer.name}, ${packet.name}`,
        spec: { ...addresses, ...packet.spec, ...outer.spec },
        kind: packet.family,
        key: [...words, packet.ports, protocolWord].map((word) => word | 0),
      };
    }),
  );
}
