/** Databases that are away, broken, slow or gone while they are in use. */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isAway, storeFault } from '../../classes/stores/faults.js';
import type { WeirError } from '../../src/errors.js';
import { ScratchPostgres, whyNoPostgres } from '../../src/lab/scratch-postgres.js';
import { closeStores, Events, faultOf, open } from './backends.js';

const PEOPLE =
  "INSERT INTO plans (id, down_rate) VALUES ('gold', '10mbit'); INSERT INTO subscribers (id, plan) VALUES ('anna', 'gold')";

const sqlite = suite('faults of sqlite');
const folder = mkdtempSync(join(tmpdir(), 'weir-faults-'));
let count = 0;
sqlite.after.each(closeStores);
sqlite.after(() => rmSync(folder, { recursive: true, force: true }));

function newPath(): string {
  return join(folder, `${++count}.db`);
}

async function filled(): Promise<string> {
  const path = newPath();
  await open(`sqlite:${path}`).createSchema();
  await closeStores();
  const db = new Database(path);
  db.exec(PEOPLE);
  db.close();
  return path;
}

sqlite('a file that is missing, no file, no database, empty or cut off', async () => {
  const noDatabase = newPath();
  writeFileSync(noDatabase, 'id,address\nanna,10.0.0.1\n'.repeat(100));
  const empty = newPath();
  writeFileSync(empty, '');
  const directory = newPath();
  mkdirSync(directory);
  const cut = await filled();
  truncateSync(cut, 8192);
  const cases: readonly (readonly [string, RegExp])[] = [
    [newPath(), /^E_STORE_CONNECT: STORE: there is no such file$/],
    [join(newPath(), 'users.db'), /^E_STORE_CONNECT: STORE: there is no such file$/],
    [join(noDatabase, 'users.db'), /^E_STORE_CONNECT: STORE: .*not a directory/],
    [directory, /^E_STORE_CONNECT: STORE: is a folder, not a file$/],
    [noDatabase, /^E_STORE_CONNECT: STORE: is not a SQLite database$/],
    [
      empty,
      /^E_STORE_SCHEMA: STORE: table settings: no such table: settings; `weir classes init` makes weir's tables, or map yours with classes\.queries$/,
    ],
    [cut, /^E_STORE_READ: STORE: .*is corrupt: /],
  ];
  for (const [path, line] of cases) {
    const store = open(`sqlite:${path}`);
    assert.match(await faultOf(store, () => store.readAll()), line);
  }
});

sqlite('a file in WAL mode in a folder that weir may not write to', async () => {
  const inner = newPath();
  mkdirSync(inner);
  const path = join(inner, 'users.db');
  await open(`sqlite:${path}`).createSchema();
  await closeStores();
  chmodSync(folder, 0o755);
  chmodSync(inner, 0o555);
  // Root may write anywhere; what the system lets do goes by the effective user.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid!(65_534);
  try {
    const store = open(`sqlite:${path}`);
    assert.match(
      await faultOf(store, () => store.readAll()),
      /^E_STORE_CONNECT: STORE: is in write-ahead mode \(WAL\).* weir may not write in that folder; let weir write there, or leave the mode/,
    );
  } finally {
    if (isRoot) process.seteuid!(0);
    chmodSync(inner, 0o755);
  }
});

sqlite('usage for a file that weir may only read', async () => {
  const path = await filled();
  const db = new Database(path);
  db.pragma('journal_mode = DELETE');
  db.close();
  chmodSync(folder, 0o755);
  chmodSync(path, 0o444);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid!(65_534);
  try {
    const store = open(`sqlite:${path}`);
    const batch = { id: 'b', startMs: 0, endMs: 1, rows: [] };
    assert.is((await store.readAll()).subscribers.length, 1);
    assert.is(
      await faultOf(store, () => store.takeUsage(batch)),
      'E_STORE_WRITE: STORE: table usage: weir may not write to the file, or not in its folder',
    );
  } finally {
    if (isRoot) process.seteuid!(0);
  }
});

sqlite('a mapping is not told to make tables', async () => {
  const path = newPath();
  writeFileSync(path, '');
  const store = open(`sqlite:${path}`, { plans: 'SELECT id FROM plans' });
  assert.is(
    await faultOf(store, () => store.readAll()),
    'E_STORE_SCHEMA: STORE: the query for plans: no such table: plans',
  );
});

