import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildFrame, type FrameSpec } from '../../src/dataplane/frame-builder.js';
import { planFrame } from '../../src/dataplane/frame-plan.js';
import { IpHeader, ipHeaderAt, setTrafficClass, trafficClassOf } from '../../src/dataplane/ip-header.js';
import { randomOf, seedOf } from '../shm/class-hash-random.js';
import { frameCatalogue } from './frame-catalogue.js';
import { referenceParse } from './parse-reference.js';

const test = suite('dataplane/ip-header');
const seed = seedOf('ip-header');
const IP_AT = 14;

/** Looks at the frame at the end of a memory of its size, so that the first read beyond it throws. */
function headerIn(frame: Uint8Array): number {
  const memory = Uint8Array.from(frame);
  return ipHeaderAt(new DataView(memory.buffer), 0, memory.length);
}

/** The one's complement sum of a header, slowly: 0xffff when its checksum is right (RFC 1071). */
function sumOf(header: Uint8Array): number {
  let sum = 0;
  for (const [i, byte] of header.entries()) sum += i % 2 === 0 ? byte * 256 : byte;
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

function checksumOf(header: Uint8Array): number {
  return header[10]! * 256 + header[11]!;
}

/** Puts in the checksum that summing up gives. */
function sumUp(header: Uint8Array): void {
  header.set([0, 0], 10);
  const checksum = 0xffff - sumOf(header);
  header.set([checksum >> 8, checksum & 0xff], 10);
}

/** An Ethernet frame of one IPv4 header with random fields and options, and its checksum right. */
function randomFrame(random: (below: number) => number): Uint8Array {
  const words = 5 + random(11);
  const frame = new Uint8Array(IP_AT + words * 4).map(() => random(256));
  frame.set([0x08, 0x00, 0x40 | words], 12);
  sumUp(frame.subarray(IP_AT));
  return frame;
}

function change(frame: Uint8Array, trafficClass: number): void {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  setTrafficClass(view, 0, ipHeaderAt(view, 0, frame.length), trafficClass);
}

test('the header is found in every encapsulation, in as many bytes as it needs itself', () => {
  for (const { name, spec, kind } of frameCatalogue()) {
    const frame = buildFrame(spec);
    const { linkBytes } = planFrame(spec);
    const found = (linkBytes << IpHeader.OFFSET_SHIFT) | kind;
    const fixedBytes = kind === 4 ? 20 : 40;
    for (let bytes = 0; bytes <= Math.min(frame.length, linkBytes + fixedBytes + 1); bytes++) {
      const expected = bytes < linkBytes + fixedBytes ? IpHeader.NONE : found;
      assert.is(headerIn(frame.subarray(0, bytes)), expected, `${name}, cut to ${bytes} bytes`);
    }
    assert.is(headerIn(frame), found, name);
  }
});

const plain: FrameSpec = { src: '10.0.0.1', dst: '10.0.0.2', protocol: 'tcp', frameBytes: 90 };
const plain6: FrameSpec = { ...plain, src: '2001:db8::1', dst: '2001:db8::2', frameBytes: 120 };
const pppoe: FrameSpec = { ...plain, pppoe: { session: 1 } };

const without: [name: string, spec: FrameSpec, ...patches: [offset: number, ...bytes: number[]][]][] = [
  ['ARP', plain, [12, 0x08, 0x06]],
  ['an 802.3 length', plain, [12, 0x00, 0x2e]],
  ['PPPoE discovery', pppoe, [12, 0x88, 0x63]],
  ['LCP in PPPoE', pppoe, [20, 0xc0, 0x21]],
  ['PPPoE of version 2', pppoe, [14, 0x21]],
  ['PPPoE with a code', pppoe, [15, 0x09]],
  ['a pseudowire in MPLS', { ...plain, mpls: [16] }, [18, 0x00]],
  ['three tags', { ...plain, vlans: [{ id: 1 }, { id: 2 }, { id: 3 }] }],
  ['nine labels', { ...plain, mpls: [1, 2, 3, 4, 5, 6, 7, 8, 9] }],
  ['IPv4 of version 6', plain, [IP_AT, 0x65]],
  ['IPv4 of 16 bytes', plain, [IP_AT, 0x44]],
  ['IPv6 of version 4', plain6, [IP_AT, 0x45]],
  ['IPv4 announced as IPv6 in PPPoE', pppoe, [20, 0x00, 0x57]],
];

for (const [name, spec, ...patches] of without) {
  test(`there is no header in ${name}`, () => {
    const frame = buildFrame(spec);
    for (const [offset, ...bytes] of patches) frame.set(bytes, offset);
    assert.is.not(referenceParse(frame).verdict, 'ipv4');
    assert.is(headerIn(frame), IpHeader.NONE);
  });
}

test('the upstream EtherType of MPLS is one too', () => {
  const frame = buildFrame({ ...plain, mpls: [16] });
  frame.set([0x88, 0x48], 12);
  assert.is(headerIn(frame), (18 << IpHeader.OFFSET_SHIFT) | 4);
});

test('nothing is read of a frame that reaches out of the memory', () => {
  const view = new DataView(buildFrame(plain).buffer);
  const outside: [at: number, capturedBytes: number][] = [
    [0, 91],
    [1, 90],
    [90, 60],
    [-1, 60],
    [0, -1],
    [0x7fffffff, 0x7fffffff],
    [-0x80000000, 0x7fffffff],
  ];
  for (const [at, bytes] of outside) assert.is(ipHeaderAt(view, at, bytes), IpHeader.NONE, `${at}`);
  assert.is(ipHeaderAt(view, 0, 90), (IP_AT << IpHeader.OFFSET_SHIFT) | 4);
});

test('any traffic class is read and set, and nothing else of an IPv6 header', () => {
  const frame = buildFrame(plain6);
  frame.set([0x60, 0x0a, 0xbc, 0xde], IP_AT);
  for (let trafficClass = 0; trafficClass < 256; trafficClass++) {
    const expected = Uint8Array.from(frame);
    expected.set([0x60 | (trafficClass >> 4), ((trafficClass & 15) << 4) | 0x0a], IP_AT);
    change(frame, trafficClass);
    assert.equal(frame, expected);
    assert.is(trafficClassOf(new DataView(frame.buffer), 0, headerIn(frame)), trafficClass);
  }
});

test('the checksum of random IPv4 headers with options is what summing up gives', () => {
  const random = randomOf(seed);
  for (let round = 0; round < 50_000; round++) {
    const frame = randomFrame(random);
    const expected = Uint8Array.from(frame);
    const trafficClass = (frame[IP_AT + 1]! + 1 + random(255)) & 0xff;
    expected[IP_AT + 1] = trafficClass;
    sumUp(expected.subarray(IP_AT));
    change(frame, trafficClass);
    assert.equal(frame, expected);
    assert.is(trafficClassOf(new DataView(frame.buffer), 0, headerIn(frame)), trafficClass);
  }
});

/** Chooses the identification so that the checksum becomes `checksum`. */
function aimAt(header: Uint8Array, checksum: number): void {
  header.set([0, 0], 4);
  sumUp(header);
  const others = 0xffff - checksumOf(header);
  const id = (0xffff - checksum - others + 0xffff) % 0xffff;
  header.set([id >> 8, id & 0xff], 4);
  sumUp(header);
  assert.is(checksumOf(header), checksum);
}

test('checksums at the ends of the range, before and after', () => {
  const random = randomOf(seed + 1);
  for (const checksum of [0x0000, 0x0001, 0x00ff, 0xff00, 0xfffd, 0xfffe]) {
    for (let trafficClass = 0; trafficClass < 256; trafficClass++) {
      const before = randomFrame(random);
      const after = Uint8Array.from(before);
      if (before[IP_AT + 1] === trafficClass) continue;
      aimAt(before.subarray(IP_AT), checksum);
      after.set(before);
      change(after, trafficClass);
      const expected = Uint8Array.from(before);
      expected[IP_AT + 1] = trafficClass;
      sumUp(expected.subarray(IP_AT));
      assert.equal(after, expected, `from ${checksum}`);
      // And there again: what comes out has the checksum aimed at.
      change(after, before[IP_AT + 1]!);
      assert.equal(after, before, `to ${checksum}`);
      // Hosts take 0xffff for 0, though no sum gives it.
      if (checksum !== 0) continue;
      before.set([0xff, 0xff], IP_AT + 10);
      change(before, trafficClass);
      assert.equal(before, expected, 'from 0xffff');
    }
  }
});

test('a wrong checksum stays as wrong as it was', () => {
  const random = randomOf(seed + 2);
  for (let round = 0; round < 20_000; round++) {
    const frame = randomFrame(random);
    const header = frame.subarray(IP_AT);
    frame.set([random(256), random(256)], IP_AT + 10);
    const before = sumOf(header);
    change(frame, (frame[IP_AT + 1]! + 1 + random(255)) & 0xff);
    assert.is(sumOf(header) % 0xffff, before % 0xffff);
  }
});

test.run();
