import { DropCause } from '../htb/leaves/leaf-queue.js';
import type { PacketPool } from '../htb/packet-pool.js';
import { Counter } from './counters.js';

/** The frames of a worker that are in no ring and in no tree, by number: a stack, for the last one is still in the cache. */
export class FreeFrames {
  readonly frames: Int32Array;
  count = 0;

  /** All of them. */
  constructor(frames: number) {
    this.frames = new Int32Array(frames);
    for (let frame = frames - 1; frame >= 0; frame--) this.frames[this.count++] = frame;
  }

  /** Takes the frames back that leaves have dropped. */
  takeDropped({ drops }: PacketPool, counters: Float64Array): void {
    if (drops.marks > 0) {
      counters[Counter.MARKS]! += drops.marks;
      drops.marks = 0;
    }
    if (drops.count === 0) return;
    for (let i = 0; i < drops.count; i++) this.frames[this.count++] = drops.packets[i]!;
    drops.count = 0;
    counters[Counter.DROP_QUEUE]! += drops.totals[DropCause.LIMIT]!;
    counters[Counter.DROP_CODEL]! += drops.totals[DropCause.CODEL]!;
    counters[Counter.DROP_EVICTED]! += drops.totals[DropCause.EVICTED]!;
    drops.totals.fill(0);
  }
}
