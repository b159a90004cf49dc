/** A user database in PostgreSQL. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Kysely, PostgresDialect, type RawBuilder, sql, type Transaction } from 'kysely';
import type pg from 'pg';
import { Observable } from 'rxjs';
import { WeirError } from '../../src/errors.js';
import type { ClassTree } from '../model.js';
import type { RecordSet, RecordTable, SubscriberPatch } from '../records.js';
import { hasMapping } from './columns.js';
import { storeFault, type Task } from './faults.js';
import { type Client, makePool } from './postgres-client.js';
import { inSnapshot, missingIn, readRecords } from './postgres-read.js';
import { CHANNEL, PostgresWatch } from './postgres-watch.js';
import { makeReadPlan, type ReadPlan } from './read-plan.js';
import { patchQueries } from './reference.js';
import { columnsOfRows, rowsOfTree, type StoredRow, WRITE_ORDER } from './rows.js';
import { SCHEMA_VERSION, type Schema } from './schema.js';
import { REFERENCE_TABLES, schemaText, USAGE_COLUMNS } from './schema-files.js';
import type { RecordQueries, Store, StoreChange, WriteOptions } from './store.js';
import { type UsageBatch, writeUsage } from './usage.js';

/** A parameter of this many rows as JSON is some megabytes. */
const ROWS_PER_INSERT = 20_000;

/** How long a server may take to say goodbye. */
const CLOSE_TIMEOUT_MS = 2_000;

/** Two programs that make the schema at one time do it one after the other. Any number that others hardly take. */
const SCHEMA_LOCK = 0x77656972;

export class PostgresStore implements Store {
  readonly label: string;
  readonly #url: string;
  readonly #queries: RecordQueries;
  readonly #plan: ReadPlan;
  readonly #heartbeatMs: number;
  readonly #pool: pg.Pool;
  readonly #db: Kysely<Schema>;
  readonly #watches = new Set<PostgresWatch>();
  #hasUsage = false;
  #closed = false;

  /** @throws WeirError E_STORE_CONNECT if the URL names a file, a certificate for instance, that is not there */
  constructor(target: { url: string; label: string }, queries: RecordQueries, heartbeatMs: number) {
    this.label = target.label;
    this.#url = target.url;
    this.#queries = queries;
    this.#heartbeatMs = heartbeatMs;
    this.#pool = makePool(target.url, target.label);
    this.#db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: this.#pool }) });
    this.#plan = makeReadPlan(this.label, queries, this.#db);
  }

