/**
 * Subscribers with an address each, TCP and floods as they have them, and round trips measured beside it.
 *
 *     internet [net0] iperf3, blast ──▶ [out0] weir [in0] ──▶ [sub0] iperf3, ping
 *
 * What is to be measured is weir, and not how long it waits for a CPU that it shares with the load: its threads and ping go
 * before everything else. Ping reads from the kernel when a reply has come.
 */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../../src/control/client.js';
import { atNice } from '../../src/lab/commands.js';
import { readPings, readPingsSent } from '../../src/lab/readings.js';
import { percentile } from '../../src/lab/verdict.js';
import type { DirectionReport } from '../../src/metrics/class-meter.js';
import {
  DaemonProcess,
  INTERNET,
  type Lab,
  makeLab,
  removeLab,
  writeConfig,
  writeTree,
} from './daemon-lab.js';
import { hasTool, inNamespace, startInNamespace } from './namespaces.js';
import { Program } from './program.js';

const TOOLS = ['make', 'clang', 'iperf3', 'ping', 'nice', 'setpriv', 'chrt'];
const BEFORE_ALL = ['--rr', '1'];
const FRAME_BYTES = 1514;
/** TCP's payload in a full frame, with timestamps. */
const SEGMENT_BYTES = 1448;
const FIRST_HOST = 11;
const FIRST_PORT = 5201;
const STREAMS = 4;
const WAIT_MS = 10_000;
const LOOK_MS = 20;
const LOAD_NICE = 5;
/** The code of a daemon that has just started is not compiled yet. */
const WARM_PINGS = { seconds: 1, perSecond: 50, flows: 1 };

/** What the rig needs besides namespaces and does not find, or null. */
export function whyNoRig(): string | null {
  const missing = TOOLS.find((tool) => !hasTool(tool));
  if (missing !== undefined) return `the command ${missing} is missing`;
  try {
    execFileSync('chrt', [...BEFORE_ALL, 'true'], { stdio: 'ignore' });
    return null;
  } catch {
    return 'real-time priority is not allowed here';
  }
}

export interface Setting {
  /** What each subscriber's class says of its queue. */
  readonly leaves: Readonly<Record<string, object>>;
  /** Of each subscriber, both ways. */
  readonly rateBps: number;
  readonly queues?: number;
  readonly rings?: object;
}

export interface Pings {
  readonly seconds: number;
  /** Of all flows together. */
  readonly perSecond: number;
  /** With several queues each flow goes to one of them. */
  readonly flows: number;
}

export interface RoundTrips {
  readonly sent: number;
  readonly lost: number;
  /** Of each reply. */
  readonly timesMs: readonly number[];
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Downloaded {
  /** Segments, from the first on: slow start is where queues overflow. */
  readonly retransmits: number;
  /** After the warm-up, as layer-2 bytes of full frames. */
  readonly bps: number;
}

/** Runs `body` with a daemon that shapes one leaf for each subscriber. */
export async function inRig(
  name: string,
  setting: Setting,
  body: (rig: Rig) => Promise<void>,
): Promise<void> {
  const { leaves, rateBps, queues = 1, rings = { frames: 8192, ringSize: 1024 } } = setting;
  const lab = makeLab(name, queues);
  const rig = new Rig(lab, Object.keys(leaves));
  try {
    writeTree(lab, treeOf(rig, leaves, rateBps));
    const daemon = new DaemonProcess(lab, writeConfig(lab, { rings: { backend: 'xdp', ...rings } }));
    try {
      await daemon.logged('"shaping"');
      await rig.prepare();
      await body(rig);
    } finally {
      await rig.stop();
      await daemon.stop();
    }
  } finally {
    removeLab(lab);
  }
}

/**
 * The bursts outlast a worker that is late by a few milliseconds. Longer ones cost latency with several queues: one of them
 * may take all of a burst, and the others then wait for as long as it lasts.
 */
function treeOf(rig: Rig, leaves: Readonly<Record<string, object>>, rateBps: number): object {
  const direction = { rate: rateBps, burst: '16kb', cburst: '16kb' };
  const classes = Object.entries(leaves).map(([id, leaf]) => ({
    ...{ id, parent: 'uplink', match: [rig.addressOf(id)], down: direction, up: direction },
    ...leaf,
  }));
  return {
    version: 1,
    classes: [{ id: 'uplink', down: { rate: '500mbit' }, up: { rate: '500mbit' } }, ...classes],
  };
}

export class Rig {
  readonly #lab: Lab;
  readonly #ids: readonly string[];
  readonly #downloads: Downloads[] = [];
  #ports = 0;

  constructor(lab: Lab, ids: readonly string[]) {
    this.#lab = lab;
    this.#ids = ids;
  }

  addressOf(id: string): string {
    return `10.77.0.${FIRST_HOST + this.#ids.indexOf(id)}`;
  }

