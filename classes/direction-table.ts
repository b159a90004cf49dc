/**
 * Keeps one frozen object per distinct direction, so that a million subscribers on ten plans hold ten of them.
 *
 * An open-addressing table over the values themselves: a Map would need a key string per direction, which for a file of
 * all-different rates takes more memory than the directions do.
 */
import type { DirectionSpec } from './model.js';

const INITIAL_SLOTS = 1024;

export class DirectionTable {
  private readonly directions: DirectionSpec[] = [];
  /** index into `directions` plus one, 0 for an empty slot; a power of two long, at most half full */
  private slots = new Int32Array(INITIAL_SLOTS);

  /** The direction equal to `wanted` that was interned first, or `wanted` itself, frozen. */
  intern(wanted: DirectionSpec): DirectionSpec {
    let slot = hashOf(wanted) & (this.slots.length - 1);
    for (let entry = this.slots[slot]!; entry !== 0; entry = this.slots[slot]!) {
      const known = this.directions[entry - 1]!;
      if (areEqualDirections(known, wanted)) return known;
      slot = (slot + 1) & (this.slots.length - 1);
    }
    this.directions.push(Object.freeze(wanted));
    this.slots[slot] = this.directions.length;
    if (this.directions.length * 2 > this.slots.length) this.grow();
    return wanted;
  }

  private grow(): void {
    const slots = new Int32Array(this.slots.length * 2);
    for (let index = 0; index < this.directions.length; index++) {
      let slot = hashOf(this.directions[index]!) & (slots.length - 1);
      while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = index + 1;
    }
    this.slots = slots;
  }
}

/** True if both say the same. */
export function areEqualDirections(a: DirectionSpec, b: DirectionSpec): boolean {
  return (
    a.rateBps === b.rateBps &&
    a.ceilBps === b.ceilBps &&
    a.burstBytes === b.burstBytes &&
    a.cburstBytes === b.cburstBytes &&
    a.quantumBytes === b.quantumBytes &&
    a.prio === b.prio
  );
}

/** Rates exceed 32 bits, so both halves take part; the closing shifts bring high bits down to where slots are chosen. */
function hashOf(direction: DirectionSpec): number {
  let hash = mix(0, direction.rateBps | 0);
  hash = mix(hash, (direction.rateBps / 2 ** 32) | 0);
  hash = mix(hash, direction.ceilBps | 0);
  hash = mix(hash, (direction.ceilBps / 2 ** 32) | 0);
  hash = mix(hash, direction.burstBytes);
  hash = mix(hash, direction.cburstBytes);
  hash = mix(hash, direction.quantumBytes);
  return mix(hash, direction.prio) >>> 0;
}

function mix(hash: number, value: number): number {
  const mixed = Math.imul(hash ^ value, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
