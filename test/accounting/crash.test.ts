/**
 * Exactly once, across the death of the daemon and of the database at random moments: real processes, real files, real
 * servers. What is in the table `usage` at the end is compared, byte for byte, with what the daemons had on disk.
 */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openStore } from '../../classes/stores/open.js';
import type { UsageRow } from '../../classes/stores/usage.js';
import { ScratchPostgres, whyNoPostgres } from '../../src/lab/scratch-postgres.js';
import { makeRng } from '../oracle/random-tree.js';
import { CrashRun, type Life } from './crash-run.js';
import { seedOf, withFolder } from './parts.js';

const test = suite('accounting across crashes');
const QUERY = 'SELECT subscriber, direction, bytes, packets FROM usage';
/** Killed at random, beside those that are killed around a commit. */
const SQLITE_LIVES = 14;
const POSTGRES_LIVES = 8;
const PAUSES = ['after:0', 'before:1', 'after:2'];
const DELIVER_MS = 30_000;

function sqliteRows(path: string): UsageRow[] {
  const db = new Database(path, { readonly: true });
  const rows = db.prepare(QUERY).all() as UsageRow[];
  db.close();
  return rows;
}

async function postgresRows(server: ScratchPostgres): Promise<UsageRow[]> {
  const rows = (await server.query(QUERY)) as unknown as UsageRow[];
  return rows.map((row) => ({ ...row, bytes: Number(row.bytes), packets: Number(row.packets) }));
}

function summary(name: string, lives: readonly Life[]): void {
  const pauses = lives.filter(({ hasPaused }) => hasPaused).length;
  const recorded = lives.reduce((sum, life) => sum + life.recorded, 0);
  console.log(`${name}: ${lives.length} lives, ${pauses} ended around a commit, ${recorded} checkpoints`);
}

test('SQLite: the daemon is killed again and again', async () => {
  await withFolder(async (folder) => {
    const seed = seedOf('crash, SQLite');
    const rng = makeRng(seed);
    const path = join(folder, 'users.db');
    const store = openStore(`sqlite:${path}`);
    await store.createSchema();
    await store.close();
    const run = new CrashRun(`sqlite:${path}`, join(folder, 'usage.db'), seed);
    for (const pause of PAUSES) await run.pausedLife(pause);
    for (let i = 0; i < SQLITE_LIVES; i++) await run.killedLife(rng);
    await run.wholeLife(30, DELIVER_MS);
    run.check(sqliteRows(path));
    await run.wholeLife(0, DELIVER_MS);
    run.check(sqliteRows(path));
    summary('SQLite', run.lives);
  });
});

const why = whyNoPostgres();
if (why !== null) {
  console.log(`skipped: PostgreSQL: ${why}`);
  test.skip('PostgreSQL', () => {});
} else {
  test('PostgreSQL: the daemon is killed again and again', async () => {
    await withServer(async (server, run, seed) => {
      const rng = makeRng(seed);
      for (const pause of PAUSES) await run.pausedLife(pause);
      for (let i = 0; i < POSTGRES_LIVES; i++) await run.killedLife(rng);
      await run.wholeLife(30, DELIVER_MS);
      run.check(await postgresRows(server));
      summary('PostgreSQL', run.lives);
    });
  });

  test('PostgreSQL: the server is killed and started again while batches are delivered', async () => {
    await withServer(async (server, run, seed) => {
      const rng = makeRng(seed);
      for (let i = 0; i < 3; i++) {
        let restart: Promise<void> | null = null;
        const at = 5 + rng.int(60);
        await run.wholeLife(120, 0, (lines) => {
          if (lines === at) restart = server.kill().then(() => server.start());
        });
        await restart;
      }
      await run.wholeLife(0, DELIVER_MS);
      run.check(await postgresRows(server));
    });
  });

  test('PostgreSQL: a server that is away for long is waited for; what it missed comes once', async () => {
    await withServer(async (server, run, seed) => {
      const rng = makeRng(seed);
      await run.wholeLife(20, DELIVER_MS);
      await server.kill();
      for (let i = 0; i < 3; i++) await run.killedLife(rng);
      const { recorded } = await run.wholeLife(40, 100);
      assert.is(recorded, 40, 'checkpoints go on without the database');
      await server.start();
      const before = (await postgresRows(server)).length;
      await run.wholeLife(0, DELIVER_MS);
      assert.ok((await postgresRows(server)).length > before);
      run.check(await postgresRows(server));
    });
  });
}

async function withServer(
  work: (server: ScratchPostgres, run: CrashRun, seed: number) => Promise<void>,
): Promise<void> {
  const seed = seedOf('crash, PostgreSQL');
  await withFolder(async (folder) => {
    const server = await ScratchPostgres.start();
    try {
      const store = openStore(server.url);
      await store.createSchema();
      await store.close();
      await work(server, new CrashRun(server.url, join(folder, 'usage.db'), seed), seed);
    } finally {
      await server.remove();
    }
  });
}

test.run();
