/**
 * Accounting as the daemon sees it: collects what the classes have counted, hands it to the accounting thread, and
 * says how that goes.
 *
 *     UsageMeter ──▶ Ledger ──checkpoint──▶ thread: spool ──▶ database
 *                      ▲                       │
 *                      └── next one after ── recorded
 *
 * One checkpoint is on its way at a time, and is kept here until it is on disk. What is counted meanwhile stays in the
 * counters and comes with the next one. So a slow disk costs resolution in time and nothing else.
 */
import { randomUUID } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { SourceSpec } from '../../classes/source/source.js';
import { isStoreUrl } from '../../classes/stores/url.js';
import { WeirError } from '../errors.js';
import type { Amounts } from './amounts.js';
import { floorTo, intervalOf, isWithin, type Span, SteadyTime } from './intervals.js';
import { Ledger, type UsageMeter } from './ledger.js';
import type { AccountingThreadData, FromThread, ToThread } from './thread-contract.js';

const THREAD_MODULE = new URL('./thread-main.js', import.meta.url);
const SPOOL_BYTES_MAX = 2 ** 30;
const RESTART_MIN_MS = 1000;
const RESTART_MAX_MS = 60_000;
const FLUSH_MAX_MS = 3000;
const FLUSH_POLL_MS = 5;
/** How long the thread may take to close the spool, beside what it waits for the database. */
const STOP_DISK_MS = 3000;
const STOP_FORCE_MS = 500;
const STOP_DELIVER_MS = 2000;

export interface AccountantLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Timers must not keep the process alive; `cancel` may be called at any time. */
export interface Clock {
  /** Milliseconds since 1970, as the clock on the wall says. */
  wallMs(): number;
  /** Milliseconds of a clock that nobody sets. */
  monotonicMs(): number;
  /** Returns what calls it off. */
  setTimer(work: () => void, ms: number): () => void;
}

export interface AccountantOptions {
  /** The database that usage is written to; nothing is accounted for another source. */
  readonly store: SourceSpec;
  /** Path of the spool; its folder is made where it is missing. */
  readonly spool: string;
  readonly intervalSeconds: number;
  readonly checkpointSeconds: number;
  /** Default 1 GiB; beyond it, intervals that wait for the database are merged. */
  readonly spoolBytesMax?: number;
  readonly log: AccountantLog;
  readonly meter: UsageMeter;
  readonly clock?: Clock;
  /** What the thread runs; for tests that put something between it and the database. */
  readonly threadModule?: URL;
}

export interface AccountingStatus {
  /** `off`: not started, stopped, or without a database. `retrying`: `fault` says what hinders it; nothing is lost. */
  readonly state: 'off' | 'ok' | 'retrying';
  /** Intervals that are over and not in the database yet. */
  readonly pendingBatches: number;
  /** When the database last took an interval, as ISO 8601; null when it has not since the start. */
  readonly lastTakenAt: string | null;
  readonly fault: string | null;
}

interface Pending {
  readonly number: number;
  readonly span: Span;
  readonly amounts: Amounts;
}

interface Start {
  readonly resolve: () => void;
  readonly reject: (error: WeirError) => void;
}

export class Accountant {
  readonly #options: AccountantOptions;
  readonly #clock: Clock;
  readonly #data: AccountingThreadData;
  readonly #ledger = new Ledger();
  #time: SteadyTime;
  #state: 'off' | 'starting' | 'running' | 'stopping' = 'off';
  #thread: Worker | null = null;
  #start: Start | null = null;
  #isReady = false;
  #restarts = 0;
  #cancelTimer: (() => void) | null = null;
  #cancelRestart: (() => void) | null = null;
  /** What is not known to be on disk. */
  #pending: Pending | null = null;
  #isAnswerDue = false;
  #number = 0;
  /** The interval that the spool has open, if it has one. */
  #openSpan: Span | null = null;
  #pendingBatches = 0;
  #lastTakenMs: number | null = null;
  #storeFault: string | null = null;
  #diskFault: string | null = null;

