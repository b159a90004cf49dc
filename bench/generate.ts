/**
 * The traffic generator by itself: checks what is asked for, builds the programs of bench/peers, and has them send or
 * receive. Every run is bounded in time and in frames.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { usageError, WeirError } from '../src/errors.js';
import { Helper } from '../src/lab/commands.js';
import { readCapture } from './generate-capture.js';
import { checkDevice } from './generate-device.js';
import { buildPeers, peerPath, untilReady } from './inline-net.js';

interface DeviceOptions {
  readonly device: string;
  /** One that the rig has made; null is where this process is, and then the device is checked. */
  readonly namespace: string | null;
  /** Also into a device that carries the default route. */
  readonly force: boolean;
  /** At most; SECONDS_MAX is the most. */
  readonly seconds: number;
  /** Frames at most. */
  readonly count: number;
}

interface SubscriberOptions {
  readonly direction: 'down' | 'up';
  readonly subscribers: number;
  /** IPv4 address of the first; the others follow. */
  readonly base: string;
}

export interface SendOptions extends DeviceOptions, SubscriberOptions {
  /** auto: frames that the kernel makes (BPF_PROG_RUN), or an AF_XDP socket where it cannot; packet: an AF_PACKET ring. */
  readonly method: 'auto' | 'xdp' | 'packet';
  /** Whose turn it is: at random, all alike, or in proportion to the `zipf`-th power of 1/rank; `in turn`. */
  readonly choice: 'uniform' | 'in turn' | { readonly zipf: number };
  /** Layer-2 bytes, or a mix. */
  readonly size: number | 'imix';
  /** Evenly spaced; null is as fast as it goes. At most one of the two. */
  readonly pps: number | null;
  /** bit/s of layer 2, from which `pps` follows by the mean size. */
  readonly rateBps: number | null;
  /** Numbers and times in the frames, for a receiver's loss, order and latency; one sending thread then. */
  readonly numbered: boolean;
  /** A thread on each; a veth's receive queue is CPU modulo queues. */
  readonly cpus: readonly number[];
  /** Frames in a row that are one flow's; above 1 not with method auto. */
  readonly train: number;
  /** Different UDP ports of the server's side. */
  readonly ports: number;
  /** Destination MAC address; null is one that is nobody's. */
  readonly to: string | null;
}

export interface SendResult {
  readonly bench: 'generate';
  readonly device: string;
  /** "live frames", "AF_XDP" or "AF_PACKET". */
  readonly method: string;
  /** Frames handed to the device; what it drops itself is seen at the far end only. */
  readonly sent: number;
  readonly seconds: number;
  readonly pps: number;
  readonly bps: number;
  readonly cpuSeconds: number;
}

export interface ReplayOptions extends DeviceOptions {
  /** The capture. */
  readonly pcap: string;
  /** 2 sends twice as fast. */
  readonly speed: number;
  readonly loop: number;
}

export interface ReplayResult {
  readonly bench: 'generate';
  readonly device: string;
  readonly pcap: string;
  /** In the capture. */
  readonly frames: number;
  readonly sent: number;
  /** The device would not take them: too long, too short. */
  readonly failed: number;
  readonly bytes: number;
  /** Whole ones. */
  readonly loops: number;
  /** Not ended by --seconds, --count or a signal. */
  readonly isWhole: boolean;
  readonly seconds: number;
  /** After a frame's time. */
  readonly lateUs: { readonly mean: number; readonly max: number };
  /** Frames of which not all bytes were captured; sent as they are. */
  readonly cutFrames: number;
  /** Frames whose time is before the one ahead of them; sent right behind it. */
  readonly backwardFrames: number;
}

export interface ReceiveOptions extends DeviceOptions, SubscriberOptions {
  /** By XDP in the kernel's generic mode, where the driver's is not wanted. */
  readonly skb: boolean;
  /** Called when it counts. */
  readonly onReady: () => void;
}

