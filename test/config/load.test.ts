import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { redactUrl } from '../../classes/stores/url.js';
import { isAccounting, printableConfig, sourceSpec } from '../../src/config/config.js';
import { formatFault, loadConfig, readConfig } from '../../src/config/load.js';
import { schemaKeys } from '../../src/config/schema.js';
import { WeirError } from '../../src/errors.js';

const test = suite('configuration');
const folder = mkdtempSync(join(tmpdir(), 'weir-config-'));
test.after(() => rmSync(folder, { recursive: true }));

const GOOD = {
  ports: { inside: { device: 'eth1' }, outside: { device: 'eth0' } },
  classes: { source: 'file:/etc/weir/tree.yaml' },
};

function faultsOf(document: unknown, env: NodeJS.ProcessEnv = {}): string[] {
  const { config, faults } = readConfig(document, 'weir.yaml', env);
  assert.is(config === null, faults.length > 0);
  return faults.map(formatFault);
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'none';
  } catch (error) {
    assert.instance(error, WeirError);
    assert.is((error as WeirError).exitCode, 2);
    return `${(error as WeirError).code}: ${(error as WeirError).message}`;
  }
}

test('defaults', () => {
  const { config } = readConfig(GOOD, 'weir.yaml', {});
  assert.equal(config, {
    ports: GOOD.ports,
    queues: 'auto',
    rings: { backend: 'auto', mode: 'auto', frames: 65536, frameBytes: 2048, ringSize: 2048 },
    classes: {
      source: 'file:/etc/weir/tree.yaml',
      capacity: 'auto',
      watch: true,
      guardPercent: 10,
      stateFolder: '/var/lib/weir',
      queries: { settings: null, plans: null, sites: null, subscribers: null, addresses: null },
    },
    accounting: { mode: 'auto', intervalSeconds: 60, checkpointSeconds: 1, spool: '/var/lib/weir/usage.db' },
    unknown: { policy: 'pass', class: null },
    bypass: [],
    failure: 'open',
    exit: 'detach',
    drain: { seconds: 2 },
    flows: { capacity: 1048576, idleSeconds: 30 },
    cpus: 'auto',
    log: { level: 'info' },
    control: { socket: '/run/weir/weir.sock' },
  });
});

test('usage is written back by itself into the own schema only', () => {
  const on = (mode: string, source: string, queries = {}): boolean => {
    const { config } = readConfig(
      { ...GOOD, classes: { source, queries }, accounting: { mode } },
      'weir.yaml',
      {},
    );
    return config !== null && isAccounting(config);
  };
  const queries = { subscribers: 'SELECT 1' };
  assert.equal(
    [on('auto', 'sqlite:u.db'), on('auto', 'postgres://h/d'), on('auto', 'file:t.json')],
    [true, true, false],
  );
  assert.equal([on('auto', 'sqlite:u.db', queries), on('on', 'sqlite:u.db', queries)], [false, true]);
  assert.equal([on('off', 'sqlite:u.db'), on('on', 'file:t.json')], [false, false]);
});

test('paths of a source, and only the queries that are given', () => {
  const { config } = readConfig(
    { ...GOOD, classes: { source: 'sqlite:users.db', queries: { sites: 'SELECT 2' } } },
    '/etc/weir/weir.yaml',
    { WEIR_CLASSES_QUERIES_PLANS: 'SELECT 1' },
  );
  assert.equal(sourceSpec(config!), {
    url: 'sqlite:/etc/weir/users.db',
    queries: { plans: 'SELECT 1', sites: 'SELECT 2' },
  });
});

test('all faults at once, one line each, with file and key', () => {
  const document = {
    ports: { inside: 'eth1', outsid: { device: 'eth0' }, outside: { device: 'no/name' } },
    queues: 'two',
    rings: { frames: 3, frameBytes: 1500, ringSize: 1000, backend: 'dpdk' },
    classes: { source: 5 },
    bypass: ['10.0.0.0/33'],
    cpus: [1, 1],
    flows: { idleSeconds: { seconds: 1 } },
  };
  assert.equal(faultsOf(document).sort(), [
    `weir.yaml: bypass: "10.0.0.0/33" has a prefix length that is not a number from 0 to 32, not ["10.0.0.0/33"]`,
    'weir.yaml: classes.source: must be a source such as "file:tree.yaml", not 5',
    'weir.yaml: cpus: names a CPU twice, not [1,1]',
    'weir.yaml: flows.idleSeconds: must not be a map',
    'weir.yaml: ports.inside: must be a map',
    "weir.yaml: ports.outsid: is not a known key; did you mean 'outside'?",
    'weir.yaml: ports.outside.device: must be the name of a network device, not "no/name"',
    `weir.yaml: queues: must be 'auto' or a whole number from 1 to 256, not "two"`,
    'weir.yaml: rings.backend: must be one of the possible values: ["auto","xdp","packet"], not "dpdk"',
    'weir.yaml: rings.frameBytes: must be 2048 or 4096, not 1500',
    'weir.yaml: rings.frames: must be a whole number from 256 to 1048576, not 3',
    'weir.yaml: rings.ringSize: must be a power of two from 64 to 32768, not 1000',
  ]);
});

