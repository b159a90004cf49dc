/** The daemon's classes as their source has them, and the policy for unknown traffic worked into them. */
import type { ClassTree } from '../../classes/model.js';
import type { ClassSource, SourceResult } from '../../classes/source/source.js';

/**
 * Loads the classes. `unknownClass` is the leaf for IP traffic of no class, or null; a default in the tree goes before it.
 * Throws what loading throws.
 */
export async function readClasses(
  source: ClassSource,
  unknownClass: string | null,
  nowMs: number,
): Promise<SourceResult> {
  const result = await source.load(nowMs);
  const { tree } = result;
  if (tree === null || unknownClass === null) return result;
  const fault = unknownFault(tree, unknownClass);
  if (fault !== null) return { ...result, tree: null, errors: [`${source.label}: ${fault}`] };
  return { ...result, tree: { ...tree, defaultClass: tree.defaultClass ?? unknownClass } };
}

function unknownFault(tree: ClassTree, id: string): string | null {
  if (!tree.classes.some((spec) => spec.id === id)) return `unknown.class: '${id}' is not the id of a class`;
  if (tree.classes.some((spec) => spec.parent === id)) return `unknown.class: '${id}' has classes below it`;
  return null;
}
