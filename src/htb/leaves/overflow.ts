/**
 * Which leaves hold most of the frames: asked when these run low, so that whoever fills them loses packets, and not whoever
 * comes next.
 *
 * Leaves join when they have grown fat, and are looked through when frames run low; the others cost nothing. What fat means
 * follows from how many leaves that makes: few enough to look through, and one at least when frames are low.
 */
import { Field, Flag } from '../layout.js';
import { TreeMemory } from '../memory.js';

/** A leaf is fat with this part of all frames, so that no more than so many leaves can be. */
const FAT_PARTS = 1024;
const FAT_MIN_PACKETS = 4;
/** A leaf's last packet is never dropped. */
const FAT_LEAST_PACKETS = 2;
/** More fat leaves than this are too many to look through for each batch that is dropped. */
const FAT_LEAVES_MAX = 2048;

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

  /** Packets of the leaf that has the most, 0 where none has more than one. */
  mostPackets(): number {
    for (;;) {
      const most = this.#look();
      if (this.#count > FAT_LEAVES_MAX && most > 2 * this.fatPackets) this.fatPackets *= 2;
      else if (most > 1 || this.fatPackets === FAT_LEAST_PACKETS) return most;
      else {
        this.fatPackets = Math.max(FAT_LEAST_PACKETS, this.fatPackets >> 1);
        this.#gather();
      }
    }
  }

  /** The next leaf with more than `level` packets after `at`, places counted from 0; -1 when there is none. */
  nextAbove(level: number, at: number): number {
    for (let i = at; i < this.#count; i++)
      if (this.#memory.words[this.#fat[i]! + Field.BACKLOG_PACKETS]! > level) return i;
    return -1;
  }

  leafAt(place: number): number {
    return this.#fat[place]!;
  }

  /** Lets go of leaves that are not fat any more; the most packets of any, or 0 if that is one. */
  #look(): number {
    const words = this.#memory.words;
    const keptPackets = Math.max(FAT_LEAST_PACKETS, this.fatPackets >> 1);
    let mostPackets = 1;
    for (let i = 0; i < this.#count; i++) {
      const leaf = this.#fat[i]!;
      const backlogPackets = words[leaf + Field.BACKLOG_PACKETS]!;
      if (backlogPackets > mostPackets) mostPackets = backlogPackets;
      if (backlogPackets >= keptPackets) continue;
      words[leaf + Field.FLAGS]! &= ~Flag.IS_FAT;
      this.#fat[i--] = this.#fat[--this.#count]!;
    }
    return mostPackets > 1 ? mostPackets : 0;
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
