import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { sampleTree } from '../../classes/sample.js';
import { isAway, storeFault } from '../../classes/stores/faults.js';
import { parseClassTree } from '../../classes/validate.js';
import { LastGood } from '../../src/control/last-good.js';
import { createLogger } from '../../src/control/log.js';
import { weir } from '../cli/weir.js';

interface Context {
  folder: string;
}

const test = suite<Context>('the last good classes');

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'weir-last-good-'));
});
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }));

function treeOf(users: number): NonNullable<ReturnType<typeof parseClassTree>['tree']> {
  return parseClassTree(sampleTree({ users, seed: 1 })).tree!;
}

test('what was noted last is read back the same', async ({ folder }) => {
  const path = LastGood.pathOf(join(folder, 'not', 'there', 'yet'), 'postgres://weir@db/users');
  const copy = new LastGood(path, createLogger('silent'));
  assert.is(LastGood.load(path), null);
  copy.note(treeOf(50));
  copy.note(treeOf(60));
  await copy.stop();
  assert.equal(LastGood.load(path), treeOf(60));
  copy.note(treeOf(70));
  await copy.stop();
  assert.equal(LastGood.load(path), treeOf(70));
  assert.is(readdirSync(join(folder, 'not', 'there', 'yet')).length, 1, 'nothing else is left');
});

test('each source has its own, and a password is no part of its name', ({ folder }) => {
  const a = LastGood.pathOf(folder, 'sqlite:/a.db');
  assert.is.not(a, LastGood.pathOf(folder, 'sqlite:/b.db'));
  assert.match(a, /\/classes-[0-9a-f]{12}\.json$/);
});

test('a copy that is damaged or cannot be written stops nothing', async ({ folder }) => {
  const path = join(folder, 'classes-1.json');
  writeFileSync(path, '{"version": 1, "classes": [');
  assert.is(LastGood.load(path), null);
  writeFileSync(join(folder, 'file'), '');
  const copy = new LastGood(join(folder, 'file', 'classes.json'), createLogger('silent'));
  copy.note(treeOf(5));
  await copy.stop();
  assert.not(existsSync(join(folder, 'file', 'classes.json')));
});

test('away is what may come back by itself', () => {
  const fault = (code: string): boolean =>
    isAway(storeFault(Object.assign(new Error('x'), { code }), { label: 'db', part: null, task: 'connect' }));
  assert.equal(['ECONNREFUSED', '57P03', 'SQLITE_CANTOPEN'].map(fault), [true, true, true]);
  assert.equal(['28P01', '28000', '3D000'].map(fault), [false, false, false]);
  assert.not(isAway(new Error('x')));
});

test('a daemon starts with them while the database is away, and says so', async ({ folder }) => {
  const config = join(folder, 'weir.json');
  const database = join(folder, 'users.db');
  const state = join(folder, 'state');
  mkdirSync(state);
  const ports = { inside: { device: 'weir-none0' }, outside: { device: 'weir-none1' } };
  const classes = { source: `sqlite:${database}`, stateFolder: state };
  writeFileSync(config, JSON.stringify({ ports, classes, control: { socket: 'weir.sock' } }));
  const without = weir('daemon', '--config', config);
  assert.is(without.code, 1);
  assert.match(without.stderr, /^weir: E_STORE_CONNECT: sqlite:[^\n]*users\.db: [^\n]*\n$/);
  const copy = new LastGood(LastGood.pathOf(state, `sqlite:${database}`), createLogger('silent'));
  copy.note(treeOf(5));
  await copy.stop();
  const [warning, error] = weir('daemon', '--config', config).stderr.trimEnd().split('\n');
  assert.match(
    warning!,
    /^weir: W_CLASSES: sqlite:[^\n]*users\.db: .*; starting with its last good classes, from /,
  );
  // It has come as far as the devices, which this machine does not have.
  assert.match(error!, /^weir: E_(DEVICE|PRIVILEGE): /);
});

test.run();
