/**
 * Reads single rows of the canonical tables: ids, times, plans, sites and the rates of subscribers.
 *
 * A row becomes a map as in the tree file and goes through the same reader, so a rate is judged alike wherever it stands.
 * Plans are read once; a subscriber without rates of its own takes its plan's directions as they are.
 */
import { ClassReader, idFault, type SpecTables, UNREADABLE } from './class-reader.js';
import type { ClassSpec, DirectionSpec, PrefixSpec, Problem } from './model.js';
import { ProblemList } from './problems.js';
import { NO_SETTINGS, type QueueSettings } from './queue.js';
import { QUEUE_KEYS } from './queue-keys.js';
import { QUEUE_COLUMNS, type RecordRow, type RecordTable } from './records.js';
import { quoted, RATE_MAX_BPS } from './units.js';

/** A plan's row, and what it gives to the classes on it; a direction that cannot be read is UNREADABLE. */
export interface Plan {
  readonly id: string;
  readonly row: RecordRow;
  readonly spec: ClassSpec;
}

const DIRECTION_KEYS = ['rate', 'ceil', 'burst', 'cburst', 'quantum', 'prio'] as const;
const COLUMNS_OF = {
  down: DIRECTION_KEYS.map((key) => `down_${key}`),
  up: DIRECTION_KEYS.map((key) => `up_${key}`),
} as const;

/** Columns under which the keys of a class stand in a row; other keys only change their dots. */
const COLUMN_OF_KEY: Readonly<Record<string, string>> = {
  down: 'down_rate',
  up: 'up_rate',
  linklayer: 'link_layer',
  match: '',
  ...Object.fromEntries(QUEUE_KEYS.map(({ key, column }) => [key, column])),
};

const BOOLEANS: ReadonlySet<string> = new Set(['ecn', 'wash']);

/** Seconds since 1970 beyond this lie more than a thousand years ahead: milliseconds, by mistake. */
const SECONDS_MAX = 1e11;
const TIME =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)? ?(?:(Z)|([+-])(\d\d)(?::?(\d\d))?)?$/i;

/** Problems located by table, row and column. Set `table` and `note` before a row is read. */
export class RowProblems extends ProblemList {
  table: RecordTable = 'settings';
  /** added to the place, in brackets, while it is not empty */
  note = '';
  /** Plan of the class at an index where its rates are the plan's, or null. Equal problems of such are told once. */
  planOf: (index: number) => Plan | null = () => null;
  /** Table of the class at an index, for problems between classes; null while rows are read. */
  tableOf: ((index: number) => RecordTable) | null = null;
  readonly #shared = new Map<string, { readonly at: number; count: number }>();

  /** An error at a row that has neither class nor number, or at a whole table. */
  placeError(place: string, key: string, message: string): void {
    this.errorCount++;
    this.items.push({ severity: 'error', classId: null, place, key, message });
  }

  placeWarning(place: string, classId: string | null, key: string, message: string): void {
    this.items.push({ severity: 'warning', classId, place, key, message });
  }

  protected override addOfClass(
    severity: Problem['severity'],
    id: string,
    index: number,
    key: string,
    message: string,
  ): void {
    const table = this.tableOf === null ? this.table : this.tableOf(index);
    const plan = this.planOf(index);
    if (plan !== null && this.#isToldAlready(severity, key, message, plan)) return;
    const note = this.note === '' ? '' : ` (${this.note})`;
    this.items.push({
      severity,
      classId: id === '' || table === 'plans' ? null : id,
      place: `${rowPlace(table, id, index)}${note}`,
      key: columnOf(table, key),
      message: plan === null ? message : `${message} (plan '${plan.id}')`,
    });
  }

  /** A plan that does not fit below a site is one mistake, though it shows at each of the plan's subscribers. */
  #isToldAlready(severity: string, key: string, message: string, plan: Plan): boolean {
    const text = `${severity} ${plan.id} ${key} ${message}`;
    const seen = this.#shared.get(text);
    if (seen === undefined) this.#shared.set(text, { at: this.items.length, count: 1 });
    else seen.count++;
    return seen !== undefined;
  }

  /** Adds the counts to problems that were told once, and tells every further one by itself again. */
  finish(): void {
    this.planOf = () => null;
    for (const { at, count } of this.#shared.values()) {
      if (count === 1) continue;
      const problem = this.items[at]!;
      this.items[at] = { ...problem, message: `${problem.message}, here and in ${count - 1} more rows` };
    }
    this.#shared.clear();
  }
}

