/**
 * Keeps one worker thread a queue alive.
 *
 *     starting ──started──▶ running ──threw, or did not turn for a second──▶ ending ──ended──▶ waiting
 *        ▲  └───────────────could not open, took too long───────────────▶ ending              │
 *        └────────────────────────────── back-off over ──────────────────────────────────────┘
 *
 * While a worker is not running its queue is released, so its frames do what `failure` says. What a worker had open is
 * closed here, by handle, when its thread has ended and nobody can touch that memory any more.
 */
import { type Observable, Subject } from 'rxjs';
import type { IoOpener, ThreadReady } from '../dataplane/thread-contract.js';
import { ThreadWord } from '../dataplane/thread-contract.js';
import { WeirError } from '../errors.js';
import { Command } from '../shm/mailbox.js';
import type { PublishedEpoch } from '../shm/shared-shaper.js';
import { type ThreadOptions, WorkerThread } from './worker-thread.js';

const STALL_MS = 1000;
const START_MS = 20_000;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 10_000;
/** A worker that has run this long begins with the shortest back-off again. */
const HEALTHY_MS = 30_000;
/** When the control thread itself was late, its looks at the heartbeats prove nothing. */
const LATE_CHECK_MS = 600;

export type SlotState = 'starting' | 'running' | 'ending' | 'waiting' | 'stopped';

export type SupervisorEvent =
  | {
      readonly kind: 'ready';
      readonly queue: number;
      readonly ready: ThreadReady;
      readonly words: Float64Array;
    }
  | { readonly kind: 'started'; readonly queue: number }
  /** The worker is gone; `fault` is null when it was told to go. */
  | {
      readonly kind: 'ended';
      readonly queue: number;
      readonly fault: WeirError | null;
      readonly retryMs: number;
    };

export interface SupervisorOptions {
  readonly queues: number;
  readonly threadOptions: (queue: number) => Omit<ThreadOptions, 'opener'>;
  readonly opener: (queue: number) => IoOpener;
  readonly releaseQueue: (queue: number) => void;
  readonly closeIo: (handle: bigint) => void;
  /** All classes as they are now, for the worker that starts on a queue. */
  readonly firstEpoch: (queue: number) => PublishedEpoch;
}

class Slot {
  state: SlotState = 'stopped';
  thread: WorkerThread | null = null;
  restarts = 0;
  sinceMs = 0;
  backoffMs = BACKOFF_FIRST_MS;
  turns = -1;
  turnsAtMs = 0;

