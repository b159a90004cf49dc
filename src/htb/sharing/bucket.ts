/**
 * The shared bucket: one Int32 word that holds the time, in wrapping microseconds, at which the bucket would be
 * full again (the theoretical arrival time of the generic cell rate algorithm, ITU-T I.371). Nothing refills it:
 * time does. Its *debt* is `fullAt - now`; at most 0 means full.
 *
 * Workers keep a *tab*: they send first and charge the word when the tab has grown to a limit, so the common
 * packet touches no atomic. A worker that stalls therefore holds nothing that others could use; what it can
 * hide is bounded by its tab, and the depth that workers test against is smaller by the sum of all tabs.
 * Where one packet is larger than the tab, the worker draws first and sends after, in one compare-exchange, so
 * a slow class is overdrawn by one packet at most, however many queues race for it.
 */

/** Largest debt a word can express; also "no limit" for `drawBucket`. */
export const DEBT_US_MAX = 0x3fffffff;
/**
 * The most that one packet costs a bucket, a minute, as sch_htb bounds debts by its `mbuffer`. Only claims that add up
 * to many thousand times an ancestor's rate come there; without a bound the word would wrap.
 */
export const COST_NS_MAX = 60e9;

/**
 * Charges `costUs` if the bucket's debt is at most `maxDebtUs`. Returns the debt before the charge (0 when it
 * was full), or -1 - debt when it refused. Lock-free: an attempt fails only because another worker's succeeded.
 */
export function drawBucket(
  words: Int32Array,
  index: number,
  nowUs: number,
  costUs: number,
  maxDebtUs: number,
): number {
  for (;;) {
    // Pairs with the compare-exchange below in other workers; the word carries all there is to know.
    const fullAt = Atomics.load(words, index);
    const debt = (fullAt - nowUs) | 0;
    if (debt > maxDebtUs) return -1 - debt;
    const base = debt > 0 ? fullAt : nowUs;
    if (costUs === 0) return debt > 0 ? debt : 0;
    // Publishes the charge; refused when another worker charged in between, whose debt must then be looked at.
    if (Atomics.compareExchange(words, index, fullAt, (base + costUs) | 0) === fullAt)
      return debt > 0 ? debt : 0;
  }
}

/** Gives back what was charged and not used. */
export function returnToBucket(words: Int32Array, index: number, costUs: number): void {
  Atomics.sub(words, index, costUs);
}

/** Debt in microseconds, 0 when full. */
export function bucketDebtUs(words: Int32Array, index: number, nowUs: number): number {
  const debt = (Atomics.load(words, index) - nowUs) | 0;
  return debt > 0 ? debt : 0;
}

/** Stretches a bucket's debt by `ratio`, when its rate changes and the bytes it lacks stay the same. */
export function rescaleBucket(words: Int32Array, index: number, nowUs: number, ratio: number): void {
  for (;;) {
    const fullAt = Atomics.load(words, index);
    const debt = (fullAt - nowUs) | 0;
    if (debt <= 0) return;
    const scaled = Math.min(DEBT_US_MAX, Math.round(debt * ratio));
    // A charge that came in between must be stretched too, so it is looked at again.
    if (Atomics.compareExchange(words, index, fullAt, (nowUs + scaled) | 0) === fullAt) return;
  }
}

/**
 * Brings a word that was idle for long to the present, so that its wrapping clock is never misread. To be
 * called for every class at least every ten minutes. A charge that comes in between wins.
 */
export function freshenBucket(words: Int32Array, index: number, nowUs: number): void {
  const fullAt = Atomics.load(words, index);
  if (((fullAt - nowUs) | 0) < 0) Atomics.compareExchange(words, index, fullAt, nowUs);
}

/** The wrapping microsecond of a time. */
export function wrapUs(nowNs: number): number {
  return Math.floor(nowNs / 1000) | 0;
}
