/** The change records of the coming epoch, in memory that is kept from epoch to epoch. */
import { Change } from '../shm/shared-shaper.js';

const RECORDS_FIRST = 1024;

/** What of a published class goes into its record. */
export interface ChangedClass {
  readonly index: number;
  readonly parentIndex: number;
  readonly isInner: boolean;
  readonly level: number;
  readonly claims: number;
  readonly shapes: readonly [number, number];
  readonly fairSlot: number;
}

export class ChangeList {
  #words = new Int32Array(RECORDS_FIRST * Change.STRIDE);
  #length = 0;

  clear(): void {
    this.#length = 0;
  }

  set(entry: ChangedClass): void {
    const at = this.#next();
    const words = this.#words;
    words[at + Change.OP] = Change.OP_SET;
    words[at + Change.CLASS_INDEX] = entry.index;
    words[at + Change.PARENT_INDEX] = entry.parentIndex;
    words[at + Change.FLAGS] = (entry.isInner ? Change.FLAG_INNER : 0) | entry.claims;
    words[at + Change.LEVEL] = entry.level;
    words[at + Change.SHAPE_DOWN] = entry.shapes[0];
    words[at + Change.SHAPE_UP] = entry.shapes[1];
    words[at + Change.FAIR_SLOT] = entry.fairSlot;
  }

  remove(index: number): void {
    const at = this.#next();
    this.#words.fill(0, at, at + Change.STRIDE);
    this.#words[at + Change.OP] = Change.OP_REMOVE;
    this.#words[at + Change.CLASS_INDEX] = index;
  }

  /** The records in shared memory of their own; the list is empty then. */
  take(): Int32Array {
    const words = new Int32Array(new SharedArrayBuffer(this.#length * 4));
    words.set(this.#words.subarray(0, this.#length));
    this.#length = 0;
    return words;
  }

  #next(): number {
    const at = this.#length;
    this.#length += Change.STRIDE;
    if (this.#length > this.#words.length) {
      const words = new Int32Array(2 * this.#words.length);
      words.set(this.#words);
      this.#words = words;
    }
    return at;
  }
}
