/** Where the daemon's class tree comes from, and the policy for unknown traffic worked into it. */

import type { ClassTree } from '../../classes/model.js';
import { formatProblem, loadClassTreeFile } from '../../classes/tree-file.js';
import { usageError } from '../errors.js';

export interface SourceResult {
  /** Null exactly when there are errors. */
  readonly tree: ClassTree | null;
  /** One line each, with the file. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Reads the classes. `unknownClass` is the leaf for IP traffic of no class, or null; a default in the tree goes before it.
 * Throws the usage errors E_SOURCE for a kind of source that this build does not have, and E_CLASSES_READ or
 * E_CLASSES_FORMAT for a file that cannot be read.
 */
export function readClasses(source: string, unknownClass: string | null): SourceResult {
  const [, kind, rest] = /^([a-z]+):(.*)$/s.exec(source) ?? [null, source, ''];
  if (kind !== 'file')
    throw usageError(
      'E_SOURCE',
      `classes.source: this build does not support '${kind}:'; it reads 'file:tree.yaml'`,
    );
  const path = rest!;
  const { tree, problems } = loadClassTreeFile(path);
  const lines = (severity: string): string[] =>
    problems
      .filter((problem) => problem.severity === severity)
      .map((problem) => `${path}: ${formatProblem(problem)}`);
  const errors = lines('error');
  const warnings = lines('warning');
  if (tree === null) return { tree, errors, warnings };
  if (unknownClass === null) return { tree, errors, warnings };
  const fault = unknownFault(tree, unknownClass);
  if (fault !== null) return { tree: null, errors: [`${path}: ${fault}`], warnings };
  return { tree: { ...tree, defaultClass: tree.defaultClass ?? unknownClass }, errors, warnings };
}

function unknownFault(tree: ClassTree, id: string): string | null {
  if (!tree.classes.some((spec) => spec.id === id)) return `unknown.class: '${id}' is not the id of a class`;
  if (tree.classes.some((spec) => spec.parent === id)) return `unknown.class: '${id}' has classes below it`;
  return null;
}
