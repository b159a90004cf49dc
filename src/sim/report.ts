/** The result of a run as a table for people. */
import type { ClassSpec, ClassTree } from '../../classes/model.js';
import type { DirectionResult, Percentiles, SimResult } from './result.js';
import type { Scenario } from './scenario.js';

const HEADINGS = ['class', 'dir', 'offered', 'goodput', 'of ceil', 'drops', 'marks', 'p50', 'p99'];
const FLOW_HEADINGS = ['flows of', 'dir', 'flows', 'offered', 'goodput', 'fairness', 'p50', 'p99'];
/** The class's and the direction's names stand left, figures right. */
const TEXT_COLUMNS = 2;
const INDENT = '  ';
const DIRECTION_KEYS = ['down', 'up'] as const;

/**
 * One line a class and direction with traffic, children indented below their parents; rates in bit/s, `of ceil`
 * against the ceil of the last tree published, delays from a packet's arrival to its departure. Then one line for each
 * entry of the scenario's flows, if these are more than the classes' directions.
 */
export function formatReport(scenario: Scenario, result: SimResult): string {
  const tree = scenario.changes.at(-1)?.tree ?? scenario.tree;
  const rows: string[][] = [HEADINGS];
  const listed = new Set<string>();
  for (const { spec, depth } of inTreeOrder(tree)) {
    listed.add(spec.id);
    addRows(rows, result, spec.id, INDENT.repeat(depth) + spec.id, spec);
  }
  for (const id of Object.keys(result.classes))
    if (!listed.has(id)) addRows(rows, result, id, `${id} (gone)`, null);
  const { queues, seconds, seed } = result;
  const title = `${queues} ${queues === 1 ? 'queue' : 'queues'}, ${seconds} s of virtual time, seed ${seed}`;
  return `${title}\n\n${layOut(rows)}${flowTable(scenario, result)}`;
}

function flowTable({ flows, seconds }: Scenario, result: SimResult): string {
  const directions = new Set(flows.map(({ classId, direction }) => `${direction} ${classId}`));
  if (directions.size === flows.length && flows.every(({ tuples }) => tuples === 1)) return '';
  const rows = result.flows.map((figures, i) => {
    const { sizeBytes, tuples } = flows[i]!;
    return [
      figures.class,
      figures.direction,
      String(tuples),
      formatBps((figures.offeredPackets * sizeBytes * 8) / seconds),
      formatBps(figures.goodputBps),
      figures.fairness === null ? '-' : figures.fairness.toFixed(3),
      ...delayCells(figures.delayMs),
    ];
  });
  return `\n${layOut([FLOW_HEADINGS, ...rows])}`;
}

function addRows(
  rows: string[][],
  result: SimResult,
  id: string,
  label: string,
  spec: ClassSpec | null,
): void {
  for (const direction of DIRECTION_KEYS) {
    const figures = result.classes[id]?.[direction];
    if (figures !== undefined)
      rows.push([label, direction, ...cells(figures, spec?.[direction]?.ceilBps ?? null)]);
  }
}

function cells(figures: DirectionResult, ceilBps: number | null): string[] {
  return [
    formatBps(figures.offeredBps),
    formatBps(figures.goodputBps),
    ceilBps === null ? '-' : `${((100 * figures.goodputBps) / ceilBps).toFixed(1)} %`,
    String(figures.drops),
    String(figures.marks),
    ...delayCells(figures.delayMs),
  ];
}

function delayCells({ p50, p99 }: Percentiles): string[] {
  return [p50, p99].map((ms) => (ms === null ? '-' : formatMs(ms)));
}

/** Parents before their children, children next to each other: as one would draw the tree. */
function inTreeOrder(tree: ClassTree): { spec: ClassSpec; depth: number }[] {
  const children = new Map<string | null, ClassSpec[]>();
  for (const spec of tree.classes) {
    const siblings = children.get(spec.parent);
    if (siblings === undefined) children.set(spec.parent, [spec]);
    else siblings.push(spec);
  }
  const ordered: { spec: ClassSpec; depth: number }[] = [];
  const visit = (parent: string | null, depth: number): void => {
    for (const spec of children.get(parent) ?? []) {
      ordered.push({ spec, depth });
      visit(spec.id, depth + 1);
    }
  };
  visit(null, 0);
  return ordered;
}

function layOut(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) =>
    rows.reduce((width, row) => Math.max(width, row[column]!.length), 0),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column < TEXT_COLUMNS ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join('  '),
  );
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

function formatBps(bps: number): string {
  if (bps >= 1e9) return `${(bps / 1e9).toFixed(2)} Gbit`;
  if (bps >= 1e6) return `${(bps / 1e6).toFixed(2)} Mbit`;
  return `${(bps / 1e3).toFixed(1)} kbit`;
}

function formatMs(ms: number): string {
  if (ms < 0.01) return '<0.01 ms';
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(1)} ms`;
}
