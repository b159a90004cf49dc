/**
 * Mutated frames against the reference parser. Each frame is parsed three times: in a batch amid zeros, in
 * a batch amid ones with other neighbours, and alone at the very end of a memory. A read outside the frame
 * makes the first two differ, or throws in the third.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BATCH_MAX, KEY_WORDS_SHIFT, PacketBatch } from '../../src/dataplane/batch.js';
import { buildFrame } from '../../src/dataplane/frame-builder.js';
import { PARSE_CAUSE_NAMES, PARSE_IPV4, PARSE_IPV6, Parser } from '../../src/dataplane/parse.js';
import { frameCatalogue } from '../dataplane/frame-catalogue.js';
import { type ReferenceResult, referenceParse } from '../dataplane/parse-reference.js';

const FRAMES = 1_050_000;
const FRAME_BYTES_MAX = 320;
/** Room for a frame at any alignment, and for more surroundings than any header is long. */
const REGION_BYTES = 1024;
const SEED = Number(process.env.WEIR_SEED || Date.now() % 0x7fffffff) | 0;

/** Bytes and halves that mean something to some header, or stand at the edge of what a field can hold. */
const TELLING_BYTES = [
  0, 1, 2, 4, 5, 6, 7, 8, 17, 0x21, 33, 43, 44, 0x45, 0x46, 0x4f, 50, 51, 0x57, 58, 59, 60,
].concat([0x60, 0x7f, 0x80, 0x81, 0x88, 132, 135, 136, 139, 140, 0xfe, 0xff]);
const TELLING_HALVES = [
  0, 1, 2, 3, 4, 7, 8, 19, 20, 23, 24, 40, 0x7fff, 0x8000, 0xfff8, 0xfffe, 0xffff, 0x2000, 0x1fff,
].concat([0x0800, 0x86dd, 0x8100, 0x88a8, 0x9100, 0x8847, 0x8848, 0x8864, 0x0806, 0x0021, 0x0057, 0x1100]);

/** xorshift32: small, seeded, and good enough to choose mutations. */
class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0 || 1;
  }

  /** An integer from 0 to `bound - 1`. */
  below(bound: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % bound;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
}

/** Changes bytes of `frame` in place, its first `bytes`, and returns how many of them remain. */
function mutateOnce(random: Random, frame: Uint8Array, bytes: number, corpus: readonly Uint8Array[]): number {
  if (bytes === 0) return 0;
  // Headers come first, so that is where most changes go.
  const at = random.below(random.below(4) === 0 ? bytes : Math.min(bytes, 90));
  const halfAt = Math.max(12, at & ~1);
  switch (random.below(8)) {
    case 0:
      frame[at] ^= 1 << random.below(8);
      return bytes;
    case 1:
      frame[at] = random.below(256);
      return bytes;
    case 2:
      frame[at] = random.pick(TELLING_BYTES);
      return bytes;
    case 3:
    case 4:
      if (halfAt + 2 > bytes) return bytes;
      new DataView(frame.buffer, frame.byteOffset).setUint16(halfAt, random.pick(TELLING_HALVES));
      return bytes;
    case 5:
      return random.below(bytes + 1);
    case 6: {
      // Splice: from some offset on, the frame goes on as another one does from the same or another offset.
      const other = random.pick(corpus);
      const from = random.below(2) === 0 ? at : random.below(other.length);
      const tail = other.subarray(Math.min(from, other.length), from + FRAME_BYTES_MAX - at);
      frame.set(tail, at);
      return at + tail.length;
    }
    default: {
      // Insert a copy of a stretch where it stands, which stacks tags, labels and extension headers.
      const stretch = Math.min(4 + 4 * random.below(2), bytes - at, FRAME_BYTES_MAX - bytes);
      frame.copyWithin(at + stretch, at, bytes);
      return bytes + stretch;
    }
  }
}

/** Parses the same batch of frames in three surroundings. */
class Harness {
  readonly amidZeros = new Surroundings(0x00, (slot) => slot);
  readonly amidOnes = new Surroundings(0xff, (slot) => BATCH_MAX - 1 - slot);
  private readonly tight = new Uint8Array(new SharedArrayBuffer(FRAME_BYTES_MAX));
  private readonly tightParser = new Parser(this.tight);
  private readonly tightBatch = new PacketBatch();
  readonly causes = new Map<string, number>();
  /** How many bytes the parser is told beyond those of the frame: 0, but for the canary. */
  private readonly overstatedBytes: number;

  constructor(overstatedBytes = 0) {
    this.overstatedBytes = overstatedBytes;
  }

  /** Checks one batch; returns what is wrong with the first bad frame, or nothing. */
  check(frames: readonly Uint8Array[], random: Random): string | undefined {
    this.amidZeros.parse(frames, random, this.overstatedBytes);
    this.amidOnes.parse(frames, random, this.overstatedBytes);
    for (let slot = 0; slot < frames.length; slot++) {
      const frame = frames[slot];
      const expected = referenceParse(frame);
      this.causes.set(expected.verdict, (this.causes.get(expected.verdict) ?? 0) + 1);
      this.parseTight(frame);
      const wrong =
        difference('amid zeros', this.amidZeros.batch, slot, expected) ??
        difference('amid ones', this.amidOnes.batch, slot, expected) ??
        difference('at the end', this.tightBatch, 0, expected);
      if (wrong) return `${wrong}; frame ${Buffer.from(frame).toString('hex')}`;
    }
    return undefined;
  }

