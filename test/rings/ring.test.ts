import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WeirError } from '../../src/errors.js';
import type { RingViews } from '../../src/rings/layout.js';
import { AddrConsumer, AddrProducer, DescConsumer, DescProducer } from '../../src/rings/ring.js';
import { randomInts } from './random.js';

/** Indices that pass 2^31 (where int32 changes sign) or 2^32 (where u32 wraps) within a few steps. */
const FIRST_INDICES = [0, 0x7ffffffd, 0xfffffffd];

interface TestRing extends RingViews {
  readonly words: Int32Array;
}

/** Producer, consumer and flags word at unequal places of one view, as in mapped memory; entries full of rubbish. */
function makeRing(size: number, wordsPerEntry: number, firstIndex = 0): TestRing {
  const words = new Int32Array(8);
  const ring = {
    words,
    producer: { words, index: 1 },
    consumer: { words, index: 4 },
    flags: { words, index: 6 },
    entries: new Int32Array(size * wordsPerEntry).fill(-1),
    size,
  };
  words[ring.producer.index] = firstIndex;
  words[ring.consumer.index] = firstIndex;
  return ring;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.instance(error, WeirError);
    return (error as WeirError).code;
  }
  return 'nothing thrown';
}

const layout = suite('ring layout');

layout('a descriptor has the bytes of struct xdp_desc', () => {
  const ring = makeRing(4, 4);
  const producer = new DescProducer(ring);
  assert.is(producer.reserve(2), 2);
  producer.write(producer.cachedProd, 0x12345678, 60);
  producer.write(producer.cachedProd + 1, 0x7ffff100, 1514);
  producer.submit(2);
  const bytes = new DataView(ring.entries.buffer);
  assert.is(bytes.getBigUint64(0, true), 0x12345678n);
  assert.is(bytes.getUint32(8, true), 60);
  assert.is(bytes.getUint32(12, true), 0);
  assert.is(bytes.getBigUint64(16, true), 0x7ffff100n);
  assert.is(bytes.getUint32(24, true), 1514);
  assert.is(bytes.getUint32(28, true), 0);
  assert.is(bytes.getUint32(32, true), 0xffffffff, 'the third entry is untouched');
});

layout('an address is one little-endian u64', () => {
  const ring = makeRing(4, 2);
  const producer = new AddrProducer(ring);
  producer.reserve(2);
  producer.write(producer.cachedProd, 4096);
  producer.write(producer.cachedProd + 1, 0x7ffff000);
  producer.submit(2);
  const bytes = new DataView(ring.entries.buffer);
  assert.is(bytes.getBigUint64(0, true), 4096n);
  assert.is(bytes.getBigUint64(8, true), 0x7ffff000n);
  assert.is(bytes.getUint32(16, true), 0xffffffff, 'the third entry is untouched');
});

layout('consumers read what a foreign producer wrote', () => {
  const desc = makeRing(2, 4);
  const descBytes = new DataView(desc.entries.buffer);
  descBytes.setBigUint64(16, 8448n, true);
  descBytes.setUint32(24, 128, true);
  const addr = makeRing(2, 2);
  new DataView(addr.entries.buffer).setBigUint64(8, 12288n, true);
  const rx = new DescConsumer(desc);
  const completion = new AddrConsumer(addr);
  desc.words[1] = 2;
  addr.words[1] = 2;
  assert.is(rx.peek(64), 2);
  assert.is(rx.addrAt(rx.cachedCons + 1), 8448);
  assert.is(rx.lenAt(rx.cachedCons + 1), 128);
  assert.is(completion.peek(64), 2);
  assert.is(completion.addrAt(completion.cachedCons + 1), 12288);
});

