import type { OracleClass } from '../oracle/htb-oracle.js';

const OVERDRAFT_BYTES = 1600;
/** Rounding of sums of doubles. */
const ROUNDING_BYTES = 0.01;

/**
 * Watches a class's ceil in every window at once: the most by which any window that ends now has passed
 * `ceil × window` must never be more than the burst, or one packet.
 */
export class CeilBound {
  readonly #spec: OracleClass;
  readonly #allowedBytes: number;
  #excessBytes = 0;
  #lastNs = 0;

  constructor(spec: OracleClass) {
    this.#spec = spec;
    this.#allowedBytes = Math.max(spec.cburstBytes, OVERDRAFT_BYTES) + ROUNDING_BYTES;
  }

  /** Notes that the class has sent; true when that was too much. */
  passedBy(bytes: number, nowNs: number): boolean {
    const earnedBytes = ((nowNs - this.#lastNs) * this.#spec.ceilBps) / 8e9;
    this.#excessBytes = Math.max(0, this.#excessBytes - earnedBytes) + bytes;
    this.#lastNs = nowNs;
    return this.#excessBytes > this.#allowedBytes;
  }
}
