/**
 * Seeded hash of a flow's key words: a multiplication by a secret odd number a word, so that whoever chooses
 * addresses and ports can hardly choose the slot, then the usual shift-and-multiply finaliser. Every step is a bijection of the running value: keys that differ in one word never share a hash.
 */
export class FlowHash {
  private readonly start: number;
  private readonly factorA: number;
  private readonly factorB: number;

  constructor(seed: number) {
    this.start = finish(seed ^ 0x3c6ef372);
    this.factorA = finish(seed + 0x1b873593) | 1;
    this.factorB = finish(seed + 0x68e31da4) | 1;
  }

  /** Hash of `count` words of `key` from `base` on (an even number of them) and of the port the packet came in by, as int32. */
  of(key: Int32Array, base: number, count: number, port: number): number {
    const factorA = this.factorA;
    const factorB = this.factorB;
    // Two chains, because one alone would wait for its own multiplications most of the time.
    let even = this.start ^ Math.imul(port + 1, 0x9e3779b1);
    let odd = this.start;
    for (let i = base; i < base + count; i += 2) {
      even = Math.imul(even ^ (even >>> 15) ^ key[i]!, factorA);
      odd = Math.imul(odd ^ (odd >>> 15) ^ key[i + 1]!, factorB);
    }
    return finish(even ^ (even >>> 16) ^ Math.imul(odd ^ (odd >>> 15), factorA));
  }
}

function finish(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x7feb352d);
  h ^= h >>> 15;
  h = Math.imul(h, 0x846ca68b);
  return h ^ (h >>> 16);
}
