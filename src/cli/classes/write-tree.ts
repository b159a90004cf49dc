/** Writes a tree file, or standard output, in pieces. */
import { createWriteStream } from 'node:fs';
import { extname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { writeTreeFile } from '../../../classes/formats/tree-export.js';
import type { ClassTree } from '../../../classes/model.js';
import { usageError, WeirError } from '../../errors.js';
import { printText } from '../output.js';

/** `path` null: standard output, JSON. Throws the usage error E_CLASSES_FORMAT for another ending, and E_WRITE. */
export async function writeTree(tree: ClassTree, path: string | null): Promise<void> {
  if (path === null) {
    for (const chunk of writeTreeFile(tree, 'json')) await printText(chunk);
    return;
  }
  await writeChunks(path, writeTreeFile(tree, formatOf(path)));
}

/** Throws E_WRITE. */
export async function writeChunks(path: string, chunks: Iterable<string>): Promise<void> {
  try {
    await pipeline(Readable.from(chunks), createWriteStream(path));
  } catch (cause) {
    throw new WeirError('E_WRITE', `${path}: ${(cause as Error).message}`, { cause });
  }
}

function formatOf(path: string): 'json' | 'yaml' {
  const extension = extname(path).toLowerCase();
  if (extension === '.json') return 'json';
  if (extension === '.yaml' || extension === '.yml') return 'yaml';
  throw usageError('E_CLASSES_FORMAT', `${path}: a class tree file ends in .json, .yaml or .yml`);
}
