import { type SharedTree, Stat } from '../shm/tree-layout.js';
import { Field, Flag } from './layout.js';

/**
 * One worker's memory for one tree: the arrays that `layout.ts` describes, and the blocks of feed nodes that
 * inner classes take from it. Shared only so that the control thread can read backlogs and statistics.
 */
export class TreeMemory {
  readonly shared: SharedTree;
  readonly queue: number;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly stats: Float64Array;
  readonly feedBase: number;
  #feedTop: number;
  #feedFree: number[] = [];

  constructor(shared: SharedTree, queue: number) {
    this.shared = shared;
    this.queue = queue;
    const slots = shared.capacityClasses + 1;
    this.feedBase = slots * Field.CLASS_STRIDE;
    this.#feedTop = this.feedBase;
    // Demand-zeroed: room for a feed block per class costs nothing until inner classes take it.
    const buffer = new SharedArrayBuffer((slots * Field.CLASS_STRIDE + slots * Field.FEED_BLOCK_WORDS) * 4);
    this.words = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer);
    this.stats = new Float64Array(new SharedArrayBuffer(slots * Stat.STRIDE * 8));
  }

  /** Word offset of a class's record. */
  static recordOf(classIndex: number): number {
    return (classIndex + 1) << Field.CLASS_SHIFT;
  }

  static classIndexOf(record: number): number {
    return (record >> Field.CLASS_SHIFT) - 1;
  }

  /** Gives an inner class its eight feed nodes. Control path: runs when a class is added, never for a packet. */
  takeFeeds(record: number): void {
    const words = this.words;
    let block = this.#feedFree.pop() ?? 0;
    if (block === 0) {
      block = this.#feedTop;
      this.#feedTop += Field.FEED_BLOCK_WORDS;
    }
    words.fill(0, block, block + Field.FEED_BLOCK_WORDS);
    words[record + Field.FEEDS] = block;
    const level = words[record + Field.FLAGS]! & Flag.LEVEL_MASK;
    for (let prio = 0; prio < 8; prio++) {
      const node = block + (prio << Field.FEED_SHIFT);
      words[node + Field.OWNER] = record;
      words[node + Field.FLAGS] = (prio << Flag.PRIO_SHIFT) | level;
    }
  }

  /** Takes the feed nodes back. They must be on no list and no wheel. */
  giveFeeds(record: number): void {
    this.#feedFree.push(this.words[record + Field.FEEDS]!);
    this.words[record + Field.FEEDS] = 0;
  }

  /** Bytes that classes have made resident so far, by layout, for one tree of one worker. */
  usedBytes(classes: number): number {
    const feedBytes = (this.#feedTop - this.feedBase) * 4;
    return classes * (Field.CLASS_STRIDE * 4 + Stat.STRIDE * 8) + feedBytes;
  }
}
