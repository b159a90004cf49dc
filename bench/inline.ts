/**
 * Packets through a real wire: weir's daemon beside the least that an AF_XDP program does between the same devices.
 *
 * One generator sends as fast as it can, faster than either forwards. Each run measures the forwarder, weir with all
 * classes below their rates, and weir with all classes at their ceils, one after the other, so that a ratio compares
 * what the machine did within seconds. Afterwards a thin stream alone on the wire gives the latency of both.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatIpv4 } from '../classes/prefix.js';
import { ask } from '../src/control/client.js';
import { WeirError } from '../src/errors.js';
import type { Helper } from '../src/lab/commands.js';
import { buildPeers, DEVICES, InlineNet } from './inline-net.js';

export interface InlineOptions {
  classes: number;
  queues: number;
  /** Measured time of each load. */
  seconds: number;
  runs: number;
  /** Layer-2 bytes of a frame. */
  size: number;
  backend: string;
}

interface Run {
  forwarderPps: number;
  openPps: number;
  nearCeilPps: number;
  /** To the forwarder of the same run. */
  openRatio: number;
  nearCeilRatio: number;
}

interface Latency {
  p50: number;
  p99: number;
  p999: number;
}

export interface InlineResult extends InlineOptions {
  bench: 'inline';
  perRun: Run[];
  median: Run;
  latencyUs: { forwarder: Latency; weir: Latency };
}

/** All ceils together, as a share of what the forwarder carries: every class is held back a little. */
const NEAR_CEIL_SHARE = 0.95;
const BELOW_RATE_FACTOR = 16;
const SETTLE_MS = 700;
/** Until the worker's code is compiled for what it now does; the forwarder gets as long. */
const WARM_UP_MS = 2500;
const START_TRIES = 300;
const START_POLL_MS = 100;
const PROBE_PPS = 10_000;
/** Far above what the probes need, who all belong to one subscriber. */
const PROBE_CLASS_BPS = 100e6;
const SUBSCRIBER_BASE = 0x0a000000;

