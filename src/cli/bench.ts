/** The verb `weir bench`: reads the options, runs benchmarks, prints and writes what they return. */
import type { Verdict } from '../../bench/canary.js';
import type { BenchDocument } from '../../bench/rig/document.js';
import type { NotRun } from '../../bench/rig/page.js';
import { documentText } from '../../bench/rig/text.js';
import { WeirError } from '../errors.js';
import { type RawOptions, readSettings, whole } from './bench-options.js';
import { ALL_OPTIONS, BENCHES, type Bench } from './bench-table.js';
import { printError, printJson, printText } from './output.js';

const RUNS_MAX = 100;
const COMMON = { runs: whole('', 1, RUNS_MAX, { fallback: 5, smoke: 1 }) };

export async function runBench(bench: Bench, raw: RawOptions): Promise<number> {
  const document = await measureBench(bench, raw);
  await writeTo(raw, document);
  await (raw.json === true ? printJson(document) : printText(documentText(document)));
  return isGood(document, raw) ? 0 : 1;
}

/** What --smoke measures is too little to be judged. */
function isGood(document: BenchDocument & { verdict?: Verdict }, { smoke }: RawOptions): boolean {
  return smoke === true || document.verdict?.withinBounds !== false;
}

/** One that fails does not keep the others from running: it is told of, and the exit code is 1. */
export async function runAllBenches(raw: RawOptions): Promise<number> {
  const { only } = readSettings(ALL_OPTIONS, raw, false);
  const documents: BenchDocument[] = [];
  const notRun: NotRun[] = [];
  for (const bench of BENCHES) {
    if (only.length > 0 && !only.includes(bench.name)) continue;
    try {
      const document = await measureBench(bench, raw);
      documents.push(document);
      await writeTo(raw, document);
      if (raw.json !== true) await printText(`${documentText(document)}\n`);
    } catch (error) {
      if (!(error instanceof WeirError) || error.exitCode === 2) throw error;
      notRun.push({ bench: bench.name, reason: error.message });
      printError(error.code, `bench ${bench.name}: ${error.message}`);
    }
  }
  if (raw.out !== undefined) {
    const { writeIndex } = await import('../../bench/rig/page.js');
    await writeIndex(String(raw.out), documents, notRun);
  }
  if (raw.json === true) await printJson({ bench: 'all', documents, notRun });
  return notRun.length === 0 && documents.every((document) => isGood(document, raw)) ? 0 : 1;
}

/** The library that draws is loaded only when something is drawn. */
async function writeTo(raw: RawOptions, document: BenchDocument): Promise<void> {
  if (raw.out === undefined) return;
  const { writePage } = await import('../../bench/rig/page.js');
  await writePage(String(raw.out), document);
}

/** With the options as commander hands them out; what is left out has its default, or what --smoke takes. */
export async function measureBench(bench: Bench, raw: RawOptions): Promise<BenchDocument> {
  const smoke = raw.smoke === true;
  const settings = {
    ...readSettings(bench.options, raw, smoke),
    ...readSettings(COMMON, raw, smoke),
    smoke,
    tell: (line: string) => {
      if (process.stderr.isTTY) process.stderr.write(`weir bench ${bench.name}: ${line}\n`);
    },
  };
  return bench.run(settings as never);
}
