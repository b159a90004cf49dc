import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { KEY_WORDS_SHIFT, PacketBatch } from '../../src/dataplane/batch.js';
import { deviceHashOf } from '../../src/dataplane/device-hash.js';
import { FlowTable } from '../../src/dataplane/flow-table.js';
import { buildFrame, type FrameSpec } from '../../src/dataplane/frame-builder.js';
import { planFrame } from '../../src/dataplane/frame-plan.js';
import { Parser } from '../../src/dataplane/parse.js';
import { UmemFrames } from '../../src/dataplane/umem-frames.js';
import { Port } from '../../src/dataplane/worker.js';
import { Packet, PacketPool } from '../../src/htb/packet-pool.js';
import { Direction } from '../../src/shm/tree-layout.js';
import { randomOf, seedOf } from '../shm/class-hash-random.js';
import { frameCatalogue } from './frame-catalogue.js';
import { referenceParse } from './parse-reference.js';

const test = suite('dataplane/umem-frames');
const seed = seedOf('umem-frames');

const FRAME_BYTES = 4096;
const FRAMES = 3;
/** The packet amid the others, and the bytes before its first, as a driver's headroom leaves them. */
const PACKET = 1;
const HEADROOM_BYTES = 256;
const ADDR = PACKET * FRAME_BYTES + HEADROOM_BYTES;

const CATALOGUE = frameCatalogue();

/** The frames of one worker, of which one is looked at, and what the worker made of it when it came in. */
class Bench {
  readonly umem = new Uint8Array(new SharedArrayBuffer(FRAMES * FRAME_BYTES));
  /** What the memory holds where the frame is not. */
  private readonly surroundings = new Uint8Array(FRAMES * FRAME_BYTES);
  readonly pool = new PacketPool(FRAMES);
  readonly flows = new FlowTable({ capacityFlows: 100, seed });
  readonly batch = new PacketBatch();
  readonly parser = new Parser(this.umem);
  readonly down = this.framesOf(Direction.DOWN);
  readonly up = this.framesOf(Direction.UP);

  framesOf(direction: Direction): UmemFrames {
    const { umem, pool, flows } = this;
    const port = direction === Direction.DOWN ? Port.OUTSIDE : Port.INSIDE;
    return new UmemFrames({ umem, pool, capturedMax: FRAME_BYTES, flows, direction, port, seed });
  }

  /** Fills the memory with `around` and puts the frame in; `lenBytes` is what the ring said. */
  put(frame: Uint8Array, around = 0, lenBytes = frame.length): void {
    this.surroundings.fill(around);
    this.umem.fill(around);
    this.umem.set(frame, ADDR);
    const word = PACKET << Packet.SHIFT;
    this.pool.words[word + Packet.ADDR] = ADDR;
    this.pool.words[word + Packet.LEN_BYTES] = lenBytes;
  }

  /** The frame as it is now; what is around it must be as it was. */
  taken(bytes: number): Uint8Array {
    const { umem, surroundings } = this;
    const end = ADDR + bytes;
    assert.is(Buffer.compare(umem.subarray(0, ADDR), surroundings.subarray(0, ADDR)), 0, 'before the frame');
    assert.is(Buffer.compare(umem.subarray(end), surroundings.subarray(end)), 0, 'behind the frame');
    return umem.slice(ADDR, end);
  }

  /** The way of a batch in which the frame is packet `slot`, amid two others. */
  arrive(port: Port, frame: Uint8Array, slot: number): void {
    const { batch } = this;
    for (let i = 0; i < 3; i++) {
      batch.addr[i] = i === slot ? ADDR : 0;
      batch.capturedBytes[i] = i === slot ? frame.length : 60;
    }
    this.parser.parse(batch, 3);
    this.flows.lookupBatch(batch, 3, port, 1, 1000);
  }
}

test('only ECN capable packets are marked, and nothing but the mark and the checksum changes', () => {
  const bench = new Bench();
  for (const { name, spec } of CATALOGUE) {
    for (const dscp of [0, 46, 63]) {
      for (const ecn of [0, 1, 2, 3]) {
        const frame = buildFrame({ ...spec, dscp, ecn });
        const expected = ecn === 0 ? frame : buildFrame({ ...spec, dscp, ecn: 3 });
        bench.put(frame);
        assert.is(bench.down.markCe(PACKET), ecn !== 0, name);
        same(bench.taken(frame.length), expected, `${name}, ECN ${ecn}`);
      }
    }
  }
});

