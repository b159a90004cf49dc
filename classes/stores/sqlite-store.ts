/** A user database in a SQLite file. Calls are synchronous inside, as better-sqlite3 is. */
import { Kysely, type RawBuilder, SqliteDialect, sql } from 'kysely';
import { Observable } from 'rxjs';
import { WeirError } from '../../src/errors.js';
import type { ClassTree } from '../model.js';
import type { RecordRow, RecordSet, RecordTable, SubscriberPatch } from '../records.js';
import { hasMapping } from './columns.js';
import { storeFault, type Task } from './faults.js';
import { makeReadPlan, type ReadPlan } from './read-plan.js';
import { patchQueries } from './reference.js';
import { columnsOfRows, rowsOfTree, type StoredRow, WRITE_ORDER } from './rows.js';
import { SCHEMA_VERSION, type Schema } from './schema.js';
import { REFERENCE_TABLES, schemaText, USAGE_COLUMNS } from './schema-files.js';
import { type Connection, type FileIdentity, identityOf, openReader, openWriter } from './sqlite-file.js';
import { columnsOf, missingIn, readRecords } from './sqlite-read.js';
import { SqliteWatch } from './sqlite-watch.js';
import type { RecordQueries, Store, StoreChange, WriteOptions } from './store.js';
import { type UsageBatch, writeUsage } from './usage.js';

/** A parameter of this many rows as JSON is some megabytes. */
const ROWS_PER_INSERT = 20_000;

interface Opened<T> {
  readonly connection: T;
  readonly identity: FileIdentity | null;
}

interface Writer {
  readonly db: Connection;
  readonly query: Kysely<Schema>;
}

export class SqliteStore implements Store {
  readonly label: string;
  readonly #path: string;
  readonly #queries: RecordQueries;
  readonly #plan: ReadPlan;
  readonly #builder = new Kysely<Schema>({ dialect: new SqliteDialect({ database: neverOpened }) });
  readonly #pollMs: number;
  readonly #watches = new Set<SqliteWatch>();
  #reader: Opened<Connection> | null = null;
  #writer: Opened<Writer> | null = null;
  #hasUsage = false;
  #closed = false;

  constructor(target: { path: string; label: string }, queries: RecordQueries, pollMs: number) {
    this.label = target.label;
    this.#path = target.path;
    this.#queries = queries;
    this.#pollMs = pollMs;
    this.#plan = makeReadPlan(this.label, queries, this.#builder);
  }

