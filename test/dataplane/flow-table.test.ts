import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BATCH_MAX,
  CLASS_MISS,
  CLASS_NONE,
  KEY_WORDS,
  KEY_WORDS_SHIFT,
  KIND_IPV4,
  KIND_IPV6,
  KIND_UNKNOWN,
  PacketBatch,
} from '../../src/dataplane/batch.js';
import { FlowCounter, FlowLimit, FlowTable } from '../../src/dataplane/flow-table.js';
import { randomOf, seedOf } from '../shm/class-hash-random.js';

const test = suite('flow table');
const seed = seedOf('flow table');
const batch = new PacketBatch();

interface Flow {
  kind: number;
  words: number[];
  port: number;
}

function load(flow: Flow, slot = 0): void {
  batch.kind[slot] = flow.kind;
  batch.key.fill(0, slot << KEY_WORDS_SHIFT, (slot << KEY_WORDS_SHIFT) + KEY_WORDS);
  for (const [i, word] of flow.words.entries()) batch.key[(slot << KEY_WORDS_SHIFT) + i] = word;
}

/** Looks one flow up; its class, with the egress port left in `batch.egress[0]`. */
function look(table: FlowTable, flow: Flow, epoch: number, nowMs: number): number {
  load(flow);
  table.lookupBatch(batch, 1, flow.port, epoch, nowMs);
  return batch.classIndex[0]!;
}

function remember(
  table: FlowTable,
  flow: Flow,
  epoch: number,
  nowMs: number,
  classIndex: number,
  egress = 0,
): void {
  look(table, flow, epoch, nowMs);
  table.insert(batch, 0, flow.port, epoch, nowMs, classIndex, egress);
}

const flow4 = (id: number, port = 0): Flow => ({ kind: KIND_IPV4, words: [id, 0x0a000001, 80, 6], port });

/** A flow that differs from others of a small set in one word, in kind or in port only. */
function similarFlow(random: (below: number) => number): Flow {
  const kind = random(2) ? KIND_IPV4 : KIND_IPV6;
  const words = new Array<number>(kind === KIND_IPV4 ? 4 : 10).fill(7);
  words[random(words.length)] = random(40) - 20;
  return { kind, words, port: random(2) };
}

const nameOf = (flow: Flow): string => `${flow.kind}/${flow.port}/${flow.words.join(',')}`;

for (const start of [0, 0x7fffffff - 200_000, -200_000]) {
  test(`agrees with a map under random operations, clock and epochs from ${start} on`, () => {
    const random = randomOf(seed ^ start);
    const idleTimeoutMs = 10_000;
    const table = new FlowTable({ capacityFlows: 4096, idleTimeoutMs, seed: random(2 ** 32) });
    const known = new Map<string, { epoch: number; seenMs: number; classIndex: number; egress: number }>();
    const expected = { hits: 0, misses: 0, inserts: 0, expired: 0, stale: 0 };
    let nowMs = start;
    let epoch = start;
    for (let step = 0; step < 20_000; step++) {
      nowMs = (nowMs + random(60)) | 0;
      if (random(2000) === 0) nowMs = (nowMs + idleTimeoutMs - random(2000)) | 0;
      if (random(3000) === 0) epoch = (epoch + 1) | 0;
      const port = random(2);
      const count = 1 + random(8);
      const flows = Array.from({ length: count }, () => ({ ...similarFlow(random), port }));
      for (const [i, flow] of flows.entries()) load(flow, i);
      table.lookupBatch(batch, count, port, epoch, nowMs);
      for (const [i, flow] of flows.entries()) {
        const entry = known.get(nameOf(flow));
        const ageMs = entry ? (nowMs - entry.seenMs) | 0 : 0;
        const valid = entry !== undefined && entry.epoch === epoch && ageMs <= idleTimeoutMs;
        assert.is(batch.classIndex[i], valid ? entry.classIndex : CLASS_MISS, nameOf(flow));
        assert.is(batch.egress[i], valid ? entry.egress : -1);
        expected[valid ? 'hits' : 'misses']++;
        if (entry && !valid) expected[entry.epoch === epoch ? 'expired' : 'stale']++;
        if (valid && ageMs > FlowLimit.REFRESH_MS) entry.seenMs = nowMs;
      }
      for (const [i, flow] of flows.entries()) {
        if (batch.classIndex[i] !== CLASS_MISS || random(2)) continue;
        const classIndex = random(1000) - 1;
        const egress = random(2);
        table.insert(batch, i, port, epoch, nowMs, classIndex, egress);
        known.set(nameOf(flow), { epoch, seenMs: nowMs, classIndex, egress });
        expected.inserts++;
      }
      // The table is free to forget a dead entry, then its next look-up is no longer counted as stale.
    }
    assert.is(table.counters[FlowCounter.HITS], expected.hits);
    assert.is(table.counters[FlowCounter.MISSES], expected.misses);
    assert.is(table.counters[FlowCounter.INSERTS], expected.inserts);
    assert.ok(table.counters[FlowCounter.STALE]! > 0 && table.counters[FlowCounter.STALE]! <= expected.stale);
    assert.ok(
      table.counters[FlowCounter.EXPIRED]! > 0 && table.counters[FlowCounter.EXPIRED]! <= expected.expired,
    );
    assert.is(table.counters[FlowCounter.EVICTIONS], 0);
  });
}

