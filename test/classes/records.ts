/** Canonical tables and shorthands that the tests of compile, book and source share. */
import * as assert from 'uvu/assert';
import { type CompileResult, compile } from '../../classes/compile.js';
import { type ClassSpec, type ClassTree, formatProblem } from '../../classes/model.js';
import type { RecordRow, RecordSet } from '../../classes/records.js';

export const NOW_MS = Date.UTC(2026, 0, 31, 12);
export const NOW_SECONDS = NOW_MS / 1000;

export interface Tables {
  settings: RecordRow[];
  plans: RecordRow[];
  sites: RecordRow[];
  subscribers: RecordRow[];
  addresses: RecordRow[];
}

/** Valid tables: two sites below an uplink, two plans, three subscribers. */
export function sampleTables(): Tables {
  return {
    settings: [{ default_class: 'guests', overhead_bytes: 24, mpu_bytes: 64 }],
    plans: [
      {
        id: 'gold',
        down_rate: '10mbit',
        down_ceil: '100mbit',
        up_rate: 2_000_000,
        up_ceil: '40mbit',
        leaf: 'pfifo',
      },
      { id: 'free', down_ceil: '5mbit', up_ceil: '1mbit', limit_packets: 50 },
    ],
    sites: [
      { id: 'house', parent: 'uplink', down_rate: '1gbit', down_ceil: '2gbit' },
      { id: 'uplink', parent: null, down_rate: '5gbit', up_rate: '1gbit' },
    ],
    subscribers: [
      { id: 'u1', site: 'house', plan: 'gold', expires_at: null },
      { id: 'u2', site: 'house', plan: 'gold', expires_at: null, down_rate: '20mbit' },
      { id: 'guests', site: 'uplink', plan: 'free', expires_at: null },
    ],
    addresses: [
      { subscriber: 'u1', address: '10.0.0.5' },
      { subscriber: 'u1', address: '2001:db8:42::/56' },
      { subscriber: 'u2', address: '10.0.0.6' },
    ],
  };
}

export function recordsOf(tables: Partial<RecordSet>): RecordSet {
  return { settings: [], plans: [], sites: [], subscribers: [], addresses: [], ...tables };
}

export function linesOf({ problems }: Pick<CompileResult, 'problems'>): string[] {
  return problems.map((problem) => `${problem.severity}: ${formatProblem(problem)}`);
}

export function treeOf(result: CompileResult): ClassTree {
  if (result.tree === null) throw new Error(linesOf(result).join('\n'));
  return result.tree;
}

export function classOf(tree: ClassTree, id: string): ClassSpec {
  const spec = tree.classes.find((one) => one.id === id);
  if (spec === undefined) throw new Error(`no class ${id}`);
  return spec;
}

/** A tree with its classes by id, for trees that are the same but for their order. */
export function byId(tree: ClassTree | null): unknown {
  if (tree === null) return null;
  const sorted = [...tree.classes].sort((a, b) => (a.id < b.id ? -1 : 1));
  return { ...tree, classes: sorted };
}

/** Compiles the sample with an edit and asserts that it yields exactly these lines, in any order. */
export function expectLines(edit: (tables: Tables) => void, ...lines: string[]): void {
  const tables = sampleTables();
  edit(tables);
  const result = compile(tables, NOW_MS);
  assert.equal(linesOf(result).sort(), [...lines].sort());
  assert.is(
    result.tree === null,
    lines.some((line) => line.startsWith('error')),
  );
}
