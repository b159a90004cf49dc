/** `weir classes import` and `export`: there, back, what is refused, and what is said of bad files. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ScratchPostgres, whyNoPostgres } from '../../src/lab/scratch-postgres.js';
import { weir } from './weir.js';

const test = suite('weir classes import, export');
const folder = mkdtempSync(join(tmpdir(), 'weir-cli-'));
test.after(() => rmSync(folder, { recursive: true }));

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const HEADER =
  'Circuit ID,Circuit Name,Device ID,Device Name,Parent Node,MAC,IPv4,IPv6,Download Min Mbps,Upload Min Mbps,Download Max Mbps,Upload Max Mbps,Comment';
const NETWORK = '{"AP":{"downloadBandwidthMbps":100,"uploadBandwidthMbps":50}}';
const ROWS = [
  '1,"Ann, Ltd",1,Router,AP,,"10.0.0.1, 10.0.0.2",2001:db8::/56,1.5,1,20,10,',
  '2,Bob,2,Router,AP,,10.0.0.3,,1,1,10.5,5,',
];
const TREE = [
  { id: 'AP', down: { rate: '100mbit' }, up: { rate: '50mbit' } },
  {
    id: '1',
    parent: 'AP',
    match: ['10.0.0.1', '10.0.0.2', '2001:db8::/56'],
    down: { rate: '1500kbit', ceil: '20mbit' },
    up: { rate: '1mbit', ceil: '10mbit' },
  },
  {
    id: '2',
    parent: 'AP',
    match: ['10.0.0.3'],
    down: { rate: '1mbit', ceil: '10500kbit' },
    up: { rate: '1mbit', ceil: '5mbit' },
  },
];
let folders = 0;

/** Files of LibreQoS in a folder of their own; returns that of the devices. */
function libreqos(csv = `${HEADER}\n${ROWS.join('\n')}\n`, network: string | null = NETWORK): string {
  const own = join(folder, `${++folders}`);
  mkdirSync(own);
  writeFileSync(join(own, 'ShapedDevices.csv'), csv);
  if (network !== null) writeFileSync(join(own, 'network.json'), network);
  return join(own, 'ShapedDevices.csv');
}

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** What a source holds, as a tree document. */
function classesOf(source: string): object[] {
  const { code, stdout, stderr } = weir('classes', 'export', source);
  assert.is(code, 0, stderr);
  return JSON.parse(stdout).classes;
}

function lines(text: string): string[] {
  return text === '' ? [] : text.trimEnd().split('\n');
}

/** One line with this code, exit code 1 unless said otherwise, and nothing on stdout. */
function refused(wanted: RegExp, args: readonly string[], exitCode = 1): void {
  const { code, stdout, stderr } = weir('classes', ...args);
  assert.equal([code, stdout, lines(stderr).length], [exitCode, '', 1], `${args.join(' ')}: ${stderr}`);
  assert.match(stderr, wanted);
  assert.not.match(stderr, /E_INTERNAL|geheim/);
}

test('LibreQoS to a tree on standard output, and to tree files', () => {
  const devices = libreqos();
  const { code, stdout, stderr } = weir('classes', 'import', devices);
  assert.equal([code, stderr], [0, '']);
  assert.equal(JSON.parse(stdout), { version: 1, classes: TREE });
  for (const name of ['tree.json', 'tree.yaml', 'tree.yml']) {
    const to = join(folder, name);
    const written = weir('classes', 'import', devices, '--to', to);
    assert.equal(written, { code: 0, stdout: `3 classes written to ${to}\n`, stderr: '' });
    assert.equal(classesOf(to), TREE);
  }
});

test('LibreQoS to a database, and a database to LibreQoS: nothing is lost', () => {
  const to = `sqlite:${join(folder, 'users.db')}`;
  assert.equal(weir('classes', 'import', libreqos(), '--to', to), {
    code: 0,
    stdout: `3 classes written to ${to}\n`,
    stderr: '',
  });
  assert.equal(classesOf(to), TREE);
  const out = join(folder, 'out');
  assert.is(weir('classes', 'export', to, '--format', 'libreqos', '--out', out).code, 0);
  assert.equal(readdirSync(out).sort(), ['ShapedDevices.csv', 'network.json']);
  assert.equal(classesOf(join(out, 'ShapedDevices.csv')), TREE);
});

test('tc to standard output and to a file, and back', () => {
  const from = file('tc.json', JSON.stringify({ version: 1, classes: TREE }));
  const devices = ['--down-device', 'veth1', '--up-device', 'veth0'];
  const { code, stdout } = weir('classes', 'export', from, '--format', 'tc', ...devices);
  assert.is(code, 0);
  assert.match(stdout, /^class add dev veth1 .* htb rate /m);
  assert.match(stdout, /^filter add dev veth0 .* u32 /m);
  const flower = weir('classes', 'export', from, '--format', 'tc', '--filter', 'flower', ...devices);
  assert.match(flower.stdout, /^filter add dev veth0 .* flower /m);
  const out = join(folder, 'out.tc');
  const written = weir('classes', 'export', from, '--format', 'tc', '--out', out, ...devices);
  assert.equal([written.code, written.stdout, readFileSync(out, 'utf8')], [0, `written to ${out}\n`, stdout]);
  const back = weir('classes', 'import', out);
  assert.equal([back.code, back.stderr, JSON.parse(back.stdout).classes], [0, '', TREE]);
});

