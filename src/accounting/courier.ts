/**
 * Brings closed batches to the database, in order, one at a time; a batch leaves the spool after the database took it.
 *
 *     resting ──wake──▶ delivering ──spool empty──▶ resting
 *                           │ ▲
 *                     fault ▼ │ 1 s, 2 s, 4 s … 60 s
 *                          waiting
 */
import type { UsageBatch } from '../../classes/stores/usage.js';
import { WeirError } from '../errors.js';

const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 60_000;
/** For a database that neither takes a batch nor says why; many times what the largest batch needs. */
const TAKE_MAX_MS = 120_000;

/** Of a Store, what is needed here. */
export interface UsageStore {
  takeUsage(batch: UsageBatch): Promise<void>;
  close(): Promise<void>;
}

/** Of the spool, what is needed here. */
export interface Outbox {
  head(): UsageBatch | null;
  remove(id: string): void;
}

/** Calls `work` once after so many milliseconds; the result calls it off. */
export type SetTimer = (work: () => void, ms: number) => () => void;

export interface CourierOptions {
  readonly outbox: Outbox;
  readonly connect: () => Promise<UsageStore>;
  readonly setTimer: SetTimer;
  /** After each attempt: null when the database took a batch, or why it did not. */
  readonly onAttempt: (fault: string | null) => void;
}

export class Courier {
  readonly #options: CourierOptions;
  #store: UsageStore | null = null;
  #round: Promise<void> | null = null;
  #cancelRetry: (() => void) | null = null;
  #failures = 0;
  #isFinished = false;

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  /** Says that there may be something to deliver. While the courier waits after a fault it does not hurry it. */
  wake(): void {
    if (this.#round !== null || this.#cancelRetry !== null || this.#isFinished) return;
    this.#round = this.#deliver().finally(() => {
      this.#round = null;
    });
  }

  /** One more round now, of at most `withinMs`, and the end. */
  async finish(withinMs: number): Promise<void> {
    this.#callOffRetry();
    this.wake();
    const round = this.#round;
    const { setTimer } = this.#options;
    let cancel = (): void => {};
    const limit = new Promise<void>((resolve) => {
      cancel = setTimer(resolve, withinMs);
    });
    await Promise.race([round, limit]);
    cancel();
    this.#isFinished = true;
    this.#callOffRetry();
    await Promise.race([this.#dropStore(), limit]);
  }

  async #deliver(): Promise<void> {
    const { outbox, onAttempt } = this.#options;
    while (!this.#isFinished) {
      try {
        const batch = outbox.head();
        if (batch === null) return;
        this.#store ??= await this.#options.connect();
        await this.#withinLimit(this.#store.takeUsage(batch));
        // What was taken after the end stays in the spool; the database will know it when it comes again.
        if (this.#isFinished) return;
        outbox.remove(batch.id);
        this.#failures = 0;
        onAttempt(null);
      } catch (error) {
        this.#retryLater();
        onAttempt(error instanceof Error ? error.message : String(error));
        return;
      }
    }
  }

  #retryLater(): void {
    if (this.#isFinished) return;
    const waitMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.#failures++);
    this.#cancelRetry = this.#options.setTimer(() => {
      this.#cancelRetry = null;
      this.wake();
    }, waitMs);
  }

  #callOffRetry(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
  }

  async #withinLimit(taking: Promise<void>): Promise<void> {
    let cancel = (): void => {};
    const limit = new Promise<never>((_, reject) => {
      cancel = this.#options.setTimer(() => {
        reject(new WeirError('E_STORE_TIMEOUT', `the database did not answer for ${TAKE_MAX_MS / 1000} s`));
      }, TAKE_MAX_MS);
    });
    try {
      await Promise.race([taking, limit]);
    } catch (error) {
      // A connection that hangs is of no use any more; one that failed may be in any state.
      taking.catch(() => {});
      void this.#dropStore();
      throw error;
    } finally {
      cancel();
    }
  }

  async #dropStore(): Promise<void> {
    const store = this.#store;
    this.#store = null;
    await store?.close().catch(() => {});
  }
}
