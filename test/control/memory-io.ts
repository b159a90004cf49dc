/**
 * A worker's io in shared memory, and a wire whose queues lie there: what a daemon can be tested on without devices.
 * The worker thread imports `openMemoryIo` by name; the test is the network card.
 */
import type { Attachment, Candidate } from '../../src/control/backends.js';
import type { WorkerIo } from '../../src/rings/io.js';
import { MemoryPort } from '../../src/rings/memory.js';

const RING_SIZE = 256;
const FRAMES = 2048;
const FRAME_BYTES = 2048;

/** What the test can do to a worker from outside: words of `commands`. */
export const enum Sabotage {
  NOTHING = 0,
  THROW = 1,
  HANG = 2,
}

interface MemoryIoOptions {
  readonly umem: SharedArrayBuffer;
  readonly ports: readonly [SharedArrayBuffer, SharedArrayBuffer];
  readonly sabotage: Int32Array;
}

/** For the worker thread. */
export function openMemoryIo({ umem, ports, sabotage }: MemoryIoOptions): WorkerIo {
  const [inside, outside] = ports.map((memory) => new MemoryPort({ ringSize: RING_SIZE, memory }));
  const nowWord = new Float64Array(1);
  return {
    umem: new Uint8Array(umem),
    frames: FRAMES,
    frameBytes: FRAME_BYTES,
    ports: [inside!.rings, outside!.rings],
    statistics: new Float64Array(16),
    wakeFd: -1,
    handle: 1n,
    nowWord,
    zeroCopy: false,
    start: () => {},
    close: () => {},
    turn(waitNs) {
      const wanted = Atomics.load(sabotage, 0);
      if (wanted === Sabotage.THROW) throw new Error('sabotaged');
      while (Atomics.load(sabotage, 0) === Sabotage.HANG);
      // Nothing wakes it, so it never sleeps long.
      if (waitNs > 0) Atomics.wait(sabotage, 1, 0, Math.min(waitNs / 1e6, 2));
      nowWord[0] = Number(process.hrtime.bigint());
    },
  };
}

/** The card's side of one worker's rings. */
export class MemoryCard {
  readonly sabotage = new Int32Array(new SharedArrayBuffer(8));
  readonly umem = new SharedArrayBuffer(FRAMES * FRAME_BYTES);
  readonly ports = [0, 1].map(() => new MemoryPort({ ringSize: RING_SIZE, shared: true }));
  readonly options: MemoryIoOptions;

  constructor() {
    const [inside, outside] = this.ports.map(({ memory }) => memory as SharedArrayBuffer);
    this.options = { umem: this.umem, ports: [inside!, outside!], sabotage: this.sabotage };
  }

  /** Puts a frame on the wire at a port; false when the worker has no frame or no room for it. */
  receive(port: 0 | 1, frame: Uint8Array): boolean {
    const { nic } = this.ports[port]!;
    const addr = nic.nextFillAddr();
    if (addr < 0) return false;
    new Uint8Array(this.umem).set(frame, addr);
    return nic.pushRx(addr, frame.length);
  }

  /** Takes what the worker has sent at a port; returns the packets and bytes. */
  send(port: 0 | 1): { packets: number; bytes: number } {
    const { nic } = this.ports[port]!;
    const sum = { packets: 0, bytes: 0 };
    while (nic.takeTx()) {
      sum.packets++;
      sum.bytes += nic.txLen;
      nic.complete(nic.txAddr);
    }
    return sum;
  }
}

/** A backend whose workers have cards in memory; `cards[queue]` is that of the worker started last. */
export class MemoryWire {
  readonly cards: MemoryCard[] = [];
  readonly released: number[] = [];
  closedIos = 0;
  /** How it was closed: detached or not. */
  readonly closings: boolean[] = [];

  get candidate(): Candidate {
    return { backend: 'memory', mode: 'copy', attach: () => this.attachment };
  }

  private get attachment(): Attachment {
    return {
      tookOver: false,
      bypassesInKernel: false,
      opener: (queue) => {
        const card = new MemoryCard();
        this.cards[queue] = card;
        return { module: import.meta.url, name: 'openMemoryIo', options: card.options };
      },
      releaseQueue: (queue) => this.released.push(queue),
      counters: () => null,
      closeIo: () => this.closedIos++,
      close: (detach) => this.closings.push(detach),
    };
  }
}
