/** `weir classes check`, `init`, `sample` and the help, as users run them. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { weir, weirWith } from './weir.js';

const test = suite('weir classes check, init, sample');
const folder = mkdtempSync(join(tmpdir(), 'weir-cli-'));
test.after(() => rmSync(folder, { recursive: true }));

const VERBS = ['check', 'import', 'export', 'plan', 'apply', 'watch', 'init', 'sample'];
const HEADER =
  'Circuit ID,Circuit Name,Device ID,Device Name,Parent Node,MAC,IPv4,IPv6,Download Min Mbps,Upload Min Mbps,Download Max Mbps,Upload Max Mbps,Comment';

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function tree(name: string, classes: readonly object[]): string {
  return file(name, JSON.stringify({ version: 1, classes }));
}

/** A database of weir's with what `sql` puts into it. */
function database(name: string, sql: string): string {
  const path = join(folder, name);
  assert.is(weir('classes', 'init', path).code, 0);
  const db = new Database(path);
  db.pragma('foreign_keys = OFF');
  db.exec(sql);
  db.close();
  return path;
}

function lines(text: string): string[] {
  return text === '' ? [] : text.trimEnd().split('\n');
}

const RATE = { down: { rate: '1mbit' }, up: { rate: '1mbit' } };
const GOOD = [
  { id: 'top', down: { rate: '10mbit' }, up: { rate: '10mbit' } },
  { id: 'a', parent: 'top', match: ['10.0.0.1'], ...RATE },
  { id: 'b', parent: 'top', match: ['10.0.0.2', '10.1.0.0/24'], ...RATE },
];

test('check: a tree that is right', () => {
  const path = tree('good.json', GOOD);
  assert.equal(weir('classes', 'check', path), {
    code: 0,
    stdout: `${path}: 3 classes, 3 addresses: 0 errors, 0 warnings\n`,
    stderr: '',
  });
  const { code, stdout, stderr } = weir('classes', 'check', `file:${path}`, '--json');
  assert.equal([code, stderr], [0, '']);
  assert.equal(JSON.parse(stdout), {
    source: path,
    ok: true,
    counts: { classes: 3, addresses: 3, expired: 0 },
    errors: [],
    warnings: [],
  });
});

test('check: a tree file, all errors at once, each with its class and key', () => {
  const path = tree('bad.json', [
    { id: 'a', parent: 'b', down: { rate: '1mbt' }, up: { rate: -1 } },
    { id: 'c', match: ['10.0.0.1'], ...RATE },
    { id: 'd', match: ['10.0.0.1'], ...RATE },
    { id: 'e', parent: 'f', ...RATE },
    { id: 'f', parent: 'e', ...RATE },
    { id: 'g', target: 0, limit: 0, isolate: 'flow', ...RATE },
  ]);
  const { code, stdout, stderr } = weir('classes', 'check', path);
  assert.is(code, 1);
  assert.equal(
    lines(stderr)
      .map((line) => line.replace(`weir: E_CLASSES: ${path}: `, ''))
      .sort(),
    [
      `class 'a': down.rate: "1mbt" has the unknown unit "mbt"`,
      `class 'a': parent: "b" is not the id of a class`,
      "class 'a': up.rate: -1 is negative",
      "class 'd': match[0]: 10.0.0.1 is matched by class 'c' already",
      "class 'e': parent: closes a cycle, each the child of the next: 'e', 'f', 'e'",
      `class 'g': isolate: "flow" is not an isolation; known are none, host and dual`,
      "class 'g': limit: must be a whole number from 1 to 1000000, not 0",
      "class 'g': target: 0 is not from 1us to 60s",
    ],
  );
  assert.is(stdout, `${path}: 8 errors, 0 warnings\n`);
  const json = weir('classes', 'check', path, '--json');
  assert.equal([json.code, json.stderr], [1, '']);
  const document = JSON.parse(json.stdout);
  assert.equal([document.ok, document.counts, document.errors.length], [false, null, 8]);
  for (const error of document.errors) assert.ok(error.startsWith(`${path}: class '`), error);
});

