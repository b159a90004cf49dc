/**
 * How long packets stayed in a leaf: a histogram with two buckets an octave, from 32 µs to two seconds, so a percentile read
 * from it is right within a factor of 1.5 at worst. Packets that passed without having been queued are not in it.
 *
 * The first packets of a class are all counted, later ones one in sixteen, chosen as if at random, and then for sixteen:
 * a miss of the cache for each packet would be a sixth of all that a busy worker does.
 */
import { Field } from '../layout.js';

export const enum Sojourn {
  /** Doubles of one leaf: an int32 would overflow in hours. Bucket 0 is below 32 µs, the last one has no upper end. */
  SHIFT = 5,
  BUCKETS = 1 << SHIFT,
  LEAST_OCTAVE = 5,
  /** Packets that are all counted, and for how many a later one counts, as a shift. */
  ALL_BELOW = 128,
  SAMPLE_SHIFT = 4,
}

/** The bucket of a sojourn of `us` microseconds, an int32. */
export function sojournBucket(us: number): number {
  if (us < 1 << Sojourn.LEAST_OCTAVE) return 0;
  const octave = 31 - Math.clz32(us);
  const half = (us >>> (octave - 1)) & 1;
  const bucket = 1 + ((octave - Sojourn.LEAST_OCTAVE) << 1) + half;
  return bucket < Sojourn.BUCKETS ? bucket : Sojourn.BUCKETS - 1;
}

/** Counts a packet that leaves: `us` is how long it stayed, and may be a wrapped difference. `base` is the memory's. */
export function countSojourn(doubles: Float64Array, base: number, record: number, us: number): void {
  // Fibonacci hashing of how many the class has sent: any order of its flows is sampled alike.
  const sent = doubles[(record >> 1) + Field.D_PACKETS]!;
  const isRare = sent >= Sojourn.ALL_BELOW;
  if (isRare && Math.imul(sent, 0x9e3779b1) >>> (32 - Sojourn.SAMPLE_SHIFT) !== 0) return;
  const classIndex = ((record / Field.CLASS_STRIDE) | 0) - 1;
  doubles[base + (classIndex << Sojourn.SHIFT) + sojournBucket(us | 0)]! += isRare
    ? 1 << Sojourn.SAMPLE_SHIFT
    : 1;
}

/** Where a bucket begins, in µs. */
export function sojournFromUs(bucket: number): number {
  if (bucket === 0) return 0;
  const octave = Sojourn.LEAST_OCTAVE + ((bucket - 1) >> 1);
  return 2 ** octave * ((bucket - 1) & 1 ? 1.5 : 1);
}

/**
 * The time in µs within which `share` of the packets left: linear within a bucket, 0 for those `passed` that were never
 * queued; null when there were no packets.
 */
export function sojournPercentileUs(
  buckets: ArrayLike<number>,
  passed: number,
  share: number,
): number | null {
  let total = passed;
  for (let i = 0; i < Sojourn.BUCKETS; i++) total += buckets[i]!;
  if (total <= 0) return null;
  let wanted = total * share - passed;
  if (wanted <= 0) return 0;
  for (let i = 0; i < Sojourn.BUCKETS; i++) {
    const count = buckets[i]!;
    if (wanted <= count) {
      const fromUs = sojournFromUs(i);
      return fromUs + ((sojournFromUs(i + 1) - fromUs) * wanted) / count;
    }
    wanted -= count;
  }
  return sojournFromUs(Sojourn.BUCKETS - 1);
}
