import { Shape, type SharedTree, Word } from '../../shm/tree-layout.js';
import { DEBT_US_MAX, drawBucket } from './bucket.js';

/**
 * Charges to the shared buckets of a class the most that a worker which has died may have sent and not charged. Its
 * tabs are gone with it; were they forgotten, every crash would let the class send that much above its rate.
 *
 * With several queues that is a full tab. A worker that was alone has never charged the words: its successor begins
 * with no tokens, and an overdraft of `packetBytes`. `shapeIndex` is the class's present shape, `nowUs` wraps.
 */
export function chargeLostTab(
  tree: SharedTree,
  classIndex: number,
  shapeIndex: number,
  packetBytes: number,
  nowUs: number,
): void {
  const { shapes, classWords, queues } = tree;
  const shape = shapeIndex << Shape.SHIFT;
  for (let bucket = 0; bucket < 2; bucket++) {
    const nsPerByte = shapes[shape + Shape.RATE_NS_PER_BYTE + bucket]!;
    if (nsPerByte === 0) continue;
    const word = (classIndex << Word.SHIFT) + Word.RATE_FULL_AT_US + bucket;
    if (queues > 1) {
      const tabUs = Math.ceil(shapes[shape + Shape.RATE_TAB_NS + bucket]! / 1000);
      drawBucket(classWords, word, nowUs, tabUs, DEBT_US_MAX);
      continue;
    }
    const debtNs = shapes[shape + Shape.RATE_LIMIT_NS + bucket]! + packetBytes * nsPerByte;
    Atomics.store(classWords, word, (nowUs + Math.min(DEBT_US_MAX, Math.ceil(debtNs / 1000))) | 0);
  }
}
