/** A daemon that follows its source: a real SQLite database, or a file. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openStore } from '../../classes/stores/open.js';
import { carry, type RunningDaemon, TREE, until, withDaemon } from './running-daemon.js';

const test = suite('classes of a running daemon');
const USERS = 40;

/** A database of an uplink and 40 subscribers u0 … u39 with the addresses 10.0.0.0 … 10.0.0.39. */
async function makeDatabase(folder: string): Promise<string> {
  const path = join(folder, 'users.db');
  const store = openStore(`sqlite:${path}`);
  await store.createSchema();
  await store.close();
  edit(
    path,
    "INSERT INTO plans (id, down_rate, down_ceil, up_rate) VALUES ('p', '1mbit', '10mbit', '1mbit')",
  );
  edit(path, "INSERT INTO plans (id, down_rate, up_rate) VALUES ('q', '2mbit', '2mbit')");
  edit(path, "INSERT INTO sites (id, down_rate, up_rate) VALUES ('uplink', '1gbit', '1gbit')");
  for (let i = 0; i < USERS; i++) {
    edit(path, `INSERT INTO subscribers (id, site, plan) VALUES ('u${i}', 'uplink', 'p')`);
    edit(path, `INSERT INTO addresses (subscriber, address) VALUES ('u${i}', '10.0.0.${i}')`);
  }
  return path;
}

/** What another program does to the database. */
function edit(path: string, sql: string): void {
  const database = new Database(path);
  try {
    database.exec(sql);
  } finally {
    database.close();
  }
}

// biome-ignore lint/suspicious/noExplicitAny: the tests look into documents of every shape
async function stats(running: RunningDaemon): Promise<any> {
  return (await running.call('/stats')).body;
}

async function epoch(running: RunningDaemon): Promise<number> {
  return (await stats(running)).epoch;
}

async function state(running: RunningDaemon): Promise<string> {
  return (await stats(running)).source.state;
}

/** Runs `body` with a daemon on the database; `more` goes into the configuration's `classes`. */
function withDatabase(
  more: Record<string, unknown>,
  body: (running: RunningDaemon, path: string) => Promise<void>,
  before: (path: string) => void = () => {},
): Promise<void> {
  let path = '';
  const prepare = async (folder: string): Promise<Record<string, unknown>> => {
    path = await makeDatabase(folder);
    before(path);
    return { classes: { source: `sqlite:${path}`, capacity: 256, ...more } };
  };
  return withDaemon({ prepare }, (running) => body(running, path));
}

test('follows the database: one changed row is one epoch, and others keep their counters', () =>
  withDatabase({}, async (running, path) => {
    await carry(running, 0, '10.0.0.1', 7);
    const before = await epoch(running);
    edit(path, "UPDATE subscribers SET plan = 'q' WHERE id = 'u3'");
    await until('the change is in force', async () => (await epoch(running)) > before);
    assert.is(await epoch(running), before + 1);
    const plan = (await running.call('/classes/plan', 'POST')).body;
    assert.equal([plan.counts.changed, plan.counts.unchanged], [0, USERS + 1]);
    assert.is((await running.call('/stats?class=u1')).body.classes[0].down.packets, 7);
    const { source } = await stats(running);
    assert.equal([source.state, source.watched, source.fault], ['ok', true, null]);
  }));

