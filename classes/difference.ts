/** What differs between two class trees, as an operator reads it. */
import { areEqualDirections } from './direction-table.js';
import {
  type ClassSpec,
  type ClassTree,
  type DirectionSpec,
  defaultBurstBytes,
  defaultQuantumBytes,
  type PrefixSpec,
} from './model.js';
import { comparePrefixes } from './overlap.js';
import { NO_SETTINGS, type QueueSettings } from './queue.js';
import { QUEUE_KEYS, type QueueValue, writtenQueue } from './queue-keys.js';
import { areEqualSettings } from './queue-table.js';
import { formatRate, formatSize } from './units.js';
import { type WrittenClass, writtenClass } from './written.js';

export type ChangedValue = QueueValue | null | readonly string[];

/** One key of a class, dotted as in the tree file, and its value there and here; rates and sizes in tc's grammar. */
export interface KeyChange {
  readonly key: string;
  readonly from: ChangedValue;
  readonly to: ChangedValue;
}

export interface Difference {
  readonly added: readonly ClassSpec[];
  readonly removed: readonly ClassSpec[];
  /** A class may be both moved and changed. */
  readonly moved: readonly {
    readonly id: string;
    readonly from: string | null;
    readonly to: string | null;
  }[];
  readonly changed: readonly { readonly id: string; readonly changes: readonly KeyChange[] }[];
  /** The tree's own keys: default, overhead, mpu, linklayer, and those of the queue. */
  readonly settings: readonly KeyChange[];
  /** Classes in both trees that are the same. */
  readonly unchanged: number;
}

export type { ClassTree };

/** Collects one Difference. */
class Comparison {
  readonly added: ClassSpec[] = [];
  readonly removed: ClassSpec[] = [];
  readonly moved: { id: string; from: string | null; to: string | null }[] = [];
  readonly changed: { id: string; changes: readonly KeyChange[] }[] = [];
  unchanged = 0;
  #last: { readonly before: ClassSpec; readonly after: ClassSpec; readonly changes: KeyChange[] } | null =
    null;

  compare(before: ClassSpec, after: ClassSpec): void {
    if (before === after || areEqualClasses(before, after)) {
      this.unchanged++;
      return;
    }
    const { id } = after;
    if (before.parent !== after.parent) this.moved.push({ id, from: before.parent, to: after.parent });
    const changes = this.#changesOf(before, after);
    if (changes.length > 0) this.changed.push({ id, changes });
  }

  /** Plans are few: what changes for one class mostly is what has changed for the one before it, and is written once. */
  #changesOf(before: ClassSpec, after: ClassSpec): readonly KeyChange[] {
    if (!areEqualMatches(before.match, after.match)) return changesOf(before, after);
    const last = this.#last;
    if (last !== null && haveOnePlan(last.before, before) && haveOnePlan(last.after, after))
      return last.changes;
    const changes = changesOf(before, after);
    this.#last = { before, after, changes };
    return changes;
  }
}

/**
 * What turns `before` into `after`; all of it is added where there is no `before`. Classes are matched by id, wherever
 * they stand. Time grows with the classes; those at the start and at the end of the lists that are in step cost next to nothing.
 */
export function difference(before: ClassTree | null, after: ClassTree): Difference {
  const result = new Comparison();
  const old = before?.classes ?? [];
  const young = after.classes;
  const shorter = Math.min(old.length, young.length);
  let head = 0;
  while (head < shorter && old[head]!.id === young[head]!.id) {
    result.compare(old[head]!, young[head]!);
    head++;
  }
  let tail = 0;
  while (tail < shorter - head && old[old.length - 1 - tail]!.id === young[young.length - 1 - tail]!.id)
    tail++;
  const leftById = new Map<string, ClassSpec>();
  for (let at = head; at < old.length - tail; at++) leftById.set(old[at]!.id, old[at]!);
  for (let at = head; at < young.length - tail; at++) {
    const spec = young[at]!;
    const known = leftById.get(spec.id);
    if (known === undefined) result.added.push(spec);
    else {
      leftById.delete(spec.id);
      result.compare(known, spec);
    }
  }
  for (const spec of leftById.values()) result.removed.push(spec);
  for (let back = tail; back > 0; back--)
    result.compare(old[old.length - back]!, young[young.length - back]!);
  const { added, removed, moved, changed, unchanged } = result;
  return { added, removed, moved, changed, settings: settingsChanges(before, after), unchanged };
}

