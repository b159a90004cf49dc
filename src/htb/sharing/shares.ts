/**
 * How much of a leaf lies on this queue: the *share* by which its weight is divided among the queues it borrows on.
 *
 * Were it divided evenly, a queue on which few packets of the leaf arrive could not use up its part, and the leaf would
 * lack that where most of them wait: nobody gives back what a feed may send for a leaf that has nothing to send. So a
 * queue has a whole share while packets wait in a row, and otherwise as much as lets through what comes. That
 * is found by a *balance*: what the leaf has sent here, less the part by shares of what it has sent on all queues
 * meanwhile. Whenever the leaf has run empty here the share follows the balance, so in the long run a queue is
 * counted for as much as it sends, and the rest of the leaf's weight is where it can be used.
 *
 *              packets wait in a row                    it has run empty
 *     WHOLE  <-----------------------  base share  <-----------------------  balance moves the base
 *            <- twice, at each turn that it sits out
 *
 * A queue with enough to send never runs empty, so queues that all have enough are equal, whatever they had before.
 * What the leaf has sent everywhere is a sum that its workers add to at their turns; a leaf that is on one queue
 * only is not followed.
 */
import { Shape, Word } from '../../shm/tree-layout.js';
import { Field } from '../layout.js';
import { TreeMemory } from '../memory.js';

export const WHOLE_SHARE = 1024;
/** The share that a queue begins with, while it is not known to have more than a packet now and then. */
const FIRST_SHARE = WHOLE_SHARE / 8;
/** No less, or a packet would sit out hundreds of turns. */
const LEAST_SHARE = WHOLE_SHARE / 32;
/** Packets that wait in a row: one that is alone may have come alone. */
const ROW_PACKETS = 2;
/** A balance of so much doubles a share; it counts no further. */
const BALANCE_BYTES_MAX = 6000;
/** What is known of a leaf that was not here for longer is forgotten. */
const FORGET_NS = 250_000_000;

/** What a worker notes of a leaf. */
const enum Note {
  SHIFT = 3,

  BASE = 0,
  BALANCE_BYTES = 1,
  /** The leaf's own counter, the sum over workers, and the time, when they were last looked at. */
  OWN_BYTES = 2,
  ALL_BYTES = 3,
  AT_NS = 4,
  /** 1 when the leaf has run empty since its share followed. */
  HAS_EMPTIED = 5,
}

export class Shares {
  readonly #words: Int32Array;
  readonly #clock: Float64Array;
  readonly #doubles: Float64Array;
  readonly #shapes: Float64Array;
  readonly #classWords: Int32Array;
  /** By class index, both; only what leaves on several queues use becomes resident. */
  readonly #lacks: Int32Array;
  readonly #notes: Float64Array;

  constructor(memory: TreeMemory) {
    const { shared } = memory;
    this.#words = memory.words;
    this.#clock = memory.clock;
    this.#doubles = memory.doubles;
    this.#shapes = shared.shapes;
    this.#classWords = shared.classWords;
    const slots = shared.queues > 1 ? shared.capacityClasses : 0;
    this.#lacks = new Int32Array(slots);
    this.#notes = new Float64Array(slots << Note.SHIFT);
  }

  /** What the leaf's share on this queue lacks of a whole one. */
  lackOf(leaf: number): number {
    return this.#lacks[TreeMemory.classIndexOf(leaf)]!;
  }

