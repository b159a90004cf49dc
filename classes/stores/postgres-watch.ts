/**
 * Follows the commits of others in PostgreSQL, by LISTEN on a connection of its own.
 *
 * The triggers of the reference schema, or those of the operator, NOTIFY with a JSON array of subscribers' ids or with
 * anything else, which then means 'all'.
 */
import type pg from 'pg';
import type { Subscriber } from 'rxjs';
import { WeirError } from '../../src/errors.js';
import { hasMapping } from './columns.js';
import { abandon, connectAlone } from './postgres-client.js';
import type { RecordQueries, StoreChange } from './store.js';

/** The channel that operators notify too; README.md says how. */
export const CHANNEL = 'weir_classes';

/** A server that does not answer a heartbeat in this time is lost. */
const HEARTBEAT_ANSWER_MS = 5_000;

export class PostgresWatch {
  readonly #label: string;
  readonly #namesIds: boolean;
  readonly #heartbeatMs: number;
  readonly #out: Subscriber<StoreChange>;
  #client: pg.Client | null = null;
  #heartbeat: NodeJS.Timeout | null = null;
  #stopped = false;
  /** What came since the last event. Null: anything. */
  #ids: Set<string> | null = new Set();
  #emits = false;

  constructor(label: string, queries: RecordQueries, heartbeatMs: number, out: Subscriber<StoreChange>) {
    this.#label = label;
    this.#namesIds = !hasMapping(queries);
    this.#heartbeatMs = heartbeatMs;
    this.#out = out;
  }

  async start(url: string): Promise<void> {
    try {
      const answerMs = Math.min(HEARTBEAT_ANSWER_MS, this.#heartbeatMs);
      const client = await connectAlone(url, this.#label, answerMs);
      if (this.#stopped) {
        abandon(client);
        return;
      }
      this.#client = client;
      client.on('error', (error) => this.#fail(error.message));
      client.on('end', () => this.#fail('the server has closed the connection'));
      client.on('notification', ({ channel, payload }) => {
        if (channel === CHANNEL) this.#take(payload ?? '');
      });
      await client.query(`LISTEN ${CHANNEL}`);
      this.#heartbeat = setInterval(() => this.#ask(), this.#heartbeatMs);
      this.#take('');
    } catch (cause) {
      if (cause instanceof WeirError) this.#out.error(cause);
      else this.#fail(cause instanceof Error ? cause.message : String(cause));
    }
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
    if (this.#client !== null) abandon(this.#client);
    this.#client = null;
  }

  /** The store is closed: there is nothing more to come. */
  end(): void {
    this.stop();
    this.#out.complete();
  }

  /** `answered` is called between the notifications that came before the answer and those that come after it. */
  #ask(answered: () => void = () => {}): void {
    this.#client?.query('SELECT 1', (error) => {
      if (error) this.#fail('the server does not answer');
      else answered();
    });
  }

  #fail(message: string): void {
    if (this.#stopped) return;
    this.stop();
    this.#out.error(new WeirError('E_STORE_CONNECT', `${this.#label}: the watch is lost: ${message}`));
  }

  #take(payload: string): void {
    const ids = this.#namesIds ? idsOf(payload) : null;
    if (ids === null) this.#ids = null;
    else for (const id of ids) this.#ids?.add(id);
    if (this.#emits) return;
    this.#emits = true;
    // Those of one commit come in several packets where they are many; the server sends all of them before it answers.
    this.#ask(() => this.#emit());
  }

  #emit(): void {
    const ids = this.#ids;
    this.#ids = new Set();
    this.#emits = false;
    if (this.#stopped) return;
    if (ids === null) this.#out.next({ kind: 'all' });
    else if (ids.size > 0) this.#out.next({ kind: 'subscribers', ids: [...ids] });
  }
}

/** Null for a payload of another form. */
function idsOf(payload: string): string[] | null {
  if (!payload.startsWith('[')) return null;
  try {
    const value: unknown = JSON.parse(payload);
    const isIds = Array.isArray(value) && value.every((id) => typeof id === 'string');
    return isIds ? value : null;
  } catch {
    return null;
  }
}