  constructor(readonly queue: number) {}
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #slots: readonly Slot[];
  readonly #events = new Subject<SupervisorEvent>();
  #isStopping = false;
  #checkedAtMs = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.queues }, (_, queue) => new Slot(queue));
  }

  get events$(): Observable<SupervisorEvent> {
    return this.#events;
  }

  state(queue: number): SlotState {
    return this.#slots[queue]!.state;
  }

  restarts(queue: number): number {
    return this.#slots[queue]!.restarts;
  }

  get isStopped(): boolean {
    return this.#slots.every(({ state }) => state === 'stopped');
  }

  get areRunning(): boolean {
    return this.#slots.every(({ state }) => state === 'running');
  }

  get isStarting(): boolean {
    return this.#slots.some(({ state }) => state === 'starting');
  }

  start(nowMs: number): void {
    for (const slot of this.#slots) this.#start(slot, nowMs);
  }

  /** Hands an epoch to every living worker. */
  deliver(epoch: PublishedEpoch): void {
    for (const { thread } of this.#slots) thread?.deliver(epoch);
  }

  wake(): void {
    for (const { thread } of this.#slots) thread?.wake();
  }

  /** Looks after the workers; to be called a few times a second with a clock that does not go back. */
  check(nowMs: number): void {
    const isLate = nowMs - this.#checkedAtMs > LATE_CHECK_MS;
    this.#checkedAtMs = nowMs;
    if (this.#isStopping) return;
    for (const slot of this.#slots) {
      if (slot.state === 'waiting' && nowMs >= slot.sinceMs + slot.backoffMs) {
        slot.restarts++;
        slot.backoffMs = Math.min(slot.backoffMs * 2, BACKOFF_MAX_MS);
        this.#start(slot, nowMs);
      } else if (slot.state === 'starting' && nowMs - slot.sinceMs > START_MS) {
        this.#end(slot, new WeirError('E_WORKER', `did not start within ${START_MS / 1000} s`));
      } else if (slot.state === 'running') this.#checkHeartbeat(slot, nowMs, isLate);
    }
  }

  /** Sends a command to every worker that runs; `isDone` tells when all have carried it out, or have ended. */
  command(command: Command): () => boolean {
    const sent = this.#slots.flatMap(({ thread, state }) =>
      thread === null || state !== 'running' ? [] : [{ thread, number: thread.send(command) }],
    );
    return () =>
      sent.every(
        ({ thread, number }) => thread.isDone(number) || !this.#slots.some((s) => s.thread === thread),
      );
  }

  /**
   * Tells all workers to end, or makes them; `ended` events follow, and then `isStopped`. One that is starting ends when
   * it has come to its loop. Force is for workers that do not come round: it ends the whole process when it meets a thread
   * in the midst of loading the native library.
   */
  stop(byForce: boolean): void {
    this.#isStopping = true;
    for (const slot of this.#slots) {
      const { thread } = slot;
      if (thread === null) slot.state = 'stopped';
      else if (byForce) thread.terminate(null);
      else thread.send(Command.STOP);
    }
  }

  #start(slot: Slot, nowMs: number): void {
    const { queue } = slot;
    slot.state = 'starting';
    slot.sinceMs = slot.turnsAtMs = nowMs;
    slot.turns = -1;
    const options = { ...this.#options.threadOptions(queue), opener: this.#options.opener(queue) };
    const thread = new WorkerThread(options, this.#options.firstEpoch(queue), {
      onReady: (ready) => this.#events.next({ kind: 'ready', queue, ready, words: thread.words }),
      onStarted: () => {
        if (slot.state !== 'starting') return;
        slot.state = 'running';
        this.#events.next({ kind: 'started', queue });
      },
      onEnd: (fault) => this.#ended(slot, thread, fault),
    });
    slot.thread = thread;
  }

  #checkHeartbeat(slot: Slot, nowMs: number, isLate: boolean): void {
    const turns = slot.thread!.words[ThreadWord.TURNS]!;
    if (turns !== slot.turns || isLate) {
      slot.turns = turns;
      slot.turnsAtMs = nowMs;
      if (nowMs - slot.sinceMs > HEALTHY_MS) slot.backoffMs = BACKOFF_FIRST_MS;
    } else if (nowMs - slot.turnsAtMs >= STALL_MS) {
      this.#end(slot, new WeirError('E_WORKER', `has not come round for ${STALL_MS} ms`));
    }
  }

  #end(slot: Slot, fault: WeirError): void {
    slot.state = 'ending';
    // At once: until the thread has ended its frames would pile up.
    this.#options.releaseQueue(slot.queue);
    slot.thread!.terminate(fault);
  }

  #ended(slot: Slot, thread: WorkerThread, fault: WeirError | null): void {
    const { queue } = slot;
    const wasRunning = slot.state === 'running';
    slot.thread = null;
    slot.state = this.#isStopping ? 'stopped' : 'waiting';
    slot.sinceMs = this.#checkedAtMs;
    if (wasRunning && !this.#isStopping) this.#options.releaseQueue(queue);
    const cause =
      fault ?? (this.#isStopping ? null : new WeirError('E_WORKER', 'ended without being told to'));
    const retryMs = this.#isStopping ? 0 : slot.backoffMs;
    // First whoever reads the worker's counters lets go of them, then what it had open is closed.
    this.#events.next({ kind: 'ended', queue, fault: cause, retryMs });
    if (thread.ready !== null) this.#options.closeIo(thread.ready.handle);
  }
}
