/** Problems as the lines that operators read. */
import { formatProblem, type Problem } from '../model.js';

export interface ProblemLines {
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** One line each. Those that do not tell their file themselves begin with `label`, where there is one. */
export function linesOf(problems: readonly Problem[], label = ''): ProblemLines {
  const errors: string[] = [];
  const warnings: string[] = [];
  for (const problem of problems) {
    const line = formatProblem(problem);
    const isPlaced = label === '' || problem.place?.startsWith(label) === true;
    (problem.severity === 'error' ? errors : warnings).push(isPlaced ? line : `${label}: ${line}`);
  }
  return { errors, warnings };
}
