/** What subscribers used, on its way into the database. */
import { type Kysely, sql } from 'kysely';
import type { Schema } from './schema.js';

/** One subscriber's traffic in one direction; layer-2 bytes as the classes count them. Whole numbers up to 2^53. */
export interface UsageRow {
  readonly subscriber: string;
  readonly direction: 'down' | 'up';
  readonly bytes: number;
  readonly packets: number;
}

/** All of one interval. `id` is unique for ever: a batch that the database has is not taken again. */
export interface UsageBatch {
  readonly id: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly rows: readonly UsageRow[];
}

/** Rows of one statement: 6 values each, far from the 32,766 that SQLite takes and the 65,535 of PostgreSQL. */
const ROWS_PER_INSERT = 1000;

/**
 * Adds a batch to the table `usage`, in one transaction and once: a batch whose id is known changes nothing. Another
 * daemon, or an earlier run of this one, may have written to the same interval; then the amounts add up, and the row ends
 * where the longer of the two intervals does. Throws what the driver throws, and nothing is written then.
 */
export async function writeUsage(db: Kysely<Schema>, batch: UsageBatch): Promise<void> {
  const rows = inOneOrder(batch.rows);
  await db.transaction().execute(async (transaction) => {
    const mark = await transaction
      .insertInto('usage_batches')
      .values({ id: batch.id })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .executeTakeFirst();
    if (mark.numInsertedOrUpdatedRows === 0n) return;
    const start = new Date(batch.startMs).toISOString();
    const end = new Date(batch.endMs).toISOString();
    for (let at = 0; at < rows.length; at += ROWS_PER_INSERT)
      await addRows(transaction, rows.slice(at, at + ROWS_PER_INSERT), start, end);
  });
}

async function addRows(
  db: Kysely<Schema>,
  rows: readonly UsageRow[],
  start: string,
  end: string,
): Promise<void> {
  await db
    .insertInto('usage')
    .values(rows.map((row) => ({ ...row, interval_start: start, interval_end: end })))
    .onConflict((conflict) =>
      conflict.columns(['subscriber', 'direction', 'interval_start']).doUpdateSet({
        bytes: sql`usage.bytes + excluded.bytes`,
        packets: sql`usage.packets + excluded.packets`,
        interval_end: sql`CASE WHEN excluded.interval_end > usage.interval_end
          THEN excluded.interval_end ELSE usage.interval_end END`,
      }),
    )
    .execute();
}

/**
 * Sorted, so that two daemons that write to the same rows never wait for each other in a circle; and each row once, for
 * PostgreSQL does not touch a row twice in one statement.
 */
function inOneOrder(rows: readonly UsageRow[]): UsageRow[] {
  const sorted = [...rows].sort(byKey);
  const result: UsageRow[] = [];
  for (const row of sorted) {
    const last = result.at(-1);
    if (last === undefined || byKey(last, row) !== 0) result.push(row);
    else
      result[result.length - 1] = {
        ...last,
        bytes: last.bytes + row.bytes,
        packets: last.packets + row.packets,
      };
  }
  return result;
}

function byKey(a: UsageRow, b: UsageRow): number {
  if (a.subscriber !== b.subscriber) return a.subscriber < b.subscriber ? -1 : 1;
  if (a.direction !== b.direction) return a.direction < b.direction ? -1 : 1;
  return 0;
}
