import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openSource } from '../../classes/source/open.js';
import type { ClassSource, SourceResult } from '../../classes/source/source.js';
import { openStore } from '../../classes/stores/open.js';
import { WeirError } from '../../src/errors.js';
import { changedSince, Follower } from './follower.js';
import { classOf, NOW_MS, NOW_SECONDS } from './records.js';

interface Context {
  folder: string;
  path: string;
  db: Database.Database;
  source: ClassSource;
}

const test = suite<Context>('source-store');

test.before.each(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'weir-store-source-'));
  context.path = join(context.folder, 'users.db');
  const store = openStore(`sqlite:${context.path}`, {});
  await store.createSchema();
  await store.close();
  context.db = new Database(context.path);
  context.db.exec(`
    INSERT INTO plans (id, down_rate, down_ceil) VALUES ('gold', '10mbit', '100mbit'), ('free', '1mbit', '5mbit');
    INSERT INTO sites (id, parent, down_rate) VALUES ('uplink', NULL, '1gbit'), ('house', 'uplink', '500mbit');
    INSERT INTO subscribers (id, site, plan) VALUES ('u1', 'house', 'gold'), ('u2', 'house', 'free');
    INSERT INTO addresses (subscriber, address) VALUES ('u1', '10.0.0.1'), ('u2', '10.0.0.2');`);
  context.source = openSource({ url: `sqlite:${context.path}`, queries: {} });
});

