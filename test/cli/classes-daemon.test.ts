/** `weir classes plan`, `apply` and `watch` against a running daemon, as users run them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ScratchPostgres, whyNoPostgres } from '../../src/lab/scratch-postgres.js';
import { carry, type RunningDaemon, TREE, until, withDaemon } from '../control/running-daemon.js';
import type { Outcome } from './weir.js';

const test = suite('weir classes plan, apply, watch');
const folder = mkdtempSync(join(tmpdir(), 'weir-cli-'));
test.after(() => rmSync(folder, { recursive: true }));

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const [UPLINK, U1, SLOW] = TREE.classes as [object, object, object];
const RATE = { down: { rate: '1mbit' }, up: { rate: '1mbit' } };

/** A command that runs: the daemon is in this process, so nothing here may wait for it synchronously. */
class Running {
  stdout = '';
  stderr = '';
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [MAIN, 'classes', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = new Promise((resolve) =>
      this.child.on('close', (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr })),
    );
  }
}

function weir(running: RunningDaemon, ...args: string[]): Promise<Outcome> {
  return new Running([...args, '--socket', running.socket]).ended;
}

/** Follows a source while `body` runs, and is interrupted then; an interrupt is no failure. */
async function watching(
  running: RunningDaemon,
  args: readonly string[],
  body: (watch: Running) => Promise<void>,
): Promise<void> {
  const watch = new Running(['watch', ...args, '--socket', running.socket]);
  try {
    await body(watch);
  } finally {
    watch.child.kill('SIGINT');
    const { code } = await watch.ended;
    assert.is(code, 0, watch.stderr);
  }
}

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function tree(name: string, classes: readonly object[]): string {
  return file(name, JSON.stringify({ version: 1, classes }));
}

function edit(path: string, sql: string): void {
  const db = new Database(path);
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}

/** A database that holds what the daemon of these tests starts with. */
async function database(running: RunningDaemon, name: string): Promise<string> {
  const path = join(folder, name);
  const { code, stderr } = await new Running(['import', running.treeFile, '--to', path]).ended;
  assert.is(code, 0, stderr);
  return path;
}

function lines(text: string): string[] {
  return text === '' ? [] : text.trimEnd().split('\n');
}

async function epoch(running: RunningDaemon): Promise<number> {
  return (await running.call('/stats')).body.epoch;
}

async function ids(running: RunningDaemon): Promise<string[]> {
  return (await running.call('/stats')).body.classes.map(({ id }: { id: string }) => id).sort();
}

/** The verb fails with one line, and the daemon shapes as before. */
async function refused(
  running: RunningDaemon,
  wanted: RegExp,
  args: readonly string[],
  code = 1,
): Promise<void> {
  const before = await epoch(running);
  const outcome = await weir(running, ...args);
  const what = `${args.join(' ')}: ${outcome.stderr}`;
  assert.equal([outcome.code, outcome.stdout, lines(outcome.stderr).length], [code, '', 1], what);
  assert.match(outcome.stderr, wanted);
  assert.not.match(outcome.stderr, /E_INTERNAL|geheim/);
  assert.equal([await epoch(running), await ids(running)], [before, ['slow', 'u1', 'uplink']]);
}

test('plan tells and changes nothing, apply does it and tells the epoch', () =>
  withDaemon({}, async (running) => {
    await carry(running, 0, '10.0.0.1', 5);
    const path = tree('new.json', [
      UPLINK,
      U1,
      { ...SLOW, parent: undefined },
      { id: 'u2', parent: 'uplink', match: ['10.0.0.2'], ...RATE },
    ]);
    const plan = await weir(running, 'plan', path);
    assert.equal([plan.code, plan.stderr], [0, '']);
    assert.equal(lines(plan.stdout), [
      '> slow moves from uplink to the top',
      '+ u2 under uplink: down 1mbit, up 1mbit, match 10.0.0.2',
      '1 added, 0 removed, 1 moved, 0 changed, 2 unchanged',
    ]);
    assert.is(await epoch(running), 1);
    const apply = await weir(running, 'apply', path);
    assert.equal(apply, { code: 0, stdout: `${plan.stdout}in force as epoch 2\n`, stderr: '' });
    assert.equal(await ids(running), ['slow', 'u1', 'u2', 'uplink']);
    assert.is((await running.call('/stats?class=u1')).body.classes[0].down.packets, 5);
    const again = await weir(running, 'apply', path);
    assert.match(
      again.stdout,
      /^0 added, 0 removed, 0 moved, 0 changed, 4 unchanged\nin force as epoch 2\n$/,
    );
  }));

