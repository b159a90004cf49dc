/** Frames as hex, for the tests of wires. */
const MACS = '0200000000020200000000c1';
const PAYLOAD = '77656972'.repeat(8);

function hex(value: number, bytes: number): string {
  return value.toString(16).padStart(bytes * 2, '0');
}

function ipv4Packet(source: string, destination: string, port: number): string {
  const length = 20 + 8 + PAYLOAD.length / 2;
  const udp = `${hex(port, 2)}${hex(9, 2)}${hex(length - 20, 2)}0000`;
  return `4500${hex(length, 2)}0000000040110000${address4(source)}${address4(destination)}${udp}${PAYLOAD}`;
}

function ipv6Packet(port: number): string {
  const bytes = 8 + PAYLOAD.length / 2;
  const udp = `${hex(port, 2)}${hex(9, 2)}${hex(bytes, 2)}0000`;
  const [source, destination] = ['20010db8000000000000000000000005', '20010db8000100000000000000000001'];
  return `60000000${hex(bytes, 2)}1140${source}${destination}${udp}${PAYLOAD}`;
}

/** `10.0.0.1` as 8 hex digits. */
export function address4(dotted: string): string {
  return dotted
    .split('.')
    .map((part) => hex(Number(part), 1))
    .join('');
}

/** A UDP packet over IPv4. */
export function ipv4Frame(port = 1000, source = '10.0.0.5', destination = '192.0.2.1'): string {
  return `${MACS}0800${ipv4Packet(source, destination, port)}`;
}

/** An IPv4 frame of any length, filled up. */
export function longFrame(bytes: number): string {
  const packet = ipv4Packet('10.0.0.5', '192.0.2.1', 1000);
  return `${MACS}0800${packet}`.padEnd(bytes * 2, '5a');
}

const VLAN_7 = '81000007';

/** What goes to the worker. */
export const IP_FRAMES: readonly string[] = [
  ipv4Frame(),
  `${MACS}86dd${ipv6Packet(1001)}`,
  `${MACS}${VLAN_7}0800${ipv4Packet('10.0.0.6', '192.0.2.1', 1002)}`,
  `${MACS}88a80064${VLAN_7}86dd${ipv6Packet(1003)}`,
  `${MACS}88641100002a${hex(62, 2)}0021${ipv4Packet('10.0.0.7', '192.0.2.1', 1004)}`,
  `${MACS}${VLAN_7}88641100002a${hex(82, 2)}0057${ipv6Packet(1005)}`,
  `${MACS}884700010140${ipv4Packet('10.0.0.8', '192.0.2.1', 1006)}`,
];

/** What crosses in the kernel: ARP, tagged ARP, LLDP, STP, PPPoE discovery, PPP's LCP. */
export const OTHER_FRAMES: readonly string[] = [
  `ffffffffffff0200000000c108060001080006040001${'0200000000c1'}0a000005${'000000000000'}c0000201`.padEnd(
    120,
    '0',
  ),
  `ffffffffffff0200000000c1${VLAN_7}08060001080006040001`.padEnd(128, '0'),
  `0180c200000e0200000000c188cc0207040200000000c1`.padEnd(120, '0'),
  `0180c20000000200000000c100264242030000`.padEnd(120, '0'),
  `${MACS}88631109000000040101`.padEnd(120, '0'),
  `${MACS}88641100002a0006c0210101`.padEnd(120, '0'),
];

/** Ends within the IP header. */
export const RUNT_FRAME = `${MACS}0800450000`;
