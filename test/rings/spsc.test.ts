/**
 * Two real threads over one port in a SharedArrayBuffer: this one forwards as a worker does, the other is the
 * card. All four rings are in use, with batches of random size and indices that wrap during the run.
 *
 * Acceptable outcomes: every number is received once and in order, is sent once and in order, and the frame
 * bytes written before a submit are seen after the matching peek. Each frame is in one place at the end.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { countFrames, MemoryPort } from '../../src/rings/memory.js';
import { nextRandom } from './random.js';
import {
  CONTROL_DONE,
  CONTROL_STOP,
  FRAME_WORDS,
  IDLE_TURNS_MAX,
  nap,
  type SpscReport,
  type SpscTask,
} from './spsc_thread.js';

const RUN_MS = 1000;
/** A run goes on until this many frames went through, however slow the machine, so that the indices wrap. */
const FORWARDED_MIN = 20_000;
/** After this a frame must have been lost: the numbers do not come any more. */
const GIVE_UP_MS = 60_000;
const FIRST_INDEX = 0xfffff000;
const FRAME_BYTES = FRAME_WORDS * 4;

interface ForwardReport {
  readonly forwarded: number;
  readonly outOfOrder: number;
  readonly wrongBytes: number;
  /** The first `freeCount` are the frames found when the card had ended; a duplicate appears twice. */
  readonly freeAddrs: Int32Array;
  readonly freeCount: number;
}

/** The worker's loop: fill from the free list, RX → TX unchanged, completions back to the free list. */
function forward(port: MemoryPort, task: SpscTask, frames: number): ForwardReport {
  const { rx, tx, fill, completion } = port.rings;
  const umemWords = new Int32Array(task.umem);
  const control = new Int32Array(task.control);
  // Room for every frame twice, so that a duplicate is counted and not cut off.
  const freeAddrs = new Int32Array(2 * frames).map((_, i) => i * FRAME_BYTES);
  let freeCount = frames;
  let random = (task.seed ^ 0x5bd1e995) | 1;
  let forwarded = 0;
  let idleTurns = 0;
  let outOfOrder = 0;
  let wrongBytes = 0;
  const endMs = performance.now() + RUN_MS;
  for (let turn = 0, done = false; !done; turn++) {
    // Tells the card to end; pairs with the load in its loop.
    if ((turn & 255) === 0) {
      const nowMs = performance.now();
      if (nowMs >= endMs && forwarded >= FORWARDED_MIN) Atomics.store(control, CONTROL_STOP, 1);
      if (nowMs >= endMs + GIVE_UP_MS) throw new Error(`stuck: ${forwarded} forwarded, ${freeCount} free`);
    }
    // Loaded before the rings are looked at, so that the last turn finds everything the card left.
    done = Atomics.load(control, CONTROL_DONE) !== 0;
    random = nextRandom(random);
    const batch = 1 + ((random >>> 1) % task.batchMax);

    const granted = fill.reserve(Math.min(batch, freeCount));
    for (let i = 0; i < granted; i++) fill.write(fill.cachedProd + i, freeAddrs[--freeCount]!);
    fill.submit(granted);

    const count = tx.reserve(rx.peek(batch));
    for (let i = 0; i < count; i++) {
      const addr = rx.addrAt(rx.cachedCons + i);
      const number = rx.lenAt(rx.cachedCons + i);
      const word = addr >> 2;
      if (number !== forwarded) outOfOrder++;
      if (umemWords[word] !== number || umemWords[word + FRAME_WORDS - 1] !== ~number) wrongBytes++;
      tx.write(tx.cachedProd + i, addr, number);
      forwarded = (forwarded + 1) | 0;
    }
    rx.release(count);
    tx.submit(count);

    const completed = completion.peek(done ? frames : batch);
    for (let i = 0; i < completed; i++) {
      freeAddrs[freeCount++] = completion.addrAt(completion.cachedCons + i);
    }
    completion.release(completed);
    idleTurns = granted + count + completed > 0 ? 0 : idleTurns + 1;
    if (idleTurns >= IDLE_TURNS_MAX) nap(control);
  }
  // The card has ended, so its end of the fill ring is free to be taken over where it stands.
  const leftInFill = new MemoryPort({ ringSize: port.ringSize, memory: port.memory }).nic.fill;
  const left = leftInFill.peek(frames);
  for (let i = 0; i < left; i++) freeAddrs[freeCount++] = leftInFill.addrAt(leftInFill.cachedCons + i);
  leftInFill.release(left);
  return { forwarded, outOfOrder, wrongBytes, freeCount, freeAddrs };
}

async function runLitmus(ringSize: number, frames: number, batchMax: number, seed: number): Promise<void> {
  const port = new MemoryPort({ ringSize, shared: true, firstIndex: FIRST_INDEX });
  const task: SpscTask = {
    ringSize,
    memory: port.memory as SharedArrayBuffer,
    umem: new SharedArrayBuffer(frames * FRAME_BYTES),
    control: new SharedArrayBuffer(64),
    batchMax,
    seed,
  };
  const thread = new Worker(new URL('./spsc_thread.js', import.meta.url), { workerData: task });
  await once(thread, 'online');
  const reported = once(thread, 'message');
  let worker: ForwardReport;
  let card: SpscReport;
  try {
    worker = forward(port, task, frames);
    [card] = (await reported) as [SpscReport];
  } finally {
    await thread.terminate();
  }
  console.log(
    `ring ${ringSize}, ${frames} frames, batches to ${batchMax}, seed ${seed}: ${card.sent} frames around`,
  );

  assert.is(worker.outOfOrder, 0, 'received in order');
  assert.is(worker.wrongBytes, 0, 'bytes received are those written');
  assert.is(card.outOfOrder, 0, 'sent in order');
  assert.is(card.wrongBytes, 0, 'bytes sent are those forwarded');
  assert.ok(card.received > 2 ** 32 - FIRST_INDEX, 'the indices wrapped');
  assert.is(worker.forwarded, card.received);
  assert.is(card.sent, card.received);
  assert.is(worker.freeCount, frames, 'as many frames as there were');
  assert.is(new Set(worker.freeAddrs.slice(0, worker.freeCount)).size, frames, 'and none of them twice');
  assert.is(countFrames(port).total, 0);
}

const litmus = suite('rings between two threads');
const seed = Number(process.env.WEIR_SEED ?? Date.now() % 2 ** 31);

litmus('small rings, always nearly full or empty', () => runLitmus(4, 9, 6, seed));
litmus('larger rings and batches', () => runLitmus(256, 600, 64, seed));

litmus.run();
