/** The verb `weir classes export`: from a source to the files of another shaper, or to a tree file. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeLibreqos } from '../../../classes/formats/libreqos-export.js';
import { writeTc } from '../../../classes/formats/tc-export.js';
import type { ClassTree, Problem } from '../../../classes/model.js';
import { linesOf } from '../../../classes/source/lines.js';
import { openSource } from '../../../classes/source/open.js';
import { usageError } from '../../errors.js';
import { printError, printText } from '../output.js';
import { targetOf } from './target.js';
import { writeChunks, writeTree } from './write-tree.js';

export interface ExportArguments {
  readonly config?: string;
  readonly format?: string;
  readonly out?: string;
  readonly downDevice?: string;
  readonly upDevice?: string;
  readonly filter?: string;
}

/** Returns 1 when the source has errors or the format cannot take it, and nothing is written then; throws WeirError. */
export async function runExport(name: string | undefined, options: ExportArguments): Promise<number> {
  const { format, out } = options;
  if (format === 'libreqos' && out === undefined)
    throw usageError('E_USAGE', '--format libreqos needs --out, the folder of its two files');
  const source = openSource(targetOf(name, options.config));
  try {
    const { tree, errors, warnings } = await source.load(Date.now());
    for (const warning of warnings) printError('W_CLASSES', warning);
    for (const error of errors) printError('E_CLASSES', error);
    if (tree === null) return 1;
    if (format === 'libreqos') return await exportLibreqos(tree, out!);
    if (format === 'tc') return await exportTc(tree, options);
    await writeTree(tree, out ?? null);
    return 0;
  } finally {
    await source.close();
  }
}

async function exportLibreqos(tree: ClassTree, folder: string): Promise<number> {
  const { csv, network, problems } = writeLibreqos(tree);
  report(problems);
  if (csv === null || network === null) return 1;
  mkdirSync(folder, { recursive: true });
  await writeChunks(join(folder, 'ShapedDevices.csv'), [csv]);
  await writeChunks(join(folder, 'network.json'), [network]);
  return 0;
}

async function exportTc(tree: ClassTree, options: ExportArguments): Promise<number> {
  const { script, problems } = writeTc(tree, {
    downDevice: options.downDevice!,
    upDevice: options.upDevice!,
    filter: options.filter as 'flower' | 'u32',
  });
  report(problems);
  if (script === null) return 1;
  if (options.out === undefined) await printText(script);
  else await writeChunks(options.out, [script]);
  return 0;
}

function report(problems: readonly Problem[]): void {
  const { errors, warnings } = linesOf(problems);
  for (const warning of warnings) printError('W_EXPORT', warning);
  for (const error of errors) printError('E_EXPORT', error);
}