/** `plans row 'gold'`, or by number from 1 where the row has no usable id. */
export function rowPlace(table: RecordTable, id: string, index: number): string {
  return id === '' ? `${table} row ${index + 1}` : `${table} row '${id}'`;
}

export function columnOf(table: RecordTable, key: string): string {
  if (key === 'parent' && table === 'subscribers') return 'site';
  return COLUMN_OF_KEY[key] ?? key.replace('.', '_');
}

/** An id as text: databases number things, so whole numbers are taken as well. Undefined where there is none. */
export function idOf(value: unknown): unknown {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return undefined;
  if (Number.isSafeInteger(value) || typeof value === 'bigint') return String(value);
  return value;
}

/** A number where the database has it as text or as bigint; anything else as it is. */
export function numberOf(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  return typeof value === 'string' && /^[+-]?\d{1,15}(\.0*)?$/.test(value) ? Number(value) : value;
}

/** Milliseconds since 1970, null for never, or a message. A time without a zone is taken as UTC. */
export function expiryOf(value: unknown): number | null | string {
  if (value === null || value === undefined || value === Infinity || value === 'infinity') return null;
  if (value instanceof Date) {
    const ms = value.getTime();
    return Number.isNaN(ms) ? 'is not a valid time' : ms;
  }
  const seconds = numberOf(value);
  if (typeof seconds === 'number') {
    if (seconds >= 0 && seconds < SECONDS_MAX) return Math.round(seconds * 1000);
    return `${quoted(value)} is not a time in seconds since 1970`;
  }
  const ms = typeof value === 'string' ? timeOf(value) : null;
  return ms ?? `${quoted(value)} is not a time such as "2026-01-31 18:00:00+01" or seconds since 1970`;
}

function timeOf(text: string): number | null {
  const parts = TIME.exec(text);
  if (parts === null) return null;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map((part) => Number(part ?? 0));
  const ms = Date.UTC(year!, month! - 1, day!, hour!, minute!, second!);
  const fraction = Number(`0.${parts[7] ?? 0}`) * 1000;
  // Date.UTC carries 31 February over into March, so a date that comes back otherwise was none.
  const read = new Date(ms);
  if (read.getUTCMonth() !== month! - 1 || read.getUTCDate() !== day!) return null;
  if (hour! > 23 || minute! > 59 || second! > 59) return null;
  const zone = (Number(parts[10] ?? 0) * 60 + Number(parts[11] ?? 0)) * 60_000;
  return ms + Math.round(fraction) - (parts[9] === '-' ? -zone : zone);
}

/** What a subscriber's row says, but for its addresses. */
export type SubscriberRates = Pick<ClassSpec, 'queue' | 'down' | 'up'> & {
  /** the plan whose rates these are, unchanged; else null */
  readonly plan: Plan | null;
};

/** Stands in for a plan that is missing or unknown, once that has been reported. */
const NO_PLAN_SPEC: ClassSpec = {
  id: '',
  parent: null,
  match: [],
  queue: NO_SETTINGS,
  down: UNREADABLE,
  up: UNREADABLE,
};

export class RowReader {
  readonly #problems: RowProblems;
  readonly #reader: ClassReader;
  readonly #plans: ReadonlyMap<string, Plan>;

  /** `treeQueue` is what the settings say for all classes. */
  constructor(
    problems: RowProblems,
    tables: SpecTables,
    treeQueue: QueueSettings,
    plans: ReadonlyMap<string, Plan>,
  ) {
    this.#problems = problems;
    this.#plans = plans;
    this.#reader = new ClassReader(problems, () => '', tables, treeQueue);
  }

  /** The id is empty where the row has no usable one, which is reported. */
  readPlan(row: RecordRow, index: number): Plan {
    this.#problems.table = 'plans';
    const spec = this.#read(row, index, { ...whole(row), ...queueOf(row) });
    return { id: spec.id, row, spec };
  }

  /** The parent is as the row has it, not looked up. */
  readSite(row: RecordRow, index: number): ClassSpec {
    this.#problems.table = 'sites';
    const parent = idOf(row.parent);
    return this.#read(row, index, { ...whole(row), ...(parent === undefined ? {} : { parent }) });
  }

  /** The id of a row, or an empty text if it has no usable one, which is reported. */
  readId(row: RecordRow, index: number): string {
    const id = idOf(row.id);
    const fault = idFault(id);
    if (fault === null) return id as string;
    this.#problems.classError('', index, 'id', fault);
    return '';
  }

