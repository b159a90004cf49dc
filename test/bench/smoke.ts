/** Each benchmark with what `--smoke` gives it, and what must hold of any document. */
import * as assert from 'uvu/assert';
import type { BenchDocument } from '../../bench/rig/document.js';
import { documentPage } from '../../bench/rig/page.js';
import { numberText } from '../../bench/rig/tables.js';
import { measureBench } from '../../src/cli/bench.js';
import type { RawOptions } from '../../src/cli/bench-options.js';
import { BENCHES } from '../../src/cli/bench-table.js';

/** As `weir bench NAME --smoke` with these options measures it. The document is sane and can be shown. */
export async function smokeOf(name: string, options: RawOptions = {}): Promise<BenchDocument> {
  const bench = BENCHES.find((each) => each.name === name)!;
  const document = await measureBench(bench, { ...options, smoke: true });
  assertSane(document, 1);
  assertPage(documentPage(document), document);
  return document;
}

/** Something was measured in so many runs, and what was not has its reason. */
export function assertSane(document: BenchDocument, runs: number): void {
  const { bench, points, machine } = document;
  assert.is(document.runs, runs, bench);
  assert.ok(points.length > 0, `${bench}: nothing was measured`);
  assert.ok(machine.cpu.length > 0 && machine.kernel.length > 0 && machine.node === process.version);
  for (const { name, columns } of points) {
    assert.ok(columns.length > 0, `${bench}: ${name}`);
    for (const column of columns) {
      const { missing } = column;
      if (missing !== null) console.log(`  ${bench}: ${column.name} skipped: ${missing}`);
      assert.is(
        Object.keys(column.figures).length > 0,
        missing === null,
        `${bench}: ${name}: ${column.name}`,
      );
    }
  }
}

/** Every median is on it, and it asks nothing of a network. */
export function assertPage(page: string, { bench, measures, machine, points }: BenchDocument): void {
  assert.ok(page.includes(`<h1>weir bench ${bench}</h1>`) && page.includes(machine.kernel));
  assert.not.match(page, /https?:|<script|<link|<img|<iframe|src=|@import|url\((?!#)/i, bench);
  assert.ok(page.includes(measures.replaceAll('"', '&quot;')), bench);
  for (const { columns } of points)
    for (const { figures } of columns)
      for (const { median } of Object.values(figures)) assert.ok(page.includes(numberText(median)), bench);
}

/** The median of a figure; NaN for a column that could not be measured. */
export function medianOf(document: BenchDocument, point: string, column: string, figure: string): number {
  const columns = document.points.find(({ name }) => name === point)?.columns ?? [];
  const found = columns.find(({ name }) => name === column);
  if (found === undefined) throw new Error(`no ${column} at ${point}`);
  return found.figures[figure]?.median ?? Number.NaN;
}
