import { performance } from 'node:perf_hooks';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hashPrefix4, lengthSalt, wordMask } from '../../src/shm/class-hash-layout.js';
import { ClassHashReader } from '../../src/shm/class-hash-reader.js';
import { type AddressFamily, ClassHashWriter } from '../../src/shm/class-hash-writer.js';
import { randomOf, seedOf } from './class-hash-random.js';

const test = suite('class hash');
const seed = seedOf('class hash');

/** The oracle: every mapping ever made, searched from end to end. */
interface Mapping {
  family: AddressFamily;
  prefix: number[];
  length: number;
  classIndex: number;
  born: number;
  died: number | null;
}

function covers(mapping: Mapping, addr: number[]): boolean {
  return mapping.prefix.every((word, i) => word === (addr[i]! & wordMask(mapping.length, i)));
}

function isIn(mapping: Mapping, epoch: number): boolean {
  const dies = mapping.died;
  return ((epoch - mapping.born) | 0) >= 0 && (dies === null || ((dies - epoch) | 0) > 0);
}

function longest(mappings: Mapping[], family: AddressFamily, addr: number[], epoch: number): number {
  let best: Mapping | undefined;
  for (const mapping of mappings) {
    if (mapping.family !== family || !isIn(mapping, epoch) || !covers(mapping, addr)) continue;
    if (best === undefined || mapping.length > best.length) best = mapping;
  }
  return best === undefined ? -1 : best.classIndex;
}

function find(reader: ClassHashReader, family: AddressFamily, addr: number[], epoch: number): number {
  if (family === 4) return reader.lookup4(addr[0]!, epoch);
  return reader.lookup6(addr[0]!, addr[1]!, addr[2]!, addr[3]!, epoch);
}

for (const firstEpoch of [1, 0x7fffffff - 20, -20]) {
  test(`agrees with a linear scan at this and older epochs, from epoch ${firstEpoch} on`, () => {
    const random = randomOf(seed ^ firstEpoch);
    const writer = new ClassHashWriter({ seed: random(2 ** 32) });
    const mappings: Mapping[] = [];
    const readers = new Map<number, ClassHashReader>();
    const word = (): number => (random(4) << 30) | (random(2) << 23) | (random(2) << 8) | random(3);
    let oldest = firstEpoch;
    for (let round = 1; round <= 60; round++) {
      const coming = (firstEpoch + round) | 0;
      for (let change = 0; change < 40; change++) {
        const family: AddressFamily = random(2) ? 4 : 6;
        const length = random(family === 4 ? 33 : 129);
        const words = Array.from({ length: family === 4 ? 1 : 4 }, (_, i) => word() & wordMask(length, i));
        const old = mappings.find(
          (m) => m.family === family && m.length === length && m.died === null && covers(m, words),
        );
        assert.is(writer.get(family, words, length), old?.classIndex ?? -1);
        // Growing in the first half and withering in the second takes the table through all its sizes.
        const victim = random(3) === 0 ? old : mappings.filter((m) => m.died === null)[random(200)];
        if (victim && random(60) < round) {
          victim.died = coming;
          assert.ok(writer.remove(victim.family, victim.prefix, victim.length, coming));
          continue;
        }
        const classIndex = random(5000);
        if (old && old.classIndex !== classIndex) old.died = coming;
        if (old?.died !== null)
          mappings.push({ family, prefix: words, length, classIndex, born: coming, died: null });
        writer.insert(family, words, length, classIndex, coming);
      }
      const reader = new ClassHashReader(writer.takeNewBuffer() ?? writer.buffer);
      readers.set(coming, reader);
      assert.is(writer.size, mappings.filter((m) => m.died === null).length);
      for (const [epoch, adopted] of readers) {
        for (let look = 0; look < 60; look++) {
          const family: AddressFamily = random(2) ? 4 : 6;
          const addr = family === 4 ? [word()] : [word(), word(), word(), word()];
          const expected = longest(mappings, family, addr, epoch);
          assert.is(find(adopted, family, addr, epoch), expected, `epoch ${epoch} /${family}`);
          // Whoever adopts a newer buffer without leaving its epoch sees the same.
          assert.is(find(reader, family, addr, epoch), expected, `newest buffer, epoch ${epoch}`);
        }
      }
      if (random(3) === 0) oldest = (coming - random(3)) | 0;
      if (((oldest - firstEpoch) | 0) < 1) continue;
      writer.maintain(oldest);
      for (const epoch of readers.keys()) if (((epoch - oldest) | 0) < 0) readers.delete(epoch);
    }
  });
}

