/**
 * What a reader of a foreign format hands out: a document of the tree file's format, everything that is wrong, and where in
 * the foreign text each class stands.
 */
import type { Problem } from '../model.js';

/** One direction of a class in the tree file's format; rates in bit/s, sizes in bytes. */
export interface DocumentDirection {
  rate?: number;
  ceil?: number;
  burst?: number;
  cburst?: number;
  quantum?: number;
  prio?: number;
}

/** What a class says of its queue in the tree file's format; sizes in bytes, times in microseconds. */
export interface DocumentQueue {
  leaf?: string;
  limit?: number;
  limitBytes?: number;
  target?: number;
  interval?: number;
  flows?: number;
  memory?: number;
  ecn?: boolean;
  isolate?: string;
  diffserv?: string;
  wash?: boolean;
}

export interface DocumentClass extends DocumentQueue {
  id: string;
  parent?: string;
  match?: string[];
  down?: DocumentDirection;
  up?: DocumentDirection;
}

export interface TreeDocument {
  version: 1;
  default?: string;
  overhead?: number;
  mpu?: number;
  linklayer?: string;
  classes: DocumentClass[];
}

export interface FormatResult {
  /** For parseClassTree(), whose own checks still have to be passed. Null exactly when `problems` holds an error. */
  readonly document: TreeDocument | null;
  /** One line each, with `place` such as `ShapedDevices.csv row 12` where they have one. */
  readonly problems: readonly Problem[];
  /** Where the text says what the class is; null for a class that the reader made up. */
  placeOf(classId: string): string | null;
}

/** Problems that parseClassTree() found in a document, with the places of the text that the document was made from. */
export function placed(problems: readonly Problem[], result: Pick<FormatResult, 'placeOf'>): Problem[] {
  return problems.map((problem) => {
    const place = problem.classId === null ? null : result.placeOf(problem.classId);
    if (place === null || problem.place !== undefined) return problem;
    return { ...problem, place: `${place}, class '${problem.classId}'` };
  });
}

interface Tally {
  readonly problem: Problem;
  count: number;
}

/** Where a problem is: in a line of a text, or at a class. */
export type Spot = { readonly place: string } | { readonly classId: string } | null;

/** Collects problems; what was noticed many times over is one line with a count. */
export class FormatProblems {
  readonly #items: Problem[] = [];
  readonly #tallies = new Map<string, Tally>();
  errorCount = 0;

  error(spot: Spot, key: string, message: string): void {
    this.errorCount++;
    this.#items.push(problemAt('error', spot, key, message));
  }

  warning(spot: Spot, key: string, message: string): void {
    this.#items.push(problemAt('warning', spot, key, message));
  }

  /** A warning that counts: the first spot is named, `kind` tells what is counted together. */
  tally(kind: string, spot: Spot, key: string, message: string): void {
    const seen = this.#tallies.get(kind);
    if (seen !== undefined) seen.count++;
    else this.#tallies.set(kind, { problem: problemAt('warning', spot, key, message), count: 1 });
  }

  /** Everything so far, the counted warnings last. */
  all(): Problem[] {
    const counted = Array.from(this.#tallies.values(), ({ problem, count }) =>
      count === 1 ? problem : { ...problem, message: `${problem.message} (here and in ${count - 1} more)` },
    );
    return [...this.#items, ...counted];
  }
}

function problemAt(severity: 'error' | 'warning', spot: Spot, key: string, message: string): Problem {
  if (spot === null) return { severity, classId: null, key, message };
  if ('classId' in spot) return { severity, classId: spot.classId, key, message };
  return { severity, classId: null, key, message, place: spot.place };
}