test('check: LibreQoS, all errors at once, each with its row', () => {
  const rows = [
    '1,a,1,a,AP,,10.0.0.1,,1,1,fast,10,',
    '2,b,2,b,AP,,10.0.0.1,,1,1,10,10,',
    '3,c,3,c,Nowhere,,10.0.0.3,,1,1,10,10,',
    '4,d,4,d,AP,,10.0.0.300,,1,-1,10,10,',
  ];
  const path = file('ShapedDevices.csv', `${HEADER}\n${rows.join('\n')}\n`);
  file('network.json', '{"AP":{"downloadBandwidthMbps":100,"uploadBandwidthMbps":100}}');
  const { code, stderr, stdout } = weir('classes', 'check', path);
  assert.is(code, 1);
  const errors = lines(stderr).filter((line) => line.startsWith('weir: E_CLASSES: '));
  for (const [row, key] of [
    [2, 'Download Max'],
    [4, 'Parent Node'],
    [5, 'IPv4'],
    [5, 'Upload Min'],
  ] as const) {
    const found = errors.filter((line) => line.includes(`${path} row ${row}`) && line.includes(key));
    assert.is(found.length, 1, `row ${row} ${key}: ${stderr}`);
  }
  assert.match(stdout, new RegExp(`: ${errors.length} errors, `));
});

test('check: SQLite, all errors at once, each with table and row', () => {
  const path = database(
    'bad.db',
    `INSERT INTO plans (id, down_rate, up_rate) VALUES ('p', '1mbit', '1mbit');
     INSERT INTO sites (id, parent, down_rate) VALUES ('s1', 's2', '1gbit'), ('s2', 's1', '1gbit');
     INSERT INTO subscribers (id, site, plan, down_rate) VALUES
       ('u1', NULL, 'p', 'fast'), ('u2', NULL, 'gold', NULL), ('u3', 'attic', 'p', NULL);
     INSERT INTO addresses (subscriber, address) VALUES
       ('u1', '10.0.0.1'), ('u2', '10.0.0.1/32'), ('nobody', '10.0.0.2'), ('u3', 'banana');`,
  );
  const { code, stderr } = weir('classes', 'check', path);
  assert.is(code, 1);
  for (const wanted of [
    `subscribers row 'u1' (on plan 'p'): down_rate: "fast" is not a rate such as "10mbit" or a number of bit/s`,
    `subscribers row 'u2': plan: "gold" is not the id of a plan`,
    `subscribers row 'u3': site: "attic" is not the id of a site`,
    `addresses row 'u2' 10.0.0.1: address: 10.0.0.1 is an address of subscriber 'u1' already`,
    `addresses row 'nobody' 10.0.0.2: subscriber: "nobody" is not the id of a subscriber`,
    `addresses row 'u3' "banana": address: "banana" is not an IPv4 or IPv6 address or prefix`,
  ])
    assert.ok(stderr.includes(`weir: E_CLASSES: sqlite:${path}: ${wanted}\n`), `${wanted}\n---\n${stderr}`);
  assert.match(stderr, /sites row 's[12]': parent: .*cycle/);
});

test('check: warnings say which of two overlapping prefixes wins, and are no failure', () => {
  const path = tree('overlap.json', [
    { id: 'a', match: ['10.0.0.0/24'], ...RATE },
    { id: 'b', match: ['10.0.0.7'], ...RATE },
  ]);
  const { code, stderr } = weir('classes', 'check', path);
  assert.is(code, 0);
  assert.is(lines(stderr).length, 1);
  assert.match(
    stderr,
    /class 'a': match: 10\.0\.0\.0\/24 contains 10\.0\.0\.7 of class .b.; there the longer prefix wins/,
  );
});

