/** One step of Marsaglia's xorshift32 (2003, shifts 13, 17, 5): from any state but 0 to the next. */
export function nextRandom(state: number): number {
  const left = state ^ (state << 13);
  const right = left ^ (left >>> 17);
  return right ^ (right << 5);
}

/** A source of integers from 0 to `below - 1`, the same for the same seed. */
export function randomInts(seed: number): (below: number) => number {
  // Spreads neighbouring seeds apart; the set bit keeps the state from being 0.
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return (below) => {
    state = nextRandom(state);
    return (state >>> 0) % below;
  };
}
