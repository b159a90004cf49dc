/** What databases say when something is wrong, as one line with a stable code. */
import { WeirError } from '../../src/errors.js';

/** What was being done: it decides the code of errors that the database's own code does not tell apart. */
export type Task = 'connect' | 'read' | 'query' | 'write';

/** E_STORE_QUERY stands for a query of the mapping, whose text is the operator's. */
const CODES: Readonly<Record<Task, string>> = {
  connect: 'E_STORE_CONNECT',
  read: 'E_STORE_READ',
  query: 'E_STORE_QUERY',
  write: 'E_STORE_WRITE',
};

/** Of a mapped query. */
export const WOULD_WRITE = 'would write, but weir only reads with it; it must be a SELECT';

/** What the driver says when the server asks for a password and it has none. */
const NO_PASSWORD = /client password must be/;

/** Where a fault was found: the store's label, and the table or query if it is about one. */
export interface Place {
  readonly label: string;
  readonly part: string | null;
  readonly task: Task;
}

interface Judged {
  readonly code: string;
  readonly message: string;
}

/** The error of better-sqlite3, of pg or of the system behind `cause`, placed; a WeirError gets the label alone. */
export function storeFault(cause: unknown, place: Place): WeirError {
  if (cause instanceof WeirError && cause.message.startsWith(place.label)) return cause;
  const { code, message } = judge(cause, place.task);
  // What hinders every read is not about the table that happens to be read first.
  const part = place.part === null || code === 'E_STORE_CONNECT' ? '' : `${place.part}: `;
  return new WeirError(code, `${place.label}: ${part}${oneLine(message)}`, { cause });
}

/**
 * Whether a database is out of reach for a while, as when its server starts later than we do. One that does not let us in, or
 * has no such database, is a mistake in the address.
 */
export function isAway(error: unknown): boolean {
  if (!(error instanceof WeirError) || error.code !== 'E_STORE_CONNECT') return false;
  const cause = firstOf(error.cause);
  return !/^(28|3D)/.test(codeOf(cause)) && !(cause instanceof Error && NO_PASSWORD.test(cause.message));
}

function judge(cause: unknown, task: Task): Judged {
  if (cause instanceof WeirError) return { code: cause.code, message: cause.message };
  const error = firstOf(cause);
  const own = codeOf(error);
  const text = error instanceof Error ? error.message : String(error);
  const known = isDriverFault(own, text)
    ? driverFault(text)
    : own.startsWith('SQLITE_')
      ? sqlite(own, text, task)
      : null;
  return known ?? postgres(own, text, task) ?? { code: CODES[task], message: text || own };
}

/** A connection that was tried at several addresses fails with all their errors and no message of its own. */
function firstOf(cause: unknown): unknown {
  return cause instanceof AggregateError && cause.errors.length > 0 ? cause.errors[0] : cause;
}

function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
}

function isDriverFault(code: string, text: string): boolean {
  return (
    code === 'ERR_MODULE_NOT_FOUND' ||
    code === 'MODULE_NOT_FOUND' ||
    code === 'ERR_DLOPEN_FAILED' ||
    text.startsWith('Could not locate the bindings file')
  );
}

function driverFault(text: string): Judged {
  const missing = /Cannot find (?:package|module) '([\w-]+)'/.exec(text)?.[1];
  const message =
    missing === undefined
      ? 'better-sqlite3 is not compiled for this Node; run: npm rebuild better-sqlite3'
      : `the package ${missing} is not installed; run: npm install`;
  return { code: 'E_STORE_DRIVER', message };
}

/** Only where the tables are weir's own: those of a mapped query are the operator's. */
const NO_TABLES = "`weir classes init` makes weir's tables, or map yours with classes.queries";

const OLD_TABLES = '`weir classes init` adds what a database of an earlier weir lacks';

function sqlite(own: string, text: string, task: Task): Judged | null {
  if (own.startsWith('SQLITE_NOTADB')) return connect('is not a SQLite database');
  if (own.startsWith('SQLITE_CANTOPEN')) return connect(`cannot be opened: ${text}`);
  if (own.startsWith('SQLITE_CORRUPT')) return { code: 'E_STORE_READ', message: `is corrupt: ${text}` };
  if (own.startsWith('SQLITE_READONLY')) {
    if (own.startsWith('SQLITE_READONLY_ROLLBACK'))
      return connect(
        'holds a write that broke off; weir may not roll it back, for it may not write to the file',
      );
    if (task === 'write')
      return { code: 'E_STORE_WRITE', message: 'weir may not write to the file, or not in its folder' };
    return connect(
      'is in write-ahead mode (WAL), where readers too write files beside it, and weir may not write in that folder; let weir write there, or leave the mode with PRAGMA journal_mode = DELETE',
    );
  }
  if (task === 'read' && text.startsWith('no such table'))
    return { code: 'E_STORE_SCHEMA', message: `${text}; ${NO_TABLES}` };
  if (/has no column named/.test(text))
    return { code: 'E_STORE_SCHEMA', message: task === 'write' ? `${text}; ${OLD_TABLES}` : text };
  if (/^no such (table|column)/.test(text)) return { code: 'E_STORE_SCHEMA', message: text };
  return null;
}

/** Codes of PostgreSQL, "Appendix A", and of the system's sockets. */
function postgres(own: string, text: string, task: Task): Judged | null {
  if (NO_PASSWORD.test(text)) return connect('the server wants a password, and the URL has none');
  if (task === 'connect') return connect(text || own);
  if (/^(08|57P)/.test(own) || /^E[A-Z]+$/.test(own))
    return connect(`the connection is lost: ${text || own}`);
  if (/^Connection terminated|^Client (was closed|has encountered)/.test(text))
    return connect('the connection is lost');
  if (/^Query read timeout/.test(text)) return connect('the server does not answer');
  if (/^timeout exceeded when trying to connect/.test(text)) return connect('the server does not answer');
  if (own === '42P01' && task === 'read') return { code: 'E_STORE_SCHEMA', message: `${text}; ${NO_TABLES}` };
  if (own === '42703' && task === 'write')
    return { code: 'E_STORE_SCHEMA', message: `${text}; ${OLD_TABLES}` };
  if (own === '42P01' || own === '42703') return { code: 'E_STORE_SCHEMA', message: text };
  if (own === '25006') return { code: 'E_STORE_QUERY', message: WOULD_WRITE };
  if (own === '57014') return { code: CODES[task], message: 'takes too long and was cancelled' };
  return null;
}

function connect(message: string): Judged {
  return { code: 'E_STORE_CONNECT', message };
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