  async readAll(): Promise<RecordSet> {
    return this.#withClient('read', null, (client) =>
      inSnapshot(client, () => readRecords(client, this.#plan)),
    );
  }

  async readSubscribers(ids: readonly string[]): Promise<SubscriberPatch | null> {
    if (hasMapping(this.#queries)) return null;
    return this.#withClient('read', 'table subscribers', (client) =>
      inSnapshot(client, async () => {
        const { subscribers, addresses } = patchQueries(this.#db, await missingIn(client), isAnyOfParameter);
        const used = (await client.query(subscribers.counts, [ids])).rows[0];
        return {
          ids,
          subscribers: (await client.query(subscribers.textFor(used), [ids])).rows,
          addresses: (await client.query(addresses, [ids])).rows,
        };
      }),
    );
  }

  watch(): Observable<StoreChange> {
    return new Observable((subscriber) => {
      if (this.#closed) {
        subscriber.error(this.#closedError());
        return undefined;
      }
      const watch = new PostgresWatch(this.label, this.#queries, this.#heartbeatMs, subscriber);
      this.#watches.add(watch);
      void watch.start(this.#url);
      return () => {
        this.#watches.delete(watch);
        watch.stop();
      };
    });
  }

  async createSchema(): Promise<void> {
    await this.#withClient('write', 'the schema', async (client) => {
      await inSchemaLock(client, async () => {
        if (!hasMapping(this.#queries)) await makeReferenceSchema(client);
        await makeUsageSchema(client);
      });
    });
  }

  async writeTree(tree: ClassTree, options: WriteOptions = {}): Promise<void> {
    await this.#inTransaction(null, async (db) => {
      if (hasMapping(this.#queries))
        throw new WeirError('E_STORE_WRITE', 'a mapped schema is not written to');
      const rows = rowsOfTree(tree, options);
      await sql`select set_config('weir.quiet', 'on', true)`.execute(db);
      for (const table of [...WRITE_ORDER].reverse()) await db.deleteFrom(table).execute();
      for (const table of WRITE_ORDER) await insertRows(db, table, rows[table]);
      await sql`select pg_notify(${CHANNEL}, 'all')`.execute(db);
    });
  }

  async takeUsage(batch: UsageBatch): Promise<void> {
    if (!this.#hasUsage) {
      await this.#withClient('write', 'table usage', (client) =>
        inSchemaLock(client, () => makeUsageSchema(client)),
      );
      this.#hasUsage = true;
    }
    try {
      await this.#reach();
      await writeUsage(this.#db, batch);
    } catch (cause) {
      this.#hasUsage = false;
      throw storeFault(cause, { label: this.label, part: 'table usage', task: 'write' });
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const watch of [...this.#watches]) watch.end();
    // Not through the query builder, which ends the pool only if it has used it.
    await Promise.race([this.#pool.end(), sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
  }

  async #inTransaction(part: string | null, work: (db: Transaction<Schema>) => Promise<void>): Promise<void> {
    await this.#reach();
    try {
      await this.#db.transaction().execute(work);
    } catch (cause) {
      throw storeFault(cause, { label: this.label, part, task: 'write' });
    }
  }

  /** Connects if nothing is connected, so that why it cannot be done is told as such. */
  async #reach(): Promise<void> {
    (await this.#connect()).release();
  }

  async #connect(): Promise<pg.PoolClient> {
    if (this.#closed) throw this.#closedError();
    try {
      return await this.#pool.connect();
    } catch (cause) {
      throw storeFault(cause, { label: this.label, part: null, task: 'connect' });
    }
  }

  /** A connection on which something failed is in a state that nobody knows, and is closed. */
  async #withClient<T>(task: Task, part: string | null, work: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let failed = true;
    try {
      const result = await work(client);
      failed = false;
      return result;
    } catch (cause) {
      throw storeFault(cause, { label: this.label, part, task });
    } finally {
      client.release(failed);
    }
  }

  #closedError(): WeirError {
    return new WeirError('E_STORE_CONNECT', `${this.label}: is closed`);
  }
}

function isAnyOfParameter(column: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`${column} = any(${''}::text[])`;
}

async function inSchemaLock(client: Client, work: () => Promise<void>): Promise<void> {
  await client.query(`BEGIN; SELECT pg_advisory_xact_lock(${SCHEMA_LOCK})`);
  await work();
  await client.query('COMMIT');
}

async function makeReferenceSchema(client: Client): Promise<void> {
  if ((await columnsOf(client, 'weir_schema')).length > 0) {
    const { rows } = await client.query('SELECT max(version) AS version FROM weir_schema');
    const version: unknown = rows[0].version;
    if (version === SCHEMA_VERSION) return;
    if (version === 1) {
      await client.query(schemaText('postgres-from-1'));
      return;
    }
    throw new WeirError('E_STORE_SCHEMA', `has version ${version}; this weir knows ${SCHEMA_VERSION}`);
  }
  for (const table of REFERENCE_TABLES) {
    if ((await columnsOf(client, table)).length === 0) continue;
    throw new WeirError('E_STORE_SCHEMA', `there is a table ${table} of another schema; map it with queries`);
  }
  await client.query(schemaText('postgres'));
}

async function makeUsageSchema(client: Client): Promise<void> {
  for (const [table, needed] of Object.entries(USAGE_COLUMNS)) {
    const found = await columnsOf(client, table);
    const missing = found.length > 0 && needed.find((name) => !found.includes(name));
    if (missing) throw new WeirError('E_STORE_SCHEMA', `the table ${table} has no column ${missing}`);
    // Not left to IF NOT EXISTS: that asks for the right to make tables, also where they are there.
    if (found.length === 0) await client.query(schemaText('postgres-usage'));
  }
}

/** Empty when there is no such table where unqualified names are looked for. */
async function columnsOf(client: Client, table: string): Promise<string[]> {
  const text =
    'SELECT attname::text AS name FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped';
  const { rows } = await client.query<{ name: string }>(text, [table]);
  return rows.map(({ name }) => name);
}

/** Rows as one JSON parameter, which the server reads into the table's own types. */
async function insertRows(
  db: Transaction<Schema>,
  table: RecordTable,
  rows: readonly StoredRow[],
): Promise<void> {
  const names = columnsOfRows(rows);
  const columns = sql.join(names.map((name) => sql.ref(name)));
  for (let start = 0; start < rows.length; start += ROWS_PER_INSERT) {
    const chunk = JSON.stringify(rows.slice(start, start + ROWS_PER_INSERT));
    await sql`insert into ${sql.table(table)} (${columns})
      select ${columns} from json_populate_recordset(null::${sql.table(table)}, ${chunk}::json)`.execute(db);
  }
}