test('washing takes the DSCP away and leaves ECN', () => {
  const bench = new Bench();
  for (const { name, spec } of CATALOGUE) {
    for (const dscp of [0, 1, 46, 63]) {
      for (const ecn of [0, 1, 2, 3]) {
        const frame = buildFrame({ ...spec, dscp, ecn });
        bench.put(frame);
        assert.is(bench.up.dscp(PACKET), dscp, name);
        same(bench.taken(frame.length), frame, `${name}, read only`);
        bench.up.wash(PACKET);
        same(bench.taken(frame.length), buildFrame({ ...spec, dscp: 0, ecn }), `${name}, ${dscp}`);
        assert.is(bench.up.dscp(PACKET), 0, name);
      }
    }
  }
});

test('a packet that is not IP has DSCP 0, no mark, and hashes to 0', () => {
  const bench = new Bench();
  const frame = new Uint8Array(60).fill(0xff);
  frame.set([0x08, 0x06], 12);
  bench.put(frame);
  for (const frames of [bench.down, bench.up]) {
    assert.is(frames.markCe(PACKET), false);
    assert.is(frames.dscp(PACKET), 0);
    frames.wash(PACKET);
    assert.is(frames.flowHash(PACKET), 0);
    assert.is(frames.deviceHash(PACKET), 0);
  }
  same(bench.taken(frame.length), frame, 'ARP');
});

test('of a frame cut short, a header is changed that is whole, and what follows the cut is left alone', () => {
  const bench = new Bench();
  for (const { name, spec, kind } of CATALOGUE) {
    const frame = buildFrame({ ...spec, dscp: 46, ecn: 2 });
    const marked = buildFrame({ ...spec, dscp: 0, ecn: 3 });
    const { linkBytes } = planFrame(spec);
    const wholeBytes = linkBytes + (kind === 4 ? 20 : 40);
    for (const bytes of [0, 13, 14, linkBytes, linkBytes + 1, linkBytes + 12, wholeBytes - 1, wholeBytes]) {
      const isWhole = bytes === wholeBytes;
      bench.put(frame, 0, bytes);
      assert.is(bench.down.dscp(PACKET), isWhole ? 46 : 0);
      assert.is(bench.down.markCe(PACKET), isWhole, `${name}, cut to ${bytes} bytes`);
      bench.down.wash(PACKET);
      same(bench.taken(frame.length), isWhole ? marked : frame, `${name}, cut to ${bytes} bytes`);
    }
  }
});

test('no more of a packet is believed than fits a frame', () => {
  const bench = new Bench();
  const { umem, pool, flows } = bench;
  const spec: FrameSpec = { src: '10.0.0.1', dst: '10.0.0.2', protocol: 'udp', payloadBytes: 20, ecn: 1 };
  const frame = buildFrame(spec);
  const base = { umem, pool, flows, direction: Direction.DOWN, port: Port.OUTSIDE, seed };
  bench.put(frame, 0, 9000);
  assert.is(new UmemFrames({ ...base, capturedMax: 33 }).markCe(PACKET), false);
  assert.is(new UmemFrames({ ...base, capturedMax: 34 }).markCe(PACKET), true);
  // A descriptor that points out of the memory does no harm.
  pool.words[(PACKET << Packet.SHIFT) + Packet.ADDR] = umem.length - 33;
  assert.is(bench.down.markCe(PACKET), false);
  assert.is(bench.down.flowHash(PACKET), 0);
});

test('hashes are those that the packet had in its batch, also when its marks have changed since', () => {
  const bench = new Bench();
  const { batch, flows, parser } = bench;
  const directions = [
    { direction: Direction.DOWN, port: Port.OUTSIDE, frames: bench.down },
    { direction: Direction.UP, port: Port.INSIDE, frames: bench.up },
  ];
  const hashes = new Set<number>();
  for (const [round, { name, spec, kind }] of CATALOGUE.entries()) {
    const frame = buildFrame({ ...spec, dscp: 46, ecn: 1 });
    bench.put(frame);
    const slot = round % 3;
    for (const { direction, port, frames } of directions) {
      bench.arrive(port, frame, slot);
      const flowHash = batch.hash[slot]!;
      const deviceHash = deviceHashOf(batch.key, slot, batch.kind[slot]!, direction, seed);
      const counted = [Array.from(flows.counters), Array.from(parser.counters)];
      frames.markCe(PACKET);
      frames.wash(PACKET);
      assert.is(batch.kind[slot], kind);
      assert.is(frames.flowHash(PACKET), flowHash, name);
      assert.is(frames.deviceHash(PACKET), deviceHash, name);
      assert.equal([Array.from(flows.counters), Array.from(parser.counters)], counted, 'nothing is counted');
      hashes.add(flowHash);
    }
  }
  // Flows that differ in tags or side only are others, but the catalogue has several packets of some.
  assert.ok(hashes.size > 100, `${hashes.size} flow hashes`);
});

