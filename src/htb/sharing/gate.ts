/**
 * Holds a worker back where it is ahead of its fair share: the per-worker half of the fair clock. A gate exists
 * for each inner class and prio (between queues that have borrowers there) and for each leaf (between queues
 * that hold its packets). A gate only ever delays; which packet goes next is the schedule's business.
 */
import { Fair, Shape, Word } from '../../shm/tree-layout.js';
import { Field, Flag } from '../layout.js';
import { TreeMemory } from '../memory.js';
import {
  CLOCK_UNITS_PER_NS,
  clockGrowth,
  clockSpeed,
  moveClock,
  OPEN_FILL,
  untilClockNs,
} from './fair-clock.js';

/** A tag older than this says nothing about who is ahead; it starts at the clock again. */
const GAP_STALE_NS = 50_000_000;
/**
 * How far a worker may lag and still be given what it missed: the clock moves in leaps, and a worker with many
 * borrowers, whose packets are small steps on it, must be able to follow.
 */
const CREDIT_UNITS = 2_000_000 * CLOCK_UNITS_PER_NS;
const CREDIT_PACKETS = 2;
/** A gate is looked at again after this at the latest: the clock's wrapping allows 130 ms. */
const WAIT_NS_MAX = 100_000_000;
/** What lenders keep free for assured packets: limits for borrowers are 7/8 of the whole. */
export const BORROW_SHARE = 7 / 8;

export class Gate {
  readonly #words: Int32Array;
  readonly #clock: Float64Array;
  readonly #doubles: Float64Array;
  readonly #shapes: Float64Array;
  readonly #classWords: Int32Array;
  readonly #fairWords: Int32Array;
  readonly #memory: TreeMemory;
  #fill = 0;
  #fillNs = 0;
  /** Until a bucket is so full that nobody is held back. */
  #openNs = 0;
  #rank = 0;

  constructor(memory: TreeMemory) {
    this.#memory = memory;
    this.#words = memory.words;
    this.#clock = memory.clock;
    this.#doubles = memory.doubles;
    this.#shapes = memory.shared.shapes;
    this.#classWords = memory.shared.classWords;
    this.#fairWords = memory.shared.fairWords;
  }

