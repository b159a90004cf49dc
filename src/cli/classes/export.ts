/** The verb `weir classes export`: from a source to the files of another shaper, or to a tree file. */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeLibreqos } from '../../../classes/formats/libreqos-export.js';
import { writeTc } from '../../../classes/formats/tc-export.js';
import type { ClassTree, Problem } from '../../../classes/model.js';
import { linesOf } from '../../../classes/source/lines.js';
import { openSource } from '../../../classes/source/open.js';
import { usageError, WeirError } from '../../errors.js';
import { printError, printText } from '../output.js';
import { targetOf } from './target.js';
import { assertFree, writeChunks, writeTree } from './write-tree.js';

export interface ExportArguments {
  readonly config?: string;
  readonly format?: string;
  readonly out?: string;
  readonly downDevice?: string;
  readonly upDevice?: string;
  readonly filter?: string;
  readonly force?: boolean;
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
    if (format === 'libreqos') return await exportLibreqos(tree, out!, options.force === true);
    if (format === 'tc') return await exportTc(tree, options);
    await writeTree(tree, out ?? null, options.force === true);
    return await done(out);
  } finally {
    await source.close();
  }
}

async function exportLibreqos(tree: ClassTree, folder: string, force: boolean): Promise<number> {
  const { csv, network, problems } = writeLibreqos(tree);
  report(problems);
  if (csv === null || network === null) return 1;
  const [devices, nodes] = [join(folder, 'ShapedDevices.csv'), join(folder, 'network.json')];
  makeFolder(folder);
  // Both or neither.
  for (const path of [devices, nodes]) assertFree(path, force);
  await writeChunks(devices, [csv], force);
  await writeChunks(nodes, [network], force);
  return done(folder);
}

/** The last folder only: of a longer path that is not there, most is a mistake. Throws E_WRITE. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (cause) {
    const isThere = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    if (!isThere || !statSync(path).isDirectory())
      throw new WeirError('E_WRITE', `${path}: ${(cause as Error).message}`, { cause });
  }
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
  else await writeChunks(options.out, [script], options.force === true);
  return done(options.out);
}

async function done(out: string | undefined): Promise<number> {
  if (out !== undefined) await printText(`written to ${out}\n`);
  return 0;
}

function report(problems: readonly Problem[]): void {
  const { errors, warnings } = linesOf(problems);
  for (const warning of warnings) printError('W_EXPORT', warning);
  for (const error of errors) printError('E_EXPORT', error);
}
