/** Least squares: the linear formula that comes closest to figures. */

export interface Fit {
  /** One for each of the terms. */
  readonly coefficients: readonly number[];
  /** Share of the variance that the formula explains; 1 when there is none. */
  readonly rSquared: number;
}

/**
 * Fits y = Σ coefficient × term by the normal equations, solved by Gauss-Jordan elimination. A term that the
 * others already say, such as one that never changes beside a constant, gets the coefficient 0.
 */
export function leastSquares(rows: readonly (readonly number[])[], ys: readonly number[]): Fit {
  const terms = rows[0]?.length ?? 0;
  const matrix = Array.from({ length: terms }, (_, i) => [
    ...Array.from({ length: terms }, (_, j) => sum(rows, (row) => row[i]! * row[j]!)),
    sum(rows, (row, k) => row[i]! * ys[k]!),
  ]);
  const coefficients = solve(matrix);
  const mean = ys.reduce((total, y) => total + y, 0) / ys.length;
  const around = ys.reduce((total, y) => total + (y - mean) ** 2, 0);
  const left = sum(rows, (row, k) => (ys[k]! - evaluate(coefficients, row)) ** 2);
  return { coefficients, rSquared: around === 0 ? 1 : 1 - left / around };
}

export function evaluate(coefficients: readonly number[], row: readonly number[]): number {
  return row.reduce((total, term, i) => total + term * coefficients[i]!, 0);
}

/** Below this share of its diagonal before elimination, a pivot is what rounding left of zero. */
const SINGULAR = 1e-9;

function solve(matrix: number[][]): number[] {
  const size = matrix.length;
  const scale = matrix.map((row, i) => row[i]!);
  const isPivot = new Array<boolean>(size).fill(false);
  for (let i = 0; i < size; i++) {
    const pivot = matrix[i]!;
    if (Math.abs(pivot[i]!) <= SINGULAR * scale[i]!) continue;
    isPivot[i] = true;
    for (let j = 0; j < size; j++) {
      const row = matrix[j]!;
      const factor = row[i]! / pivot[i]!;
      if (j !== i) for (let k = i; k <= size; k++) row[k]! -= factor * pivot[k]!;
    }
  }
  return matrix.map((row, i) => (isPivot[i] ? row[size]! / row[i]! : 0));
}

function sum(
  rows: readonly (readonly number[])[],
  of: (row: readonly number[], k: number) => number,
): number {
  return rows.reduce((total, row, k) => total + of(row, k), 0);
}
