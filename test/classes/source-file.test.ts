import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import { readFiles } from '../../classes/source/file-formats.js';
import { linesOf } from '../../classes/source/lines.js';
import { openSource } from '../../classes/source/open.js';
import type { ClassSource } from '../../classes/source/source.js';
import { WeirError } from '../../src/errors.js';
import { sampleDocument, treeOf } from './documents.js';
import { classOf } from './records.js';

const NOW_MS = 0;

interface Context {
  folder: string;
  /** Writes a file of the folder and returns its path. */
  write(name: string, text: string | Buffer): string;
}

const test = suite<Context>('source-file');

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'weir-source-'));
  context.write = (name, text) => {
    const path = join(context.folder, name);
    writeFileSync(path, text);
    return path;
  };
});

test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }));

function open(path: string, isStrict = true): ClassSource {
  return openSource({ url: `file:${path}`, queries: {} }, { isStrict });
}

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, WeirError);
    assert.is((error as WeirError).exitCode, 2);
    return (error as WeirError).code;
  }
  return 'nothing thrown';
}

test('a tree file in JSON and in YAML', async ({ write }) => {
  for (const path of [
    write('tree.json', JSON.stringify(sampleDocument())),
    write('tree.yaml', stringify(sampleDocument())),
  ]) {
    const source = open(path);
    assert.is(source.label, path);
    const result = await source.load(NOW_MS);
    assert.equal(result.tree, treeOf(sampleDocument()));
    assert.equal(
      [result.errors, result.warnings, result.nextExpiryMs, result.expired.size],
      [[], [], null, 0],
    );
    await source.close();
  }
});

test('a file that has not changed is not read again, unless everything is to be', async ({ write }) => {
  const path = write('tree.json', JSON.stringify(sampleDocument()));
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(path, hourAgo, hourAgo);
  const source = open(path);
  const first = await source.load(NOW_MS);
  assert.is(await source.load(NOW_MS), first);
  source.invalidate();
  const second = await source.load(NOW_MS);
  assert.is.not(second, first);
  assert.equal(second, first);
  write('tree.json', JSON.stringify({ ...sampleDocument(), mpu: 65 }));
  assert.is((await source.load(NOW_MS)).tree!.mpuBytes, 65);
  write('tree.json', JSON.stringify({ ...sampleDocument(), mpu: 66 }));
  assert.is((await source.load(NOW_MS)).tree!.mpuBytes, 66, 'of the same size, and written at once');
});

test('classes that did not change stay the same objects, also past a load that failed', async ({ write }) => {
  const path = write('tree.json', JSON.stringify(sampleDocument()));
  const source = open(path);
  const before = (await source.load(NOW_MS)).tree!;
  write('tree.json', '{');
  assert.is((await source.load(NOW_MS)).tree, null);
  const document = sampleDocument();
  (document.classes as Record<string, unknown>[])[2]!.limit = 7;
  write('tree.json', JSON.stringify(document));
  const after = (await source.load(NOW_MS)).tree!;
  const same = before.classes.filter((spec) => classOf(after, spec.id) === spec).map(({ id }) => id);
  assert.equal(same, ['uplink', 'house', 'u43', 'guests']);
  assert.is(classOf(after, 'u42').queue.limitPackets, 7);
});

test('errors and warnings begin with the file; what is strict', async ({ write }) => {
  const document = {
    version: 1,
    classes: [
      { id: 'a', down: { rate: 5 } },
      { id: 'b', parent: 'a', down: { rate: 6 } },
    ],
  };
  const path = write('tree.json', JSON.stringify(document));
  const strict = await open(path).load(NOW_MS);
  assert.equal(strict.errors, [
    `${path}: class 'b': down.rate: 6bit is above 5bit, the assured rate of class 'a'`,
  ]);
  assert.is(strict.tree, null);
  const lenient = await open(path, false).load(NOW_MS);
  assert.is.not(lenient.tree, null);
  assert.is(lenient.warnings[0], `${path}: class 'b': down.ceil: 6bit is above 5bit, the ceil of class 'a'`);
});

test('what reads a tree file itself is told the file in each problem, too', async ({ write }) => {
  const classes = [{ id: 'a', down: { rate: 5 } }, { id: 'b', parent: 'a', down: { rate: 6 } }, {}];
  const path = write('tree.json', JSON.stringify({ version: 1, classes }));
  const { errors } = linesOf((await readFiles([path], 'tree', { isStrict: true })).problems);
  assert.equal(
    errors.slice(0, 2).sort(),
    [
      `${path}: class 'b': down.rate: 6bit is above 5bit, the assured rate of class 'a'`,
      `${path}: classes[2].id: is missing`,
    ].sort(),
  );
  assert.equal((await open(path).load(NOW_MS)).errors, errors, 'and a source tells it once');
});

