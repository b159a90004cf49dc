/**
 * Hierarchical timing wheel (Varghese and Lauck) for nodes that wait: 16,384 slots of 4.096 µs, 64 of 67 ms and 64 of
 * 4.3 s. The first level is that wide so that a class which sends a packet now and then at its rate waits there and is
 * touched once.
 *
 *       this tick       within 67 ms       within 4.3 s       later (clipped to 4.5 minutes)
 *     [   soon   ]  <--  [ level 0 ]  <--   [ level 1 ]   <--  [ level 2 ]
 *
 * A slot is a stack of nodes, kept in *chunks* of one cache line; a slot knows its last entry, an entry's node knows where
 * it stands. So a step's nodes can be taken without looking at them. With links in the nodes each would have to be
 * waited for to know the next.
 *
 *     slot ──▶ ┌──────┬────┬────┬────┬───        ┌──────┬────┬─── ─┬────┐
 *              │ link │ n9 │ n4 │ n7 │ (last)    │ link │ n3 │  …  │ n8 │ full
 *              └──┬───┴────┴────┴────┴───        └──────┴────┴─── ─┴────┘
 *                 └──────────────────────────────────────────────────▲
 *
 * `advance` sets how far to go, and `pop` walks there, slot by slot, and hands the nodes out. What is put back for the
 * tick that is being handed out goes to the other of two *soon* slots, which comes first the next time.
 *
 * Time is counted in ticks that wrap (int32, after 2.4 hours), so that nothing here is a double.
 *
 * A slot says only roughly when. Whoever takes a node out looks at the exact time, which the node knows, and
 * puts it back if it is a little early. So the wheel never makes a node wait longer than it asked for.
 */
import { alignedInt32 } from '../shm/aligned.js';
import { Field } from './layout.js';

export const TICK_NS = 4096;

const BITS_0 = 14;
const BITS_1 = 6;
const BITS_2 = 6;
const SLOTS_0 = 1 << BITS_0;
const SLOTS_1 = 1 << BITS_1;
const SLOTS_2 = 1 << BITS_2;
/** First slot of each level. */
const LEVEL_0 = 0;
const LEVEL_1 = SLOTS_0;
const LEVEL_2 = SLOTS_0 + SLOTS_1;
const SOON = LEVEL_2 + SLOTS_2;
/** Width of a slot of the coarser levels, in ticks. */
const SPAN_1 = SLOTS_0;
const SPAN_2 = SLOTS_0 * SLOTS_1;
const SHIFT_2 = BITS_0 + BITS_1;
const HORIZON_TICKS = SPAN_2 * (SLOTS_2 - 1);

/** Words of a chunk: the last entry of the chunk below it in the stack, then the entries. */
const CHUNK_WORDS = 16;
const CHUNK_MASK = CHUNK_WORDS - 1;

export class TimingWheel {
  readonly #words: Int32Array;
  /** Where the last entry of each slot is; 0 when it is empty. */
  readonly #tops = new Int32Array(SOON + 2);
  /** The chunks. Demand-zeroed, and room enough for all nodes however they spread. */
  readonly #chunks: Int32Array;
  /** First of the free chunks, which are linked like those of a slot, and the first that was never used. */
  #freeChunk = 0;
  #freshChunk = CHUNK_WORDS;
  /** One bit a slot: occupied. */
  readonly #occupied = new Int32Array(Math.ceil(SOON / 32));
  /** How far the walk has come, and how far it may go. */
  #tick = 0;
  #target = 0;
  /** The soon list that is being filled; the other is being handed out. */
  #soon = SOON;
  /** The slot that is being handed out, and those of its tick that are to follow. */
  #due = SOON + 1;
  readonly #dueNext = new Int32Array(2);
  #dueNextCount = 0;
  #count = 0;

  /** For the nodes of `words`. */
  constructor(words: Int32Array) {
    this.#words = words;
    const nodesMax = words.length >> Field.FEED_SHIFT;
    const chunksMax = 1 + Math.min(nodesMax, SOON + 2) + Math.ceil(nodesMax / CHUNK_MASK);
    this.#chunks = alignedInt32(chunksMax * CHUNK_WORDS);
  }

