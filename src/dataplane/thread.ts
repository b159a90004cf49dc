/**
 * The thread around a worker: opens the rings, then calls `step` in a loop, and sleeps when there is nothing to do.
 *
 *     io.turn(waitNs)  ->  now  ->  worker.step(now)  ->  nothing moved for a while? waitNs = until the next is due
 *
 * The loop sees no events: new classes are taken from a message port inside `step`, commands from the mailbox, whose
 * poll is one atomic load. A sleeping thread is woken by a frame, or by the control thread through the wake fd. The
 * control thread closes the io by its handle after the thread has ended, whichever way it ended.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { WeirError } from '../errors.js';
import type { WorkerIo } from '../rings/io.js';
import { loadNative } from '../rings/native.js';
import { Command, MailboxReceiver } from '../shm/mailbox.js';
import type { EpochSource, PublishedEpoch } from '../shm/shared-shaper.js';
import { BATCH_MAX } from './batch.js';
import { type ThreadData, type ThreadMessage, ThreadWord } from './thread-contract.js';
import { Worker } from './worker.js';

/**
 * Turns without a packet before the thread may sleep: some 5 µs, in which the next batch of a busy queue comes. Many
 * timers wake a worker that shapes; were it to spin much longer each time, it would never leave the CPU to others.
 */
const SPIN_TURNS = 4;
/** Falling asleep and waking up takes about this long, so what is due earlier is waited for awake. */
const SLEEP_MIN_NS = 20_000;
/** Also an idle thread comes round: the supervisor looks at its heartbeat. */
const SLEEP_MAX_NS = 100e6;
/** Something is due, but nothing can move since long: a full TX ring of a device that does not send. */
const STUCK_TURNS = 2048;
const STUCK_SLEEP_NS = 500_000;
const COPY_EVERY_NS = 500e6;

class PortSource implements EpochSource {
  constructor(private readonly port: MessagePort) {}

  take(): PublishedEpoch | null {
    return (receiveMessageOnPort(this.port)?.message as PublishedEpoch | undefined) ?? null;
  }
}

/** What goes on in the loop beside the packets. */
class Shell {
  private readonly mailbox: MailboxReceiver;
  private commandsSeen = 0;
  private drainTurns = -1;
  private copyAtNs = 0;
  private readonly turnsToEmptyRx: number;

  constructor(
    private readonly worker: Worker,
    private readonly io: WorkerIo,
    private readonly words: Float64Array,
    mailbox: Int32Array,
  ) {
    this.mailbox = new MailboxReceiver(mailbox);
    this.turnsToEmptyRx = Math.ceil(io.ports[0].rx.size / BATCH_MAX) + 1;
  }

  /** Looks at the mailbox; false when the thread is to end. */
  goesOn(): boolean {
    const waiting = this.mailbox.poll();
    if (waiting !== 0 && !this.obey(waiting)) return false;
    if (this.drainTurns >= 0) this.drain();
    return true;
  }

  /** Copies what only this thread can see to where the control thread reads it. */
  copyStatistics(): void {
    const nowNs = this.words[ThreadWord.NOW_NS]!;
    if (nowNs < this.copyAtNs) return;
    this.copyAtNs = nowNs + COPY_EVERY_NS;
    const { words } = this;
    const { statistics } = this.io;
    const { counters } = this.worker.parser;
    for (let i = 0; i < statistics.length; i++) words[ThreadWord.SOCKETS + i] = statistics[i]!;
    for (let i = 0; i < counters.length; i++) words[ThreadWord.PARSE + i] = counters[i]!;
    words[ThreadWord.FREE_FRAMES] = this.worker.freeFrames;
  }

  /** Carries out new commands. DRAIN is acknowledged when it is done, so it stays in the mailbox meanwhile. */
  private obey(waiting: number): boolean {
    for (; this.commandsSeen < waiting; this.commandsSeen++) {
      const code = this.mailbox.codeAt(this.commandsSeen);
      if (code === Command.STOP) return false;
      if (code === Command.DRAIN) this.drainTurns = 0;
    }
    if (this.drainTurns < 0) this.acknowledge();
    return true;
  }