test('what must be given is missed', () => {
  for (const document of [{}, null]) {
    assert.equal(faultsOf(document).sort(), [
      'weir.yaml: classes.source: is missing; it names a class tree such as "file:tree.yaml"',
      'weir.yaml: ports.inside.device: is missing; it names a network device such as "eth1"',
      'weir.yaml: ports.outside.device: is missing; it names a network device such as "eth1"',
    ]);
  }
  assert.equal(faultsOf([]), ['weir.yaml: must be a map']);
});

const CONTRADICTIONS: readonly (readonly [object, string])[] = [
  [
    { ports: { inside: { device: 'a' }, outside: { device: 'a' } } },
    "ports.outside.device: is 'a', as ports.inside.device; a wire has two ends",
  ],
  [
    { unknown: { policy: 'class' } },
    "unknown.class: is missing; unknown.policy 'class' needs the id of a leaf",
  ],
  [{ unknown: { class: 'guests' } }, "unknown.class: is given, but unknown.policy is 'pass'"],
  [
    { rings: { backend: 'packet', mode: 'copy' } },
    "rings.mode: is 'copy', but only the backend xdp has modes",
  ],
  [
    { rings: { frames: 4096 } },
    'rings.frames: 4096 frames are too few for rings of 2048: at least 8192 are needed',
  ],
  [{ rings: { frames: 1048576 } }, 'rings.frames: 1048576 frames of 2048 bytes are not less than 1 GiB'],
  [{ queues: 3, cpus: [0, 1] }, 'cpus: names 2 CPUs for 3 queues'],
];

for (const [more, line] of CONTRADICTIONS) {
  test(`keys that do not fit together: ${JSON.stringify(more)}`, () => {
    assert.equal(faultsOf({ ...GOOD, ...more }), [`weir.yaml: ${line}`]);
  });
}

test('a variable goes before the file, and is named in its faults', () => {
  const env = {
    WEIR_QUEUES: '4',
    WEIR_CPUS: '2-4,7',
    WEIR_BYPASS: '10.0.0.0/8, 2001:db8::/32',
    WEIR_DRAIN_SECONDS: '0.5',
  };
  const { config } = readConfig({ ...GOOD, queues: 2 }, 'weir.yaml', env);
  assert.equal([config!.queues, config!.cpus, config!.drain.seconds], [4, [2, 3, 4, 7], 0.5]);
  assert.equal(config!.bypass, ['10.0.0.0/8', '2001:db8::/32']);
  assert.equal(faultsOf(GOOD, { WEIR_QUEUES: '4x', WEIR_QUEUE: '1' }), [
    `weir.yaml: WEIR_QUEUES: queues: must be 'auto' or a whole number from 1 to 256, not "4x"`,
  ]);
  assert.equal(faultsOf(GOOD, { WEIR_RINGS_MODES: 'copy' }), [
    'environment: WEIR_RINGS_MODES: is not a known variable',
  ]);
});

test('every key has a variable of its own', () => {
  const keys = schemaKeys();
  assert.is(new Set(keys.map(({ env }) => env)).size, keys.length);
  for (const { key, env } of keys) {
    const wanted = key
      .replace(/([a-z])([A-Z])/g, '$1_$2')
      .replaceAll('.', '_')
      .toUpperCase();
    assert.is(env, `WEIR_${wanted}`);
  }
});

test('JSON and YAML files; paths in them begin at the file', () => {
  const yaml = file(
    'weir.yaml',
    'ports: { inside: {device: eth1}, outside: {device: eth0} }\nclasses: { source: "file:tree.json" }\ncontrol: { socket: weir.sock }\n',
  );
  const { config } = loadConfig(yaml, {});
  assert.is(config!.classes.source, `file:${join(folder, 'tree.json')}`);
  assert.is(config!.control.socket, join(folder, 'weir.sock'));
  const json = file('weir.json', JSON.stringify(GOOD));
  assert.is(loadConfig(json, {}).config!.ports.inside.device, 'eth1');
});

test('a file that cannot be read or parsed', () => {
  assert.match(
    codeOf(() => loadConfig(join(folder, 'none.yaml'), {})),
    /^E_CONFIG_READ: .*none\.yaml: ENOENT/,
  );
  assert.match(
    codeOf(() => loadConfig(file('weir.ini', ''), {})),
    /^E_CONFIG_READ: .*ends in \.json/,
  );
  assert.match(
    codeOf(() => loadConfig(file('bad.json', '{\n "queues": 1,\n}'), {})),
    /^E_CONFIG_SYNTAX: .*bad\.json: line 3, column 1: /,
  );
  assert.match(
    codeOf(() => loadConfig(file('twice.json', '{"queues":1,"queues":2}'), {})),
    /queues stands twice/,
  );
  assert.match(
    codeOf(() => loadConfig(file('bad.yaml', 'queues: [1'), {})),
    /^E_CONFIG_SYNTAX: .*bad\.yaml: line 1, column /,
  );
});

test('passwords are not printed', () => {
  const { config } = readConfig(
    { ...GOOD, classes: { source: 'postgres://weir:s3c:ret@db/users?sslmode=on' } },
    'weir.yaml',
    {},
  );
  assert.is(printableConfig(config!).classes.source, 'postgres://weir:***@db/users?sslmode=on');
  assert.is(
    redactUrl('postgres://db/users?user=a&password=s3cret'),
    'postgres://db/users?user=a&password=***',
  );
  assert.is(redactUrl('postgres://weir@db/users'), 'postgres://weir@db/users');
  assert.is(redactUrl('file:/a:b@c/tree.json'), 'file:/a:b@c/tree.json');
});

test.run();
