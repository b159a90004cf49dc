/**
 * The flow table of one worker: 5-tuple, VLAN tags and port of arrival → class and egress port.
 *
 * It is a bounded cache with exact keys. An entry counts only in the epoch it was made in and until it has
 * idled for the time-out; so a change of classes or of a port's state needs no sweep, the caller
 * just hands down another epoch. What a miss costs is one look-up in the class hash.
 *
 * A batch is looked up in passes, because a table of millions of flows lies in DRAM: the first pass
 * hashes all keys, the second touches the home slot of each in a loop so tight that the processor has many
 * of the cache misses under way at once, the third compares. Searches that do not end in their first cache
 * line are taken through the second and third pass again, line by line, so that these misses overlap too.
 */
import { usageError } from '../errors.js';
import {
  BATCH_MAX,
  CLASS_MISS,
  CLASS_NONE,
  KEY_WORDS_SHIFT,
  KIND_IPV4,
  KIND_IPV6,
  KIND_UNKNOWN,
  type PacketBatch,
} from './batch.js';
import { FlowHash } from './flow-hash.js';
import {
  BLOCK_SLOTS,
  EGRESS_MAX,
  ENTRY_CLASS,
  ENTRY_EPOCH,
  ENTRY_META,
  ENTRY_SEEN_MS,
  FIND_MISS,
  FIND_ON,
  FLOW_COUNTERS,
  FLOW_EXPIRED,
  FLOW_HITS,
  FLOW_MISSES,
  FLOW_STALE,
  FlowSlots,
  META_EGRESS_SHIFT,
  metaOfPort,
} from './flow-slots.js';

export {
  FLOW_COUNTERS,
  FLOW_EVICTIONS,
  FLOW_EXPIRED,
  FLOW_HITS,
  FLOW_INSERTS,
  FLOW_MISSES,
  FLOW_STALE,
} from './flow-slots.js';

export const FLOW_IDLE_TIMEOUT_MS = 30_000;
/** An entry's last-seen word is written at most this often, so that hits leave cache lines clean. */
export const FLOW_REFRESH_MS = 1_000;
/** At this load fewer than 1 in 1,000 insertions meets a full block. */
const CAPACITY_LOAD = 0.625;
/** Word offsets of the largest IPv6 table must stay far inside an int32. */
const MAX_SLOTS = 1 << 25;

export interface FlowTableOptions {
  /** Concurrent flows of one family that fit with negligible eviction, at most 20,971,520. */
  capacityFlows: number;
  idleTimeoutMs?: number;
  seed: number;
}

export class FlowTable {
  /** hits, misses, inserts, evictions, expired, stale: see the `FLOW_…` indices. Written by the worker. */
  readonly counters = new Float64Array(FLOW_COUNTERS);
  private readonly hash: FlowHash;
  private readonly slots4: FlowSlots;
  private readonly slots6: FlowSlots;
  private readonly idleTimeoutMs: number;
  private readonly refreshMs: number;
  // Batch slots of the packets of either family, and the home slots of the family being looked up.
  private readonly members4 = new Int32Array(BATCH_MAX);
  private readonly members6 = new Int32Array(BATCH_MAX);
  private readonly home = new Int32Array(BATCH_MAX);
  private touched = 0;

  /** Throws `E_FLOW_CAPACITY` or `E_FLOW_TIMEOUT` when an option is out of range. */
  constructor(options: FlowTableOptions) {
    const { capacityFlows, seed } = options;
    const idleTimeoutMs = options.idleTimeoutMs ?? FLOW_IDLE_TIMEOUT_MS;
    if (!(capacityFlows >= 1 && capacityFlows <= MAX_SLOTS * CAPACITY_LOAD)) {
      throw usageError(
        'E_FLOW_CAPACITY',
        `capacityFlows: ${capacityFlows} is not in 1…${MAX_SLOTS * CAPACITY_LOAD}`,
      );
    }
    if (!(idleTimeoutMs >= 1 && idleTimeoutMs <= 0x7fffffff)) {
      throw usageError('E_FLOW_TIMEOUT', `idleTimeoutMs: ${idleTimeoutMs} is not in 1…${0x7fffffff}`);
    }
    const maxSlots = Math.max(BLOCK_SLOTS, 2 ** Math.ceil(Math.log2(capacityFlows / CAPACITY_LOAD)));
    this.idleTimeoutMs = idleTimeoutMs;
    this.refreshMs = Math.min(FLOW_REFRESH_MS, idleTimeoutMs >>> 3);
    this.hash = new FlowHash(seed);
    this.slots4 = new FlowSlots(maxSlots, 4, this.hash, idleTimeoutMs, this.counters);
    this.slots6 = new FlowSlots(maxSlots, 10, this.hash, idleTimeoutMs, this.counters);
  }

  /** Entries held, valid or not. */
  get size(): number {
    return this.slots4.used + this.slots6.used;
  }

  /** Bytes of memory in use; what is reserved beyond has never been touched. */
  get memoryBytes(): number {
    return this.slots4.activeBytes + this.slots6.activeBytes;
  }

