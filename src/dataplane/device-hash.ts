import { Direction } from '../shm/tree-layout.js';
import * as batchLayout from './batch.js';

// Imported constants are looked up at each use; the engine folds a module's own into the code.
const { KEY_WORDS_SHIFT, KIND_IPV4, KIND_IPV6 } = batchLayout;

/**
 * A hash of the subscriber's address in batch slot `slot`, the destination of what goes down and the source of what goes
 * up, as an int32 with all bits mixed; 0 for a packet without a key. `seed` (an int32) keeps whoever chooses addresses
 * from choosing the queue. Two IPv4 addresses never have the same hash.
 */
export function deviceHashOf(
  key: Int32Array,
  slot: number,
  kind: number,
  direction: Direction,
  seed: number,
): number {
  const keyAt = slot << KEY_WORDS_SHIFT;
  let h = 0;
  if (kind === KIND_IPV4) {
    h = seed ^ key[direction === Direction.DOWN ? keyAt | 1 : keyAt]!;
  } else if (kind === KIND_IPV6) {
    const at = direction === Direction.DOWN ? keyAt | 4 : keyAt;
    // Two chains of a multiplication a word, as the flow table has them, so that they need not wait for each other.
    const even = Math.imul(seed ^ key[at]!, 0x9e3779b1);
    const odd = Math.imul(~seed ^ key[at | 1]!, 0x85ebca6b);
    h = Math.imul(odd ^ (odd >>> 15) ^ key[at | 3]!, 0x27d4eb2f);
    // Uneven on purpose: the same change in the top bit of both would otherwise be none in their sum.
    h = Math.imul(even ^ (even >>> 15) ^ key[at | 2]!, 0xc2b2ae35) ^ Math.imul(h ^ (h >>> 15), 0x165667b1);
  } else {
    return 0;
  }
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return h ^ (h >>> 16);
}
