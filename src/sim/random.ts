/**
 * Pseudo-random numbers of the simulator. Every source of packets has a stream of its own, a counter put through
 * a mixing function, so that one flow more or less leaves the arrivals of all others as they are.
 */
const STEP = 0x9e3779b9;

/** The state of the stream that belongs to two numbers under a seed. */
export function streamState(seed: number, a: number, b: number): number {
  return mix(mix(mix(seed) ^ a) ^ b);
}

export function nextState(state: number): number {
  return (state + STEP) | 0;
}

/** The number in (0, 1] that a state stands for; never 0, so its logarithm is finite. */
export function uniformOf(state: number): number {
  return ((mix(state) >>> 0) + 1) / 2 ** 32;
}

function mix(value: number): number {
  let h = (value + STEP) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  return h ^ (h >>> 15);
}
