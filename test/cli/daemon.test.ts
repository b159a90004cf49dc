import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { weir, weirWith } from './weir.js';

const test = suite('weir daemon');
const folder = mkdtempSync(join(tmpdir(), 'weir-cli-'));
test.after(() => rmSync(folder, { recursive: true }));

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

const CONFIG = {
  ports: { inside: { device: 'eth1' }, outside: { device: 'eth0' } },
  classes: { source: 'file:tree.json' },
};

test('--print-config prints what it would run with', () => {
  const path = file('weir.json', { ...CONFIG, classes: { source: 'postgres://u:secret@db/x' } });
  const { code, stdout, stderr } = weir('daemon', '--config', path, '--print-config');
  assert.equal([code, stderr], [0, '']);
  const config = JSON.parse(stdout);
  assert.equal([config.failure, config.classes.source], ['open', 'postgres://u:***@db/x']);
});

test('without a file the environment is the configuration', () => {
  const { code, stderr } = weir('daemon');
  assert.is(code, 2);
  assert.match(stderr, /^weir: E_CONFIG: environment: ports\.inside\.device: is missing/m);
  const devices = { WEIR_PORTS_INSIDE_DEVICE: 'a', WEIR_PORTS_OUTSIDE_DEVICE: 'b' };
  const printed = weirWith({ ...devices, WEIR_CLASSES_SOURCE: 'file:/t.json' }, 'daemon', '--print-config');
  assert.equal([printed.code, printed.stderr], [0, '']);
  assert.is(JSON.parse(printed.stdout).ports.inside.device, 'a');
});

test('all faults of the configuration, one line each', () => {
  const path = file('bad.json', { ...CONFIG, queues: 0, failure: 'opne', exit_: 1 });
  const { code, stdout, stderr } = weir('daemon', '--config', path);
  assert.equal([code, stdout], [2, '']);
  assert.equal(stderr.trimEnd().split('\n').sort(), [
    `weir: E_CONFIG: ${path}: exit_: is not a known key; did you mean 'exit'?`,
    `weir: E_CONFIG: ${path}: failure: must be one of the possible values: ["open","closed"], not "opne"`,
    `weir: E_CONFIG: ${path}: queues: must be 'auto' or a whole number from 1 to 256`,
  ]);
});

test('classes that are wrong, or come from where this build cannot read', () => {
  const tree = file('tree.json', { version: 1, classes: [{ id: 'a', parent: 'b', down: { rate: '1mbt' } }] });
  const bad = weir('daemon', '--config', file('weir.json', CONFIG));
  assert.is(bad.code, 2);
  assert.is(bad.stderr.trimEnd().split('\n').length, 2);
  for (const line of bad.stderr.trimEnd().split('\n'))
    assert.ok(line.startsWith(`weir: E_CLASSES: ${tree}: class 'a': `), line);
  const other = weir(
    'daemon',
    '--config',
    file('sql.json', { ...CONFIG, classes: { source: 'ldap://users' } }),
  );
  assert.is(other.code, 2);
  assert.is(
    other.stderr,
    'weir: E_SOURCE: the source of the classes begins with "ldap:"; known are file:PATH, sqlite:PATH and postgres://USER@HOST/DATABASE\n',
  );
});

test('the class for unknown traffic must be a leaf of the tree', () => {
  file('tree.json', {
    version: 1,
    classes: [
      { id: 'a', down: { rate: '1mbit' } },
      { id: 'b', parent: 'a', down: { rate: '1mbit' } },
    ],
  });
  for (const [id, why] of [
    ['a', "unknown.class: 'a' has classes below it"],
    ['z', "unknown.class: 'z' is not the id of a class"],
  ] as const) {
    const { code, stderr } = weir(
      'daemon',
      '--config',
      file('u.json', { ...CONFIG, unknown: { policy: 'class', class: id } }),
    );
    assert.is(code, 2);
    assert.is(stderr, `weir: E_CLASSES: ${join(folder, 'tree.json')}: ${why}\n`);
  }
});

test.run();