test('plan tells what apply would do, and apply does it', () =>
  withDatabase({ watch: false }, async (running, path) => {
    edit(path, "UPDATE subscribers SET plan = 'q' WHERE id = 'u3'");
    edit(path, "DELETE FROM subscribers WHERE id = 'u4'");
    edit(path, "INSERT INTO subscribers (id, site, plan) VALUES ('u99', 'uplink', 'p')");
    edit(path, "INSERT INTO addresses VALUES ('10.0.0.99', 'u99')");
    edit(path, "INSERT INTO sites (id, parent, down_rate) VALUES ('house', 'uplink', '500mbit')");
    edit(path, "UPDATE subscribers SET site = 'house' WHERE id = 'u5'");
    const before = await epoch(running);
    const plan = (await running.call('/classes/plan', 'POST')).body;
    assert.is(plan.epoch, before);
    assert.equal(plan.counts, {
      added: 2,
      removed: 1,
      moved: 1,
      changed: 1,
      settings: 0,
      unchanged: USERS - 2,
    });
    assert.equal(plan.removed[0].id, 'u4');
    assert.equal(plan.moved, [{ id: 'u5', from: 'uplink', to: 'house' }]);
    assert.equal(plan.changed[0].id, 'u3');
    assert.equal(
      plan.changed[0].changes.find(({ key }: { key: string }) => key === 'down.rate'),
      { key: 'down.rate', from: '1mbit', to: '2mbit' },
    );
    assert.is(plan.refusal, null);
    assert.is(await epoch(running), before, 'a plan changes nothing');
    const { text } = (await running.call('/classes/plan', 'POST', { text: true })).body;
    assert.match(text, /^- u4$/m);
    assert.match(text, /^> u5 moves from uplink to house$/m);
    const applied = (await running.call('/classes/apply', 'POST')).body;
    assert.equal([applied.epoch, applied.counts], [before + 1, plan.counts]);
    await carry(running, 0, '10.0.0.99', 3);
    assert.is((await running.call('/stats?class=u99')).body.classes[0].down.packets, 3);
    const again = (await running.call('/classes/apply', 'POST')).body;
    assert.equal([again.epoch, again.counts.changed], [before + 1, 0], 'nothing new is no epoch');
  }));

test('an emptied table frees nobody, until somebody says so', () =>
  withDatabase({}, async (running, path) => {
    edit(path, 'DELETE FROM subscribers');
    await until('the guard holds it back', async () => (await state(running)) === 'refused');
    const { source, classes } = await stats(running);
    assert.match(source.fault, /40 of 41 classes would go, more than 10 %/);
    assert.is(classes.length, USERS + 1);
    const plan = (await running.call('/classes/plan', 'POST')).body;
    assert.equal(plan.refusal, { removed: USERS, total: USERS + 1, percent: 10 });
    const refused = await running.call('/classes/apply', 'POST');
    assert.equal([refused.status, refused.body.error.code], [422, 'E_GUARD']);
    assert.is((await stats(running)).classes.length, USERS + 1);
    const forced = await running.call('/classes/apply', 'POST', { force: true });
    assert.equal([forced.status, forced.body.counts.removed], [200, USERS]);
    assert.equal([(await stats(running)).classes.length, await state(running)], [1, 'ok']);
  }));

test('a tenth of the classes may go, one more may not', () =>
  withDatabase({}, async (running, path) => {
    edit(path, "DELETE FROM subscribers WHERE id IN ('u0', 'u1', 'u2', 'u3')");
    await until('four are gone', async () => (await stats(running)).classes.length === USERS - 3);
    edit(path, "DELETE FROM subscribers WHERE id IN ('u4', 'u5', 'u6', 'u7')");
    await until('the guard holds it back', async () => (await state(running)) === 'refused');
    edit(path, "INSERT INTO subscribers (id, site, plan) VALUES ('u4', 'uplink', 'p')");
    await until('three are gone', async () => (await state(running)) === 'ok');
    assert.is((await stats(running)).classes.length, USERS - 6);
  }));

test('what is wrong in the database changes nothing, is told, and is over when it is mended', () =>
  withDatabase({}, async (running, path) => {
    const before = await epoch(running);
    edit(path, "UPDATE plans SET down_rate = 'ten' WHERE id = 'p'");
    await until('the fault is seen', async () => (await state(running)) === 'invalid');
    assert.match((await stats(running)).source.fault, /plans row 'p': down_rate: "ten"/);
    const refused = await running.call('/classes/apply', 'POST', { force: true });
    assert.equal([refused.status, refused.body.error.code], [422, 'E_CLASSES']);
    assert.is(refused.body.error.lines.length, 1);
    await carry(running, 0, '10.0.0.1', 3);
    assert.is(await epoch(running), before);
    edit(path, "UPDATE plans SET down_rate = '3mbit' WHERE id = 'p'");
    await until('it is well again', async () => (await state(running)) === 'ok');
    assert.is(await epoch(running), before + 1);
  }));