test('LibreQoS: two files, with their rows in errors', async ({ write }) => {
  const header =
    'Circuit ID,Circuit Name,Device ID,Device Name,Parent Node,MAC,IPv4,IPv6,Download Min Mbps,Upload Min Mbps,Download Max Mbps,Upload Max Mbps,Comment';
  const row = (id: string, address: string, parent: string): string =>
    `${id},n,d${id},n,${parent},,${address},,10,2,100,40,`;
  write(
    'network.json',
    JSON.stringify({ Site_1: { downloadBandwidthMbps: 1000, uploadBandwidthMbps: 500 } }),
  );
  const path = write(
    'ShapedDevices.csv',
    [header, row('1', '10.0.0.1', 'Site_1'), row('2', '10.0.0.2', 'Site_1')].join('\r\n'),
  );
  const source = open(path);
  const good = await source.load(NOW_MS);
  assert.equal(good.errors, []);
  const spec = classOf(good.tree!, '1');
  assert.equal(
    [spec.parent, spec.match[0]!.text, spec.down!.rateBps, spec.up!.ceilBps],
    ['Site_1', '10.0.0.1', 10e6, 40e6],
  );
  write(
    'ShapedDevices.csv',
    [header, row('1', '10.0.0.1', 'Site_1'), row('2', '10.0.0.2', 'Moon')].join('\n'),
  );
  const bad = await source.load(NOW_MS);
  assert.is(bad.tree, null);
  assert.is(bad.errors.length, 1);
  assert.ok(bad.errors[0]!.startsWith(`${path} row 3`), bad.errors[0]);
  assert.match(bad.errors[0]!, /Moon/);
  // Problems that only the tree shows are told with their row, too.
  write(
    'ShapedDevices.csv',
    [header, row('1', '10.0.0.1', 'Site_1'), row('2', '10.0.0.1', 'Site_1')].join('\n'),
  );
  const twice = await source.load(NOW_MS);
  assert.is(twice.tree, null);
  assert.ok(
    twice.errors.every((line) => line.startsWith(path)),
    twice.errors.join('\n'),
  );
  assert.match(twice.errors.join('\n'), /row 3/);
});

test('a script of tc', async ({ write }) => {
  const path = write(
    'shape.tc',
    [
      'qdisc add dev eth1 root handle 1: htb default 0',
      'class add dev eth1 parent 1: classid 1:1 htb rate 1gbit',
      'class add dev eth1 parent 1:1 classid 1:10 htb rate 10mbit ceil 100mbit',
      'filter add dev eth1 parent 1: protocol ip prio 1 u32 match ip dst 10.0.0.5/32 flowid 1:10',
    ].join('\n'),
  );
  const { tree, errors } = await open(path).load(NOW_MS);
  assert.equal(errors, []);
  const spec = tree!.classes.find(({ match }) => match.length > 0)!;
  assert.equal([spec.match[0]!.text, spec.down!.ceilBps], ['10.0.0.5', 100e6]);
});

test('what cannot be opened or read', async ({ folder, write }) => {
  assert.is(await codeOf(() => openSource({ url: 'ldap://host/x', queries: {} })), 'E_SOURCE');
  assert.is(await codeOf(() => openSource({ url: 'tree.json', queries: {} })), 'E_SOURCE');
  assert.is(await codeOf(() => openSource({ url: '', queries: {} })), 'E_SOURCE');
  assert.is(await codeOf(() => open('')), 'E_CLASSES_FORMAT');
  assert.throws(() => open(''), /^the name of the file is empty/);
  assert.throws(() => open(folder), /: is a folder, not a file$/);
  assert.is(openSource({ url: 'FILE:a.json', queries: {} }).label, 'a.json');
  assert.is(await codeOf(() => open(join(folder, 'tree.txt'))), 'E_CLASSES_FORMAT');
  for (const name of ['none.json', 'none.csv', 'none.tc']) {
    assert.is(await codeOf(() => open(join(folder, name)).load(NOW_MS)), 'E_CLASSES_READ', name);
  }
  const latin1 = Buffer.from([0x7b, 0xe9]);
  for (const name of ['x.json', 'x.csv', 'x.tc']) {
    const path = write(name, latin1);
    assert.equal((await open(path).load(NOW_MS)).errors, [`${path}: the text is not UTF-8`]);
  }
});

test('a password in an address of an unknown kind is not repeated', async () => {
  try {
    openSource({ url: 'mysql://user:secret@host/db', queries: {} });
    assert.unreachable();
  } catch (error) {
    assert.is(
      (error as Error).message,
      'the source of the classes begins with "mysql:"; known are file:PATH, sqlite:PATH and postgres://USER@HOST/DATABASE',
    );
  }
});

test.run();