  /**
   * Sets `hash`, `classIndex` and `egress` of slots 0…count-1: what a valid entry says, else `CLASS_MISS`
   * (a packet of unknown kind gets `CLASS_NONE`) and egress -1.
   *
   * `port`: side the packets came in by, 0…127. `flowEpoch`: int32; only entries made in it count.
   * `nowMs`: int32 that may wrap.
   */
  lookupBatch(batch: PacketBatch, count: number, port: number, flowEpoch: number, nowMs: number): void {
    const { kind, classIndex, egress } = batch;
    const { members4, members6 } = this;
    let count4 = 0;
    let count6 = 0;
    for (let i = 0; i < count; i++) {
      egress[i] = -1;
      classIndex[i] = kind[i] === KIND_UNKNOWN ? CLASS_NONE : CLASS_MISS;
      if (kind[i] === KIND_IPV4) members4[count4++] = i;
      else if (kind[i] === KIND_IPV6) members6[count6++] = i;
      else batch.hash[i] = 0;
    }
    if (count4 > 0) this.lookupFamily(this.slots4, batch, members4, count4, port, flowEpoch, nowMs);
    if (count6 > 0) this.lookupFamily(this.slots6, batch, members6, count6, port, flowEpoch, nowMs);
  }

  /**
   * Remembers class (≥ -1) and egress port (0…8,388,607) of slot `slot` of the batch that `lookupBatch`
   * has seen last, so that `batch.hash` is still its hash. Packets of unknown kind are not remembered.
   */
  insert(
    batch: PacketBatch,
    slot: number,
    port: number,
    flowEpoch: number,
    nowMs: number,
    classIndex: number,
    egressPort: number,
  ): void {
    const kind = batch.kind[slot]!;
    if (kind === KIND_UNKNOWN) return;
    const slots = kind === KIND_IPV6 ? this.slots6 : this.slots4;
    const base = slot << KEY_WORDS_SHIFT;
    const egress = egressPort & EGRESS_MAX;
    slots.put(batch.key, base, batch.hash[slot]!, metaOfPort(port), flowEpoch, nowMs, classIndex, egress);
  }

  /** All passes over the `count` packets of one family whose batch slots are in `members`. */
  private lookupFamily(
    slots: FlowSlots,
    batch: PacketBatch,
    members: Int32Array,
    count: number,
    port: number,
    flowEpoch: number,
    nowMs: number,
  ): void {
    this.hashPass(slots, batch, members, count, port);
    let left = count;
    for (let probe = 0; left > 0; probe += slots.lineSlots) {
      this.touchPass(slots, left, probe);
      left = this.comparePass(slots, batch, members, left, port, flowEpoch, nowMs, probe);
    }
  }

  private hashPass(
    slots: FlowSlots,
    batch: PacketBatch,
    members: Int32Array,
    count: number,
    port: number,
  ): void {
    const { key, hash: hashes } = batch;
    const { hash, home } = this;
    const keyWords = slots.keyWords;
    for (let n = 0; n < count; n++) {
      const i = members[n]!;
      const h = hash.of(key, i << KEY_WORDS_SHIFT, keyWords, port);
      hashes[i] = h;
      home[n] = slots.homeOf(h);
    }
  }

  /** Loads one word of the cache line that each packet's probe lies in. The sum is kept in a field, so that no compiler drops the loads. */
  private touchPass(slots: FlowSlots, count: number, probe: number): void {
    const home = this.home;
    const words = slots.words;
    const shift = slots.entryShift;
    let sum = 0;
    for (let n = 0; n < count; n++) sum = (sum + words[(home[n]! ^ probe) << shift]!) | 0;
    this.touched = (this.touched + sum) | 0;
  }

  /**
   * Compares one cache line of each packet, from probe `probe` on. Packets whose search goes on in another
   * line are moved to the front of `members` and `home`; returns how many they are.
   */
  private comparePass(
    slots: FlowSlots,
    batch: PacketBatch,
    members: Int32Array,
    count: number,
    port: number,
    flowEpoch: number,
    nowMs: number,
    probe: number,
  ): number {
    const { key, classIndex, egress } = batch;
    const { home, counters, idleTimeoutMs, refreshMs } = this;
    const words = slots.words;
    const meta = metaOfPort(port);
    let hits = 0;
    let misses = 0;
    let left = 0;
    for (let n = 0; n < count; n++) {
      const i = members[n]!;
      const at = slots.findInLine(key, i << KEY_WORDS_SHIFT, home[n]!, meta, probe);
      if (at === FIND_ON) {
        members[left] = i;
        home[left++] = home[n]!;
        continue;
      }
      if (at === FIND_MISS) {
        misses++;
        continue;
      }
      const ageMs = (nowMs - words[at + ENTRY_SEEN_MS]!) >>> 0;
      if (words[at + ENTRY_EPOCH] !== flowEpoch || ageMs > idleTimeoutMs) {
        misses++;
        counters[words[at + ENTRY_EPOCH] !== flowEpoch ? FLOW_STALE : FLOW_EXPIRED]! += 1;
        continue;
      }
      if (ageMs > refreshMs) words[at + ENTRY_SEEN_MS] = nowMs;
      classIndex[i] = words[at + ENTRY_CLASS]!;
      egress[i] = words[at + ENTRY_META]! >>> META_EGRESS_SHIFT;
      hits++;
    }
    counters[FLOW_HITS]! += hits;
    counters[FLOW_MISSES]! += misses;
    return left;
  }
}
