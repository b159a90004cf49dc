/** Documents and shorthands that the tests of this folder share. */
import { type ClassTree, formatProblem, type TreeResult } from '../../classes/model.js';
import { parseClassTree } from '../../classes/validate.js';

/** A valid tree that uses every key; its parents stand before their children. */
export function sampleDocument(): Record<string, unknown> {
  return {
    version: 1,
    default: 'guests',
    overhead: 24,
    mpu: 64,
    linklayer: 'atm',
    target: '8ms',
    interval: 120_000,
    ecn: false,
    isolate: 'dual',
    classes: [
      { id: 'uplink', down: { rate: '5gbit' }, up: { rate: '1gbit' } },
      { id: 'house', parent: 'uplink', down: { rate: '1gbit', ceil: '2gbit', quantum: 3000 } },
      {
        id: 'u42',
        parent: 'house',
        match: ['10.0.0.5', '2001:db8:42::/56'],
        leaf: 'pfifo',
        limit: 500,
        limitBytes: '1mb',
        down: { rate: '10mbit', ceil: '100mbit', burst: '64kb', cburst: 3200, prio: 3 },
        up: { rate: '2mbit', ceil: '40mbit' },
      },
      { id: 'u43', parent: 'house', match: '10.0.0.6', down: { rate: '10mbit' } },
      { id: 'guests', parent: 'uplink', down: { ceil: '1gbit' }, up: { ceil: '100mbit' } },
    ],
  };
}

/** A document of the given classes. */
export function documentOf(...classes: unknown[]): unknown {
  return { version: 1, classes };
}

/** The problems of a document as lines, errors and warnings told apart by their first word. */
export function linesOf(result: TreeResult): string[] {
  return result.problems.map((problem) => `${problem.severity}: ${formatProblem(problem)}`);
}

export function treeOf(value: unknown): ClassTree {
  const result = parseClassTree(value);
  if (result.tree === null) throw new Error(linesOf(result).join('\n'));
  return result.tree;
}

/** A chain of classes c1 ← c2 ← … of the given depth. */
export function chain(depth: number): unknown[] {
  return Array.from({ length: depth }, (_, i) =>
    i === 0 ? { id: 'c1' } : { id: `c${i + 1}`, parent: `c${i}` },
  );
}
