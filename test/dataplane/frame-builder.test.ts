import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildFrame, type FrameSpec, writeFrame } from '../../src/dataplane/frame-builder.js';
import { frameCatalogue } from './frame-catalogue.js';

const base: FrameSpec = { src: '192.0.2.1', dst: '198.51.100.7', protocol: 'udp', sport: 53, dport: 4000 };
const base6: FrameSpec = { ...base, src: '2001:db8::1', dst: '2001:db8:ffff::7' };

/** Ones' complement sum of 16-bit words, carried at every step; 0xffff over data with a right checksum. */
function onesSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i] * 256 + (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** A frame without outer headers whose transport follows at `transportAt`, with its pseudo-header in front. */
function withPseudoHeader(frame: Uint8Array, protocol: number, transportAt: number, end: number): Uint8Array {
  const addresses = frame[14] >> 4 === 4 ? frame.subarray(26, 34) : frame.subarray(22, 54);
  const bytes = end - transportAt;
  return Uint8Array.from([
    ...addresses,
    0,
    protocol,
    bytes >> 8,
    bytes & 255,
    ...frame.subarray(transportAt, end),
  ]);
}

const test = suite('dataplane/frame-builder');

test('the IPv4 header checksum is right, with and without options', () => {
  for (const ipOptionsBytes of [0, 4, 40]) {
    const frame = buildFrame({ ...base, ipOptionsBytes, dscp: 46, ttl: 3, payloadBytes: 9 });
    assert.is(onesSum(frame.subarray(14, 34 + ipOptionsBytes)), 0xffff);
    assert.is(frame[14], 0x40 | (5 + ipOptionsBytes / 4));
    assert.is(frame[15], 46 << 2);
    assert.is(frame[22], 3);
  }
});

test('transport checksums are right over both families and at odd lengths', () => {
  const protocols: [protocol: FrameSpec['protocol'], number][] = [
    ['tcp', 6],
    ['udp', 17],
    [136, 136],
  ];
  for (const [protocol, protocolNumber] of protocols) {
    for (let payloadBytes = 0; payloadBytes < 70; payloadBytes++) {
      const v4 = buildFrame({ ...base, protocol, payloadBytes });
      assert.is(onesSum(withPseudoHeader(v4, protocolNumber, 34, v4.length)), 0xffff);
      const v6 = buildFrame({
        ...base6,
        protocol,
        payloadBytes,
        extensionHeaders: [{ type: 60, bytes: 16 }],
      });
      assert.is(onesSum(withPseudoHeader(v6, protocolNumber, 70, v6.length)), 0xffff);
    }
  }
  const icmp = buildFrame({ ...base, protocol: 'icmp', payloadBytes: 11 });
  assert.is(onesSum(icmp.subarray(34)), 0xffff);
  const icmp6 = buildFrame({ ...base6, protocol: 'icmp', payloadBytes: 11 });
  assert.is(onesSum(withPseudoHeader(icmp6, 58, 54, icmp6.length)), 0xffff);
});

test('a UDP checksum of zero is sent as ones', () => {
  let ones = 0;
  for (let sport = 0; sport <= 0xffff; sport++) {
    const frame = buildFrame({ ...base, src: 0x0a000001, dst: 0x0a000002, sport });
    const checksum = frame[40] * 256 + frame[41];
    assert.is.not(checksum, 0);
    if (checksum === 0xffff) ones++;
  }
  assert.ok(ones > 0);
});

test('lengths: payload, padding to frameBytes, and payload that fills it', () => {
  assert.is(buildFrame({ ...base, payloadBytes: 10 }).length, 14 + 20 + 8 + 10);
  const filled = buildFrame({ ...base, frameBytes: 100 });
  assert.is(filled.length, 100);
  assert.is(filled[16] * 256 + filled[17], 86);
  const padded = buildFrame({ ...base, payloadBytes: 1, frameBytes: 60 });
  assert.is(padded.length, 60);
  assert.is(padded[16] * 256 + padded[17], 29);
  assert.ok(padded.subarray(43).every((byte) => byte === 0));
  assert.is(padded[38] * 256 + padded[39], 9);
});

test('MAC addresses, tags and session stand where they belong', () => {
  const frame = buildFrame({
    ...base,
    sourceMac: '02:aa:bb:cc:dd:ee',
    vlans: [{ tpid: 0x88a8, id: 0x123, prio: 3 }, { id: 0xfff }],
    pppoe: { session: 0xcafe },
  });
  const hex = Buffer.from(frame).toString('hex');
  assert.is(
    hex.slice(0, 68),
    '02000000000202aabbccddee88a861238100' + '0fff88641100cafe001e0021' + '4500001c',
  );
});

test('writing at an offset gives the bytes of building, and touches no others', () => {
  const buffer = new Uint8Array(new SharedArrayBuffer(4096));
  for (const { name, spec } of frameCatalogue()) {
    const frame = buildFrame(spec);
    buffer.fill(0xa5);
    assert.is(writeFrame(buffer, 77, spec), frame.length, name);
    assert.ok(Buffer.from(frame).equals(Buffer.from(buffer.slice(77, 77 + frame.length))), name);
    assert.ok(
      buffer.subarray(0, 77).every((byte) => byte === 0xa5),
      name,
    );
    assert.ok(
      buffer.subarray(77 + frame.length).every((byte) => byte === 0xa5),
      name,
    );
  }
});

const contradictions: [name: string, code: string, spec: FrameSpec][] = [
  ['two families', 'E_FRAME_SPEC', { ...base, dst: '::1' }],
  ['no address', 'E_FRAME_SPEC', { ...base, dst: 'localhost' }],
  ['three address words', 'E_FRAME_SPEC', { ...base6, dst: [1, 2, 3] }],
  ['no MAC', 'E_FRAME_SPEC', { ...base, sourceMac: '02:00' }],
  ['options of 5 bytes', 'E_FRAME_SPEC', { ...base, ipOptionsBytes: 5 }],
  ['options of 44 bytes', 'E_FRAME_SPEC', { ...base, ipOptionsBytes: 44 }],
  ['an extension of 12 bytes', 'E_FRAME_SPEC', { ...base6, extensionHeaders: [{ type: 60, bytes: 12 }] }],
  ['an extension over IPv4', 'E_FRAME_SPEC', { ...base, extensionHeaders: [{ type: 60 }] }],
  ['an odd fragment offset', 'E_FRAME_SPEC', { ...base, fragment: { offsetBytes: 4, more: true } }],
  ['a frame below its headers', 'E_FRAME_SPEC', { ...base, frameBytes: 41 }],
  ['PPPoE and MPLS', 'E_FRAME_SPEC', { ...base, mpls: [16], pppoe: { session: 1 } }],
  ['no label', 'E_FRAME_SPEC', { ...base, mpls: [] }],
  ['more than IP can hold', 'E_FRAME_SPEC', { ...base, payloadBytes: 65535 }],
  ['more than the buffer', 'E_FRAME_SPACE', { ...base, payloadBytes: 100 }],
];

for (const [name, code, spec] of contradictions) {
  test(`${name}: ${code}, and nothing is written`, () => {
    const buffer = new Uint8Array(code === 'E_FRAME_SPACE' ? 100 : 70_000);
    assert.throws(
      () => writeFrame(buffer, 0, spec),
      (error: { code?: string }) => error.code === code,
    );
    assert.ok(buffer.every((byte) => byte === 0));
  });
}

test.run();
