import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  DaemonProcess,
  INTERNET,
  type Lab,
  makeLab,
  removeLab,
  run,
  SUBSCRIBER,
  sendDatagrams,
  treeWith,
  writeConfig,
  writeTree,
} from './daemon-lab.js';
import { hasTool, inNamespace, startInNamespace, whyNoXdp } from './namespaces.js';

const test = suite('daemon on veth');
const why = whyNoXdp();
const PACKETS = 400;
const PAYLOAD_BYTES = 500;
/** Ethernet, IPv4 and UDP. */
const HEADERS_BYTES = 42;
/** Datagrams of the rate tests, and what of a rate they get when they offer more: all but what the machine owes. */
const DATAGRAM_BYTES = 1400;
const SHARE_MIN = 0.95;
const SHARE_MAX = 1.02;

const SETUPS = [
  { name: 'xdp', queues: 1, config: {}, backend: 'xdp' },
  { name: 'xdp2', queues: 2, config: {}, backend: 'xdp' },
  {
    name: 'skb',
    queues: 1,
    config: { rings: { backend: 'xdp', mode: 'skb', frames: 8192, ringSize: 1024 } },
    backend: 'xdp',
  },
  {
    name: 'pkt',
    queues: 1,
    config: { rings: { backend: 'packet', frames: 8192, ringSize: 1024 } },
    backend: 'packet',
  },
] as const;

async function inLab(
  name: string,
  queues: number,
  config: object,
  body: (lab: Lab, daemon: DaemonProcess) => Promise<void>,
): Promise<void> {
  const lab = makeLab(name, queues);
  try {
    writeTree(lab, treeWith('40mbit'));
    const daemon = new DaemonProcess(lab, writeConfig(lab, config));
    try {
      await daemon.logged('"shaping"');
      await body(lab, daemon);
    } finally {
      await daemon.stop();
    }
  } finally {
    removeLab(lab);
  }
}

/** Layer-2 bit/s that reach the subscriber when the internet sends `offeredMbit`. */
async function downloadBps(lab: Lab, offeredMbit: number): Promise<number> {
  const server = startInNamespace(lab.internet, 'timeout', ['20', 'iperf3', '-s', '-1', '--forceflush']);
  await new Promise((resolve) => server.stdout!.once('data', resolve));
  const ended = new Promise((resolve) => server.once('close', resolve));
  const { stdout } = await run('ip', [
    ...['netns', 'exec', lab.subscriber, 'timeout', '15'],
    ...['iperf3', '-c', INTERNET, '-R', '-u', '-b', `${offeredMbit}M`, '-l', String(DATAGRAM_BYTES)],
    ...['-t', '3', '-O', '1', '-J'],
  ]);
  server.kill('SIGTERM');
  await ended;
  const { end, error } = JSON.parse(stdout);
  if (end?.sum_received === undefined) throw new Error(`iperf3: ${error}`);
  return (end.sum_received.bits_per_second * (DATAGRAM_BYTES + HEADERS_BYTES)) / DATAGRAM_BYTES;
}

if (why !== null) {
  process.stdout.write(`skipped: ${why}\n`);
  test.skip('the daemon in namespaces', () => {});
}

for (const { name, queues, config, backend } of why === null ? SETUPS : []) {
  test(`${name}: both ends and the daemon count the same`, () =>
    inLab(name, queues, config, async (lab, daemon) => {
      // ARP crosses, or nothing would.
      inNamespace(lab.subscriber, 'ping', ['-c', '1', '-W', '5', INTERNET]);
      const before = await daemon.stats();
      assert.is(before.backend, backend);
      assert.is(before.queues.length, queues);
      const up = await sendDatagrams(lab.subscriber, lab.internet, INTERNET, PACKETS, PAYLOAD_BYTES);
      const down = await sendDatagrams(lab.internet, lab.subscriber, SUBSCRIBER, PACKETS, PAYLOAD_BYTES);
      const after = await daemon.stats();
      assert.equal(
        [up, down],
        [PACKETS, PACKETS],
        JSON.stringify([after.classes[1], after.queues, after.ports]),
      );
      for (const direction of ['up', 'down'] as const) {
        const [was, is] = [before, after].map((stats) => stats.classes[1][direction]);
        assert.is(is.packets - was.packets, PACKETS, direction);
        assert.is(is.bytes - was.bytes, PACKETS * (PAYLOAD_BYTES + HEADERS_BYTES), direction);
        assert.is(is.drops, 0);
      }
      const sum = (stats: typeof after, key: 'rxPackets' | 'txPackets'): number =>
        stats.queues.reduce((total: number, queue: Record<string, number>) => total + queue[key]!, 0);
      assert.is(sum(after, 'txPackets'), sum(after, 'rxPackets'));
      if (backend === 'xdp') assert.ok(after.ports.inside.xdp.toSocket >= PACKETS);
    }));
}

