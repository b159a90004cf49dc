/**
 * The packet backend between veth pairs in namespaces: s0 of `subs`, in0 and out0 of `weir`, r0 of `net`. A process
 * in `weir` forwards between in0 and out0; whole frames are sent and captured at the ends.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildFrame } from '../../src/dataplane/frame-builder.js';
import { FRAME_HEADROOM_BYTES, Statistic } from '../../src/rings/io.js';
import { frameCatalogue } from '../dataplane/frame-catalogue.js';
import {
  cleanUp,
  inNamespace,
  makeNamespace,
  makeVeth,
  packageRoot,
  startInNamespace,
  whyNoNamespaces,
} from '../netns/namespaces.js';
import type { Options, Result } from './packet_process.js';

const CAPTURE_MS = 2500;
/** A frame of the UMEM without the headroom. */
const FRAME_BYTES_MAX = 2048 - FRAME_HEADROOM_BYTES;
const native = join(packageRoot(), 'native');
const rawframes = join(native, 'build', 'rawframes');
const processPath = fileURLToPath(new URL('./packet_process.js', import.meta.url));
const inside = 0;
const outside = Statistic.COUNT;

interface Namespaces {
  readonly subs: string;
  readonly weir: string;
  readonly net: string;
}

// ---- a forwarding process ---------------------------------------------------------------------------------

class Forwarding {
  private readonly lines: AsyncIterator<string>;
  private constructor(
    readonly child: ChildProcess,
    reader: Interface,
  ) {
    this.lines = reader[Symbol.asyncIterator]();
  }

  static async start(namespace: string, options: Partial<Options> = {}): Promise<Forwarding> {
    const forwarding = Forwarding.spawn(namespace, options);
    assert.equal(await forwarding.answer(), { ready: true });
    return forwarding;
  }