sqlite('a watch of a file that is missing or no database fails with the same line', async () => {
  const noDatabase = newPath();
  writeFileSync(noDatabase, 'x'.repeat(5000));
  for (const [path, line] of [
    [newPath(), /^E_STORE_CONNECT: .*there is no such file$/],
    [noDatabase, /^E_STORE_CONNECT: .*is not a SQLite database$/],
  ] as const) {
    const events = new Events(open(`sqlite:${path}`));
    await events.until(() => events.error !== null);
    const { code, message } = events.error as WeirError;
    assert.match(`${code}: ${message}`, line);
  }
});

sqlite('usage does not make a file', async () => {
  const store = open(`sqlite:${newPath()}`);
  const batch = { id: 'b', startMs: 0, endMs: 1, rows: [] };
  assert.is(
    await faultOf(store, () => store.takeUsage(batch)),
    'E_STORE_CONNECT: STORE: there is no such file',
  );
});

sqlite('a rollback journal and a lock of somebody else', async () => {
  const path = newPath();
  const other = new Database(path);
  other.exec('CREATE TABLE rooms (id text)');
  const store = open(`sqlite:${path}`);
  await store.createSchema();
  assert.is(other.pragma('journal_mode', { simple: true }), 'delete', 'the mode is the owner’s to choose');
  other.exec(PEOPLE);
  const watching = open(`sqlite:${path}`, {}, { pollMs: 1 });
  const events = await Events.of(watching);
  other.exec("BEGIN EXCLUSIVE; UPDATE subscribers SET up_rate = '1mbit'");
  await sleep(50); // that is some polls
  const line = await faultOf(store, () => store.readAll());
  assert.is(line, 'E_STORE_READ: STORE: database is locked');
  assert.equal([events.seen, events.error], [[], null], 'the watch waits');
  other.exec('COMMIT');
  assert.equal(await events.changed('anna'), ['anna']);
  assert.is((await store.readAll()).subscribers[0]!.up_rate, '1mbit');
  other.close();
});

sqlite('a file that weir makes has a write-ahead log, so that a writer stops no reader', async () => {
  const path = await filled();
  const other = new Database(path);
  assert.is(other.pragma('journal_mode', { simple: true }), 'wal');
  other.exec("BEGIN IMMEDIATE; UPDATE subscribers SET plan = NULL, up_rate = '1mbit'");
  assert.is((await open(`sqlite:${path}`).readAll()).subscribers[0]!.plan, 'gold');
  other.exec('ROLLBACK');
  other.close();
});

sqlite('another file in the place of the one that is open', async () => {
  const path = await filled();
  const replacement = await filled();
  const db = new Database(replacement);
  db.exec("UPDATE subscribers SET id = 'bert'");
  db.pragma('journal_mode = DELETE');
  db.close();
  const store = open(`sqlite:${path}`);
  assert.is((await store.readAll()).subscribers[0]!.id, 'anna');
  const events = await Events.of(store);
  rmSync(`${path}-wal`, { force: true });
  rmSync(`${path}-shm`, { force: true });
  renameSync(replacement, path);
  await events.until(() => events.error !== null);
  assert.match((events.error as WeirError).message, /another has taken its place$/);
  assert.is((await store.readAll()).subscribers[0]!.id, 'bert');
  const again = await Events.of(store);
  const writer = new Database(path);
  writer.exec("UPDATE subscribers SET up_rate = '1mbit'");
  writer.close();
  assert.equal(await again.changed('bert'), ['bert']);
});

sqlite('a copy that a restore puts back is noticed', async () => {
  const path = await filled();
  const copy = newPath();
  copyFileSync(path, copy);
  rmSync(path);
  const store = open(`sqlite:${path}`);
  assert.match(await faultOf(store, () => store.readAll()), /no such file/);
  copyFileSync(copy, path);
  assert.is((await store.readAll()).subscribers.length, 1);
});

sqlite('an unreadable file', async () => {
  const path = await filled();
  chmodSync(path, 0);
  // Root reads anything, so the line is looked at where it can come at all.
  if (process.getuid?.() === 0) return;
  const store = open(`sqlite:${path}`);
  assert.match(await faultOf(store, () => store.readAll()), /^E_STORE_CONNECT: STORE: cannot be opened/);
});

