/** Whether a query returns what a canonical table has. Asked of the columns, so that an empty table is checked too. */
import { WeirError } from '../../src/errors.js';
import { printableKey, unknownKeyMessage } from '../problems.js';
import { RECORD_COLUMNS, RECORD_TABLES, type RecordSet, type RecordTable } from '../records.js';
import type { RecordQueries } from './store.js';

/** How a message names where rows come from: `table plans`, or `the query for plans`. */
export function placeOf(table: RecordTable, queries: RecordQueries): string {
  return hasMapping(queries) ? `the query for ${table}` : `table ${table}`;
}

/** With any query given, tables without one are empty; with none the schema is the reference one. */
export function hasMapping(queries: RecordQueries): boolean {
  return RECORD_TABLES.some((table) => queries[table] !== undefined);
}

/** @throws WeirError E_STORE_SCHEMA naming the first column that is missing, unknown or doubled */
export function checkColumns(place: string, table: RecordTable, names: readonly string[]): void {
  const { required, optional } = RECORD_COLUMNS[table];
  const known = new Set([...required, ...optional]);
  const fail = (message: string) => new WeirError('E_STORE_SCHEMA', `${place}: ${message}`);
  const seen = new Set<string>();
  for (const name of names) {
    const key = `column ${printableKey(name)}`;
    if (!known.has(name)) throw fail(`${key} ${unknownKeyMessage(name, known).replace(' key', ' column')}`);
    if (seen.has(name)) throw fail(`${key} is returned twice`);
    seen.add(name);
  }
  const missing = required.find((name) => !seen.has(name));
  if (missing !== undefined) throw fail(`column ${missing} is missing`);
}

export const EMPTY_RECORDS: RecordSet = {
  settings: [],
  plans: [],
  sites: [],
  subscribers: [],
  addresses: [],
};
