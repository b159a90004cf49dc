/**
 * Measures the flow table with the class hash behind it: all flows are entered once by way of misses,
 * then packets of uniformly random flows are looked up in batches. Every look-up of a steady state should
 * hit, and every one costs at least one cache miss as soon as the table is larger than the caches.
 */
import { performance } from 'node:perf_hooks';
import { BATCH_MAX, CLASS_MISS, KEY_WORDS_SHIFT, KIND_IPV4, PacketBatch } from '../src/dataplane/batch.js';
import { FLOW_EVICTIONS, FLOW_HITS, FLOW_MISSES, FlowTable } from '../src/dataplane/flow-table.js';
import { ClassHashReader } from '../src/shm/class-hash-reader.js';
import { ClassHashWriter } from '../src/shm/class-hash-writer.js';

const EPOCH = 1;
const INSIDE = 0;
const OUTSIDE = 1;
/** Batches between two readings of the clock that decides whether the time is over. */
const BATCHES_PER_ROUND = 1024;

export interface FlowsOptions {
  /** Concurrent IPv4 flows. */
  flows: number;
  /** Subscriber prefixes in the class hash, one /32 each. */
  prefixes: number;
  /** How long the steady state is measured. */
  seconds: number;
  seed: number;
}

export interface FlowsResult {
  bench: 'flows';
  flows: number;
  prefixes: number;
  seed: number;
  packets: number;
  /** One look-up in the steady state; making up the packets is not included. */
  nsPerPacket: number;
  mpps: number;
  /** One new flow: a missed look-up, the class hash, the insertion and making up the packet. */
  nsPerNewFlow: number;
  /** Share of the steady state's look-ups that hit. */
  hitShare: number;
  evictions: number;
  tableBytes: number;
  classHashBytes: number;
  rssBytes: number;
  /** Of the classes found; the same options give the same packets, but not the same number of them. */
  fillHash: number;
}

interface Bench {
  table: FlowTable;
  reader: ClassHashReader;
  batch: PacketBatch;
  ids: Int32Array;
  prefixes: number;
}

/** Runs the benchmark; see the module's comment. */
export function benchFlows(options: FlowsOptions): FlowsResult {
  const { flows, prefixes, seconds, seed } = options;
  const writer = new ClassHashWriter({ seed });
  for (let i = 0; i < prefixes; i++) writer.insert(4, [subscriber(i)], 32, i, EPOCH);
  const bench: Bench = {
    table: new FlowTable({ capacityFlows: flows, seed }),
    reader: new ClassHashReader(writer.buffer),
    batch: new PacketBatch(),
    ids: new Int32Array(BATCH_MAX),
    prefixes,
  };
  const counters = bench.table.counters;

  const startedMs = performance.now();
  const fillHash = fill(bench, flows);
  const fillMs = performance.now() - startedMs;

  run(bench, flows, seed, 0.2 * seconds);
  const hitsBefore = counters[FLOW_HITS]!;
  const missesBefore = counters[FLOW_MISSES]!;
  const steady = run(bench, flows, seed + 1, seconds);
  const hits = counters[FLOW_HITS]! - hitsBefore;
  const misses = counters[FLOW_MISSES]! - missesBefore;

  return {
    bench: 'flows',
    flows,
    prefixes,
    seed,
    packets: steady.packets,
    nsPerPacket: (steady.lookupMs * 1e6) / steady.packets,
    mpps: steady.packets / steady.lookupMs / 1e3,
    nsPerNewFlow: (fillMs * 1e6) / flows,
    hitShare: hits / (hits + misses),
    evictions: counters[FLOW_EVICTIONS]!,
    tableBytes: bench.table.memoryBytes,
    classHashBytes: writer.memoryBytes,
    rssBytes: process.memoryUsage.rss(),
    fillHash,
  };
}

/** Sends one packet of each flow; returns a hash of the classes that were found. */
function fill(bench: Bench, flows: number): number {
  const { table, batch, ids } = bench;
  let hash = 0;
  for (let first = 0; first < flows; first += BATCH_MAX) {
    const count = Math.min(BATCH_MAX, flows - first);
    for (let i = 0; i < count; i++) ids[i] = first + i;
    makePackets(bench, count);
    table.lookupBatch(batch, count, OUTSIDE, EPOCH, 0);
    resolveMisses(bench, count);
    for (let i = 0; i < count; i++) hash = (Math.imul(hash, 31) + batch.classIndex[i]!) | 0;
  }
  return hash;
}

function run(
  bench: Bench,
  flows: number,
  seed: number,
  seconds: number,
): { packets: number; lookupMs: number } {
  const { table, batch, ids } = bench;
  let lookupMs = 0;
  let packets = 0;
  let state = seed;
  const endMs = performance.now() + seconds * 1e3;
  while (performance.now() < endMs) {
    for (let round = 0; round < BATCHES_PER_ROUND; round++) {
      for (let i = 0; i < BATCH_MAX; i++) {
        state = (state + 0x9e3779b9) | 0;
        ids[i] = ((scramble(state) >>> 0) * flows) / 2 ** 32;
      }
      makePackets(bench, BATCH_MAX);
      const beforeMs = performance.now();
      table.lookupBatch(batch, BATCH_MAX, OUTSIDE, EPOCH, 0);
      lookupMs += performance.now() - beforeMs;
      resolveMisses(bench, BATCH_MAX);
    }
    packets += BATCHES_PER_ROUND * BATCH_MAX;
  }
  return { packets, lookupMs };
}

function resolveMisses(bench: Bench, count: number): void {
  const { table, reader, batch } = bench;
  for (let i = 0; i < count; i++) {
    if (batch.classIndex[i] !== CLASS_MISS) continue;
    const destination = batch.key[(i << KEY_WORDS_SHIFT) + 1]!;
    batch.classIndex[i] = reader.lookup4(destination, EPOCH);
    table.insert(batch, i, OUTSIDE, EPOCH, 0, batch.classIndex[i]!, INSIDE);
  }
}

/** Fills the key words of the flows in `ids`: remote hosts that send to the subscribers by TCP. */
function makePackets(bench: Bench, count: number): void {
  const { batch, ids, prefixes } = bench;
  const { kind, key } = batch;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    const base = i << KEY_WORDS_SHIFT;
    kind[i] = KIND_IPV4;
    key[base] = scramble(id);
    key[base + 1] = subscriber(id % prefixes);
    key[base + 2] = (443 << 16) | (id & 0xffff);
    key[base + 3] = 6;
  }
}

/** Subscriber i's address, in 10.0.0.0/8. */
function subscriber(i: number): number {
  return 0x0a000000 | i;
}

function scramble(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x7feb352d);
  h ^= h >>> 15;
  h = Math.imul(h, 0x846ca68b);
  return h ^ (h >>> 16);
}
