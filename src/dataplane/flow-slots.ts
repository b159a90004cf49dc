/**
 * The slots of a flow table for one address family: layout, search, insertion and growth. What every packet goes
 * through is in `flow-table.ts`; the code here is for new flows and for searches that go beyond two slots.
 *
 * An entry is 8 words (IPv4) or 16 words (IPv6), so that it never straddles a cache line:
 *
 *   word  0      1      2      3          4 …7          8 …13        14 15
 *        meta   class  epoch  last seen   key 0 …3      key 4 …9     unused
 *                             (ms)        both families  IPv6 only
 *
 *   meta  31      24 23         9  8  7      1  0
 *        |  egress  |  hash tag  | v6 |  port  | 1 |      0 means the slot is EMPTY
 *
 * The hash names a block of 64 slots and a home slot in it; probe i of a search looks at `home ^ i`. So a search
 * stays in one block (2 or 4 KB), and the first two IPv4 probes share a cache line. It ends at an EMPTY slot, which
 * is sound because no slot becomes EMPTY again: insertions overwrite dead entries, and that is all the sweeping.
 *
 * The address space of the largest table is reserved at once and costs nothing until it is touched. A table begins
 * with `base` blocks and doubles until it has `base << n`, as many as its capacity needs:
 *
 *   slot  =  (low bits of the hash & mask) · base · 64  +  (high bits of the hash, scaled to 0 … base·64 - 1)
 *
 * A doubling only adds a bit to the mask and moves nothing: half of the entries are where the longer mask has them
 * looked for. The others are misplaced, which their tag tells, and as good as dead. A flow that is lost so costs one
 * more look-up in the class hash; to move entries would take as much code again, and some packet would wait for it.
 */
export const enum Entry {
  META = 0,
  CLASS = 1,
  EPOCH = 2,
  SEEN_MS = 3,
  KEY = 4,
}

/** log2 of an entry's words, and words of a key. */
export const enum Ipv4 {
  SHIFT = 3,
  KEY_WORDS = 4,
}

export const enum Ipv6 {
  SHIFT = 4,
  KEY_WORDS = 10,
}

export const enum Meta {
  USED = 1 << 0,
  PORT_SHIFT = 1,
  IPV6 = 1 << 8,
  /** Bits 0 … 14 of the hash: those that the mask selects from, and some that have no say in the slot. */
  TAG_SHIFT = 9,
  TAG_MASK = 0xfffe00,
  /** The identity of an entry, that is all but egress: what must agree before the key is worth a look. */
  IDENTITY_MASK = 0xffffff,
  /** What a packet without a key asks for: no entry has it, nor has an EMPTY slot. */
  NONE = 1 << TAG_SHIFT,
  EGRESS_SHIFT = 24,
}

export const enum Block {
  SHIFT = 6,
  SLOTS = 1 << SHIFT,
  /** A table begins with fewer blocks than this; a larger one with at least half of it. */
  BASE_BOUND = 256,
  /** Bits of the hash below this are for the mask, those above it are scaled; 20,000,000 flows need 11. */
  MASK_BITS = 11,
  /** A hash without its low bits times `base`, shifted by this, is block and slot of one part of the table. */
  SCALE_SHIFT = 32 - MASK_BITS - SHIFT,
}

export const enum FlowCounter {
  HITS = 0,
  MISSES = 1,
  INSERTS = 2,
  /** Valid entries overwritten because their block was full. */
  EVICTIONS = 3,
  /** Misses that met an entry of their key, but one that had idled out or was of another epoch. */
  EXPIRED = 4,
  STALE = 5,
  COUNT = 6,
}

/** At this load fewer than 1 in 1,000 insertions meets a full block, and an IPv4 flow takes 46 bytes. */
const CAPACITY_LOAD = 0.7;
/** A table that can grow does so at this load; then it is at half of it. */
const GROW_LOAD = 0.5;
/** Insertions between two decisions on growth: the estimate is right to ± 1.6 %. */
const SAMPLE_INSERTS = 1024;

export interface FlowMemory {
  /** The entries of both families. */
  readonly words: Int32Array;
  readonly counters: Float64Array;
  readonly idleTimeoutMs: number;
}

/** How many slots the largest table for `capacityFlows` flows of a family has. */
export function slotsMax(capacityFlows: number): number {
  const { base, doublings } = blocksFor(capacityFlows);
  return (base << doublings) << Block.SHIFT;
}

function blocksFor(capacityFlows: number): { base: number; doublings: number } {
  const blocks = Math.ceil(capacityFlows / CAPACITY_LOAD / Block.SLOTS);
  let doublings = 0;
  while (Math.ceil(blocks / 2 ** doublings) >= Block.BASE_BOUND) doublings++;
  return { base: Math.ceil(blocks / 2 ** doublings), doublings };
}

export class FlowSlots {
  /** Word offset of the first block; a multiple of the block's size. */
  readonly firstWord: number;
  readonly base: number;
  private readonly words: Int32Array;
  private readonly counters: Float64Array;
  private readonly idleTimeoutMs: number;
  private readonly entryShift: number;
  private readonly keyWords: number;
  private readonly maskMax: number;
  private factorMask = 0;
  private usedSlots = 0;
  private sampled = 0;
  private sampledValid = 0;

  /** `entryShift`: log2 of an entry's words. The table has `slotsMax(capacityFlows)` entries from `firstWord` on. */
  constructor(
    memory: FlowMemory,
    capacityFlows: number,
    entryShift: number,
    keyWords: number,
    firstWord: number,
  ) {
    this.words = memory.words;
    this.counters = memory.counters;
    this.idleTimeoutMs = memory.idleTimeoutMs;
    this.entryShift = entryShift;
    this.keyWords = keyWords;
    this.firstWord = firstWord;
    const { base, doublings } = blocksFor(capacityFlows);
    this.base = base;
    this.maskMax = 2 ** doublings - 1;
  }

