/**
 * The generator against known answers: what is asked for is sent, what is sent is counted, and a wire of known faults
 * gives just these figures.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ReceiveOptions,
  type ReceiveResult,
  receive,
  type SendOptions,
  type SendResult,
  send,
} from '../../bench/generate.js';
import { type GenerateOptions, generate } from '../../bench/generate-verb.js';
import { buildPeers } from '../../bench/inline-net.js';
import { WeirError } from '../../src/errors.js';
import { deleteNamespace, inNamespace, makeNamespace, makeVeth } from '../netns/namespaces.js';
import { Program } from '../netns/program.js';
import { type Cable, makeCable, whyNoPeers } from './generate-rig.js';

const test = suite('the generator');
const DEVICE_MODULE = new URL('../../bench/generate-device.js', import.meta.url).href;

const SEND: SendOptions = {
  device: 'near0',
  namespace: null,
  force: false,
  seconds: 10,
  count: 12_000,
  direction: 'down',
  subscribers: 5,
  base: '10.0.0.0',
  method: 'auto',
  choice: 'in turn',
  size: 'imix',
  pps: 20_000,
  rateBps: null,
  numbered: true,
  cpus: [0],
  train: 1,
  ports: 3,
  to: null,
};

/** Sends from the one end, counts at the other, until `expected` frames have come or the time is over. */
async function overCable(
  { near, far }: Cable,
  options: Partial<SendOptions>,
  expected?: number,
): Promise<{ sent: SendResult; received: ReceiveResult }> {
  const sending = { ...SEND, namespace: near, ...options };
  const { direction, subscribers, base, count } = sending;
  let onReady = (): void => {};
  const ready = new Promise<void>((resolve) => {
    onReady = resolve;
  });
  const receiving: ReceiveOptions = {
    ...{ device: 'far0', namespace: far, force: false, seconds: 12, count: expected ?? count },
    ...{ direction, subscribers, base, skb: false, onReady },
  };
  const received = receive(receiving);
  await Promise.race([ready, received]);
  const sent = await send(sending);
  return { sent, received: await received };
}

async function onCable(name: string, body: (cable: Cable) => Promise<void>): Promise<void> {
  const cable = makeCable(name);
  try {
    await body(cable);
  } finally {
    deleteNamespace(cable.near);
    deleteNamespace(cable.far);
  }
}

// ---- what it refuses --------------------------------------------------------------------------------------

const MISUSES: readonly (readonly [string, Partial<SendOptions>])[] = [
  ['a rate and packets a second', { rateBps: 1e6 }],
  ['numbers from two CPUs', { cpus: [0, 1] }],
  ['trains of live frames', { train: 2 }],
  ['more than ten minutes', { seconds: 601 }],
];
for (const [name, options] of MISUSES) {
  test(`${name}: refused before anything is sent`, async () => {
    await send({ ...SEND, namespace: 'none', ...options }).then(
      () => assert.unreachable(),
      (error: unknown) => {
        assert.ok(error instanceof WeirError);
        assert.equal([error.code, error.exitCode], ['E_USAGE', 2]);
      },
    );
  });
}

const VERB: GenerateOptions = {
  ...SEND,
  zipf: null,
  inTurn: false,
  size: '64',
  rate: null,
  pcap: null,
  speed: 1,
  loop: 1,
  receive: false,
  skb: false,
};
const WRONG: readonly (readonly [string, Partial<GenerateOptions>, RegExp])[] = [
  ['two kinds of shares', { zipf: 1, inTurn: true }, /--zipf and --in-turn/],
  ['sending and receiving', { receive: true, pcap: 'x.pcap' }, /--receive and --pcap/],
  ['a size that is no number', { size: '64b' }, /--size: '64b'/],
  ['a size that no frame has', { size: '1515' }, /--size: '1515'/],
  ['a rate that is none', { pps: null, rate: 'fast' }, /--rate: /],
  ['a capture that is not there', { pcap: '/nowhere.pcap' }, /\/nowhere.pcap: ENOENT/],
];
for (const [name, options, message] of WRONG) {
  test(`${name}: refused`, async () => {
    await generate('lo', { ...VERB, ...options }).then(
      () => assert.unreachable(),
      (error: unknown) => {
        assert.ok(error instanceof WeirError, String(error));
        assert.is(error.exitCode, 2);
        assert.match(error.message, message);
      },
    );
  });
}

