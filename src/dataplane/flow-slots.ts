/**
 * The slots of a flow table for one address family: exact keys in blocks of `BLOCK_SLOTS`, and as many
 * blocks as the flows need.
 *
 * An entry is 8 words (IPv4) or 16 words (IPv6), so that it never straddles a cache line:
 *
 *   word  0      1      2      3          4 …7          8 …13        14 15
 *        meta   class  epoch  last seen   key 0 …3      key 4 …9     unused
 *                             (ms)        both families  IPv6 only
 *
 *   meta  31                 8 7      1  0
 *        |      egress        |  port  | 1 |      0 means the slot is EMPTY
 *
 * Where a key is looked for: the hash names a block and a home slot in it, and probe i looks at
 * `home ^ i`. So all probes stay inside one block (2 or 4 KB), the first two IPv4 probes share a
 * cache line, and the first four share a pair of lines. A search ends at an EMPTY slot, and a slot
 * never becomes EMPTY again except when its whole block is laid out anew.
 *
 * Growth is linear hashing (W. Litwin, VLDB 1980): the address space of the largest table is reserved at
 * once and costs nothing until it is touched; only the first `activeBlocks` are in use. Above `GROW_LOAD`
 * every 16th insertion sweeps dead entries out of one block or, where it finds few, splits a block into
 * itself and the next unused one. So memory and page-table reach follow the number of live flows in steps
 * of one block, misses stay short under churn, and no packet waits for a rehash.
 *
 *   block 0 … s-1  s … 2^k-1   2^k … activeBlocks-1   …  maxBlocks-1
 *        [ split ][ not yet   ][ made by splits      ][ reserved, untouched ]
 */
import type { FlowHash } from './flow-hash.js';

export const FLOW_HITS = 0;
export const FLOW_MISSES = 1;
export const FLOW_INSERTS = 2;
export const FLOW_EVICTIONS = 3;
export const FLOW_EXPIRED = 4;
export const FLOW_STALE = 5;
export const FLOW_COUNTERS = 6;

export const ENTRY_META = 0;
export const ENTRY_CLASS = 1;
export const ENTRY_EPOCH = 2;
export const ENTRY_SEEN_MS = 3;
export const ENTRY_KEY = 4;

export const META_EGRESS_SHIFT = 8;
export const EGRESS_MAX = 0x7fffff;
export const PORT_MAX = 0x7f;
const META_USED = 1;
const META_IDENTITY = 0xff;

const BLOCK_SHIFT = 6;
export const BLOCK_SLOTS = 1 << BLOCK_SHIFT;
const FIRST_BLOCKS = 16;
/** Towards the end of a doubling, the blocks not yet split are twice as full as the mean. */
const GROW_LOAD = 1 / 3;
/** A split makes room for 21 entries at that load, so one in 16 insertions is often enough. A power of two. */
const PUTS_PER_SWEEP = 16;
/**
 * Valid entries that make a block one of a table that must grow: fewer than just split blocks have then
 * (14 ± 4), more than blocks have that churn has filled with dead entries.
 */
const GROW_VALID = 10;
/** Dead entries that are worth laying a block out anew. */
const SWEEP_DEAD = 4;
/**
 * glibc maps large zeroed blocks page-aligned and puts 16 bytes of its own first. Skipping 48 bytes makes
 * entries begin at cache lines there; elsewhere it does no harm.
 */
const ALIGN_BYTES = 48;

/** What a search in one cache line ends with when it does not find the key. */
export const FIND_MISS = -1;
export const FIND_ON = -2;

/** The part of an entry's first word that belongs to its identity. */
export function metaOfPort(port: number): number {
  return META_USED | (port << 1);
}

export class FlowSlots {
  readonly words: Int32Array;
  readonly entryShift: number;
  readonly keyWords: number;
  /** Entries that share a cache line. */
  readonly lineSlots: number;
  private readonly wide: boolean;
  private readonly hash: FlowHash;
  private readonly idleTimeoutMs: number;
  private readonly counters: Float64Array;
  private readonly maxBlocks: number;
  private readonly moved: Int32Array;
  private activeBlocks: number;
  private lowMask: number;
  private highMask: number;
  private usedSlots = 0;
  private sweepAtSlots: number;
  private putsAbove = 0;

