/** Connections to PostgreSQL: bounded in every wait, with values as weir reads them. */
import pg from 'pg';
import { storeFault } from './faults.js';

export type Client = pg.ClientBase;

const CONNECT_TIMEOUT_MS = 5_000;
/** The server's own bound comes first, so that its message is the one that is seen. */
const STATEMENT_TIMEOUT_MS = 60_000;
const ANSWER_TIMEOUT_MS = 65_000;

/** A read needs one, a write needs one; the others are for who overlaps them. */
const CONNECTIONS_MAX = 4;

const OID_INT8 = 20;
const OID_NUMERIC = 1700;
const OID_TIMESTAMP = 1114;
const OID_TIMESTAMPTZ = 1184;

/** Beyond what a Date can say; SQL's infinity is a time too. */
const LONG_AGO = new Date(0);

type Parser = (text: string) => unknown;

/** 64-bit numbers and numerics as numbers, and no times that are no Date; addresses stay text. */
const PARSERS: ReadonlyMap<number, Parser> = new Map<number, Parser>([
  [OID_INT8, Number],
  [OID_NUMERIC, Number],
  [OID_TIMESTAMP, (text) => parseTime(text, OID_TIMESTAMP)],
  [OID_TIMESTAMPTZ, (text) => parseTime(text, OID_TIMESTAMPTZ)],
]);

/** What never comes is null: who expires at infinity does not expire. */
function parseTime(text: string, oid: number): unknown {
  if (text === 'infinity') return null;
  if (text === '-infinity') return LONG_AGO;
  return pg.types.getTypeParser(oid, 'text')(text);
}

function settings(url: string, answerTimeoutMs: number): pg.ClientConfig {
  return {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: Math.min(STATEMENT_TIMEOUT_MS, answerTimeoutMs),
    query_timeout: answerTimeoutMs,
    keepAlive: true,
    application_name: 'weir',
    types: {
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        (format !== 'binary' && PARSERS.get(oid)) || pg.types.getTypeParser(oid, format ?? 'text')) as never,
    },
  };
}

/** Connects when it is first used. @throws WeirError E_STORE_CONNECT if the URL cannot be used at all */
export function makePool(url: string, label: string): pg.Pool {
  try {
    const pool = new pg.Pool({
      ...settings(url, ANSWER_TIMEOUT_MS),
      max: CONNECTIONS_MAX,
      idleTimeoutMillis: 0,
      allowExitOnIdle: true,
    });
    pool.on('error', ignore);
    // The pool listens to idle clients only; one that fails in use would end the process.
    pool.on('connect', (client) => client.on('error', ignore));
    return pool;
  } catch (cause) {
    throw storeFault(cause, { label, part: null, task: 'connect' });
  }
}

/** A connection of its own, connected. @throws WeirError E_STORE_CONNECT */
export async function connectAlone(url: string, label: string, answerTimeoutMs: number): Promise<pg.Client> {
  try {
    const client = new pg.Client(settings(url, answerTimeoutMs));
    client.on('error', ignore);
    await client.connect();
    return client;
  } catch (cause) {
    throw storeFault(cause, { label, part: null, task: 'connect' });
  }
}

/** Ends a connection whose server may not answer any more; waits for nothing. */
export function abandon(client: pg.Client): void {
  client.end().catch(ignore);
  // A server that has stopped would keep the socket, and with it the process, for minutes.
  const { connection } = client as unknown as { connection: { stream: { unref?(): void } } };
  connection.stream.unref?.();
}

/** Whoever waits for an answer is told by the answer's own error. */
function ignore(): void {}
