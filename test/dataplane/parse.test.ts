import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BATCH_MAX, KEY_WORDS, KEY_WORDS_SHIFT, PacketBatch } from '../../src/dataplane/batch.js';
import { buildFrame, type FrameSpec, writeFrame } from '../../src/dataplane/frame-builder.js';
import { PARSE_CAUSE_NAMES, Parser } from '../../src/dataplane/parse.js';
import { frameCatalogue } from './frame-catalogue.js';
import { referenceParse } from './parse-reference.js';

const UMEM_BYTES = 16384;
const KEY_WORDS_USED = new Map([
  [0, 0],
  [4, 4],
  [6, 10],
]);

interface Outcome {
  kind: number;
  cause: string;
  key: number[];
}

/** A parser over its own memory, one frame at a time, that finds out which counter a packet moved. */
class Bench {
  readonly umem: Uint8Array;
  readonly parser: Parser;
  readonly batch = new PacketBatch();

  constructor(umem: Uint8Array = new Uint8Array(new SharedArrayBuffer(UMEM_BYTES))) {
    this.umem = umem;
    this.parser = new Parser(umem);
  }

  parseAt(addr: number, capturedBytes: number): Outcome {
    const { batch, parser } = this;
    const before = Float64Array.from(parser.counters);
    batch.addr[0] = addr;
    batch.capturedBytes[0] = capturedBytes;
    batch.kind[0] = -1;
    parser.parse(batch, 1);
    const moved = PARSE_CAUSE_NAMES.filter((_, cause) => parser.counters[cause] !== before[cause]);
    assert.is(moved.length, 1, `one counter moves, not ${moved.join(', ')}`);
    assert.is(sum(parser.counters), sum(before) + 1, 'it moves by one');
    const kind = batch.kind[0];
    const words = KEY_WORDS_USED.get(kind);
    assert.ok(words !== undefined, `kind ${kind} is known`);
    return { kind, cause: moved[0], key: Array.from(batch.key.subarray(0, words)) };
  }

  /** Puts the frame at the very end of the memory, so that the first read beyond it would throw. */
  parse(frame: Uint8Array): Outcome {
    const addr = this.umem.length - frame.length;
    this.umem.set(frame, addr);
    return this.parseAt(addr, frame.length);
  }
}

function sum(counters: Float64Array): number {
  return counters.reduce((total, counter) => total + counter, 0);
}

const plain: FrameSpec = {
  src: '10.0.0.1',
  dst: '10.0.0.2',
  protocol: 'tcp',
  sport: 1000,
  dport: 80,
  frameBytes: 60,
};
const plain6: FrameSpec = { ...plain, src: '2001:db8::1', dst: '2001:db8::2', frameBytes: 100 };

/** The frame of `spec` with bytes replaced at offsets from its start. */
function patched(spec: FrameSpec, ...patches: [offset: number, ...bytes: number[]][]): Uint8Array {
  const frame = buildFrame(spec);
  for (const [offset, ...bytes] of patches) frame.set(bytes, offset);
  return frame;
}

const test = suite('dataplane/parse');

test('a frame of every kind and combination gives the key of its description', () => {
  const bench = new Bench();
  const catalogue = frameCatalogue();
  for (const { name, spec, kind, key } of catalogue) {
    const outcome = bench.parse(buildFrame(spec));
    assert.equal(outcome, { kind, cause: kind === 4 ? 'ipv4' : 'ipv6', key }, name);
  }
  assert.is(sum(bench.parser.counters), catalogue.length);
  console.log(`parse: ${catalogue.length} combinations`);
});

test('the reference parser agrees with the descriptions', () => {
  for (const { name, spec, kind, key } of frameCatalogue()) {
    assert.equal(referenceParse(buildFrame(spec)), { verdict: kind === 4 ? 'ipv4' : 'ipv6', key }, name);
  }
});

test('every truncation of every frame is parsed as the whole frame or counted as truncated', () => {
  const bench = new Bench();
  let frames = 0;
  for (const { name, spec } of frameCatalogue()) {
    const frame = buildFrame(spec);
    const whole = bench.parse(frame);
    let wasParsed = true;
    for (let bytes = frame.length; bytes >= 0; bytes--) {
      const cut = frame.subarray(0, bytes);
      const outcome = bench.parse(cut);
      const label = `${name}, cut to ${bytes} of ${frame.length} bytes`;
      assert.is(outcome.cause, referenceParse(cut).verdict, label);
      if (outcome.kind === 0) assert.is(outcome.cause, 'truncated', label);
      else assert.equal(outcome, whole, label);
      assert.ok(wasParsed || outcome.kind === 0, `${label}: parsed although a longer cut was not`);
      wasParsed = outcome.kind !== 0;
      frames++;
    }
    assert.not(wasParsed, `${name}: nothing of the frame is left, so it is not parsed`);
  }
  console.log(`parse: ${frames} truncated frames`);
});

