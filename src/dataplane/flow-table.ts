/**
 * The flow table of one worker: 5-tuple, VLAN tags and port of arrival → class and egress port.
 *
 * It is a bounded cache with exact keys. An entry counts only in the epoch it was made in and until it has idled for
 * the time-out; so a change of classes or of a port's state needs no sweep, the caller just hands down another
 * epoch. A lost entry costs one look-up in the class hash and nothing else.
 *
 * A batch is looked up in passes, because a table of millions of flows lies in DRAM. The first hashes all keys. The
 * second loads a word of every home slot in a loop so tight that the processor has many of the cache misses under
 * way at once. The third compares; what is not in the first two slots of its search is left to `FlowSlots`.
 */
import { usageError } from '../errors.js';
import type { PacketBatch } from './batch.js';
import * as batchLayout from './batch.js';
import { Block, Entry, FlowCounter, FlowSlots, Ipv4, Ipv6, Meta, slotsMax } from './flow-slots.js';

export { FlowCounter } from './flow-slots.js';

// Imported constants are looked up at each use; the engine folds a module's own into the code.
const { BATCH_MAX, CLASS_MISS, CLASS_NONE, KEY_WORDS_SHIFT, KIND_IPV4, KIND_IPV6 } = batchLayout;

/** Where in `scratch` the packets that were not found are. */
const REST = 2 * BATCH_MAX;

export const enum FlowLimit {
  IDLE_TIMEOUT_MS = 30_000,
  /** An entry's last-seen word is written at most this often, so that most hits leave cache lines clean. */
  REFRESH_MS = 1_000,
  /** Keeps word offsets far inside an int32 and the mask of the largest table below the home slot's bits. */
  CAPACITY_FLOWS = 20_000_000,
}

/**
 * glibc maps large zeroed blocks page-aligned and puts 16 bytes of its own first. With the rest of the page skipped,
 * entries begin at cache lines and blocks do not straddle pages; elsewhere it does no harm.
 */
const ALIGN_BYTES = 4096 - 16;

export interface FlowTableOptions {
  /** Concurrent flows of one family that fit with negligible eviction: 1 … 20,000,000. */
  capacityFlows: number;
  idleTimeoutMs?: number;
  seed: number;
}

export class FlowTable {
  /** By `FlowCounter`. Written by the worker. */
  readonly counters = new Float64Array(FlowCounter.COUNT);
  readonly words: Int32Array;
  private readonly slots4: FlowSlots;
  private readonly slots6: FlowSlots;
  readonly idleTimeoutMs: number;
  private readonly refreshMs: number;
  private readonly start: number;
  private readonly factorA: number;
  private readonly factorB: number;
  /**
   * Two words of each packet, the word offset of its home slot and the identity of the entry it asks for; behind them
   * the batch slots of the packets that the compare pass did not find. One array, because the loops run out of
   * registers for more.
   */
  private readonly scratch = new Int32Array(3 * BATCH_MAX);
  private touched = 0;