test('re-hashing between a look-up and an insertion does not disturb them', () => {
  const bench = new Bench();
  const { batch, flows } = bench;
  const specs = CATALOGUE.filter(({ name }) => name.startsWith('untagged')).map(({ spec }) => spec);
  for (const [i, spec] of specs.entries()) {
    const frame = buildFrame({ ...spec, sport: 1000 + i });
    bench.put(frame);
    bench.arrive(Port.OUTSIDE, frame, 2);
    bench.put(buildFrame(specs[(i + 1) % specs.length]!));
    bench.down.flowHash(PACKET);
    bench.up.flowHash(PACKET);
    flows.insert(batch, 2, Port.OUTSIDE, 1, 1000, 5000 + i, Port.INSIDE);
    bench.put(frame);
    bench.arrive(Port.OUTSIDE, frame, 2);
    assert.is(batch.classIndex[2], 5000 + i);
  }
});

/** Like `assert.equal`, which takes long for bytes. */
function same(actual: Uint8Array, expected: Uint8Array, name: string): void {
  if (Buffer.compare(actual, expected) !== 0) assert.equal(actual, expected, name);
}

// ---- devices -------------------------------------------------------------------------------------------

const V4 = { kind: 4, addressWords: 1, destinationAt: 1, words: 4 };
const V6 = { kind: 6, addressWords: 4, destinationAt: 4, words: 10 };
const SLOT = 5;

for (const { kind, addressWords, destinationAt, words } of [V4, V6]) {
  const keyAt = SLOT << KEY_WORDS_SHIFT;

  test(`IPv${kind}: a device is its address on the subscriber's side, and nothing else`, () => {
    const random = randomOf(seed + kind);
    const { key } = new PacketBatch();
    for (let round = 0; round < 1000; round++) {
      for (let i = 0; i < key.length; i++) key[i] = random(2 ** 32);
      for (const direction of [Direction.DOWN, Direction.UP]) {
        const from = direction === Direction.DOWN ? destinationAt : 0;
        const before = deviceHashOf(key, SLOT, kind, direction, seed);
        for (let word = 0; word < words; word++) {
          const isAddress = word >= from && word < from + addressWords;
          const saved = key[keyAt + word]!;
          key[keyAt + word] ^= 1 << random(32);
          const after = deviceHashOf(key, SLOT, kind, direction, seed);
          key[keyAt + word] = saved;
          assert.is(after !== before, isAddress, `direction ${direction}, word ${word}`);
        }
        assert.is.not(deviceHashOf(key, SLOT, kind, direction, seed ^ 1), before);
      }
      // Who is sent to and who sends is the same device.
      key.copyWithin(keyAt, keyAt + destinationAt, keyAt + destinationAt + addressWords);
      const down = deviceHashOf(key, SLOT, kind, Direction.DOWN, seed);
      assert.is(deviceHashOf(key, SLOT, kind, Direction.UP, seed), down);
    }
  });

  test(`IPv${kind}: every bit of the address changes every bit of the hash in about half of the cases`, () => {
    const random = randomOf(seed + 10 + kind);
    const { key } = new PacketBatch();
    const rounds = 2000;
    for (let bit = 0; bit < addressWords * 32; bit++) {
      const word = keyAt + (bit >> 5);
      const flips = new Array<number>(32).fill(0);
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < addressWords; i++) key[keyAt + i] = random(2 ** 32);
        const before = deviceHashOf(key, SLOT, kind, Direction.UP, seed);
        key[word] ^= 1 << (bit & 31);
        const changed = before ^ deviceHashOf(key, SLOT, kind, Direction.UP, seed);
        for (let i = 0; i < 32; i++) flips[i]! += (changed >>> i) & 1;
      }
      for (const [i, count] of flips.entries()) {
        assert.ok(
          Math.abs(count / rounds - 0.5) < 0.15,
          `bit ${bit} flips bit ${i} in ${count} of ${rounds}`,
        );
      }
    }
  });

  test(`IPv${kind}: neighbours spread over the queues, by their low and by their high bits`, () => {
    const { key } = new PacketBatch();
    const random = randomOf(seed + 20 + kind);
    for (const step of [1, 256, 65_536]) {
      for (const shift of [0, 24]) {
        const counts = new Array<number>(256).fill(0);
        for (let i = 0; i < addressWords; i++) key[keyAt + i] = random(2 ** 32);
        for (let host = 0; host < 16_384; host++) {
          key[keyAt + addressWords - 1] += step;
          counts[(deviceHashOf(key, SLOT, kind, Direction.UP, seed) >>> shift) & 255]! += 1;
        }
        // 64 each; chi square of 255 degrees of freedom has mean 255 and deviation 23.
        const chiSquare = counts.reduce((sum, count) => sum + (count - 64) ** 2 / 64, 0);
        assert.ok(chiSquare < 450, `step ${step}, shift ${shift}: ${chiSquare}`);
      }
    }
  });
}

