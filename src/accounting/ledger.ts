/**
 * From the totals that the classes count to the differences that are written down. No I/O and no clock.
 *
 *     total of an account  =  what has been collected so far  +  what the next collection finds
 */
import { type Amounts, VALUES_PER_ID } from './amounts.js';

/**
 * Totals since the account was opened; all are whole numbers. `account` is a small number from 0 on that stands for one
 * life of one class: a class that is removed and added again under its id gets another account.
 */
export type VisitTotal = (
  account: number,
  id: string,
  downBytes: number,
  downPackets: number,
  upBytes: number,
  upPackets: number,
) => void;

/** Where the totals come from. It decides which classes are subscribers. */
export interface UsageMeter {
  /** Visits the living accounts. Nothing needs to be visited whose totals have not changed since the last call. */
  forEachTotal(visit: VisitTotal): void;

  /**
   * Visits, once, the accounts that nothing will be counted for any more, with their last totals, and forgets them. Their
   * numbers may be used for other accounts from then on.
   */
  takeGone(visit: VisitTotal): void;
}

export class Ledger {
  /** By account, VALUES_PER_ID each: the highest totals that have been collected. */
  #collected = new Float64Array(1024 * VALUES_PER_ID);
  /** What the running collection has found. */
  #ids: string[] = [];
  #values = new Float64Array(1024 * VALUES_PER_ID);

  /**
   * All that was counted since the last collection. A total that is lower than before counts as unchanged until it has
   * passed its old height: readings may be uneven for a moment while workers adopt an epoch.
   */
  collect(meter: UsageMeter): Amounts {
    this.#ids = [];
    // Those that are gone come first, because a living account may have the number of one of them already.
    meter.takeGone((account, id, ...totals) => {
      this.#note(account, id, ...totals);
      this.#collected.fill(0, account * VALUES_PER_ID, (account + 1) * VALUES_PER_ID);
    });
    meter.forEachTotal(this.#note);
    return { ids: this.#ids, values: this.#values.slice(0, this.#ids.length * VALUES_PER_ID) };
  }

  readonly #note: VisitTotal = (account, id, downBytes, downPackets, upBytes, upPackets) => {
    const at = account * VALUES_PER_ID;
    if (at >= this.#collected.length) this.#collected = enlarged(this.#collected, at);
    const collected = this.#collected;
    const newDownBytes = Math.max(0, downBytes - collected[at]!);
    const newDownPackets = Math.max(0, downPackets - collected[at + 1]!);
    const newUpBytes = Math.max(0, upBytes - collected[at + 2]!);
    const newUpPackets = Math.max(0, upPackets - collected[at + 3]!);
    if (newDownBytes + newDownPackets + newUpBytes + newUpPackets === 0) return;
    const next = this.#ids.push(id) * VALUES_PER_ID - VALUES_PER_ID;
    if (next >= this.#values.length) this.#values = enlarged(this.#values, next);
    const values = this.#values;
    values[next] = newDownBytes;
    values[next + 1] = newDownPackets;
    values[next + 2] = newUpBytes;
    values[next + 3] = newUpPackets;
    collected[at]! += newDownBytes;
    collected[at + 1]! += newDownPackets;
    collected[at + 2]! += newUpBytes;
    collected[at + 3]! += newUpPackets;
  };
}

/** A copy that has room at `index`, and as much again. */
function enlarged(array: Float64Array<ArrayBuffer>, index: number): Float64Array<ArrayBuffer> {
  let length = array.length;
  while (length <= index) length *= 2;
  const larger = new Float64Array(length);
  larger.set(array);
  return larger;
}
