/** Packets that leaves have dropped after they had taken them in, until the worker takes their frames back. */
import { DropCause } from './leaf-queue.js';

export class DropList {
  readonly packets: Int32Array;
  count = 0;
  /** By `DropCause`; the worker sets them back with the rest. */
  readonly totals = new Float64Array(DropCause.COUNT);
  /** Packets marked instead. */
  marks = 0;

  constructor(capacityPackets: number) {
    this.packets = new Int32Array(capacityPackets);
  }

  add(packet: number, cause: DropCause): void {
    this.packets[this.count++] = packet;
    this.totals[cause]! += 1;
  }
}
