/**
 * Which leaves hold most of the frames: asked when these run low, so that whoever fills them loses packets, and not whoever
 * comes next.
 *
 * Leaves join when they have grown fat, and are looked through when one is asked for; the others cost nothing. When no leaf
 * is fat and frames are low all the same, thinner ones count as fat from then on.
 */
import { Field, Flag } from '../layout.js';
import { TreeMemory } from '../memory.js';

/** A leaf is fat with this part of all frames, so that no more than so many leaves can be. */
const FAT_PARTS = 1024;
const FAT_MIN_PACKETS = 4;

export class Overflow {
  /** Packets from which on a leaf is fat. */
  fatPackets: number;
  readonly #memory: TreeMemory;
  /** Records of fat leaves, and of some that were; each once. */
  readonly #fat: Int32Array;
  #count = 0;

  constructor(memory: TreeMemory, frames: number) {
    this.#memory = memory;
    this.fatPackets = Math.max(FAT_MIN_PACKETS, Math.ceil(frames / FAT_PARTS));
    this.#fat = new Int32Array(memory.shared.capacityClasses + 1);
  }

  /** Takes note of a fat leaf that is not flagged so. */
  join(leaf: number): void {
    this.#memory.words[leaf + Field.FLAGS]! |= Flag.IS_FAT;
    this.#fat[this.#count++] = leaf;
  }

  /** Forgets a flagged leaf whose record will be used for another class. */
  leave(leaf: number): void {
    this.#memory.words[leaf + Field.FLAGS]! &= ~Flag.IS_FAT;
    const at = this.#fat.indexOf(leaf);
    this.#fat[at] = this.#fat[--this.#count]!;
  }

  /** The leaf with the most packets, 0 when none has more than one. */
  fattest(): number {
    const words = this.#memory.words;
    for (;;) {
      const keptPackets = Math.max(2, this.fatPackets >> 1);
      let fattest = 0;
      let mostPackets = 1;
      for (let i = 0; i < this.#count; i++) {
        const leaf = this.#fat[i]!;
        const backlogPackets = words[leaf + Field.BACKLOG_PACKETS]!;
        if (backlogPackets > mostPackets) {
          mostPackets = backlogPackets;
          fattest = leaf;
        }
        if (backlogPackets >= keptPackets) continue;
        words[leaf + Field.FLAGS]! &= ~Flag.IS_FAT;
        this.#fat[i--] = this.#fat[--this.#count]!;
      }
      if (fattest !== 0 || this.fatPackets <= 2) return fattest;
      this.fatPackets >>= 1;
      this.#gather();
    }
  }

  #gather(): void {
    const { words, lastIndex } = this.#memory;
    for (let index = 0; index <= lastIndex; index++) {
      const leaf = TreeMemory.recordOf(index);
      const flags = words[leaf + Field.FLAGS]!;
      if ((flags & (Flag.IS_PRESENT | Flag.IS_INNER | Flag.IS_FAT)) !== Flag.IS_PRESENT) continue;
      if (words[leaf + Field.BACKLOG_PACKETS]! >= this.fatPackets) this.join(leaf);
    }
  }
}