test('a change is seen at its epoch and not before, a removal in the epoch of birth never', () => {
  const writer = new ClassHashWriter({ seed });
  writer.insert(4, [0x0a000001], 32, 7, 5);
  writer.insert(4, [0x0a000001], 32, 8, 6);
  writer.insert(4, [0x0a000001], 32, 9, 6);
  writer.insert(4, [0x0a000002], 32, 1, 6);
  assert.ok(writer.remove(4, [0x0a000002], 32, 6));
  assert.not.ok(writer.remove(4, [0x0a000002], 32, 6));
  const reader = new ClassHashReader(writer.buffer);
  assert.equal(
    [4, 5, 6, 7].map((epoch) => reader.lookup4(0x0a000001, epoch)),
    [-1, 7, 9, 9],
  );
  assert.equal(
    [5, 6, 7].map((epoch) => reader.lookup4(0x0a000002, epoch)),
    [-1, -1, -1],
  );
});

test('a reader keeps its old buffer through growth and shrinking', () => {
  const writer = new ClassHashWriter({ seed });
  for (let i = 0; i < 10; i++) writer.insert(4, [i], 32, i, 1);
  const first = writer.takeNewBuffer()!;
  assert.is(writer.takeNewBuffer(), null);
  const old = new ClassHashReader(first);
  const seen = (reader: ClassHashReader, epoch: number): number[] =>
    Array.from({ length: 12 }, (_, i) => reader.lookup4(i, epoch));
  const before = seen(old, 1);

  for (let i = 0; i < 20_000; i++) writer.insert(4, [i], 32, 100 + i, 2);
  const grownBytes = writer.memoryBytes;
  assert.ok(grownBytes > first.byteLength);
  assert.ok(grownBytes <= 20_000 * 16 * 6, `${grownBytes} bytes`);
  const grown = new ClassHashReader(writer.takeNewBuffer()!);
  assert.equal(seen(old, 1), before);
  assert.equal(seen(grown, 1), before);
  assert.equal(
    seen(grown, 2),
    Array.from({ length: 12 }, (_, i) => 100 + i),
  );

  writer.maintain(1);
  for (let i = 5; i < 20_000; i++) assert.ok(writer.remove(4, [i], 32, 3));
  writer.maintain(2);
  assert.is(writer.memoryBytes, grownBytes, 'a worker at epoch 2 may still see all');
  writer.maintain(3);
  assert.is(writer.memoryBytes, first.byteLength);
  const shrunk = new ClassHashReader(writer.takeNewBuffer()!);
  assert.equal(seen(shrunk, 3), [100, 101, 102, 103, 104, -1, -1, -1, -1, -1, -1, -1]);
  assert.equal(
    seen(grown, 2),
    Array.from({ length: 12 }, (_, i) => 100 + i),
  );
  assert.equal(seen(old, 1), before);
});

test('churn at a constant size makes the table grow twice at most', () => {
  const writer = new ClassHashWriter({ seed });
  for (let i = 0; i < 1000; i++) writer.insert(6, [i, 0, 0, 0], 64, 0, 1);
  const bytes = writer.memoryBytes;
  for (let epoch = 2; epoch < 600; epoch++) {
    writer.maintain(epoch - 1);
    for (let i = 0; i < 300; i++) writer.insert(6, [(i * epoch) % 1000, 0, 0, 0], 64, epoch, epoch);
    // Some epochs replace a few keys many times over, and all versions of a key share its window.
    assert.ok(writer.memoryBytes <= 4 * bytes, `${writer.memoryBytes} bytes at epoch ${epoch}`);
  }
});

test('an entry outlives 2^31 epochs', () => {
  const writer = new ClassHashWriter({ seed });
  writer.insert(4, [1], 32, 42, 1);
  for (let epochs = 1; epochs < 2 ** 32; epochs += 2 ** 28) writer.maintain(epochs | 0);
  assert.is(new ClassHashReader(writer.buffer).lookup4(1, (2 ** 32 - 5) | 0), 42);
});

