/**
 * The devices that fair leaves with `isolate: dual` know at the moment: a subscriber's address with flows in a leaf, and how
 * many of these have a standing queue. Found by leaf and hash; two addresses with one hash are one device.
 */
import { alignedInt32 } from '../../shm/aligned.js';

export const enum Device {
  SHIFT = 3,
  STRIDE = 1 << SHIFT,

  /** As in a flow; of a free one the next free. */
  LEAF = 0,
  HASH = 1,
  CHAIN_NEXT = 2,
  /** Flows that belong to it, and those of them that are old, with a standing queue. */
  FLOWS = 3,
  BULK_FLOWS = 4,
}

const LEAF_FACTOR = 0xc2b2ae35 | 0;

export class DevicePool {
  readonly words: Int32Array;
  readonly #slots: Int32Array;
  readonly #slotShift: number;
  #free = 0;
  #top: number = Device.STRIDE;

  /** As many as there are flows: each may be another device's. */
  constructor(capacityPackets: number, capacityFlows: number) {
    this.words = alignedInt32((capacityFlows + 1) << Device.SHIFT);
    const slotBits = Math.max(4, Math.ceil(Math.log2(capacityPackets)));
    this.#slots = new Int32Array(2 ** slotBits);
    this.#slotShift = 32 - slotBits;
  }

  /** The device of a hash in a leaf, with one flow more. To be released once for each flow. */
  hold(leaf: number, hash: number): number {
    const words = this.words;
    const slot = this.#slotOf(leaf, hash);
    let device = this.#slots[slot]!;
    while (device !== 0 && (words[device + Device.LEAF] !== leaf || words[device + Device.HASH] !== hash))
      device = words[device + Device.CHAIN_NEXT]!;
    if (device === 0) {
      device = this.#free;
      if (device !== 0) this.#free = words[device + Device.LEAF]!;
      else {
        // There is one for each flow, so there is one left.
        device = this.#top;
        this.#top += Device.STRIDE;
      }
      words[device + Device.LEAF] = leaf;
      words[device + Device.HASH] = hash;
      words[device + Device.CHAIN_NEXT] = this.#slots[slot]!;
      words[device + Device.FLOWS] = 0;
      words[device + Device.BULK_FLOWS] = 0;
      this.#slots[slot] = device;
    }
    words[device + Device.FLOWS]! += 1;
    return device;
  }

  /** One of its flows is gone; with the last one it is forgotten. */
  release(device: number): void {
    const words = this.words;
    words[device + Device.FLOWS]! -= 1;
    if (words[device + Device.FLOWS] !== 0) return;
    const slot = this.#slotOf(words[device + Device.LEAF]!, words[device + Device.HASH]!);
    let at = this.#slots[slot]!;
    if (at === device) this.#slots[slot] = words[device + Device.CHAIN_NEXT]!;
    else {
      while (words[at + Device.CHAIN_NEXT] !== device) at = words[at + Device.CHAIN_NEXT]!;
      words[at + Device.CHAIN_NEXT] = words[device + Device.CHAIN_NEXT]!;
    }
    words[device + Device.LEAF] = this.#free;
    this.#free = device;
  }

  #slotOf(leaf: number, hash: number): number {
    return Math.imul(leaf ^ hash, LEAF_FACTOR) >>> this.#slotShift;
  }
}
