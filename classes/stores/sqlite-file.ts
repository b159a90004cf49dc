/** Connections to a SQLite file, and what tells one file from another of the same name. */
import { type Stats, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { WeirError } from '../../src/errors.js';
import { storeFault } from './faults.js';

export type Connection = Database.Database;

/** How long a call waits for another program's write to end. */
export const BUSY_TIMEOUT_MS = 5_000;

/** Device and inode: another file may have been put in the place of the one that is open. */
export type FileIdentity = string;

/** Null when there is no file. */
export function identityOf(path: string): FileIdentity | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.dev}:${stat.ino}`;
}

/**
 * Opens for reading only; nothing that is asked of this connection can write.
 * @throws WeirError E_STORE_CONNECT, E_STORE_DRIVER
 */
export function openReader(path: string, label: string, timeoutMs = BUSY_TIMEOUT_MS): Connection {
  requireFile(path, label);
  return open(label, () => new Database(path, { readonly: true, fileMustExist: true, timeout: timeoutMs }));
}

/** Opens for writing; makes the file where `create` allows it, with a write-ahead log, so that readers never wait. */
export function openWriter(path: string, label: string, create: boolean): Connection {
  if (!create) requireFile(path, label);
  return open(label, () => {
    const isNew = (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
    const db = new Database(path, { fileMustExist: !create, timeout: BUSY_TIMEOUT_MS });
    if (isNew) db.pragma('journal_mode = WAL');
    db.pragma('foreign_keys = ON');
    // What has been taken must be there after a power cut too, for it is forgotten elsewhere.
    db.pragma('synchronous = FULL');
    return db;
  });
}

function requireFile(path: string, label: string): void {
  let stat: Stats | undefined;
  try {
    stat = statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw storeFault(cause, { label, part: null, task: 'connect' });
  }
  if (stat?.isFile()) return;
  const other = stat?.isDirectory() ? 'is a folder, not a file' : 'is not a file';
  const message = stat === undefined ? 'there is no such file' : other;
  throw new WeirError('E_STORE_CONNECT', `${label}: ${message}`);
}

function open(label: string, make: () => Connection): Connection {
  try {
    return make();
  } catch (cause) {
    throw storeFault(cause, { label, part: null, task: 'connect' });
  }
}
