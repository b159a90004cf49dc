/**
 * A class tree as a tree file, the way an operator would write it: one line a class in JSON, defaults left out, rates and sizes
 * in tc's grammar. Read back it is the same tree.
 */
import type { ClassTree } from '../model.js';
import { type WrittenClass, writtenClass, writtenSettings } from '../written.js';

/** Characters in a chunk, about: enough that a write is worth its call, little beside a tree of a million classes. */
const CHUNK_LENGTH = 65_536;

/** Words that YAML, or older readers of it, take for something other than a string. */
const YAML_WORDS: ReadonlySet<string> = new Set([
  'true',
  'false',
  'null',
  'yes',
  'no',
  'on',
  'off',
  'y',
  'n',
]);

type Value = WrittenClass[string] | WrittenClass;

/** The file's text in chunks, to be written one after the other: a million classes are never one string. */
export function* writeTreeFile(tree: ClassTree, format: 'json' | 'yaml'): Generator<string, void, void> {
  let chunk = '';
  for (const part of format === 'json' ? jsonParts(tree) : yamlParts(tree)) {
    chunk += part;
    if (chunk.length < CHUNK_LENGTH) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk !== '') yield chunk;
}

function* jsonParts(tree: ClassTree): Generator<string, void, void> {
  yield '{\n';
  for (const [key, value] of Object.entries(settingsOf(tree)))
    yield `  ${JSON.stringify(key)}: ${flow(value, JSON.stringify)},\n`;
  yield '  "classes": [';
  let separator = '\n    ';
  for (const spec of tree.classes) {
    yield separator + flow(writtenClass(spec), JSON.stringify);
    separator = ',\n    ';
  }
  yield tree.classes.length === 0 ? ']\n}\n' : '\n  ]\n}\n';
}

function* yamlParts(tree: ClassTree): Generator<string, void, void> {
  for (const [key, value] of Object.entries(settingsOf(tree))) yield `${key}: ${flow(value, yamlText)}\n`;
  yield tree.classes.length === 0 ? 'classes: []\n' : 'classes:\n';
  for (const spec of tree.classes) {
    let indent = '  - ';
    for (const [key, value] of Object.entries(writtenClass(spec))) {
      yield `${indent}${key}: ${flow(value, yamlText)}\n`;
      indent = '    ';
    }
  }
}

function settingsOf(tree: ClassTree): WrittenClass {
  return { version: tree.version, ...writtenSettings(tree) };
}

/** A value on one line, in what JSON and YAML's flow style have in common but for the strings. */
function flow(value: Value, text: (value: string) => string): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return text(value);
  if (Array.isArray(value)) return `[${(value as readonly string[]).map(text).join(', ')}]`;
  const fields = Object.entries(value).map(([key, field]) => `${text(key)}: ${flow(field as Value, text)}`);
  return `{ ${fields.join(', ')} }`;
}

/** Bare where nobody could take it for something else; quoted as JSON does otherwise, with line separators escaped. */
function yamlText(value: string): string {
  if (/^[A-Za-z][\w./-]*$/.test(value) && !YAML_WORDS.has(value.toLowerCase())) return value;
  if (/^\d+(\.\d+){3}(\/\d+)?$/.test(value) || /^\d+[a-z]+$/.test(value)) return value;
  return JSON.stringify(value).replace(/[\u0085\u2028\u2029\ufeff]/g, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
