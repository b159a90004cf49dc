/** The default queries: plain selects of the canonical columns from the reference schema. */
import { type CompiledQuery, type Kysely, type RawBuilder, sql } from 'kysely';
import { RATE_COLUMNS, type RecordTable } from '../records.js';
import type { NarrowQuery } from './read-plan.js';
import type { Schema } from './schema.js';

const LEAF_COLUMNS = ['leaf', 'limit_packets', 'limit_bytes'] as const;
const SUBSCRIBER_COLUMNS = ['id', 'site', 'plan', 'expires_at', ...RATE_COLUMNS, ...LEAF_COLUMNS] as const;

/** All rows of each table. */
export function referenceQueries(db: Kysely<Schema>): Readonly<Record<RecordTable, CompiledQuery>> {
  return {
    settings: db.selectFrom('settings').select(['default_class', 'overhead_bytes', 'mpu_bytes']).compile(),
    plans: db
      .selectFrom('plans')
      .select(['id', ...RATE_COLUMNS, ...LEAF_COLUMNS])
      .compile(),
    sites: db
      .selectFrom('sites')
      .select(['id', 'parent', ...RATE_COLUMNS])
      .compile(),
    subscribers: db.selectFrom('subscribers').select(SUBSCRIBER_COLUMNS).compile(),
    addresses: db.selectFrom('addresses').select(['subscriber', 'address']).compile(),
  };
}

/**
 * Most subscribers have a plan and nothing else, and most of the time of reading a row goes into its columns: reading only
 * those that somebody uses takes a third of the time, the count included.
 */
export function narrowQuery(db: Kysely<Schema>): NarrowQuery {
  const counts = SUBSCRIBER_COLUMNS.map((column) => db.fn.count(column).as(column));
  return {
    counts: db.selectFrom('subscribers').select(counts).compile().sql,
    textFor: (row) => {
      const used = SUBSCRIBER_COLUMNS.filter((column) => column === 'id' || row[column] !== 0);
      return db.selectFrom('subscribers').select(used).compile().sql;
    },
  };
}

/** What belongs to some subscribers; `isAmong` is the condition that a column holds one of their ids. */
export function patchQueries(
  db: Kysely<Schema>,
  isAmong: (column: RawBuilder<unknown>) => RawBuilder<boolean>,
): { readonly subscribers: CompiledQuery; readonly addresses: CompiledQuery } {
  return {
    subscribers: db
      .selectFrom('subscribers')
      .select(SUBSCRIBER_COLUMNS)
      .where(isAmong(sql.ref('id')))
      .compile(),
    addresses: db
      .selectFrom('addresses')
      .select(['subscriber', 'address'])
      .where(isAmong(sql.ref('subscriber')))
      .compile(),
  };
}
