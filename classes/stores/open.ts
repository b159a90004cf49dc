/** The door to the user databases. Drivers are loaded when a database is first asked, so that weir without one starts fast. */
import { defer, Observable } from 'rxjs';
import { WeirError } from '../../src/errors.js';
import type { ClassTree } from '../model.js';
import type { RecordSet, SubscriberPatch } from '../records.js';
import { storeFault } from './faults.js';
import type { RecordQueries, Store, StoreChange, WriteOptions } from './store.js';
import { parseStoreUrl, type StoreUrl } from './url.js';
import type { UsageBatch } from './usage.js';

export { isStoreUrl, redactUrl, STORE_SCHEMES } from './url.js';

export interface StoreOptions {
  /** How often a SQLite file is asked whether others have committed. */
  readonly pollMs?: number;
  /** How often a PostgreSQL server is asked whether it is still there. */
  readonly heartbeatMs?: number;
}

const POLL_MS = 20;
const HEARTBEAT_MS = 10_000;

/**
 * A store for `sqlite:PATH` or `postgres://…`; nothing is opened yet. With `queries` empty the schema is the reference
 * one; otherwise each canonical table is what its query returns, and empty without one.
 * @throws WeirError E_STORE_URL, exit code 2
 */
export function openStore(url: string, queries: RecordQueries = {}, options: StoreOptions = {}): Store {
  return new LazyStore(parseStoreUrl(url), queries, options);
}

async function load(target: StoreUrl, queries: RecordQueries, options: StoreOptions): Promise<Store> {
  try {
    if (target.kind === 'sqlite') {
      const { SqliteStore } = await import('./sqlite-store.js');
      return new SqliteStore(target, queries, options.pollMs ?? POLL_MS);
    }
    const { PostgresStore } = await import('./postgres-store.js');
    return new PostgresStore(target, queries, options.heartbeatMs ?? HEARTBEAT_MS);
  } catch (cause) {
    throw storeFault(cause, { label: target.label, part: null, task: 'connect' });
  }
}

class LazyStore implements Store {
  readonly label: string;
  readonly #load: () => Promise<Store>;
  #store: Promise<Store> | null = null;
  #closed = false;

  constructor(target: StoreUrl, queries: RecordQueries, options: StoreOptions) {
    this.label = target.label;
    this.#load = () => load(target, queries, options);
  }

  async readAll(): Promise<RecordSet> {
    return (await this.#open()).readAll();
  }

  async readSubscribers(ids: readonly string[]): Promise<SubscriberPatch | null> {
    return (await this.#open()).readSubscribers(ids);
  }

  watch(): Observable<StoreChange> {
    return new Observable((subscriber) => {
      const opened = defer(() => this.#open()).subscribe({
        next: (store) => subscriber.add(store.watch().subscribe(subscriber)),
        error: (error: unknown) => subscriber.error(error),
      });
      return () => opened.unsubscribe();
    });
  }

  async createSchema(): Promise<void> {
    await (await this.#open()).createSchema();
  }

  async writeTree(tree: ClassTree, options?: WriteOptions): Promise<void> {
    await (await this.#open()).writeTree(tree, options);
  }

  async takeUsage(batch: UsageBatch): Promise<void> {
    await (await this.#open()).takeUsage(batch);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const store = await this.#store?.catch(() => null);
    await store?.close();
  }

  /** A failure, of a driver that is missing for instance, is not kept: it may have been mended. */
  #open(): Promise<Store> {
    if (this.#closed) return Promise.reject(new WeirError('E_STORE_CONNECT', `${this.label}: is closed`));
    this.#store ??= this.#load().catch((error: unknown) => {
      this.#store = null;
      throw error;
    });
    return this.#store;
  }
}
