/**
 * A forwarder and nothing else: what comes in at one port goes out at the other. As a worker thread it opens the rings
 * of one queue of a wire and forwards until it is told to stop; `Forwarder` also runs without a thread.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import type { WorkerIo } from '../../src/rings/io.js';
import { openXdpIo, type XdpIoOptions } from '../../src/rings/xdp.js';

const BATCH_MAX = 64;
/** So long that a thread which is not woken when it should be is noticed. */
const IDLE_WAIT_NS = 30e9;

/** Moves frames both ways over any `WorkerIo`. */
export class Forwarder {
  forwarded = 0;
  private readonly free: Int32Array;
  private freeCount = 0;
  private readonly frameShift: number;

  constructor(private readonly io: WorkerIo) {
    this.frameShift = Math.log2(io.frameBytes);
    this.free = new Int32Array(io.frames);
    for (let frame = 0; frame < io.frames; frame++) this.free[this.freeCount++] = frame;
    this.refill(0);
    this.refill(1);
  }

  /** Forwards at most a batch each way, and sleeps for a while if there was none. Returns the frames forwarded. */
  step(waitNs = IDLE_WAIT_NS): number {
    this.recycle(0);
    this.recycle(1);
    const moved = this.forward(0) + this.forward(1);
    this.forwarded += moved;
    this.io.turn(moved === 0 ? waitNs : 0);
    return moved;
  }

  private recycle(port: 0 | 1): void {
    const { completion } = this.io.ports[port];
    const done = completion.peek(completion.size);
    for (let i = 0, at = completion.cachedCons; i < done; i++) {
      this.free[this.freeCount++] = completion.addrAt(at + i) >>> this.frameShift;
    }
    completion.release(done);
    this.refill(port);
  }

  private refill(port: 0 | 1): void {
    const { fill } = this.io.ports[port];
    const wanted = fill.reserve(Math.min(this.freeCount, fill.size));
    for (let i = 0, at = fill.cachedProd; i < wanted; i++) {
      fill.write(at + i, this.free[--this.freeCount]! << this.frameShift);
    }
    fill.submit(wanted);
  }

  private forward(port: 0 | 1): number {
    const { rx } = this.io.ports[port];
    const { tx } = this.io.ports[port === 0 ? 1 : 0];
    const count = tx.reserve(rx.peek(BATCH_MAX));
    for (let i = 0, from = rx.cachedCons, to = tx.cachedProd; i < count; i++) {
      tx.write(to + i, rx.addrAt(from + i), rx.lenAt(from + i));
    }
    rx.release(count);
    tx.submit(count);
    return count;
  }
}

/** What the thread gets. `stop` is one word; not 0 ends the loop. `totals` has what was forwarded, at [queue]. */
export interface ForwarderData extends XdpIoOptions {
  readonly stop: Int32Array;
  readonly totals: Float64Array;
}

function runThread(data: ForwarderData): void {
  const io = openXdpIo(data);
  const forwarder = new Forwarder(io);
  io.start();
  parentPort!.postMessage({ wakeFd: io.wakeFd, zeroCopy: io.zeroCopy });
  // Pairs with the main thread's store.
  while (Atomics.load(data.stop, 0) === 0) {
    forwarder.step();
    data.totals[data.queue] = forwarder.forwarded;
  }
  io.turn(0);
  parentPort!.postMessage({ statistics: Array.from(io.statistics) });
  io.close();
}

if (!isMainThread && parentPort !== null) runThread(workerData as ForwarderData);
