/** Keeps one frozen object per distinct queue: what a million subscribers say of theirs are mostly a few. */
import { NO_SETTINGS, type QueueSettings } from './queue.js';
import { QUEUE_KEYS } from './queue-keys.js';

export class QueueTable {
  private readonly known = new Map<string, QueueSettings>();

  /** The settings equal to `wanted` that were interned first. */
  intern(wanted: QueueSettings): QueueSettings {
    let text = '';
    for (let i = 0; i < QUEUE_KEYS.length; i++) text += `${wanted[QUEUE_KEYS[i]!.setting] ?? ''} `;
    if (text.length === QUEUE_KEYS.length) return NO_SETTINGS;
    let settings = this.known.get(text);
    if (settings === undefined) {
      settings = Object.isFrozen(wanted) ? wanted : ordered(wanted);
      this.known.set(text, settings);
    }
    return settings;
  }
}

/** True if both say the same. */
export function areEqualSettings(a: QueueSettings, b: QueueSettings): boolean {
  return a === b || QUEUE_KEYS.every(({ setting }) => a[setting] === b[setting]);
}

/** All with their settings in one order, so that few shapes of objects come about. */
function ordered(wanted: QueueSettings): QueueSettings {
  const said = QUEUE_KEYS.filter(({ setting }) => wanted[setting] !== undefined);
  return Object.freeze(Object.fromEntries(said.map(({ setting }) => [setting, wanted[setting]])));
}