  /** What has been received is still carried, as far as it lies in the RX rings now; then only what is queued. */
  private drain(): void {
    const { worker, io } = this;
    this.drainTurns = (this.drainTurns + 1) | 0;
    if (this.drainTurns < this.turnsToEmptyRx) return;
    worker.stopReceiving();
    if (worker.queuedPackets !== 0 || io.ports[0].tx.published() + io.ports[1].tx.published() !== 0) return;
    this.drainTurns = -1;
    this.acknowledge();
  }

  private acknowledge(): void {
    this.mailbox.acknowledge(this.commandsSeen);
    this.commandsSeen = 0;
  }

  /** Whether the loop must come round without sleeping. */
  get isDraining(): boolean {
    return this.drainTurns >= 0 && this.drainTurns < this.turnsToEmptyRx;
  }
}

function loop(worker: Worker, io: WorkerIo, shell: Shell, words: Float64Array, originNs: number): void {
  const clock = io.nowWord;
  let nowNs = clock[0]! - originNs;
  let emptyTurns = 0;
  while (shell.goesOn()) {
    worker.clock[0] = nowNs;
    const moved = worker.stepNow();
    emptyTurns = moved > 0 || shell.isDraining ? 0 : (emptyTurns + 1) | 0;
    // A constant is no garbage. Who sleeps may leave some: that is what a double in a variable is.
    if (emptyTurns <= SPIN_TURNS) io.turn(0);
    else sleep(worker, io, words, nowNs, emptyTurns);
    const thenNs = nowNs;
    nowNs = clock[0]! - originNs;
    if (moved > 0) words[ThreadWord.BUSY_NS]! += nowNs - thenNs;
    words[ThreadWord.NOW_NS] = nowNs;
    words[ThreadWord.TURNS]! += 1;
    shell.copyStatistics();
  }
  // What the last step put into the TX rings is on its way when the sockets close.
  io.turn(0);
}

function sleep(worker: Worker, io: WorkerIo, words: Float64Array, nowNs: number, emptyTurns: number): void {
  const waitNs = worker.nextDueNs(nowNs) - nowNs;
  if (waitNs < SLEEP_MIN_NS) {
    io.turn(emptyTurns < STUCK_TURNS ? 0 : STUCK_SLEEP_NS);
    return;
  }
  words[ThreadWord.SLEEPS]! += 1;
  io.turn(waitNs < SLEEP_MAX_NS ? waitNs : SLEEP_MAX_NS);
}

function send(message: ThreadMessage): void {
  parentPort!.postMessage(message);
}

async function open(data: ThreadData, warnings: string[]): Promise<WorkerIo> {
  if (data.cpu >= 0) {
    try {
      loadNative().pinThread(data.cpu);
    } catch (error) {
      warnings.push(`queue ${data.queue} is not pinned: ${(error as Error).message}`);
    }
  }
  const { module, name, options } = data.opener;
  const openers = (await import(module)) as Record<string, (options: object) => WorkerIo>;
  return openers[name]!(options);
}

async function main(): Promise<void> {
  const data = workerData as ThreadData;
  const warnings: string[] = [];
  let io: WorkerIo | null = null;
  let worker: Worker;
  try {
    io = await open(data, warnings);
    worker = new Worker({
      ...data,
      source: new PortSource(data.epochs as MessagePort),
      umem: io.umem,
      frames: io.frames,
      frameBytes: io.frameBytes,
      ports: io.ports,
    });
  } catch (error) {
    const code = error instanceof WeirError ? error.code : 'E_INTERNAL';
    io?.close();
    send({ kind: 'failed', code, message: (error as Error).message });
    return;
  }
  const shell = new Shell(worker, io, data.words, data.mailbox);
  // Told to end while it was starting: nobody has heard of the io yet.
  if (!shell.goesOn()) {
    io.close();
    return;
  }
  const trees = [worker.trees[0].memory.words, worker.trees[1].memory.words] as const;
  const { handle, wakeFd, zeroCopy } = io;
  send({ kind: 'ready', handle, wakeFd, zeroCopy, counters: worker.counters, trees, warnings });
  io.turn(0);
  // Takes the classes over and stocks the fill rings before the first frame.
  worker.step(io.nowWord[0]! - data.originNs);
  io.start();
  send({ kind: 'started' });
  loop(worker, io, shell, data.words, data.originNs);
}

await main();
