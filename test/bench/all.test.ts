/**
 * `weir bench all`: documents, pages and an index of those that run, a reason for those that do not, exit codes. The
 * benchmarks themselves have their own tests, each with what --smoke gives it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { BenchDocument } from '../../bench/rig/document.js';
import { readSettings } from '../../src/cli/bench-options.js';
import { BENCHES } from '../../src/cli/bench-table.js';
import { assertPage, assertSane } from './smoke.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** A few seconds of work, on machines that have much else to do. */
const TIMEOUT_MS = 4 * 60_000;

const test = suite('weir bench all');

interface All {
  readonly bench: string;
  readonly documents: readonly BenchDocument[];
  readonly notRun: readonly { readonly bench: string; readonly reason: string }[];
}

interface Ran extends All {
  readonly status: number | null;
  readonly stderr: string;
}

/** Runs it with a folder for the pages, and hands both to `check`. */
function withAll(args: readonly string[], env: NodeJS.ProcessEnv, check: (ran: Ran, folder: string) => void) {
  const folder = mkdtempSync(join(tmpdir(), 'weir-all-'));
  try {
    const command = [MAIN, 'bench', 'all', '--smoke', '--json', '--out', folder, ...args];
    const options = { encoding: 'utf8', timeout: TIMEOUT_MS, maxBuffer: 2 ** 26 } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, command, { ...options, env });
    check({ ...(JSON.parse(stdout) as All), status, stderr }, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('documents, pages that need no network, and an index', () =>
  withAll(['--only', 'flows,core'], process.env, ({ bench, documents, notRun, status, stderr }, folder) => {
    assert.equal([bench, status, stderr], ['all', 0, '']);
    // In the order in which they always run.
    const ran = documents.map((document) => document.bench);
    assert.equal([ran, notRun], [['core', 'flows'], []]);
    const files = ran.flatMap((name) => [`${name}.html`, `${name}.json`]);
    assert.equal(readdirSync(folder).sort(), [...files, 'index.html'].sort());
    const index = readFileSync(join(folder, 'index.html'), 'utf8');
    for (const document of documents) {
      assertSane(document, 1);
      const written = readFileSync(join(folder, `${document.bench}.json`), 'utf8');
      assert.equal(JSON.parse(written), document);
      assertPage(readFileSync(join(folder, `${document.bench}.html`), 'utf8'), document);
      assert.ok(index.includes(`href="${document.bench}.html"`));
    }
  }));

test('one that cannot run is told of and has a reason; the others run, and the exit code is 1', () =>
  // No make, no tc: nothing can be put on a wire.
  withAll(['--only', 'agree,flows'], { PATH: '/nonexistent' }, (all, folder) => {
    const { documents, notRun, status, stderr } = all;
    assert.is(status, 1, stderr);
    assert.equal(
      documents.map(({ bench }) => bench),
      ['flows'],
    );
    const [{ bench, reason }] = notRun as [{ bench: string; reason: string }];
    assert.is(bench, 'agree');
    assert.match(stderr, /^weir: E_[A-Z_]+: bench agree: [^\n]+\n$/);
    assert.ok(stderr.includes(reason));
    assert.ok(readFileSync(join(folder, 'index.html'), 'utf8').includes('agree: not run'));
  }));

test('every benchmark takes its defaults and what --smoke gives it', () => {
  for (const { options } of BENCHES) for (const isSmoke of [false, true]) readSettings(options, {}, isSmoke);
});

test.run();
