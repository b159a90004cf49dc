/**
 * Measures the flow table, alone and in its place. `nsPerPacket` is everything for a packet, from the RX ring to its
 * recycling, in the worker of the core bench with `flows` flows over `prefixes` classes. `lookupNs` is `lookupBatch`
 * alone: all flows are entered once by way of misses, then batches of uniformly random flows are looked up. All of
 * these should hit, and all cost at least one cache miss as soon as the table is larger than the caches.
 */
import { performance } from 'node:perf_hooks';
import { BATCH_MAX, CLASS_MISS, KEY_WORDS_SHIFT, KIND_IPV4, PacketBatch } from '../src/dataplane/batch.js';
import { FlowCounter, FlowTable } from '../src/dataplane/flow-table.js';
import { ClassHashReader } from '../src/shm/class-hash-reader.js';
import { ClassHashWriter } from '../src/shm/class-hash-writer.js';
import { benchCore } from './core.js';

const EPOCH = 1;
const INSIDE = 0;
const OUTSIDE = 1;
/** Batches between two readings of the clock that decides whether the time is over. */
const BATCHES_PER_ROUND = 1024;
/** Times that the fill offers every flow: growth loses some of those offered before it. */
const FILL_ROUNDS = 2;

export interface FlowsOptions {
  /** Concurrent IPv4 flows. */
  flows: number;
  /** Subscriber prefixes in the class hash, one /32 each. */
  prefixes: number;
  /** How long either steady state is measured. */
  seconds: number;
  seed: number;
}

export interface FlowsResult {
  bench: 'flows';
  flows: number;
  /** Class prefixes. */
  classes: number;
  seed: number;
  /** Everything for a packet, in the worker. */
  nsPerPacket: number;
  mpps: number;
  gcCount: number;
  /** As `CoreResult` has it. */
  bytesPerClass: number;
  /** Of the table in use, for each flow. */
  bytesPerFlow: number;
  /** `lookupBatch` alone, for a packet: the mean, and the best of the rounds, which shared machines disturb less. */
  lookupNs: number;
  lookupNsBest: number;
  /** One flow of the fill: its look-ups, the class hash, the insertions and making up its packets. */
  nsPerNewFlow: number;
  /** Share of the steady state's look-ups that hit. */
  hitShare: number;
  evictions: number;
  classHashBytes: number;
  /** Of the classes found in the fill: the same options give the same hash. */
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
export async function benchFlows(options: FlowsOptions): Promise<FlowsResult> {
  const { flows, prefixes: classes, seconds, seed } = options;
  const lookup = measureLookup(options);
  const core = await benchCore({ classes, flows, throttled: 0, seconds, queues: 1, seed });
  const { nsPerPacket, mpps, gcCount, bytesPerClass } = core;
  return { bench: 'flows', flows, classes, seed, nsPerPacket, mpps, gcCount, bytesPerClass, ...lookup };
}

type LookupResult = Omit<
  FlowsResult,
  'bench' | 'flows' | 'classes' | 'seed' | 'nsPerPacket' | 'mpps' | 'gcCount' | 'bytesPerClass'
>;

/** Measures the table alone; it and the class hash are garbage when this returns. */
export function measureLookup(options: FlowsOptions): LookupResult {
  const { flows, prefixes, seconds, seed } = options;
  const writer = new ClassHashWriter({ seed });
  for (let i = 0; i < prefixes; i++) writer.insert(4, [subscriber(i)], 32, i, EPOCH);
  const bench: Bench = {
    // As much room to spare as the worker of the core bench has.
    table: new FlowTable({ capacityFlows: Math.ceil(1.5 * flows), seed }),
    reader: new ClassHashReader(writer.buffer),
    batch: new PacketBatch(),
    ids: new Int32Array(BATCH_MAX),
    prefixes,
  };
  const counters = bench.table.counters;

  const startedMs = performance.now();
  let fillHash = 0;
  for (let round = 0; round < FILL_ROUNDS; round++) fillHash = fill(bench, flows);
  const fillMs = performance.now() - startedMs;

  run(bench, flows, seed, 0.2 * seconds);
  const hitsBefore = counters[FlowCounter.HITS]!;
  const missesBefore = counters[FlowCounter.MISSES]!;
  const steady = run(bench, flows, seed + 1, seconds);
  const hits = counters[FlowCounter.HITS]! - hitsBefore;
  const misses = counters[FlowCounter.MISSES]! - missesBefore;

  return {
    bytesPerFlow: bench.table.memoryBytes / flows,
    lookupNs: (steady.lookupMs * 1e6) / steady.packets,
    lookupNsBest: steady.bestNs,
    nsPerNewFlow: (fillMs * 1e6) / flows,
    hitShare: hits / (hits + misses),
    evictions: counters[FlowCounter.EVICTIONS]!,
    classHashBytes: writer.memoryBytes,
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
): { packets: number; lookupMs: number; bestNs: number } {
  const { table, batch, ids } = bench;
  let lookupMs = 0;
  let bestNs = Number.POSITIVE_INFINITY;
  let packets = 0;
  let state = seed;
  const endMs = performance.now() + seconds * 1e3;
  while (performance.now() < endMs) {
    let roundMs = 0;
    for (let round = 0; round < BATCHES_PER_ROUND; round++) {
      for (let i = 0; i < BATCH_MAX; i++) {
        state = (state + 0x9e3779b9) | 0;
        ids[i] = ((scramble(state) >>> 0) * flows) / 2 ** 32;
      }
      makePackets(bench, BATCH_MAX);
      const beforeMs = performance.now();
      table.lookupBatch(batch, BATCH_MAX, OUTSIDE, EPOCH, 0);
      roundMs += performance.now() - beforeMs;
      resolveMisses(bench, BATCH_MAX);
    }
    lookupMs += roundMs;
    bestNs = Math.min(bestNs, (roundMs * 1e6) / (BATCHES_PER_ROUND * BATCH_MAX));
    packets += BATCHES_PER_ROUND * BATCH_MAX;
  }
  return { packets, lookupMs, bestNs };
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
