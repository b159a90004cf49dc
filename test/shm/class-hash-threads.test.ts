import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { isMainThread, MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ClassHashWriter } from '../../src/shm/class-hash-writer.js';
import {
  classAt,
  type LitmusReport,
  PREFIXES_MAX,
  prefixOf,
  readUntilStopped,
  WORD_EPOCH,
  WORD_STOP,
  wordOfReader,
} from './class-hash-litmus.js';
import { seedOf } from './class-hash-random.js';

const READERS = 2;
const WRITING_MS = 2_000;

function startReader(
  control: SharedArrayBuffer,
  reader: number,
  seed: number,
): { port: MessagePort; worker: Worker } {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { control, port: port2, reader, seed },
    transferList: [port2],
  });
  return { port: port1, worker };
}

/** Publishes one epoch after the other while the time lasts; returns the last one. */
function write(control: Int32Array, ports: MessagePort[], seed: number): number {
  const writer = new ClassHashWriter({ seed });
  const endMs = performance.now() + WRITING_MS;
  let epoch = 0;
  while (performance.now() < endMs && Atomics.load(control, WORD_STOP) === 0) {
    let oldest = epoch;
    for (let r = 0; r < ports.length; r++) oldest = Math.min(oldest, Atomics.load(control, wordOfReader(r)));
    writer.maintain(oldest);
    epoch++;
    for (let i = 0; i < PREFIXES_MAX; i++) {
      const { addr, length } = prefixOf(i);
      const classIndex = classAt(i, epoch);
      if (classIndex === classAt(i, epoch - 1) && epoch > 1) continue;
      if (classIndex >= 0) writer.insert(4, [addr], length, classIndex, epoch);
      else writer.remove(4, [addr], length, epoch);
    }
    const buffer = writer.takeNewBuffer();
    if (buffer) for (const port of ports) port.postMessage({ epoch, buffer });
    // Publishes all of the above to the readers.
    Atomics.store(control, WORD_EPOCH, epoch);
  }
  Atomics.store(control, WORD_STOP, 1);
  return epoch;
}

if (isMainThread) {
  const test = suite('class hash between threads');
  const seed = seedOf('class hash between threads');
  test('every answer is the one of the reader’s epoch while the writer changes, grows and halves', async () => {
    const control = new SharedArrayBuffer(4 * wordOfReader(READERS));
    const readers = Array.from({ length: READERS }, (_, r) => startReader(control, r, seed));
    const reports = readers.map(
      ({ port }) => new Promise<LitmusReport>((resolve) => port.once('message', resolve)),
    );
    await Promise.all(readers.map(({ worker }) => once(worker, 'online')));
    const epochs = write(
      new Int32Array(control),
      readers.map(({ port }) => port),
      seed,
    );
    for (const report of await Promise.all(reports)) {
      console.log(`  ${epochs} epochs written; ${JSON.stringify(report)}`);
      assert.is(report.wrong, null);
      assert.ok(report.looks > 0 && report.epochs > 1 && report.buffers > 1);
    }
    for (const { port, worker } of readers) {
      port.close();
      await worker.terminate();
    }
  });
  test.run();
} else {
  readUntilStopped();
}
