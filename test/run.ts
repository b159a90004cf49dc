/**
 * Runs every `*.test.js` below this folder in a process of its own, two at a time, prints what each
 * printed, and ends with `N passed, N failed`. A file that dies, hangs or runs no test is a failure.
 *
 *   node dist/test/run.js [PART-OF-A-PATH ...]     only the files whose path contains one of these
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const FILE_TIMEOUT_MS = 10 * 60_000;
const root = dirname(fileURLToPath(import.meta.url));
const wanted = process.argv.slice(2);

interface FileResult {
  passed: number;
  failed: number;
  skipped: number;
}

function testFiles(): string[] {
  const all = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.test.js'),
  );
  const chosen = wanted.length === 0 ? all : all.filter((name) => wanted.some((part) => name.includes(part)));
  return chosen.sort();
}

/** Reads uvu's closing lines (`Total:`, `Passed:`, `Skipped:`), which it colours when it may. */
function countOf(output: string, label: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is being removed
  const plain = output.replace(/\u001b\[[0-9;]*m/g, '');
  const found = new RegExp(`^\\s*${label}:\\s+(\\d+)`, 'm').exec(plain);
  return found ? Number(found[1]) : 0;
}

function runFile(name: string): Promise<FileResult> {
  return new Promise((resolve) => {
    const startedMs = Date.now();
    const child = spawn(process.execPath, ['--expose-gc', '--enable-source-maps', join(root, name)], {
      env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    const timer = setTimeout(() => child.kill('SIGKILL'), FILE_TIMEOUT_MS);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const total = countOf(output, 'Total');
      const passed = countOf(output, 'Passed');
      const skipped = countOf(output, 'Skipped');
      let failed = Math.max(0, total - passed);
      if (failed === 0 && (code !== 0 || total + skipped === 0)) failed = 1;
      const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
      const verdict = failed > 0 ? `FAILED (exit ${code ?? signal})` : 'ok';
      process.stdout.write(`--- ${relative('.', name)}  ${seconds} s  ${verdict}\n${output.trimEnd()}\n`);
      resolve({ passed, failed, skipped });
    });
  });
}

const queue = testFiles();
const sum: FileResult = { passed: 0, failed: queue.length === 0 ? 1 : 0, skipped: 0 };

async function drainQueue(): Promise<void> {
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const result = await runFile(name);
    sum.passed += result.passed;
    sum.failed += result.failed;
    sum.skipped += result.skipped;
  }
}

await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, drainQueue));
if (sum.skipped > 0) process.stdout.write(`${sum.skipped} skipped, with the reasons above\n`);
process.stdout.write(`${sum.passed} passed, ${sum.failed} failed\n`);
process.exitCode = sum.failed > 0 ? 1 : 0;
