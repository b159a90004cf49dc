/**
 * The canonical columns: what a user database says of plans, sites, subscribers and their addresses, whatever its own
 * schema is. Values are as the database returned them, not checked yet; `compile.ts` does that.
 */

/** One row of a canonical table. A column that the query leaves out is undefined, one that is null in the row is null. */
export type RecordRow = Readonly<Record<string, unknown>>;

/** What all canonical tables hold. Every row of them has its key column: see RECORD_COLUMNS. */
export interface RecordSet {
  /** At most one row: the tree's own settings. */
  readonly settings: readonly RecordRow[];
  readonly plans: readonly RecordRow[];
  readonly sites: readonly RecordRow[];
  readonly subscribers: readonly RecordRow[];
  readonly addresses: readonly RecordRow[];
}

/** What some subscribers are now: the rows that exist, and all addresses of theirs. An id without a row is gone. */
export interface SubscriberPatch {
  readonly ids: readonly string[];
  readonly subscribers: readonly RecordRow[];
  readonly addresses: readonly RecordRow[];
}

export type RecordTable = keyof RecordSet;
export const RECORD_TABLES = ['settings', 'plans', 'sites', 'subscribers', 'addresses'] as const;

/** Rates, bursts and so on of both directions, in tc's grammar or as bare numbers of bit/s and bytes; all may be null. */
export const RATE_COLUMNS = [
  'down_rate',
  'down_ceil',
  'down_burst',
  'down_cburst',
  'down_quantum',
  'down_prio',
  'up_rate',
  'up_ceil',
  'up_burst',
  'up_cburst',
  'up_quantum',
  'up_prio',
] as const;

/** The queue of a leaf, of a plan or of a subscriber's own, or what settings say for all; see QUEUE_KEYS. All may be null. */
export const QUEUE_COLUMNS = [
  'leaf',
  'limit_packets',
  'limit_bytes',
  'codel_target',
  'codel_interval',
  'flows',
  'memory',
  'ecn',
  'isolate',
  'diffserv',
  'wash',
] as const;

interface TableColumns {
  /** The columns every query of the table must return. */
  readonly required: readonly string[];
  /** Others that it may return; whatever else it returns is an error, for it is probably misspelt. */
  readonly optional: readonly string[];
}

/**
 * `subscribers.plan` may be left out, or null in a row, where the row has rates of its own; a rate beside a plan goes
 * before the plan's. `expires_at` is a time (timestamptz, ISO 8601 text or seconds since 1970) from which on the
 * subscriber has no class. `addresses.address` is an address or a prefix of either family.
 */
export const RECORD_COLUMNS: Readonly<Record<RecordTable, TableColumns>> = {
  settings: {
    required: [],
    optional: ['default_class', 'overhead_bytes', 'mpu_bytes', 'link_layer', ...QUEUE_COLUMNS],
  },
  plans: { required: ['id'], optional: [...RATE_COLUMNS, ...QUEUE_COLUMNS] },
  sites: { required: ['id'], optional: ['parent', ...RATE_COLUMNS] },
  subscribers: {
    required: ['id'],
    optional: ['site', 'plan', 'expires_at', ...RATE_COLUMNS, ...QUEUE_COLUMNS],
  },
  addresses: { required: ['subscriber', 'address'], optional: [] },
};