test('changed rates come with the old and the new value, and --json is one document', () =>
  withDaemon({}, async (running) => {
    const path = tree('rates.json', [UPLINK, { ...U1, down: { rate: '50mbit' } }, SLOW]);
    assert.match((await weir(running, 'plan', path)).stdout, /^~ u1 down\.rate 100mbit → 50mbit$/m);
    const plan = JSON.parse((await weir(running, 'plan', path, '--json')).stdout);
    const change = { id: 'u1', changes: [{ key: 'down.rate', from: '100mbit', to: '50mbit' }] };
    assert.equal([plan.epoch, plan.changed, plan.refusal], [1, [change], null]);
    const applied = JSON.parse((await weir(running, 'apply', path, '--json')).stdout);
    assert.equal([applied.epoch, applied.changed], [2, [change]]);
  }));

test("without a source it is the daemon's own", () =>
  withDaemon({}, async (running) => {
    running.writeTree({ version: 1, classes: [...TREE.classes, { id: 'u2', match: ['10.0.0.2'], ...RATE }] });
    assert.match((await weir(running, 'plan')).stdout, /^\+ u2: /);
    assert.match((await weir(running, 'apply')).stdout, /in force as epoch 2\n$/);
  }));

test('the guard refuses to let many classes go, unless it is told to', () =>
  withDaemon({}, async (running) => {
    const path = tree('emptied.json', [UPLINK]);
    const plan = await weir(running, 'plan', path);
    assert.is(plan.code, 0);
    assert.match(plan.stdout, /^- u1\n- slow\n0 added, 2 removed/);
    assert.match(plan.stderr, /^weir: W_GUARD: 2 of 3 classes would go, more than 10 %; .*--force/);
    await refused(running, /^weir: E_GUARD: .*emptied\.json: 2 of 3 classes would go/, ['apply', path]);
    await refused(running, /^weir: E_GUARD: /, ['apply', path, '--json']);
    const forced = await weir(running, 'apply', path, '--force');
    assert.equal([forced.code, forced.stderr], [0, '']);
    await until('only the uplink is left', async () => (await ids(running)).join() === 'uplink');
  }));

test('what is wrong with a source: all of it, and the daemon shapes as before', () =>
  withDaemon({}, async (running) => {
    const path = tree('bad.json', [
      { id: 'a', parent: 'b', ...RATE },
      { id: 'c', down: { rate: '1mbt' } },
    ]);
    for (const verb of ['plan', 'apply']) {
      const { code, stdout, stderr } = await weir(running, verb, path);
      assert.equal([code, stdout], [1, '']);
      assert.equal(lines(stderr).sort(), [
        `weir: E_CLASSES: ${path}: class 'a': parent: "b" is not the id of a class`,
        `weir: E_CLASSES: ${path}: class 'c': down.rate: "1mbt" has the unknown unit "mbt"`,
      ]);
    }
    const empty = join(folder, 'empty.db');
    edit(empty, 'CREATE TABLE other (x)');
    writeFileSync(join(folder, 'text.db'), 'this is no database, whatever its name says');
    await refused(running, /^weir: E_CLASSES_READ: .*none\.yaml: /, ['apply', join(folder, 'none.yaml')], 2);
    await refused(running, /^weir: E_STORE_CONNECT: .*none\.db: there is no such file/, [
      ...['apply', join(folder, 'none.db')],
    ]);
    await refused(running, /^weir: E_STORE_SCHEMA: sqlite:.*empty\.db: table \w+: /, ['apply', empty]);
    await refused(running, /^weir: E_STORE_\w+: sqlite:.*text\.db: /, ['apply', join(folder, 'text.db')]);
    await refused(running, /^weir: E_STORE_CONNECT: postgres:\/\/u:\*\*\*@127\.0\.0\.1:1\/x: /, [
      ...['apply', 'postgres://u:geheim@127.0.0.1:1/x'],
    ]);
    await carry(running, 0, '10.0.0.1', 3);
  }));

