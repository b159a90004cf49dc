/**
 * Follows the commits of others in a SQLite file.
 *
 * SQLite tells nobody of a commit; but `PRAGMA data_version` differs for a connection after any commit of another one, and
 * asking costs microseconds. With the reference schema the triggers have noted what was changed. Without their table the
 * database does not tell what a commit was about, and most commits to an operator's own database, the writing of usage
 * among them, have nothing to do with classes: there the rows are read, and an event is sent if their digest differs.
 */
import type { Statement } from 'better-sqlite3';
import type { Subscriber } from 'rxjs';
import { WeirError } from '../../src/errors.js';
import { hasMapping } from './columns.js';
import { storeFault } from './faults.js';
import type { ReadPlan } from './read-plan.js';
import { type Connection, type FileIdentity, identityOf, openReader } from './sqlite-file.js';
import { digestRecords } from './sqlite-read.js';
import type { StoreChange } from './store.js';

/** More changed subscribers than this are read faster with all the others. */
const CHANGES_MAX = 500;

/** Digests take at most a fifth of the time, however often others commit. */
const DIGEST_PAUSE = 4;

/** Every so many polls the file's name is looked up: it may have been deleted or replaced. */
const POLLS_PER_LOOK = 25;

interface Change {
  readonly seq: number;
  readonly entity: string;
  readonly id: string | null;
}

export class SqliteWatch {
  readonly #path: string;
  readonly #plan: ReadPlan;
  readonly #pollMs: number;
  readonly #out: Subscriber<StoreChange>;
  #db: Connection | null = null;
  #askVersion: Statement | null = null;
  #identity: FileIdentity | null = null;
  #timer: NodeJS.Timeout | null = null;
  #polls = 0;
  /** Null until the watch stands. */
  #version: number | null = null;
  #lastSeq = 0;
  /** Null where the triggers say what changed. */
  #digest: string | null = null;
  #digestAgainMs = 0;

  constructor(path: string, plan: ReadPlan, pollMs: number, out: Subscriber<StoreChange>) {
    this.#path = path;
    this.#plan = plan;
    this.#pollMs = pollMs;
    this.#out = out;
  }

  start(): void {
    try {
      // A poll never waits for a lock: it is the control thread that would stand still, and the next poll is soon.
      this.#db = openReader(this.#path, this.#plan.label, 0);
      this.#identity = identityOf(this.#path);
      // Fifty times a second: preparing it anew would cost several times as much as asking.
      this.#askVersion = this.#db.prepare('PRAGMA data_version').pluck();
    } catch (error) {
      this.#out.error(error);
      return;
    }
    this.#timer = setInterval(() => this.#poll(), this.#pollMs);
    setImmediate(() => this.#poll());
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#db?.close();
    this.#db = null;
  }

  /** The store is closed: there is nothing more to come. */
  end(): void {
    this.#out.complete();
    this.stop();
  }

  #poll(): void {
    const db = this.#db;
    if (db === null) return;
    try {
      if (this.#polls++ % POLLS_PER_LOOK === 0) this.#lookForFile();
      const version = this.#askVersion!.get() as number;
      if (version === this.#version) return;
      const change =
        this.#version === null
          ? this.#begin(db)
          : this.#digest === null
            ? this.#changes(db)
            : this.#compare(db);
      if (change === 'later') return;
      // Only now: what was committed since then is found by the next poll.
      this.#version = version;
      if (change !== null) this.#out.next(change);
    } catch (cause) {
      if (isBusy(cause)) return;
      this.#out.error(storeFault(cause, { label: this.#plan.label, part: null, task: 'read' }));
    }
  }

  #lookForFile(): void {
    if (identityOf(this.#path) === this.#identity) return;
    throw new WeirError('E_STORE_CONNECT', 'the file is gone, or another has taken its place');
  }

  #begin(db: Connection): StoreChange {
    if (hasMapping(this.#plan.queries) || !hasChanges(db)) this.#digest = this.#digestNow(db);
    else this.#lastSeq = lastSeq(db);
    return { kind: 'all' };
  }

  /** What the triggers have noted since; null if nothing, as when usage was written. */
  #changes(db: Connection): StoreChange | null {
    const rows = db
      .prepare('SELECT seq, entity, id FROM weir_changes WHERE seq > ? ORDER BY seq LIMIT ?')
      .all(this.#lastSeq, CHANGES_MAX + 1) as Change[];
    const first = rows[0];
    if (first === undefined) {
      const last = lastSeq(db);
      if (last === this.#lastSeq) return null;
      this.#lastSeq = last; // the table was emptied, or made anew
      return { kind: 'all' };
    }
    const gap = first.seq !== this.#lastSeq + 1;
    const anything = rows.some(({ entity, id }) => entity !== 'subscriber' || id === null);
    this.#lastSeq = rows.length > CHANGES_MAX ? lastSeq(db) : rows[rows.length - 1]!.seq;
    if (gap || anything || rows.length > CHANGES_MAX) return { kind: 'all' };
    return { kind: 'subscribers', ids: [...new Set(rows.map(({ id }) => id as string))] };
  }

  #compare(db: Connection): StoreChange | null | 'later' {
    const startMs = performance.now();
    if (startMs < this.#digestAgainMs) return 'later';
    const digest = this.#digestNow(db);
    const endMs = performance.now();
    this.#digestAgainMs = endMs + DIGEST_PAUSE * (endMs - startMs);
    if (digest === this.#digest) return null;
    this.#digest = digest;
    return { kind: 'all' };
  }

  /** Rows that cannot be read are a state too: who reads after the event is told why. */
  #digestNow(db: Connection): string {
    try {
      return digestRecords(db, this.#plan);
    } catch (error) {
      if (!(error instanceof WeirError) || isBusy(error.cause)) throw error;
      return error.message;
    }
  }
}

function hasChanges(db: Connection): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'weir_changes'").get() !== undefined;
}

function lastSeq(db: Connection): number {
  return (db.prepare('SELECT max(seq) FROM weir_changes').pluck().get() as number | null) ?? 0;
}

function isBusy(cause: unknown): boolean {
  const error = cause instanceof WeirError ? cause.cause : cause;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED');
}