  async readAll(): Promise<RecordSet> {
    return readRecords(this.#openReader(), this.#plan);
  }

  async readSubscribers(ids: readonly string[]): Promise<SubscriberPatch | null> {
    if (hasMapping(this.#queries)) return null;
    const db = this.#openReader();
    const parameter = JSON.stringify(ids);
    const read = (): SubscriberPatch => {
      const { subscribers, addresses } = patchQueries(this.#builder, missingIn(db), isInParameter);
      const used = db.prepare(subscribers.counts).get(parameter) as RecordRow;
      return {
        ids,
        subscribers: db.prepare(subscribers.textFor(used)).all(parameter) as RecordRow[],
        addresses: db.prepare(addresses).all(parameter) as RecordRow[],
      };
    };
    return this.#guard('read', 'table subscribers', () => db.transaction(read)());
  }

  watch(): Observable<StoreChange> {
    return new Observable((subscriber) => {
      if (this.#closed) {
        subscriber.error(this.#closedError());
        return undefined;
      }
      const watch = new SqliteWatch(this.#path, this.#plan, this.#pollMs, subscriber);
      this.#watches.add(watch);
      watch.start();
      return () => {
        this.#watches.delete(watch);
        watch.stop();
      };
    });
  }

  async createSchema(): Promise<void> {
    const { db } = this.#openWriter(true);
    this.#guard('write', 'the schema', () => {
      db.transaction(() => {
        if (!hasMapping(this.#queries)) makeReferenceSchema(db);
        makeUsageSchema(db);
      }).immediate();
    });
  }

  async writeTree(tree: ClassTree, options: WriteOptions = {}): Promise<void> {
    const { query } = this.#openWriter(false);
    await this.#guardAsync('write', null, async () => {
      if (hasMapping(this.#queries))
        throw new WeirError('E_STORE_WRITE', 'a mapped schema is not written to');
      const rows = rowsOfTree(tree, options);
      await query.transaction().execute(async (db) => {
        for (const table of [...WRITE_ORDER].reverse()) await db.deleteFrom(table).execute();
        for (const table of WRITE_ORDER) await insertRows(db, table, rows[table]);
        // One note in the place of one for each row; the gap in front of it says the same.
        await db.deleteFrom('weir_changes').execute();
        await db.insertInto('weir_changes').values({ entity: 'all', id: null }).execute();
      });
    });
  }

  async takeUsage(batch: UsageBatch): Promise<void> {
    const { db, query } = this.#openWriter(false);
    await this.#guardAsync('write', 'table usage', async () => {
      if (!this.#hasUsage) db.transaction(makeUsageSchema).immediate(db);
      this.#hasUsage = true;
      await writeUsage(query, batch);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const watch of [...this.#watches]) watch.end();
    this.#reader?.connection.close();
    this.#writer?.connection.db.close();
    this.#reader = null;
    this.#writer = null;
  }

  #openReader(): Connection {
    const reader = this.#current(this.#reader);
    if (reader !== null) return reader;
    this.#reader?.connection.close();
    this.#reader = null;
    const db = openReader(this.#path, this.label);
    this.#reader = { connection: db, identity: identityOf(this.#path) };
    return this.#reader.connection;
  }

  #openWriter(create: boolean): Writer {
    const writer = this.#current(this.#writer);
    if (writer !== null) return writer;
    this.#writer?.connection.db.close();
    this.#writer = null;
    const db = openWriter(this.#path, this.label, create);
    const query = new Kysely<Schema>({ dialect: new SqliteDialect({ database: db }) });
    this.#writer = { connection: { db, query }, identity: identityOf(this.#path) };
    this.#hasUsage = false;
    return this.#writer.connection;
  }

  /** What is open, unless another file lies in the place of the one that it opened. */
  #current<T>(opened: Opened<T> | null): T | null {
    if (this.#closed) throw this.#closedError();
    return opened !== null && opened.identity === identityOf(this.#path) ? opened.connection : null;
  }

  #guard<T>(task: Task, part: string | null, work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw storeFault(cause, { label: this.label, part, task });
    }
  }

  async #guardAsync(task: Task, part: string | null, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      throw storeFault(cause, { label: this.label, part, task });
    }
  }

  #closedError(): WeirError {
    return new WeirError('E_STORE_CONNECT', `${this.label}: is closed`);
  }
}

/** One parameter, whatever the number of ids, and the index of the column is used. */
function isInParameter(column: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`${column} in (select value from json_each(${''}))`;
}

/** The builder only compiles. */
function neverOpened(): Promise<never> {
  return Promise.reject(new WeirError('E_STORE_CONNECT', 'the query builder has no database'));
}

function makeReferenceSchema(db: Connection): void {
  if (columnsOf(db, 'weir_schema').length > 0) {
    const version = db.prepare('SELECT max(version) FROM weir_schema').pluck().get();
    if (version === SCHEMA_VERSION) return;
    if (version === 1) {
      db.exec(schemaText('sqlite-from-1'));
      return;
    }
    throw new WeirError('E_STORE_SCHEMA', `has version ${version}; this weir knows ${SCHEMA_VERSION}`);
  }
  const taken = REFERENCE_TABLES.find((table) => columnsOf(db, table).length > 0);
  if (taken !== undefined)
    throw new WeirError('E_STORE_SCHEMA', `there is a table ${taken} of another schema; map it with queries`);
  db.exec(schemaText('sqlite'));
}

function makeUsageSchema(db: Connection): void {
  for (const [table, needed] of Object.entries(USAGE_COLUMNS)) {
    const found = columnsOf(db, table);
    const missing = found.length > 0 && needed.find((name) => !found.includes(name));
    if (missing) throw new WeirError('E_STORE_SCHEMA', `the table ${table} has no column ${missing}`);
    if (found.length === 0) db.exec(schemaText('sqlite-usage'));
  }
}

/** Rows as one JSON parameter: a tenth of the time that a parameter for each value takes. */
async function insertRows(db: Kysely<Schema>, table: RecordTable, rows: readonly StoredRow[]): Promise<void> {
  const columns = columnsOfRows(rows);
  const values = columns.map((_, index) => sql`value ->> ${sql.lit(index)}`);
  for (let start = 0; start < rows.length; start += ROWS_PER_INSERT) {
    const chunk = rows
      .slice(start, start + ROWS_PER_INSERT)
      .map((row) => columns.map((name) => row[name] ?? null));
    await sql`insert into ${sql.table(table)} (${sql.join(columns.map((name) => sql.ref(name)))})
      select ${sql.join(values)} from json_each(${JSON.stringify(chunk)})`.execute(db);
  }
}
