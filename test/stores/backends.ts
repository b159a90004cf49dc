/** The databases that every test of this folder runs against, and what the tests look at them with. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import type { Subscription } from 'rxjs';
import { openStore, type StoreOptions } from '../../classes/stores/open.js';
import type { RecordQueries, Store, StoreChange } from '../../classes/stores/store.js';
import { WeirError } from '../../src/errors.js';
import { ScratchPostgres, whyNoPostgres } from '../../src/lab/scratch-postgres.js';

/** One empty database, and a way into it that is not weir's. */
export interface Scratch {
  readonly url: string;
  /** Runs statements as another program does, in one transaction each call. */
  run(text: string): Promise<void>;
  rows(text: string): Promise<Record<string, unknown>[]>;
}

export interface Backend {
  readonly name: 'sqlite' | 'postgres';
  make(): Promise<Scratch>;
  /** Of everything that was made. */
  remove(): Promise<void>;
}

/** Nothing that is waited for takes longer on any machine; a test that comes to this fails. */
const WAIT_MAX_MS = 15_000;

const opened = new Set<Store>();

/** A store that closeStores() closes. */
export function open(url: string, queries: RecordQueries = {}, options: StoreOptions = {}): Store {
  const store = openStore(url, queries, options);
  opened.add(store);
  return store;
}

export async function closeStores(): Promise<void> {
  for (const store of opened) await store.close();
  opened.clear();
}

export function sqliteBackend(): Backend {
  const folder = mkdtempSync(join(tmpdir(), 'weir-stores-'));
  const connections: Database.Database[] = [];
  let count = 0;
  return {
    name: 'sqlite',
    make: async () => {
      const path = join(folder, `${++count}.db`);
      // Opened late, for weir is to make the file.
      let db: Database.Database | null = null;
      const connection = () => {
        if (db !== null) return db;
        db = new Database(path);
        db.pragma('foreign_keys = ON');
        connections.push(db);
        return db;
      };
      return {
        url: `sqlite:${path}`,
        run: async (text) => {
          const other = connection();
          other.transaction(() => other.exec(text))();
        },
        rows: async (text) => connection().prepare(text).all() as Record<string, unknown>[],
      };
    },
    remove: async () => {
      for (const db of connections) db.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function postgresBackend(): Backend {
  let server: Promise<ScratchPostgres> | null = null;
  let count = 0;
  return {
    name: 'postgres',
    make: async () => {
      server ??= ScratchPostgres.start();
      const running = await server;
      const name = `db${++count}`;
      return {
        url: await running.createDatabase(name),
        run: async (text) => {
          await running.query(text, name);
        },
        rows: (text) => running.query(text, name),
      };
    },
    remove: async () => (await server)?.remove(),
  };
}

/** Both, or SQLite alone and a line that says why. */
export function backends(): Backend[] {
  const why = whyNoPostgres();
  if (why === null) return [sqliteBackend(), postgresBackend()];
  process.stdout.write(`skipped: PostgreSQL: ${why}\n`);
  return [sqliteBackend()];
}

/** Collects what a watch says. */
export class Events {
  readonly seen: StoreChange[] = [];
  error: unknown = null;
  completed = false;
  readonly #subscription: Subscription;

  constructor(store: Store) {
    this.#subscription = store.watch().subscribe({
      next: (change) => this.seen.push(change),
      error: (error: unknown) => {
        this.error = error;
      },
      complete: () => {
        this.completed = true;
      },
    });
  }

  /** Starts a watch and waits until it stands; its first event is not kept. */
  static async of(store: Store): Promise<Events> {
    const events = new Events(store);
    await events.until(() => events.seen.length > 0);
    events.seen.length = 0;
    return events;
  }

  async until(isDone: () => boolean): Promise<void> {
    await until(isDone, () => `after ${JSON.stringify(this.seen)}, error ${this.error}`);
  }

  /** What came until all of `ids` have been named, or anything was; sorted, and empties the list. */
  async changed(...ids: string[]): Promise<string[] | 'all'> {
    const named = () =>
      new Set(this.seen.flatMap((change) => (change.kind === 'all' ? ['all'] : change.ids)));
    await this.until(() => named().has('all') || ids.every((id) => named().has(id)));
    const result = named().has('all') ? 'all' : [...named()].sort();
    this.seen.length = 0;
    return result;
  }

  stop(): void {
    this.#subscription.unsubscribe();
  }
}

export async function until(isDone: () => boolean, describe: () => string = () => ''): Promise<void> {
  const endsMs = Date.now() + WAIT_MAX_MS;
  while (!isDone()) {
    if (Date.now() > endsMs) throw new Error(`what was waited for did not come ${describe()}`);
    await sleep(2);
  }
}

/** The error of a call, `CODE: message` with the store's address replaced. */
export async function faultOf(store: Store, work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    if (error.message.includes('\n')) throw new Error(`more than one line: ${error.message}`);
    return `${error.code}: ${error.message.replace(store.label, 'STORE')}`;
  }
  return 'no error';
}
