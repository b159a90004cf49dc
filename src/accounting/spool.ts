/**
 * The spool: what was counted and is not in the database yet, in a file of its own (SQLite).
 *
 *     checkpoint ──▶ part of the open batch ──at the interval's end──▶ closed batch ──taken by the database──▶ deleted
 *
 * Every change is one transaction, on disk when the method returns. One connection at a time may have the file.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import type { UsageBatch } from '../../classes/stores/usage.js';
import { WeirError } from '../errors.js';
import { AmountSum, type Amounts, encodeAmounts, usageRows } from './amounts.js';
import { type Interval, intervalOf, isWithin, type Span } from './intervals.js';

/** "weir" in the file's header, so that nobody's other database is taken for a spool. */
const APPLICATION_ID = 0x77656972;
const VERSION = 1;
/** Parts of an open batch before they are added up: bounds the file, and what the end of an interval costs. */
const PARTS_MAX = 64;
const WAL_BYTES_MAX = 16 * 2 ** 20;
const PAGES_GIVEN_BACK = 4096;

const TABLES = `
  CREATE TABLE batches (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    start_ms INTEGER NOT NULL,
    end_ms   INTEGER NOT NULL,
    is_open  INTEGER NOT NULL
  );
  CREATE TABLE parts (
    number INTEGER PRIMARY KEY,
    batch  INTEGER NOT NULL REFERENCES batches (seq) ON DELETE CASCADE,
    body   BLOB NOT NULL
  );
  CREATE INDEX parts_of_batch ON parts (batch);
  -- The last checkpoint that is in a part: one that comes again is known by it.
  CREATE TABLE progress (run TEXT NOT NULL, checkpoint INTEGER NOT NULL);
`;

export interface SpoolOptions {
  readonly path: string;
  readonly intervalMs: number;
  /** Of the amounts in it; beyond that, closed batches are merged. */
  readonly bytesMax: number;
  readonly warn: (message: string) => void;
}

/** What was counted in a span. `run` and `number` name it: a second one with the same name changes nothing. */
export interface Checkpoint {
  readonly run: string;
  /** From 1 on, growing within a run. */
  readonly number: number;
  readonly span: Span;
  readonly amounts: Amounts;
}

interface BatchRow extends Interval {
  readonly seq: number;
  readonly id: string;
}

interface SizedBatch extends BatchRow {
  readonly bytes: number;
}

export class Spool {
  readonly #options: SpoolOptions;
  #db: Database.Database;
  /** Since the spool was last empty: the operator has been told. */
  #hasMerged = false;