/** Throws E_BENCH_…; all namespaces and processes are gone afterwards. */
export async function benchInline(options: InlineOptions): Promise<InlineResult> {
  await buildPeers();
  const net = new InlineNet();
  const folder = await mkdtemp(join(tmpdir(), 'weir-bench-'));
  const remove = async (): Promise<void> => {
    await net.remove();
    await rm(folder, { recursive: true, force: true });
  };
  const interrupted = (): void => {
    // Processes in the namespaces get the signal too, or end by themselves after their bounded time.
    void remove().finally(() => process.exit(1));
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  try {
    await net.create(options.queues);
    return await new InlineRig(options, net, folder).measure();
  } finally {
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
    await remove();
  }
}

class InlineRig {
  private readonly options: InlineOptions;
  private readonly net: InlineNet;
  private readonly folder: string;
  private readonly cpus: string;

  constructor(options: InlineOptions, net: InlineNet, folder: string) {
    this.options = options;
    this.net = net;
    this.folder = folder;
    // The first queue's worker is not on the generator's first CPU.
    this.cpus = Array.from({ length: options.queues }, (_, queue) => options.queues - queue - 1 || 0)
      .map((cpu) => (options.queues === 1 ? 1 : cpu))
      .join(',');
  }

  async measure(): Promise<InlineResult> {
    const perRun: Run[] = [];
    for (let i = 0; i < this.options.runs; i++) perRun.push(await this.run());
    const forwarder = await this.withForwarder(() => this.latency());
    const weir = await this.withWeir(PROBE_CLASS_BPS, () => this.latency());
    return {
      bench: 'inline',
      ...this.options,
      perRun,
      median: medianOf(perRun),
      latencyUs: { forwarder, weir },
    };
  }

  private async run(): Promise<Run> {
    const forwarderPps = await this.withForwarder(() => this.load());
    const bps = this.bitsPerClass(forwarderPps);
    const openPps = await this.withWeir(bps * BELOW_RATE_FACTOR, () => this.load());
    const nearCeilPps = await this.withWeir(bps * NEAR_CEIL_SHARE, () => this.load());
    return {
      forwarderPps,
      openPps,
      nearCeilPps,
      openRatio: round(openPps / forwarderPps),
      nearCeilRatio: round(nearCeilPps / forwarderPps),
    };
  }

  private bitsPerClass(pps: number): number {
    return (pps * this.options.size * 8) / this.options.classes;
  }

  /** What arrives while the generator sends, in packets a second. */
  private async load(): Promise<number> {
    const { net } = this;
    const { seconds, size, classes, queues } = this.options;
    const cpus = Array.from({ length: queues }, (_, cpu) => cpu).join(',');
    const generator = net.startPeer(
      net.generator,
      'blast',
      DEVICES.generator,
      '--direction',
      'down',
      '--seconds',
      String(seconds + 5),
      '--size',
      String(size),
      '--subscribers',
      String(classes),
      '--queue-cpus',
      cpus,
    );
    await sleep(WARM_UP_MS);
    const { pps } = await net.peer<{ pps: number }>(
      net.sink,
      'sink',
      DEVICES.sink,
      '--seconds',
      String(seconds),
    );
    generator.assertRunning();
    await generator.stop();
    return pps;
  }

  private async latency(): Promise<Latency> {
    const { net } = this;
    const { seconds, size } = this.options;
    const probe = net.startPeer(
      net.generator,
      'probe',
      DEVICES.generator,
      '--direction',
      'down',
      '--seconds',
      String(seconds + 3),
      '--pps',
      String(PROBE_PPS),
      '--size',
      String(size),
      '--cpu',
      '0',
    );
    await sleep(SETTLE_MS);
    const { latencyUs } = await net.peer<{ latencyUs: Latency }>(
      net.sink,
      'sink',
      DEVICES.sink,
      '--latency',
      '--seconds',
      String(seconds),
    );
    probe.assertRunning();
    await probe.stop();
    const { p50, p99, p999 } = latencyUs;
    return { p50, p99, p999 };
  }

  private async withForwarder<T>(body: () => Promise<T>): Promise<T> {
    const { net } = this;
    const { seconds, queues } = this.options;
    const forwarder = net.startPeer(
      net.shaper,
      'forwarder',
      DEVICES.inside,
      DEVICES.outside,
      String(queues),
      String(seconds + 9),
      '--cpus',
      this.cpus,
    );
    try {
      await sleep(SETTLE_MS);
      forwarder.assertRunning();
      return await body();
    } finally {
      await forwarder.stop();
    }
  }

  /** Runs `body` while the daemon shapes, with leaves of `rateBps`. */
  private async withWeir<T>(rateBps: number, body: () => Promise<T>): Promise<T> {
    const { config, socket } = await this.writeConfig(rateBps);
    const daemon = this.net.startWeir('daemon', '--config', config);
    try {
      await untilReady(daemon, socket);
      return await body();
    } finally {
      await daemon.stop();
    }
  }

  private async writeConfig(rateBps: number): Promise<{ config: string; socket: string }> {
    const tree = join(this.folder, 'tree.json');
    const config = join(this.folder, 'weir.json');
    const socket = join(this.folder, 'weir.sock');
    await writeFile(tree, JSON.stringify(treeOf(this.options.classes, rateBps)));
    await writeFile(
      config,
      JSON.stringify({
        ports: { inside: { device: DEVICES.inside }, outside: { device: DEVICES.outside } },
        queues: this.options.queues,
        cpus: this.cpus.split(',').map(Number),
        rings: { backend: this.options.backend },
        classes: { source: `file:${tree}` },
        control: { socket },
        log: { level: 'warn' },
      }),
    );
    return { config, socket };
  }
}

/** Three levels: an uplink, sites of about a thousand subscribers, one subscriber an address. */
function treeOf(classes: number, rateBps: number): object {
  const perSite = 1024;
  const sites = Math.ceil(classes / perSite);
  const wideBps = Math.ceil(rateBps * classes * 2);
  const siteBps = Math.floor(wideBps / sites);
  const direction = (bps: number): object => ({ down: { rate: bps }, up: { rate: bps } });
  const list: object[] = [{ id: 'uplink', ...direction(wideBps) }];
  for (let site = 0; site < sites; site++)
    list.push({ id: `s${site}`, parent: 'uplink', ...direction(siteBps) });
  for (let i = 0; i < classes; i++) {
    list.push({
      id: `u${i}`,
      parent: `s${Math.floor(i / perSite)}`,
      match: formatIpv4(SUBSCRIBER_BASE + i),
      ...direction(Math.ceil(rateBps)),
    });
  }
  return { version: 1, classes: list };
}

async function untilReady(daemon: Helper, socket: string): Promise<void> {
  for (let attempt = 0; attempt < START_TRIES; attempt++) {
    daemon.assertRunning();
    if (await answers(socket)) return;
    await sleep(START_POLL_MS);
  }
  throw new WeirError('E_BENCH_DAEMON', `the daemon does not answer: ${daemon.lastWords}`);
}

/** Whether every worker runs. */
async function answers(socket: string): Promise<boolean> {
  return ask(socket, '/health').then(
    () => true,
    () => false,
  );
}

/** Of each figure by itself. */
function medianOf(runs: readonly Run[]): Run {
  const of = (key: keyof Run): number => {
    const sorted = runs.map((run) => run[key]).sort((a, b) => a - b);
    return sorted[sorted.length >> 1]!;
  };
  return {
    forwarderPps: of('forwarderPps'),
    openPps: of('openPps'),
    nearCeilPps: of('nearCeilPps'),
    openRatio: of('openRatio'),
    nearCeilRatio: of('nearCeilRatio'),
  };
}

function round(value: number): number {
  return Number(value.toFixed(3));
}