test('port, VLAN tags and kind are part of the key', () => {
  const table = new FlowTable({ capacityFlows: 100, seed });
  const words = [1, 2, 3, 6];
  const flows: Flow[] = [
    { kind: KIND_IPV4, words, port: 0 },
    { kind: KIND_IPV4, words, port: 1 },
    { kind: KIND_IPV4, words: [1, 2, 3, 6 | (5 << 8)], port: 0 },
    { kind: KIND_IPV4, words: [1, 2, 3, 6 | (5 << 20)], port: 0 },
    { kind: KIND_IPV6, words: [...words, 0, 0, 0, 0, 0, 0], port: 0 },
  ];
  for (const [i, flow] of flows.entries()) {
    assert.is(look(table, flow, 1, 0), CLASS_MISS);
    remember(table, flow, 1, 0, i, i);
  }
  for (const [i, flow] of flows.entries()) {
    assert.is(look(table, flow, 1, 0), i);
    assert.is(batch.egress[0], i);
  }
});

test('an entry is not used in any epoch but its own, and a flow of no class is remembered', () => {
  const table = new FlowTable({ capacityFlows: 100, seed });
  remember(table, flow4(1), 0x7fffffff, 0, CLASS_NONE);
  assert.is(look(table, flow4(1), 0x7fffffff, 0), CLASS_NONE);
  assert.is(look(table, flow4(1), -0x80000000, 0), CLASS_MISS);
  assert.is(table.counters[FlowCounter.STALE], 1);
  remember(table, flow4(1), -0x80000000, 0, 5);
  assert.is(look(table, flow4(1), -0x80000000, 0), 5);
  assert.is(table.size, 1);
});

test('an entry idles out across the wrap of the clock, and traffic keeps it', () => {
  const table = new FlowTable({ capacityFlows: 100, seed });
  let nowMs = 0x7fffffff - 10_000;
  remember(table, flow4(1), 1, nowMs, 5);
  remember(table, flow4(2), 1, nowMs, 6);
  for (let i = 0; i < 6; i++) {
    nowMs = (nowMs + 5_000) | 0;
    assert.is(look(table, flow4(1), 1, nowMs), 5);
  }
  assert.is(look(table, flow4(2), 1, nowMs), 6, 'exactly the time-out is not beyond it');
  nowMs = (nowMs + 30_001) | 0;
  assert.is(look(table, flow4(1), 1, nowMs), CLASS_MISS);
  assert.is(table.counters[FlowCounter.EXPIRED], 1);
});

test('packets of unknown kind belong to no class and are not remembered', () => {
  const table = new FlowTable({ capacityFlows: 100, seed });
  const flow = { kind: KIND_UNKNOWN, words: [1, 2, 3, 4], port: 0 };
  assert.is(look(table, flow, 1, 0), CLASS_NONE);
  table.insert(batch, 0, 0, 1, 0, 9, 0);
  assert.is(look(table, flow, 1, 0), CLASS_NONE);
  assert.is(table.size, 0);
  remember(table, { ...flow, kind: KIND_IPV4 }, 1, 0, 5);
  assert.is(look(table, flow, 1, 0), CLASS_NONE);
});

test('insertions overwrite dead entries before they take empty slots', () => {
  const table = new FlowTable({ capacityFlows: 100, seed });
  for (let id = 0; id < 100; id++) remember(table, flow4(id), 1, 0, id);
  for (let id = 100; id < 200; id++) remember(table, flow4(id), 2, 0, id);
  assert.ok(table.size < 190, `${table.size} slots used`);
  for (let id = 100; id < 200; id++) assert.is(look(table, flow4(id), 2, 0), id);
});

