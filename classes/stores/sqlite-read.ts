/** Canonical rows out of a SQLite connection. */
import { createHash } from 'node:crypto';
import type Database from 'better-sqlite3';
import { WeirError } from '../../src/errors.js';
import { RECORD_TABLES, type RecordRow, type RecordSet, type RecordTable } from '../records.js';
import { checkColumns, EMPTY_RECORDS, hasMapping, placeOf } from './columns.js';
import { storeFault, WOULD_WRITE } from './faults.js';
import type { NarrowQuery, ReadPlan } from './read-plan.js';
import { GROWN_TABLES, type MissingColumns, missingColumns, NONE_MISSING } from './reference.js';
import type { Connection } from './sqlite-file.js';

type Statement = Database.Statement<unknown[]>;

/** All tables in one transaction, that is, as of one commit. */
export function readRecords(db: Connection, plan: ReadPlan): RecordSet {
  return inSnapshot(db, plan.label, () => {
    const records: Record<RecordTable, readonly RecordRow[]> = { ...EMPTY_RECORDS };
    eachTable(db, plan, (table, statement) => {
      records[table] = statement.all() as RecordRow[];
    });
    return records;
  });
}

/** Equal for two states of the database exactly when the queries return the same rows in the same order. */
export function digestRecords(db: Connection, plan: ReadPlan): string {
  const hash = createHash('sha1');
  inSnapshot(db, plan.label, () => {
    eachTable(db, plan, (table, statement) => {
      hash.update(`${table}\n`);
      for (const row of statement.raw(true).iterate()) hash.update(`${JSON.stringify(row)}\n`);
    });
  });
  return hash.digest('hex');
}

function inSnapshot<T>(db: Connection, label: string, read: () => T): T {
  try {
    return db.transaction(read)();
  } catch (cause) {
    throw storeFault(cause, { label, part: null, task: 'read' });
  }
}

function eachTable(
  db: Connection,
  { label, queries, textsFor }: ReadPlan,
  take: (table: RecordTable, statement: Statement) => void,
): void {
  const task = hasMapping(queries) ? 'query' : 'read';
  const { texts, narrow } = textsFor(hasMapping(queries) ? NONE_MISSING : missingIn(db));
  for (const table of RECORD_TABLES) {
    const part = placeOf(table, queries);
    try {
      const text = table === 'subscribers' && narrow !== null ? narrowed(db, narrow) : texts[table];
      if (text === undefined) continue;
      const statement = db.prepare(text);
      checkStatement(statement, part, table);
      take(table, statement);
    } catch (cause) {
      const placed = cause instanceof WeirError; // by checkStatement()
      throw storeFault(cause, { label, part: placed ? null : part, task });
    }
  }
}

/** What the reference schema in `db` lacks. */
export function missingIn(db: Connection): MissingColumns {
  return missingColumns(
    GROWN_TABLES.flatMap((table) => columnsOf(db, table).map((name) => ({ table, name }))),
  );
}

/** Empty when there is no such table. */
export function columnsOf(db: Connection, table: string): string[] {
  return db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table) as string[];
}

function narrowed(db: Connection, narrow: NarrowQuery): string {
  return narrow.textFor(db.prepare(narrow.counts).get() as RecordRow);
}

function checkStatement(statement: Statement, part: string, table: RecordTable): void {
  if (!statement.readonly) throw new WeirError('E_STORE_QUERY', `${part}: ${WOULD_WRITE}`);
  if (!statement.reader)
    throw new WeirError('E_STORE_QUERY', `${part}: returns no rows; it must be a SELECT`);
  checkColumns(
    part,
    table,
    statement.columns().map(({ name }) => name),
  );
}
