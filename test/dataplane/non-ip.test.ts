import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isNonIp } from '../../src/dataplane/non-ip.js';

const test = suite('non-IP frames');
const MACS = '020000000001020000000002';

/** Headers after the MAC addresses, in hex, and whether they are of a protocol other than IP. */
const FRAMES: readonly (readonly [string, string, boolean])[] = [
  ['ARP', '0806 0001', true],
  ['LLDP', '88cc 0207', true],
  ['an 802.3 length, as STP has', '0026 4242', true],
  ['IPv4 that cannot be read', '0800', false],
  ['IPv6 that cannot be read', '86dd 60', false],
  ['ARP in a VLAN', '8100 0005 0806', true],
  ['IPv4 in QinQ', '88a8 0001 8100 0005 0800', false],
  ['LLDP in QinQ', '88a8 0001 8100 0005 88cc', true],
  ['more tags than are looked behind', '8100 0001 8100 0001 8100 0001 0806', false],
  ['a tag that ends too early', '8100 00', false],
  ['PPPoE discovery', '8863 1109 0000 0000', true],
  ['LCP in a PPPoE session', '8864 1100 0001 0004 c021', true],
  ['IPv4 in a PPPoE session', '8864 1100 0001 0004 0021', false],
  ['a PPPoE session that ends too early', '8864 1100 0001', false],
];

for (const [name, headers, isOther] of FRAMES) {
  test(name, () => {
    const frame = Buffer.from(MACS + headers.replaceAll(' ', ''), 'hex');
    // The frame lies somewhere in the UMEM, and what lies around it must not matter.
    const umem = Buffer.alloc(256, 0x08);
    frame.copy(umem, 100);
    assert.is(isNonIp(umem, 100, frame.length), isOther);
  });
}

test('a frame without a whole Ethernet header', () => {
  assert.is(isNonIp(new Uint8Array(64).fill(0xff), 0, 13), false);
});

test.run();