const why = whyNoPeers();
if (why !== null) {
  console.log(`skipped: the generator: ${why}`);
  test.skip(`the generator: ${why}`, () => {});
} else {
  test.before(() => buildPeers());

  test('a device that carries the default route is refused, and what it is made of', () => {
    const namespace = makeNamespace('gend');
    const ip = (...words: string[]): string => inNamespace(namespace, 'ip', words);
    for (const device of ['card0', 'other0'])
      ip('link', 'add', device, 'type', 'veth', 'peer', 'name', `${device}p`);
    for (const device of ['card0', 'other0']) ip('link', 'set', device, 'up');
    // It lies above the card, as a bond or a bridge would.
    ip('link', 'add', 'link', 'card0', 'name', 'upper0', 'type', 'macvlan');
    ip('link', 'set', 'upper0', 'up');
    ip('addr', 'add', '192.0.2.1/24', 'dev', 'upper0');
    ip('route', 'add', 'default', 'via', '192.0.2.2', 'dev', 'upper0');
    const script = `
      const { checkDevice } = await import('${DEVICE_MODULE}');
      const said = await Promise.all(['other0', 'upper0', 'card0'].map((device) =>
        checkDevice(device).then(() => 'fine', (error) => error.code + ' ' + error.message.split(';')[0])));
      console.log(JSON.stringify(said));`;
    const said = inNamespace(namespace, process.execPath, ['--input-type=module', '-e', script]);
    assert.equal(JSON.parse(said), [
      'fine',
      'E_BENCH_DEVICE upper0 carries the default route',
      'E_BENCH_DEVICE card0 carries the default route of upper0',
    ]);
    deleteNamespace(namespace);
  });

  // ---- N sent is N counted --------------------------------------------------------------------------------

  for (const [method, direction, by] of [
    ['auto', 'down', 'live frames'],
    ['xdp', 'up', 'AF_XDP'],
    ['packet', 'down', 'AF_PACKET'],
  ] as const) {
    test(`a count is kept to the frame, by size and by subscriber: ${method}, ${direction}`, () =>
      onCable('gen', async (cable) => {
        const { sent, received } = await overCable(cable, { method, direction });
        if (method === 'auto' && sent.method !== by) console.log(`no live frames here: ${sent.method}`);
        else assert.is(sent.method, by);
        assert.is(sent.sent, SEND.count);
        assert.equal(
          [received.received, received.numbered, received.lost, received.reordered],
          [SEND.count, SEND.count, 0, 0],
        );
        assert.equal(received.sizePackets, { 60: 7000, 590: 4000, 1514: 1000 });
        assert.equal(received.subscriberPackets, [2400, 2400, 2400, 2400, 2400]);
        assert.is(received.bytes, 7000 * 60 + 4000 * 590 + 1000 * 1514);
        assert.ok(received.latencyUs !== null && received.latencyUs.p50 < 20_000);
        // Held up, it may be slower; it is never faster.
        assert.ok(sent.pps < SEND.pps! * 1.02 && sent.pps > SEND.pps! * 0.5, `${sent.pps} a second`);
      }));
  }

  test('two threads share a count, and a rate in bit/s is one of frames', () =>
    onCable('genr', async (cable) => {
      const rateBps = 1500 * 8 * 5000;
      const options = { cpus: [0, 1], numbered: false, size: 1500, pps: null, rateBps, count: 2501 };
      const { sent, received } = await overCable(cable, options);
      assert.equal([sent.sent, received.received, received.numbered], [2501, 2501, 0]);
      assert.is(received.latencyUs, null);
      assert.equal(received.sizePackets, { 1500: 2501 });
      assert.ok(sent.bps < rateBps * 1.02 && sent.bps > rateBps * 0.5, `${sent.bps} bit/s`);
    }));

  test('time ends it when the count does not', () =>
    onCable('gent', async (cable) => {
      const { sent } = await overCable(cable, { seconds: 0.5, count: 1e9, pps: 1000 }, 1);
      assert.ok(sent.sent > 200 && sent.sent < 600, `${sent.sent} frames`);
    }));

  for (const [name, choice, exponent] of [
    ['uniform', 'uniform', 0],
    ['zipf 1', { zipf: 1 }, 1],
    ['zipf 2', { zipf: 2 }, 2],
  ] as const) {
    test(`shares of 100 subscribers are those of ${name}`, () =>
      onCable('genz', async (cable) => {
        const [subscribers, count] = [100, 40_000];
        const options = { choice, subscribers, count, size: 64, pps: 60_000, numbered: false };
        const { received } = await overCable(cable, options);
        assert.is(received.received, count);
        const weights = Array.from({ length: subscribers }, (_, i) => (i + 1) ** -exponent);
        const sum = weights.reduce((a, b) => a + b);
        const chiSquare = weights.reduce((total, weight, i) => {
          const expected = (count * weight) / sum;
          return total + (received.subscriberPackets[i]! - expected) ** 2 / expected;
        }, 0);
        console.log(`${name}: chi-square ${chiSquare.toFixed(1)} of ${subscribers - 1} degrees of freedom`);
        // Four standard deviations; the generator's seed is always the same.
        assert.ok(chiSquare < 99 + 4 * Math.sqrt(2 * 99), `chi-square ${chiSquare}`);
      }));
  }

  // ---- a wire of known faults -----------------------------------------------------------------------------

  /** Two cables with a wire between them that delays, loses and overtakes as it is told. */
  async function overWire(
    words: readonly string[],
    options: Partial<SendOptions>,
    expected: number,
  ): Promise<{ received: ReceiveResult; wire: Record<string, number> }> {
    const [near, middle, far] = ['wn', 'wm', 'wf'].map((name) => makeNamespace(name)) as [
      string,
      string,
      string,
    ];
    try {
      makeVeth({ namespace: near, device: 'near0' }, { namespace: middle, device: 'from0' });
      makeVeth({ namespace: far, device: 'far0' }, { namespace: middle, device: 'to0' });
      inNamespace(middle, 'ethtool', ['-K', 'from0', 'gro', 'off']);
      const wire = new Program(middle, 'wire', ['from0', 'to0', '--seconds', '20', ...words]);
      await wire.ready();
      const { received } = await overCable({ near, far }, { method: 'packet', ...options }, expected);
      wire.stop();
      return { received, wire: (await wire.result()) as Record<string, number> };
    } finally {
      for (const namespace of [near, middle, far]) deleteNamespace(namespace);
    }
  }

  const FLOW = { count: 4000, pps: 4000, subscribers: 1, size: 64 } as const;
  const DELAY_US = 20_000;

  test('a wire without faults has none', async () => {
    const { received } = await overWire([], FLOW, 4000);
    assert.equal([received.received, received.lost, received.reordered], [4000, 0, 0]);
    assert.ok(received.latencyUs!.p50 < 5000, `p50 ${received.latencyUs!.p50} us`);
  });

  test('known delay, loss and reordering are what the receiver tells', async () => {
    const faults = [
      '--delay-us',
      String(DELAY_US),
      '--drop-every',
      '10',
      '--late-every',
      '7',
      '--late-us',
      '3000',
    ];
    const { received, wire } = await overWire(faults, FLOW, 3600);
    // Each seventh, but for those that are lost as well.
    const late = Math.floor(4000 / 7) - Math.floor(4000 / 70);
    assert.equal(
      [wire.received, wire.sent, wire.dropped, wire.late, wire.missed],
      [4000, 3600, 400, late, 0],
    );
    assert.is(received.received, 3600);
    // Nobody but the sender knows of the last frame, number 4000.
    assert.is(received.lost, 399);
    // A late frame is overtaken, unless the sender paused for as long just then.
    assert.ok(
      received.reordered <= late && received.reordered > 0.8 * late,
      `${received.reordered} of ${late}`,
    );
    const { min, p50, max } = received.latencyUs!;
    console.log(
      `delay ${DELAY_US} us: min ${min}, p50 ${p50}, max ${max}; ${received.reordered} of ${late} reordered`,
    );
    assert.ok(min >= DELAY_US && min < DELAY_US + 2000, `min ${min}`);
    assert.ok(p50 >= DELAY_US && p50 < DELAY_US + 5000, `p50 ${p50}`);
    assert.ok(max >= DELAY_US + 3000, `max ${max}`);
  });

  test('frames that those of others overtake are not reordered', async () => {
    // Two subscribers take turns, 2 ms apart: who is 3 ms late is overtaken by the other's next frame, not by the own.
    const faults = ['--late-every', '10', '--late-us', '3000'];
    const options = { ...FLOW, subscribers: 2, count: 600, pps: 500 };
    const { received } = await overWire(faults, options, 600);
    assert.equal([received.received, received.lost], [600, 0]);
    // Some, for whoever forwards may pause.
    assert.ok(received.reordered < 20, `${received.reordered} of 60`);
  });
}

test.run();