const IP_AT = 14;
const rejected: [name: string, cause: string, frame: Uint8Array][] = [
  ['ARP', 'nonIp', patched(plain, [12, 0x08, 0x06])],
  ['an 802.3 length', 'nonIp', patched(plain, [12, 0x00, 0x2e])],
  ['PPPoE discovery', 'nonIp', patched(plain, [12, 0x88, 0x63])],
  ['ARP in a VLAN', 'nonIp', patched({ ...plain, frameBytes: 64, vlans: [{ id: 5 }] }, [16, 0x08, 0x06])],
  ['LCP in PPPoE', 'nonIp', patched({ ...plain, frameBytes: 80, pppoe: { session: 1 } }, [20, 0xc0, 0x21])],
  ['a pseudowire in MPLS', 'nonIp', patched({ ...plain, frameBytes: 80, mpls: [16] }, [18, 0x00])],
  ['IPv4 of version 5', 'malformed', patched(plain, [IP_AT, 0x55])],
  ['IPv4 of version 6', 'malformed', patched(plain, [IP_AT, 0x65])],
  ['IHL 4', 'malformed', patched(plain, [IP_AT, 0x44])],
  ['IHL 0', 'malformed', patched(plain, [IP_AT, 0x40])],
  ['total length 19', 'malformed', patched(plain, [IP_AT + 2, 0, 19])],
  [
    'total length below the options',
    'malformed',
    patched({ ...plain, ipOptionsBytes: 8, frameBytes: 70 }, [16, 0, 27]),
  ],
  ['total length 0', 'malformed', patched(plain, [IP_AT + 2, 0, 0])],
  [
    'IHL beyond the frame',
    'truncated',
    patched({ ...plain, payloadBytes: 0, frameBytes: 60 }, [IP_AT, 0x4f], [16, 1, 0]),
  ],
  ['IPv6 of version 4', 'malformed', patched(plain6, [IP_AT, 0x45])],
  ['IPv6 of version 7', 'malformed', patched(plain6, [IP_AT, 0x70])],
  ['an extension behind the payload length', 'malformed', patched(plain6, [IP_AT + 6, 60], [54, 6, 200])],
  ['an extension where the payload has ended', 'malformed', patched(plain6, [IP_AT + 4, 0, 7, 60])],
  ['a jumbogram', 'malformed', patched(plain6, [IP_AT + 4, 0, 0, 0])],
  ['an extension behind the frame', 'truncated', patched(plain6, [IP_AT + 4, 0xff, 0xff, 60], [54, 6, 200])],
  [
    'PPPoE of version 2',
    'malformed',
    patched({ ...plain, frameBytes: 80, pppoe: { session: 1 } }, [14, 0x21]),
  ],
  [
    'PPPoE with a code',
    'malformed',
    patched({ ...plain, frameBytes: 80, pppoe: { session: 1 } }, [15, 0x09]),
  ],
  ['PPPoE length 1', 'malformed', patched({ ...plain, frameBytes: 80, pppoe: { session: 1 } }, [18, 0, 1])],
  [
    'PPPoE shorter than IPv4',
    'malformed',
    patched({ ...plain, frameBytes: 80, pppoe: { session: 1 } }, [18, 0, 59]),
  ],
  ['PPPoE shorter than IPv6', 'malformed', patched({ ...plain6, pppoe: { session: 1 } }, [18, 0, 79])],
  [
    'three tags',
    'tooManyTags',
    buildFrame({ ...plain, frameBytes: 80, vlans: [{ id: 1 }, { id: 2 }, { id: 3 }] }),
  ],
  [
    'nine labels',
    'tooManyLabels',
    buildFrame({ ...plain, frameBytes: 99, mpls: [1, 2, 3, 4, 5, 6, 7, 8, 9] }),
  ],
  [
    'nine extension headers',
    'tooManyExtensions',
    buildFrame({
      ...plain6,
      frameBytes: 200,
      extensionHeaders: Array.from({ length: 9 }, () => ({ type: 60 })),
    }),
  ],
];