export interface ReceiveResult {
  readonly bench: 'generate';
  readonly device: string;
  readonly received: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly pps: number;
  readonly bps: number;
  readonly subscriberPackets: readonly number[];
  readonly sizePackets: Readonly<Record<string, number>>;
  /** Of the frames with numbers: those that came, numbers between the lowest and the highest that did not, and what came
   * after a later one of the same subscriber, or twice. */
  readonly numbered: number;
  readonly lost: number;
  readonly reordered: number;
  /** From the sender's clock to this device, to a microsecond; only where both are one machine. Null: none had a time. */
  readonly latencyUs: LatencyUs | null;
}

export interface LatencyUs {
  readonly min: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export const SECONDS_MAX = 600;
/** The mix of blast.c, as its mean. */
const IMIX_MEAN_BYTES = (7 * 60 + 4 * 590 + 1514) / 12;
const RECORD_BYTES = 16;
const RECORD_ALIGN = 8;
const WRITE_BYTES = 1 << 20;

/** Throws E_USAGE, E_BENCH_DEVICE, E_BENCH_PEERS, E_BENCH_GENERATE. SIGINT ends it early, with a result. */
export async function send(options: SendOptions): Promise<SendResult> {
  const { device, count, seconds, numbered, cpus, size, choice, method, train } = options;
  const meanBytes = size === 'imix' ? IMIX_MEAN_BYTES : size;
  const pps = options.rateBps === null ? options.pps : options.rateBps / 8 / meanBytes;
  if (options.rateBps !== null && options.pps !== null)
    throw usageError('E_USAGE', 'a rate and packets a second say the same; give one of them');
  if (numbered && cpus.length > 1)
    throw usageError('E_USAGE', 'frames are numbered one after the other, by one CPU');
  if (train > 1 && method === 'auto')
    throw usageError('E_USAGE', 'frames in trains are made outside the kernel; choose method xdp or packet');
  const result = await runPeer<Omit<SendResult, 'bench' | 'device' | 'bps'>>(options, 'blast', [
    ...[device, '--seconds', String(seconds), '--count', String(count), '--size', String(size)],
    ...subscriberWords(options),
    ...['--queue-cpus', cpus.join(','), '--ports', String(options.ports)],
    ...(pps === null ? [] : ['--pps', String(pps)]),
    ...(method === 'auto' ? [] : [`--af-${method}`]),
    ...(choice === 'in turn' ? ['--in-turn'] : []),
    ...(typeof choice === 'object' ? ['--zipf', String(choice.zipf)] : []),
    ...(numbered ? ['--numbered'] : []),
    ...(train === 1 ? [] : ['--train', String(train)]),
    ...(options.to === null ? [] : ['--to', options.to]),
  ]);
  const bps = Math.round(result.pps * meanBytes * 8);
  return { bench: 'generate', device, ...result, bps };
}

/** Sends a capture with its timing. Throws as `send`, and E_CAPTURE for a file that is none. */
export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  const { device, pcap, speed, loop, seconds, count } = options;
  const folder = await mkdtemp(join(tmpdir(), 'weir-replay-'));
  try {
    const file = join(folder, 'frames');
    const { cutFrames, backwardFrames } = writeFrames(pcap, file);
    const result = await runPeer<Omit<ReplayResult, 'bench'>>(options, 'replay', [
      ...[device, file, '--speed', String(speed), '--loop', String(loop)],
      ...['--seconds', String(seconds), '--count', String(count)],
    ]);
    return { ...result, bench: 'generate', device, pcap, cutFrames, backwardFrames };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Counts what arrives, and takes it: nothing behind the device sees a frame meanwhile. Throws as `send`. */
export async function receive(options: ReceiveOptions): Promise<ReceiveResult> {
  const { device, seconds, count, skb, onReady } = options;
  const { packets, missing, late, latencyUs, ...seen } = await runPeer<{
    packets: number;
    bytes: number;
    seconds: number;
    pps: number;
    subscriberPackets: number[];
    sizePackets: Record<string, number>;
    numbered: number;
    missing: number;
    late: number;
    latencyUs: LatencyUs & { probes: number };
  }>(
    options,
    'sink',
    [
      ...[device, '--seconds', String(Math.ceil(seconds)), '--count', String(count)],
      ...subscriberWords(options),
      ...['--order', '--sizes', '--latency', '0'],
      ...(skb ? ['--skb'] : []),
    ],
    onReady,
  );
  const { min, p50, p99, p999, max, probes } = latencyUs;
  return {
    bench: 'generate',
    device,
    received: packets,
    bytes: seen.bytes,
    seconds: seen.seconds,
    pps: seen.pps,
    bps: Math.round((seen.bytes * 8) / seen.seconds),
    subscriberPackets: seen.subscriberPackets,
    sizePackets: seen.sizePackets,
    numbered: seen.numbered,
    lost: missing,
    reordered: late,
    latencyUs: probes === 0 ? null : { min, p50, p99, p999, max },
  };
}

function subscriberWords({ direction, subscribers, base }: SubscriberOptions): string[] {
  return ['--direction', direction, '--subscribers', String(subscribers), '--base', base];
}

/** A result as lines for people: what is long is left to JSON. */
export function generateText(result: SendResult | ReplayResult | ReceiveResult): string {
  return Object.entries(result)
    .filter(([name]) => name !== 'bench' && name !== 'subscriberPackets')
    .map(([name, value]) => `${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}\n`)
    .join('');
}

/** Runs one of bench/peers to its end, or until SIGINT or SIGTERM ends it early. */
async function runPeer<T>(
  options: DeviceOptions,
  program: string,
  words: readonly string[],
  onReady?: () => void,
): Promise<T> {
  const { device, namespace, force, seconds } = options;
  if (seconds > SECONDS_MAX) throw usageError('E_USAGE', `at most ${SECONDS_MAX} seconds`);
  if (namespace === null && !force) await checkDevice(device);
  await buildPeers();
  const within = namespace === null ? [] : ['ip', 'netns', 'exec', namespace];
  let output = '';
  const peer = new Helper([...within, peerPath(program), ...words], (text) => (output += text));
  const stop = (): void => void peer.stop();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    if (onReady !== undefined) await untilReady(peer).then(onReady);
    if ((await peer.exited) !== 0) throw new WeirError('E_BENCH_GENERATE', peer.lastWords);
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
  return JSON.parse(output) as T;
}

/** The capture as peers/frames.h has it. */
export function writeFrames(
  capture: string,
  path: string,
): Pick<ReplayResult, 'frames' | 'cutFrames' | 'backwardFrames'> {
  const counts = { frames: 0, cutFrames: 0, backwardFrames: 0 };
  const fd = openSync(path, 'w');
  try {
    let pieces: Buffer[] = [];
    let pending = 0;
    let firstNs = 0n;
    let lastNs = 0n;
    for (const { atNs, bytes, wireBytes } of readCapture(capture)) {
      if (counts.frames === 0) firstNs = lastNs = atNs;
      if (atNs < lastNs) counts.backwardFrames++;
      lastNs = atNs > lastNs ? atNs : lastNs;
      counts.frames++;
      if (bytes.length < wireBytes) counts.cutFrames++;
      const record = recordOf(lastNs - firstNs, bytes);
      pieces.push(record);
      pending += record.length;
      if (pending < WRITE_BYTES) continue;
      writeAll(fd, Buffer.concat(pieces));
      pieces = [];
      pending = 0;
    }
    writeAll(fd, Buffer.concat(pieces));
  } finally {
    closeSync(fd);
  }
  if (counts.frames === 0) throw usageError('E_CAPTURE', `${capture}: no frames`);
  return counts;
}

function recordOf(atNs: bigint, bytes: Buffer): Buffer {
  const record = Buffer.alloc(RECORD_BYTES + Math.ceil(bytes.length / RECORD_ALIGN) * RECORD_ALIGN);
  record.writeBigUInt64LE(atNs, 0);
  record.writeUInt32LE(bytes.length, 8);
  bytes.copy(record, RECORD_BYTES);
  return record;
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}
