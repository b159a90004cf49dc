/**
 * The accounting thread: the spool and the way into the database, so that neither a slow disk nor a dead database ever
 * holds up the control thread.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { WeirError } from '../errors.js';
import { Courier, type SetTimer, type UsageStore } from './courier.js';
import type { Spool } from './spool.js';
import type { AccountingThreadData, FromThread, ToThread } from './thread-contract.js';

/** Opens the store that is written to; a test puts one between that fails when it likes. */
export type ConnectStore = (data: AccountingThreadData) => Promise<UsageStore>;

const setTimer: SetTimer = (work, ms) => {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
};

async function connectStore({ store }: AccountingThreadData): Promise<UsageStore> {
  const { openStore } = await import('../../classes/stores/open.js');
  return openStore(store.url, store.queries);
}

/** What the thread does; to be called once, in a worker thread that was started with AccountingThreadData. */
export async function runAccountingThread(connect: ConnectStore = connectStore): Promise<void> {
  const port = parentPort!;
  const data = workerData as AccountingThreadData;
  const say = (message: FromThread): void => port.postMessage(message);
  let spool: Spool;
  try {
    spool = await openSpool(data, (message) => say({ kind: 'warning', message }));
  } catch (error) {
    const code = error instanceof WeirError ? error.code : 'E_SPOOL';
    say({ kind: 'failed', code, message: textOf(error) });
    port.close();
    return;
  }
  const courier = new Courier({
    outbox: spool,
    connect: () => connect(data),
    setTimer,
    onAttempt: (fault) => say({ kind: 'attempt', pendingBatches: countOf(spool), fault }),
  });
  listen(port, data.run, spool, courier);
  say({ kind: 'ready', pendingBatches: countOf(spool) });
  courier.wake();
}

/** Loaded here and not above, so that a driver that is not installed is an error like others. */
async function openSpool(data: AccountingThreadData, warn: (message: string) => void): Promise<Spool> {
  const { Spool } = await import('./spool.js').catch((cause: unknown) => {
    throw new WeirError('E_SPOOL', `better-sqlite3 does not load: ${textOf(cause)}`, { cause });
  });
  const { spool: path, intervalMs, spoolBytesMax: bytesMax } = data;
  return new Spool({ path, intervalMs, bytesMax, warn });
}

function listen(port: MessagePort, run: string, spool: Spool, courier: Courier): void {
  const say = (message: FromThread): void => port.postMessage(message);
  port.on('message', (message: ToThread) => {
    if (message.kind === 'finish') {
      void finish(spool, courier, message.deliverMs);
      return;
    }
    const { number, span, amounts } = message;
    try {
      const hasClosed = spool.record({ run, number, span, amounts });
      say({ kind: 'recorded', number, pendingBatches: countOf(spool) });
      if (hasClosed) courier.wake();
    } catch (error) {
      say({ kind: 'refused', number, message: textOf(error) });
    }
  });
}

async function finish(spool: Spool, courier: Courier, deliverMs: number): Promise<void> {
  try {
    spool.closeInterval();
  } catch {
    // It is closed when the spool is opened again; what has been recorded is on disk.
  }
  await courier.finish(deliverMs);
  spool.close();
  // Ends this thread, not the process: a connection that hangs must not keep it alive.
  process.exit(0);
}

/** A disk that cannot be read for a moment has said so elsewhere. */
function countOf(spool: Spool): number {
  try {
    return spool.closedCount;
  } catch {
    return 0;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message.split('\n')[0]! : String(error);
}
