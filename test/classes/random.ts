/** Seeded randomness for the tests of this folder. WEIR_SEED overrides the seed, which is always printed. */

/** Numbers in [0, 1) from a 32-bit counter through a multiply-and-shift finaliser; fine for tests, not for more. */
export function seededRandom(purpose: string): () => number {
  const seed = Number(process.env.WEIR_SEED ?? Date.now() % 2 ** 31) >>> 0;
  console.log(`seed of ${purpose}: ${seed} (WEIR_SEED=${seed} repeats it)`);
  let counter = seed;
  return () => {
    counter = (counter + 0x6d2b79f5) | 0;
    let bits = Math.imul(counter ^ (counter >>> 15), counter | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number in [0, below). */
export function below(random: () => number, limit: number): number {
  return Math.floor(random() * limit);
}
