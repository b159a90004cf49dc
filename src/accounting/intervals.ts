/**
 * Which interval of the wall clock some traffic belongs to. Intervals are aligned: those of a minute begin at full
 * minutes. Times are milliseconds since 1970.
 */

/** From `startMs` on, up to but not including `endMs`. */
export interface Interval {
  readonly startMs: number;
  readonly endMs: number;
}

/** The time between two looks at the clocks. */
export interface Span {
  readonly fromMs: number;
  /** `fromMs` and as long as it lasted, however the wall clock was set meanwhile. Not before `fromMs`. */
  readonly untilMs: number;
  /** Where the next span begins: before `fromMs` only after the clock was set back by more than BACK_MAX_MS. */
  readonly nextMs: number;
}

/** A clock set back by more than this was wrong before, not now. */
export const BACK_MAX_MS = 3_600_000;

/**
 * The interval of what was counted in a span: the one that was open when it began. When nobody looked for longer than an
 * interval, it reaches to the last boundary that has passed.
 */
export function intervalOf({ fromMs, untilMs }: Span, lengthMs: number): Interval {
  const startMs = floorTo(fromMs, lengthMs);
  return { startMs, endMs: Math.max(startMs + lengthMs, floorTo(untilMs, lengthMs)) };
}

export function isWithin({ startMs, endMs }: Interval, ms: number): boolean {
  return startMs <= ms && ms < endMs;
}

/** The latest multiple of `stepMs` that is not after `ms`. */
export function floorTo(ms: number, stepMs: number): number {
  return Math.floor(ms / stepMs) * stepMs;
}

/**
 * Wall time that stands still when the clock is set back a little, until the clock has caught up: no interval ends
 * before it began, and none comes twice. After a large step back it follows the clock, for otherwise a clock that was once
 * a year ahead would keep one interval open for a year. A step forward ends an interval early, but makes none longer.
 */
export class SteadyTime {
  #nowMs: number;
  #monotonicMs: number;

  constructor(wallMs: number, monotonicMs: number) {
    this.#nowMs = wallMs;
    this.#monotonicMs = monotonicMs;
  }

  /** The span since the last reading, or since the beginning. */
  advance(wallMs: number, monotonicMs: number): Span {
    const fromMs = this.#nowMs;
    const lastedMs = Math.max(0, monotonicMs - this.#monotonicMs);
    const nextMs = wallMs < fromMs - BACK_MAX_MS ? wallMs : Math.max(fromMs, wallMs);
    this.#nowMs = nextMs;
    this.#monotonicMs = monotonicMs;
    return { fromMs, untilMs: Math.max(fromMs, Math.min(nextMs, fromMs + lastedMs)), nextMs };
  }
}