/** More classes would go at once than the guard lets pass. */
export interface Refusal {
  /** classes that would go, those that expired not counted */
  readonly removed: number;
  /** classes there were */
  readonly total: number;
  /** the guard's limit: this share of `total` may go */
  readonly percent: number;
}

/** The guard against an emptied table. Null if no more than `percent` of the classes would go; those in `expired` may. */
export function refusal(
  { removed }: Difference,
  total: number,
  percent: number,
  expired: ReadonlySet<string>,
): Refusal | null {
  let count = 0;
  for (const { id } of removed) if (!expired.has(id)) count++;
  return count > 0 && count * 100 > percent * total ? { removed: count, total, percent } : null;
}

/** True if nothing would change between the two but the object; the order of prefixes means nothing. */
export function areEqualClasses(a: ClassSpec, b: ClassSpec): boolean {
  return (
    a.id === b.id &&
    a.parent === b.parent &&
    areEqualSettings(a.queue, b.queue) &&
    areSameDirections(a.down, b.down) &&
    areSameDirections(a.up, b.up) &&
    areEqualMatches(a.match, b.match)
  );
}

/** Whether rates and queues are the very same objects. */
function haveOnePlan(a: ClassSpec, b: ClassSpec): boolean {
  return a.down === b.down && a.up === b.up && a.queue === b.queue;
}

function areSameDirections(a: DirectionSpec | null, b: DirectionSpec | null): boolean {
  return a === b || (a !== null && b !== null && areEqualDirections(a, b));
}