test.after.each(async ({ folder, db, source }) => {
  await source.close();
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

function idsOf({ tree, errors }: SourceResult): string[] {
  if (tree === null) throw new Error(errors.join('\n'));
  return tree.classes.map(({ id }) => id);
}

test('a database is a tree, and classes stay the same objects from load to load', async ({
  db,
  source,
  path,
}) => {
  assert.is(source.label, `sqlite:${path}`);
  const first = await source.load(NOW_MS);
  assert.equal(idsOf(first), ['uplink', 'house', 'u1', 'u2']);
  db.exec(`UPDATE subscribers SET plan = 'gold' WHERE id = 'u2'`);
  const second = await source.load(NOW_MS);
  assert.equal(changedSince(first, second), ['u2']);
  assert.is(classOf(second.tree!, 'u2').down, classOf(second.tree!, 'u1').down);
});

test('followed: events bring what they name, and a load without events nothing', async ({ db, source }) => {
  const follower = new Follower(source);
  await follower.until(1);
  const first = await source.load(NOW_MS);
  assert.is((await source.load(NOW_MS)).tree, first.tree);
  const seen = follower.count;
  db.exec(`UPDATE addresses SET address = '10.0.0.9' WHERE subscriber = 'u1'`);
  await follower.until(seen + 1);
  const second = await source.load(NOW_MS);
  assert.equal(changedSince(first, second), ['u1']);
  assert.is(classOf(second.tree!, 'u1').match[0]!.text, '10.0.0.9');
  db.transaction(() => {
    db.exec(`INSERT INTO subscribers (id, site, plan) VALUES ('u3', 'house', 'gold')`);
    db.exec(
      `UPDATE addresses SET subscriber = 'u3' WHERE subscriber = 'u1'; DELETE FROM subscribers WHERE id = 'u1'`,
    );
  })();
  await follower.until(seen + 2);
  const third = await source.load(NOW_MS);
  assert.equal(idsOf(third), ['uplink', 'house', 'u2', 'u3']);
  assert.equal(changedSince(second, third), ['u3']);
  db.exec(`UPDATE plans SET down_ceil = '50mbit' WHERE id = 'free'`);
  await follower.until(seen + 3);
  assert.equal(changedSince(third, await source.load(NOW_MS)), ['u2']);
  follower.stop();
});

test('an error holds until the row is mended, and other changes meanwhile are not lost', async ({
  db,
  source,
}) => {
  const follower = new Follower(source);
  await follower.until(1);
  const first = await source.load(NOW_MS);
  const seen = follower.count;
  db.exec(`UPDATE subscribers SET down_rate = 'fast' WHERE id = 'u1'`);
  await follower.until(seen + 1);
  const bad = await source.load(NOW_MS);
  assert.is(bad.tree, null);
  assert.equal(bad.errors, [
    `${source.label}: subscribers row 'u1' (on plan 'gold'): down_rate: "fast" is not a rate such as "10mbit" or a number of bit/s`,
  ]);
  db.exec(`UPDATE subscribers SET plan = 'gold' WHERE id = 'u2'`);
  await follower.until(seen + 2);
  assert.is((await source.load(NOW_MS)).tree, null);
  db.exec(`UPDATE subscribers SET down_rate = NULL WHERE id = 'u1'`);
  await follower.until(seen + 3);
  const mended = await source.load(NOW_MS);
  assert.equal(changedSince(first, mended), ['u2']);
  follower.stop();
});

test('what a load could not read is read by the next', async ({ db, source }) => {
  const follower = new Follower(source);
  await follower.until(1);
  const first = await source.load(NOW_MS);
  const seen = follower.count;
  db.exec(`UPDATE subscribers SET plan = 'gold' WHERE id = 'u2'; ALTER TABLE addresses RENAME TO hidden`);
  await follower.until(seen + 1);
  try {
    await source.load(NOW_MS);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, WeirError);
  }
  db.exec('ALTER TABLE hidden RENAME TO addresses');
  assert.equal(changedSince(first, await source.load(NOW_MS)), ['u2']);
  follower.stop();
});

test('not followed any more: every load reads everything', async ({ db, source }) => {
  const follower = new Follower(source);
  await follower.until(1);
  await source.load(NOW_MS);
  follower.stop();
  db.exec(`DELETE FROM addresses WHERE subscriber = 'u1'`);
  const after = await source.load(NOW_MS);
  assert.equal(classOf(after.tree!, 'u1').match, []);
  // What happened while nobody followed is not missed by one who follows again.
  db.exec(`DELETE FROM addresses WHERE subscriber = 'u2'`);
  const again = new Follower(source);
  await again.until(1);
  assert.equal(classOf((await source.load(NOW_MS)).tree!, 'u2').match, []);
  again.stop();
});

test('invalidate() reads everything', async ({ source }) => {
  const follower = new Follower(source);
  await follower.until(1);
  const first = await source.load(NOW_MS);
  source.invalidate();
  const second = await source.load(NOW_MS);
  assert.is.not(second.tree, first.tree);
  assert.equal(changedSince(first, second), []);
  follower.stop();
});

test('accounts expire from load to load', async ({ db, source }) => {
  db.exec(`UPDATE subscribers SET expires_at = ${NOW_SECONDS + 5} WHERE id = 'u1'`);
  const follower = new Follower(source);
  await follower.until(1);
  const first = await source.load(NOW_MS);
  assert.is(first.nextExpiryMs, NOW_MS + 5000);
  const second = await source.load(NOW_MS + 5000);
  assert.equal(idsOf(second), ['uplink', 'house', 'u2']);
  assert.equal([...second.expired], ['u1']);
  assert.is(second.nextExpiryMs, null);
  follower.stop();
});

test('loads that are asked for at once come one after the other', async ({ source }) => {
  const results = await Promise.all([source.load(NOW_MS), source.load(NOW_MS), source.load(NOW_MS)]);
  for (const result of results) assert.equal(changedSince(results[0]!, result), []);
});

test('a database that is away: load throws, changes$ errors, and nothing is missed after its return', async ({
  db,
  path,
  source,
}) => {
  const follower = new Follower(source);
  await follower.until(1);
  const first = await source.load(NOW_MS);
  db.pragma('wal_checkpoint(TRUNCATE)');
  renameSync(path, `${path}.away`);
  const fault = await follower.loss();
  assert.instance(fault, WeirError);
  assert.is((fault as WeirError).code, 'E_STORE_CONNECT');
  try {
    await source.load(NOW_MS);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, WeirError);
  }
  renameSync(`${path}.away`, path);
  db.exec(`UPDATE subscribers SET plan = 'gold' WHERE id = 'u2'`);
  const again = new Follower(source);
  await again.until(1);
  assert.equal(changedSince(first, await source.load(NOW_MS)), ['u2']);
  again.stop();
});

test('a mapping of one’s own', async ({ db, path }) => {
  db.exec(`
    CREATE TABLE users (login TEXT, tariff INTEGER, ip TEXT);
    INSERT INTO users VALUES ('ann', 10, '10.9.0.1'), ('bob', 20, '10.9.0.2');`);
  const queries = {
    subscribers: `SELECT login AS id, tariff * 1000000 AS down_rate FROM users`,
    addresses: 'SELECT login AS subscriber, ip AS address FROM users',
  };
  const source = openSource({ url: `sqlite:${path}`, queries });
  const follower = new Follower(source);
  await follower.until(1);
  const first = await source.load(NOW_MS);
  assert.equal(idsOf(first), ['ann', 'bob']);
  const seen = follower.count;
  db.exec(`UPDATE users SET tariff = 30 WHERE login = 'ann'`);
  await follower.until(seen + 1);
  const second = await source.load(NOW_MS);
  assert.equal(changedSince(first, second), ['ann']);
  assert.is(classOf(second.tree!, 'ann').down!.rateBps, 30e6);
  follower.stop();
  await source.close();
});

test.run();