test('keys with equal hashes are told apart', () => {
  const prober = new FlowTable({ capacityFlows: 100, seed });
  const ids = new Map<number, number>();
  const pairs: [Flow, Flow][] = [];
  // Two words vary: keys that differ in one word alone cannot have equal hashes.
  const flow = (id: number): Flow => ({
    kind: KIND_IPV4,
    words: [id, Math.imul(id, id + 77), 80, 6],
    port: 0,
  });
  for (let id = 0; pairs.length < 3; id++) {
    look(prober, flow(id), 1, 0);
    const h = batch.hash[0]!;
    const other = ids.get(h);
    if (other !== undefined) pairs.push([flow(other), flow(id)]);
    ids.set(h, id);
  }
  const table = new FlowTable({ capacityFlows: 100, seed });
  for (const [i, [one, two]] of pairs.entries()) {
    remember(table, one, 1, 0, 2 * i);
    const hashOfOne = batch.hash[0];
    assert.is(look(table, two, 1, 0), CLASS_MISS);
    assert.is(batch.hash[0], hashOfOne);
    remember(table, two, 1, 0, 2 * i + 1);
    assert.is(look(table, one, 1, 0), 2 * i);
    assert.is(look(table, two, 1, 0), 2 * i + 1);
  }
});

for (const kind of [KIND_IPV4, KIND_IPV6]) {
  test(`keys that agree in slot, tag and all words but one are told apart: kind ${kind}`, () => {
    const words = new Array<number>(kind === KIND_IPV4 ? 4 : 10).fill(7);
    for (const word of words.keys()) {
      // The table is one block, where the home slot is the upper 6 bits of the hash and the tag the lower 15.
      const table = new FlowTable({ capacityFlows: 1, seed });
      const flow = (id: number): Flow => ({
        kind,
        words: words.map((seven, i) => (i === word ? id : seven)),
        port: 0,
      });
      const ids = new Map<number, number>();
      let pairs = 0;
      for (let id = 0; pairs < 2; id++) {
        assert.is(look(table, flow(id), 1, 0), CLASS_MISS);
        const agreement = (batch.hash[0]! >>> 26) | ((batch.hash[0]! & 0x7fff) << 6);
        const other = ids.get(agreement);
        ids.set(agreement, id);
        if (other === undefined) continue;
        pairs++;
        remember(table, flow(other), pairs, 0, 5);
        assert.is(look(table, flow(other), pairs, 0), 5);
        assert.is(look(table, flow(id), pairs, 0), CLASS_MISS);
      }
    }
  });
}

test('the same key on two ports is told apart also where the tags agree', () => {
  // In a full block a search meets every entry, so that only tag and port keep the two apart.
  const table = new FlowTable({ capacityFlows: 1, seed });
  for (let id = 0; id < 300_000; id++) {
    remember(table, flow4(id, 0), 1, id, 5);
    if (id >= 64) assert.is(look(table, flow4(id, 1), 1, id), CLASS_MISS);
  }
});

for (const kind of [KIND_IPV4, KIND_IPV6]) {
  test(`holds its capacity in a bounded memory: kind ${kind}`, () => {
    const capacityFlows = 40_000;
    const table = new FlowTable({ capacityFlows, seed });
    const rest = kind === KIND_IPV4 ? [9, 80, 6] : [9, 8, 7, 6, 5, 4, 3, 80, 6];
    const flow = (id: number): Flow => ({ kind, words: [id, ...rest], port: 0 });
    const smallBytes = table.memoryBytes;
    for (let id = 0; id < capacityFlows; id++) remember(table, flow(id), 1, 0, id);
    const evicted = table.counters[FlowCounter.EVICTIONS]!;
    assert.ok(evicted <= capacityFlows / 1000, `${evicted} evictions`);
    assert.ok(table.memoryBytes > 1.5 * smallBytes);
    // What growth has lost is entered again; after that, all that was not evicted is there.
    for (let id = 0; id < capacityFlows; id++) {
      if (look(table, flow(id), 1, 0) === CLASS_MISS) table.insert(batch, 0, 0, 1, 0, id, 0);
    }
    let found = 0;
    for (let id = 0; id < capacityFlows; id++) {
      const classIndex = look(table, flow(id), 1, 0);
      assert.ok(classIndex === id || classIndex === CLASS_MISS);
      if (classIndex === id) found++;
    }
    assert.ok(found >= capacityFlows * 0.999, `${found} flows found`);
    const bytes = table.memoryBytes;
    const entryBytes = kind === KIND_IPV4 ? 32 : 64;
    assert.ok(table.memoryBytes <= (capacityFlows / 0.69) * entryBytes + smallBytes, `${bytes} bytes`);
    for (let id = capacityFlows; id < 4 * capacityFlows; id++) remember(table, flow(id), 1, 1, id);
    assert.is(table.memoryBytes, bytes);
    assert.ok(table.size * entryBytes <= bytes);
  });
}

