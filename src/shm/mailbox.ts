/**
 * The command mailbox of one worker: control → worker, one writer and one reader, neither of which ever waits.
 *
 * Memory (int32 words):
 *
 *      0         SENT       commands handed over so far; wraps. Only the control thread writes it.
 *     32         DONE       commands the worker has carried out; wraps. Only the worker writes it.
 *     64 …       slots of 16 words; command number n lies in slot n mod slots
 *
 *     slot    0          1         2 … 15
 *             code       count     arguments
 *
 * A slot's states; 0 ≤ SENT - DONE ≤ slots always:
 *
 *     FREE ── send writes the slot, stores SENT ──▶ WAITING ── acknowledge stores DONE ──▶ FREE
 *
 * The worker polls with one atomic load a step and acknowledges all that it has carried out with one store. The
 * slots themselves are read and written plainly: the store of SENT publishes a slot to the load in `poll`, and the
 * store of DONE gives it back to the load in `send`.
 */
import { WeirError } from '../errors.js';

/** What a worker can be told. Codes start at 1, so that a slot never written is no command. */
export const enum Command {
  /** Argument 0: the port. Its link is gone: nothing more is sent there. */
  PORT_DOWN = 1,
  /** Argument 0: the port. */
  PORT_UP = 2,
  /** Take nothing more in, send what is queued. */
  DRAIN = 3,
  /** Leave the loop. */
  STOP = 4,
}

export const enum Mailbox {
  SENT = 0,
  /** 128 bytes from SENT, because it has another writer. */
  DONE = 32,
  SLOTS = 64,

  SLOT_SHIFT = 4,
  SLOT_WORDS = 1 << SLOT_SHIFT,
  CODE = 0,
  COUNT = 1,
  ARGUMENTS = 2,
  ARGUMENTS_MAX = SLOT_WORDS - ARGUMENTS,
}

/** Memory of a mailbox for `slots` waiting commands, a power of two. Throws `E_MAILBOX_SIZE`. */
export function createMailbox(slots = 16): Int32Array {
  const words = Mailbox.SLOTS + slots * Mailbox.SLOT_WORDS;
  if (!(slots >= 1 && slots <= 65536)) throw badSize(slots);
  slotMaskOf(words);
  return new Int32Array(new SharedArrayBuffer(words * 4));
}

/** The control thread's end. Goes on from where an earlier sender on the same memory ended. */
export class MailboxSender {
  readonly #words: Int32Array;
  readonly #slotMask: number;
  #sent: number;

  /** `words` as `createMailbox` made them. Throws `E_MAILBOX_SIZE`. */
  constructor(words: Int32Array) {
    this.#words = words;
    this.#slotMask = slotMaskOf(words.length);
    // Its own word; pairs with the store of the sender before.
    this.#sent = Atomics.load(words, Mailbox.SENT);
  }

  /** Number of the command sent last: to be asked about by `isDone`. */
  get lastSent(): number {
    return this.#sent;
  }

  /** Commands sent that the worker has not yet acknowledged. */
  get waiting(): number {
    // Pairs with the store in acknowledge.
    return (this.#sent - Atomics.load(this.#words, Mailbox.DONE)) | 0;
  }

  /**
   * Hands a command over, with at most 14 int32 arguments; false when the worker has not kept up and all slots
   * wait. Throws `E_MAILBOX_COMMAND` for what is no command.
   */
  send(code: number, ...args: readonly number[]): boolean {
    checkCommand(code, args);
    const words = this.#words;
    const sent = this.#sent;
    // `waiting` pairs with the store in acknowledge: a slot that is given back has been read.
    if (this.waiting > this.#slotMask) return false;
    const slot = Mailbox.SLOTS + ((sent & this.#slotMask) << Mailbox.SLOT_SHIFT);
    words[slot + Mailbox.CODE] = code;
    words[slot + Mailbox.COUNT] = args.length;
    for (let i = 0; i < args.length; i++) words[slot + Mailbox.ARGUMENTS + i] = args[i]!;
    this.#sent = (sent + 1) | 0;
    // Publishes the slot; pairs with the load in poll.
    Atomics.store(words, Mailbox.SENT, this.#sent);
    return true;
  }

  /** Whether the worker has carried out the command after whose `send` `lastSent` was `number`. */
  isDone(number: number): boolean {
    // Pairs with the store in acknowledge: what the worker did before it is visible after this.
    return ((Atomics.load(this.#words, Mailbox.DONE) - number) | 0) >= 0;
  }
}

/** The worker's end. Commands are numbered from 0 in each poll; all are acknowledged together. */
export class MailboxReceiver {
  readonly #words: Int32Array;
  readonly #slotMask: number;
  #done: number;

  /** `words` as `createMailbox` made them. Throws `E_MAILBOX_SIZE`. */
  constructor(words: Int32Array) {
    this.#words = words;
    this.#slotMask = slotMaskOf(words.length);
    // Its own word; pairs with the store of the receiver before.
    this.#done = Atomics.load(words, Mailbox.DONE);
  }

  /** How many commands wait: one atomic load, to be called once a step. */
  poll(): number {
    // Pairs with the store in send: the slots of all these commands are written.
    return (Atomics.load(this.#words, Mailbox.SENT) - this.#done) | 0;
  }

  /** Code of waiting command `i`, below what `poll` returned. */
  codeAt(i: number): number {
    return this.#words[this.#slot(i) + Mailbox.CODE]!;
  }

  /** Argument of waiting command `i`; 0 for one that was not given. */
  argumentAt(i: number, argument: number): number {
    const slot = this.#slot(i);
    return argument < this.#words[slot + Mailbox.COUNT]!
      ? this.#words[slot + Mailbox.ARGUMENTS + argument]!
      : 0;
  }

  /** Says that the next `count` commands have been carried out, and gives their slots back. */
  acknowledge(count: number): void {
    // An idle worker must not take the word's cache line from the control thread.
    if (count === 0) return;
    this.#done = (this.#done + count) | 0;
    // Publishes what the commands did, and that their slots were read; pairs with the loads in the sender.
    Atomics.store(this.#words, Mailbox.DONE, this.#done);
  }

  #slot(i: number): number {
    return Mailbox.SLOTS + (((this.#done + i) & this.#slotMask) << Mailbox.SLOT_SHIFT);
  }
}

function slotMaskOf(wordCount: number): number {
  const slots = (wordCount - Mailbox.SLOTS) / Mailbox.SLOT_WORDS;
  if (!Number.isInteger(slots) || slots < 1 || (slots & (slots - 1)) !== 0) throw badSize(slots);
  return slots - 1;
}

function badSize(slots: number): WeirError {
  return new WeirError('E_MAILBOX_SIZE', `mailbox of ${slots} slots: must be a power of two from 1 to 65536`);
}

function checkCommand(code: number, args: readonly number[]): void {
  const isWord = (value: number): boolean => (value | 0) === value;
  if (isWord(code) && code > 0 && args.length <= Mailbox.ARGUMENTS_MAX && args.every(isWord)) return;
  throw new WeirError(
    'E_MAILBOX_COMMAND',
    `command ${code} (${args.join(', ')}): needs a positive code and at most ${Mailbox.ARGUMENTS_MAX} int32 arguments`,
  );
}
