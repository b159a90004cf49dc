/** One real worker over memory rings, its network cards and its publisher, in virtual time: frames in, frames out. */
import * as assert from 'uvu/assert';
import { parseClassTree } from '../../classes/validate.js';
import { Publisher } from '../../src/control/publisher.js';
import { Counter } from '../../src/dataplane/counters.js';
import { buildFrame, type FrameSpec } from '../../src/dataplane/frame-builder.js';
import { Worker } from '../../src/dataplane/worker.js';
import { type ClassStats, emptyStats } from '../../src/htb/memory.js';
import { countFrames, MemoryPort } from '../../src/rings/memory.js';
import { createSharedShaper, EpochQueue, type SharedShaper } from '../../src/shm/shared-shaper.js';
import type { Direction } from '../../src/shm/tree-layout.js';

const FRAME_BYTES = 2048;
/** Bytes of a UDP payload in which a packet's number stands. */
const NUMBER_BYTES = 4;

export interface SentFrame {
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly atNs: number;
}

export interface RigOptions {
  readonly frames?: number;
  readonly ringSize?: number;
  readonly capacityClasses?: number;
}

export class WorkerRig {
  readonly worker: Worker;
  readonly publisher: Publisher;
  nowNs = 1_000_000_000;
  readonly #shared: SharedShaper;
  readonly #ports: readonly [MemoryPort, MemoryPort];
  readonly #umem: Uint8Array;
  readonly #frames: number;

  constructor(tree: object, { frames = 4096, ringSize = 256, capacityClasses = 64 }: RigOptions = {}) {
    this.#frames = frames;
    this.#shared = createSharedShaper(capacityClasses, 1);
    const source = new EpochQueue();
    this.publisher = new Publisher(this.#shared, { seed: 1, deliver: (epoch) => source.push(epoch) });
    this.#ports = [new MemoryPort({ ringSize }), new MemoryPort({ ringSize })];
    this.#umem = new Uint8Array(new SharedArrayBuffer(frames * FRAME_BYTES));
    this.worker = new Worker({
      queue: 0,
      shared: this.#shared,
      source,
      umem: this.#umem,
      frames,
      frameBytes: FRAME_BYTES,
      ports: [this.#ports[0].rings, this.#ports[1].rings],
      capacityFlows: 4096,
      seed: 1,
    });
    this.publish(tree);
  }

  /** Publishes a document of a class tree; the worker adopts it at once. */
  publish(document: object): void {
    const { tree, problems } = parseClassTree({ version: 1, ...document });
    if (tree === null) throw new TypeError(JSON.stringify(problems));
    this.publisher.publish(tree, this.nowNs);
    this.step();
  }

  /** Puts a UDP packet of `lenBytes` layer-2 bytes that carries `number` on the outer port; false if there is no room. */
  receive(number: number, lenBytes: number, spec: Partial<FrameSpec>): boolean {
    const { nic } = this.#ports[1];
    const addr = nic.nextFillAddr();
    if (addr < 0) return false;
    const frame = buildFrame({
      protocol: 'udp',
      sport: 1000,
      dport: 53,
      frameBytes: lenBytes,
      ...spec,
    } as FrameSpec);
    new DataView(frame.buffer, frame.byteOffset).setUint32(frame.length - NUMBER_BYTES, number);
    this.#umem.set(frame, addr);
    return nic.pushRx(addr, lenBytes);
  }

  /** One step after `afterNs`; what leaves by the inner port. */
  step(afterNs = 0): SentFrame[] {
    this.nowNs += afterNs;
    this.worker.step(this.nowNs);
    const { nic } = this.#ports[0];
    const sent: SentFrame[] = [];
    while (nic.takeTx()) {
      const bytes = this.#umem.slice(nic.txAddr, nic.txAddr + nic.txLen);
      const number = new DataView(bytes.buffer).getUint32(bytes.length - NUMBER_BYTES);
      sent.push({ number, bytes, atNs: this.nowNs });
      nic.complete(nic.txAddr);
    }
    return sent;
  }

  /** Steps of `everyNs` for `forNs`. */
  run(forNs: number, everyNs = 100_000): SentFrame[] {
    const sent: SentFrame[] = [];
    for (let passedNs = 0; passedNs < forNs; passedNs += everyNs) sent.push(...this.step(everyNs));
    return sent;
  }

  statsOf(id: string, direction: Direction): ClassStats {
    const entry = this.publisher.classes.get(id);
    return entry === undefined ? emptyStats() : this.worker.trees[direction].memory.statsOf(entry.index);
  }

  counter(counter: Counter): number {
    return this.worker.counters[counter]!;
  }

  /** Every frame is somewhere, and every packet taken in was sent, dropped or is queued. */
  checkConservation(): void {
    const { worker } = this;
    const rings = this.#ports.reduce((sum, port) => sum + countFrames(port).total, 0);
    assert.is(worker.freeFrames + worker.queuedPackets + rings, this.#frames, 'frames');
    const drops = [Counter.DROP_QUEUE, Counter.DROP_CODEL, Counter.DROP_EVICTED];
    const dropped = drops.reduce((sum, counter) => sum + this.counter(counter), 0);
    const accounted = this.counter(Counter.TX_PACKETS) + dropped + worker.queuedPackets;
    assert.is(accounted, this.counter(Counter.RX_PACKETS), 'packets');
  }
}