  /** `id` is what readId() returned of the row. */
  readRates(row: RecordRow, id: string, index: number): SubscriberRates {
    const planId = idOf(row.plan);
    const plan = typeof planId === 'string' ? this.#plans.get(planId) : undefined;
    const ownDown = hasAny(row, COLUMNS_OF.down);
    const ownUp = hasAny(row, COLUMNS_OF.up);
    if (plan === undefined) {
      if (planId !== undefined) {
        this.#problems.classError(id, index, 'plan', `${quoted(planId)} is not the id of a plan`);
      } else if (!ownDown && !ownUp) {
        this.#problems.classError(id, index, 'plan', 'is missing, and the row has no rates of its own');
      }
    }
    if (plan !== undefined && !ownDown && !ownUp && !hasAny(row, QUEUE_COLUMNS)) {
      const { queue, down, up } = plan.spec;
      return { queue, down, up, plan };
    }
    return this.#readOwn(row, index, plan ?? null, planId === undefined, ownDown, ownUp);
  }

  /** Column by column, what the row has goes before what the plan has. */
  #readOwn(
    row: RecordRow,
    index: number,
    plan: Plan | null,
    isAlone: boolean,
    ownDown: boolean,
    ownUp: boolean,
  ): SubscriberRates {
    const base = plan?.spec ?? NO_PLAN_SPEC;
    const fields = queueOf(row);
    // Beside a plan that could not be read the row's own values are still checked, each by itself.
    const beside = (name: 'down' | 'up'): RecordRow | null =>
      isAlone ? null : base[name] === UNREADABLE ? { [`${name}_ceil`]: RATE_MAX_BPS } : plan!.row;
    if (ownDown) fields.down = directionOf(row, beside('down'), 'down');
    if (ownUp) fields.up = directionOf(row, beside('up'), 'up');
    this.#problems.note = plan === null ? '' : `on plan '${plan.id}'`;
    const spec = this.#read(row, index, fields, base.queue);
    this.#problems.note = '';
    const direction = (name: 'down' | 'up', own: boolean): DirectionSpec | null => {
      if (isAlone) return spec[name];
      return own && base[name] !== UNREADABLE ? spec[name] : base[name];
    };
    return {
      queue: spec.queue,
      down: direction('down', ownDown),
      up: direction('up', ownUp),
      plan: null,
    };
  }

  #read(
    row: RecordRow,
    index: number,
    fields: Record<string, unknown>,
    base: QueueSettings = NO_SETTINGS,
  ): ClassSpec {
    return this.#reader.read({ id: idOf(row.id), ...fields }, index, base)!;
  }
}

/** A class of the parts; all are built here, so that all have one shape. */
export function classOf(
  id: string,
  parent: string | null,
  match: readonly PrefixSpec[],
  rates: SubscriberRates,
): ClassSpec {
  const { queue, down, up } = rates;
  return { id, parent, match, queue, down, up };
}

function whole(row: RecordRow): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  if (hasAny(row, COLUMNS_OF.down)) fields.down = directionOf(row, null, 'down');
  if (hasAny(row, COLUMNS_OF.up)) fields.up = directionOf(row, null, 'up');
  return fields;
}

/** The keys of a tree file that a row's columns say of the queue. */
export function queueOf(row: RecordRow): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const { key, column } of QUEUE_KEYS) {
    const value = row[column];
    if (isGiven(value)) fields[key] = BOOLEANS.has(column) ? booleanOf(value) : numberOf(value);
  }
  return fields;
}

/** SQLite has no booleans but 0 and 1. */
function booleanOf(value: unknown): unknown {
  const number = numberOf(value);
  return number === 0 || number === 1 ? number === 1 : value;
}

function directionOf(row: RecordRow, beside: RecordRow | null, name: 'down' | 'up'): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (let i = 0; i < DIRECTION_KEYS.length; i++) {
    const column = COLUMNS_OF[name][i]!;
    const value = row[column] ?? beside?.[column];
    if (isGiven(value)) fields[DIRECTION_KEYS[i]!] = numberOf(value);
  }
  return fields;
}

function isGiven(value: unknown): boolean {
  return value !== null && value !== undefined;
}

function hasAny(row: RecordRow, columns: readonly string[]): boolean {
  for (let i = 0; i < columns.length; i++) if (isGiven(row[columns[i]!])) return true;
  return false;
}
