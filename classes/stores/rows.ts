/**
 * A class tree as rows of the reference schema: inner classes become sites, leaves subscribers, and what several leaves
 * have in common a plan. Values that are what a class would take by itself are left out, so that they follow the rates.
 */
import type { ClassSpec, ClassTree, DirectionSpec } from '../model.js';
import { NO_SETTINGS, type QueueSettings } from '../queue.js';
import { QUEUE_KEYS, type QueueValue } from '../queue-keys.js';
import type { RecordTable } from '../records.js';
import { formatRate } from '../units.js';
import { writtenDirection } from '../written.js';
import type { WriteOptions } from './store.js';

/** A row without the columns that are NULL. */
export type StoredRow = Readonly<Record<string, QueueValue>>;

/** The tables in the order in which they can be written; the other way round they can be emptied. */
export const WRITE_ORDER = ['settings', 'plans', 'sites', 'subscribers', 'addresses'] as const;

/** A plan for a single subscriber would be a row to look up for nothing; its rates stand in its own row. */
const PLAN_USERS_MIN = 2;

export function rowsOfTree(tree: ClassTree, options: WriteOptions = {}): Record<RecordTable, StoredRow[]> {
  const inner = new Set<string>();
  for (const { parent } of tree.classes) if (parent !== null) inner.add(parent);
  const plans = new PlanBook();
  for (const spec of tree.classes) if (!inner.has(spec.id)) plans.count(spec);
  const rows: Record<RecordTable, StoredRow[]> = {
    settings: [settingsRow(tree)],
    plans: plans.rows(),
    sites: [],
    subscribers: [],
    addresses: [],
  };
  for (const spec of tree.classes) {
    if (inner.has(spec.id)) {
      rows.sites.push(siteRow(spec));
      continue;
    }
    rows.subscribers.push(subscriberRow(spec, plans, options.expiresAtMs?.get(spec.id)));
    for (const { text } of spec.match) rows.addresses.push({ address: text, subscriber: spec.id });
  }
  return rows;
}

/** Every column that some row has. */
export function columnsOfRows(rows: readonly StoredRow[]): string[] {
  const columns = new Set<string>();
  for (const row of rows) for (const name in row) columns.add(name);
  return [...columns];
}

/** What leaves have in common. Equal directions and queues are mostly one object, so a number for each makes a short key. */
class PlanBook {
  readonly #users = new Map<string, { readonly spec: ClassSpec; count: number; id: string }>();
  readonly #directions = new Map<DirectionSpec, string>();
  readonly #queues = new Map<QueueSettings, string>([[NO_SETTINGS, '']]);

  count(spec: ClassSpec): void {
    const key = this.#keyOf(spec);
    const plan = this.#users.get(key);
    if (plan === undefined) this.#users.set(key, { spec, count: 1, id: '' });
    else plan.count++;
  }

  /** The plans with their ids, the one with most subscribers first. */
  rows(): StoredRow[] {
    const shared = [...this.#users.values()].filter(({ spec, count }) => needsPlan(spec, count));
    shared.sort((a, b) => b.count - a.count);
    const taken = new Map<string, number>();
    return shared.map((plan) => {
      const name = `${shortRate(plan.spec.down)}-${shortRate(plan.spec.up)}`;
      const nth = (taken.get(name) ?? 0) + 1;
      taken.set(name, nth);
      plan.id = nth === 1 ? name : `${name}-${nth}`;
      return { id: plan.id, ...leafColumns(plan.spec) };
    });
  }

  /** Null where the leaf's values stand in its own row. */
  idOf(spec: ClassSpec): string | null {
    return this.#users.get(this.#keyOf(spec))!.id || null;
  }

  #keyOf({ down, up, queue }: ClassSpec): string {
    return `${this.#directionKey(down)}|${this.#directionKey(up)}|${this.#queueKey(queue)}`;
  }

  #queueKey(queue: QueueSettings): string {
    const known = this.#queues.get(queue);
    if (known !== undefined) return known;
    const key = QUEUE_KEYS.map(({ setting }) => queue[setting]).join(' ');
    this.#queues.set(queue, key);
    return key;
  }

  #directionKey(direction: DirectionSpec | null): string {
    if (direction === null) return '';
    const known = this.#directions.get(direction);
    if (known !== undefined) return known;
    const { rateBps, ceilBps, burstBytes, cburstBytes, quantumBytes, prio } = direction;
    const key = [rateBps, ceilBps, burstBytes, cburstBytes, quantumBytes, prio].join(' ');
    this.#directions.set(direction, key);
    return key;
  }
}

/** A subscriber without any rate of its own must have a plan, if only one that says that there are none. */
function needsPlan({ down, up }: ClassSpec, users: number): boolean {
  return users >= PLAN_USERS_MIN || (down === null && up === null);
}

/** `100m`, as in the plan `100m-40m`; distinct plans of one name get a number. */
function shortRate(direction: DirectionSpec | null): string {
  return direction === null ? 'free' : formatRate(direction.ceilBps).replace('bit', '');
}

function settingsRow({ defaultClass, overheadBytes, mpuBytes, linkLayer, queue }: ClassTree): StoredRow {
  return {
    id: 1,
    ...(defaultClass !== null && { default_class: defaultClass }),
    ...(overheadBytes !== 0 && { overhead_bytes: overheadBytes }),
    ...(mpuBytes !== 0 && { mpu_bytes: mpuBytes }),
    ...(linkLayer !== 'ethernet' && { link_layer: linkLayer }),
    ...queueColumns(queue),
  };
}

function siteRow(spec: ClassSpec): StoredRow {
  return {
    id: spec.id,
    ...(spec.parent !== null && { parent: spec.parent }),
    ...directionColumns('down', spec.down),
    ...directionColumns('up', spec.up),
  };
}

function subscriberRow(spec: ClassSpec, plans: PlanBook, expiresAtMs: number | undefined): StoredRow {
  const row: Record<string, QueueValue> = { id: spec.id };
  if (spec.parent !== null) row.site = spec.parent;
  const plan = plans.idOf(spec);
  if (plan !== null) row.plan = plan;
  else Object.assign(row, leafColumns(spec));
  if (expiresAtMs !== undefined) row.expires_at = new Date(expiresAtMs).toISOString();
  return row;
}

function leafColumns(spec: ClassSpec): StoredRow {
  return {
    ...directionColumns('down', spec.down),
    ...directionColumns('up', spec.up),
    ...queueColumns(spec.queue),
  };
}

function queueColumns(settings: QueueSettings): StoredRow {
  const row: Record<string, QueueValue> = {};
  for (const { setting, column, write } of QUEUE_KEYS) {
    const said = settings[setting];
    if (said !== undefined) row[column] = write(said);
  }
  return row;
}

function directionColumns(name: 'down' | 'up', direction: DirectionSpec | null): StoredRow {
  if (direction === null) return {};
  const written = Object.entries(writtenDirection(direction));
  return Object.fromEntries(written.map(([key, value]) => [`${name}_${key}`, value]));
}
