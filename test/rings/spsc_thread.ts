/**
 * The card's thread of the litmus test: receives numbered frames through one port as fast as the rings allow,
 * and checks that what comes back to be sent is the same sequence with the same bytes.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { MemoryPort } from '../../src/rings/memory.js';
import { nextRandom } from './random.js';

export const FRAME_WORDS = 16;
/** Words of the shared control block. */
export const CONTROL_STOP = 0;
export const CONTROL_DONE = 1;
const CONTROL_NAP = 2;
/** Turns without a frame after which a side lets the other have the processor. */
export const IDLE_TURNS_MAX = 200;

export interface SpscTask {
  readonly ringSize: number;
  readonly memory: SharedArrayBuffer;
  readonly umem: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  readonly batchMax: number;
  readonly seed: number;
}

export interface SpscReport {
  readonly received: number;
  readonly sent: number;
  readonly outOfOrder: number;
  readonly wrongBytes: number;
}

/** Sleeps shortly: nobody ever wakes this word, it only gives the processor away on a busy machine. */
export function nap(control: Int32Array): void {
  Atomics.wait(control, CONTROL_NAP, 0, 0.02);
}

function runCard(task: SpscTask): SpscReport {
  const { nic } = new MemoryPort({ ringSize: task.ringSize, memory: task.memory });
  const umemWords = new Int32Array(task.umem);
  const control = new Int32Array(task.control);
  let random = task.seed | 1;
  let received = 0;
  let sent = 0;
  let outOfOrder = 0;
  let wrongBytes = 0;
  let idleTurns = 0;
  let stopping = false;
  while (!stopping || sent < received) {
    random = nextRandom(random);
    const batch = 1 + ((random >>> 1) % task.batchMax);
    // Pairs with the store of the test's main thread, which ends the run.
    stopping = Atomics.load(control, CONTROL_STOP) !== 0;
    const arrivals = stopping ? 0 : nic.rx.reserve(nic.fill.peek(batch));
    for (let i = 0; i < arrivals; i++) {
      const addr = nic.fill.addrAt(nic.fill.cachedCons + i);
      // Plain writes at both ends of the frame: only the ring's submit may make them visible.
      umemWords[addr >> 2] = received;
      umemWords[(addr >> 2) + FRAME_WORDS - 1] = ~received;
      nic.rx.write(nic.rx.cachedProd + i, addr, received);
      received = (received + 1) | 0;
    }
    nic.fill.release(arrivals);
    nic.rx.submit(arrivals);

    const departures = nic.completion.reserve(nic.tx.peek(batch));
    for (let i = 0; i < departures; i++) {
      const addr = nic.tx.addrAt(nic.tx.cachedCons + i);
      if (nic.tx.lenAt(nic.tx.cachedCons + i) !== sent) outOfOrder++;
      if (umemWords[addr >> 2] !== sent || umemWords[(addr >> 2) + FRAME_WORDS - 1] !== ~sent) wrongBytes++;
      nic.completion.write(nic.completion.cachedProd + i, addr);
      sent = (sent + 1) | 0;
    }
    nic.tx.release(departures);
    nic.completion.submit(departures);
    if (outOfOrder + wrongBytes > 0) break;
    idleTurns = arrivals + departures > 0 ? 0 : idleTurns + 1;
    if (idleTurns >= IDLE_TURNS_MAX) nap(control);
  }
  return { received, sent, outOfOrder, wrongBytes };
}

function main(task: SpscTask): void {
  try {
    parentPort?.postMessage(runCard(task));
  } finally {
    // Published last, also after an error: pairs with the load in the forwarding loop, which ends on it.
    Atomics.store(new Int32Array(task.control), CONTROL_DONE, 1);
  }
}

// The test imports this file for its constants; only the thread has a task.
if (!isMainThread) main(workerData as SpscTask);
