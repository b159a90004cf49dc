/**
 * The fair clock: how queues share an inner class in proportion to the borrowers each has, and how they share
 * one leaf.
 *
 * It is start-time fair queueing (Goyal, Vin, Cheng) across workers. A worker that sends `cost` nanoseconds of
 * the class's rate moves its own tag ahead by `cost × allWeight / ownWeight`; it may send while its tag is not
 * ahead of the shared clock. Every worker reads the same clock, so each gets its part by weight.
 *
 * How fast must the clock run? At real time when all can use their part, faster when some cannot. The bucket
 * itself tells: while the clock is slow the bucket fills, while it is fast it runs down. So its speed is an
 * exponential of the bucket's fill, and it settles where the bucket neither fills nor empties. No worker has to
 * know what the others want; one that stalls only leaves the bucket fuller, and the clock speeds up.
 *
 * A lower prio's clock runs 2^7 times slower for each higher prio that has borrowers waiting anywhere. A
 * bucket that is nearly full goes to whoever asks: no capacity is left unused for fairness' sake.
 *
 * The clock counts sixteenths of a microsecond and wraps. Whoever looks moves it: one compare-exchange claims
 * the time since it was last moved, one add puts it in. A worker that is stopped between the two delays the
 * clock by that one interval.
 */
export const CLOCK_UNITS_PER_NS = 16 / 1000;

/** Doublings of the clock's speed between an empty and a full bucket. */
const SLOPE = 32;
/** Fill at which the clock runs at real time: far enough from empty that assured packets find tokens. */
const CENTRE = 0.4;
const RANK_DOUBLINGS = 7;
/** At this fill tokens are about to be lost, and nobody is held back. */
export const OPEN_FILL = 0.9;
const SPEED_LOG2_MAX = 10;
const SPEED_LOG2_MIN = -40;
const STEP_MAX = 0x0fffffff;
/**
 * A caller whose present is older than the last move, but by a second at most, has read its time before another
 * worker that was faster. (A clock left alone for some 268 seconds looks like that too, and rests a second more.)
 */
const BEHIND_MAX = 16_000_000;

/** Clock units per clock unit of real time. */
export function clockSpeed(fill: number, rank: number): number {
  if (fill <= 0) return 0;
  let log2 = SLOPE * (fill - CENTRE) - RANK_DOUBLINGS * rank;
  if (log2 > SPEED_LOG2_MAX) log2 = SPEED_LOG2_MAX;
  return log2 < SPEED_LOG2_MIN ? 0 : 2 ** log2;
}

/** By what the clock's speed grows a unit of real time, as an exponent, while a bucket of `fillNs` fills undisturbed. */
export function clockGrowth(fillNs: number): number {
  return (SLOPE * Math.LN2) / (fillNs * CLOCK_UNITS_PER_NS);
}

/**
 * Moves a clock on and returns it. `speed` is that of now; since the clock was last moved the bucket has filled, and
 * the speed has come up to it exponentially by `growth` a unit. (To take it for the speed of the whole interval would
 * let the clocks of slow classes leap, whose buckets fill between one look and the next.) `nowUnits` is the wrapping
 * time in clock units.
 */
export function moveClock(
  words: Int32Array,
  clock: number,
  movedAt: number,
  nowUnits: number,
  speed: number,
  growth: number,
): number {
  const last = Atomics.load(words, movedAt);
  const elapsed = (nowUnits - last) | 0;
  // Who is behind must not take the time of the last move back: what lies between would be counted again.
  if (elapsed > 0 || elapsed < -BEHIND_MAX) {
    // A clock that nobody has moved for long, or whose time has wrapped, starts anew.
    const rise = elapsed * growth;
    const distance = rise > 0.01 ? (-Math.expm1(-rise) / growth) * speed : elapsed * speed;
    const step = elapsed < 0 ? 0 : Math.min(STEP_MAX, Math.floor(distance));
    // Claims the interval; the loser's interval is part of the winner's.
    if (
      (step > 0 || speed === 0 || elapsed < 0) &&
      Atomics.compareExchange(words, movedAt, last, nowUnits) === last
    ) {
      // Publishes the clock to everybody's load below. Sums commute, so a late add is only late.
      if (step > 0) Atomics.add(words, clock, step);
    }
  }
  return Atomics.load(words, clock);
}

/**
 * Nanoseconds until the clock will have gone `gapUnits` further if nobody draws meanwhile: the fill then rises
 * by 1 / `fillNs` a nanosecond, so speed doubles every `fillNs / SLOPE`.
 */
export function untilClockNs(gapUnits: number, fill: number, fillNs: number, rank: number): number {
  const untilOpenNs = (OPEN_FILL - fill) * fillNs;
  if (untilOpenNs <= 0) return 0;
  const start = fill > 0 ? fill : 0;
  const closedNs = fill < 0 ? -fill * fillNs : 0;
  const growthPerNs = (SLOPE * Math.LN2) / fillNs;
  const unitsPerNs = clockSpeed(start, rank) * CLOCK_UNITS_PER_NS;
  if (unitsPerNs === 0) return untilOpenNs;
  const ns = closedNs + Math.log1p((gapUnits * growthPerNs) / unitsPerNs) / growthPerNs;
  return ns < untilOpenNs ? ns : untilOpenNs;
}