test('prefixes that share a home slot do not mix', () => {
  const writer = new ClassHashWriter({ seed: 99 });
  const salt = lengthSalt(99, 32);
  const home: number[] = [];
  for (let addr = 0; home.length < 60; addr++)
    if ((hashPrefix4(addr, salt) & 0xfff) === 0xfff) home.push(addr);
  for (const [i, addr] of home.entries()) writer.insert(4, [addr], 32, i, 1);
  for (const addr of home.slice(0, 20)) writer.remove(4, [addr], 32, 2);
  const reader = new ClassHashReader(writer.buffer);
  for (const [i, addr] of home.entries()) {
    assert.is(reader.lookup4(addr, 1), i);
    assert.is(reader.lookup4(addr, 2), i < 20 ? -1 : i);
  }
  for (let addr = 0; addr < 5000; addr++) {
    if (!home.includes(addr)) assert.is(reader.lookup4(addr, 2), -1);
  }
});

test('more prefixes with one home than a search may visit end in a larger table', () => {
  const writer = new ClassHashWriter({ seed: 99 });
  const salt = lengthSalt(99, 32);
  const home: number[] = [];
  for (let addr = 0; home.length < 100; addr++) if ((hashPrefix4(addr, salt) & 0x1ff) === 0) home.push(addr);
  for (const [i, addr] of home.entries()) writer.insert(4, [addr], 32, i, 1);
  const reader = new ClassHashReader(writer.buffer);
  for (const [i, addr] of home.entries()) assert.is(reader.lookup4(addr, 1), i);
});

test('a default route catches what nothing else does, in its own family only', () => {
  const writer = new ClassHashWriter({ seed });
  writer.insert(4, [0x7fffffff], 0, 3, 1);
  const reader = new ClassHashReader(writer.buffer);
  assert.is(reader.lookup4(0x01020304, 1), 3);
  assert.is(reader.lookup4(-1, 1), 3);
  assert.is(reader.lookup6(0, 0, 0, 0, 1), -1);
  writer.insert(6, [0, 0, 0, 0], 0, 4, 2);
  assert.is(reader.lookup6(1, 2, 3, 4, 2), 4, 'a length that came into use later is probed');
  assert.is(reader.lookup6(1, 2, 3, 4, 1), -1);
});

test('all 129 IPv6 lengths nest', () => {
  const writer = new ClassHashWriter({ seed });
  const addr = [0x20010db8, 0x80000001 | 0, -1, 0x55555555];
  for (let length = 0; length <= 128; length++) writer.insert(6, addr, length, length, 1);
  const reader = new ClassHashReader(writer.buffer);
  assert.is(find(reader, 6, addr, 1), 128);
  for (let bit = 0; bit < 128; bit++) {
    const other = addr.slice();
    other[bit >>> 5]! ^= 1 << (31 - (bit & 31));
    assert.is(find(reader, 6, other, 1), bit, `bit ${bit} differs`);
  }
});

test('refuses what it cannot keep', () => {
  const writer = new ClassHashWriter({ seed });
  const code = (wanted: string) => (error: { code?: string }) => error.code === wanted;
  assert.throws(() => writer.insert(4, [0], 33, 1, 1), code('E_CLASS_HASH_PREFIX'));
  assert.throws(() => writer.insert(6, [0, 0], 64, 1, 1), code('E_CLASS_HASH_PREFIX'));
  assert.throws(() => writer.insert(4, [0], 32, 1 << 24, 1), code('E_CLASS_HASH_CLASS'));
  assert.throws(() => writer.insert(4, [0], 32, -1, 1), code('E_CLASS_HASH_CLASS'));
  writer.insert(4, [0], 32, 1, 9);
  assert.throws(() => writer.remove(4, [0], 32, 8), code('E_CLASS_HASH_EPOCH'));
  writer.maintain(9);
  assert.throws(() => writer.insert(4, [1], 32, 1, 9), code('E_CLASS_HASH_EPOCH'));
});

test('look-up cost at 1,000 and at 1,000,000 entries', () => {
  for (const entries of [1_000, 1_000_000]) {
    const writer = new ClassHashWriter({ seed });
    for (let i = 0; i < entries; i++) writer.insert(4, [0x0a000000 + i], 32, i, 1);
    const reader = new ClassHashReader(writer.buffer);
    const looks = 1_000_000;
    let right = 0;
    const startedMs = performance.now();
    for (let i = 0; i < looks; i++) {
      const wanted = (Math.imul(i, 0x9e3779b1) >>> 0) % entries;
      if (reader.lookup4(0x0a000000 + wanted, 1) === wanted) right++;
    }
    const ns = ((performance.now() - startedMs) * 1e6) / looks;
    console.log(`  ${entries} entries: ${ns.toFixed(1)} ns a look-up, ${writer.memoryBytes} bytes`);
    assert.is(right, looks);
  }
});

test.run();
