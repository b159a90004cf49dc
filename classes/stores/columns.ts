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
  const unknown = names.find((name) => !known.has(name));
  const stranger = unknown === undefined ? null : `column ${printableKey(unknown)}`;
  const missing = required.find((name) => !names.includes(name));
  // The one may be the other by a wrong name.
  if (missing !== undefined)
    throw fail(
      `column ${missing} is missing${stranger === null ? '' : `; ${stranger} is not a known column`}`,
    );
  if (unknown !== undefined) throw fail(`${stranger} ${unknownColumnMessage(unknown, known)}`);
  const twice = names.find((name, at) => names.indexOf(name) < at);
  if (twice !== undefined) throw fail(`column ${twice} is returned twice`);
}

/** Most columns have a direction, which is easily forgotten: `rate` is not far from `site`, but means `down_rate`. */
function unknownColumnMessage(name: string, known: ReadonlySet<string>): string {
  const directed = `down_${name.toLowerCase()}`;
  if (known.has(directed)) return `is not a known column; did you mean '${directed}'?`;
  return unknownKeyMessage(name, known).replace(' key', ' column');
}

export const EMPTY_RECORDS: RecordSet = {
  settings: [],
  plans: [],
  sites: [],
  subscribers: [],
  addresses: [],
};
