/** One life of one worker thread, as the control thread sees it. */
import { writeSync } from 'node:fs';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { ThreadData, ThreadMessage, ThreadReady } from '../dataplane/thread-contract.js';
import { ThreadWord } from '../dataplane/thread-contract.js';
import { WeirError } from '../errors.js';
import { type Command, createMailbox, MailboxSender } from '../shm/mailbox.js';
import type { PublishedEpoch } from '../shm/shared-shaper.js';

const THREAD_MODULE = new URL('../dataplane/thread.js', import.meta.url);
/** Any 8 bytes that are not all zero wake a sleeper. */
const WAKE = new BigUint64Array([1n]);

export interface ThreadEvents {
  /** The io is open; frames do not arrive yet. */
  readonly onReady: (ready: ThreadReady) => void;
  readonly onStarted: () => void;
  /** The thread has ended; `fault` says why if nobody told it to. Called once, and last. */
  readonly onEnd: (fault: WeirError | null) => void;
}

/** What the caller knows; the thread's own memory and ports are made here. */
export type ThreadOptions = Omit<ThreadData, 'mailbox' | 'words' | 'epochs'>;

export class WorkerThread {
  readonly words = new Float64Array(new SharedArrayBuffer(ThreadWord.COUNT * 8));
  readonly #worker: Worker;
  readonly #mailbox: MailboxSender;
  readonly #epochs: MessagePort;
  #ready: ThreadReady | null = null;
  #fault: WeirError | null = null;
  #hasEnded = false;

  /** Starts the thread; `first` is the epoch it begins with. */
  constructor(options: ThreadOptions, first: PublishedEpoch, events: ThreadEvents) {
    const mailbox = createMailbox();
    const { port1, port2 } = new MessageChannel();
    this.#mailbox = new MailboxSender(mailbox);
    this.#epochs = port1;
    port1.unref();
    this.#epochs.postMessage(first);
    const data: ThreadData = { ...options, mailbox, words: this.words, epochs: port2 };
    this.#worker = new Worker(THREAD_MODULE, {
      workerData: data,
      transferList: [port2],
      name: `weir-${options.queue}`,
    });
    this.#worker.on('message', (message: ThreadMessage) => this.#hear(message, events));
    this.#worker.on('error', (error: Error) => {
      const code = error instanceof WeirError ? error.code : 'E_WORKER';
      this.#fault ??= new WeirError(code, error.message, { cause: error });
    });
    this.#worker.on('exit', () => {
      this.#hasEnded = true;
      this.#epochs.close();
      events.onEnd(this.#fault);
    });
  }

  /** What the thread said when its io was open; null before. */
  get ready(): ThreadReady | null {
    return this.#ready;
  }

  deliver(epoch: PublishedEpoch): void {
    this.#epochs.postMessage(epoch);
  }

  /** Ends the thread's sleep, if it sleeps. */
  wake(): void {
    // After the end the descriptor may be somebody else's.
    if (this.#hasEnded || this.#ready === null || this.#ready.wakeFd < 0) return;
    try {
      writeSync(this.#ready.wakeFd, WAKE);
    } catch {
      // The eventfd's counter is full, so the thread will wake; or the io is closed, and the end is near.
    }
  }

  /** Sends a command and wakes the thread; returns a number for `isDone`. */
  send(command: Command): number {
    this.#mailbox.send(command);
    this.wake();
    return this.#mailbox.lastSent;
  }

  isDone(command: number): boolean {
    return this.#mailbox.isDone(command);
  }

  /** Ends the thread wherever it is; `onEnd` follows. */
  terminate(fault: WeirError | null): void {
    this.#fault ??= fault;
    void this.#worker.terminate();
  }

  #hear(message: ThreadMessage, events: ThreadEvents): void {
    if (message.kind === 'ready') {
      this.#ready = message;
      events.onReady(message);
    } else if (message.kind === 'started') events.onStarted();
    else this.#fault ??= new WeirError(message.code, message.message);
  }
}
