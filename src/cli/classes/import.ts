/** The verb `weir classes import`: from the files of another shaper to a class tree or a database. */
import { basename, dirname, extname, join } from 'node:path';
import type { ClassTree } from '../../../classes/model.js';
import { type ReadOptions, readFiles } from '../../../classes/source/file-formats.js';
import { linesOf } from '../../../classes/source/lines.js';
import { openSource } from '../../../classes/source/open.js';
import { isStoreUrl, openStore, redactUrl } from '../../../classes/stores/open.js';
import { parseRateBps } from '../../../classes/units.js';
import { usageError } from '../../errors.js';
import { printError, printText } from '../output.js';
import { assertReplaceable } from './replaceable.js';
import { urlOf } from './target.js';
import { writeTree } from './write-tree.js';

export interface ImportArguments {
  readonly format?: string;
  readonly to?: string;
  readonly force?: boolean;
  readonly uplink?: string;
  readonly downDevice?: string;
  readonly upDevice?: string;
}

/** Returns 1 when the files have errors, and nothing is written then; throws WeirError. */
export async function runImport(files: readonly string[], options: ImportArguments): Promise<number> {
  const target = options.to === undefined ? null : targetUrl(options.to);
  const format = (options.format ?? formatOf(files)) as 'tree' | 'libreqos' | 'tc';
  const { tree, problems } = await readFiles(inOrder(files, format), format, readOptions(options));
  const { errors, warnings } = linesOf(problems);
  for (const warning of warnings) printError('W_CLASSES', warning);
  for (const error of errors) printError('E_CLASSES', error);
  if (tree === null) return 1;
  await write(tree, target, options.force === true);
  if (options.to !== undefined)
    await printText(`${tree.classes.length} classes written to ${redactUrl(options.to)}\n`);
  return 0;
}

async function write(tree: ClassTree, target: string | null, force: boolean): Promise<void> {
  if (target === null) {
    await writeTree(tree, null, force);
    return;
  }
  if (isStoreUrl(target)) await fillStore(tree, target, force);
  else await writeTree(tree, target.replace(/^file:/, ''), force);
}

async function fillStore(tree: ClassTree, url: string, force: boolean): Promise<void> {
  const store = openStore(url);
  try {
    await store.createSchema();
    if (!force) await assertReplaceable(store);
    await store.writeTree(tree);
  } finally {
    await store.close();
  }
}

/** Throws the usage error E_SOURCE for what is neither a file nor a database, before anything is read. */
function targetUrl(to: string): string {
  const url = urlOf(to);
  if (!isStoreUrl(url) && !url.startsWith('file:')) openSource({ url, queries: {} });
  return url;
}

/** By the first name that tells. */
function formatOf(files: readonly string[]): string {
  if (files.some((path) => extname(path).toLowerCase() === '.csv')) return 'libreqos';
  const isTree = files.every((path) => ['.json', '.yaml', '.yml'].includes(extname(path).toLowerCase()));
  if (!isTree) return 'tc';
  if (files.some((path) => basename(path) === 'network.json'))
    throw usageError('E_USAGE', 'network.json says nothing without its ShapedDevices.csv');
  return 'tree';
}

/** LibreQoS's two files in their order; the second is looked for beside the first. */
function inOrder(files: readonly string[], format: string): readonly string[] {
  if (format === 'tc') return files;
  const most = format === 'tree' ? 1 : 2;
  if (files.length > most) throw usageError('E_USAGE', `${format}: ${files.length} files, ${most} at most`);
  if (format === 'tree') return files;
  const devices = files.find((path) => extname(path).toLowerCase() === '.csv') ?? files[0]!;
  const network = files.find((path) => path !== devices) ?? join(dirname(devices), 'network.json');
  return [devices, network];
}

function readOptions({ uplink, downDevice, upDevice }: ImportArguments): ReadOptions {
  if ((downDevice === undefined) !== (upDevice === undefined))
    throw usageError('E_USAGE', '--down-device and --up-device are given together');
  return {
    isStrict: true,
    ...(uplink === undefined ? {} : { uplink: uplinkOf(uplink) }),
    ...(downDevice === undefined ? {} : { devices: { downDevice, upDevice: upDevice! } }),
  };
}

function uplinkOf(text: string): NonNullable<ReadOptions['uplink']> {
  const [, id, down, up] = /^([^=]+)=([^/]+)(?:\/(.+))?$/.exec(text) ?? [];
  const downBps = parseRateBps(down);
  const upBps = parseRateBps(up ?? down);
  if (id === undefined || typeof downBps === 'string' || typeof upBps === 'string')
    throw usageError('E_USAGE', `--uplink must be like uplink=10gbit/1gbit, not '${text}'`);
  return { id, downBps, upBps };
}