  /** `maxSlots`: a power of two, at least `BLOCK_SLOTS`. `keyWords`: 4 (IPv4) or 10 (IPv6). */
  constructor(
    maxSlots: number,
    keyWords: 4 | 10,
    hash: FlowHash,
    idleTimeoutMs: number,
    counters: Float64Array,
  ) {
    this.keyWords = keyWords;
    this.wide = keyWords > 4;
    this.entryShift = this.wide ? 4 : 3;
    this.lineSlots = this.wide ? 1 : 2;
    this.hash = hash;
    this.idleTimeoutMs = idleTimeoutMs;
    this.counters = counters;
    this.maxBlocks = maxSlots >>> BLOCK_SHIFT;
    this.activeBlocks = Math.min(FIRST_BLOCKS, this.maxBlocks);
    this.lowMask = this.highMask = this.activeBlocks - 1;
    this.sweepAtSlots = Math.floor(this.activeBlocks * BLOCK_SLOTS * GROW_LOAD);
    const wordCount = maxSlots << this.entryShift;
    this.words = new Int32Array(new ArrayBuffer(ALIGN_BYTES + wordCount * 4), ALIGN_BYTES, wordCount);
    this.moved = new Int32Array(BLOCK_SLOTS << this.entryShift);
  }

  /** Slots that hold an entry, valid or not. */
  get used(): number {
    return this.usedSlots;
  }

  /** Bytes of the table in use; the rest is reserved address space. */
  get activeBytes(): number {
    return this.activeBlocks << (BLOCK_SHIFT + this.entryShift + 2);
  }

  /** The slot where the search for a key of this hash begins. */
  homeOf(hash: number): number {
    let block = (hash >>> BLOCK_SHIFT) & this.highMask;
    if (block >= this.activeBlocks) block &= this.lowMask;
    return (block << BLOCK_SHIFT) | (hash & (BLOCK_SLOTS - 1));
  }

  /**
   * Word offset of the entry with exactly this key, valid or not, if it lies in the cache line of probe
   * `probe` (a multiple of `lineSlots`); `FIND_MISS` if the table has none, `FIND_ON` if it may lie in a
   * later line.
   */
  findInLine(key: Int32Array, base: number, home: number, meta: number, probe: number): number {
    const words = this.words;
    const shift = this.entryShift;
    const end = probe + this.lineSlots;
    for (let p = probe; p < end; p++) {
      const at = (home ^ p) << shift;
      const found = words[at]!;
      if ((found & META_IDENTITY) === meta && this.sameKey(key, base, at + ENTRY_KEY)) return at;
      if (found === 0) return FIND_MISS;
    }
    return end < BLOCK_SLOTS ? FIND_ON : FIND_MISS;
  }

  /** An entry that a look-up at this epoch and time would not accept. */
  isDead(at: number, flowEpoch: number, nowMs: number): boolean {
    const words = this.words;
    // Unsigned, so that the difference is right across the wrap of the millisecond clock.
    return (
      words[at + ENTRY_EPOCH] !== flowEpoch || (nowMs - words[at + ENTRY_SEEN_MS]!) >>> 0 > this.idleTimeoutMs
    );
  }

  /**
   * Writes an entry: over the same key, else over the first dead entry met, else into the empty slot that
   * ends the search, else over the least recently seen of the block. Dead entries go before empty slots
   * because this keeps searches short and the table from filling up with what nobody asks for.
   */
  put(
    key: Int32Array,
    base: number,
    hash: number,
    meta: number,
    flowEpoch: number,
    nowMs: number,
    classIndex: number,
    egressPort: number,
  ): void {
    if (this.usedSlots >= this.sweepAtSlots && (++this.putsAbove & (PUTS_PER_SWEEP - 1)) === 0) {
      // The block of this key: it is in the caches in a moment anyway, and as random as any.
      this.sweepOrGrow(this.homeOf(hash) >>> BLOCK_SHIFT, flowEpoch, nowMs);
    }
    const at = this.choose(key, base, this.homeOf(hash), meta, flowEpoch, nowMs);
    const words = this.words;
    if (words[at] === 0) this.usedSlots++;
    words[at] = meta | (egressPort << META_EGRESS_SHIFT);
    words[at + ENTRY_CLASS] = classIndex;
    words[at + ENTRY_EPOCH] = flowEpoch;
    words[at + ENTRY_SEEN_MS] = nowMs;
    for (let i = 0; i < this.keyWords; i++) words[at + ENTRY_KEY + i] = key[base + i]!;
    this.counters[FLOW_INSERTS]! += 1;
  }