test('the source comes from the argument, else the configuration, else the environment', () => {
  const path = tree('good.json', GOOD);
  const ports = { inside: { device: 'a' }, outside: { device: 'b' } };
  const config = file('weir.json', JSON.stringify({ ports, classes: { source: 'file:good.json' } }));
  const verdict = `${path}: 3 classes, 3 addresses: 0 errors, 0 warnings\n`;
  assert.is(weir('classes', 'check', '--config', config).stdout, verdict);
  assert.is(weirWith({ WEIR_CLASSES_SOURCE: `file:${path}` }, 'classes', 'check').stdout, verdict);
  const other = tree('one.json', [GOOD[0]!]);
  assert.match(weir('classes', 'check', other, '--config', config).stdout, /: 1 class, 0 addresses: /);
});

test('the environment also has the queries of a mapping, as for the daemon', () => {
  const path = join(folder, 'mapped.db');
  const db = new Database(path);
  db.exec("CREATE TABLE customers (login TEXT); INSERT INTO customers VALUES ('ann'), ('bob')");
  db.close();
  const query = "SELECT login AS id, '1mbit' AS down_rate, '1mbit' AS up_rate FROM customers";
  const variables = { WEIR_CLASSES_SOURCE: `sqlite:${path}`, WEIR_CLASSES_QUERIES_SUBSCRIBERS: query };
  const { stdout, stderr } = weirWith(variables, 'classes', 'check');
  assert.equal([stdout, stderr], [`sqlite:${path}: 2 classes, 0 addresses: 0 errors, 0 warnings\n`, '']);
});

test('wrong usage is one line and exit code 2', () => {
  const tables = [
    [['classes'], /^weir: E_USAGE: /],
    [['classes', 'chek'], /^weir: E_USAGE: unknown command 'chek'/],
    [['classes', 'check', '--jsn'], /^weir: E_USAGE: unknown option '--jsn'/],
    [['classes', 'check'], /^weir: E_SOURCE: no source is named/],
    [['classes', 'check', 'tree.txt'], /^weir: E_CLASSES_FORMAT: .*tree\.txt: /],
    [['classes', 'check', join(folder, 'none.yaml')], /^weir: E_CLASSES_READ: .*none\.yaml: /],
    [['classes', 'check', 'mysql://u:geheim@h/db'], /^weir: E_SOURCE: .*"mysql:"/],
    [['classes', 'check', '--config', 'none.yaml'], /^weir: E_CONFIG_READ: none\.yaml: /],
    [['classes', 'sample', 'x.db', '--users', '0'], /^weir: E_USAGE: --users .*'0'/],
    [['classes', 'sample', 'x.db', '--seed', 'x'], /^weir: E_USAGE: --seed .*'x'/],
    [['classes', 'init', 'tree.yaml'], /^weir: E_SOURCE: a database is needed/],
    [['classes', 'sample', 'tree.yaml'], /^weir: E_SOURCE: a database is needed/],
  ] as const;
  for (const [args, wanted] of tables) {
    const { code, stdout, stderr } = weir(...args);
    assert.equal([code, stdout, lines(stderr).length], [2, '', 1], `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, wanted);
    assert.not.match(stderr, /geheim|E_INTERNAL/);
  }
  assert.not.ok(existsSync('x.db'));
});

test('init makes the tables once, and keeps what is in them', () => {
  const path = join(folder, 'init.db');
  for (let i = 0; i < 2; i++) {
    assert.equal(weir('classes', 'init', path), {
      code: 0,
      stdout: `sqlite:${path}: weir's tables are there\n`,
      stderr: '',
    });
    if (i > 0) break;
    const db = new Database(path);
    db.exec("INSERT INTO sites (id, down_rate) VALUES ('s', '1mbit')");
    db.close();
  }
  assert.match(weir('classes', 'check', path).stdout, /: 1 class, 0 addresses: 0 errors, 0 warnings\n$/);
});

