/** How often the workers of simulated queues come round, and when. */

const NS_PER_SECOND = 1e9;
/**
 * How often a worker comes round: with full batches of 64 it needs 5 to 10 µs for one. Idle ones that poll are
 * faster, but finer steps would only make the simulation slower.
 */
const STEP_NS = 5_000;
/** With more queues than this each comes round more seldom, so that the steps of a second have a bound. */
const QUEUES_AT_FULL_PACE = 16;
/** Time of the run's second 0; not 0 itself, so that no stamp of the run looks like one that was never set. */
export const ORIGIN_NS = NS_PER_SECOND;

export class Pace {
  readonly stepNs: number;
  readonly #queues: number;

  constructor(queues: number) {
    this.#queues = queues;
    this.stepNs = STEP_NS * Math.max(1, queues / QUEUES_AT_FULL_PACE);
  }

  /** The first time at or after `dueNs` at which a queue's worker steps; Infinity stays. */
  stepTimeNs(queue: number, dueNs: number): number {
    // The queues come round one after the other and not all at once, as threads do.
    const phaseNs = ORIGIN_NS + (this.stepNs * queue) / this.#queues;
    return phaseNs + Math.ceil((dueNs - phaseNs) / this.stepNs) * this.stepNs;
  }

  /** When a worker that has stepped at `nowNs` is due: it steps at most once at each of its times. */
  againNs(nowNs: number, dueNs: number): number {
    return Math.max(dueNs, nowNs + this.stepNs / 2);
  }
}
