/**
 * A class tree as a tree file, the way an operator would write it: one line a class in JSON, defaults left out, rates and sizes
 * in tc's grammar. Read back it is the same tree.
 */
import {
  type ClassSpec,
  type ClassTree,
  type DirectionSpec,
  defaultBurstBytes,
  defaultQuantumBytes,
  LIMIT_DEFAULT_PACKETS,
} from '../model.js';
import { formatRate, formatSize } from '../units.js';

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

type Value = string | number | readonly string[] | Fields;
type Fields = ReadonlyMap<string, Value>;

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
  for (const [key, value] of settingsOf(tree))
    yield `  ${JSON.stringify(key)}: ${flow(value, JSON.stringify)},\n`;
  yield '  "classes": [';
  let separator = '\n    ';
  for (const spec of tree.classes) {
    yield separator + flow(fieldsOf(spec), JSON.stringify);
    separator = ',\n    ';
  }
  yield tree.classes.length === 0 ? ']\n}\n' : '\n  ]\n}\n';
}

function* yamlParts(tree: ClassTree): Generator<string, void, void> {
  for (const [key, value] of settingsOf(tree)) yield `${key}: ${flow(value, yamlText)}\n`;
  yield tree.classes.length === 0 ? 'classes: []\n' : 'classes:\n';
  for (const spec of tree.classes) {
    let indent = '  - ';
    for (const [key, value] of fieldsOf(spec)) {
      yield `${indent}${key}: ${flow(value, yamlText)}\n`;
      indent = '    ';
    }
  }
}

function settingsOf(tree: ClassTree): Fields {
  const fields = new Map<string, Value>([['version', tree.version]]);
  if (tree.defaultClass !== null) fields.set('default', tree.defaultClass);
  if (tree.overheadBytes !== 0) fields.set('overhead', tree.overheadBytes);
  if (tree.mpuBytes !== 0) fields.set('mpu', tree.mpuBytes);
  return fields;
}

function fieldsOf(spec: ClassSpec): Fields {
  const fields = new Map<string, Value>([['id', spec.id]]);
  if (spec.parent !== null) fields.set('parent', spec.parent);
  if (spec.match.length > 0)
    fields.set(
      'match',
      spec.match.map((prefix) => prefix.text),
    );
  if (spec.leaf !== null) fields.set('leaf', spec.leaf);
  if (spec.limitPackets !== LIMIT_DEFAULT_PACKETS) fields.set('limit', spec.limitPackets);
  if (spec.limitBytes !== 0) fields.set('limitBytes', formatSize(spec.limitBytes));
  if (spec.down !== null) fields.set('down', directionFields(spec.down));
  if (spec.up !== null) fields.set('up', directionFields(spec.up));
  return fields;
}

function directionFields(direction: DirectionSpec): Fields {
  const { rateBps, ceilBps, burstBytes, cburstBytes, quantumBytes, prio } = direction;
  const fields = new Map<string, Value>();
  if (rateBps !== 0) fields.set('rate', formatRate(rateBps));
  if (ceilBps !== rateBps) fields.set('ceil', formatRate(ceilBps));
  if (burstBytes !== defaultBurstBytes(rateBps)) fields.set('burst', formatSize(burstBytes));
  if (cburstBytes !== defaultBurstBytes(ceilBps)) fields.set('cburst', formatSize(cburstBytes));
  if (quantumBytes !== defaultQuantumBytes(rateBps)) fields.set('quantum', formatSize(quantumBytes));
  if (prio !== 0) fields.set('prio', prio);
  return fields;
}

/** A value on one line, in what JSON and YAML's flow style have in common but for the strings. */
function flow(value: Value, text: (value: string) => string): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return text(value);
  if (value instanceof Map) {
    const fields = Array.from(value as Fields, ([key, field]) => `${text(key)}: ${flow(field, text)}`);
    return `{ ${fields.join(', ')} }`;
  }
  return `[${(value as readonly string[]).map(text).join(', ')}]`;
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
