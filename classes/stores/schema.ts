/** The reference schema as the query builder sees it; classes/schema/*.sql says it in full, with constraints. */
import type { ColumnType, Generated } from 'kysely';

/** A time: written as ISO 8601 text; PostgreSQL hands out a Date, SQLite what was written. */
type Time = ColumnType<Date | string | number, string, string>;

/** A rate, a size or a time: a number of bit/s, bytes or microseconds, or text in tc's grammar. */
type Quantity = string | number | null;

/** SQL's columns, so named in both databases. */
interface DirectionColumns {
  down_rate: Quantity;
  down_ceil: Quantity;
  down_burst: Quantity;
  down_cburst: Quantity;
  down_quantum: Quantity;
  down_prio: number | null;
  up_rate: Quantity;
  up_ceil: Quantity;
  up_burst: Quantity;
  up_cburst: Quantity;
  up_quantum: Quantity;
  up_prio: number | null;
}

/** Yes or no: SQLite hands out 1 or 0. */
type Flag = ColumnType<boolean | number | null, number | null, number | null>;

interface QueueColumns {
  leaf: string | null;
  limit_packets: number | null;
  limit_bytes: Quantity;
  codel_target: Quantity;
  codel_interval: Quantity;
  flows: number | null;
  memory: Quantity;
  ecn: Flag;
  isolate: string | null;
  diffserv: string | null;
  wash: Flag;
}

export interface Schema {
  weir_schema: { version: number };
  settings: QueueColumns & {
    id: Generated<number>;
    default_class: string | null;
    overhead_bytes: number | null;
    mpu_bytes: number | null;
    link_layer: string | null;
  };
  plans: DirectionColumns & QueueColumns & { id: string; name: string | null };
  sites: DirectionColumns & { id: string; parent: string | null; name: string | null };
  subscribers: DirectionColumns &
    QueueColumns & {
      id: string;
      site: string | null;
      plan: string | null;
      expires_at: Time | null;
      name: string | null;
    };
  addresses: { address: string; subscriber: string };
  /** One row for each subscriber, direction and interval. */
  usage: {
    subscriber: string;
    direction: 'down' | 'up';
    interval_start: Time;
    interval_end: Time;
    bytes: number;
    packets: number;
  };
  usage_batches: { id: string; taken_at: Generated<Date | string> };
  /** SQLite only: what the triggers noted, in order. `id` is null for "anything". */
  weir_changes: { seq: Generated<number>; entity: 'subscriber' | 'all'; id: string | null };
}

/** Of classes/schema/*.sql. What has a lower one is brought up to it by createSchema(), and can be read before. */
export const SCHEMA_VERSION = 2;