test('tc scripts that somebody wrote by hand, of two devices', () => {
  const script = (device: string, key: 'dst' | 'src', rate: string): string =>
    [
      `tc qdisc add dev ${device} root handle 1: htb default 20`,
      `tc class add dev ${device} parent 1: classid 1:1 htb rate 100mbit`,
      `tc class add dev ${device} parent 1:1 classid 1:10 htb rate ${rate} ceil 20mbit`,
      `tc filter add dev ${device} parent 1: protocol ip prio 1 u32 match ip ${key} 10.0.0.1/32 flowid 1:10`,
      '',
    ].join('\n');
  const down = file('down.sh', script('lan0', 'dst', '10mbit'));
  const up = file('up.sh', script('wan0', 'src', '5mbit'));
  const { code, stdout, stderr } = weir('classes', 'import', down, up);
  assert.is(code, 0, stderr);
  const leaf = JSON.parse(stdout).classes[1];
  assert.equal([leaf.match, leaf.down.rate, leaf.up.rate], [['10.0.0.1'], '10mbit', '5mbit']);
});

test('nothing that is there is replaced without --force', () => {
  const devices = libreqos();
  const tree = file('kept.yaml', 'kept');
  refused(/^weir: E_EXISTS: .*kept\.yaml: .*--force/, ['import', devices, '--to', tree]);
  assert.is(readFileSync(tree, 'utf8'), 'kept');
  assert.is(weir('classes', 'import', devices, '--to', tree, '--force').code, 0);
  assert.equal(classesOf(tree), TREE);

  const users = join(folder, 'kept.db');
  assert.is(weir('classes', 'sample', users, '--users', '20').code, 0);
  const before = classesOf(users);
  refused(/^weir: E_EXISTS: sqlite:.*kept\.db: has \d+ plans, \d+ sites and \d+ subscribers/, [
    'import',
    devices,
    '--to',
    users,
  ]);
  assert.equal(classesOf(users), before);
  assert.is(weir('classes', 'import', devices, '--to', users, '--force').code, 0);
  assert.equal(classesOf(users), TREE);
});

test('plans and settings alone are something that is there, too', () => {
  const users = join(folder, 'plans.db');
  assert.is(weir('classes', 'init', users).code, 0);
  const db = new Database(users);
  try {
    db.exec("INSERT INTO plans (id, down_rate, up_rate) VALUES ('gold', '1mbit', '1mbit')");
    refused(/^weir: E_EXISTS: sqlite:.*plans\.db: /, ['import', libreqos(), '--to', users]);
    assert.equal(db.prepare('SELECT id FROM plans').all(), [{ id: 'gold' }]);
  } finally {
    db.close();
  }
});

test('files with errors: exit 1, and nothing is written', () => {
  const devices = libreqos(`${HEADER}\n${ROWS[0]}\n2,Bob,2,R,AP,,10.0.0.1,,1,1,fast,5,\n`);
  for (const name of ['none.yaml', 'none.db']) {
    const to = join(folder, name);
    const { code, stdout, stderr } = weir('classes', 'import', devices, '--to', to);
    assert.equal([code, stdout], [1, '']);
    assert.match(stderr, /^weir: E_CLASSES: .*row 3.*Download Max/m);
    assert.not.ok(existsSync(to));
  }
  const bad = file('bad.json', '{"version":1,"classes":[{"id":"a","parent":"b","down":{"rate":"1mbit"}}]}');
  refused(/^weir: E_CLASSES: .*bad\.json: class 'a': parent: /, [
    ...['export', bad, '--format', 'libreqos', '--out', join(folder, 'never')],
  ]);
  assert.not.ok(existsSync(join(folder, 'never')));
});

test('a CSV from another system: BOM, CRLF, a column in another place, a missing one', () => {
  const plain = `${HEADER}\n${ROWS.join('\n')}\n`;
  const crlf = plain.replaceAll('\n', '\r\n');
  // A quote right behind the mark is what shows that the mark is not taken for text.
  const quoted = plain.replace('Circuit ID', '"Circuit ID"');
  for (const csv of [`\ufeff${plain}`, crlf, `\ufeff${crlf}`, `\ufeff${quoted}`])
    assert.equal(classesOf(libreqos(csv)), TREE);
  const missing = plain.replace('IPv4,', '');
  const path = libreqos(missing);
  const { code, stderr } = weir('classes', 'check', path);
  assert.equal([code, lines(stderr).length], [1, 1], stderr);
  assert.match(stderr, /^weir: E_CLASSES: .*ShapedDevices\.csv.*IPv4/);
  for (const [text, network] of [
    ['', NETWORK],
    [HEADER.replace('Circuit ID', 'Circuit'), NETWORK],
    [plain, '{"AP":'],
  ] as const) {
    const bad = weir('classes', 'check', libreqos(text, network));
    assert.is(bad.code, 1);
    assert.is(lines(bad.stderr).filter((line) => line.startsWith('weir: E_CLASSES: ')).length, 1);
    assert.not.match(bad.stderr, /E_INTERNAL/);
  }
});