test('while the database is away its last classes stay; a backup in its place is read', () =>
  withDatabase({}, async (running, path) => {
    const before = await epoch(running);
    edit(path, `VACUUM INTO '${path}.backup'`);
    edit(`${path}.backup`, "UPDATE subscribers SET plan = 'q' WHERE id = 'u3'");
    for (const part of ['', '-wal', '-shm']) rmSync(`${path}${part}`, { force: true });
    await until('it is missed', async () => (await state(running)) === 'retrying');
    assert.match((await stats(running)).source.fault, /users\.db/);
    await carry(running, 0, '10.0.0.1', 3);
    renameSync(`${path}.backup`, path);
    await until('it is back', async () => (await state(running)) === 'ok');
    assert.is(await epoch(running), before + 1, 'what is new in it is in force');
  }));

test('a test account goes when its time is over, whatever the guard lets', () => {
  const untilMs = Date.now() + 1500;
  return withDatabase(
    { guardPercent: 0 },
    async (running) => {
      assert.is((await stats(running)).classes.length, USERS + 1);
      await until('it has gone', async () => (await stats(running)).classes.length === USERS);
      assert.ok(Date.now() >= untilMs);
      assert.is(await state(running), 'ok');
      assert.is((await running.call('/stats?class=u9')).status, 404);
    },
    (path) => edit(path, `UPDATE subscribers SET expires_at = ${untilMs / 1000} WHERE id = 'u9'`),
  );
});

test('follows a file', () =>
  withDaemon(
    {
      prepare: async (folder) => ({ classes: { source: `file:${join(folder, 'tree.json')}`, capacity: 64 } }),
    },
    async (running) => {
      const file = running.treeFile;
      const before = await epoch(running);
      const [, ...rest] = TREE.classes;
      writeFileSync(
        `${file}.new`,
        JSON.stringify({ ...TREE, classes: [{ id: 'uplink', down: { rate: '2gbit' } }, ...rest] }),
      );
      renameSync(`${file}.new`, file);
      await until('it is in force', async () => (await epoch(running)) === before + 1);
      writeFileSync(file, '{');
      await until('it is told', async () => (await state(running)) === 'invalid');
      assert.is(await epoch(running), before + 1);
    },
  ));

test('another source is applied once and not followed', () =>
  withDatabase({ watch: false }, async (running, path) => {
    const other = join(running.folder, 'other.json');
    writeFileSync(other, JSON.stringify(TREE));
    const { body } = await running.call('/classes/plan', 'POST', { source: { url: `file:${other}` } });
    assert.equal([body.counts.added, body.counts.removed], [1, USERS - 1], 'both have u1');
    assert.equal(body.refusal, { removed: USERS - 1, total: USERS + 1, percent: 10 });
    const bad = await running.call('/classes/plan', 'POST', { source: { url: 'ldap://x' } });
    assert.is(bad.body.error.code, 'E_SOURCE');
    const wrong = await running.call('/classes/apply', 'POST', { force: 'yes' });
    assert.is(wrong.body.error.code, 'E_REQUEST');
    assert.is((await running.call('/classes/plan')).status, 405);
    assert.ok(path.length > 0);
  }));

test('what is sent is in the database when the daemon has ended', async () => {
  const rows: unknown[] = [];
  const prepare = async (folder: string): Promise<Record<string, unknown>> => ({
    classes: { source: `sqlite:${await makeDatabase(folder)}`, capacity: 256 },
  });
  const read = (path: string): void => {
    const database = new Database(path, { readonly: true });
    const sums = 'SELECT subscriber, direction, sum(bytes) bytes, sum(packets) packets FROM usage';
    rows.push(...database.prepare(`${sums} GROUP BY 1, 2 ORDER BY 1`).all());
    database.close();
  };
  const body = async (running: RunningDaemon): Promise<void> => {
    const accounting = async (): Promise<string> => (await stats(running)).accounting.state;
    await until('usage is written', async () => (await accounting()) === 'ok');
    await carry(running, 0, '10.0.0.1', 5);
    // A class that goes with the traffic it has had is paid for all the same.
    edit(join(running.folder, 'users.db'), "DELETE FROM subscribers WHERE id = 'u1'");
    await until('it has gone', async () => (await stats(running)).classes.length === USERS);
    await carry(running, 0, '10.0.0.2', 3);
  };
  await withDaemon({ prepare, ended: (folder) => read(join(folder, 'users.db')) }, body);
  assert.equal(rows, [
    { subscriber: 'u1', direction: 'down', bytes: 5000, packets: 5 },
    { subscriber: 'u2', direction: 'down', bytes: 3000, packets: 3 },
  ]);
});

test.run();