  /**
   * Opens the file, or makes one. The open batch of an earlier run is closed. A file that is damaged is moved aside. Throws
   * E_SPOOL_BUSY when another daemon has it, and E_SPOOL when it cannot be used.
   */
  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#db = this.#open();
    this.#safely(() => this.#closeOpenBatch());
  }

  /** Adds a checkpoint to its interval; intervals that are over are closed. Returns whether a batch has been closed. */
  record(checkpoint: Checkpoint): boolean {
    const hasClosed = this.#safely(() => this.#record(checkpoint));
    if (hasClosed) this.#safely(() => this.#keepWithinBounds());
    return hasClosed;
  }

  /** Ends the open interval early. Returns whether there was one. */
  closeInterval(): boolean {
    return this.#safely(() => this.#closeOpenBatch());
  }

  /** The oldest closed batch; null when there is none. */
  head(): UsageBatch | null {
    return this.#safely(() => {
      const [batch] = this.#closedBatches(1);
      if (batch === undefined) {
        this.#hasMerged = false;
        return null;
      }
      const { id, startMs, endMs } = batch;
      return { id, startMs, endMs, rows: usageRows(this.#sum([batch]).amounts()) };
    });
  }

  /** Deletes a batch that the database has. */
  remove(id: string): void {
    this.#safely(() => {
      this.#db.prepare('DELETE FROM batches WHERE id = ?').run(id);
    });
    // Outside of the transaction, which must not fail because of it.
    this.#safely(() => this.#db.exec(`PRAGMA incremental_vacuum(${PAGES_GIVEN_BACK})`));
  }

  get closedCount(): number {
    const query = 'SELECT count(*) FROM batches WHERE is_open = 0';
    return this.#safely(() => this.#db.prepare(query).pluck().get() as number);
  }

  close(): void {
    this.#db.close();
  }

  // ---- the file ---------------------------------------------------------------------------------------

  #open(): Database.Database {
    try {
      return this.#openFile();
    } catch (error) {
      if (!isDamage(error)) throw this.#explained(error);
      this.#moveAside(error);
      try {
        return this.#openFile();
      } catch (second) {
        throw this.#explained(second);
      }
    }
  }

  #openFile(): Database.Database {
    const { path } = this.#options;
    mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
    // Who used how much is nobody else's business. Never reopened here: closing a file frees the process's locks on it.
    if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
    const db = new Database(path, { timeout: 0 });
    try {
      // The lock is held until the process ends, however it ends. There is no other reader, hence no shared memory.
      db.pragma('locking_mode = EXCLUSIVE');
      db.pragma('synchronous = FULL');
      // Takes effect in an empty file only, but would write to any.
      if (statSync(path).size === 0) db.pragma('auto_vacuum = INCREMENTAL');
      db.transaction(() => this.#prepareTables(db)).exclusive();
      db.pragma('journal_mode = WAL');
      db.pragma('foreign_keys = ON');
      db.pragma(`journal_size_limit = ${WAL_BYTES_MAX}`);
      const verdict = db.pragma('quick_check(1)', { simple: true });
      if (verdict !== 'ok') throw new DamageError(String(verdict));
      return db;
    } catch (error) {
      closeQuietly(db);
      throw error;
    }
  }

  #prepareTables(db: Database.Database): void {
    const isEmpty = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() === 0;
    const application = db.pragma('application_id', { simple: true });
    if (isEmpty && application === 0) {
      db.exec(TABLES);
      db.pragma(`application_id = ${APPLICATION_ID}`);
      db.pragma(`user_version = ${VERSION}`);
      return;
    }
    const { path } = this.#options;
    if (application !== APPLICATION_ID)
      throw new WeirError('E_SPOOL', `${path} is a database, but no usage spool; see accounting.spool`);
    const version = db.pragma('user_version', { simple: true });
    if (version !== VERSION)
      throw new WeirError('E_SPOOL', `${path} is a usage spool of version ${version}, not ${VERSION}`);
  }

  /** The journal goes first: a new file must never find the journal of the damaged one. */
  #moveAside(reason: unknown): void {
    const { path, warn } = this.#options;
    const time = new Date().toISOString().replace(/[-:]|\..*/g, '');
    let target = `${path}.damaged-${time}`;
    for (let n = 2; existsSync(target); n++) target = `${path}.damaged-${time}-${n}`;
    for (const suffix of ['-wal', '-shm', '-journal', ''])
      if (existsSync(path + suffix)) renameSync(path + suffix, target + suffix);
    warn(
      `the usage spool ${path} is damaged (${textOf(reason)}); moved to ${target}, going on with a new one`,
    );
  }

  #explained(error: unknown): WeirError {
    if (error instanceof WeirError) return error;
    const { path } = this.#options;
    if (codeOf(error).startsWith('SQLITE_BUSY')) {
      const advice = 'give each daemon an accounting.spool of its own';
      return new WeirError('E_SPOOL_BUSY', `${path} is in use by another daemon; ${advice}`, {
        cause: error,
      });
    }
    if (isDriverFault(error)) {
      const message = 'better-sqlite3 is not compiled for this Node; run: npm rebuild better-sqlite3';
      return new WeirError('E_SPOOL', message, { cause: error });
    }
    return new WeirError('E_SPOOL', `${path} cannot be used: ${textOf(error)}`, { cause: error });
  }

  /** Goes on with a new file when the old one turns out to be damaged: accounting loses then, shaping must not. */
  #safely<T>(work: () => T): T {
    const transaction = (): T => this.#db.transaction(work)();
    try {
      return transaction();
    } catch (error) {
      if (!isDamage(error)) throw this.#explained(error);
      closeQuietly(this.#db);
      this.#moveAside(error);
      this.#db = this.#open();
      return transaction();
    }
  }

  // ---- batches; all of these run inside a transaction -------------------------------------------------

  #record({ run, number, span, amounts }: Checkpoint): boolean {
    const done = this.#db.prepare('SELECT checkpoint FROM progress WHERE run = ?').pluck().get(run);
    if (done !== undefined && number <= (done as number)) return false;
    let open = this.#openBatch();
    let hasClosed = false;
    if (open !== null && !isWithin(open, span.fromMs)) {
      hasClosed = this.#closeOpenBatch();
      open = null;
    }
    if (amounts.ids.length > 0) {
      open = this.#extend(open, intervalOf(span, this.#options.intervalMs));
      this.#addPart(open.seq, encodeAmounts(amounts));
      if (this.#partCount(open.seq) > PARTS_MAX) this.#fold(open);
    }
    if (open !== null && !isWithin(open, span.nextMs)) hasClosed = this.#closeOpenBatch();
    this.#db.exec('DELETE FROM progress');
    this.#db.prepare('INSERT INTO progress (run, checkpoint) VALUES (?, ?)').run(run, number);
    return hasClosed;
  }

  #openBatch(): BatchRow | null {
    const query = 'SELECT seq, id, start_ms AS startMs, end_ms AS endMs FROM batches WHERE is_open = 1';
    return (this.#db.prepare(query).get() as BatchRow | undefined) ?? null;
  }

  /** Without an id per file and a count: a file that is restored from a copy would give out the same ids again. */
  #extend(open: BatchRow | null, { startMs, endMs }: Interval): BatchRow {
    if (open === null) {
      const id = randomUUID();
      const insert = 'INSERT INTO batches (id, start_ms, end_ms, is_open) VALUES (?, ?, ?, 1)';
      const seq = Number(this.#db.prepare(insert).run(id, startMs, endMs).lastInsertRowid);
      return { seq, id, startMs, endMs };
    }
    if (endMs <= open.endMs) return open;
    this.#db.prepare('UPDATE batches SET end_ms = ? WHERE seq = ?').run(endMs, open.seq);
    return { ...open, endMs };
  }

  #closeOpenBatch(): boolean {
    const open = this.#openBatch();
    if (open === null) return false;
    this.#fold(open);
    this.#db.prepare('UPDATE batches SET is_open = 0 WHERE seq = ?').run(open.seq);
    return true;
  }

  #closedBatches(limit: number): SizedBatch[] {
    const query = `
      SELECT seq, id, start_ms AS startMs, end_ms AS endMs, total(length(body)) AS bytes
      FROM batches LEFT JOIN parts ON batch = seq
      WHERE is_open = 0 GROUP BY seq ORDER BY seq LIMIT ?`;
    return this.#db.prepare(query).all(limit) as SizedBatch[];
  }

  /**
   * Merges closed batches while there is too much: the shortest neighbours first, of these the oldest, so that what is lost
   * is only the resolution in time. The oldest batch of all stays as it is, because the database may have it already
   * without our knowing: under another id it would be counted twice.
   */
  #keepWithinBounds(): void {
    const [, ...batches] = this.#closedBatches(-1);
    let bytes = batches.reduce((sum, batch) => sum + batch.bytes, 0);
    const { path, bytesMax, warn } = this.#options;
    if (bytes <= bytesMax) return;
    if (!this.#hasMerged)
      warn(`the usage spool ${path} is full; old intervals are merged until the database takes them`);
    this.#hasMerged = true;
    while (bytes > bytesMax && batches.length > 1) {
      const at = shortestPair(batches);
      const merged = this.#merge(batches[at]!, batches[at + 1]!);
      bytes += merged.bytes - batches[at]!.bytes - batches[at + 1]!.bytes;
      batches.splice(at, 2, merged);
    }
  }

  #merge(older: SizedBatch, newer: SizedBatch): SizedBatch {
    const merged: BatchRow = {
      seq: older.seq,
      id: randomUUID(),
      startMs: Math.min(older.startMs, newer.startMs),
      endMs: Math.max(older.endMs, newer.endMs),
    };
    const body = encodeAmounts(this.#sum([older, newer]).amounts());
    this.#db.prepare('DELETE FROM batches WHERE seq = ?').run(newer.seq);
    this.#db.prepare('DELETE FROM parts WHERE batch = ?').run(older.seq);
    this.#addPart(merged.seq, body);
    this.#db
      .prepare('UPDATE batches SET id = @id, start_ms = @startMs, end_ms = @endMs WHERE seq = @seq')
      .run(merged);
    return { ...merged, bytes: body.length };
  }

  // ---- parts ------------------------------------------------------------------------------------------

  #fold(batch: BatchRow): void {
    const body = encodeAmounts(this.#sum([batch]).amounts());
    this.#db.prepare('DELETE FROM parts WHERE batch = ?').run(batch.seq);
    this.#addPart(batch.seq, body);
  }

  #sum(batches: readonly BatchRow[]): AmountSum {
    const sum = new AmountSum();
    const parts = this.#db.prepare('SELECT body FROM parts WHERE batch = ?').pluck();
    for (const { seq } of batches)
      for (const body of parts.iterate(seq)) {
        try {
          sum.addEncoded(body as Buffer);
        } catch (error) {
          throw new DamageError(`batch ${seq}: ${textOf(error)}`);
        }
      }
    return sum;
  }

  #addPart(seq: number, body: Uint8Array): void {
    this.#db.prepare('INSERT INTO parts (batch, body) VALUES (?, ?)').run(seq, body);
  }

  #partCount(seq: number): number {
    return this.#db.prepare('SELECT count(*) FROM parts WHERE batch = ?').pluck().get(seq) as number;
  }
}

/** Amounts that are none, or a file that does not hold together though SQLite reads it. */
class DamageError extends Error {}

function shortestPair(batches: readonly Interval[]): number {
  let best = 0;
  let bestMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i + 1 < batches.length; i++) {
    const { startMs } = batches[i]!;
    const lengthMs = batches[i + 1]!.endMs - startMs;
    if (lengthMs >= bestMs) continue;
    best = i;
    bestMs = lengthMs;
  }
  return best;
}

function isDamage(error: unknown): boolean {
  return error instanceof DamageError || /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error));
}

/** The driver looks for its compiled part when the first file is opened. */
function isDriverFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const isUnfit = 'code' in error && error.code === 'ERR_DLOPEN_FAILED';
  return isUnfit || error.message.startsWith('Could not locate the bindings file');
}

function codeOf(error: unknown): string {
  return error instanceof Database.SqliteError ? error.code : '';
}

function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ');
}

function closeQuietly(db: Database.Database): void {
  try {
    db.close();
  } catch {
    // A damaged file may not even close; what matters is that its lock goes with the process at the latest.
  }
}