sqlite('who is not let in is not away', () => {
  const fault = (cause: Error) => storeFault(cause, { label: 'db', part: null, task: 'connect' });
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  const wrong = Object.assign(new Error('password authentication failed'), { code: '28P01' });
  const none = new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string');
  assert.equal([refused, wrong, none].map(fault).map(isAway), [true, false, false]);
});

sqlite('a closed store says so', async () => {
  for (const used of [false, true]) {
    const store = open(`sqlite:${await filled()}`);
    if (used) await store.readAll();
    await store.close();
    await store.close();
    assert.is(await faultOf(store, () => store.readAll()), 'E_STORE_CONNECT: STORE: is closed');
    const events = new Events(store);
    await events.until(() => events.error !== null);
  }
});

sqlite.run();

const postgres = suite('faults of postgres');
const why = whyNoPostgres();

if (why !== null) {
  process.stdout.write(`skipped: ${why}\n`);
  postgres.skip('a server', () => {});
} else {
  let server: ScratchPostgres;
  let silent: Server;
  postgres.before(async () => {
    server = await ScratchPostgres.start({ fsync: true });
    await open(server.url).createSchema();
    await closeStores();
    await server.query(PEOPLE);
    silent = createServer().listen(0, '127.0.0.1');
  });
  postgres.after.each(closeStores);
  postgres.after(async () => {
    silent.close();
    await server.remove();
  });

  postgres('whom the server does not let in, or whom it does not know', async () => {
    await server.query("CREATE USER reader PASSWORD 'x'");
    const cases: readonly (readonly [string, RegExp])[] = [
      [
        server.tcpUrl('postgres', { password: 'wrong-secret' }),
        /^E_STORE_CONNECT: STORE: password authentication failed/,
      ],
      [
        server.tcpUrl('postgres', { user: 'nobody' }),
        /^E_STORE_CONNECT: STORE: password authentication failed/,
      ],
      [server.tcpUrl('users'), /^E_STORE_CONNECT: STORE: database "users" does not exist$/],
      [
        server.tcpUrl('postgres', { user: 'reader', password: 'x' }),
        /^E_STORE_READ: STORE: table settings: permission denied/,
      ],
      [
        server.tcpUrl().replace(/:[^:@]*@/, '@'),
        /^E_STORE_CONNECT: STORE: the server wants a password, and the URL has none$/,
      ],
      ['postgres://weir:secret@127.0.0.1:1/users', /^E_STORE_CONNECT: STORE: connect ECONNREFUSED/],
      ['postgres://weir:secret@no-such-host.invalid/users', /^E_STORE_CONNECT: STORE: .*no-such-host/],
      ['postgres://weir@%2Fno%2Fsuch%2Ffolder/users', /^E_STORE_CONNECT: STORE: .*(ENOENT|no such)/],
      [
        'postgres://weir@127.0.0.1/users?sslmode=verify-full&sslrootcert=/no/such.crt',
        /^E_STORE_CONNECT: STORE: .*such\.crt/,
      ],
    ];
    for (const [url, line] of cases) {
      const store = open(url);
      const told = await faultOf(store, () => store.readAll());
      assert.match(told, line);
      assert.not.match(`${told} ${store.label}`, /secret/);
      const events = new Events(store);
      if (line.source.includes('permission')) continue;
      await events.until(() => events.error !== null);
      assert.match((events.error as WeirError).code, /^E_STORE_CONNECT$/);
    }
  });

  postgres('a database without weir’s tables, and a query that asks for one', async () => {
    await server.query('CREATE DATABASE bare');
    const url = server.tcpUrl('bare');
    const store = open(url);
    assert.match(
      await faultOf(store, () => store.readAll()),
      /^E_STORE_SCHEMA: STORE: table settings: relation "settings" does not exist; `weir classes init` makes weir's tables/,
    );
    const mapped = open(url, { plans: 'SELECT id FROM plans' });
    assert.is(
      await faultOf(mapped, () => mapped.readAll()),
      'E_STORE_SCHEMA: STORE: the query for plans: relation "plans" does not exist',
    );
  });

  postgres('a port where nobody speaks PostgreSQL is given up on', async () => {
    const address = silent.address();
    const port = typeof address === 'object' ? address!.port : 0;
    const store = open(`postgres://weir:secret@127.0.0.1:${port}/users`);
    const startMs = performance.now();
    assert.match(await faultOf(store, () => store.readAll()), /^E_STORE_CONNECT: STORE: .*timeout/);
    assert.ok(performance.now() - startMs < 10_000);
  });

  postgres('a server that is killed and comes back', async () => {
    const store = open(server.url);
    assert.is((await store.readAll()).subscribers.length, 1);
    const events = await Events.of(store);
    await server.kill();
    await events.until(() => events.error !== null);
    assert.match((events.error as WeirError).code, /^E_STORE_CONNECT$/);
    assert.match(await faultOf(store, () => store.readAll()), /^E_STORE_CONNECT: STORE: /);
    assert.match(await faultOf(store, () => store.takeUsage(BATCH)), /^E_STORE_CONNECT: STORE: /);
    const early = new Events(store);
    await early.until(() => early.error !== null);
    await server.start();
    assert.is((await store.readAll()).subscribers.length, 1);
    await store.takeUsage(BATCH);
    await store.takeUsage(BATCH);
    assert.equal(await server.query('SELECT bytes FROM usage'), [{ bytes: '5' }]);
    const again = await Events.of(store);
    await server.query("UPDATE subscribers SET up_rate = '1mbit'");
    assert.equal(await again.changed('anna'), ['anna']);
  });

  postgres('a server that dies during a read', async () => {
    const store = open(server.url, { plans: 'SELECT id FROM plans, pg_sleep(20)' });
    const read = faultOf(store, () => store.readAll());
    await sleeping(server);
    await server.kill();
    assert.match(await read, /^E_STORE_CONNECT: STORE: /);
    await server.start();
  });

  postgres('a session that an administrator ends', async () => {
    const store = open(server.url);
    await store.readAll();
    const events = await Events.of(store);
    await server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir'",
    );
    await events.until(() => events.error !== null);
    assert.match((events.error as WeirError).message, /the watch is lost: /);
    // The pool may hand out a session before it has seen its end; then the next call has a new one.
    const records = await store.readAll().catch((error: WeirError) => {
      assert.is(error.code, 'E_STORE_CONNECT');
      return store.readAll();
    });
    assert.is(records.subscribers.length, 1);
  });

  postgres('a server that hangs is noticed by the heartbeat', async () => {
    const events = await Events.of(open(server.url, {}, { heartbeatMs: 100 }));
    server.freeze(true);
    try {
      await events.until(() => events.error !== null);
    } finally {
      server.freeze(false);
    }
    assert.match((events.error as WeirError).message, /the watch is lost: the server does not answer$/);
  });

  postgres('a store is closed also while a read hangs', async () => {
    const store = open(server.url, { plans: 'SELECT id FROM plans, pg_sleep(20)' });
    const read = faultOf(store, () => store.readAll());
    await sleeping(server);
    const startMs = performance.now();
    await Promise.all([store.close(), sleep(0)]);
    assert.ok(performance.now() - startMs < 10_000);
    await server.query(
      "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT id FROM plans, pg_sleep%'",
    );
    assert.is(await read, 'E_STORE_QUERY: STORE: the query for plans: takes too long and was cancelled');
  });

  postgres('a watch that is left while it connects is left for good', async () => {
    const store = open(server.url);
    await store.readAll();
    for (let turns = 0; turns < 4; turns++) {
      const events = new Events(store);
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      events.stop();
      assert.equal([events.seen, events.error], [[], null]);
    }
    await store.close();
    const sessions = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'weir'";
    let left = 1;
    for (let tries = 0; tries < 200 && left > 0; tries++)
      left = (await server.query(sessions))[0]!.n as number;
    assert.is(left, 0);
  });
}

const BATCH = {
  id: 'b-1',
  startMs: 0,
  endMs: 60_000,
  rows: [{ subscriber: 'anna', direction: 'up', bytes: 5, packets: 1 }],
} as const;

async function sleeping(server: ScratchPostgres): Promise<void> {
  const text = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(20)%' AND wait_event = 'PgSleep'";
  for (let tries = 0; tries < 500; tries++) if ((await server.query(text)).length > 0) return;
  throw new Error('the query did not start');
}

postgres.run();