test('text that is not UTF-8 is one line', () => {
  const latin = join(folder, 'latin.csv');
  writeFileSync(latin, Buffer.from(`${HEADER}\n1,Jos\xe9\n`, 'latin1'));
  refused(/^weir: E_CLASSES: .*latin\.csv: the text is not UTF-8/, ['import', latin]);
});

test('wrong usage is one line and exit code 2', () => {
  const devices = libreqos();
  const from = file('usage.json', JSON.stringify({ version: 1, classes: TREE }));
  const wrong: readonly (readonly [RegExp, readonly string[]])[] = [
    [/E_USAGE: --format libreqos needs --out/, ['export', from, '--format', 'libreqos']],
    [/E_USAGE: .*'csv'.*tree, libreqos, tc/, ['export', from, '--format', 'csv']],
    [/E_USAGE: .*'files'/, ['import']],
    [/E_USAGE: network\.json/, ['import', join(folder, 'network.json')]],
    [/E_USAGE: --uplink .*'top'/, ['import', devices, '--uplink', 'top']],
    [/E_USAGE: --down-device and --up-device/, ['import', devices, '--up-device', 'eth0']],
    [/E_USAGE: tree: 2 files/, ['import', from, from]],
    [/E_CLASSES_READ: .*none\.csv: /, ['import', join(folder, 'none.csv')]],
    [/E_CLASSES_FORMAT: .*x\.txt: /, ['import', devices, '--to', join(folder, 'x.txt')]],
    [/E_CLASSES_FORMAT: .*x\.txt: /, ['export', from, '--out', join(folder, 'x.txt')]],
  ];
  for (const [wanted, args] of wrong) refused(wanted, args, 2);
  assert.not.ok(existsSync(join(folder, 'x.txt')));
});

test('where nothing can be written', () => {
  const from = file('write.json', JSON.stringify({ version: 1, classes: TREE }));
  const inside = join(from, 'x');
  refused(/^weir: E_WRITE: .*none\/x\.yaml: /, ['import', from, '--to', join(folder, 'none', 'x.yaml')]);
  refused(/^weir: E_WRITE: .*none\/x\.tc: /, [
    'export',
    from,
    '--format',
    'tc',
    '--out',
    join(folder, 'none', 'x.tc'),
  ]);
  refused(/^weir: E_STORE_CONNECT: sqlite:.*none\/x\.db: /, [
    'import',
    from,
    '--to',
    join(folder, 'none', 'x.db'),
  ]);
  refused(/^weir: E_WRITE: .*write\.json/, ['export', from, '--format', 'libreqos', '--out', inside]);
  refused(/^weir: E_WRITE: .*write\.json/, ['export', from, '--format', 'libreqos', '--out', from]);
});

test('a reader that has seen enough is no failure', () => {
  const users = join(folder, 'pipe.db');
  assert.is(weir('classes', 'sample', users, '--users', '2000').code, 0);
  for (const format of ['tree', 'tc']) {
    const command = `"${process.execPath}" "${MAIN}" classes export "${users}" --format ${format} --filter flower | head -n 1`;
    const { stdout, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8', timeout: 60_000 });
    assert.equal([lines(stdout).length, stderr], [1, '']);
  }
});

test('no password is shown, whatever it is of', async () => {
  const from = file('secret.json', JSON.stringify({ version: 1, classes: TREE }));
  for (const url of [
    'postgres://u:geheim@127.0.0.1:1/x',
    'postgres://u:gehe/im-geheim@127.0.0.1:1/x',
    'postgres:u:geheim@127.0.0.1/x',
    'postgress://u:geheim@127.0.0.1/x',
    'mysql://u:geheim@127.0.0.1/x',
  ]) {
    for (const args of [
      ['check', url],
      ['export', url],
      ['init', url],
      ['import', from, '--to', url],
    ]) {
      const { code, stdout, stderr } = weir('classes', ...args);
      assert.is.not(code, 0);
      assert.not.match(`${stdout}${stderr}`, /gehe/, args.join(' '));
    }
  }
  const why = whyNoPostgres();
  if (why !== null) {
    process.stdout.write(`skipped: a password that is right: ${why}\n`);
    return;
  }
  const server = await ScratchPostgres.start();
  try {
    const url = server.tcpUrl();
    const password = new URL(url).password;
    for (const args of [
      ['init', url],
      ['import', from, '--to', url],
      ['check', url],
      ['check', url, '--json'],
      ['sample', url, '--users', '5', '--force'],
      ['export', url],
    ]) {
      const { code, stdout, stderr } = weir('classes', ...args);
      assert.is(code, 0, stderr);
      assert.not.ok(`${stdout}${stderr}`.includes(password), args[0]);
    }
  } finally {
    await server.remove();
  }
});

test.run();
