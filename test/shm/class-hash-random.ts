/** Seed of a random test: `WEIR_SEED` or the time; printed, so that a failure can be repeated. */
export function seedOf(name: string): number {
  const seed = Number(process.env.WEIR_SEED ?? Date.now() % 2 ** 31) | 0;
  console.log(`${name}: WEIR_SEED=${seed}`);
  return seed;
}

/** A generator of integers in 0…below-1 (splitmix32). */
export function randomOf(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return Math.floor((((z ^ (z >>> 15)) >>> 0) / 2 ** 32) * below);
  };
}