layout('views that cannot be a ring are refused', () => {
  for (const size of [0, -4, 3, 1.5, 2 ** 25, Number.NaN]) {
    assert.is(
      codeOf(() => new DescProducer({ ...makeRing(4, 4), size })),
      'E_RING_SIZE',
      `size ${size}`,
    );
  }
  assert.is(
    codeOf(() => new DescProducer(makeRing(4, 3))),
    'E_RING_VIEWS',
  );
  assert.is(
    codeOf(() => new AddrConsumer(makeRing(4, 1))),
    'E_RING_VIEWS',
  );
  const ring = makeRing(4, 4);
  for (const name of ['producer', 'consumer', 'flags']) {
    const views = { ...ring, [name]: { words: ring.words, index: 8 } };
    assert.is(
      codeOf(() => new DescConsumer(views)),
      'E_RING_VIEWS',
      name,
    );
  }
});

const protocol = suite('ring protocol');

for (const firstIndex of FIRST_INDICES) {
  protocol(`full, empty and wrap-around from index ${firstIndex}`, () => {
    const ring = makeRing(4, 4, firstIndex);
    const producer = new DescProducer(ring);
    const consumer = new DescConsumer(ring);
    for (let round = 0; round < 5; round++) {
      assert.is(consumer.peek(8), 0, 'empty');
      assert.is(producer.reserve(8), 4, 'all of it is free');
      for (let i = 0; i < 4; i++) producer.write(producer.cachedProd + i, 64 * i, round);
      producer.submit(4);
      assert.is(producer.reserve(1), 0, 'full');
      assert.is(producer.published(), 4);
      assert.is(consumer.peek(3), 3);
      consumer.release(3);
      assert.is(consumer.published(), 1);
      assert.is(producer.reserve(8), 3, 'grants part of the request');
      assert.is(consumer.peek(8), 1);
      assert.is(consumer.addrAt(consumer.cachedCons), 192);
      assert.is(consumer.lenAt(consumer.cachedCons), round);
      consumer.release(1);
    }
    assert.is(ring.words[1]! >>> 0, (firstIndex + 20) % 2 ** 32);
    assert.is(ring.words[4]! >>> 0, (firstIndex + 20) % 2 ** 32);
  });
}

protocol('nothing is visible before submit, nothing reusable before release', () => {
  const ring = makeRing(2, 2);
  const producer = new AddrProducer(ring);
  const consumer = new AddrConsumer(ring);
  producer.reserve(2);
  producer.write(producer.cachedProd, 64);
  assert.is(consumer.peek(2), 0);
  producer.submit(1);
  assert.is(consumer.peek(2), 1);
  assert.is(consumer.peek(2), 1, 'peeking twice shows the same entry');
  assert.is(consumer.addrAt(consumer.cachedCons), 64);
  assert.is(producer.reserve(2), 1);
  consumer.release(1);
  assert.is(producer.reserve(2), 2);
});

protocol('the shared word is read only when the cached copy does not suffice', () => {
  const ring = makeRing(8, 2);
  const producer = new AddrProducer(ring);
  const consumer = new AddrConsumer(ring);
  producer.reserve(8);
  for (let i = 0; i < 6; i++) producer.write(producer.cachedProd + i, 64 * i);
  producer.submit(6);
  assert.is(consumer.peek(4), 4);
  ring.words[1] = 1000;
  consumer.release(2);
  assert.is(consumer.peek(4), 4, 'six known, two released, four left without a look at the rubbish');
  assert.is(
    codeOf(() => consumer.peek(5)),
    'E_RING_CORRUPT',
  );
  ring.words[4] = 1000;
  assert.is(producer.reserve(2), 2);
  assert.is(
    codeOf(() => producer.reserve(3)),
    'E_RING_CORRUPT',
  );
});

protocol('an empty batch writes no shared word', () => {
  const ring = makeRing(8, 2);
  const producer = new AddrProducer(ring);
  const consumer = new AddrConsumer(ring);
  ring.words.fill(77);
  producer.submit(0);
  consumer.release(0);
  assert.equal([...ring.words], new Array(8).fill(77));
});

