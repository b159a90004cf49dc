/**
 * Delays on a logarithmic scale: 64 bins an octave, so a quantile is at most 0.8 % off. What takes less than a
 * microsecond counts as that: the simulator's steps are coarser.
 */
const BINS_PER_OCTAVE_SHIFT = 6;
const FIRST_OCTAVE = 10; // 2^10 ns
const OCTAVES = 32; // up to 2^42 ns, more than an hour
export const HISTOGRAM_BINS = OCTAVES << BINS_PER_OCTAVE_SHIFT;

/** The bit pattern of a double is its logarithm with a linear fraction: exactly what chooses a bin. */
const scratch = new Float64Array(1);
const scratchWords = new Uint32Array(scratch.buffer);
const HIGH_WORD = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;
const MANTISSA_BITS_IN_HIGH_WORD = 20;
const EXPONENT_BIAS = 1023;
const FIRST_BIN = (EXPONENT_BIAS + FIRST_OCTAVE) << BINS_PER_OCTAVE_SHIFT;

/** The bin of a delay in nanoseconds. */
export function binOf(delayNs: number): number {
  scratch[0] = delayNs;
  const bin = (scratchWords[HIGH_WORD]! >>> (MANTISSA_BITS_IN_HIGH_WORD - BINS_PER_OCTAVE_SHIFT)) - FIRST_BIN;
  if (bin < 0) return 0;
  return bin < HISTOGRAM_BINS ? bin : HISTOGRAM_BINS - 1;
}

/** The middle of a bin in nanoseconds. */
function middleNs(bin: number): number {
  const bins = 1 << BINS_PER_OCTAVE_SHIFT;
  return 2 ** (FIRST_OCTAVE + (bin >> BINS_PER_OCTAVE_SHIFT)) * (1 + ((bin & (bins - 1)) + 0.5) / bins);
}

/** The delay in milliseconds that `share` of the `total` entries from `base` on do not exceed; null without any. */
export function quantileMs(bins: Uint32Array, base: number, total: number, share: number): number | null {
  if (total === 0) return null;
  const wanted = Math.ceil(total * share);
  let seen = 0;
  let bin = 0;
  for (; bin < HISTOGRAM_BINS - 1; bin++) {
    seen += bins[base + bin]!;
    if (seen >= wanted) break;
  }
  // Four digits: the bins are no finer.
  return Number((middleNs(bin) / 1e6).toPrecision(4));
}
