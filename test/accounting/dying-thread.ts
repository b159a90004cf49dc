/**
 * The accounting thread with weak health: it dies of each second checkpoint, the first time before anything is written,
 * the next time when it is on disk and the answer would come.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { runAccountingThread } from '../../src/accounting/thread.js';
import type { AccountingThreadData, FromThread, ToThread } from '../../src/accounting/thread-contract.js';

const port: MessagePort = parentPort!;
const marker = `${(workerData as AccountingThreadData).spool}.died`;
const isFirst = !existsSync(marker);
const send = port.postMessage.bind(port);
let checkpoints = 0;

function die(): never {
  writeFileSync(marker, '');
  // Ends the thread, not the process.
  process.exit(1);
}

if (isFirst)
  port.on('message', (message: ToThread) => {
    // Listeners are called in the order of their addition: nothing is written yet.
    if (message.kind === 'checkpoint' && ++checkpoints === 2) die();
  });
else
  port.postMessage = (message: FromThread) => {
    if (message.kind === 'recorded' && ++checkpoints === 2) die();
    send(message);
  };

await runAccountingThread();