  private parseTight(frame: Uint8Array): void {
    const addr = FRAME_BYTES_MAX - frame.length;
    this.tight.set(frame, addr);
    this.tightBatch.addr[0] = addr;
    this.tightBatch.capturedBytes[0] = frame.length;
    this.tightParser.parse(this.tightBatch, 1);
  }
}

/** A memory full of one byte, with a region for each slot of a batch in an order of its own. */
class Surroundings {
  readonly batch = new PacketBatch();
  readonly parser: Parser;
  private readonly umem = new Uint8Array(new SharedArrayBuffer(BATCH_MAX * REGION_BYTES));
  private readonly fill: number;
  private readonly regionOf: (slot: number) => number;

  constructor(fill: number, regionOf: (slot: number) => number) {
    this.fill = fill;
    this.regionOf = regionOf;
    this.parser = new Parser(this.umem);
  }

  parse(frames: readonly Uint8Array[], random: Random, overstatedBytes: number): void {
    const { batch, umem } = this;
    umem.fill(this.fill);
    frames.forEach((frame, slot) => {
      const addr = this.regionOf(slot) * REGION_BYTES + random.below(REGION_BYTES - FRAME_BYTES_MAX);
      umem.set(frame, addr);
      batch.addr[slot] = addr;
      batch.capturedBytes[slot] = frame.length + overstatedBytes;
    });
    batch.key.fill(this.fill * 0x01010101);
    this.parser.parse(batch, frames.length);
  }
}

function difference(
  where: string,
  batch: PacketBatch,
  slot: number,
  expected: ReferenceResult,
): string | undefined {
  const kind = expected.verdict === 'ipv4' ? 4 : expected.verdict === 'ipv6' ? 6 : 0;
  if (batch.kind[slot] !== kind)
    return `${where}: kind ${batch.kind[slot]}, not ${kind} (${expected.verdict})`;
  for (let word = 0; word < expected.key.length; word++) {
    const got = batch.key[(slot << KEY_WORDS_SHIFT) + word];
    if (got !== expected.key[word]) return `${where}: key word ${word} is ${got}, not ${expected.key[word]}`;
  }
  return undefined;
}

function corpusOf(): Uint8Array[] {
  return frameCatalogue()
    .map(({ spec }) => buildFrame(spec))
    .filter((frame) => frame.length <= FRAME_BYTES_MAX - 16);
}

/** Runs `frameCount` mutated frames through the harness; returns what is wrong with the first bad one. */
function fuzz(harness: Harness, random: Random, frameCount: number): string | undefined {
  const corpus = corpusOf();
  const buffers = Array.from({ length: BATCH_MAX }, () => new Uint8Array(FRAME_BYTES_MAX));
  for (let done = 0; done < frameCount; ) {
    const count = Math.min(1 + random.below(BATCH_MAX), frameCount - done);
    const frames = buffers.slice(0, count).map((buffer) => {
      const original = random.pick(corpus);
      buffer.set(original);
      let bytes = original.length;
      for (let left = 1 + random.below(4); left > 0; left--)
        bytes = mutateOnce(random, buffer, bytes, corpus);
      return buffer.subarray(0, bytes);
    });
    const wrong = harness.check(frames, random);
    if (wrong) return wrong;
    done += count;
  }
  return undefined;
}

const test = suite('fuzz/parse');

test(`${FRAMES} mutated frames: as the reference says, blind to the surroundings, no throw`, () => {
  console.log(`fuzz/parse: seed ${SEED} (WEIR_SEED)`);
  const harness = new Harness();
  assert.is(fuzz(harness, new Random(SEED), FRAMES), undefined, `seed ${SEED}`);
  const { counters } = harness.amidZeros.parser;
  assert.equal(harness.amidOnes.parser.counters, counters);
  let total = 0;
  const shares = PARSE_CAUSE_NAMES.map((name, cause) => {
    assert.is(counters[cause], harness.causes.get(name) ?? 0, `counter ${name}`);
    assert.ok(counters[cause] > FRAMES / 20_000, `mutations reach ${name}`);
    total += counters[cause];
    return `${name} ${counters[cause]}`;
  });
  assert.is(total, FRAMES);
  console.log(`fuzz/parse: ${total} frames: ${shares.join(', ')}`);
});

test('noise behind a valid start: as the reference says', () => {
  const random = new Random(SEED ^ 0x5bd1e995);
  const harness = new Harness();
  const etherTypes = [0x0800, 0x86dd, 0x8100, 0x8847, 0x8864];
  for (let round = 0; round < 500; round++) {
    const frames = Array.from({ length: BATCH_MAX }, () => {
      const frame = Uint8Array.from({ length: random.below(FRAME_BYTES_MAX) }, () => random.below(256));
      if (frame.length >= 15) {
        new DataView(frame.buffer).setUint16(12, random.pick(etherTypes));
        frame[14] = random.pick([0x45, 0x46, 0x60, 0x11, frame[14]]);
      }
      return frame;
    });
    assert.is(harness.check(frames, random), undefined, `seed ${SEED}`);
  }
  assert.ok(
    harness.amidZeros.parser.counters[PARSE_IPV4] > 0 && harness.amidZeros.parser.counters[PARSE_IPV6] > 0,
  );
});

test('canary: a parser that reads one byte too far is caught', () => {
  assert.ok(fuzz(new Harness(1), new Random(SEED), 20_000), 'the harness saw nothing');
});

test.run();