test('nobody answers, and who may not ask', async () => {
  for (const verb of ['plan', 'apply']) {
    const socket = join(folder, 'none.sock');
    const { code, stdout, stderr } = await new Running([verb, '--socket', socket]).ended;
    assert.equal(
      [code, stdout, stderr],
      [1, '', `weir: E_NOT_RUNNING: ${socket}: no daemon answers there\n`],
    );
  }
});

test('watch follows a database: each commit is in force, what is wrong is told and mended', () =>
  withDaemon({}, async (running) => {
    const path = await database(running, 'watched.db');
    await watching(running, [path, '--json'], async (watch) => {
      // A watch begins with what the source has now; the daemon has the same, so that nothing is said of it.
      edit(path, "UPDATE subscribers SET down_rate = '50mbit' WHERE id = 'u1'");
      await until('the rate is told', () => watch.stdout.includes('"50mbit"'));
      edit(path, "UPDATE subscribers SET down_rate = 'fast' WHERE id = 'u1'");
      await until('the fault is told', () => /E_CLASSES: .*row 'u1': down_rate: "fast"/.test(watch.stderr));
      const before = await epoch(running);
      edit(path, 'DELETE FROM addresses; DELETE FROM subscribers');
      await until('the guard is told', () => watch.stderr.includes('weir: E_GUARD: '));
      assert.equal([await epoch(running), (await ids(running)).length], [before, 3]);
      for (const line of lines(watch.stdout)) assert.ok(JSON.parse(line).epoch > 1);
    });
  }));

test('watch follows a file, also one that somebody breaks', () =>
  withDaemon({}, async (running) => {
    const path = tree('watched.json', TREE.classes);
    await watching(running, [path], async (watch) => {
      tree('watched.json', [...TREE.classes, { id: 'u2', match: ['10.0.0.2'], ...RATE }]);
      await until('the class is told', () =>
        watch.stdout.includes(': 1 added, 0 removed, 0 moved, 0 changed\n'),
      );
      file('watched.json', '{"version":1,');
      await until('the fault is told', () => watch.stderr.includes(`weir: E_CLASSES: ${path}: `));
      tree('watched.json', [...TREE.classes, { id: 'u2', match: ['10.0.0.3'], ...RATE }]);
      await until('the mended file is told', () => watch.stdout.includes(' 1 changed\n'));
      assert.equal(lines(watch.stdout), [
        'epoch 2: 1 added, 0 removed, 0 moved, 0 changed',
        'epoch 3: 0 added, 0 removed, 0 moved, 1 changed',
      ]);
    });
  }));

test('watch lets test accounts expire', () =>
  withDaemon({}, async (running) => {
    const path = await database(running, 'expiring.db');
    await watching(running, [path], async (watch) => {
      const expiresAt = Math.ceil(Date.now() / 1000) + 2;
      edit(
        path,
        `INSERT INTO subscribers (id, down_rate, up_rate, expires_at) VALUES ('guest', '1mbit', '1mbit', ${expiresAt})`,
      );
      await until('the account is there', () => watch.stdout.includes(': 1 added'));
      await until('the account is gone', () => watch.stdout.includes('0 added, 1 removed'));
    });
  }));

test('watch waits for a daemon that is not there, and ends in time', async () => {
  const path = tree('waiting.json', TREE.classes);
  const socket = join(folder, 'none.sock');
  const { code, stdout, stderr } = await new Running(['watch', path, '--socket', socket, '--seconds', '0.5'])
    .ended;
  assert.equal([code, stdout], [0, '']);
  for (const line of lines(stderr))
    assert.is(line, `weir: E_NOT_RUNNING: ${socket}: no daemon answers there`);
});

test('wrong usage of watch', async () => {
  for (const [wanted, args] of [
    [/^weir: E_USAGE: --seconds .*'0'/, ['tree.yaml', '--seconds', '0']],
    [/^weir: E_SOURCE: no source is named/, []],
    [/^weir: E_SOURCE: .*"mysql:"/, ['mysql://u:geheim@h/x']],
  ] as const) {
    const { code, stdout, stderr } = await new Running(['watch', ...args, '--socket', 'none.sock']).ended;
    assert.equal([code, stdout, lines(stderr).length], [2, '', 1], stderr);
    assert.match(stderr, wanted);
    assert.not.match(stderr, /geheim/);
  }
});