test('IPv6 addresses that differ in the top bits of two words are two devices', () => {
  const { key } = new PacketBatch();
  const random = randomOf(seed + 30);
  for (let round = 0; round < 1000; round++) {
    for (let i = 0; i < 4; i++) key[i] = random(2 ** 32);
    const before = deviceHashOf(key, 0, 6, Direction.UP, seed);
    for (let pair = 0; pair < 16; pair++) {
      const [a, b] = [pair >> 2, pair & 3];
      if (a === b) continue;
      key[a] ^= 0x80000000;
      key[b] ^= 0x80000000;
      assert.is.not(deviceHashOf(key, 0, 6, Direction.UP, seed), before, `words ${a} and ${b}`);
      key[a] ^= 0x80000000;
      key[b] ^= 0x80000000;
    }
  }
});

// ---- any bytes -----------------------------------------------------------------------------------------

/** Changes some of a frame's first bytes, mostly of its headers, and cuts it. */
function mutated(random: (below: number) => number, frame: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(frame);
  const halves = [0x0800, 0x86dd, 0x8100, 0x88a8, 0x9100, 0x8847, 0x8848, 0x8864, 0x0021, 0x0057, 0x1100];
  for (let changes = random(4); changes > 0; changes--) {
    const at = 12 + random(Math.min(80, copy.length - 13));
    const half = halves[random(halves.length)]!;
    if (random(2)) copy[at] = random(256);
    else copy.set([half >> 8, half & 0xff], at);
  }
  return random(3) === 0 ? copy.subarray(0, random(copy.length + 1)) : copy;
}

test('whatever the bytes, only marks and a checksum change, and only where the packet is', () => {
  const bench = new Bench();
  const { parser, batch } = bench;
  const random = randomOf(seed + 40);
  let marks = 0;
  for (let round = 0; round < 30_000; round++) {
    const around = random(256);
    const frame =
      random(4) === 0
        ? new Uint8Array(random(120)).map(() => random(256))
        : mutated(random, buildFrame({ ...CATALOGUE[random(CATALOGUE.length)]!.spec, ecn: random(4) }));
    bench.put(frame, around);
    const { verdict } = referenceParse(frame);
    const isMarked = bench.up.markCe(PACKET);
    if (isMarked) marks++;
    bench.up.wash(PACKET);
    const after = bench.taken(frame.length);
    const changed = [...frame.keys()].filter((i) => frame[i] !== after[i]);
    if (['nonIp', 'tooManyTags', 'tooManyLabels'].includes(verdict)) {
      assert.is(isMarked, false, verdict);
      assert.equal(changed, [], verdict);
    }
    if (changed.length > 0) {
      assert.ok(changed[0]! >= 14 && changed.at(-1)! < 14 + 8 + 32 + 12, `bytes ${changed} have changed`);
      assert.ok(changed.at(-1)! - changed[0]! <= 10 && changed.length <= 3, `bytes ${changed} have changed`);
    }
    if (verdict === 'ipv4' || verdict === 'ipv6') {
      assert.is(bench.up.dscp(PACKET), 0);
      batch.addr[0] = ADDR;
      batch.capturedBytes[0] = frame.length;
      parser.parse(batch, 1);
      bench.flows.hashBatch(batch, 1, Port.INSIDE);
      assert.is(bench.up.flowHash(PACKET), batch.hash[0]);
    } else {
      assert.is(bench.up.flowHash(PACKET), 0);
    }
  }
  assert.ok(marks > 10_000, `${marks} marked`);
});

test.run();