protocol('ends made later go on where the indices stand', () => {
  const ring = makeRing(8, 2, 0xffffffff);
  const first = new AddrProducer(ring);
  first.reserve(3);
  for (let i = 0; i < 3; i++) first.write(first.cachedProd + i, 64 * i);
  first.submit(3);
  const consumer = new AddrConsumer(ring);
  assert.is(consumer.peek(8), 3);
  assert.is(new AddrProducer(ring).reserve(8), 5);
  ring.words[4] = 500;
  assert.is(
    codeOf(() => new AddrProducer(ring)),
    'E_RING_CORRUPT',
  );
});

protocol('more than granted is refused and changes nothing', () => {
  const ring = makeRing(4, 2);
  const producer = new AddrProducer(ring);
  const consumer = new AddrConsumer(ring);
  producer.reserve(4);
  assert.is(
    codeOf(() => producer.submit(5)),
    'E_RING_OVERRUN',
  );
  assert.is(
    codeOf(() => producer.submit(-1)),
    'E_RING_OVERRUN',
  );
  assert.is(producer.published(), 0);
  producer.write(producer.cachedProd, 0);
  producer.submit(1);
  assert.is(
    codeOf(() => consumer.release(1)),
    'E_RING_OVERRUN',
    'not peeked yet',
  );
  consumer.peek(4);
  assert.is(
    codeOf(() => consumer.release(2)),
    'E_RING_OVERRUN',
  );
  assert.is(consumer.published(), 1);
});

protocol('the need-wakeup bit is read from the flags word', () => {
  const ring = makeRing(4, 4);
  const producer = new DescProducer(ring);
  assert.is(producer.needsWakeup(), false);
  ring.words[6] = 2;
  assert.is(producer.needsWakeup(), false, 'another bit');
  ring.words[6] = 3;
  assert.is(producer.needsWakeup(), true);
  const withoutFlags: RingViews = {
    producer: ring.producer,
    consumer: ring.consumer,
    entries: ring.entries,
    size: 4,
  };
  assert.is(new DescProducer(withoutFlags).needsWakeup(), false);
});

const oracle = suite('ring against an array');

/** Random batches through one ring; after each step both ends must agree exactly with a plain array. */
function runAgainstArray(seed: number, size: number, firstIndex: number, steps: number): void {
  const random = randomInts(seed);
  const ring = makeRing(size, 4, firstIndex);
  const producer = new DescProducer(ring);
  const consumer = new DescConsumer(ring);
  const expected: { addr: number; len: number }[] = [];
  for (let step = 0; step < steps; step++) {
    const want = random(2 * size + 2);
    if (random(2) === 0) {
      const granted = producer.reserve(want);
      assert.is(granted, Math.min(want, size - expected.length));
      const count = random(granted + 1);
      for (let i = 0; i < count; i++) {
        const desc = { addr: random(2 ** 31), len: random(65536) };
        producer.write(producer.cachedProd + i, desc.addr, desc.len);
        expected.push(desc);
      }
      producer.submit(count);
    } else {
      const ready = consumer.peek(want);
      assert.is(ready, Math.min(want, expected.length));
      for (let i = 0; i < ready; i++) {
        assert.is(consumer.addrAt(consumer.cachedCons + i), expected[i]!.addr);
        assert.is(consumer.lenAt(consumer.cachedCons + i), expected[i]!.len);
      }
      const count = random(ready + 1);
      consumer.release(count);
      expected.splice(0, count);
    }
    assert.is(producer.published(), expected.length);
    assert.is(consumer.published(), expected.length);
  }
}

oracle('random batches, all sizes, across both wrap-arounds', () => {
  const seed = Number(process.env.WEIR_SEED ?? Date.now() % 2 ** 31);
  console.log(`seed ${seed} (set WEIR_SEED to repeat)`);
  for (const size of [1, 2, 8, 64]) {
    for (const firstIndex of FIRST_INDICES) runAgainstArray(seed + size, size, firstIndex, 4000);
  }
});

layout.run();
protocol.run();
oracle.run();
