/**
 * How a bench says whether shaping was right, and shapers that are broken on purpose to show that it would say so if it
 * was not.
 *
 * A canary alters the class tree that is given to weir, while the bench goes on comparing with the unaltered one.
 */
import type { BenchDocument, Point } from './rig/document.js';

/** A class's limits in one direction as a tree file has them: bit/s, bytes. */
export interface LimitDoc {
  readonly rate: number;
  readonly ceil?: number;
  readonly burst?: number;
  readonly cburst?: number;
  readonly quantum?: number;
  readonly prio?: number;
}

/** A class of a tree file; these benches shape downwards. */
export interface ClassDoc {
  readonly id: string;
  readonly parent?: string;
  readonly match?: string | readonly string[];
  readonly down: LimitDoc;
}

export type Canary = 'fast' | 'unfair';

const TOO_FAST = 1.1;
const UNFAIR = 2;

/** The classes as a broken shaper would have them: all a tenth too fast, or the first leaf worth two of its siblings. */
export function breakClasses(classes: readonly ClassDoc[], canary: Canary | null): readonly ClassDoc[] {
  if (canary === null) return classes;
  if (canary === 'fast') return classes.map((spec) => withFactor(spec, TOO_FAST));
  const parents = new Set(classes.map(({ parent }) => parent));
  const first = classes.findIndex(({ id }) => !parents.has(id));
  return classes.map((spec, i) => (i === first ? withFactor(spec, UNFAIR) : spec));
}

function withFactor(spec: ClassDoc, factor: number): ClassDoc {
  const { rate, ceil = rate, quantum } = spec.down;
  const down = { ...spec.down, rate: Math.round(rate * factor), ceil: Math.round(ceil * factor) };
  return { ...spec, down: quantum === undefined ? down : { ...down, quantum: Math.round(quantum * factor) } };
}

/** What a figure of a column must be at every point; `where` leaves points out. */
export interface Bound {
  readonly column: string;
  readonly figure: string;
  readonly min?: number;
  readonly max?: number;
  readonly where?: (point: Point) => boolean;
}

export interface Verdict {
  readonly withinBounds: boolean;
  /** A line for each figure that is out of its bounds. */
  readonly outOfBounds: readonly string[];
}

export interface JudgedDocument extends BenchDocument {
  readonly verdict: Verdict;
}

/** Holds the medians of the runs against the bounds. A column that was not measured is not judged. */
export function judge(points: readonly Point[], bounds: readonly Bound[]): Verdict {
  const outOfBounds: string[] = [];
  for (const point of points) {
    for (const { column, figure, min = -Infinity, max = Infinity, where } of bounds) {
      if (where !== undefined && !where(point)) continue;
      const median = point.columns.find(({ name }) => name === column)?.figures[figure]?.median;
      if (median === undefined || (median >= min && median <= max)) continue;
      const bound = median > max ? `at most ${max}` : `at least ${min}`;
      outOfBounds.push(
        `${point.name}: ${column}: ${figure} is ${Number(median.toPrecision(4))}, must be ${bound}`,
      );
    }
  }
  return { withinBounds: outOfBounds.length === 0, outOfBounds };
}

/** The document with its verdict, which also goes before the notes so that every way of showing them has it. */
export function withVerdict(document: BenchDocument, verdict: Verdict): JudgedDocument {
  const lines = verdict.withinBounds
    ? ['Verdict: within bounds.']
    : ['Verdict: OUT OF BOUNDS.', ...verdict.outOfBounds.map((line) => `Out of bounds: ${line}.`)];
  return { ...document, notes: [...lines, ...document.notes], verdict };
}

/** (Σx)² / n Σx², Jain's index of fairness: 1 when all are equal, 1/n when one has all. */
export function jainIndex(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  return squares === 0 ? 0 : (sum * sum) / (values.length * squares);
}
