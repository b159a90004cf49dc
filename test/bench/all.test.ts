/** `weir bench all --smoke`: every benchmark runs, and writes pages that need no network. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { BenchDocument } from '../../bench/rig/document.js';
import { numberText } from '../../bench/rig/tables.js';
import { BENCHES } from '../../src/cli/bench-table.js';
import { whyNoXdp } from '../netns/namespaces.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** Some ten seconds of work, on machines that have much else to do. */
const TIMEOUT_MS = 8 * 60_000;
/** They make networks, which not every machine lets them. */
const ON_A_WIRE = ['inline', 'latency', 'accuracy', 'agree', 'churn'];

const test = suite('weir bench all');

interface All {
  readonly bench: string;
  readonly documents: readonly BenchDocument[];
  readonly notRun: readonly { readonly bench: string; readonly reason: string }[];
}

function assertSane(document: BenchDocument, runs: number): void {
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

function assertPage(page: string, { bench, measures, machine, points }: BenchDocument): void {
  assert.ok(page.includes(`<h1>weir bench ${bench}</h1>`) && page.includes(machine.kernel));
  assert.not.match(page, /https?:|<script|<link|<img|<iframe|src=|@import|url\((?!#)/i, bench);
  assert.ok(page.includes(measures.replaceAll('"', '&quot;')), bench);
  for (const { columns } of points)
    for (const { figures } of columns)
      for (const { median } of Object.values(figures)) assert.ok(page.includes(numberText(median)), bench);
}

test('in miniature, with pages', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-all-'));
  try {
    const args = [MAIN, 'bench', 'all', '--smoke', '--json', '--out', folder];
    const options = { encoding: 'utf8', timeout: TIMEOUT_MS, maxBuffer: 2 ** 26 } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, args, options);
    const { bench, documents, notRun } = JSON.parse(stdout) as All;
    assert.is(bench, 'all');
    const ran = documents.map((document) => document.bench);
    const names = BENCHES.map(({ name }) => name);
    assert.equal([...ran, ...notRun.map((each) => each.bench)].sort(), [...names].sort(), stderr);
    // What did not run is told of, has a reason, and is one of those that need more than a processor.
    for (const each of notRun) console.log(`  ${each.bench} skipped: ${each.reason}`);
    assert.is(status, notRun.length === 0 ? 0 : 1, stderr);
    assert.is(stderr.trim() === '' ? 0 : stderr.trim().split('\n').length, notRun.length);
    if (whyNoXdp() === null) assert.equal(notRun, []);
    else assert.ok(notRun.every((each) => ON_A_WIRE.includes(each.bench)));

    const files = ran.flatMap((name) => [`${name}.html`, `${name}.json`]);
    assert.equal(readdirSync(folder).sort(), [...files, 'index.html'].sort());
    const index = readFileSync(join(folder, 'index.html'), 'utf8');
    for (const document of documents) {
      assertSane(document, 1);
      const written = JSON.parse(
        readFileSync(join(folder, `${document.bench}.json`), 'utf8'),
      ) as BenchDocument;
      assert.equal(written, document);
      assertPage(readFileSync(join(folder, `${document.bench}.html`), 'utf8'), document);
      assert.ok(index.includes(`href="${document.bench}.html"`));
    }
    for (const each of notRun) assert.ok(index.includes(`${each.bench}: not run`));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test.run();
