/**
 * Where records begin at cache lines. The engine takes large zeroed blocks from the C library, which maps them
 * page-aligned and puts 16 bytes of its own first; after another 48 a line begins. Elsewhere it does no harm.
 */
export const LINE_OFFSET_BYTES = 48;

/** Zeroed shared memory of `bytes` bytes, to be viewed from LINE_OFFSET_BYTES on. Resident only where it is used. */
export function alignedShared(bytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(bytes + LINE_OFFSET_BYTES);
}

export function alignedInt32(words: number): Int32Array {
  return new Int32Array(alignedShared(words * 4), LINE_OFFSET_BYTES, words);
}

export function alignedFloat64(doubles: number): Float64Array {
  return new Float64Array(alignedShared(doubles * 8), LINE_OFFSET_BYTES, doubles);
}
