/** Collects everything that is wrong with a tree, so that an operator mends a file in one go. */
import type { Problem } from './model.js';
import { quoted } from './units.js';

export class ProblemList {
  readonly items: Problem[] = [];
  errorCount = 0;

  /** An error outside any class. */
  error(key: string, message: string): void {
    this.errorCount++;
    this.items.push({ severity: 'error', classId: null, key, message });
  }

  warning(key: string, message: string): void {
    this.items.push({ severity: 'warning', classId: null, key, message });
  }

  /** An error in the class at `index` of the file; its place is told by index where `id` is empty. */
  classError(id: string, index: number, key: string, message: string): void {
    this.errorCount++;
    this.addOfClass('error', id, index, key, message);
  }

  classWarning(id: string, index: number, key: string, message: string): void {
    this.addOfClass('warning', id, index, key, message);
  }

  protected addOfClass(
    severity: 'error' | 'warning',
    id: string,
    index: number,
    key: string,
    message: string,
  ): void {
    if (id !== '') this.items.push({ severity, classId: id, key, message });
    else this.items.push({ severity, classId: null, key: `classes[${index}]${key && `.${key}`}`, message });
  }
}

/** What to say of an unknown key, with the known key that was probably meant. */
export function unknownKeyMessage(key: string, known: ReadonlySet<string>): string {
  let best = '';
  let bestDistance = 3;
  for (const candidate of known) {
    const distance = editDistance(key.toLowerCase(), candidate.toLowerCase());
    // A two-letter key is two edits away from any other, so a hint must leave most of the word in place.
    if (distance < bestDistance && distance * 2 <= candidate.length) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best === '' ? 'is not a known key' : `is not a known key; did you mean '${best}'?`;
}

/** Levenshtein's distance, 3 or more counted as 3; only keys of similar length are compared at all. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(substitution, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}

/** A key of the document as it may stand in a one-line message. */
export function printableKey(key: string): string {
  return /^[\w.-]{1,64}$/.test(key) ? key : quoted(key);
}
