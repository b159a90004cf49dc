/** From expectations and measurements to verdicts, one an expectation. Pure. */
import type { DirectionKey, Expectation } from './plan.js';

/** What was measured between the end of the warm-up and the end. Null: it could not be, or not in this mode. */
export interface Measurements {
  /** layer-2 bits a second that came out of weir, by `rateKey` */
  readonly ratesBps: ReadonlyMap<string, number>;
  readonly delay: DelayMeasured;
  /** the most entries seen */
  readonly conntrackEntries: number | null;
  readonly masqueraded: number | null;
  /** the largest relative difference of a loaded class's bytes, weir's counter against the wire's */
  readonly counterDifference: number | null;
  /** frames that went into weir, less those that came out and those that a counter knows as dropped or queued */
  readonly framesUnaccounted: number | null;
}

/** Of the idle subscriber: round trips of pings; in the simulator the way through weir alone. */
export interface DelayMeasured {
  readonly meanMs: number;
  readonly p99Ms: number;
  readonly maxMs: number | null;
  readonly samples: number;
  readonly lost: number;
}

export interface Verdict {
  readonly label: string;
  readonly measured: string;
  readonly bound: string;
  readonly ok: boolean;
}

export function rateKey(classId: string, direction: DirectionKey): string {
  return `${classId} ${direction}`;
}

/** Expectations that cannot be judged in this mode (their measurement is null) are left out. */
export function judge(expectations: readonly Expectation[], measurements: Measurements): Verdict[] {
  const verdicts = expectations.map((expectation) => judgeOne(expectation, measurements));
  return verdicts.filter((verdict) => verdict !== null);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

function judgeOne(expectation: Expectation, measurements: Measurements): Verdict | null {
  const { label } = expectation;
  const rateOf = (id: string, direction: DirectionKey): number =>
    measurements.ratesBps.get(rateKey(id, direction)) ?? Number.NaN;
  switch (expectation.kind) {
    case 'rate':
      return judgeRate(label, rateOf(expectation.classId, expectation.direction), expectation);
    case 'sum': {
      const rates = expectation.classIds.map((id) => rateOf(id, expectation.direction));
      return judgeRate(
        label,
        rates.reduce((sum, rate) => sum + rate, 0),
        expectation,
      );
    }
    case 'equal': {
      const rates = expectation.classIds.map((id) => rateOf(id, expectation.direction));
      return judgeEqual(label, rates, expectation.tolerance);
    }
    case 'delay':
      return judgeDelay(label, measurements, expectation.meanMsMax);
    case 'conntrack':
      return atLeast(label, measurements.conntrackEntries, expectation.entriesMin);
    case 'masquerade':
      return atLeast(label, measurements.masqueraded, 1);
    case 'agree': {
      const difference = measurements.counterDifference;
      const bound = `at most ${percent(expectation.tolerance)}`;
      return difference === null
        ? null
        : verdict(label, percent(difference), bound, difference <= expectation.tolerance);
    }
    case 'lost': {
      const frames = measurements.framesUnaccounted;
      return frames === null ? null : verdict(label, String(frames), '0', frames === 0);
    }
  }
}

function judgeRate(
  label: string,
  bps: number,
  { wantedBps, tolerance }: { wantedBps: number; tolerance: number },
): Verdict {
  const ok = Math.abs(bps - wantedBps) <= wantedBps * tolerance;
  return verdict(label, mbit(bps), `${mbit(wantedBps)} ± ${percent(tolerance)}`, ok);
}

/** How far each is from their mean. */
function judgeEqual(label: string, rates: readonly number[], tolerance: number): Verdict {
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const farthest = Math.max(...rates.map((rate) => Math.abs(rate - mean) / mean));
  const list = rates.map((rate) => (rate / 1e6).toFixed(2)).join(', ');
  return verdict(
    label,
    `${list} Mbit/s`,
    `each within ${percent(tolerance)} of the mean`,
    farthest <= tolerance,
  );
}

function judgeDelay(label: string, { delay }: Measurements, meanMsMax: number): Verdict {
  const { meanMs, p99Ms, maxMs, samples, lost } = delay;
  const max = maxMs === null ? '' : `, max ${maxMs.toFixed(2)} ms`;
  const measured = `mean ${meanMs.toFixed(2)}, p99 ${p99Ms.toFixed(2)} ms${max} of ${samples}, ${lost} lost`;
  return verdict(label, measured, `mean below ${meanMsMax} ms, none lost`, meanMs < meanMsMax && lost === 0);
}

function atLeast(label: string, value: number | null, least: number): Verdict | null {
  return value === null ? null : verdict(label, String(value), `at least ${least}`, value >= least);
}

function verdict(label: string, measured: string, bound: string, ok: boolean): Verdict {
  return { label, measured, bound, ok };
}

export function mbit(bps: number): string {
  return `${(bps / 1e6).toFixed(2)} Mbit/s`;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`;
}
