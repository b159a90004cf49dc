/** Random settings of queues, as documents have them. */
import { DIFFSERVS, ISOLATIONS, isOfUse, LEAF_DEFAULT, LEAF_KINDS } from '../../classes/queue.js';
import { QUEUE_KEYS } from '../../classes/queue-keys.js';
import { below } from './random.js';

export const ALL_QUEUE_KEYS: readonly string[] = QUEUE_KEYS.map(({ key }) => key);

/** Defaults among them, and the ends of what can be said. No target is above any interval. */
const VALUES: Readonly<Record<string, readonly unknown[]>> = {
  leaf: LEAF_KINDS,
  limit: [1, 7, 1000, 10_240, 1_000_000],
  limitBytes: [0, 3000, '1mb'],
  target: [1, '5ms', '100us', 5000, '0.02s'],
  interval: ['100ms', '1s', 100_001, 60_000_000],
  flows: [1, 3, 1024, 8192],
  memory: [2000, '4mb', 32_000_000, 2 ** 31 - 1],
  ecn: [true, false],
  isolate: ISOLATIONS,
  diffserv: DIFFSERVS,
  wash: [true, false],
};

/** Some of `keys`, at a class those that its leaf has a use for. */
export function randomQueue(
  random: () => number,
  keys: readonly string[] = ALL_QUEUE_KEYS,
  isOfTree = false,
): Record<string, unknown> {
  const said: Record<string, unknown> = {};
  for (const { key, setting } of QUEUE_KEYS) {
    if (!keys.includes(key) || random() < 0.6) continue;
    const leaf = LEAF_KINDS.find((kind) => kind === said.leaf) ?? LEAF_DEFAULT;
    if (!isOfTree && !isOfUse(setting, leaf)) continue;
    const values = VALUES[key]!;
    said[key] = values[below(random, values.length)];
  }
  return said;
}
