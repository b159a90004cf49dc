/** Which files a path stands for, by its ending, and how they become a class tree. */
import { existsSync, statSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { usageError } from '../../src/errors.js';
import type { FormatResult } from '../formats/result.js';
import type { CheckOptions, Problem, TreeResult } from '../model.js';
import { loadClassTreeFile, readText } from '../tree-file.js';
import { consumeClassTree } from '../validate.js';

export interface ReadOptions {
  /** See CheckOptions.strict. */
  readonly isStrict?: boolean;
  /** The class that LibreQoS's circuits without a node go below. */
  readonly uplink?: { readonly id: string; readonly downBps: number; readonly upBps: number };
  /** The devices of tc's scripts, where their filters do not tell which is which. */
  readonly devices?: { readonly downDevice: string; readonly upDevice: string };
}

export type FileFormat = 'tree' | 'libreqos' | 'tc';

/** What a path stands for. */
export interface FileSet {
  readonly format: FileFormat;
  /** All files that the classes depend on, whether they are there or not. */
  readonly paths: readonly string[];
}

/** The files of a path, told by its ending. Throws a usage error, E_CLASSES_FORMAT, for one that is not known. */
export function filesOf(path: string): FileSet {
  if (path === '')
    throw usageError('E_CLASSES_FORMAT', "the name of the file is empty; give one, as in 'file:tree.yaml'");
  switch (extname(path).toLowerCase()) {
    case '.json':
    case '.yaml':
    case '.yml':
      return { format: 'tree', paths: [path] };
    case '.csv':
      return { format: 'libreqos', paths: [path, join(dirname(path), 'network.json')] };
    case '.tc':
    case '.batch':
    case '.sh':
      return { format: 'tc', paths: [path] };
    default:
      if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
        throw usageError('E_CLASSES_FORMAT', `${path}: is a folder, not a file`);
      throw usageError(
        'E_CLASSES_FORMAT',
        `${path}: classes come from a tree file (.json, .yaml, .yml), LibreQoS's ShapedDevices.csv (.csv) or a script of tc (.tc, .batch, .sh)`,
      );
  }
}

/**
 * Reads files of a format whatever their names end in: the tree file; LibreQoS's devices and then its network, which need not
 * be there; any number of tc's scripts.
 * @throws WeirError with exit code 2: E_CLASSES_READ for a file that cannot be read, E_CLASSES_FORMAT for the ending of a tree file
 */
export async function readFiles(
  paths: readonly string[],
  format: FileFormat,
  options: ReadOptions = {},
): Promise<TreeResult> {
  switch (format) {
    case 'tree':
      return readTreeFile(paths[0]!, options);
    case 'libreqos':
      return readLibreqosFiles(paths[0]!, paths[1] ?? null, options);
    case 'tc':
      return readTcFiles(paths, options);
  }
}

/** What is wrong with it stands in the file. */
function readTreeFile(path: string, options: ReadOptions): TreeResult {
  const { tree, problems } = loadClassTreeFile(path, checkOf(options));
  const place = ({ classId }: Problem): string => (classId === null ? path : `${path}: class '${classId}'`);
  return { tree, problems: problems.map((problem) => ({ ...problem, place: place(problem) })) };
}

// The readers of foreign formats are loaded when they are needed: a daemon on a database starts without them.

async function readLibreqosFiles(
  devices: string,
  networkPath: string | null,
  options: ReadOptions,
): Promise<TreeResult> {
  const { readLibreqos } = await import('../formats/libreqos-import.js');
  const csv = readText(devices);
  if (csv === null) return notUtf8(devices);
  const networkName = networkPath ?? 'network.json';
  let network: string | null = null;
  if (networkPath !== null && existsSync(networkPath)) {
    network = readText(networkPath);
    if (network === null) return notUtf8(networkPath);
  }
  const files = { csv, csvName: devices, network, networkName };
  return checked(
    readLibreqos(files, options.uplink === undefined ? {} : { uplink: options.uplink }),
    options,
  );
}

async function readTcFiles(paths: readonly string[], options: ReadOptions): Promise<TreeResult> {
  const { readTc } = await import('../formats/tc-import.js');
  const scripts: { name: string; text: string }[] = [];
  for (const name of paths) {
    const text = readText(name);
    if (text === null) return notUtf8(name);
    scripts.push({ name, text });
  }
  return checked(readTc(scripts, options.devices ?? 'auto'), options);
}

async function checked(result: FormatResult, options: ReadOptions): Promise<TreeResult> {
  if (result.document === null) return { tree: null, problems: result.problems };
  const { placed } = await import('../formats/result.js');
  const { tree, problems } = consumeClassTree(result.document, checkOf(options));
  return { tree, problems: [...result.problems, ...placed(problems, result)] };
}

function checkOf(options: ReadOptions): CheckOptions {
  return { strict: options.isStrict === true };
}

function notUtf8(path: string): TreeResult {
  const problem: Problem = {
    severity: 'error',
    classId: null,
    place: path,
    key: '',
    message: 'the text is not UTF-8',
  };
  return { tree: null, problems: [problem] };
}
