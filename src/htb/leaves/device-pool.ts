/**
 * The devices that fair leaves with `isolate: dual` know at the moment: a subscriber's address with flows in a leaf, and how
 * many of these have a standing queue. Two addresses with one hash are one device.
 */
import { RecordPool } from './record-pool.js';

export const enum Device {
  SHIFT = 3,

  /** Behind the words of `Pooled`: flows that belong to it, and those of them that are bulk. */
  FLOWS = 3,
  BULK_FLOWS = 4,
}

export class DevicePool {
  readonly words: Int32Array;
  readonly #records: RecordPool;

  /** As many as there are flows: each may be another device's. */
  constructor(capacityFlows: number, usual: number) {
    this.#records = new RecordPool(capacityFlows, Device.SHIFT, usual);
    this.words = this.#records.words;
  }

  /** The device of a hash in a leaf, with one flow more. To be released once for each flow. */
  hold(leaf: number, hash: number): number {
    const words = this.words;
    let device = this.#records.find(leaf, hash);
    if (device === 0) {
      device = this.#records.take(leaf, hash);
      words[device + Device.FLOWS] = 0;
      words[device + Device.BULK_FLOWS] = 0;
    }
    words[device + Device.FLOWS]! += 1;
    return device;
  }

  /** One of its flows is gone; with the last one it is forgotten. */
  release(device: number): void {
    this.words[device + Device.FLOWS]! -= 1;
    if (this.words[device + Device.FLOWS] === 0) this.#records.give(device);
  }
}