for (const [name, cause, frame] of rejected) {
  test(`${name} is ${cause}`, () => {
    const outcome = new Bench().parse(frame);
    assert.equal(outcome, { kind: 0, cause, key: [] });
    assert.is(referenceParse(frame).verdict, cause);
  });
}

test('when IP itself ends before the ports they are 0, whatever follows', () => {
  const bench = new Bench();
  for (const transportBytes of [0, 1, 2, 3]) {
    const v4 = bench.parse(patched(plain, [IP_AT + 2, 0, 20 + transportBytes]));
    assert.equal([v4.cause, v4.key[2], v4.key[3]], ['ipv4', 0, 6]);
    const v6 = bench.parse(patched(plain6, [IP_AT + 4, 0, transportBytes]));
    assert.equal([v6.cause, v6.key[8], v6.key[9]], ['ipv6', 0, 6]);
  }
  assert.is(bench.parse(patched(plain, [IP_AT + 2, 0, 24])).key[2], (1000 << 16) | 80);
  assert.is(bench.parse(patched(plain6, [IP_AT + 4, 0, 4])).key[8], (1000 << 16) | 80);
});

test("the don't-fragment and reserved flags do not make a fragment", () => {
  const bench = new Bench();
  for (const flags of [0x00, 0x40, 0x80, 0xc0]) {
    assert.is(bench.parse(patched(plain, [IP_AT + 6, flags])).key[2], (1000 << 16) | 80);
  }
});

test('the upstream EtherType of MPLS is one too', () => {
  const outcome = new Bench().parse(patched({ ...plain, frameBytes: 80, mpls: [16] }, [12, 0x88, 0x48]));
  assert.is(outcome.cause, 'ipv4');
});

test('a slot that reaches out of the memory is truncated, and nothing is read', () => {
  const bench = new Bench();
  const frame = buildFrame(plain);
  bench.umem.set(frame, UMEM_BYTES - frame.length);
  const outside: [addr: number, capturedBytes: number][] = [
    [UMEM_BYTES - frame.length, frame.length + 1],
    [UMEM_BYTES - 59, 60],
    [UMEM_BYTES, 60],
    [0x7fffffff, 60],
    [0, 0x7fffffff],
    [0x7fffffff, 0x7fffffff],
    [-1, 60],
    [-0x80000000, 0x7fffffff],
    [0, -1],
    [0x7fffffff, -0x80000000],
    [0, -0x80000000],
  ];
  for (const [addr, capturedBytes] of outside) {
    assert.equal(bench.parseAt(addr, capturedBytes), { kind: 0, cause: 'truncated', key: [] }, `${addr}`);
  }
  assert.is(bench.parseAt(UMEM_BYTES - frame.length, frame.length).cause, 'ipv4');
});

test('a memory that begins inside its buffer is addressed from its own beginning', () => {
  const bench = new Bench(new Uint8Array(new ArrayBuffer(4096), 1000, 2000));
  assert.is(bench.parse(buildFrame(plain)).cause, 'ipv4');
  assert.is(bench.parseAt(1960, 60).cause, 'truncated');
});

test('a full batch keeps its slots apart and leaves the slots behind the count alone', () => {
  const umem = new Uint8Array(new SharedArrayBuffer(BATCH_MAX * 4096));
  const parser = new Parser(umem);
  const catalogue = frameCatalogue();
  const batch = new PacketBatch();
  let packets = 0;
  for (let first = 0; first < catalogue.length; first += BATCH_MAX - 1) {
    const entries = catalogue.slice(first, first + BATCH_MAX - 1);
    entries.forEach(({ spec }, slot) => {
      batch.addr[slot] = slot * 4096 + 3;
      batch.capturedBytes[slot] = writeFrame(umem, batch.addr[slot], spec);
    });
    batch.kind.fill(-1);
    batch.key.fill(0x55555555);
    parser.parse(batch, entries.length);
    packets += entries.length;
    entries.forEach(({ name, kind, key }, slot) => {
      const keyAt = slot << KEY_WORDS_SHIFT;
      assert.is(batch.kind[slot], kind, name);
      assert.equal(Array.from(batch.key.subarray(keyAt, keyAt + key.length)), key, name);
      const behind = batch.key.subarray(keyAt + key.length, keyAt + KEY_WORDS);
      assert.ok(
        behind.every((word) => word === 0x55555555),
        name,
      );
    });
    assert.ok(batch.kind.subarray(entries.length).every((kind) => kind === -1));
  }
  assert.is(sum(parser.counters), packets);
});

test.run();
