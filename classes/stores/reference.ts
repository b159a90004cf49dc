/** The default queries: plain selects of the canonical columns from the reference schema. */
import { type CompiledQuery, type Kysely, type RawBuilder, sql } from 'kysely';
import { QUEUE_COLUMNS, RATE_COLUMNS, type RecordTable } from '../records.js';
import type { NarrowQuery } from './read-plan.js';
import type { Schema } from './schema.js';

const SETTINGS_COLUMNS = [
  'default_class',
  'overhead_bytes',
  'mpu_bytes',
  'link_layer',
  ...QUEUE_COLUMNS,
] as const;
const PLAN_COLUMNS = ['id', ...RATE_COLUMNS, ...QUEUE_COLUMNS] as const;
const SUBSCRIBER_COLUMNS = ['id', 'site', 'plan', 'expires_at', ...RATE_COLUMNS, ...QUEUE_COLUMNS] as const;

const VERSION_1_QUEUE: readonly string[] = ['leaf', 'limit_packets', 'limit_bytes'];
const LATER_QUEUE = QUEUE_COLUMNS.filter((column) => !VERSION_1_QUEUE.includes(column));

/** What a database of schema version 1 lacks; what it does not have, it does not say. */
const LATER_COLUMNS: Readonly<Partial<Record<RecordTable, readonly string[]>>> = {
  settings: ['link_layer', ...QUEUE_COLUMNS],
  plans: LATER_QUEUE,
  subscribers: LATER_QUEUE,
};

/** Tables of which missingColumns() wants to know the columns. */
export const GROWN_TABLES = Object.keys(LATER_COLUMNS) as readonly RecordTable[];

/** Columns that the database has not, of those that it may lack; a column is `table.name`. */
export type MissingColumns = ReadonlySet<string>;
export const NONE_MISSING: MissingColumns = new Set();

/** `columns` is all that the database has in GROWN_TABLES. */
export function missingColumns(
  columns: readonly { readonly table: string; readonly name: string }[],
): MissingColumns {
  const missing = new Set<string>();
  for (const [table, later] of Object.entries(LATER_COLUMNS)) {
    for (const name of later) missing.add(`${table}.${name}`);
  }
  for (const { table, name } of columns) missing.delete(`${table}.${name}`);
  return missing;
}

function present<C extends string>(
  table: RecordTable,
  columns: readonly C[],
  missing: MissingColumns,
): readonly C[] {
  return missing.size === 0 ? columns : columns.filter((name) => !missing.has(`${table}.${name}`));
}

/** All rows of each table. */
export function referenceQueries(
  db: Kysely<Schema>,
  missing: MissingColumns,
): Readonly<Record<RecordTable, CompiledQuery>> {
  return {
    settings: db
      .selectFrom('settings')
      .select(present('settings', SETTINGS_COLUMNS, missing))
      .compile(),
    plans: db
      .selectFrom('plans')
      .select(present('plans', PLAN_COLUMNS, missing))
      .compile(),
    sites: db
      .selectFrom('sites')
      .select(['id', 'parent', ...RATE_COLUMNS])
      .compile(),
    subscribers: db
      .selectFrom('subscribers')
      .select(present('subscribers', SUBSCRIBER_COLUMNS, missing))
      .compile(),
    addresses: db.selectFrom('addresses').select(['subscriber', 'address']).compile(),
  };
}

/** The condition that a column holds one of some ids. */
type Among = (column: RawBuilder<unknown>) => RawBuilder<boolean>;

/**
 * Most subscribers have a plan and nothing else, and most of the time of reading a row goes into its columns: reading only
 * those that somebody uses takes a third of the time, the count included.
 */
export function narrowQuery(
  db: Kysely<Schema>,
  missing: MissingColumns,
  isAmong: Among | null = null,
): NarrowQuery {
  const all = db.selectFrom('subscribers');
  const rows = isAmong === null ? all : all.where(isAmong(sql.ref('id')));
  const columns = present('subscribers', SUBSCRIBER_COLUMNS, missing);
  const counts = columns.map((column) => db.fn.count(column).as(column));
  return {
    counts: rows.select(counts).compile().sql,
    textFor: (row) => {
      const used = columns.filter((column) => column === 'id' || row[column] !== 0);
      return rows.select(used).compile().sql;
    },
  };
}

/** What belongs to some subscribers. */
export function patchQueries(
  db: Kysely<Schema>,
  missing: MissingColumns,
  isAmong: Among,
): { readonly subscribers: NarrowQuery; readonly addresses: string } {
  const addresses = db.selectFrom('addresses').select(['subscriber', 'address']);
  return {
    subscribers: narrowQuery(db, missing, isAmong),
    addresses: addresses.where(isAmong(sql.ref('subscriber'))).compile().sql,
  };
}
