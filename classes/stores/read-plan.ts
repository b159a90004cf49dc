/** What to ask a database for its canonical tables. */
import type { Kysely } from 'kysely';
import type { RecordRow } from '../records.js';
import { hasMapping } from './columns.js';
import { type MissingColumns, narrowQuery, referenceQueries } from './reference.js';
import type { Schema } from './schema.js';
import type { RecordQueries } from './store.js';

/** Asks for the columns of a table that are in use, once it is known how many rows have each. */
export interface NarrowQuery {
  readonly counts: string;
  textFor(counts: RecordRow): string;
}

export interface ReadPlan {
  readonly label: string;
  /** As configured. */
  readonly queries: RecordQueries;
  /** What is asked of a database without these columns; with a mapping none matters. */
  textsFor(missing: MissingColumns): ReadTexts;
}

export interface ReadTexts {
  /** A table without a text is empty. */
  readonly texts: RecordQueries;
  /** For the subscribers, instead of their text; null with a mapping. */
  readonly narrow: NarrowQuery | null;
}

/** `builder` only says in which dialect. */
export function makeReadPlan(label: string, queries: RecordQueries, builder: Kysely<Schema>): ReadPlan {
  if (hasMapping(queries)) return { label, queries, textsFor: () => ({ texts: queries, narrow: null }) };
  const textsFor = (missing: MissingColumns): ReadTexts => {
    const compiled = Object.entries(referenceQueries(builder, missing));
    const texts = Object.fromEntries(compiled.map(([table, { sql }]) => [table, sql]));
    return { texts, narrow: narrowQuery(builder, missing) };
  };
  return { label, queries, textsFor };
}