test('growth loses entries but never returns a wrong one, and what it misplaced goes first', () => {
  const random = randomOf(seed);
  const table = new FlowTable({ capacityFlows: 60_000, seed });
  const ids = 50_000;
  const flow = (id: number): Flow => ({
    kind: id % 5 === 0 ? KIND_IPV6 : KIND_IPV4,
    words: id % 5 === 0 ? [1, 2, 3, 4, id, 6, 7, 8, 9, id] : [id, 1, id >>> 3, 6],
    port: id & 1,
  });
  const classOf = new Int32Array(ids).fill(CLASS_MISS);
  const smallBytes = table.memoryBytes;
  for (let step = 0; step < 300_000; step++) {
    const id = random(ids);
    const found = look(table, flow(id), 1, 0);
    if (found === CLASS_MISS) {
      classOf[id] = step;
      table.insert(batch, 0, id & 1, 1, 0, step, id % 200);
    } else {
      assert.is(found, classOf[id]);
      assert.is(batch.egress[0], id % 200);
    }
  }
  assert.ok(table.memoryBytes >= 2 * smallBytes);
  // A block may overflow by chance, depending on the seed: a few of 50,000 flows.
  assert.ok(
    table.counters[FlowCounter.EVICTIONS]! < ids / 1000,
    `${table.counters[FlowCounter.EVICTIONS]} evictions`,
  );
  // Each of the doublings may lose half of the flows there were then, so all of them together lose less than all.
  assert.ok(
    table.counters[FlowCounter.INSERTS]! < 2 * ids,
    `${table.counters[FlowCounter.INSERTS]} insertions`,
  );
});

test('evicts the least recently seen of a full block, dead entries first', () => {
  // The smallest table is one block, so every flow competes with every other.
  const table = new FlowTable({ capacityFlows: 1, seed });
  let slots = 0;
  while (table.counters[FlowCounter.EVICTIONS] === 0) remember(table, flow4(slots++), 1, 2 * slots, slots);
  assert.is(look(table, flow4(0), 1, 1000), CLASS_MISS, 'the first was the least recently seen');
  for (let id = 1; id < slots; id++) assert.is(look(table, flow4(id), 1, 1000), id + 1);
  const size = table.size;
  assert.is(size, slots - 1);
  // All but flow 9 idle out; then as many new flows fit without an eviction.
  assert.is(look(table, flow4(9), 1, 29_000), 10);
  for (let id = 0; id < size - 1; id++) remember(table, flow4(10_000 + id), 1, 40_000, id);
  assert.is(table.counters[FlowCounter.EVICTIONS], 1);
  assert.is(look(table, flow4(9), 1, 40_000), 10);
  assert.is(table.size, size);
});

test('flows that come and go do not make the table grow', () => {
  const table = new FlowTable({ capacityFlows: 1_000_000, idleTimeoutMs: 1_000, seed });
  const bytes = table.memoryBytes;
  for (let id = 0; id < 200_000; id++) remember(table, flow4(id), 1, id, id);
  assert.is(table.memoryBytes, bytes);
  assert.ok(table.size * 32 <= bytes, `${table.size} entries in ${bytes} bytes`);
  assert.is(table.counters[FlowCounter.EVICTIONS], 0);
});

test('a full batch of both kinds is looked up in one call', () => {
  const table = new FlowTable({ capacityFlows: 1000, seed });
  for (let i = 0; i < BATCH_MAX; i++) {
    load({ kind: i % 3 === 0 ? KIND_IPV6 : KIND_IPV4, words: [i, 1, 2, 3], port: 1 }, i);
  }
  table.lookupBatch(batch, BATCH_MAX, 1, 1, 0);
  for (let i = 0; i < BATCH_MAX; i++) table.insert(batch, i, 1, 1, 0, i, 0);
  table.lookupBatch(batch, BATCH_MAX, 1, 1, 0);
  assert.equal(
    Array.from(batch.classIndex),
    Array.from({ length: BATCH_MAX }, (_, i) => i),
  );
});

test('refuses options out of range', () => {
  const code = (wanted: string) => (error: { code?: string }) => error.code === wanted;
  assert.throws(() => new FlowTable({ capacityFlows: 0, seed }), code('E_FLOW_CAPACITY'));
  assert.throws(() => new FlowTable({ capacityFlows: 1e9, seed }), code('E_FLOW_CAPACITY'));
  assert.throws(() => new FlowTable({ capacityFlows: 1, idleTimeoutMs: 0, seed }), code('E_FLOW_TIMEOUT'));
});

test.run();
