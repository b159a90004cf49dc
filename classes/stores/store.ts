/** A user database, behind one interface for SQLite and PostgreSQL. */
import type { Observable } from 'rxjs';
import type { ClassTree } from '../model.js';
import type { RecordSet, RecordTable, SubscriberPatch } from '../records.js';
import type { UsageBatch } from './usage.js';

/** SQL that returns a table's canonical columns, for a schema that is not the reference one. */
export type RecordQueries = Readonly<Partial<Record<RecordTable, string>>>;

/** More changed subscribers than these are read faster with all the others. */
export const CHANGED_IDS_MAX = 5000;

/** What has been committed by others since the last event. */
export type StoreChange =
  /** Some subscribers, their addresses included. */
  | { readonly kind: 'subscribers'; readonly ids: readonly string[] }
  /** Anything: plans, sites, settings, very many subscribers, or a schema that does not tell what. */
  | { readonly kind: 'all' };

export interface WriteOptions {
  /** When accounts expire, in milliseconds since 1970, by id of the leaf. */
  readonly expiresAtMs?: ReadonlyMap<string, number>;
}

/**
 * Errors are WeirErrors of one line, which name the database and the table or query. E_STORE_DRIVER: its driver is not
 * installed or not compiled. E_STORE_CONNECT: no file, no server, no database, not let in, or lost. E_STORE_SCHEMA: a table
 * or a column is missing or unknown. E_STORE_QUERY: a query of the mapping is no query, or would write. E_STORE_READ and
 * E_STORE_WRITE: anything else that the database refused. None of them shuts the store: the next call tries again.
 */
export interface Store {
  /** Its address for people: without a password. */
  readonly label: string;

  /** All canonical tables as of one moment. */
  readAll(): Promise<RecordSet>;

  /** The named subscribers as of one moment; null where a mapping is in use, which cannot ask for single ones. */
  readSubscribers(ids: readonly string[]): Promise<SubscriberPatch | null>;

  /**
   * Emits after commits of other connections, at once and not debounced; the first event comes when the watch stands,
   * so that nothing between a read and the watch is missed: read after it. Errors with WeirError when the database is
   * lost; to be subscribed again then. Unsubscribing ends the watch.
   */
  watch(): Observable<StoreChange>;

  /**
   * Makes the reference schema where it is not there yet; a SQLite file too. With a mapping only the tables that weir itself
   * writes, those of usage. Throws E_STORE_SCHEMA where other tables of these names are in the way.
   */
  createSchema(): Promise<void>;

  /**
   * Replaces plans, sites, subscribers, addresses and settings by a tree's, in one transaction; `usage` stays. Watchers see
   * one event, 'all'. Not with a mapping: E_STORE_WRITE.
   */
  writeTree(tree: ClassTree, options?: WriteOptions): Promise<void>;

  /** Writes a batch of usage, exactly once however often it is called; makes the tables for it when they are missing. */
  takeUsage(batch: UsageBatch): Promise<void>;

  /** May be called at any time, also twice. */
  close(): Promise<void>;
}
