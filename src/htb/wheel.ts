/**
 * Hierarchical timing wheel (Varghese and Lauck) for nodes that wait: three levels of 256 slots of 4.096 µs,
 * 1.05 ms and 268 ms. Links are fields of the nodes, so inserting and removing allocate nothing.
 *
 *        due now          within 1 ms        within 268 ms     later (clipped to 68 s)
 *     [ expiring ]  <--  [ level 0 ]  <--   [ level 1 ]   <--  [ level 2 ]
 *
 * A slot says only roughly when. Whoever takes a node out looks at the exact time, which the node knows, and
 * puts it back if it is a little early. So the wheel never makes a node wait longer than it asked for.
 */
import { Field } from './layout.js';

const SLOT_NS = 4096;
const SLOTS = 256;
const LEVEL_0 = 0;
const LEVEL_1 = SLOTS;
const LEVEL_2 = 2 * SLOTS;
const EXPIRING = 3 * SLOTS;
const HORIZON_TICKS = SLOTS * SLOTS * SLOTS - SLOTS * SLOTS;

export class TimingWheel {
  readonly #words: Int32Array;
  readonly #heads = new Int32Array(EXPIRING + 1);
  /** One bit a slot: occupied. */
  readonly #occupied = new Int32Array(EXPIRING / 32);
  /** The tick whose slot has been emptied last; an integer. */
  #tick = 0;
  #count = 0;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Nodes on the wheel. */
  get count(): number {
    return this.#count;
  }

  /** Lets a node, which must not be on the wheel, come out at the first `advance` at or after `dueNs`. */
  insert(node: number, dueNs: number): void {
    const tick = Math.floor(dueNs / SLOT_NS);
    const ahead = tick - this.#tick;
    let slot: number;
    if (ahead < SLOTS) {
      slot = LEVEL_0 + (ahead <= 0 ? this.#tick & 255 : tick & 255);
    } else if (ahead < SLOTS * SLOTS) {
      slot = LEVEL_1 + ((tick / SLOTS) & 255);
    } else {
      const clipped = ahead < HORIZON_TICKS ? tick : this.#tick + HORIZON_TICKS;
      slot = LEVEL_2 + ((clipped / (SLOTS * SLOTS)) & 255);
    }
    this.#link(node, slot);
    this.#count++;
  }

  remove(node: number): void {
    const words = this.#words;
    const slot = words[node + Field.WHEEL_SLOT]! - 1;
    const next = words[node + Field.WHEEL_NEXT]!;
    const prev = words[node + Field.WHEEL_PREV]!;
    if (prev !== 0) words[prev + Field.WHEEL_NEXT] = next;
    else {
      this.#heads[slot] = next;
      if (next === 0 && slot < EXPIRING) this.#occupied[slot >> 5]! &= ~(1 << (slot & 31));
    }
    if (next !== 0) words[next + Field.WHEEL_PREV] = prev;
    words[node + Field.WHEEL_SLOT] = 0;
    this.#count--;
  }

  /** Moves what is due to the expiring list; take it from there with `pop`. */
  advance(nowNs: number): void {
    const target = Math.floor(nowNs / SLOT_NS);
    if (this.#count === 0) {
      this.#tick = target;
      return;
    }
    this.#expire(this.#tick & 255);
    while (this.#tick < target) {
      const windowEnd = this.#tick - (this.#tick & 255) + SLOTS;
      const last = target < windowEnd ? target : windowEnd - 1;
      const next = this.#nextOccupied(LEVEL_0, this.#tick + 1, last);
      if (next >= 0) {
        this.#tick = next;
        this.#expire(next & 255);
      } else if (last === target) {
        this.#tick = target;
      } else {
        this.#tick = windowEnd;
        if ((windowEnd & 0xffff) === 0) this.#cascade(LEVEL_2 + ((windowEnd / (SLOTS * SLOTS)) & 255));
        this.#cascade(LEVEL_1 + ((windowEnd / SLOTS) & 255));
        this.#expire(windowEnd & 255);
      }
    }
  }

  /** Takes one due node off the wheel; 0 when there is none. */
  pop(): number {
    const node = this.#heads[EXPIRING]!;
    if (node !== 0) this.remove(node);
    return node;
  }

  /** A time before which nothing is due; Infinity when nothing waits. May be early by a slot's width. */
  nextDueNs(): number {
    if (this.#count === 0) return Number.POSITIVE_INFINITY;
    if (this.#heads[EXPIRING] !== 0 || this.#heads[LEVEL_0 + (this.#tick & 255)] !== 0)
      return this.#tick * SLOT_NS;
    const near = this.#nextOccupied(LEVEL_0, this.#tick + 1, this.#tick + SLOTS - 1);
    const window = Math.floor(this.#tick / SLOTS);
    const mid = this.#nextOccupied(LEVEL_1, window + 1, window + SLOTS);
    const era = Math.floor(window / SLOTS);
    const far = this.#nextOccupied(LEVEL_2, era + 1, era + SLOTS);
    let tick = Number.POSITIVE_INFINITY;
    if (near >= 0) tick = near;
    if (mid >= 0 && mid * SLOTS < tick) tick = mid * SLOTS;
    if (far >= 0 && far * SLOTS * SLOTS < tick) tick = far * SLOTS * SLOTS;
    return tick * SLOT_NS;
  }

  #link(node: number, slot: number): void {
    const words = this.#words;
    const head = this.#heads[slot]!;
    words[node + Field.WHEEL_NEXT] = head;
    words[node + Field.WHEEL_PREV] = 0;
    words[node + Field.WHEEL_SLOT] = slot + 1;
    if (head !== 0) words[head + Field.WHEEL_PREV] = node;
    else if (slot < EXPIRING) this.#occupied[slot >> 5]! |= 1 << (slot & 31);
    this.#heads[slot] = node;
  }

  #expire(slot: number): void {
    for (let node = this.#heads[slot]!; node !== 0; node = this.#heads[slot]!) {
      this.remove(node);
      this.#link(node, EXPIRING);
      this.#count++;
    }
  }

  /**
   * Spreads a slot of a coarser level over the finer ones. A node there does not know its due time, so it
   * goes to the start of the slot's span: it comes out early, is looked at, and is put back more exactly.
   */
  #cascade(slot: number): void {
    this.#expire(slot);
  }

  /** First tick in [from, to] whose slot (of the level that starts at `base`) is occupied; -1 when none is. */
  #nextOccupied(base: number, from: number, to: number): number {
    const occupied = this.#occupied;
    let tick = from;
    while (tick <= to) {
      const slot = base + (tick & 255);
      const bits = occupied[slot >> 5]! >>> (slot & 31);
      if (bits !== 0) {
        const found = tick + (31 - Math.clz32(bits & -bits));
        return found <= to ? found : -1;
      }
      tick += 32 - (slot & 31);
    }
    return -1;
  }
}