test("PostgreSQL: an operator's own schema, its faults, and a wrong password", async () => {
  const why = whyNoPostgres();
  if (why !== null) {
    process.stdout.write(`skipped: a database of another schema: ${why}\n`);
    return;
  }
  const server = await ScratchPostgres.start();
  try {
    await server.query(OWN_SCHEMA);
    await withDaemon({}, (running) => foreignSchema(running, server));
  } finally {
    await server.remove();
  }
});

const OWN_SCHEMA = `
  CREATE TABLE tariffs (code text PRIMARY KEY, kbit_down int, kbit_up int);
  CREATE TABLE customers (login text PRIMARY KEY, tariff text, pace text DEFAULT 'fast');
  CREATE TABLE leases (login text, ip inet);
  INSERT INTO tariffs VALUES ('gold', 100000, 100000), ('silver', 5000, 1000);
  INSERT INTO customers VALUES ('u1', 'gold'), ('slow', 'silver'), ('uplink', 'gold');
  INSERT INTO leases VALUES ('u1', '10.0.0.1'), ('slow', '10.0.0.9');
  CREATE FUNCTION tell_weir() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_notify('weir_classes', ''); RETURN NULL; END $$;
  CREATE TRIGGER tell_weir AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON customers
    FOR EACH STATEMENT EXECUTE FUNCTION tell_weir();`;

const QUERIES = {
  plans: 'SELECT code AS id, kbit_down * 1000 AS down_rate, kbit_up * 1000 AS up_rate FROM tariffs',
  subscribers: 'SELECT login AS id, tariff AS plan FROM customers',
  addresses: 'SELECT login AS subscriber, ip AS address FROM leases',
};

async function foreignSchema(running: RunningDaemon, server: ScratchPostgres): Promise<void> {
  const configured = (queries: Record<string, string>, source = server.tcpUrl()): string => {
    const ports = { inside: { device: 'a' }, outside: { device: 'b' } };
    return file('own.json', JSON.stringify({ ports, classes: { source, queries } }));
  };
  const applied = (queries: Record<string, string>, source?: string): string[] => [
    ...['apply', source ?? server.tcpUrl(), '--config', configured(queries, source)],
  ];
  const subscribers = (sql: string): string[] => applied({ ...QUERIES, subscribers: sql });
  const query = (rest: string): RegExp =>
    new RegExp(`^weir: E_STORE_\\w+: postgres://\\S+: the query for subscribers: ${rest}`);
  await refused(
    running,
    query('relation "custmers" does not exist'),
    subscribers('SELECT login AS id FROM custmers'),
  );
  await refused(
    running,
    query('column "logn" does not exist'),
    subscribers('SELECT logn AS id FROM customers'),
  );
  await refused(running, query('column id is missing'), subscribers('SELECT tariff AS plan FROM customers'));
  await refused(
    running,
    query('column pace is not a known column'),
    subscribers('SELECT login AS id, pace FROM customers'),
  );
  await refused(running, query('would write'), subscribers('DELETE FROM customers RETURNING login AS id'));
  await refused(
    running,
    /^weir: E_CLASSES: postgres:\S+ subscribers row 'u1' \(on plan 'gold'\): down_rate: "fast" is not a rate/,
    subscribers(
      "SELECT login AS id, tariff AS plan, CASE login WHEN 'u1' THEN pace END AS down_rate FROM customers",
    ),
  );
  const wrong = server.tcpUrl('postgres', { password: 'geheim' });
  await refused(
    running,
    /^weir: E_STORE_CONNECT: .*:\*\*\*@.* password authentication failed/,
    applied(QUERIES, wrong),
  );

  const right = applied(QUERIES);
  assert.is((await weir(running, ...right)).code, 0);
  assert.equal(await ids(running), ['slow', 'u1', 'uplink']);
  await watching(running, right.slice(1), async (watch) => {
    // Nothing tells when a watch stands: a change before it is found by its first look, one after it is told.
    await server.query("UPDATE customers SET tariff = 'silver' WHERE login = 'u1'");
    await until('the tariff is in force', () => / 1 changed\n$/.test(watch.stdout));
    await server.kill();
    await until('the loss is told', () => watch.stderr.includes('weir: E_STORE_CONNECT: '));
    await carry(running, 0, '10.0.0.9', 1);
    await server.start();
    await server.query("UPDATE customers SET tariff = 'gold' WHERE login = 'u1'");
    await until('it follows again', () => lines(watch.stdout).length === 2);
    assert.not.ok(watch.stderr.includes(new URL(server.tcpUrl()).password));
  });
}

test.run();