if (why === null) {
  test('SIGHUP takes the new rates, a bad file leaves the old ones, and a subscriber gets what the plan says', () =>
    inLab('hup', 1, {}, async (lab, daemon) => {
      if (!hasTool('iperf3')) {
        process.stdout.write('skipped: rates, because iperf3 is missing\n');
        return;
      }
      for (const mbit of [40, 10]) {
        writeTree(lab, treeWith(`${mbit}mbit`));
        daemon.log = '';
        daemon.signal('SIGHUP');
        await daemon.logged('"classes re-read"');
        const share = (await downloadBps(lab, mbit * 1.5)) / (mbit * 1e6);
        process.stdout.write(`${(share * 100).toFixed(1)} % of ${mbit} Mbit/s\n`);
        assert.ok(share > SHARE_MIN && share < SHARE_MAX, `${share} of the rate`);
      }
      writeTree(lab, '{ "version": 1, "classes": [ { "id": "u1", "down": { "rate": "fast" } } ] }');
      daemon.signal('SIGHUP');
      await daemon.logged('E_CLASSES');
      const { epoch, classes } = await daemon.stats();
      assert.equal([epoch, classes.length], [3, 2]);
    }));

  test('SIGTERM gives the wire back, or leaves it to follow failure', async () => {
    const lab = makeLab('term', 1);
    try {
      writeTree(lab, treeWith('40mbit'));
      for (const exit of ['keep', 'detach'] as const) {
        const daemon = new DaemonProcess(lab, writeConfig(lab, { exit }));
        await daemon.logged('"shaping"');
        if (exit === 'detach') assert.match(daemon.log, /took the wire over/);
        assert.is(await daemon.stop(), 0);
        const links = inNamespace(lab.weir, 'ip', ['link', 'show']);
        assert.is(/xdp/.test(links), exit === 'keep', links);
        assert.not(existsSync(join(lab.folder, 'weir.sock')));
        const isOpen = inNamespace(lab.subscriber, 'ping', ['-c', '1', '-W', '1', INTERNET], true) !== '';
        assert.is(isOpen, exit === 'keep', 'without the program there is no wire');
      }
    } finally {
      removeLab(lab);
    }
  });

  test('the packet backend carries bypass and non-IP traffic where the rest of the unknown is dropped', () =>
    inLab(
      'byp',
      1,
      {
        rings: { backend: 'packet', frames: 8192, ringSize: 1024 },
        unknown: { policy: 'drop' },
        bypass: ['10.88.0.0/24'],
      },
      async (lab, daemon) => {
        // Two addresses that no class has: one of a bypass prefix, one of none.
        for (const [namespace, device, host] of [
          [lab.subscriber, 'sub0', 5],
          [lab.internet, 'net0', 1],
        ] as const) {
          for (const net of ['10.88.0', '10.99.0'])
            inNamespace(namespace, 'ip', ['addr', 'add', `${net}.${host}/24`, 'dev', device]);
        }
        const isReached = (address: string): boolean =>
          inNamespace(lab.subscriber, 'ping', ['-c', '2', '-i', '0.2', '-W', '1', address], true).includes(
            ' 2 received',
          );
        assert.equal([isReached('10.88.0.1'), isReached('10.99.0.1')], [true, false]);
        const { queues } = await daemon.stats();
        assert.equal([queues[0].bypassPackets, queues[0].drops.unknown], [4, 2]);
        assert.ok(queues[0].unknownPackets > 2, 'ARP has crossed');
      },
    ));
}

test.run();
