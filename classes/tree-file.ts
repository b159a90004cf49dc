/**
 * Reads a class tree from text or from a file, JSON or YAML.
 *
 * JSON is the format for machines: a million classes take seconds. YAML is for files written by hand; its parser
 * keeps the whole syntax tree and takes some fifteen times as long per class.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { type Document, parseDocument } from 'yaml';
import { usageError } from '../src/errors.js';
import { placeOf, scanJson } from './json-text.js';
import type { CheckOptions, Problem, TreeResult } from './model.js';
import { printableKey } from './problems.js';
import { consumeClassTree } from './validate.js';

export { formatProblem } from './model.js';
export { parseClassTree } from './validate.js';

/**
 * Parses and validates a text. A syntax error is one problem with line and column and an empty key; a key that stands twice
 * in a map is an error in both formats. Never throws.
 */
export function readClassTreeText(
  text: string,
  format: 'json' | 'yaml',
  options: CheckOptions = {},
): TreeResult {
  const bare = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text; // editors on Windows put a byte order mark first
  return format === 'json' ? readJson(bare, options) : readYaml(bare, options);
}

/**
 * Reads a file by its extension: .json, .yaml or .yml.
 * @throws WeirError with exit code 2: E_CLASSES_FORMAT for another extension, E_CLASSES_READ if the file cannot be read
 */
export function loadClassTreeFile(path: string, options: CheckOptions = {}): TreeResult {
  const extension = extname(path).toLowerCase();
  if (extension !== '.json' && extension !== '.yaml' && extension !== '.yml') {
    throw usageError('E_CLASSES_FORMAT', `${path}: a class tree file ends in .json, .yaml or .yml`);
  }
  const text = readText(path);
  if (text === null) return failed([textProblem('', 'the text is not UTF-8')]);
  return readClassTreeText(text, extension === '.json' ? 'json' : 'yaml', options);
}

/**
 * The text of a file, or null if it is not UTF-8: decoding would put replacement characters into ids.
 * @throws WeirError E_CLASSES_READ, exit code 2
 */
export function readText(path: string): string | null {
  try {
    const bytes = readFileSync(path);
    return isUtf8(bytes) ? bytes.toString('utf8') : null;
  } catch (cause) {
    throw usageError('E_CLASSES_READ', `${path}: ${readFault(cause)}`, cause);
  }
}

/** The system's own message repeats the path. */
function readFault(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : '';
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'is a folder, not a file';
  if (code === 'EACCES') return 'may not be read: permission denied';
  const reason = cause instanceof Error ? cause.message : String(cause);
  return `cannot be read: ${reason.replace(/^\w+: /, '').replace(/, \w+(?: '.*')?$/s, '')}`;
}

function readJson(text: string, options: CheckOptions): TreeResult {
  const scan = scanJson(text, 'classes');
  if (scan.fault !== null) {
    return failed([textProblem('', `${placeOf(text, scan.fault.offset)}: ${scan.fault.message}`)]);
  }
  const duplicates = scan.duplicates.map(({ key, offset }) => duplicateKey(text, offset, key));
  const { list } = scan;
  if (list === null) return withTextProblems(duplicates, consumeClassTree(JSON.parse(text), options));
  // Class by class, because the document of a million would take more memory than all that comes of it.
  const frame = JSON.parse(`${text.slice(0, list.start)}[]${text.slice(list.end)}`) as unknown;
  const classes = {
    length: list.starts.length,
    take: (index: number): unknown => JSON.parse(text.slice(list.starts[index], list.ends[index])),
  };
  return withTextProblems(duplicates, consumeClassTree(frame, options, classes));
}

function readYaml(text: string, options: CheckOptions): TreeResult {
  const problems: Problem[] = [];
  let value: unknown;
  try {
    const document = parseDocument(text, { prettyErrors: false, logLevel: 'error' });
    const syntaxError = document.errors.find((error) => error.code !== 'DUPLICATE_KEY');
    if (syntaxError !== undefined) {
      const place = placeOf(text, syntaxError.pos[0]);
      return failed([textProblem('', `${place}: ${oneLine(syntaxError.message)}`)]);
    }
    addYamlProblems(text, document, problems);
    // Plans shared by an anchor stay shared objects here, so repeated aliases cost nothing and need no bound.
    value = document.toJS({ maxAliasCount: -1 });
  } catch (cause) {
    // The parser throws for an alias to nothing and for nesting that exhausts the stack.
    const reason = cause instanceof Error ? oneLine(cause.message) : String(cause);
    return failed([textProblem('', `line 1, column 1: the YAML cannot be resolved: ${reason}`)]);
  }
  return withTextProblems(problems, consumeClassTree(value, options));
}

function addYamlProblems(text: string, document: Document, problems: Problem[]): void {
  for (const error of document.errors) {
    const key = /^["']?([^\s"':,}\]]*)/.exec(text.slice(error.pos[0], error.pos[0] + 200))![1]!;
    problems.push(duplicateKey(text, error.pos[0], key));
  }
  for (const { pos, message } of document.warnings) {
    const warning = `${placeOf(text, pos[0])}: ${oneLine(message)}`;
    problems.push({ severity: 'warning', classId: null, key: '', message: warning });
  }
}

function withTextProblems(textProblems: readonly Problem[], result: TreeResult): TreeResult {
  if (textProblems.length === 0) return result;
  const valid = textProblems.every((problem) => problem.severity === 'warning');
  return { tree: valid ? result.tree : null, problems: [...textProblems, ...result.problems] };
}

function duplicateKey(text: string, offset: number, key: string): Problem {
  return textProblem(printableKey(key), `${placeOf(text, offset)}: the key stands twice in one map`);
}

function textProblem(key: string, message: string): Problem {
  return { severity: 'error', classId: null, key, message };
}

function failed(problems: readonly Problem[]): TreeResult {
  return { tree: null, problems };
}

function oneLine(message: string): string {
  return message.replace(/\s+/g, ' ').trim();
}
