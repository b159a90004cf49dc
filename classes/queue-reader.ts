/**
 * Reads what a class or a tree says of its queue: key by key, and then what of it goes together.
 */
import {
  INTERVAL_DEFAULT_US,
  isOfUse,
  layeredSettings,
  type QueueSettings,
  queueSpecOf,
  TARGET_DEFAULT_US,
} from './queue.js';
import { QUEUE_KEYS, type QueueKey, type QueueValue, ValueFault } from './queue-keys.js';
import type { QueueTable } from './queue-table.js';
import { formatTime } from './units.js';

export type Fail = (key: string, message: string) => void;

/** What has been read so far, by setting. */
export type SaidSettings = Record<string, QueueValue>;

/** Takes the value of one key. A time that cannot be read becomes NaN, which is above and below nothing. */
export function takeQueueKey(
  said: SaidSettings,
  { setting, key, read }: QueueKey,
  value: unknown,
  fail: Fail,
): void {
  if (value === undefined) return;
  const result = read(value);
  if (!(result instanceof ValueFault)) said[setting] = result;
  else {
    fail(key, result.message);
    if (setting === 'targetUs' || setting === 'intervalUs') said[setting] = Number.NaN;
  }
}

/** The settings of a class that says `said` on a plan that says `base`, in a tree that says `tree`. */
export function classQueue(
  said: SaidSettings,
  base: QueueSettings,
  tree: QueueSettings,
  table: QueueTable,
  fail: Fail,
): QueueSettings {
  const own = said as QueueSettings;
  const leaf = own.leaf ?? base.leaf;
  if (leaf !== undefined) {
    for (const { setting, key } of QUEUE_KEYS) {
      const value = own[setting];
      if (value === undefined || Number.isNaN(value) || isOfUse(setting, leaf)) continue;
      fail(key, `a ${leaf} has no use for it`);
    }
  }
  const settings = table.intern(layeredSettings(base, own));
  if (own.targetUs === undefined && own.intervalUs === undefined) return settings;
  const { targetUs, intervalUs } = queueSpecOf(tree, settings);
  checkTimes(targetUs, intervalUs, own.targetUs !== undefined, fail);
  return settings;
}

/** What a tree says for all classes; settings that some leaves have no use for are meant for the others. */
export function treeQueue(said: SaidSettings, table: QueueTable, fail: Fail): QueueSettings {
  const { targetUs, intervalUs, ...others } = said as QueueSettings;
  const target = targetUs ?? TARGET_DEFAULT_US;
  const interval = intervalUs ?? INTERVAL_DEFAULT_US;
  // Classes that say the one or the other are not held against what is wrong already.
  return checkTimes(target, interval, targetUs !== undefined, fail)
    ? table.intern(said)
    : table.intern(others);
}

/** False, and reported, if the target is above the interval. */
function checkTimes(targetUs: number, intervalUs: number, saysTarget: boolean, fail: Fail): boolean {
  if (!(targetUs > intervalUs)) return true;
  const [target, interval] = [formatTime(targetUs), formatTime(intervalUs)];
  if (saysTarget) fail('target', `${target} is above the interval, ${interval}`);
  else fail('interval', `${interval} is below the target, ${target}`);
  return false;
}
