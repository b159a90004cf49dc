/** The kernel's HTB as the benchmarks set it up: every class as the tree has it, and every subscriber's packets in its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildPeers, DEVICES, InlineNet, untilReady } from '../../bench/inline-net.js';
import { FORWARDINGS } from '../../bench/inline-words.js';
import {
  type Bursts,
  KernelHtb,
  type KernelWire,
  whileForwarding,
  whyNoKernelHtb,
} from '../../bench/kernel-htb.js';
import type { Helper } from '../../src/lab/commands.js';
import { hasTool, whyNoNamespaces } from '../netns/namespaces.js';

const test = suite('the kernel HTB as a peer');
const PARENT_BPS = 80e6;
const SUBSCRIBERS = 3;
const SECONDS = 20;
const FRAMES = 15;

/** Subscriber i has i + 1 Mbit/s. */
const document = {
  version: 1,
  default: 'rest',
  classes: [
    { id: 'uplink', down: { rate: PARENT_BPS }, up: { rate: 1e6 } },
    { id: 'rest', parent: 'uplink', leaf: 'pfifo', down: { rate: 1e6 }, up: { rate: 1e6 } },
    ...Array.from({ length: SUBSCRIBERS }, (_, i) => ({
      id: `u${i}`,
      parent: 'uplink',
      leaf: 'pfifo',
      match: `10.0.0.${i}`,
      down: { rate: (i + 1) * 1e6, ceil: PARENT_BPS },
      up: { rate: 1e6 },
    })),
  ],
};

const why = whyNot();
if (why !== null) {
  test(`skipped: ${why}`, () => {});
  console.log(`skipped: ${why}`);
}

function whyNot(): string | null {
  const missing = ['make', 'clang', 'tc'].find((tool) => !hasTool(tool));
  return whyNoNamespaces() ?? (missing === undefined ? null : `the command ${missing} is missing`);
}

interface Bench {
  readonly net: InlineNet;
  htb(queues: number, bursts: Bursts, forwarding?: KernelWire['forwarding']): KernelHtb;
  /** Sends to one subscriber; how many frames. */
  send(subscriber: number, cpu: number): Promise<number>;
}

/** Runs `body` between two devices of two queues each, where the kernel has what it takes. */
async function onWire(body: (bench: Bench) => Promise<void>): Promise<void> {
  await buildPeers();
  const net = new InlineNet();
  const folder = mkdtempSync(join(tmpdir(), 'weir-htb-'));
  try {
    await net.create(2);
    const missing = await whyNoKernelHtb(net.shaper);
    if (missing !== null) return console.log(`skipped: ${missing}`);
    const devices = { namespace: net.shaper, ingress: DEVICES.outside, egress: DEVICES.inside };
    await body({
      net,
      htb: (queues, bursts, forwarding = 'redirect') =>
        new KernelHtb({
          ...devices,
          forwarding,
          document,
          direction: 'down',
          bursts,
          queues,
          limitPackets: 100,
          folder,
        }),
      send: async (subscriber, cpu) => {
        const only = [
          '--base',
          `10.0.0.${subscriber}`,
          '--queue-cpus',
          String(cpu),
          '--pps',
          '2000',
          '--count',
          String(FRAMES),
        ];
        const words = [DEVICES.generator, '--af-packet', '--seconds', '5', ...only];
        return (await net.peer<{ sent: number }>(net.generator, 'blast', ...words)).sent;
      },
    });
  } finally {
    await net.remove();
    rmSync(folder, { recursive: true });
  }
}

