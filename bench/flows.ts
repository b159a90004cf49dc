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
import { CORE_NOTES, columnOf, measurePoint, summaryOf } from './core.js';
import { type BenchDocument, documentOf, type RigOptions } from './rig/document.js';
import type { Figures } from './rig/rounds.js';

const EPOCH = 1;
/** The table alone, both kinds of leaves, rte_sched. */
const COLUMNS = 4;
const INSIDE = 0;
const OUTSIDE = 1;
/** Batches between two readings of the clock that decides whether the time is over. */
const BATCHES_PER_ROUND = 1024;
/** Times that the fill offers every flow: growth loses some of those offered before it. */
const FILL_ROUNDS = 2;

export interface FlowsOptions extends RigOptions {
  /** Concurrent IPv4 flows. */
  flows: number;
  /** Subscriber prefixes in the class hash, one /32 each. */
  prefixes: number;
  /** Measured time, all columns and runs. */
  seconds: number;
  seed: number;
}

/** What the document says in fields of its own, for programs that read one figure. Medians of the runs. */
export interface FlowsSummary {
  readonly flows: number;
  /** Class prefixes. */
  readonly classes: number;
  /** Everything for a packet, in the worker. */
  readonly nsPerPacket: number;
  readonly mpps: number;
  readonly gcCount: number;
  /** As `CoreSummary` has it. */
  readonly bytesPerClass: number;
  /** Of the table in use, for each flow. */
  readonly bytesPerFlow: number;
  /** `lookupBatch` alone, for a packet: the mean, and the best of the rounds, which shared machines disturb less. */
  readonly lookupNs: number;
  readonly lookupNsBest: number;
  /** One flow of the fill: its look-ups, the class hash, the insertions and making up its packets. */
  readonly nsPerNewFlow: number;
  /** Share of the steady state's look-ups that hit. */
  readonly hitShare: number;
  readonly evictions: number;
  readonly classHashBytes: number;
  /** Of the classes found in the fill: the same options give the same hash. */
  readonly fillHash: number;
}

export type FlowsDocument = BenchDocument & FlowsSummary;

const TABLE_ALONE = 'flow table alone';

interface Bench {
  table: FlowTable;
  reader: ClassHashReader;
  batch: PacketBatch;
  ids: Int32Array;
  prefixes: number;
}

/** See the module's comment. */
export async function benchFlows(options: FlowsOptions): Promise<FlowsDocument> {
  const startedMs = Date.now();
  const { flows, prefixes: classes, seconds, seed, runs } = options;
  const table = new TableAlone(options);
  const alone = {
    name: TABLE_ALONE,
    missing: null,
    measure: async (round: number) => table.measure(seed + round, seconds / runs / COLUMNS),
  };
  const measured = await measurePoint({ ...options, classes, throttled: 0, queues: 1 }, [alone]);
  const { point, tools } = measured;
  const document = documentOf({
    bench: 'flows',
    measures: 'the flow table with the class hash behind it, alone and in the worker of the core benchmark',
    parameters: { flows, prefixes: classes, seconds, bytesPerFlow: table.bytesPerFlow },
    seed,
    runs,
    points: [point],
    notes: [...CORE_NOTES, 'rte_sched has no flow table: its figure is that of its leaves alone.'],
    tools,
    startedMs,
  });
  const { nsPerPacket, mpps, gcCount, bytesPerClass } = summaryOf(measured, { queues: 1, seconds });
  const { lookupNs, lookupNsBest, hitShare, evictions } = columnOf(point, TABLE_ALONE).figures;
  return {
    ...document,
    flows,
    classes,
    nsPerPacket,
    mpps,
    gcCount,
    bytesPerClass,
    bytesPerFlow: table.bytesPerFlow,
    lookupNs: lookupNs!.median,
    lookupNsBest: lookupNsBest!.min,
    nsPerNewFlow: table.nsPerNewFlow,
    hitShare: hitShare!.median,
    evictions: evictions!.max,
    classHashBytes: table.classHashBytes,
    fillHash: table.fillHash,
  };
}

/** The table, filled with all flows. */
class TableAlone {
  readonly nsPerNewFlow: number;
  readonly fillHash: number;
  readonly classHashBytes: number;
  readonly bytesPerFlow: number;
  private readonly bench: Bench;
  private readonly flows: number;

  constructor({ flows, prefixes, seed }: FlowsOptions) {
    const writer = new ClassHashWriter({ seed });
    for (let i = 0; i < prefixes; i++) writer.insert(4, [subscriber(i)], 32, i, EPOCH);
    this.flows = flows;
    this.bench = {
      // As much room to spare as the worker of the core bench has.
      table: new FlowTable({ capacityFlows: Math.ceil(1.5 * flows), seed }),
      reader: new ClassHashReader(writer.buffer),
      batch: new PacketBatch(),
      ids: new Int32Array(BATCH_MAX),
      prefixes,
    };
    const startedMs = performance.now();
    let fillHash = 0;
    for (let round = 0; round < FILL_ROUNDS; round++) fillHash = fill(this.bench, flows);
    this.fillHash = fillHash;
    this.nsPerNewFlow = ((performance.now() - startedMs) * 1e6) / flows;
    this.classHashBytes = writer.memoryBytes;
    this.bytesPerFlow = this.bench.table.memoryBytes / flows;
  }

  /** One run of look-ups, after a warm-up of a fifth of its time. */
  measure(seed: number, seconds: number): Figures {
    const { bench, flows } = this;
    const { counters } = bench.table;
    run(bench, flows, -seed, 0.2 * seconds);
    const hitsBefore = counters[FlowCounter.HITS]!;
    const missesBefore = counters[FlowCounter.MISSES]!;
    const steady = run(bench, flows, seed, seconds);
    const hits = counters[FlowCounter.HITS]! - hitsBefore;
    const misses = counters[FlowCounter.MISSES]! - missesBefore;
    return {
      lookupNs: (steady.lookupMs * 1e6) / steady.packets,
      lookupNsBest: steady.bestNs,
      hitShare: hits / (hits + misses),
      evictions: counters[FlowCounter.EVICTIONS]!,
    };
  }
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