  constructor(options: AccountantOptions) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#time = new SteadyTime(this.#clock.wallMs(), this.#clock.monotonicMs());
    this.#data = {
      store: options.store,
      spool: options.spool,
      intervalMs: options.intervalSeconds * 1000,
      spoolBytesMax: options.spoolBytesMax ?? SPOOL_BYTES_MAX,
      run: randomUUID(),
    };
  }

  /**
   * Opens the spool and begins to count and to deliver; the database need not be there. Throws E_SPOOL_BUSY when another
   * daemon has the spool, and E_SPOOL when it cannot be used. Without a database it does nothing.
   */
  async start(): Promise<void> {
    if (this.#state !== 'off' || !isStoreUrl(this.#options.store.url)) return;
    this.#state = 'starting';
    try {
      await new Promise<void>((resolve, reject) => {
        this.#start = { resolve, reject };
        this.#startThread();
      });
    } catch (error) {
      this.#state = 'off';
      throw error;
    }
    this.#state = 'running';
    this.#time = new SteadyTime(this.#clock.wallMs(), this.#clock.monotonicMs());
    this.#arm();
  }

  /**
   * Collects and hands over what has been counted, unless the last checkpoint is not on disk yet. The accountant does so
   * by itself every `checkpointSeconds`; a caller may at any time.
   */
  checkpoint(): void {
    if (!this.#isReady || this.#isAnswerDue) return;
    if (this.#pending === null) this.#collect();
    if (this.#pending !== null) this.#send(this.#pending);
  }

  /** Writes down all that has been counted so far. Returns whether it is on disk; gives up after some seconds. */
  async flush(): Promise<boolean> {
    const untilMs = this.#clock.monotonicMs() + FLUSH_MAX_MS;
    let isLast = false;
    while (this.#thread !== null && this.#clock.monotonicMs() < untilMs) {
      if (this.#isReady && !this.#isAnswerDue) {
        if (isLast && this.#pending === null) return true;
        // What is still to be repeated was collected before; the rest comes after it.
        isLast = this.#pending === null;
        this.checkpoint();
        if (this.#pending === null) return true;
      }
      await new Promise<void>((resolve) => this.#clock.setTimer(resolve, FLUSH_POLL_MS));
    }
    return false;
  }

  /** Writes down the rest and gives the database a moment to take it. Bounded, and never throws. */
  async stop(deliverMs = STOP_DELIVER_MS): Promise<void> {
    if (this.#state === 'starting') await this.#thread?.terminate();
    if (this.#state !== 'running') return;
    this.#state = 'stopping';
    this.#cancelTimer?.();
    this.#cancelRestart?.();
    const isWritten = await this.flush();
    if (!isWritten)
      this.#options.log.error(
        `usage of the last moments may be lost: ${this.#diskFault ?? 'the disk is slow'}`,
      );
    const thread = this.#thread;
    if (thread !== null) {
      const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
      thread.postMessage({ kind: 'finish', deliverMs } satisfies ToThread);
      await this.#withinLimit(ended, deliverMs + STOP_DISK_MS);
      // Not for ever: a thread that waits for a dead disk does not even end by force.
      await this.#withinLimit(
        thread.terminate().then(() => {}),
        STOP_FORCE_MS,
      );
    }
    this.#state = 'off';
  }

  status(): AccountingStatus {
    const isOff = this.#state === 'off' || this.#state === 'starting';
    const fault = this.#diskFault ?? this.#storeFault;
    return {
      state: isOff ? 'off' : fault === null ? 'ok' : 'retrying',
      pendingBatches: this.#pendingBatches,
      lastTakenAt: this.#lastTakenMs === null ? null : new Date(this.#lastTakenMs).toISOString(),
      fault,
    };
  }

  // ---- checkpoints ------------------------------------------------------------------------------------

  /** Checkpoints are aligned as intervals are, so that an interval ends with one. */
  #arm(): void {
    const stepMs = this.#options.checkpointSeconds * 1000;
    const nowMs = this.#clock.wallMs();
    const dueMs = floorTo(nowMs, stepMs) + stepMs;
    this.#cancelTimer = this.#clock.setTimer(() => {
      if (this.#state !== 'running') return;
      // Timers may fire a moment early; a clock that was set is none of their business.
      const earlyMs = dueMs - this.#clock.wallMs();
      if (earlyMs <= 0 || earlyMs > EARLY_MAX_MS) this.checkpoint();
      this.#arm();
    }, dueMs - nowMs);
  }

  #collect(): void {
    const span = this.#time.advance(this.#clock.wallMs(), this.#clock.monotonicMs());
    if (span.nextMs < span.fromMs)
      this.#options.log.warn(
        'the clock was set back by more than an hour: usage is added to hours that have been',
      );
    const amounts = this.#ledger.collect(this.#options.meter);
    const isEmpty = amounts.ids.length === 0;
    if (isEmpty && !this.#endsInterval(span)) return;
    this.#pending = { number: ++this.#number, span, amounts };
  }

  /** Whether the spool has an interval to close, though nothing was counted. */
  #endsInterval(span: Span): boolean {
    if (this.#openSpan === null) return false;
    const open = intervalOf(this.#openSpan, this.#data.intervalMs);
    return !isWithin(open, span.nextMs);
  }

  #send(pending: Pending): void {
    this.#isAnswerDue = true;
    this.#thread!.postMessage({ kind: 'checkpoint', ...pending } satisfies ToThread);
  }

  async #withinLimit(work: Promise<void>, ms: number): Promise<void> {
    let cancel = (): void => {};
    const limit = new Promise<void>((resolve) => {
      cancel = this.#clock.setTimer(resolve, ms);
    });
    await Promise.race([work, limit]);
    cancel();
  }

  // ---- the thread -------------------------------------------------------------------------------------

  #startThread(): void {
    const thread = new Worker(this.#options.threadModule ?? THREAD_MODULE, {
      workerData: this.#data,
      name: 'weir-usage',
    });
    this.#thread = thread;
    let reason: WeirError | null = null;
    thread.on('message', (message: FromThread) => {
      if (message.kind === 'failed') reason = new WeirError(message.code, message.message);
      else this.#hear(message);
    });
    thread.on('error', (error: Error) => {
      reason ??= new WeirError('E_ACCOUNTING', error.message, { cause: error });
    });
    thread.on('exit', () => this.#afterEnd(reason));
  }

  #hear(message: Exclude<FromThread, { kind: 'failed' }>): void {
    if ('pendingBatches' in message) this.#pendingBatches = message.pendingBatches;
    if (message.kind === 'warning') this.#options.log.warn(message.message);
    else if (message.kind === 'refused') this.#refused(message.message);
    else if (message.kind === 'ready') this.#ready();
    else if (message.kind === 'recorded') this.#recorded(message.number);
    else this.#attempted(message.fault);
  }

  #ready(): void {
    this.#isReady = true;
    this.#isAnswerDue = false;
    this.#start?.resolve();
    this.#start = null;
    // What an earlier thread may not have written; one that it had is known by its number.
    if (this.#pending !== null) this.#send(this.#pending);
  }

  #recorded(number: number): void {
    if (this.#pending === null || this.#pending.number !== number) return;
    const { span, amounts } = this.#pending;
    if (amounts.ids.length > 0) this.#openSpan = span;
    if (this.#endsInterval(span)) this.#openSpan = null;
    if (this.#diskFault !== null) this.#options.log.info('usage is written to the spool again');
    this.#diskFault = null;
    this.#restarts = 0;
    this.#pending = null;
    this.#isAnswerDue = false;
  }

  #refused(reason: string): void {
    if (this.#diskFault === null) this.#options.log.error(`usage waits in memory: ${reason}`);
    this.#diskFault = reason;
    this.#isAnswerDue = false;
  }

  #attempted(fault: string | null): void {
    const { log } = this.#options;
    if (fault === null) {
      if (this.#storeFault !== null) log.info('the database takes usage again');
      this.#lastTakenMs = this.#clock.wallMs();
    } else if (fault !== this.#storeFault) {
      log.warn(`usage waits on disk, the database does not take it: ${fault}`);
    }
    this.#storeFault = fault;
  }

  /** Only at the start an end is final: later the counters go on, and a new thread takes up what was not written. */
  #afterEnd(reason: WeirError | null): void {
    this.#thread = null;
    this.#isReady = false;
    if (this.#start !== null) {
      this.#start.reject(reason ?? new WeirError('E_ACCOUNTING', 'the accounting thread ended at its start'));
      this.#start = null;
    } else if (this.#state === 'running') {
      this.#diskFault = reason?.message ?? 'the accounting thread ended';
      this.#options.log.error(`accounting pauses: ${this.#diskFault}`);
      const waitMs = Math.min(RESTART_MAX_MS, RESTART_MIN_MS * 2 ** this.#restarts++);
      this.#cancelRestart = this.#clock.setTimer(() => this.#startThread(), waitMs);
    }
  }
}

const EARLY_MAX_MS = 20;

const SYSTEM_CLOCK: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (work, ms) => {
    const timer = setTimeout(work, ms).unref();
    return () => clearTimeout(timer);
  },
};
