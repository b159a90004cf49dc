/** Writes a tree file, or standard output, in pieces. */
import { createWriteStream, existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { extname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { writeTreeFile } from '../../../classes/formats/tree-export.js';
import type { ClassTree } from '../../../classes/model.js';
import { usageError, WeirError } from '../../errors.js';
import { printText } from '../output.js';

/** `path` null: standard output, JSON. Throws the usage error E_CLASSES_FORMAT for another ending, and as writeChunks(). */
export async function writeTree(tree: ClassTree, path: string | null, force: boolean): Promise<void> {
  if (path === null) {
    for (const chunk of writeTreeFile(tree, 'json')) await printText(chunk);
    return;
  }
  await writeChunks(path, writeTreeFile(tree, formatOf(path)), force);
}

/**
 * The file is there as a whole or not at all. Throws E_EXISTS when it is there already and `force` is false, and E_WRITE when
 * it cannot be written.
 */
export async function writeChunks(path: string, chunks: Iterable<string>, force: boolean): Promise<void> {
  assertFree(path, force);
  const temporary = `${path}.new`;
  try {
    await pipeline(Readable.from(chunks), createWriteStream(temporary));
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {});
    throw new WeirError('E_WRITE', `${path}: ${(cause as Error).message}`, { cause });
  }
}

/** Throws E_EXISTS for a file that is there, unless `force` is true. */
export function assertFree(path: string, force: boolean): void {
  if (!force && existsSync(path))
    throw new WeirError('E_EXISTS', `${path}: is there already; --force replaces it`);
}

function formatOf(path: string): 'json' | 'yaml' {
  const extension = extname(path).toLowerCase();
  if (extension === '.json') return 'json';
  if (extension === '.yaml' || extension === '.yml') return 'yaml';
  throw usageError('E_CLASSES_FORMAT', `${path}: a class tree file ends in .json, .yaml or .yml`);
}