  private sameKey(key: Int32Array, base: number, at: number): boolean {
    const words = this.words;
    if (
      words[at] !== key[base] ||
      words[at + 1] !== key[base + 1] ||
      words[at + 2] !== key[base + 2] ||
      words[at + 3] !== key[base + 3]
    ) {
      return false;
    }
    if (!this.wide) return true;
    return (
      words[at + 4] === key[base + 4] &&
      words[at + 5] === key[base + 5] &&
      words[at + 6] === key[base + 6] &&
      words[at + 7] === key[base + 7] &&
      words[at + 8] === key[base + 8] &&
      words[at + 9] === key[base + 9]
    );
  }

  private choose(
    key: Int32Array,
    base: number,
    home: number,
    meta: number,
    flowEpoch: number,
    nowMs: number,
  ): number {
    const words = this.words;
    const shift = this.entryShift;
    let deadAt = -1;
    let oldestAt = -1;
    let oldestAgeMs = -1;
    for (let probe = 0; probe < BLOCK_SLOTS; probe++) {
      const at = (home ^ probe) << shift;
      const found = words[at]!;
      if (found === 0) return deadAt < 0 ? at : deadAt;
      if ((found & META_IDENTITY) === meta && this.sameKey(key, base, at + ENTRY_KEY)) return at;
      if (deadAt >= 0) continue;
      if (this.isDead(at, flowEpoch, nowMs)) deadAt = at;
      const ageMs = (nowMs - words[at + ENTRY_SEEN_MS]!) >>> 0;
      if (ageMs > oldestAgeMs) {
        oldestAgeMs = ageMs;
        oldestAt = at;
      }
    }
    if (deadAt >= 0) return deadAt;
    this.counters[FLOW_EVICTIONS]! += 1;
    return oldestAt;
  }

  /** Takes a block for a sample: the table grows if valid entries fill it, and is swept if dead ones do. */
  private sweepOrGrow(block: number, flowEpoch: number, nowMs: number): void {
    const first = block << BLOCK_SHIFT;
    let dead = 0;
    let valid = 0;
    for (let slot = first; slot < first + BLOCK_SLOTS; slot++) {
      const at = slot << this.entryShift;
      if (this.words[at] === 0) continue;
      if (this.isDead(at, flowEpoch, nowMs)) dead++;
      else valid++;
    }
    if (valid >= GROW_VALID && valid > 2 * dead && this.activeBlocks < this.maxBlocks) {
      this.split(flowEpoch, nowMs);
    } else if (dead >= SWEEP_DEAD) {
      this.layOut(block, flowEpoch, nowMs);
    }
  }

  private split(flowEpoch: number, nowMs: number): void {
    if (this.activeBlocks > this.highMask) {
      this.lowMask = this.highMask;
      this.highMask = (this.highMask << 1) | 1;
    }
    const block = this.activeBlocks & this.lowMask;
    this.activeBlocks++;
    this.sweepAtSlots = Math.floor(this.activeBlocks * BLOCK_SLOTS * GROW_LOAD);
    this.layOut(block, flowEpoch, nowMs);
  }

  /** Empties a block and puts its valid entries back, each into the block that is now its own. */
  private layOut(block: number, flowEpoch: number, nowMs: number): void {
    const words = this.words;
    const moved = this.moved;
    const entryWords = 1 << this.entryShift;
    const from = block << (BLOCK_SHIFT + this.entryShift);
    const end = from + (BLOCK_SLOTS << this.entryShift);
    let movedWords = 0;
    for (let at = from; at < end; at += entryWords) {
      if (words[at] === 0) continue;
      this.usedSlots--;
      if (this.isDead(at, flowEpoch, nowMs)) continue;
      for (let i = 0; i < entryWords; i++) moved[movedWords + i] = words[at + i]!;
      movedWords += entryWords;
    }
    words.fill(0, from, end);
    for (let at = 0; at < movedWords; at += entryWords) this.putBack(at);
  }

  private putBack(from: number): void {
    const words = this.words;
    const moved = this.moved;
    const shift = this.entryShift;
    const port = (moved[from]! & META_IDENTITY) >> 1;
    const home = this.homeOf(this.hash.of(moved, from + ENTRY_KEY, this.keyWords, port));
    let probe = 0;
    while (words[(home ^ probe) << shift] !== 0) probe++;
    const to = (home ^ probe) << shift;
    for (let i = 0; i < 1 << shift; i++) words[to + i] = moved[from + i]!;
    this.usedSlots++;
  }
}