  /** Nodes on the wheel. */
  get count(): number {
    return this.#count;
  }

  /** Lets a node, which must not be on the wheel, come out at the first `advance` to `dueTick` or beyond. */
  insert(node: number, dueTick: number): void {
    const ahead = (dueTick - this.#tick) | 0;
    let slot: number;
    if (ahead <= 0) slot = this.#soon;
    else if (ahead < SLOTS_0) slot = LEVEL_0 + (dueTick & (SLOTS_0 - 1));
    // By whole windows from this one on: so it is never the coarse slot of either level that is being handed out now.
    else if (ahead + (this.#tick & (SPAN_1 - 1)) < SPAN_2)
      slot = LEVEL_1 + ((dueTick >>> BITS_0) & (SLOTS_1 - 1));
    else {
      const clipped = ahead < HORIZON_TICKS ? dueTick : this.#tick + HORIZON_TICKS;
      slot = LEVEL_2 + ((clipped >>> SHIFT_2) & (SLOTS_2 - 1));
    }
    this.#push(node, slot);
    this.#count++;
  }

  /** Takes a node off; the last of its slot takes its place. */
  remove(node: number): void {
    const words = this.#words;
    const chunks = this.#chunks;
    const slot = words[node + Field.WHEEL_SLOT]! - 1;
    const last = chunks[this.#tops[slot]!]!;
    if (last !== node) {
      const at = words[node + Field.WHEEL_AT]!;
      chunks[at] = last;
      words[last + Field.WHEEL_AT] = at;
    }
    this.#drop(slot);
    words[node + Field.WHEEL_SLOT] = 0;
    this.#count--;
  }

  /** Lets `pop` go on to `nowTick`. */
  advance(nowTick: number): void {
    this.#target = nowTick;
    if (this.#count === 0) this.#tick = nowTick;
    if (this.#dueNextCount > 0 || this.#tops[this.#due] !== 0) return;
    this.#due = this.#soon;
    this.#soon = this.#due === SOON ? SOON + 1 : SOON;
  }

  /** Takes one due node off the wheel; 0 when there is none. */
  pop(): number {
    for (;;) {
      const top = this.#tops[this.#due]!;
      if (top !== 0) {
        const node = this.#chunks[top]!;
        this.#drop(this.#due);
        this.#words[node + Field.WHEEL_SLOT] = 0;
        this.#count--;
        return node;
      }
      // An emptied slot may be filled for another turn of the wheel, so it is let go of at once.
      this.#due = this.#soon === SOON ? SOON + 1 : SOON;
      if (this.#dueNextCount > 0) this.#due = this.#dueNext[--this.#dueNextCount]!;
      else if (!this.#walk()) return 0;
    }
  }

  /** Takes due nodes off the wheel into `due` until that is full. Returns how many; 0 when there is none. */
  take(due: Int32Array): number {
    let count = 0;
    while (count < due.length) {
      const node = this.pop();
      if (node === 0) break;
      due[count++] = node;
    }
    return count;
  }

  /** A time before which nothing is due, at least `nowNs`; Infinity when nothing waits. May be early. */
  nextDueNs(nowNs: number): number {
    if (this.#count === 0) return Number.POSITIVE_INFINITY;
    if (this.#tops[SOON] !== 0 || this.#tops[SOON + 1] !== 0) return nowNs;
    if (this.#dueNextCount > 0 || this.#tops[this.#due] !== 0) return nowNs;
    const near = this.#aheadOccupied(LEVEL_0, SLOTS_0, this.#tick, SLOTS_0 - 1);
    const mid = this.#aheadOccupied(LEVEL_1, SLOTS_1, this.#tick >>> BITS_0, SLOTS_1);
    const far = this.#aheadOccupied(LEVEL_2, SLOTS_2, this.#tick >>> SHIFT_2, SLOTS_2);
    let ahead = HORIZON_TICKS;
    if (near > 0) ahead = near;
    // A coarser slot begins at a whole multiple of its width.
    if (mid > 0) ahead = Math.min(ahead, mid * SPAN_1 - (this.#tick & (SPAN_1 - 1)));
    if (far > 0) ahead = Math.min(ahead, far * SPAN_2 - (this.#tick & (SPAN_2 - 1)));
    const ticks = ahead + ((this.#tick - tickOf(nowNs)) | 0);
    return Math.max(nowNs, (Math.floor(nowNs / TICK_NS) + ticks) * TICK_NS);
  }

  /** Goes on to the next tick with something to hand out; false when there is none up to the target. */
  #walk(): boolean {
    const left = (this.#target - this.#tick) | 0;
    if (left <= 0) return false;
    const toWindowEnd = SLOTS_0 - (this.#tick & (SLOTS_0 - 1));
    const most = left < toWindowEnd ? left : toWindowEnd - 1;
    const next = this.#aheadOccupied(LEVEL_0, SLOTS_0, this.#tick, most);
    if (next > 0) {
      this.#tick = (this.#tick + next) | 0;
      this.#due = LEVEL_0 + (this.#tick & (SLOTS_0 - 1));
    } else if (left < toWindowEnd) {
      this.#tick = this.#target;
    } else {
      this.#enterWindow((this.#tick + toWindowEnd) | 0);
    }
    return true;
  }

  /**
   * Moves on to the first tick of another window of level 0, and hands out the coarser slots that begin there. The
   * wheel does not know their nodes' exact times: they come out early, are looked at, and are put back more exactly.
   */
  #enterWindow(tick: number): void {
    this.#tick = tick;
    this.#due = LEVEL_0 + (tick & (SLOTS_0 - 1));
    this.#dueNext[this.#dueNextCount++] = LEVEL_1 + ((tick >>> BITS_0) & (SLOTS_1 - 1));
    if ((tick & (SPAN_2 - 1)) !== 0) return;
    this.#dueNext[this.#dueNextCount++] = LEVEL_2 + ((tick >>> SHIFT_2) & (SLOTS_2 - 1));
  }

  /** Puts a node on top of a slot's stack. */
  #push(node: number, slot: number): void {
    const words = this.#words;
    const top = this.#tops[slot]!;
    let at = top + 1;
    if (top === 0 || (at & CHUNK_MASK) === 0) at = this.#takeChunk(top) + 1;
    if (top === 0 && slot < SOON) this.#occupied[slot >> 5]! |= 1 << (slot & 31);
    this.#chunks[at] = node;
    this.#tops[slot] = at;
    words[node + Field.WHEEL_AT] = at;
    words[node + Field.WHEEL_SLOT] = slot + 1;
  }

  /** Takes the last entry off a slot's stack. */
  #drop(slot: number): void {
    const chunks = this.#chunks;
    const chunk = this.#tops[slot]! - 1;
    if ((chunk & CHUNK_MASK) !== 0) {
      this.#tops[slot] = chunk;
      return;
    }
    const below = chunks[chunk]!;
    this.#tops[slot] = below;
    if (below === 0 && slot < SOON) this.#occupied[slot >> 5]! &= ~(1 << (slot & 31));
    chunks[chunk] = this.#freeChunk;
    this.#freeChunk = chunk;
  }

  /** A chunk that stands on the entry `below`. The one freed last is most likely in the cache. */
  #takeChunk(below: number): number {
    let chunk = this.#freeChunk;
    if (chunk !== 0) this.#freeChunk = this.#chunks[chunk]!;
    else {
      chunk = this.#freshChunk;
      this.#freshChunk += CHUNK_WORDS;
    }
    this.#chunks[chunk] = below;
    return chunk;
  }

  /**
   * How many slots after `from` the next occupied one is, of the level of `slots` slots that starts at `base` (both
   * multiples of 32); 0 when none is within `most`.
   */
  #aheadOccupied(base: number, slots: number, from: number, most: number): number {
    const occupied = this.#occupied;
    let ahead = 1;
    while (ahead <= most) {
      const slot = base + ((from + ahead) & (slots - 1));
      const bits = occupied[slot >> 5]! >>> (slot & 31);
      if (bits !== 0) {
        const found = ahead + (31 - Math.clz32(bits & -bits));
        return found <= most ? found : 0;
      }
      ahead += 32 - (slot & 31);
    }
    return 0;
  }
}

/** The wrapping tick that a time falls in. */
export function tickOf(ns: number): number {
  return Math.floor(ns / TICK_NS) | 0;
}