  /** Both ends speak ECN, and forget what one connection has learnt of the path. Sends the first packets. */
  async prepare(): Promise<void> {
    const { subscriber, internet } = this.#lab;
    for (const id of this.#ids)
      inNamespace(subscriber, 'ip', ['addr', 'add', `${this.addressOf(id)}/24`, 'dev', 'sub0']);
    for (const namespace of [subscriber, internet])
      inNamespace(namespace, 'sysctl', ['-qw', 'net.ipv4.tcp_ecn=1', 'net.ipv4.tcp_no_metrics_save=1']);
    const { pid } = JSON.parse(await this.#ask('/health')) as { pid: number };
    inNamespace(this.#lab.weir, 'chrt', ['--all-tasks', '--pid', ...BEFORE_ALL, String(pid)]);
    await Promise.all(this.#ids.map((id) => this.roundTrips(id, WARM_PINGS)));
  }

  /** What is counted for a subscriber, down. */
  async stats(id: string): Promise<DirectionReport> {
    return JSON.parse(await this.#ask(`/stats?class=${id}`)).classes[0].down;
  }

  /** Waits until the subscribers' queues are empty. */
  async drained(): Promise<void> {
    for (const endMs = performance.now() + WAIT_MS; performance.now() < endMs; await sleep(LOOK_MS)) {
      const all = await Promise.all(this.#ids.map((id) => this.stats(id)));
      if (all.every(({ backlogPackets }) => backlogPackets === 0)) return;
    }
    throw new Error('the queues do not become empty');
  }

  /** Pings the internet; the replies are what a busy class holds back. */
  async roundTrips(id: string, { seconds, perSecond, flows }: Pings): Promise<RoundTrips> {
    const pace = ['-i', String(flows / perSecond), '-c', String((seconds * perSecond) / flows), '-W', '2'];
    const ping = ['chrt', ...BEFORE_ALL, 'ping', '-n', '-I', this.addressOf(id), ...pace, INTERNET];
    const texts = await Promise.all(
      Array.from({ length: flows }, () => outputOf(start(this.#lab.subscriber, ping))),
    );
    const timesMs = texts.flatMap(readPings);
    const sent = texts.reduce((sum, text) => sum + (readPingsSent(text) ?? Number.NaN), 0);
    if (Number.isNaN(sent)) throw new Error(`ping: ${texts.join()}`);
    const [p50Ms, p99Ms] = [0.5, 0.99].map((share) => percentile(timesMs, share));
    return { sent, lost: sent - timesMs.length, timesMs, p50Ms: p50Ms!, p99Ms: p99Ms! };
  }

  /** Begins four bulk downloads, which end by themselves. */
  async download(id: string, seconds: number): Promise<Downloads> {
    const port = ['-p', String(FIRST_PORT + this.#ports++)];
    const server = start(this.#lab.internet, bulk(['-s', '-1', '--forceflush', ...port]));
    let isListening = false;
    server.stdout!.once('data', () => (isListening = true));
    for (const endMs = performance.now() + WAIT_MS; !isListening; await sleep(LOOK_MS)) {
      if (server.exitCode !== null || performance.now() > endMs) throw new Error('iperf3 does not listen');
    }
    const from = ['-c', INTERNET, ...port, '-B', this.addressOf(id), '-R', '-P', String(STREAMS)];
    const words = [...from, '-C', 'cubic', '-t', String(seconds), '-J'];
    const downloads = new Downloads(server, start(this.#lab.subscriber, bulk(words)), seconds);
    this.#downloads.push(downloads);
    return downloads;
  }

  /** Sends full frames of one UDP flow to a subscriber, held back by nothing; ends by itself. */
  flood(id: string, bps: number, seconds: number): Program {
    return new Program(this.#lab.internet, 'blast', [
      ...['net0', '--af-packet', '--direction', 'down', '--size', String(FRAME_BYTES)],
      ...['--base', this.addressOf(id), '--pps', String(Math.round(bps / 8 / FRAME_BYTES))],
      ...['--seconds', String(seconds), '--queue-cpus', '0'],
    ]);
  }

  /** Ends the downloads that still go on. */
  async stop(): Promise<void> {
    await Promise.all(this.#downloads.map((downloads) => downloads.stop()));
  }

  #ask(path: string): Promise<string> {
    return ask(join(this.#lab.folder, 'weir.sock'), path);
  }
}

/** Downloads that were begun. */
export class Downloads {
  readonly #server: ChildProcess;
  readonly #client: ChildProcess;
  readonly #text: Promise<string>;
  readonly #serverEnded: Promise<unknown>;
  readonly #timer: NodeJS.Timeout;

  constructor(server: ChildProcess, client: ChildProcess, seconds: number) {
    this.#server = server;
    this.#client = client;
    this.#text = outputOf(client);
    this.#serverEnded = outputOf(server);
    this.#timer = setTimeout(() => this.#kill(), seconds * 1000 + WAIT_MS);
  }

  /** Waits for the end. What came before `warmUpSeconds` does not count for the rate. */
  async end(warmUpSeconds: number): Promise<Downloaded> {
    const text = await this.#text;
    await this.stop();
    const { end, intervals, error } = JSON.parse(text) as {
      end: { sum_sent?: { retransmits: number } };
      intervals: { sum: { start: number; end: number; bytes: number } }[];
      error?: string;
    };
    const measured = intervals.map(({ sum }) => sum).filter((sum) => sum.start > warmUpSeconds - 0.5);
    if (end.sum_sent === undefined || measured.length === 0) throw new Error(`iperf3: ${error}`);
    const bits = measured.reduce((sum, { bytes }) => sum + bytes * 8, 0) * (FRAME_BYTES / SEGMENT_BYTES);
    return {
      retransmits: end.sum_sent.retransmits,
      bps: bits / (measured.at(-1)!.end - measured[0]!.start),
    };
  }

  async stop(): Promise<void> {
    this.#kill();
    await Promise.all([this.#text, this.#serverEnded]);
    clearTimeout(this.#timer);
  }

  #kill(): void {
    this.#client.kill('SIGKILL');
    this.#server.kill('SIGKILL');
  }
}

/** An iperf3 that dies with the process that has started it. */
function bulk(words: readonly string[]): string[] {
  return atNice(LOAD_NICE, ['setpriv', '--pdeathsig', 'KILL', 'iperf3', ...words]);
}

function start(namespace: string, command: readonly string[]): ChildProcess {
  return startInNamespace(namespace, command[0]!, command.slice(1));
}

function outputOf(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout!.on('data', (part) => (text += part));
  return new Promise((resolve) => child.once('close', () => resolve(text)));
}