  /** Throws `E_FLOW_CAPACITY` or `E_FLOW_TIMEOUT` when an option is out of range. */
  constructor(options: FlowTableOptions) {
    const { capacityFlows, seed } = options;
    const idleTimeoutMs = options.idleTimeoutMs ?? FlowLimit.IDLE_TIMEOUT_MS;
    checkRange('E_FLOW_CAPACITY', 'capacityFlows', capacityFlows, FlowLimit.CAPACITY_FLOWS);
    checkRange('E_FLOW_TIMEOUT', 'idleTimeoutMs', idleTimeoutMs, 0x7fffffff);
    this.idleTimeoutMs = idleTimeoutMs;
    this.refreshMs = Math.min(FlowLimit.REFRESH_MS, idleTimeoutMs >>> 3);
    this.start = finish(seed ^ 0x3c6ef372);
    this.factorA = finish(seed + 0x1b873593) | 1;
    this.factorB = finish(seed + 0x68e31da4) | 1;
    const slots = slotsMax(capacityFlows);
    const words6 = slots << Ipv6.SHIFT;
    const wordCount = words6 + (slots << Ipv4.SHIFT);
    this.words = new Int32Array(new ArrayBuffer(ALIGN_BYTES + wordCount * 4), ALIGN_BYTES, wordCount);
    // The larger blocks come first, so that those of both families are aligned to their size.
    this.slots6 = new FlowSlots(this, capacityFlows, Ipv6.SHIFT, Ipv6.KEY_WORDS, 0);
    this.slots4 = new FlowSlots(this, capacityFlows, Ipv4.SHIFT, Ipv4.KEY_WORDS, words6);
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
   * Sets `hash`, `classIndex` and `egress` of slots 0…count-1: what a valid entry says, else `CLASS_MISS` (a packet
   * of unknown kind gets `CLASS_NONE`) and egress -1.
   *
   * `port`: side the packets came in by, 0…127. `flowEpoch`: int32; only entries made in it count. `nowMs`: int32
   * that may wrap.
   */
  lookupBatch(batch: PacketBatch, count: number, port: number, flowEpoch: number, nowMs: number): void {
    this.hashBatch(batch, count, port);
    this.touchPass(count);
    const left = this.comparePass(batch, count, flowEpoch, nowMs);
    if (left > 0) this.searchRest(batch, left, flowEpoch, nowMs);
    this.counters[FlowCounter.HITS]! += count - left;
  }

  /**
   * Remembers class (≥ -1) and egress port (0…255) of slot `slot` of the batch that `lookupBatch` has seen last, so
   * that what the hash pass found out about it still holds. Packets of unknown kind are not remembered.
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
    const kind = batch.kind[slot];
    if (kind !== KIND_IPV4 && kind !== KIND_IPV6) return;
    const slots = kind === KIND_IPV6 ? this.slots6 : this.slots4;
    const keyAt = slot << KEY_WORDS_SHIFT;
    const hash = batch.hash[slot]!;
    const identity = identityOf(hash, metaOf(kind, port));
    slots.put(batch.key, keyAt, hash, identity, flowEpoch, nowMs, classIndex, egressPort);
  }

  /**
   * The first pass of a look-up: sets `hash` of slots 0…count-1, and of slots of unknown kind to no meaning.
   *
   * It is a seeded hash of the key words and the port: a multiplication by a secret odd number a word, so that whoever
   * chooses addresses and ports can hardly choose the slot, then the usual shift-and-multiply finaliser. There are
   * two chains, because one alone would wait for its own multiplications most of the time.
   */
  hashBatch(batch: PacketBatch, count: number, port: number): void {
    const { kind, key, hash } = batch;
    const { scratch, slots4, slots6 } = this;
    // With `| 0` the engine knows these for int32; it would test the type of a bare field at every use.
    const start = this.start | 0;
    const factorA = this.factorA | 0;
    const factorB = this.factorB | 0;
    const base = slots4.base | 0;
    const mask = slots4.mask | 0;
    const firstWord = slots4.firstWord | 0;
    const startOdd = start ^ Math.imul(port + 1, 0x9e3779b1);
    const partSlots = base << Block.SHIFT;
    const meta4 = metaOf(KIND_IPV4, port);
    const meta6 = metaOf(KIND_IPV6, port);
    for (let i = 0; i < count; i++) {
      const keyAt = i << KEY_WORDS_SHIFT;
      const kindOf = kind[i]!;
      let even = Math.imul(start ^ key[keyAt]!, factorA);
      let odd = Math.imul(startOdd ^ key[keyAt | 1]!, factorB);
      even = Math.imul(even ^ (even >>> 15) ^ key[keyAt | 2]!, factorB);
      odd = Math.imul(odd ^ (odd >>> 15) ^ key[keyAt | 3]!, factorA);
      if (kindOf === KIND_IPV6) {
        // Written out, because the engine only hoists checks of the arrays out of innermost loops.
        even = Math.imul(even ^ (even >>> 15) ^ key[keyAt | 4]!, factorA);
        odd = Math.imul(odd ^ (odd >>> 15) ^ key[keyAt | 5]!, factorB);
        even = Math.imul(even ^ (even >>> 15) ^ key[keyAt | 6]!, factorA);
        odd = Math.imul(odd ^ (odd >>> 15) ^ key[keyAt | 7]!, factorB);
        even = Math.imul(even ^ (even >>> 15) ^ key[keyAt | 8]!, factorA);
        odd = Math.imul(odd ^ (odd >>> 15) ^ key[keyAt | 9]!, factorB);
      }
      let h = even ^ Math.imul(odd ^ (odd >>> 15), factorA);
      h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
      h = Math.imul(h ^ (h >>> 15), 0x6b84a68b);
      h ^= h >>> 16;
      hash[i] = h;
      const at = i << 1;
      if (kindOf === KIND_IPV4) {
        const inPart = Math.imul(h >>> Block.MASK_BITS, base) >>> Block.SCALE_SHIFT;
        scratch[at] = (firstWord + ((Math.imul(h & mask, partSlots) + inPart) << Ipv4.SHIFT)) | 0;
        scratch[at | 1] = ((h << Meta.TAG_SHIFT) & Meta.TAG_MASK) | meta4;
      } else {
        scratch[at] = slots6.homeOf(h);
        scratch[at | 1] = kindOf === KIND_IPV6 ? identityOf(h, meta6) : Meta.NONE;
      }
    }
  }

  /** Loads one word of each home slot. The sum is kept in a field, so that no compiler drops the loads. */
  private touchPass(count: number): void {
    const { scratch, words } = this;
    let sum = 0;
    for (let i = 0; i < count; i++) sum = (sum + words[scratch[i << 1]!]!) | 0;
    this.touched = (this.touched + sum) | 0;
  }

  /** Takes what the first two slots of each search give; leaves the other packets in `rest`, returns how many. */
  private comparePass(batch: PacketBatch, count: number, flowEpoch: number, nowMs: number): number {
    const { key, classIndex, egress } = batch;
    const { words, scratch } = this;
    const idleTimeoutMs = this.idleTimeoutMs >>> 0;
    const refreshMs = this.refreshMs >>> 0;
    const epoch = flowEpoch | 0;
    const now = nowMs | 0;
    const end = count | 0;
    let left = 0;
    for (let i = 0; i < end; i++) {
      let at = scratch[i << 1]!;
      const wanted = scratch[(i << 1) | 1]!;
      let meta = words[at]!;
      // Where the tag is not the wanted one, the next slot is the better guess; in IPv4 it is in the same cache line.
      if ((meta & Meta.IDENTITY_MASK) !== wanted) {
        at ^= (wanted & Meta.IPV6) === 0 ? 1 << Ipv4.SHIFT : 1 << Ipv6.SHIFT;
        meta = words[at]!;
      }
      const keyAt = i << KEY_WORDS_SHIFT;
      // An entry's offset ends in zeros; unlike a sum, `at | 2` cannot overflow and costs no check.
      const ageMs = (now - words[at | Entry.SEEN_MS]!) >>> 0;
      if (
        (meta & Meta.IDENTITY_MASK) !== wanted ||
        words[at | Entry.EPOCH] !== epoch ||
        words[at | 4] !== key[keyAt] ||
        words[at | 5] !== key[keyAt | 1] ||
        words[at | 6] !== key[keyAt | 2] ||
        words[at | 7] !== key[keyAt | 3] ||
        ageMs > idleTimeoutMs ||
        ((wanted & Meta.IPV6) !== 0 && !isSameTail(words, at, key, keyAt))
      ) {
        scratch[REST + left++] = i;
        continue;
      }
      if (ageMs > refreshMs) words[at | Entry.SEEN_MS] = nowMs;
      classIndex[i] = words[at | Entry.CLASS]!;
      egress[i] = meta >>> Meta.EGRESS_SHIFT;
    }
    return left;
  }

  private searchRest(batch: PacketBatch, left: number, flowEpoch: number, nowMs: number): void {
    const { scratch, words } = this;
    let sum = 0;
    // IPv4 searches go on in the neighbouring cache line: these misses are made to overlap as well.
    for (let n = 0; n < left; n++) {
      const home = scratch[scratch[REST + n]! << 1]!;
      sum = (sum + words[home ^ (2 << Ipv4.SHIFT)]!) | 0;
    }
    this.touched = (this.touched + sum) | 0;
    for (let n = 0; n < left; n++) this.search(batch, scratch[REST + n]!, flowEpoch, nowMs);
  }

  /** The whole search for one packet, and all that can come of it. */
  private search(batch: PacketBatch, i: number, flowEpoch: number, nowMs: number): void {
    const { words, counters } = this;
    const kind = batch.kind[i];
    batch.egress[i] = -1;
    batch.classIndex[i] = CLASS_NONE;
    if (kind !== KIND_IPV4 && kind !== KIND_IPV6) return;
    const slots = kind === KIND_IPV6 ? this.slots6 : this.slots4;
    const home = this.scratch[i << 1]!;
    const at = slots.find(batch.key, i << KEY_WORDS_SHIFT, home, this.scratch[(i << 1) | 1]!);
    if (at >= 0 && slots.isValid(at, flowEpoch, nowMs)) {
      if ((nowMs - words[at + Entry.SEEN_MS]!) >>> 0 > this.refreshMs) words[at + Entry.SEEN_MS] = nowMs;
      batch.classIndex[i] = words[at + Entry.CLASS]!;
      batch.egress[i] = words[at]! >>> Meta.EGRESS_SHIFT;
      counters[FlowCounter.HITS]! += 1;
      return;
    }
    batch.classIndex[i] = CLASS_MISS;
    counters[FlowCounter.MISSES]! += 1;
    if (at >= 0) {
      counters[words[at + Entry.EPOCH] === flowEpoch ? FlowCounter.EXPIRED : FlowCounter.STALE]! += 1;
    }
  }
}

function metaOf(kind: number, port: number): number {
  return (kind === KIND_IPV6 ? Meta.IPV6 : 0) | (port << Meta.PORT_SHIFT) | Meta.USED;
}

/** The part of an entry's meta word that a search compares. */
function identityOf(hash: number, meta: number): number {
  return ((hash << Meta.TAG_SHIFT) & Meta.TAG_MASK) | meta;
}

/** Whether the key words that only IPv6 has are the same. */
function isSameTail(words: Int32Array, at: number, key: Int32Array, keyAt: number): boolean {
  return (
    words[at | 8] === key[keyAt | 4] &&
    words[at | 9] === key[keyAt | 5] &&
    words[at | 10] === key[keyAt | 6] &&
    words[at | 11] === key[keyAt | 7] &&
    words[at | 12] === key[keyAt | 8] &&
    words[at | 13] === key[keyAt | 9]
  );
}

function checkRange(code: string, name: string, value: number, max: number): void {
  if (!(value >= 1 && value <= max)) throw usageError(code, `${name}: ${value} is not in 1…${max}`);
}

function finish(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x7feb352d);
  h ^= h >>> 15;
  h = Math.imul(h, 0x846ca68b);
  return h ^ (h >>> 16);
}
