/**
 * The tins of leaves that sort packets by DSCP, with the tables, thresholds and priorities of sch_cake: each tin has flows of
 * its own and a threshold, a part of what the leaf sends. Of the tins that have sent less than that, the last one in order
 * goes first; when all are beyond, the one that is least ahead.
 *
 * sch_cake measures thresholds in time, against the rate it shapes to. A leaf here may get less than its ceil, and then
 * such a threshold could be all there is; so time is what the leaf has sent while it had packets. At the ceil both are
 * the same.
 *
 * A *block* is the word offset of a leaf's tins; 0 is none. A leaf holds one while it has packets.
 */
import { alignedInt32 } from '../../shm/aligned.js';
import { LeafFlag } from '../../shm/tree-layout.js';

export const enum Tin {
  SHIFT = 3,
  STRIDE = 1 << SHIFT,
  MAX = 4,
  BLOCK_WORDS = MAX * STRIDE,

  /** Lists of new and old flows: two words next to each other, as in a class record. */
  NEW_FLOWS = 0,
  OLD_FLOWS = 1,
  BACKLOG_PACKETS = 2,
  /** What the leaf will have sent when the tin is back below its threshold; wrapping bytes. */
  NEXT_AT = 3,
  /** In a block's first tin: what the leaf has sent, and of a free block the next free. */
  CLOCK = 4,
  NEXT_FREE = 5,
}

/** Places of the tins: a later one goes before an earlier one. */
const BEST_EFFORT = 0;
const BULK = 1;
const VIDEO = 2;
const VOICE3 = 2;
const VOICE4 = 3;

/** No tin is further ahead than a packet of 64 kB at the least threshold makes it; beyond is what has wrapped since. */
const AHEAD_MAX_BYTES = 2 ** 20;
/** Nor need one be known to be further behind: all that counts then is that it is. */
const BEHIND_MAX_BYTES = 2 ** 24;

/** Of the thresholds, by place. */
const SHIFTS3 = Uint8Array.of(0, 4, 2, 0);
const SHIFTS4 = Uint8Array.of(0, 4, 1, 2);

/** Which tin a DSCP belongs to; one that is not listed is best effort. */
const TINS3 = tableOf([
  [BULK, [1, 8]],
  [VOICE3, [4, 44, 46, 48, 56]],
]);
const TINS4 = tableOf([
  [BULK, [1, 8]],
  [VIDEO, [4, 16, 18, 20, 22, 24, 26, 28, 30, 34, 36, 38]],
  [VOICE4, [32, 40, 44, 46, 48, 56]],
]);

function tableOf(tins: readonly (readonly [number, readonly number[]])[]): Uint8Array {
  const table = new Uint8Array(64).fill(BEST_EFFORT);
  for (const [tin, dscps] of tins) for (const dscp of dscps) table[dscp] = tin;
  return table;
}

/** The place of the tin of a DSCP, by the leaf's flags. */
export function tinOf(leafFlags: number, dscp: number): number {
  return (leafFlags & LeafFlag.DIFFSERV4) !== 0 ? TINS4[dscp]! : TINS3[dscp]!;
}

/** A tin's threshold is what the leaf sends, shifted right by this. */
export function thresholdShift(leafFlags: number, place: number): number {
  return (leafFlags & LeafFlag.DIFFSERV4) !== 0 ? SHIFTS4[place]! : SHIFTS3[place]!;
}

export class TinPool {
  readonly words: Int32Array;
  #free = 0;
  #top: number = Tin.BLOCK_WORDS;

  /** A block for each packet, for so many leaves can be backlogged. */
  constructor(capacityPackets: number) {
    this.words = alignedInt32((capacityPackets + 1) * Tin.BLOCK_WORDS);
  }

  /** Empty tins that have sent nothing. */
  take(): number {
    let block = this.#free;
    if (block !== 0) this.#free = this.words[block + Tin.NEXT_FREE]!;
    else {
      block = this.#top;
      this.#top += Tin.BLOCK_WORDS;
    }
    this.words.fill(0, block, block + Tin.BLOCK_WORDS);
    return block;
  }

  give(block: number): void {
    this.words[block + Tin.NEXT_FREE] = this.#free;
    this.#free = block;
  }

  /** Counts a packet in. A tin that was empty has no claim from the time before. */
  entered(block: number, tin: number): void {
    const words = this.words;
    if (words[tin + Tin.BACKLOG_PACKETS] === 0) {
      const aheadBytes = this.#aheadBytes(block, tin);
      if (aheadBytes < 0 || aheadBytes > AHEAD_MAX_BYTES)
        words[tin + Tin.NEXT_AT] = words[block + Tin.CLOCK]!;
    }
    words[tin + Tin.BACKLOG_PACKETS]! += 1;
  }

  /** Word offset of the tin that sends next; one of the block's tins has packets. */
  choose(block: number): number {
    let best = 0;
    let bestAheadBytes = 0x7fffffff;
    for (let tin = block; tin < block + Tin.BLOCK_WORDS; tin += Tin.STRIDE) {
      if (this.words[tin + Tin.BACKLOG_PACKETS] === 0) continue;
      const aheadBytes = this.#aheadBytes(block, tin);
      if (aheadBytes > 0 && aheadBytes > bestAheadBytes) continue;
      bestAheadBytes = aheadBytes;
      best = tin;
    }
    return best;
  }

  /** Accounts for a packet that a tin sends. */
  charge(block: number, tin: number, lenBytes: number, leafFlags: number): void {
    const words = this.words;
    const costBytes = lenBytes << thresholdShift(leafFlags, (tin - block) >> Tin.SHIFT);
    const aheadBytes = this.#aheadBytes(block, tin);
    // One behind its threshold is so much less behind; one ahead owes at least this packet from now on.
    if (aheadBytes < 0) {
      const behindBytes = aheadBytes < -BEHIND_MAX_BYTES ? -BEHIND_MAX_BYTES : aheadBytes;
      words[tin + Tin.NEXT_AT] = (words[block + Tin.CLOCK]! + behindBytes + costBytes) | 0;
    } else if (aheadBytes < costBytes) words[tin + Tin.NEXT_AT] = (words[block + Tin.CLOCK]! + costBytes) | 0;
    words[block + Tin.CLOCK] = (words[block + Tin.CLOCK]! + lenBytes) | 0;
  }

  #aheadBytes(block: number, tin: number): number {
    return (this.words[tin + Tin.NEXT_AT]! - this.words[block + Tin.CLOCK]!) | 0;
  }
}
