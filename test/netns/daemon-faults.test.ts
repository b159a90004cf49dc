/** What an operator gets wrong, each with the line that tells. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  DaemonProcess,
  type Lab,
  makeLab,
  removeLab,
  run,
  treeWith,
  weir,
  writeConfig,
  writeTree,
} from './daemon-lab.js';
import { hasTool, inNamespace, whyNoXdp } from './namespaces.js';

const test = suite('faults of a daemon');
const why = whyNoXdp();
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const BLANK = { inside: { device: 'in0' }, outside: { device: 'out0' } };

interface Fault {
  readonly name: string;
  readonly config: object;
  readonly code: 1 | 2;
  readonly line: RegExp;
}

const FAULTS: readonly Fault[] = [
  {
    name: 'a missing device',
    config: { ports: { ...BLANK, outside: { device: 'eth9' } } },
    code: 2,
    line: /^weir: E_DEVICE: ports\.outside\.device: there is no network device 'eth9'\n$/,
  },
  {
    name: 'a device without enough queues',
    config: { queues: 2 },
    code: 2,
    line: /^weir: E_QUEUES: ports\.inside\.device: in0 has 1 queue, and queues is 2; try: ethtool -L in0 combined 2\n$/,
  },
  {
    name: 'a bad key',
    config: { queue: 2 },
    code: 2,
    line: /^weir: E_CONFIG: .*\.json: queue: is not a known key; did you mean 'queues'\?\n$/,
  },
  {
    name: 'a source of a kind that there is not',
    config: { classes: { source: 'ldap://weir:secret@db/users' } },
    code: 2,
    line: /^weir: E_SOURCE: the source of the classes begins with "ldap:"; known are file:PATH, [^:]*sqlite:PATH and [^\n]*\n$/,
  },
  {
    name: 'a database that nobody serves',
    config: { classes: { source: 'postgres://weir:secret@127.0.0.1:9/users' } },
    code: 1,
    line: /^weir: E_STORE_CONNECT: postgres:\/\/weir:\*\*\*@127\.0\.0\.1:9\/users: [^\n]*\n$/,
  },
];

let lab: Lab;

if (why !== null) {
  process.stdout.write(`skipped: ${why}\n`);
  test.skip('the daemon in namespaces', () => {});
} else {
  test.before(() => {
    lab = makeLab('flt', 1);
    writeTree(lab, treeWith('10mbit'));
  });
  test.after(() => removeLab(lab));

  for (const { name, config, code, line } of FAULTS) {
    test(`${name}: one clear line`, async () => {
      const ended = await weir(lab, ['daemon', '--config', writeConfig(lab, config, 'fault')]);
      assert.match(ended.stderr, line);
      assert.equal([ended.code, ended.stdout], [code, '']);
    });
  }

  test('an unprivileged user', async () => {
    const path = writeConfig(lab, {}, 'nobody');
    const mayRead =
      hasTool('setpriv') &&
      (
        await run('setpriv', [
          ...NOBODY.slice(1),
          process.execPath,
          '-e',
          'process.chdir(process.argv[1])',
          process.cwd(),
        ])
      ).code === 0;
    if (!mayRead) {
      process.stdout.write('skipped: an unprivileged user cannot be had, or cannot read this checkout\n');
      return;
    }
    const { code, stderr } = await weir(lab, ['daemon', '--config', path], NOBODY);
    assert.match(stderr, /^weir: E_PRIVILEGE: missing CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF: .*\n$/);
    assert.is(code, 1);
  });

  test('a socket in use, and a wire in use', async () => {
    const path = writeConfig(lab);
    const daemon = new DaemonProcess(lab, path);
    try {
      await daemon.logged('"shaping"');
      const same = await weir(lab, ['daemon', '--config', path]);
      assert.match(
        same.stderr,
        /^weir: E_SOCKET_IN_USE: .*weir\.sock: socket already in use by a running daemon\n$/,
      );
      assert.is(same.code, 1);
      const other = await weir(lab, ['daemon', '--config', writeConfig(lab, {}, 'second')]);
      assert.match(other.stderr, /^weir: E_BUSY: .*\n$/m);
      assert.is(other.code, 1);
      // The first has not noticed.
      assert.is((await daemon.stats()).queues[0].state, 'running');
      assert.match(inNamespace(lab.weir, 'ip', ['link', 'show', 'in0']), /xdp/);
    } finally {
      assert.is(await daemon.stop(), 0);
    }
  });
}

test.run();
