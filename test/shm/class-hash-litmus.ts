/**
 * The reading side of the class hash litmus: a worker that follows the published epochs and compares every
 * answer with what the mapping must be at the epoch it has adopted. Both sides compute the mapping
 * of any epoch from the epoch alone.
 */
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { ClassHashReader } from '../../src/shm/class-hash-reader.js';
import { randomOf } from './class-hash-random.js';

export const PREFIXES_MAX = 6000;
export const WORD_EPOCH = 0;
export const WORD_STOP = 1;
/** Word of reader r's adopted epoch: 32 words apart, so that they do not share cache lines. */
export const wordOfReader = (reader: number): number => 32 * (reader + 1);

export interface LitmusData {
  control: SharedArrayBuffer;
  port: MessagePort;
  reader: number;
  seed: number;
}

export interface BufferMessage {
  epoch: number;
  buffer: SharedArrayBuffer;
}

export interface LitmusReport {
  looks: number;
  epochs: number;
  buffers: number;
  wrong: string | null;
}

/** Prefix i: hosts, the /24 networks around them, and the /17 around these. */
export function prefixOf(i: number): { addr: number; length: number } {
  if (i % 8 === 0) return { addr: 0x0a000000 + ((i >>> 3) << 8), length: 24 };
  if (i % 1024 === 1) return { addr: 0x0a000000 + ((i >>> 10) << 15), length: 17 };
  return { addr: 0x0a000000 + ((i >>> 3) << 8) + (i & 7), length: 32 };
}

/** Class of prefix i at an epoch, -1 for none. The number of prefixes swings, an eighth changes each time. */
export function classAt(i: number, epoch: number): number {
  const swing = epoch % 64;
  const alive = (PREFIXES_MAX * (swing < 32 ? swing + 1 : 64 - swing)) >> 5;
  if (i >= alive) return -1;
  const mixed = Math.imul((epoch + i) >> 3, 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b);
  const hash = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) >>> 8;
  return (hash & 3) === 0 ? -1 : hash & 0xffff;
}

/** What a look-up of host `i` must find. */
export function expectedAt(i: number, epoch: number): number {
  const host = i % 8 === 0 || i % 1024 === 1 ? -1 : classAt(i, epoch);
  if (host >= 0) return host;
  const network = classAt(i & ~7, epoch);
  return network >= 0 ? network : classAt((i & ~1023) | 1, epoch);
}

export function hostOf(i: number): number {
  return 0x0a000000 + ((i >>> 3) << 8) + (i & 7);
}

/** Reads until told to stop. Its last message is the report. */
export function readUntilStopped(): void {
  const { control, port, reader: index, seed } = workerData as LitmusData;
  const words = new Int32Array(control);
  const random = randomOf(seed + index);
  const pending: BufferMessage[] = [];
  const report: LitmusReport = { looks: 0, epochs: 0, buffers: 0, wrong: null };
  let epoch = 0;
  let reader: ClassHashReader | null = null;
  while (Atomics.load(words, WORD_STOP) === 0 && report.wrong === null) {
    const published = Atomics.load(words, WORD_EPOCH);
    if (published !== epoch) {
      for (let got = receiveMessageOnPort(port); got; got = receiveMessageOnPort(port))
        pending.push(got.message);
      while (pending.length > 0 && pending[0]!.epoch <= published) {
        reader = new ClassHashReader(pending.shift()!.buffer);
        report.buffers++;
      }
      epoch = published;
      report.epochs++;
      Atomics.store(words, wordOfReader(index), epoch);
    }
    if (reader === null) continue;
    // Some stay long in one epoch, so that the writer gets epochs and tables ahead.
    for (let looks = random(4) === 0 ? 20_000 : 500; looks > 0; looks--) {
      const i = random(PREFIXES_MAX);
      const found = reader.lookup4(hostOf(i), epoch);
      report.looks++;
      if (found === expectedAt(i, epoch)) continue;
      report.wrong = `epoch ${epoch}, host ${i}: found ${found}, expected ${expectedAt(i, epoch)}`;
      break;
    }
  }
  // A reader that has found an error ends the run for all.
  Atomics.store(words, WORD_STOP, 1);
  port.postMessage(report);
}
