/** Canonical rows out of a PostgreSQL connection. */
import type { QueryConfig, QueryResult } from 'pg';
import { WeirError } from '../../src/errors.js';
import { RECORD_TABLES, type RecordRow, type RecordSet, type RecordTable } from '../records.js';
import { checkColumns, EMPTY_RECORDS, hasMapping, placeOf } from './columns.js';
import { storeFault } from './faults.js';
import type { Client } from './postgres-client.js';
import type { NarrowQuery, ReadPlan } from './read-plan.js';
import { GROWN_TABLES, type MissingColumns, missingColumns, NONE_MISSING } from './reference.js';

/**
 * All statements of `read` see one moment, and none of them can write; nor can a query make the transaction a writing one,
 * for PostgreSQL refuses that once there is a snapshot, and who has columns to return has one.
 */
export async function inSnapshot<T>(client: Client, read: () => Promise<T>): Promise<T> {
  await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const result = await read();
  await client.query('COMMIT');
  return result;
}

/** Call within inSnapshot(). */
export async function readRecords(client: Client, plan: ReadPlan): Promise<RecordSet> {
  const records: Record<RecordTable, readonly RecordRow[]> = { ...EMPTY_RECORDS };
  const { texts, narrow } = plan.textsFor(hasMapping(plan.queries) ? NONE_MISSING : await missingIn(client));
  for (const table of RECORD_TABLES) {
    const text = texts[table];
    if (text === undefined) continue;
    records[table] = await readTable(client, plan, table, text, table === 'subscribers' ? narrow : null);
  }
  return records;
}

/** What the reference schema lacks where unqualified names are looked for. */
export async function missingIn(client: Client): Promise<MissingColumns> {
  const text =
    'SELECT t.name AS table, attname::text AS name FROM unnest($1::text[]) AS t (name) JOIN pg_attribute ON attrelid = to_regclass(t.name) WHERE attnum > 0 AND NOT attisdropped';
  return missingColumns((await client.query<{ table: string; name: string }>(text, [GROWN_TABLES])).rows);
}

async function readTable(
  client: Client,
  plan: ReadPlan,
  table: RecordTable,
  text: string,
  narrow: NarrowQuery | null,
): Promise<RecordRow[]> {
  const part = placeOf(table, plan.queries);
  const task = hasMapping(plan.queries) ? 'query' : 'read';
  let result: QueryResult;
  try {
    if (narrow === null) result = await client.query(single(text));
    else result = await client.query(narrow.textFor((await client.query(narrow.counts)).rows[0]));
  } catch (cause) {
    throw storeFault(cause, { label: plan.label, part, task });
  }
  // INSERT … RETURNING has been refused by the server; COMMIT and the like have no columns.
  if (result.fields.length === 0)
    throw new WeirError('E_STORE_QUERY', `${plan.label}: ${part}: returns no rows; it must be a SELECT`);
  try {
    checkColumns(
      part,
      table,
      result.fields.map(({ name }) => name),
    );
  } catch (cause) {
    throw storeFault(cause, { label: plan.label, part: null, task });
  }
  return result.rows;
}

/** The extended protocol takes one statement; the simple one would take several, a COMMIT among them. */
function single(text: string): QueryConfig {
  return { text, queryMode: 'extended' } as QueryConfig;
}