  /**
   * Accounts `lenBytes` sent through an inner class at `prio`. Returns how many nanoseconds its borrowers of that
   * prio on this worker must wait for the others; 0 when they need not.
   */
  feedSent(record: number, prio: number, lends: boolean, weight: number, lenBytes: number): number {
    const feed = this.#words[record + Field.FEEDS]! + (prio << Field.FEED_SHIFT);
    const fair = this.#words[record + Field.FAIR_SLOT]! << Fair.SHIFT;
    const own = this.#words[feed + Field.FEED_WEIGHT]!;
    const all = this.#weightOf(fair, prio);
    if (!this.#isContended(record, fair, prio, own, all)) return 0;
    const part = own > weight ? own : weight;
    const shape = this.#words[record + Field.SHAPE]!;
    // In bytes of the ceil whichever bucket limits: workers that see the class lend at different times must pay alike.
    const nsPerByte = this.#shapes[shape + Shape.CEIL_NS_PER_BYTE]!;
    const cost = lenBytes * nsPerByte * CLOCK_UNITS_PER_NS * (all > part ? all / part : 1);
    this.#measure(record, lends);
    return this.#feedWait(feed, fair, prio, cost);
  }

  /** How long a gated feed must still wait. */
  feedWaits(record: number, prio: number, lends: boolean): number {
    const feed = this.#words[record + Field.FEEDS]! + (prio << Field.FEED_SHIFT);
    const fair = this.#words[record + Field.FAIR_SLOT]! << Fair.SHIFT;
    const all = this.#weightOf(fair, prio);
    if (!this.#isContended(record, fair, prio, this.#words[feed + Field.FEED_WEIGHT]!, all)) return 0;
    this.#measure(record, lends);
    return this.#feedWait(feed, fair, prio, 0);
  }

  /** Accounts `lenBytes` of a leaf that is backlogged on `queues` queues; the wait as for feeds. */
  leafSent(leaf: number, queues: number, lenBytes: number): number {
    const nsPerByte = this.#shapes[this.#words[leaf + Field.SHAPE]! + Shape.CEIL_NS_PER_BYTE]!;
    return this.#leafWait(leaf, lenBytes * nsPerByte * CLOCK_UNITS_PER_NS * queues);
  }

  leafWaits(leaf: number): number {
    return this.#leafWait(leaf, 0);
  }

  /**
   * Whether anybody else has borrowers here of this prio or a higher one. Counts higher prios that have
   * borrowers anywhere into #rank: all workers must count alike, for they move the same clock.
   */
  #isContended(record: number, fair: number, prio: number, own: number, all: number): boolean {
    let contended = all > own;
    let rank = 0;
    const feeds = this.#words[record + Field.FEEDS]!;
    for (let higher = 0; higher < prio; higher++) {
      const weight = this.#weightOf(fair, higher);
      if (weight === 0) continue;
      rank++;
      if (weight > this.#words[feeds + (higher << Field.FEED_SHIFT) + Field.FEED_WEIGHT]!) contended = true;
    }
    this.#rank = rank;
    return contended;
  }

  /** The weight of all borrowers of a prio, whatever worker they wait at. */
  #weightOf(fair: number, prio: number): number {
    return Atomics.load(this.#fairWords, fair + Fair.WEIGHT + this.#memory.side * Fair.WEIGHT_SIDE + prio);
  }

  /** Fill of the bucket that limits the class, from 0 (gives nothing) to 1 (full), and the time it takes to fill. */
  #measure(record: number, lends: boolean): void {
    const nowNs = this.#clock[0]!;
    const shape = this.#words[record + Field.SHAPE]!;
    const at = record >> 1;
    const ceilNs = this.#shapes[shape + Shape.CEIL_LIMIT_NS]!;
    const ceilFill = fillOf(ceilNs, this.#doubles[at + Field.D_CEIL_FULL_AT_NS]! - nowNs);
    let fill = ceilFill;
    let fillNs = ceilNs;
    if (lends) {
      const rateNs = this.#shapes[shape + Shape.RATE_LIMIT_NS]! / BORROW_SHARE;
      const rateFill = fillOf(rateNs, this.#doubles[at + Field.D_RATE_FULL_AT_NS]! - nowNs);
      if (rateFill < fill) {
        fill = rateFill;
        fillNs = rateNs;
      }
    }
    this.#fill = fill;
    this.#fillNs = fillNs;
    // Held back for its lent tokens, a class must not leave the room below its ceil unused, which it could borrow for.
    const ceilOpenNs = ceilNs < Number.POSITIVE_INFINITY ? (OPEN_FILL - ceilFill) * ceilNs : ceilNs;
    this.#openNs = Math.min(ceilOpenNs, (OPEN_FILL - fill) * fillNs);
  }

  #feedWait(feed: number, fair: number, prio: number, cost: number): number {
    const nowNs = this.#clock[0]!;
    const doubles = this.#doubles;
    const at = feed >> 1;
    const words = this.#fairWords;
    const speed = clockSpeed(this.#fill, this.#rank);
    const clock = moveClock(
      words,
      fair + Fair.CLOCK + prio,
      fair + Fair.CLOCK_AT + prio,
      unitsOf(nowNs),
      speed,
      this.#growth(),
    );
    const moved = (clock - this.#words[feed + Field.FEED_CLOCK_SEEN]!) | 0;
    this.#words[feed + Field.FEED_CLOCK_SEEN] = clock;
    const isGated = (this.#words[feed + Field.FLAGS]! & Flag.IS_GATED) !== 0;
    const stale = !isGated && nowNs - doubles[at + Field.D_FEED_GAP_AT_NS]! > GAP_STALE_NS;
    const gap = nextGap(stale ? 0 : doubles[at + Field.D_FEED_GAP]! - moved, cost);
    doubles[at + Field.D_FEED_GAP] = gap;
    doubles[at + Field.D_FEED_GAP_AT_NS] = nowNs;
    return this.#waitNs(gap);
  }

  #leafWait(leaf: number, cost: number): number {
    const nowNs = this.#clock[0]!;
    const doubles = this.#doubles;
    const at = leaf >> 1;
    const base = TreeMemory.classIndexOf(leaf) << Word.SHIFT;
    this.#rank = 0;
    this.#measure(leaf, false);
    const speed = clockSpeed(this.#fill, 0);
    const clockAt = base + Word.LEAF_CLOCK;
    const movedAt = base + Word.LEAF_CLOCK_AT;
    const clock = moveClock(this.#classWords, clockAt, movedAt, unitsOf(nowNs), speed, this.#growth());
    const moved = (clock - this.#words[leaf + Field.LEAF_CLOCK_SEEN]!) | 0;
    this.#words[leaf + Field.LEAF_CLOCK_SEEN] = clock;
    const isGated = (this.#words[leaf + Field.FLAGS]! & Flag.IS_GATED) !== 0;
    const stale = !isGated && nowNs - doubles[at + Field.D_LEAF_GAP_AT_NS]! > GAP_STALE_NS;
    const gap = nextGap(stale ? 0 : doubles[at + Field.D_LEAF_GAP]! - moved, cost);
    doubles[at + Field.D_LEAF_GAP] = gap;
    doubles[at + Field.D_LEAF_GAP_AT_NS] = nowNs;
    return this.#waitNs(gap);
  }

  /** A bucket that is full no longer rises, and one without depth never does. */
  #growth(): number {
    return this.#fill < 1 && this.#fillNs > 0 ? clockGrowth(this.#fillNs) : 0;
  }

  #waitNs(gap: number): number {
    // A bucket without depth gives one packet at a time and has no fill to steer by; its own timer says when.
    if (gap <= 0 || this.#fill >= OPEN_FILL || this.#openNs <= 0 || this.#fillNs <= 0) return 0;
    const wait = Math.min(this.#openNs, untilClockNs(gap, this.#fill, this.#fillNs, this.#rank));
    // A whole number, so that returning it allocates nothing.
    return wait < WAIT_NS_MAX ? Math.ceil(wait) | 0 || 1 : WAIT_NS_MAX;
  }
}

function fillOf(limitNs: number, debtNs: number): number {
  if (limitNs === Number.POSITIVE_INFINITY || debtNs <= 0) return 1;
  return limitNs <= 0 ? -1 : (limitNs - debtNs) / limitNs;
}

function unitsOf(nowNs: number): number {
  return Math.floor(nowNs * CLOCK_UNITS_PER_NS) | 0;
}

/** A worker that lags behind the clock keeps a claim to a few packets, not to all it did not send. */
function nextGap(gap: number, cost: number): number {
  if (cost === 0) return gap;
  const credit = -CREDIT_PACKETS * cost - CREDIT_UNITS;
  return (gap < credit ? credit : gap) + cost;
}
