/** The wire and AF_XDP rings between real devices: veth pairs in namespaces of their own. Takes root. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp, hasTool, inNamespace, packageRoot, whyNoXdp } from '../netns/namespaces.js';
import { across, deleteRow, flood, listen, makeRow, type Row, WireProcess } from './wire_client.js';
import { address4, IP_FRAMES, ipv4Frame, longFrame, OTHER_FRAMES, RUNT_FRAME } from './wire_frames.js';

const test = suite('xdp');
const sorted = (frames: readonly string[]): string[] => [...frames].sort();

let skipped = whyNoXdp();
if (skipped === null) {
  const made = spawnSync('make', ['-s', '-C', join(packageRoot(), 'native'), 'tools'], { encoding: 'utf8' });
  if (made.status !== 0) skipped = `native/build/rawframes cannot be built: ${made.stderr ?? made.error}`;
}

async function withRow(queues: number, body: (row: Row) => Promise<void>, mtu?: number): Promise<void> {
  const row = makeRow(queues, mtu);
  try {
    await body(row);
  } finally {
    deleteRow(row);
  }
}

function forwardsEverything(mode: 'native' | 'skb', queues: number): void {
  test(`frames cross unchanged, ${mode} mode, queues: ${queues}`, () =>
    withRow(queues, async (row) => {
      const forward = Array.from({ length: queues }, (_, queue) => queue);
      const [wire, opened] = await WireProcess.start(row, { mode, queues, forward });
      assert.is(opened.attachMode, mode, opened.message);
      const flows = Array.from({ length: 64 }, (_, i) => ipv4Frame(2000 + i));
      const frames = [...IP_FRAMES, ...flows];
      assert.equal(await across(row, 'client', frames), sorted(frames));
      assert.equal(await across(row, 'server', frames), sorted(frames));
      assert.equal(await across(row, 'client', OTHER_FRAMES), sorted(OTHER_FRAMES));
      const { inside, outside, forwarded } = await wire.counters();
      assert.is(inside.toSocket, frames.length);
      assert.is(outside.toSocket, frames.length);
      assert.is(inside.nonIp, OTHER_FRAMES.length);
      assert.is(
        forwarded.reduce((a, b) => a + b),
        2 * frames.length,
      );
      // In skb mode the kernel does not note on which of its queues a veth received.
      const busy = mode === 'native' ? queues : 1;
      assert.is(forwarded.filter((count) => count > 0).length, busy, `by queue: ${forwarded}`);
      await wire.close(true);
      assert.not.match(inNamespace(row.wire, 'ip', ['link', 'show', 'in0']), /xdp|PROMISC/);
    }));
}

if (skipped !== null) {
  console.log(`skipped: ${skipped}`);
  test.skip('the XDP backend', () => undefined);
} else {
  for (const mode of ['native', 'skb'] as const)
    for (const queues of [1, 2]) forwardsEverything(mode, queues);

  test('bypass prefixes cross in the kernel and can be replaced', () =>
    withRow(1, async (row) => {
      const [wire] = await WireProcess.start(row, {});
      const mapped = (dotted: string): string => `${'00'.repeat(10)}ffff${address4(dotted)}`;
      const net6 = '20010db8000000000000000000000000';
      await wire.ask(
        `bypass ${JSON.stringify([
          [mapped('192.0.2.0'), 120],
          [net6, 48],
        ])}`,
      );
      const frames = [
        ipv4Frame(1),
        ipv4Frame(2, '192.0.2.9', '10.0.0.5'),
        ipv4Frame(3, '10.0.0.5', '192.0.3.1'),
      ];
      assert.equal(await across(row, 'client', frames), sorted(frames));
      assert.equal(await across(row, 'client', [IP_FRAMES[1]!]), [IP_FRAMES[1]]);
      let { inside } = await wire.counters();
      assert.is(inside.bypass, 3, 'destination, source, IPv6');
      assert.is(inside.toSocket, 1);
      await wire.ask(`bypass ${JSON.stringify([[mapped('192.0.3.1'), 128]])}`);
      await across(row, 'client', frames);
      ({ inside } = await wire.counters());
      assert.is(inside.bypass, 4, 'the old prefixes are gone, the new one is there');
      assert.is(inside.toSocket, 3);
      await wire.ask('bypass []');
      await across(row, 'client', frames);
      ({ inside } = await wire.counters());
      assert.is(inside.toSocket, 6);
      await wire.close(true);
    }));

  test('without a worker frames cross, or are dropped where that is wanted', () =>
    withRow(1, async (row) => {
      const [open] = await WireProcess.start(row, { forward: [], failureOpen: true });
      assert.equal(await across(row, 'client', IP_FRAMES), sorted(IP_FRAMES));
      assert.equal(await across(row, 'client', [RUNT_FRAME]), [RUNT_FRAME]);
      const before = (await open.counters()).inside;
      assert.equal([before.failOpen, before.runtOpen], [IP_FRAMES.length, 1]);
      await open.close(false);

      const [closed, { tookOver }] = await WireProcess.start(row, { forward: [], failureOpen: false });
      assert.is(tookOver, true);
      const sent = [...IP_FRAMES, RUNT_FRAME, ...OTHER_FRAMES];
      assert.equal(await across(row, 'client', sent, 500), sorted(OTHER_FRAMES), 'only ARP and its like');
      const after = (await closed.counters()).inside;
      assert.equal([after.failClosed, after.runtClosed], [IP_FRAMES.length, 1]);
      assert.equal([after.failOpen, after.runtOpen], [IP_FRAMES.length, 1], 'kept over the take-over');
      await closed.close(true);
    }));

  test('a released queue fails open', () =>
    withRow(1, async (row) => {
      const [wire] = await WireProcess.start(row, {});
      await across(row, 'client', IP_FRAMES);
      await wire.ask('release 0');
      assert.equal(await across(row, 'client', IP_FRAMES), sorted(IP_FRAMES));
      const { inside, forwarded } = await wire.counters();
      assert.equal([inside.toSocket, inside.failOpen], [IP_FRAMES.length, IP_FRAMES.length]);
      assert.equal(forwarded, [IP_FRAMES.length]);
      await wire.close(true);
    }));

  test('frames longer than a frame of the UMEM are counted', () =>
    withRow(
      1,
      async (row) => {
        const [wire] = await WireProcess.start(row, {});
        const fits = longFrame(2048 - 256);
        assert.equal(await across(row, 'client', [fits]), [fits]);
        assert.equal(await across(row, 'client', [longFrame(2048 - 256 + 1)], 300), []);
        const { inside } = await wire.counters();
        assert.equal([inside.toSocket, inside.tooLong], [1, 1]);
        await wire.close(true);
      },
      3000,
    ));

  test('a killed process fails open, and the next one takes over', () =>
    withRow(1, async (row) => {
      const pps = 20_000;
      /** Floods for 1.5 s, does something in the midst, and returns what was sent and what was lost. */
      const lostWhile = async (event: () => Promise<void>): Promise<[number, number]> => {
        const heard = await listen('count', row.server, 's0', 2500);
        const sending = flood(row.client, 'c0', [ipv4Frame()], pps, 1500);
        await sleep(300);
        await event();
        const sent = await sending;
        return [sent, sent - Number((await heard())[0]!.split(' ')[0])];
      };
      const [first] = await WireProcess.start(row, {});
      const [sentAtKill, lostAtKill] = await lostWhile(() => first.kill());
      let second = first;
      const [sentAtStart, lostAtStart] = await lostWhile(async () => {
        const [process, { tookOver, message }] = await WireProcess.start(row, {});
        assert.is(tookOver, true, message);
        second = process;
      });
      console.log(`at ${pps} pps: ${lostAtKill} lost when killed, ${lostAtStart} lost at the take-over`);
      const { inside } = await second.counters();
      await second.close(true);
      // What the wire loses at this rate says for how long it was none; a pause of the sender is not one of the wire.
      assert.ok(lostAtKill < pps * 0.1, `${lostAtKill} lost when killed: no wire for more than 100 ms`);
      assert.ok(lostAtStart < pps * 0.005, `${lostAtStart} lost at the take-over`);
      assert.ok(inside.failOpen > 0 && inside.toSocket > 0);
      assert.is(inside.toSocket + inside.failOpen, sentAtKill + sentAtStart, 'each frame has its cause');
    }));

  test('what cannot work says why', () =>
    withRow(1, async (row) => {
      const refused = async (options: object, prefix: string[] = []): Promise<string> => {
        const [wire, { error, message }] = await WireProcess.start(row, options, prefix);
        if (error === undefined) await wire.close(true);
        else if (wire.child.exitCode === null) await once(wire.child, 'exit');
        return `${error}: ${message}`;
      };
      assert.match(await refused({ inside: 'eth77' }), /^E_DEVICE: eth77: there is no such device/);
      assert.match(await refused({ outside: 'in0' }), /^E_DEVICE: in0 cannot be both ports/);
      assert.match(await refused({ queues: 4 }), /^E_QUEUES: in0 has 1 queue, 4 wanted/);
      assert.match(await refused({ zeroCopy: 'required' }), /^E_ZERO_COPY: in0, queue 0: AF_XDP bind/);
      assert.match(await refused({ forward: [0, 0] }), /^E_BUSY: in0: another process has queue 0/);
      if (hasTool('setpriv')) {
        const powerless = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all'];
        assert.match(await refused({}, powerless), /^E_PRIVILEGE: /);
      }
      const [live] = await WireProcess.start(row, {});
      assert.match(await refused({}), /^E_BUSY: another weir has in0/);
      assert.equal(await across(row, 'client', IP_FRAMES), sorted(IP_FRAMES), 'the live one is unharmed');
      await live.close(true);
      inNamespace(row.wire, 'ip', ['link', 'set', 'out0', 'down']);
      assert.match(await refused({}), /^E_DEVICE: out0 is down; ip link set out0 up/);
    }));

  test('auto falls back to skb mode where frames cannot cross natively', () =>
    withRow(1, async (row) => {
      inNamespace(row.server, 'ethtool', ['-K', 's0', 'gro', 'off']);
      const [wire, opened] = await WireProcess.start(row, {});
      assert.is(opened.attachMode, 'skb');
      assert.match(opened.note!, /^out0 does not take frames that cross in the kernel/);
      assert.equal(await across(row, 'client', OTHER_FRAMES), sorted(OTHER_FRAMES));
      await wire.close(true);
    }));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test.after(cleanUp);
test.run();
