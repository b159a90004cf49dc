/** Batches in the database: added up, once, and without daemons that wait for each other. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openStore } from '../../classes/stores/open.js';
import type { UsageBatch, UsageRow } from '../../classes/stores/usage.js';
import { ScratchPostgres, whyNoPostgres } from '../../src/lab/scratch-postgres.js';
import { withFolder } from './parts.js';

const test = suite('writing usage');
const NOON = Date.UTC(2026, 0, 31, 12);
const MINUTE = 60_000;
const SUBSCRIBERS = 24_000;
const DAEMONS = 4;

interface Scratch {
  readonly url: string;
  rows(text: string): Promise<Record<string, unknown>[]>;
}

function batch(id: string, rows: readonly UsageRow[], minutes = 1): UsageBatch {
  return { id, startMs: NOON, endMs: NOON + minutes * MINUTE, rows };
}

function down(subscriber: string, bytes: number, packets = 1): UsageRow {
  return { subscriber, direction: 'down', bytes, packets };
}

function addTests(
  name: string,
  withDatabase: (work: (scratch: Scratch) => Promise<void>) => Promise<void>,
): void {
  const sums = 'SELECT subscriber, bytes, packets FROM usage ORDER BY subscriber';
  const found = async (scratch: Scratch): Promise<unknown[]> =>
    (await scratch.rows(sums)).map((row) => [row.subscriber, Number(row.bytes), Number(row.packets)]);

  test(`${name}: batches of one interval add up, each once, and the longer interval stands`, async () => {
    await withDatabase(async (scratch) => {
      const store = openStore(scratch.url);
      await store.takeUsage(batch('a', [down('u2', 5), down('u1', 10), down('u1', 1)]));
      await store.takeUsage(batch('b', [down('u1', 100)], 5));
      await store.takeUsage(batch('c', [down('u1', 1000)]));
      await store.takeUsage(batch('b', [down('u1', 100)], 5));
      await store.takeUsage(batch('d', []));
      await store.close();
      assert.equal(await found(scratch), [
        ['u1', 1111, 4],
        ['u2', 5, 1],
      ]);
      const ends = await scratch.rows('SELECT interval_end AS at FROM usage ORDER BY subscriber');
      assert.equal(
        ends.map(({ at }) => new Date(at as string | Date).getTime() - NOON),
        [5 * MINUTE, MINUTE],
      );
      assert.is((await scratch.rows('SELECT id FROM usage_batches')).length, 4);
    });
  });

  test(`${name}: a batch that does not fit is not taken in part`, async () => {
    await withDatabase(async (scratch) => {
      const store = openStore(scratch.url);
      const rows = Array.from({ length: 2500 }, (_, i) => down(`u${i}`, 1));
      const bad = batch('a', [...rows, down('z', -1)]);
      await store.takeUsage(bad).then(
        () => assert.unreachable(),
        () => {},
      );
      assert.equal(await found(scratch), []);
      await store.takeUsage(batch('a', rows));
      assert.is((await found(scratch)).length, 2500);
      await store.close();
    });
  });

  test(`${name}: numbers up to 2^53`, async () => {
    await withDatabase(async (scratch) => {
      const store = openStore(scratch.url);
      await store.takeUsage(batch('a', [down('u1', 2 ** 53 - 2, 2 ** 52)]));
      await store.takeUsage(batch('b', [down('u1', 1, 1)]));
      await store.close();
      assert.equal(await found(scratch), [['u1', 2 ** 53 - 1, 2 ** 52 + 1]]);
    });
  });

  test(`${name}: daemons that write the same rows all get through`, async () => {
    await withDatabase(async (scratch) => {
      const rows = Array.from({ length: SUBSCRIBERS }, (_, i) => down(`u${i}`, 1000 + i));
      rows.push(...rows.map((row) => ({ ...row, direction: 'up' as const })));
      const orders = [rows, [...rows].reverse()];
      const beganMs = performance.now();
      const take = async (daemon: number): Promise<void> => {
        const store = openStore(scratch.url);
        await store.takeUsage(batch(`d${daemon}`, orders[daemon % 2]!));
        await store.close();
      };
      // Two connections of one thread to one SQLite file would wait for each other; daemons have threads of their own.
      if (name === 'SQLite') for (let daemon = 0; daemon < DAEMONS; daemon++) await take(daemon);
      else await Promise.all(Array.from({ length: DAEMONS }, (_, daemon) => take(daemon)));
      const ms = Math.round(performance.now() - beganMs);
      console.log(`${name}: ${DAEMONS} batches of ${rows.length} rows in ${ms} ms`);
      const [total] = await scratch.rows('SELECT sum(bytes) AS bytes, count(*) AS rows FROM usage');
      const expected = DAEMONS * rows.reduce((sum, { bytes }) => sum + bytes, 0);
      assert.equal([Number(total!.bytes), Number(total!.rows)], [expected, rows.length]);
    });
  });
}

addTests('SQLite', (work) =>
  withFolder(async (folder) => {
    const path = join(folder, 'users.db');
    const url = `sqlite:${path}`;
    const store = openStore(url);
    await store.createSchema();
    await store.close();
    const rows = async (text: string): Promise<Record<string, unknown>[]> => {
      const db = new Database(path, { readonly: true });
      const result = db.prepare(text).all() as Record<string, unknown>[];
      db.close();
      return result;
    };
    await work({ url, rows });
  }),
);

const why = whyNoPostgres();
if (why !== null) {
  console.log(`skipped: PostgreSQL: ${why}`);
  test.skip('PostgreSQL', () => {});
} else {
  let server: ScratchPostgres;
  let databases = 0;
  test.before(async () => {
    server = await ScratchPostgres.start();
  });
  test.after(() => server.remove());
  addTests('PostgreSQL', async (work) => {
    const name = `usage${++databases}`;
    const url = await server.createDatabase(name);
    const store = openStore(url);
    await store.createSchema();
    await store.close();
    await work({ url, rows: (text) => server.query(text, name) });
  });
}

test.run();
