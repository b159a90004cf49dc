/**
 * From a parsed document, of whatever shape, to a class tree or to everything that is wrong with it.
 */
import { ClassReader, type Fields, isFields, SpecTables } from './class-reader.js';
import {
  type CheckOptions,
  CLASSES_MAX,
  type ClassSpec,
  type ClassTree,
  LINK_LAYERS,
  type LinkLayer,
  MPU_MAX_BYTES,
  OVERHEAD_MAX_BYTES,
  OVERHEAD_MIN_BYTES,
  type TreeResult,
} from './model.js';
import { warnOfOverlaps } from './overlap.js';
import { ProblemList, printableKey, unknownKeyMessage } from './problems.js';
import type { QueueSettings } from './queue.js';
import { QUEUE_KEY_OF, wholeNumberFault, wordFault } from './queue-keys.js';
import { type SaidSettings, takeQueueKey, treeQueue } from './queue-reader.js';
import {
  checkInnerClasses,
  classLabel,
  indexIds,
  linkParents,
  markInnerClasses,
  orderParentsFirst,
  warnOfRates,
} from './structure.js';
import { quoted } from './units.js';

const TREE_KEYS: ReadonlySet<string> = new Set([
  'version',
  'default',
  'overhead',
  'mpu',
  'linklayer',
  ...QUEUE_KEY_OF.keys(),
  'classes',
]);

/**
 * Validates a document as JSON.parse or a YAML parser hands it out. Never throws, never changes `value`, reports every
 * error at once. Takes time and memory in proportion to the number of classes; equal directions become one object.
 */
export function parseClassTree(value: unknown, options: CheckOptions = {}): TreeResult {
  return parse(value, false, options);
}

/**
 * As parseClassTree(), but empties the document's list of classes on the way: a large one need not be held twice. With
 * `classes` the list comes from there, and the document's own is not looked at.
 */
export function consumeClassTree(
  value: unknown,
  options: CheckOptions = {},
  classes: ClassValues | null = null,
): TreeResult {
  return parse(value, true, options, classes);
}

/** The values of a document's classes; each is asked for once, in order. */
export interface ClassValues {
  readonly length: number;
  take(index: number): unknown;
}

function parse(
  value: unknown,
  consume: boolean,
  options: CheckOptions,
  classes: ClassValues | null = null,
): TreeResult {
  const problems = new ProblemList();
  const strict = options.strict === true;
  const tree = readTree(value, classes ?? valuesOf(value, consume), strict, problems);
  if (tree !== null && strict) warnOfOverlaps(tree.classes, problems);
  return { tree: problems.errorCount === 0 ? tree : null, problems: problems.items };
}

/** Null where the document has no list. */
function valuesOf(document: unknown, consume: boolean): ClassValues | null {
  const list = isFields(document) ? document.classes : null;
  if (!Array.isArray(list)) return null;
  const take = (index: number): unknown => {
    const value: unknown = list[index];
    if (consume) list[index] = null;
    return value;
  };
  return { length: list.length, take };
}

function readTree(
  value: unknown,
  values: ClassValues | null,
  strict: boolean,
  problems: ProblemList,
): ClassTree | null {
  if (!isFields(value)) {
    problems.error('', `a class tree must be a map with version and classes, not ${quoted(value)}`);
    return null;
  }
  for (const key of Object.keys(value)) {
    if (!TREE_KEYS.has(key)) problems.error(printableKey(key), unknownKeyMessage(key, TREE_KEYS));
  }
  if (value.version === undefined) problems.error('version', 'is missing; this version reads 1');
  else if (value.version !== 1) problems.error('version', `must be 1, not ${quoted(value.version)}`);
  const overheadBytes = readBytes(value, 'overhead', OVERHEAD_MIN_BYTES, OVERHEAD_MAX_BYTES, problems);
  const mpuBytes = readBytes(value, 'mpu', 0, MPU_MAX_BYTES, problems);
  const linkLayer = readLinkLayer(value.linklayer, problems);
  const tables = new SpecTables();
  const queue = readQueue(value, tables, problems);
  if (values === null) {
    const fault = value.classes === undefined ? 'is missing' : `must be a list, not ${quoted(value.classes)}`;
    problems.error('classes', fault);
    return null;
  }
  if (values.length > CLASSES_MAX) {
    problems.error('classes', `holds ${values.length} classes; a tree may have ${CLASSES_MAX}`);
    return null;
  }
  const read = readClasses(values, tables, queue, problems);
  const indexById = indexIds(read, problems);
  const parentOf = linkParents(read, indexById, problems);
  const order = orderParentsFirst(read, parentOf, problems);
  const isInner = markInnerClasses(parentOf);
  checkInnerClasses(read, isInner, problems);
  const defaultClass = readDefault(value.default, indexById, isInner, problems);
  warnOfRates(read, parentOf, order, 'down', problems, strict);
  warnOfRates(read, parentOf, order, 'up', problems, strict);
  if (problems.errorCount > 0) return null;
  const classes = Array.from(order, (index) => read[index]!);
  return { version: 1, defaultClass, overheadBytes, mpuBytes, linkLayer, queue, classes };
}

function readClasses(
  values: ClassValues,
  tables: SpecTables,
  queue: QueueSettings,
  problems: ProblemList,
): (ClassSpec | null)[] {
  const read: (ClassSpec | null)[] = [];
  const reader = new ClassReader(problems, (index) => classLabel(read, index), tables, queue);
  for (let index = 0; index < values.length; index++) read.push(reader.read(values.take(index), index));
  return read;
}

function readQueue(fields: Fields, tables: SpecTables, problems: ProblemList): QueueSettings {
  const fail = (key: string, message: string): void => problems.error(key, message);
  const said: SaidSettings = {};
  for (const [name, key] of QUEUE_KEY_OF) takeQueueKey(said, key, fields[name], fail);
  return treeQueue(said, tables.queues, fail);
}

function readLinkLayer(value: unknown, problems: ProblemList): LinkLayer {
  if (value === undefined) return 'ethernet';
  const fault = wordFault(value, LINK_LAYERS, 'a link layer');
  if (fault === null) return value as LinkLayer;
  problems.error('linklayer', fault);
  return 'ethernet';
}

function readBytes(fields: Fields, key: string, min: number, max: number, problems: ProblemList): number {
  const value = fields[key];
  if (value === undefined) return 0;
  const fault = wholeNumberFault(value, min, max);
  if (fault === null) return value as number;
  problems.error(key, fault);
  return 0;
}

function readDefault(
  value: unknown,
  indexById: ReadonlyMap<string, number>,
  isInner: Uint8Array,
  problems: ProblemList,
): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') {
    problems.error('default', `must be the id of a class, not ${quoted(value)}`);
    return null;
  }
  const index = indexById.get(value);
  if (index === undefined) problems.error('default', `${quoted(value)} is not the id of a class`);
  else if (isInner[index] === 1)
    problems.error('default', `${quoted(value)} has children; only a leaf holds packets`);
  return value;
}
