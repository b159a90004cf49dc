/**
 * Follows the commits of others in a SQLite file.
 *
 * SQLite tells nobody of a commit; but `PRAGMA data_version` differs for a connection after any commit of another one, and
 * asking costs microseconds. It is asked now and then, and at once when the kernel tells of a write to the write-ahead log,
 * for a commit is visible a moment after its last write.
 *
 * With the reference schema the triggers have noted what was changed. Without their table the database does not tell what a
 * commit was about, and most commits to an operator's own database, the writing of usage among them, have nothing to do with
 * classes: there the rows are read, and an event is sent if their digest differs.
 */
import { type FSWatcher, realpathSync, watch } from 'node:fs';
import type { Statement } from 'better-sqlite3';
import type { Subscriber } from 'rxjs';
import { WeirError } from '../../src/errors.js';
import { hasMapping } from './columns.js';
import { storeFault } from './faults.js';
import type { ReadPlan } from './read-plan.js';
import { type Connection, type FileIdentity, identityOf, openReader } from './sqlite-file.js';
import { digestRecords } from './sqlite-read.js';
import { CHANGED_IDS_MAX, type StoreChange } from './store.js';

/** From one poll to the next while somebody writes, and after one that has found a commit. */
const BRISK_POLL_MS = 1;
const FOUND_POLL_MS = 4;

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
  /** Null where there is no log, or the kernel does not tell of it. */
  #logWatch: FSWatcher | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** 0 while nobody writes. */
  #briskUntilMs = 0;
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
    this.#pollIn(0);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#unwatchLog();
    this.#db?.close();
    this.#db = null;
  }

  /** The store is closed: there is nothing more to come. */
  end(): void {
    this.#out.complete();
    this.stop();
  }

  #pollIn(ms: number): void {
    this.#timer = setTimeout(() => {
      const before = this.#version;
      this.#poll();
      if (this.#db === null) return;
      const hasFound = this.#version !== before;
      const wasBrisk = this.#briskUntilMs > 0;
      if (wasBrisk && hasFound) this.#briskUntilMs = performance.now() + this.#pollMs;
      const isBrisk = performance.now() < this.#briskUntilMs;
      if (!isBrisk && (wasBrisk || hasFound)) {
        this.#briskUntilMs = 0;
        this.#watchLog();
      }
      this.#pollIn(isBrisk ? (hasFound ? FOUND_POLL_MS : BRISK_POLL_MS) : this.#pollMs);
    }, ms);
  }

  /**
   * Until the first write: somebody who writes all the time would be held up by being told of. Only the log: asking a
   * database without one takes a lock that could come between a writer and its commit, which is not to happen a thousand
   * times a second.
   */
  #watchLog(): void {
    if (this.#logWatch !== null) return;
    try {
      this.#logWatch = watch(`${realpathSync(this.#path)}-wal`, () => this.#onWrite());
      this.#logWatch.on('error', () => this.#unwatchLog());
    } catch {
      // The polls have to do.
    }
  }

  #unwatchLog(): void {
    this.#logWatch?.close();
    this.#logWatch = null;
  }

  #onWrite(): void {
    this.#unwatchLog();
    if (this.#timer === null) return;
    this.#briskUntilMs = performance.now() + this.#pollMs;
    clearTimeout(this.#timer);
    this.#pollIn(BRISK_POLL_MS);
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
      .all(this.#lastSeq, CHANGED_IDS_MAX + 1) as Change[];
    const first = rows[0];
    if (first === undefined) {
      const last = lastSeq(db);
      if (last === this.#lastSeq) return null;
      this.#lastSeq = last; // the table was emptied, or made anew
      return { kind: 'all' };
    }
    const gap = first.seq !== this.#lastSeq + 1;
    const anything = rows.some(({ entity, id }) => entity !== 'subscriber' || id === null);
    this.#lastSeq = rows.length > CHANGED_IDS_MAX ? lastSeq(db) : rows[rows.length - 1]!.seq;
    if (gap || anything || rows.length > CHANGED_IDS_MAX) return { kind: 'all' };
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