function areEqualMatches(a: readonly PrefixSpec[], b: readonly PrefixSpec[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  if (a.every((prefix, at) => prefix.text === b[at]!.text)) return true;
  const sorted = sortedTexts(b);
  return sortedTexts(a).every((text, at) => text === sorted[at]);
}

function sortedTexts(match: readonly PrefixSpec[]): string[] {
  return [...match].sort(comparePrefixes).map((prefix) => prefix.text);
}

function changesOf(before: ClassSpec, after: ClassSpec): KeyChange[] {
  const changes: KeyChange[] = [];
  if (!areEqualMatches(before.match, after.match)) {
    changes.push({ key: 'match', from: sortedTexts(before.match), to: sortedTexts(after.match) });
  }
  addQueueChanges(changes, before.queue, after.queue);
  addDirectionChanges(changes, 'down', before.down, after.down);
  addDirectionChanges(changes, 'up', before.up, after.up);
  return changes;
}

function addChange(changes: KeyChange[], key: string, from: ChangedValue, to: ChangedValue): void {
  if (from !== to) changes.push({ key, from, to });
}

/** What is left out on one side is null there: what holds then may be the tree's, or follow from the kind of leaf. */
function addQueueChanges(changes: KeyChange[], before: QueueSettings, after: QueueSettings): void {
  if (before === after) return;
  const [from, to] = [writtenQueue(before), writtenQueue(after)];
  for (const { key } of QUEUE_KEYS) addChange(changes, key, from[key] ?? null, to[key] ?? null);
}

/** Values that follow from the rate on both sides are not changes of their own: nobody wrote them. */
function addDirectionChanges(
  changes: KeyChange[],
  name: 'down' | 'up',
  before: DirectionSpec | null,
  after: DirectionSpec | null,
): void {
  const add = (
    key: string,
    value: (direction: DirectionSpec) => string | number,
    isDerived: (direction: DirectionSpec) => boolean,
  ): void => {
    if ((before === null || isDerived(before)) && (after === null || isDerived(after))) return;
    addChange(changes, `${name}.${key}`, before && value(before), after && value(after));
  };
  add('rate', rateOf, isUnassured);
  add('ceil', ceilOf, isCeilDerived);
  add('burst', ({ burstBytes }) => formatSize(burstBytes), isBurstDerived);
  add('cburst', ({ cburstBytes }) => formatSize(cburstBytes), isCburstDerived);
  add('quantum', ({ quantumBytes }) => formatSize(quantumBytes), isQuantumDerived);
  add('prio', ({ prio }) => prio, isFirst);
}

const rateOf = ({ rateBps }: DirectionSpec): string => formatRate(rateBps);
const ceilOf = ({ ceilBps }: DirectionSpec): string => formatRate(ceilBps);
const isUnassured = ({ rateBps }: DirectionSpec): boolean => rateBps === 0;
const isCeilDerived = ({ rateBps, ceilBps }: DirectionSpec): boolean => rateBps === ceilBps;
const isBurstDerived = (direction: DirectionSpec): boolean =>
  direction.burstBytes === defaultBurstBytes(direction.rateBps);
const isCburstDerived = (direction: DirectionSpec): boolean =>
  direction.cburstBytes === defaultBurstBytes(direction.ceilBps);
const isQuantumDerived = (direction: DirectionSpec): boolean =>
  direction.quantumBytes === defaultQuantumBytes(direction.rateBps);
const isFirst = ({ prio }: DirectionSpec): boolean => prio === 0;

function settingsChanges(before: ClassTree | null, after: ClassTree): KeyChange[] {
  const changes: KeyChange[] = [];
  addChange(changes, 'default', before?.defaultClass ?? null, after.defaultClass);
  addChange(changes, 'overhead', before?.overheadBytes ?? 0, after.overheadBytes);
  addChange(changes, 'mpu', before?.mpuBytes ?? 0, after.mpuBytes);
  addChange(changes, 'linklayer', before?.linkLayer ?? 'ethernet', after.linkLayer);
  addQueueChanges(changes, before?.queue ?? NO_SETTINGS, after.queue);
  return changes;
}

/**
 * For people, one line each: `+` added, `-` removed, `>` moved, `~` changed, and a last line with the counts. Removed
 * classes come first, for they are what one looks for.
 */
export function formatDifference(difference: Difference): string {
  const lines: string[] = [];
  for (const { id } of difference.removed) lines.push(`- ${id}`);
  for (const { id, from, to } of difference.moved) {
    lines.push(`> ${id} moves from ${from ?? 'the top'} to ${to ?? 'the top'}`);
  }
  for (const { id, changes } of difference.changed) lines.push(`~ ${id} ${formatChanges(changes)}`);
  for (const spec of difference.added) lines.push(`+ ${formatClass(spec)}`);
  if (difference.settings.length > 0) lines.push(`~ all classes: ${formatChanges(difference.settings)}`);
  const counts = countsOf(difference);
  const noun = counts.settings === 1 ? 'setting' : 'settings';
  const settings = counts.settings === 0 ? '' : `, ${counts.settings} ${noun} changed`;
  lines.push(
    `${counts.added} added, ${counts.removed} removed, ${counts.moved} moved, ${counts.changed} changed, ` +
      `${counts.unchanged} unchanged${settings}`,
  );
  return lines.join('\n');
}

function formatChanges(changes: readonly KeyChange[]): string {
  return changes.map(({ key, from, to }) => `${key} ${formatValue(from)} → ${formatValue(to)}`).join(', ');
}

function formatValue(value: ChangedValue): string {
  if (value === null) return 'none';
  if (typeof value !== 'object') return String(value);
  return value.length === 0 ? 'none' : value.join(' ');
}

function formatClass(spec: ClassSpec): string {
  const below = spec.parent === null ? '' : ` under ${spec.parent}`;
  const parts: string[] = [];
  for (const name of ['down', 'up'] as const) {
    const direction = spec[name];
    if (direction === null) continue;
    const rate = direction.rateBps === 0 ? '' : ` ${formatRate(direction.rateBps)}`;
    const ceil = direction.rateBps === direction.ceilBps ? '' : ` ceil ${formatRate(direction.ceilBps)}`;
    parts.push(`${name}${rate}${ceil}`);
  }
  if (spec.match.length > 0) parts.push(`match ${formatValue(sortedTexts(spec.match))}`);
  return `${spec.id}${below}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`;
}

function countsOf(difference: Difference): Record<string, number> {
  const { added, removed, moved, changed, settings, unchanged } = difference;
  return {
    added: added.length,
    removed: removed.length,
    moved: moved.length,
    changed: changed.length,
    settings: settings.length,
    unchanged,
  };
}

/** For `--json`: the lists and their lengths; classes have the keys of the tree file, those with defaults left out. */
export function differenceDocument(difference: Difference): Record<string, unknown> {
  return {
    added: difference.added.map(classDocument),
    removed: difference.removed.map(classDocument),
    moved: difference.moved,
    changed: difference.changed,
    settings: difference.settings,
    counts: countsOf(difference),
  };
}

function classDocument(spec: ClassSpec): WrittenClass {
  const written = writtenClass(spec);
  // In an order that does not depend on who wrote them down.
  return spec.match.length === 0 ? written : { ...written, match: sortedTexts(spec.match) };
}