  /** Sets the share of a leaf that begins to borrow. */
  begin(leaf: number, isAlone: boolean): void {
    const classIndex = TreeMemory.classIndexOf(leaf);
    if (isAlone) {
      this.#lacks[classIndex] = 0;
      return;
    }
    const notes = this.#notes;
    const at = classIndex << Note.SHIFT;
    if (this.#clock[0]! - notes[at + Note.AT_NS]! > FORGET_NS) {
      notes[at + Note.BASE] = FIRST_SHARE;
      notes[at + Note.BALANCE_BYTES] = 0;
    }
    notes[at + Note.HAS_EMPTIED] = 0;
    notes[at + Note.AT_NS] = this.#clock[0]!;
    notes[at + Note.OWN_BYTES] = this.#doubles[(leaf >> 1) + Field.D_BYTES]!;
    notes[at + Note.ALL_BYTES] = Atomics.load(this.#classWords, sentWord(classIndex));
    this.#setShare(classIndex, notes[at + Note.BASE]!);
  }

  /** Begins to count what a leaf sends that was alone until the turn that is just over. */
  join(leaf: number): void {
    const classIndex = TreeMemory.classIndexOf(leaf);
    const notes = this.#notes;
    const at = classIndex << Note.SHIFT;
    const quantumBytes = this.#shapes[this.#words[leaf + Field.SHAPE]! + Shape.QUANTUM_BYTES]!;
    // The others count this turn from where they came; it would be missing in their sum.
    notes[at + Note.OWN_BYTES] = this.#doubles[(leaf >> 1) + Field.D_BYTES]! - quantumBytes;
    notes[at + Note.ALL_BYTES] = Atomics.load(this.#classWords, sentWord(classIndex));
    notes[at + Note.BASE] = FIRST_SHARE;
    notes[at + Note.BALANCE_BYTES] = 0;
    notes[at + Note.HAS_EMPTIED] = 0;
  }

  /**
   * Lets the share follow what the leaf has sent here and everywhere. `others` are the shares of all other queues
   * together, 0 when the leaf is on none any more; `isEmptied` when its last packet has just been taken.
   */
  follow(leaf: number, others: number, isEmptied: boolean): void {
    const classIndex = TreeMemory.classIndexOf(leaf);
    const notes = this.#notes;
    const at = classIndex << Note.SHIFT;
    const share = WHOLE_SHARE - this.#lacks[classIndex]!;
    const packets = this.#words[leaf + Field.BACKLOG_PACKETS]!;
    const ownBytes = this.#doubles[(leaf >> 1) + Field.D_BYTES]!;
    const sentBytes = ownBytes - notes[at + Note.OWN_BYTES]!;
    if (sentBytes === 0 && packets !== 0 && share === WHOLE_SHARE && others !== 0) return;
    this.#count(classIndex, ownBytes, others === 0 ? 1 : share / (share + others));
    if (others === 0) this.#setShare(classIndex, WHOLE_SHARE);
    else if (isEmptied) {
      notes[at + Note.HAS_EMPTIED] = 1;
      if (share > notes[at + Note.BASE]!) this.#setShare(classIndex, notes[at + Note.BASE]!);
    } else if (notes[at + Note.HAS_EMPTIED] !== 0) {
      this.#moveBase(at);
      this.#setShare(classIndex, packets < ROW_PACKETS ? notes[at + Note.BASE]! : WHOLE_SHARE);
    } else if (packets >= ROW_PACKETS) this.#setShare(classIndex, WHOLE_SHARE);
    else if (sentBytes === 0) this.#setShare(classIndex, 2 * share);
  }

  /** Adds to the balance, of which the queue's part of all that was sent is `part`. */
  #count(classIndex: number, ownBytes: number, part: number): void {
    const notes = this.#notes;
    const at = classIndex << Note.SHIFT;
    const sentBytes = ownBytes - notes[at + Note.OWN_BYTES]!;
    const word = sentWord(classIndex);
    // Read by the leaf's other workers. What they have not added yet they add at their next turn.
    const before =
      sentBytes === 0 ? Atomics.load(this.#classWords, word) : Atomics.add(this.#classWords, word, sentBytes);
    const allBytes = (before + sentBytes) | 0;
    const dueBytes = ((allBytes - notes[at + Note.ALL_BYTES]!) | 0) * part;
    const balance = notes[at + Note.BALANCE_BYTES]! + sentBytes - dueBytes;
    notes[at + Note.BALANCE_BYTES] = Math.max(-BALANCE_BYTES_MAX, Math.min(BALANCE_BYTES_MAX, balance));
    notes[at + Note.OWN_BYTES] = ownBytes;
    notes[at + Note.ALL_BYTES] = allBytes;
    notes[at + Note.AT_NS] = this.#clock[0]!;
  }

  /** The same balance above and below nothing moves the base up and down by the same factor, so that none is left over. */
  #moveBase(at: number): void {
    const notes = this.#notes;
    const balance = notes[at + Note.BALANCE_BYTES]!;
    const factor = 1 + Math.abs(balance) / BALANCE_BYTES_MAX;
    const base = balance < 0 ? notes[at + Note.BASE]! / factor : notes[at + Note.BASE]! * factor;
    notes[at + Note.BASE] = Math.max(LEAST_SHARE, Math.min(WHOLE_SHARE, base));
    notes[at + Note.BALANCE_BYTES] = 0;
    notes[at + Note.HAS_EMPTIED] = 0;
  }

  #setShare(classIndex: number, share: number): void {
    this.#lacks[classIndex] = Math.max(0, WHOLE_SHARE - Math.round(share));
  }
}

function sentWord(classIndex: number): number {
  return (classIndex << Word.SHIFT) + Word.SENT;
}