  static spawn(namespace: string, options: Partial<Options>): Forwarding {
    const all: Options = {
      inside: 'in0',
      outside: 'out0',
      queues: 1,
      frames: 4096,
      ringSize: 1024,
      ...options,
    };
    const child = startInNamespace(namespace, process.execPath, [processPath, JSON.stringify(all)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    return new Forwarding(child, createInterface({ input: child.stdout! }));
  }

  /** The next line as an object; undefined at the end. */
  async answer(): Promise<Record<string, unknown> | undefined> {
    const { value, done } = await this.lines.next();
    return done ? undefined : (JSON.parse(value) as Record<string, unknown>);
  }

  say(command: string): void {
    this.child.stdin!.write(`${command}\n`);
  }

  async stop(): Promise<Result> {
    this.say('stop');
    return (await this.answer()) as unknown as Result;
  }
}

// ---- frames at the ends -----------------------------------------------------------------------------------

/** Captures what arrives at `device` while `send` runs, until `wanted` frames are there or the time is up. */
async function captured(
  namespace: string,
  device: string,
  wanted: number,
  send: () => void,
): Promise<string[]> {
  const child = startInNamespace(namespace, rawframes, ['capture', device, String(CAPTURE_MS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const frames: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    if (line === 'ready') send();
    else frames.push(line);
    if (frames.length === wanted) break;
  }
  child.kill();
  return frames;
}

function sendFrames(namespace: string, device: string, frames: readonly string[], times = 1): void {
  execFileSync('ip', ['netns', 'exec', namespace, rawframes, 'send', device, String(times)], {
    input: `${frames.join('\n')}\n`,
  });
}

function hex(frame: Uint8Array): string {
  return Buffer.from(frame).toString('hex');
}

function udp(last: number, frameBytes: number, vlans: { id: number; tpid?: number }[] = []): string {
  const ports = { sport: 1000 + last, dport: 53 };
  return hex(
    buildFrame({ src: `10.0.0.${last}`, dst: '198.18.0.1', protocol: 'udp', ...ports, vlans, frameBytes }),
  );
}

/** Frames of every kind, at all lengths that count: the parser's catalogue, frames of full length, and an ARP request. */
function everyKind(): string[] {
  const catalogue = frameCatalogue();
  const step = Math.ceil(catalogue.length / 200);
  const arp = `ffffffffffff0200000000010806${'0001080006040001'}${'00'.repeat(38)}`;
  return [
    ...catalogue
      .filter((_, i) => i % step === 0)
      .map(({ spec }) => hex(buildFrame(spec)))
      .filter((frame) => frame.length <= 2 * FRAME_BYTES_MAX),
    udp(1, 1514),
    udp(2, 1518, [{ id: 7 }]),
    udp(3, 1522, [{ id: 9, tpid: 0x88a8 }, { id: 7 }]),
    udp(4, FRAME_BYTES_MAX),
    arp,
  ];
}

/** Queues overtake each other, so with two what counts is which frames came. Whole lists would fill screens. */
function assertSame(got: readonly string[], expected: readonly string[], inOrder: boolean): void {
  const lost = expected.filter((frame) => !got.includes(frame));
  const foreign = got.filter((frame) => !expected.includes(frame));
  assert.equal({ lost, foreign, count: got.length }, { lost: [], foreign: [], count: expected.length });
  if (inOrder) assert.ok(got.every((frame, i) => frame === expected[i]));
}

// ---- set-up -----------------------------------------------------------------------------------------------

const missing = whyNoNamespaces() ?? whyNoLibrary();
const test = suite('packet backend');
let made = 0;

function whyNoLibrary(): string | null {
  if (!existsSync(join(native, 'build', 'libweir.so')))
    return 'native/build/libweir.so is not there; run native/setup';
  execFileSync('make', ['--silent', '-C', native, 'tools']);
  return null;
}

/** The wire, with one forwarding daemon's place in the middle. Its devices take frames longer than those of a UMEM. */
function makeWire(): Namespaces {
  const number = made++;
  const [subs, weir, net] = ['subs', 'weir', 'net'].map((name) => makeNamespace(`${name}${number}`)) as [
    string,
    string,
    string,
  ];
  makeVeth({ namespace: subs, device: 's0' }, { namespace: weir, device: 'in0' });
  makeVeth({ namespace: net, device: 'r0' }, { namespace: weir, device: 'out0' });
  for (const [namespace, device] of [
    [subs, 's0'],
    [weir, 'in0'],
    [weir, 'out0'],
    [net, 'r0'],
  ] as const) {
    setMtu(namespace, device, 9000);
  }
  return { subs, weir, net };
}

function setMtu(namespace: string, device: string, mtuBytes: number): void {
  inNamespace(namespace, 'ip', ['link', 'set', device, 'mtu', String(mtuBytes)]);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

/** One statistic of all queues. */
function total(result: Result, port: number, statistic: Statistic): number {
  return sum(result.statistics.map((queue) => queue[port + statistic]!));
}

// ---- tests ------------------------------------------------------------------------------------------------

function addNamespaceTests(): void {
  for (const queues of [1, 2]) {
    test(`frames of every kind arrive byte for byte, ${queues} queues`, async () => {
      const { subs, weir, net } = makeWire();
      const forwarding = await Forwarding.start(weir, { queues });
      const frames = everyKind();
      const up = await captured(net, 'r0', frames.length, () => sendFrames(subs, 's0', frames));
      const down = await captured(subs, 's0', frames.length, () => sendFrames(net, 'r0', frames));
      assertSame(up, frames, queues === 1);
      assertSame(down, frames, queues === 1);
      const result = await forwarding.stop();
      assert.is(sum(result.forwarded), 2 * frames.length);
      for (const count of result.forwarded) assert.ok(count > 0, `forwarded ${result.forwarded}`);
    });
  }

  test('both directions of a flow are on one queue', async () => {
    const { subs, weir, net } = makeWire();
    const forwarding = await Forwarding.start(weir, { queues: 2 });
    const there = { src: '10.0.0.9', dst: '198.18.0.1', sport: 4000, dport: 80 };
    const back = { src: there.dst, dst: there.src, sport: there.dport, dport: there.sport };
    const frame = (ends: typeof there): string =>
      hex(buildFrame({ ...ends, protocol: 'tcp', frameBytes: 64 }));
    await captured(net, 'r0', 20, () => sendFrames(subs, 's0', [frame(there)], 20));
    await captured(subs, 's0', 20, () => sendFrames(net, 'r0', [frame(back)], 20));
    assert.equal((await forwarding.stop()).forwarded.sort(), [0, 40]);
  });

  test('frames too long for the UMEM or for the other port are counted', async () => {
    const { subs, weir, net } = makeWire();
    setMtu(weir, 'out0', 1500);
    const forwarding = await Forwarding.start(weir);
    const frames = [udp(1, FRAME_BYTES_MAX + 1), udp(2, 3000), udp(3, 1523), udp(4, 64)];
    assert.equal(await captured(net, 'r0', 1, () => sendFrames(subs, 's0', frames)), [frames[3]]);
    const result = await forwarding.stop();
    assert.is(total(result, inside, Statistic.RX_TOO_LONG), 2);
    assert.is(total(result, inside, Statistic.RX_DROPPED), 2);
    assert.is(total(result, outside, Statistic.TX_INVALID), 1);
  });

  test('a tag makes a frame too long as well', async () => {
    const { subs, weir, net } = makeWire();
    const forwarding = await Forwarding.start(weir);
    const frames = [udp(1, FRAME_BYTES_MAX + 4, [{ id: 5 }]), udp(2, FRAME_BYTES_MAX, [{ id: 5 }])];
    assert.equal(await captured(net, 'r0', 1, () => sendFrames(subs, 's0', frames)), [frames[1]]);
    assert.is(total(await forwarding.stop(), inside, Statistic.RX_TOO_LONG), 1);
  });

  test('what the sender left to the device is completed: UDP checksums', async () => {
    const { subs, weir, net } = makeWire();
    const forwarding = await Forwarding.start(weir);
    inNamespace(subs, 'ethtool', ['-K', 's0', 'tx', 'on']);
    inNamespace(subs, 'ip', ['address', 'add', '10.0.0.1/24', 'dev', 's0']);
    inNamespace(subs, 'ip', ['neighbour', 'add', '10.0.0.2', 'lladdr', '02:00:00:00:00:02', 'dev', 's0']);
    const frames = await captured(net, 'r0', 2, () => {
      for (const text of ['even', 'uneven!']) {
        inNamespace(subs, 'bash', ['-c', `printf %s '${text}' > /dev/udp/10.0.0.2/9`]);
      }
    });
    assert.is(frames.length, 2);
    for (const frame of frames) assert.is(udpChecksumResidue(Buffer.from(frame, 'hex')), 0xffff, frame);
    await forwarding.stop();
  });

  test('what finds no room is counted', async () => {
    const { subs, weir } = makeWire();
    const forwarding = await Forwarding.start(weir, { frames: 256, ringSize: 64, waits: true });
    const sent = 20_000;
    sendFrames(subs, 's0', [udp(1, 1000), udp(2, 500)], sent / 2);
    forwarding.say('go');
    const result = await forwarding.stop();
    const dropped = total(result, inside, Statistic.RX_DROPPED);
    assert.ok(dropped > 0 && dropped < sent, `${dropped} dropped`);
    assert.is(sum(result.forwarded) + dropped, sent);
  });

  test('a device that goes down and comes back', async () => {
    const { subs, weir, net } = makeWire();
    const forwarding = await Forwarding.start(weir);
    inNamespace(weir, 'ip', ['link', 'set', 'in0', 'down']);
    inNamespace(weir, 'ip', ['link', 'set', 'in0', 'up']);
    const frames = [udp(1, 100), udp(2, 200)];
    assert.equal(await captured(net, 'r0', 2, () => sendFrames(subs, 's0', frames)), frames);
    assert.equal(await captured(subs, 's0', 2, () => sendFrames(net, 'r0', frames)), frames);
    await forwarding.stop();
  });

  test('a device that went down does not keep an idle worker awake', async () => {
    const { weir } = makeWire();
    const forwarding = await Forwarding.start(weir);
    inNamespace(weir, 'ip', ['link', 'set', 'in0', 'down']);
    inNamespace(weir, 'ip', ['link', 'set', 'in0', 'up']);
    const { lastTurns } = await forwarding.stop();
    assert.ok(lastTurns < 1000, `${lastTurns} turns in a second without a frame`);
  });

  test('a device belongs to one process', async () => {
    const { weir } = makeWire();
    const forwarding = await Forwarding.start(weir);
    assert.is((await Forwarding.spawn(weir, {}).answer())!.error, 'E_BUSY');
    await forwarding.stop();
    const next = await Forwarding.start(weir);
    await next.stop();
  });

  test('a device that is missing or down', async () => {
    const { weir } = makeWire();
    const missingDevice = await Forwarding.spawn(weir, { outside: 'out9' }).answer();
    assert.is(missingDevice!.error, 'E_DEVICE');
    assert.match(String(missingDevice!.message), 'out9');
    inNamespace(weir, 'ip', ['link', 'set', 'in0', 'down']);
    const down = await Forwarding.spawn(weir, {}).answer();
    assert.is(down!.error, 'E_DEVICE');
    assert.match(String(down!.message), 'in0');
  });
}

test('a user without privileges', async () => {
  const options: Options = { inside: 'lo', outside: 'lo', queues: 1, frames: 64, ringSize: 64 };
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const child = spawn(process.execPath, [processPath, JSON.stringify(options)], {
    ...nobody,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await createInterface({ input: child.stdout! })
    [Symbol.asyncIterator]()
    .next()
    .then(({ value }) => [JSON.parse(value as string) as { error: string; message: string }]);
  assert.is(line!.error, 'E_PRIVILEGE');
  assert.match(line!.message, 'CAP_NET_RAW');
});

/** Sum of pseudo header and UDP of an IPv4 frame: 0xffff when the checksum is right (RFC 768). */
function udpChecksumResidue(frame: Buffer): number {
  const udpBytes = frame.readUInt16BE(38);
  let checksum = 17 + udpBytes;
  for (let at = 26; at < 34; at += 2) checksum += frame.readUInt16BE(at);
  const datagram = Buffer.concat([frame.subarray(34, 34 + udpBytes), Buffer.alloc(udpBytes & 1)]);
  for (let at = 0; at < datagram.length; at += 2) checksum += datagram.readUInt16BE(at);
  while (checksum > 0xffff) checksum = (checksum & 0xffff) + (checksum >>> 16);
  return checksum;
}

if (missing === null) addNamespaceTests();
else process.stdout.write(`skipped: ${missing}\n`);
test.after(cleanUp);
test.run();