const WAYS = [
  ['priority', 1, 'redirect'],
  ['priority', 2, 'redirect'],
  ['filter', 1, 'redirect'],
  ['filter', 2, 'redirect'],
  ['priority', 2, 'route'],
  ['filter', 1, 'route'],
] as const;
for (const [by, queues, forwarding] of why === null ? WAYS : []) {
  test(`a packet by ${by} lands in its class, ${queues} HTB, ${forwarding}`, () =>
    onWire(async ({ net, htb, send }) => {
      const kernel = htb(queues, 'tree', forwarding);
      await kernel.load();
      const sent: number[] = [];
      await kernel.while(by, SECONDS, async () => {
        const sink = await startSink(net);
        // One more than there are classes, and it goes to the default; from both CPUs, which are both queues.
        for (let i = 0; i <= SUBSCRIBERS; i++) sent.push((await send(i, 0)) + (await send(i, 1)));
        await sink.stop();
        assert.is(packetsOf(sink), sum(sent));
      });
      const classes = await kernel.classes();
      const packets = ['u0', 'u1', 'u2', 'rest'].map((id) => classes.get(id)!.packets);
      assert.equal(packets, sent);
      assert.equal(
        sent,
        sent.map(() => 2 * FRAMES),
      );
    }));
}

if (why === null) {
  test('classes have the rates of the tree, and what is asked for as bursts', () =>
    onWire(async ({ htb }) => {
      const bursts: Record<string, string> = {};
      for (const which of ['kernel', 'tree', 32_768] as const) {
        const kernel = htb(1, which);
        await kernel.load();
        const classes = await kernel.classes();
        assert.equal([...classes.keys()], ['uplink', 'rest', 'u0', 'u1', 'u2']);
        for (let i = 0; i < SUBSCRIBERS; i++) assert.is(classes.get(`u${i}`)!.rate, `${i + 1}Mbit`);
        assert.is(classes.get('u1')!.ceil, '80Mbit');
        bursts[which] = classes.get('u2')!.burst;
      }
      assert.is(new Set(Object.values(bursts)).size, 3, JSON.stringify(bursts));
    }));

  test('with an HTB for each queue a class has its share of the rate at each', () =>
    onWire(async ({ htb }) => {
      const kernel = htb(2, 'tree');
      await kernel.load();
      assert.is((await kernel.classes()).get('u1')!.rate, '1Mbit');
    }));

  for (const queues of [1, 2])
    test(`classes that are loaded get other rates: ${queues} HTB`, () =>
      onWire(async ({ htb }) => {
        const kernel = htb(queues, 32_768);
        await kernel.load();
        const faster = document.classes.map((spec) => ({ ...spec, down: { rate: 2 * spec.down.rate } }));
        await kernel.change({ ...document, classes: faster }, 16_384);
        const classes = await kernel.classes();
        assert.equal([...classes.keys()], ['uplink', 'rest', 'u0', 'u1', 'u2']);
        assert.is(classes.get('u2')!.rate, `${6 / queues}Mbit`);
        assert.is(classes.get('u2')!.ceil, `${6 / queues}Mbit`);
        assert.is(classes.get('u2')!.burst, '16Kb');
      }));

  for (const forwarding of FORWARDINGS) {
    test(`the bare path passes every frame, and leaves nothing behind: ${forwarding}`, () =>
      onWire(async ({ net, send }) => {
        const devices = { ingress: DEVICES.outside, egress: DEVICES.inside, queues: 2 };
        const wire = { namespace: net.shaper, ...devices, forwarding };
        const sink = await startSink(net);
        let sent = 0;
        // Twice: the second would say that something is there already.
        for (let i = 0; i < 2; i++)
          await whileForwarding(wire, SECONDS, async () => void (sent += await send(0, 0)));
        await send(0, 0);
        await sink.stop();
        assert.is(packetsOf(sink), sent);
      }));
  }
}

async function startSink(net: InlineNet): Promise<Helper> {
  const sink = net.startPeer(net.sink, 'sink', DEVICES.sink, '--seconds', String(SECONDS));
  await untilReady(sink);
  return sink;
}

function packetsOf(sink: Helper): number {
  return JSON.parse(sink.lastWords.replace('ready', '')).packets;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

test.run();
