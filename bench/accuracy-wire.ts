/** What stands on the wire of `accuracy` and `agree`, the load that it gets, and what comes out of it. */

import { readdir } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatIpv4 } from '../classes/prefix.js';
import { WeirError } from '../src/errors.js';
import { Helper, run } from '../src/lab/commands.js';
import type { ClassDoc } from './canary.js';
import { DEVICES, type InlineNet, readResult } from './inline-net.js';
import { Paths } from './inline-paths.js';
import { type Bursts, KernelHtb } from './kernel-htb.js';

/** weir with so many queues, or the kernel's HTB with such bursts. */
export type Shaper =
  | { readonly kind: 'weir'; readonly queues: number }
  | { readonly kind: 'htb'; readonly bursts: Bursts };

export interface Wire {
  readonly net: InlineNet;
  readonly folder: string;
}

/** Frames in turn to so many subscribers, evenly spaced. */
export interface Load {
  readonly subscribers: number;
  /** Layer-2 bits a second to all of them; null: as much as can be made. */
  readonly offeredBps: number | null;
  readonly frameBytes: number;
  /** Each sends its part, and onto the queue of its number. */
  readonly cpus: readonly number[];
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** Layer-2 bit/s at the sink. */
export interface Received {
  /** By subscriber. */
  readonly bps: readonly number[];
  /** Of all together, in windows of WINDOW_MS. */
  readonly windowsBps: readonly number[];
  /** What was sent, on average of the generator's whole run; null where the sender finds its rate itself. */
  readonly offeredBps: number | null;
}

export const FIRST_SUBSCRIBER = 0x0a000001;
export const WINDOW_MS = 100;
const SENDER = '10.128.0.1';
const START_MS = 100;
const LISTEN_MAX_MS = 5000;
const POLL_MS = 20;
/** Packets that a leaf holds. */
const LIMIT_PACKETS = 200;
/** As the lab's daemon: workers, generator and sink share the CPUs here as they never would elsewhere. */
const PREFERRED_NICE = -15;
const SPARE_SECONDS = 10;
const BITS_PER_BYTE = 8;
/** What AF_PACKET can pace while it sleeps between frames. */
const PACKET_SOCKET_PPS = 300_000;

/** Runs `body`, at most so many seconds, while the shaper with these classes stands between generator and sink. */
export async function whileShaping<T>(
  { net, folder }: Wire,
  shaper: Shaper,
  classes: readonly ClassDoc[],
  seconds: number,
  body: () => Promise<T>,
): Promise<T> {
  // Leaves that every kernel has. Upwards go acknowledgements only, so that nothing is said of them.
  const own = classes.map((spec) => ({ ...spec }));
  const document = { version: 1, leaf: 'pfifo', limit: LIMIT_PACKETS, classes: own } as const;
  const limitPackets = LIMIT_PACKETS;
  if (shaper.kind === 'weir') {
    const { queues } = shaper;
    const paths = await Paths.create({ net, folder, queues, document, bursts: 'tree', limitPackets });
    return paths.path('weir xdp').while(seconds, async () => {
      await preferAllIn(net.shaper);
      return body();
    });
  }
  const { bursts } = shaper;
  await freeDevices(net);
  const devices = { namespace: net.shaper, ingress: DEVICES.outside, egress: DEVICES.inside };
  const htb = new KernelHtb({
    ...devices,
    document,
    direction: 'down',
    bursts,
    queues: 1,
    limitPackets,
    folder,
  });
  await htb.load();
  try {
    return await htb.while('priority', seconds, body);
  } finally {
    await htb.unload();
  }
}

/** A daemon that had to be killed leaves its program on the devices. */
async function freeDevices(net: InlineNet): Promise<void> {
  for (const device of [DEVICES.outside, DEVICES.inside])
    await run(['ip', '-n', net.shaper, 'link', 'set', 'dev', device, 'xdpdrv', 'off']);
}

/** Loads the wire, and counts at the sink once the warm-up is over. */
export async function receiveUdp({ net }: Wire, load: Load): Promise<Received> {
  const { subscribers, offeredBps, frameBytes, cpus, warmUpSeconds, seconds } = load;
  const who = ['--subscribers', String(subscribers), '--base', formatIpv4(FIRST_SUBSCRIBER)];
  const pps = offeredBps === null ? null : offeredBps / frameBytes / BITS_PER_BYTE;
  const longest = String(warmUpSeconds + seconds + SPARE_SECONDS);
  const blast = net.startPeer(
    net.generator,
    'blast',
    ...[DEVICES.generator, '--direction', 'down', ...who, '--in-turn', '--size', String(frameBytes)],
    ...['--seconds', longest, '--queue-cpus', cpus.join(',')],
    ...(pps === null ? [] : ['--pps', String(pps)]),
    ...(pps === null || pps > PACKET_SOCKET_PPS ? [] : ['--af-packet']),
  );
  let received: Omit<Received, 'offeredBps'>;
  try {
    await sleep(START_MS);
    // A paced generator rests between frames, and should not have to wait for its turn; one that floods must not go first.
    if (pps !== null) await preferAllIn(net.generator);
    await sleep(warmUpSeconds * 1e3);
    const { windowsBps, subscriberBytes } = await countAtSink(net, seconds, who);
    blast.assertRunning();
    const bps = meanOf(windowsBps);
    const bytes = subscriberBytes.reduce((sum, each) => sum + each, 0);
    if (bytes === 0) throw new WeirError('E_BENCH_PEERS', 'nothing arrives at the sink');
    received = { bps: subscriberBytes.map((each) => (each / bytes) * bps), windowsBps };
  } finally {
    await blast.stop();
  }
  const { pps: sentPps } = readResult<{ pps: number }>(blast);
  return { ...received, offeredBps: sentPps * frameBytes * BITS_PER_BYTE };
}

/** Gives both ends of the wire addresses, and frames as real cards would send them. */
export async function prepareTcp({ net }: Wire): Promise<void> {
  const ends = [
    [net.generator, DEVICES.generator, SENDER],
    [net.sink, DEVICES.sink, formatIpv4(FIRST_SUBSCRIBER)],
  ] as const;
  for (const [space, device, address] of ends) {
    await run(['ip', '-n', space, 'addr', 'add', `${address}/8`, 'dev', device]);
    // A veth would hand over frames without a checksum and of up to 64 kB.
    const offloads = ['tx', 'off', 'tso', 'off', 'gso', 'off'];
    await run(['ip', 'netns', 'exec', space, 'ethtool', '-K', device, ...offloads]);
  }
}

/** One connection to the first subscriber, counted on its way into the device. Throws E_BENCH_IPERF. */
export async function receiveTcp({ net }: Wire, warmUpSeconds: number, seconds: number): Promise<Received> {
  const within = (space: string, ...command: string[]): string[] => [
    'ip',
    'netns',
    'exec',
    space,
    ...command,
  ];
  const time = String(Math.ceil(warmUpSeconds + seconds + SPARE_SECONDS));
  // Nobody is left to end it when the bench is interrupted.
  const bounded = ['timeout', time, 'iperf3', '--server', '--one-off', '--forceflush'];
  const server = new Helper(within(net.sink, ...bounded));
  let client: Helper | null = null;
  try {
    for (let waitedMs = 0; !server.lastWords.includes('listening'); waitedMs += POLL_MS) {
      server.assertRunning();
      if (waitedMs > LISTEN_MAX_MS) throw new WeirError('E_BENCH_IPERF', 'the iperf3 server does not listen');
      await sleep(POLL_MS);
    }
    const to = formatIpv4(FIRST_SUBSCRIBER);
    client = new Helper(within(net.generator, 'iperf3', '--client', to, '--time', time));
    await sleep(warmUpSeconds * 1e3);
    const { windowsBps } = await countAtSink(net, seconds, ['--pass']);
    client.assertRunning();
    return { bps: [meanOf(windowsBps)], windowsBps, offeredBps: null };
  } finally {
    await client?.stop();
    await server.stop();
  }
}

interface SinkResult {
  /** Where it was asked to count them. */
  readonly subscriberBytes?: readonly number[];
  readonly milliBytes: readonly number[];
  readonly firstMilli: number;
}

/**
 * What an XDP program at the sink's device counts: whole frames, by the kernel's clock at which each arrives. No thread has
 * to get a CPU in time for it, so what is counted too much or too little is a frame at either end.
 */
async function countAtSink(
  net: InlineNet,
  seconds: number,
  options: readonly string[],
): Promise<{ windowsBps: number[]; subscriberBytes: readonly number[] }> {
  const counting = [DEVICES.sink, '--seconds', String(seconds), '--millis', ...options];
  const counted = await net.peer<SinkResult>(net.sink, 'sink', ...counting);
  const { milliBytes, firstMilli, subscriberBytes = [] } = counted;
  const windowsBps = windowsOf(milliBytes.slice(firstMilli)).map(
    (bytes) => (bytes * BITS_PER_BYTE * 1e3) / WINDOW_MS,
  );
  return { windowsBps, subscriberBytes };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function windowsOf(millis: readonly number[]): number[] {
  return Array.from({ length: Math.floor(millis.length / WINDOW_MS) }, (_, window) =>
    millis.slice(window * WINDOW_MS, (window + 1) * WINDOW_MS).reduce((sum, bytes) => sum + bytes, 0),
  );
}

async function pidsIn(space: string): Promise<number[]> {
  return (await run(['ip', 'netns', 'pids', space])).trim().split('\n').map(Number);
}

/** Every thread of every process there: a thread keeps its own priority. */
async function preferAllIn(space: string): Promise<void> {
  for (const pid of await pidsIn(space))
    for (const thread of await readdir(`/proc/${pid}/task`)) setPriority(Number(thread), PREFERRED_NICE);
}