test('init leaves tables of another schema alone', () => {
  const path = join(folder, 'foreign.db');
  const db = new Database(path);
  db.exec("CREATE TABLE subscribers (login TEXT); INSERT INTO subscribers VALUES ('me')");
  for (const args of [['init'], ['sample', '--users', '5', '--force']]) {
    const { code, stdout, stderr } = weir('classes', args[0]!, path, ...args.slice(1));
    assert.equal([code, stdout, lines(stderr).length], [1, '', 1]);
    assert.match(stderr, /^weir: E_STORE_SCHEMA: .*foreign\.db: .*table subscribers/);
  }
  assert.equal(db.prepare('SELECT * FROM subscribers').all(), [{ login: 'me' }]);
  assert.equal(db.prepare('SELECT name FROM sqlite_master').all(), [{ name: 'subscribers' }]);
  db.close();
});

test('sample is the same for the same seed, and replaces nothing unless it is told to', () => {
  const exported = (name: string, seed: string): string => {
    const path = join(folder, name);
    const { code, stdout } = weir('classes', 'sample', path, '--users', '200', '--seed', seed, '--force');
    assert.equal([code, stdout], [0, `sqlite:${path}: 200 subscribers, seed ${seed}\n`]);
    return weir('classes', 'export', path).stdout;
  };
  const first = exported('one.db', '7');
  assert.ok(JSON.parse(first).classes.length > 200);
  assert.is(exported('two.db', '7'), first);
  assert.is.not(exported('three.db', '8'), first);

  const path = join(folder, 'one.db');
  const refused = weir('classes', 'sample', path, '--users', '10');
  assert.equal([refused.code, refused.stdout, lines(refused.stderr).length], [1, '', 1]);
  assert.match(
    refused.stderr,
    /^weir: E_EXISTS: sqlite:.*one\.db: has \d+ plans, \d+ sites and \d+ subscribers already; --force/,
  );
  assert.is(weir('classes', 'export', path).stdout, first);
  assert.match(weir('classes', 'check', path).stdout, /: 0 errors, 0 warnings\n$/);
});

test('checking and reading make no files and change none', () => {
  const before = mkdtempSync(join(folder, 'still-'));
  const path = join(before, 'tree.json');
  writeFileSync(path, JSON.stringify({ version: 1, classes: GOOD }));
  const none = join(before, 'none.db');
  const { code, stderr } = weir('classes', 'check', none);
  assert.equal([code, stderr], [1, `weir: E_STORE_CONNECT: sqlite:${none}: there is no such file\n`]);
  weir('classes', 'check', path);
  weir('classes', 'export', path);
  assert.equal(readdirSync(before), ['tree.json']);
  assert.is(readFileSync(path, 'utf8'), JSON.stringify({ version: 1, classes: GOOD }));
});

test('a source may be named by an option as well', () => {
  const path = join(mkdtempSync(join(folder, 'option-')), 'tree.json');
  writeFileSync(path, JSON.stringify({ version: 1, classes: GOOD }));
  assert.equal(weir('classes', 'check', '--source', path), weir('classes', 'check', path));
});

test('every verb explains itself', () => {
  const { code, stdout } = weir('classes', '--help');
  assert.is(code, 0);
  for (const verb of VERBS) {
    assert.match(stdout, new RegExp(`^  ${verb} \\[options\\] `, 'm'));
    const help = weir('classes', verb, '--help');
    assert.equal([help.code, help.stderr], [0, '']);
    assert.match(help.stdout, new RegExp(`^Usage: weir classes ${verb} \\[options\\] `));
    if (['plan', 'apply'].includes(verb))
      assert.match(help.stdout, /^Without a source it is the daemon's own/m);
    else if (verb !== 'import') assert.match(help.stdout, /^It is named .* WEIR_CLASSES_SOURCE/m);
  }
  assert.match(weir('classes', 'apply', '--help').stdout, /--force/);
  assert.not.match(weir('classes', 'plan', '--help').stdout, /--force/);
});

test.run();
