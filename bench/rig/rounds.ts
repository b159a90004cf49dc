/**
 * Runs of several things in turns, A B C A B C …: what else the machine does meets all of them, and a ratio compares what
 * was measured within seconds.
 */

/** What one run of one column found, by the figure's name, which has its unit in it. */
export type Figures = Readonly<Record<string, number>>;

/** One of the things that are measured beside each other. */
export interface Column {
  readonly name: string;
  /** Why it cannot be measured here, with the package that brings it; null when it can. */
  readonly missing: string | null;
  /** One run, `round` counting from 0. Not called when something is missing. */
  readonly measure: (round: number) => Promise<Figures>;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Measured {
  readonly name: string;
  readonly missing: string | null;
  readonly perRun: readonly Figures[];
  /** By figure; empty when the column is missing. */
  readonly figures: Readonly<Record<string, Spread>>;
}

/** One column's figure over another's, run by run. */
export interface Ratio extends Spread {
  readonly of: string;
  readonly to: string;
  readonly figure: string;
  readonly perRun: readonly number[];
}

/** Measures all columns `runs` times in turns. `onRun` hears of each run as it ends. */
export async function measureInTurns(
  columns: readonly Column[],
  runs: number,
  onRun: (column: string, round: number, figures: Figures) => void = () => {},
): Promise<Measured[]> {
  const perRun = columns.map((): Figures[] => []);
  for (let round = 0; round < runs; round++) {
    for (const [i, column] of columns.entries()) {
      if (column.missing !== null) continue;
      const figures = await column.measure(round);
      perRun[i]!.push(figures);
      onRun(column.name, round, figures);
    }
  }
  return columns.map(({ name, missing }, i) => ({
    name,
    missing,
    perRun: perRun[i]!,
    figures: spreadsOf(perRun[i]!),
  }));
}

function spreadsOf(perRun: readonly Figures[]): Record<string, Spread> {
  const spreads: Record<string, Spread> = {};
  for (const figure of Object.keys(perRun[0] ?? {}))
    spreads[figure] = spreadOf(perRun.map((run) => run[figure]!));
  return spreads;
}

/** Median (of an even number the mean of the two in the middle), least and most. Of nothing: NaN. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** Null when either column has not been measured. */
export function ratioOf(of: Measured, to: Measured, figure: string): Ratio | null {
  const runs = Math.min(of.perRun.length, to.perRun.length);
  if (runs === 0) return null;
  const perRun = Array.from({ length: runs }, (_, i) => of.perRun[i]![figure]! / to.perRun[i]![figure]!);
  return { of: of.name, to: to.name, figure, perRun, ...spreadOf(perRun) };
}