  /** Slots that hold an entry, valid or not. */
  get used(): number {
    return this.usedSlots;
  }

  /** The factor by which the table has grown, less one: which of the hash's low bits count. */
  get mask(): number {
    return this.factorMask;
  }

  /** Bytes of the blocks in use; the rest of the table has never been touched. */
  get activeBytes(): number {
    return (this.base * (this.factorMask + 1)) << (Block.SHIFT + this.entryShift + 2);
  }

  /** Word offset of the slot where the search for a key of this hash begins. The hash pass has the same inline. */
  homeOf(hash: number): number {
    const { base, factorMask, firstWord, entryShift } = this;
    const inPart = Math.imul(hash >>> Block.MASK_BITS, base) >>> Block.SCALE_SHIFT;
    return firstWord + ((Math.imul(hash & factorMask, base << Block.SHIFT) + inPart) << entryShift);
  }

  /** Word offset of the entry with exactly this key, valid or not; -1 if there is none. */
  find(key: Int32Array, keyAt: number, home: number, identity: number): number {
    const words = this.words;
    const shift = this.entryShift;
    for (let probe = 0; probe < Block.SLOTS; probe++) {
      const at = home ^ (probe << shift);
      const meta = words[at]!;
      if (meta === 0) return -1;
      if ((meta & Meta.IDENTITY_MASK) === identity && this.sameKey(at, key, keyAt)) return at;
    }
    return -1;
  }

  /** Whether a look-up at this epoch and time would accept the entry at word offset `at`. */
  isValid(at: number, flowEpoch: number, nowMs: number): boolean {
    const words = this.words;
    if (words[at] === 0 || words[at + Entry.EPOCH] !== flowEpoch) return false;
    // Unsigned, so that the difference is right across the wrap of the millisecond clock.
    return (nowMs - words[at + Entry.SEEN_MS]!) >>> 0 <= this.idleTimeoutMs;
  }

  /** Writes an entry; `identity` is the part of its meta word that a search compares. */
  put(
    key: Int32Array,
    keyAt: number,
    hash: number,
    identity: number,
    flowEpoch: number,
    nowMs: number,
    classIndex: number,
    egressPort: number,
  ): void {
    const words = this.words;
    const home = this.homeOf(hash);
    const homeIsValid = !this.isMisplaced(home, identity) && this.isValid(home, flowEpoch, nowMs);
    const at = this.choose(key, keyAt, home, identity, flowEpoch, nowMs);
    if (words[at] === 0) this.usedSlots++;
    words[at] = identity | (egressPort << Meta.EGRESS_SHIFT);
    words[at + Entry.CLASS] = classIndex;
    words[at + Entry.EPOCH] = flowEpoch;
    words[at + Entry.SEEN_MS] = nowMs;
    for (let i = 0; i < this.keyWords; i++) words[at + Entry.KEY + i] = key[keyAt + i]!;
    this.counters[FlowCounter.INSERTS]! += 1;
    this.sample(homeIsValid);
  }

  private sameKey(at: number, key: Int32Array, keyAt: number): boolean {
    const words = this.words;
    for (let i = 0; i < this.keyWords; i++) {
      if (words[at + Entry.KEY + i] !== key[keyAt + i]) return false;
    }
    return true;
  }

  /** All entries that belong in a block have the bits of the hash that the mask selects in common. */
  private isMisplaced(at: number, identity: number): boolean {
    return ((this.words[at]! ^ identity) & (this.factorMask << Meta.TAG_SHIFT)) !== 0;
  }

  /**
   * Where an entry is written: over the same key, else over the first dead entry met, else into the EMPTY slot that
   * ends the search, else over the least recently seen of the block. Dead entries go before EMPTY slots because
   * this keeps searches short and the table from filling up with what nobody asks for.
   */
  private choose(
    key: Int32Array,
    keyAt: number,
    home: number,
    identity: number,
    flowEpoch: number,
    nowMs: number,
  ): number {
    const words = this.words;
    let deadAt = -1;
    let oldestAt = home;
    let oldestAgeMs = -1;
    for (let probe = 0; probe < Block.SLOTS; probe++) {
      const at = home ^ (probe << this.entryShift);
      const meta = words[at]!;
      if (meta === 0) return deadAt < 0 ? at : deadAt;
      if ((meta & Meta.IDENTITY_MASK) === identity && this.sameKey(at, key, keyAt)) return at;
      if (deadAt >= 0) continue;
      if (this.isMisplaced(at, identity) || !this.isValid(at, flowEpoch, nowMs)) deadAt = at;
      const ageMs = (nowMs - words[at + Entry.SEEN_MS]!) >>> 0;
      if (ageMs > oldestAgeMs) {
        oldestAgeMs = ageMs;
        oldestAt = at;
      }
    }
    if (deadAt >= 0) return deadAt;
    this.counters[FlowCounter.EVICTIONS]! += 1;
    return oldestAt;
  }

  /** Home slots are a random sample of all slots, so the share of valid ones among them estimates the load. */
  private sample(homeIsValid: boolean): void {
    if (homeIsValid) this.sampledValid++;
    if (++this.sampled < SAMPLE_INSERTS) return;
    if (this.sampledValid > SAMPLE_INSERTS * GROW_LOAD && this.factorMask < this.maskMax) {
      this.factorMask = (this.factorMask << 1) | 1;
    }
    this.sampled = this.sampledValid = 0;
  }
}
