/** The paths that the inline benchmarks compare, each put between the same two devices for as long as it is measured. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TC_CLASSES_MAX } from '../classes/formats/tc-export.js';
import { formatIpv4 } from '../classes/prefix.js';
import { ask } from '../src/control/client.js';
import { WeirError } from '../src/errors.js';
import { type Helper, run } from '../src/lab/commands.js';
import { DEVICES, type InlineNet, peerPath, untilReady } from './inline-net.js';
import type { BurstsName, Forwarding, PathName } from './inline-words.js';
import {
  type Bursts,
  type Classification,
  GENEROUS_BURST_BYTES,
  KernelHtb,
  whileForwarding,
  whyNoKernelHtb,
} from './kernel-htb.js';

export interface Path {
  /** Where its frames arrive, in the sink's namespace. */
  readonly sink: string;
  /** Null: it can be measured. */
  readonly missing: string | null;
  /** Runs `body` while the path is in place, for at most so many seconds. */
  while<T>(seconds: number, body: () => Promise<T>): Promise<T>;
}

/** What a tree file holds. */
export interface TreeDocument {
  readonly version: number;
  readonly classes: readonly { readonly id: string }[];
}

export interface PathSettings {
  readonly net: InlineNet;
  readonly folder: string;
  readonly queues: number;
  /** Of the class tree; the same for all that shape. */
  readonly document: TreeDocument;
  /** Of the kernel's classes; weir has its own defaults. */
  readonly bursts: BurstsName;
  readonly limitPackets: number;
  /** How the kernel brings frames from one device to the other; redirect unless given. */
  readonly forwarding?: Forwarding;
}

const START_TRIES = 600;
const START_POLL_MS = 100;
const SUBSCRIBER_BASE = 0x0a000000;
const CLASSES_PER_SITE = 1024;
/** Devices of their own, so that what takes tc a minute to load is loaded once. */
const HTB_EXIT = { device: 'htb', sink: 'sink-htb' };
const MQ_EXIT = { device: 'mq', sink: 'sink-mq' };

/** All paths for one class tree; what the kernel's need is loaded once, when they are first measured. */
export class Paths {
  private readonly settings: PathSettings;
  private readonly cpus: readonly number[];
  private readonly whyNoHtb: string | null;
  private document: TreeDocument;
  private generousBytes = GENEROUS_BURST_BYTES;
  /** By device: the HTB, and the tree whose rates it has, and with which bursts. */
  private readonly loaded = new Map<string, { htb: KernelHtb; document: TreeDocument; bursts: Bursts }>();

  static async create(settings: PathSettings): Promise<Paths> {
    return new Paths(settings, await whyNoKernelHtb(settings.net.shaper));
  }

  private constructor(settings: PathSettings, whyNoHtb: string | null) {
    this.settings = settings;
    this.document = settings.document;
    this.whyNoHtb = whyNoHtb;
    this.cpus = workerCpus(settings.queues);
  }

  /**
   * From now on the classes have other rates, and the kernel's generous bursts so many bytes. They must be the same classes:
   * the kernel takes a minute for new ones.
   */
  setRates(document: TreeDocument, generousBytes: number): void {
    this.document = document;
    this.generousBytes = generousBytes;
  }

  path(name: PathName): Path {
    switch (name) {
      case 'C forwarder':
        return this.direct((seconds, body) => this.whileForwarder(seconds, body));
      case 'kernel forwarding':
        return this.direct((seconds, body) => this.whileKernelForwards(seconds, body));
      case 'weir xdp':
        return this.direct((_, body) => this.whileWeir('xdp', body));
      case 'weir packet':
        return this.direct((_, body) => this.whileTaking(() => this.whileWeir('packet', body)));
      case 'kernel HTB by priority':
        return this.htb('priority', 1, this.bursts);
      case 'kernel HTB by filter':
        return this.htb('filter', 1, this.bursts);
      case "kernel HTB with tc's bursts":
        return this.htb('priority', 1, 'kernel');
      case 'mq + HTB':
        return this.htb('priority', this.settings.queues, this.bursts);
    }
  }

  private direct(during: Path['while']): Path {
    return { sink: DEVICES.sink, missing: null, while: during };
  }

  private htb(by: Classification, roots: number, bursts: Bursts): Path {
    const wantsMq = by === 'priority' && roots > 1;
    const exit = wantsMq ? MQ_EXIT : HTB_EXIT;
    const tooMany = this.document.classes.length > TC_CLASSES_MAX;
    return {
      sink: exit.sink,
      missing: tooMany ? `an HTB has numbers for ${TC_CLASSES_MAX} classes` : this.whyNoHtb,
      while: async (seconds, body) => (await this.loadedHtb(exit, roots, bursts)).while(by, seconds, body),
    };
  }

  private get bursts(): Bursts {
    const { bursts } = this.settings;
    return bursts === 'generous' ? this.generousBytes : bursts;
  }

  private async loadedHtb(exit: typeof HTB_EXIT, roots: number, bursts: Bursts): Promise<KernelHtb> {
    const { document } = this;
    const loaded = this.loaded.get(exit.device);
    if (loaded?.document === document && loaded.bursts === bursts) return loaded.htb;
    const htb = loaded?.htb ?? (await this.loadHtb(exit, roots, bursts));
    if (loaded !== undefined) await htb.change(document, bursts);
    this.loaded.set(exit.device, { htb, document, bursts });
    return htb;
  }

  private async loadHtb(
    { device, sink }: typeof HTB_EXIT,
    roots: number,
    bursts: Bursts,
  ): Promise<KernelHtb> {
    const { net, folder, queues, limitPackets, forwarding = 'redirect' } = this.settings;
    const htb = new KernelHtb({
      ...{ namespace: net.shaper, ingress: DEVICES.outside, egress: device, folder },
      ...{
        document: this.document,
        direction: 'down',
        queues: roots,
        bursts,
        limitPackets,
        forwarding,
      },
    });
    await net.addExit(device, sink, queues);
    await htb.load();
    return htb;
  }

  private whileKernelForwards<T>(seconds: number, body: () => Promise<T>): Promise<T> {
    const { net, queues, forwarding = 'redirect' } = this.settings;
    const ports = { namespace: net.shaper, ingress: DEVICES.outside, egress: DEVICES.inside };
    return whileForwarding({ ...ports, queues, forwarding }, seconds, body);
  }

  private async whileForwarder<T>(seconds: number, body: () => Promise<T>): Promise<T> {
    const { net, queues } = this.settings;
    const ports = [DEVICES.inside, DEVICES.outside, String(queues), String(seconds)];
    const options = ['--poll', '--cpus', this.cpus.join(',')];
    const forwarder = net.startPeer(net.shaper, 'forwarder', ...ports, ...options);
    try {
      await untilReady(forwarder);
      const value = await body();
      forwarder.assertRunning();
      return value;
    } finally {
      await forwarder.stop();
    }
  }

  private async whileWeir<T>(backend: string, body: () => Promise<T>): Promise<T> {
    const { config, socket } = await this.writeConfig(backend);
    const daemon = this.settings.net.startWeir('daemon', '--config', config);
    try {
      await untilShaping(daemon, socket);
      const value = await body();
      daemon.assertRunning();
      return value;
    } finally {
      await daemon.stop();
    }
  }

  /** A veth takes the generator's frames for an XDP program only; this one passes all to the kernel's sockets. */
  private async whileTaking<T>(body: () => Promise<T>): Promise<T> {
    const device = ['ip', '-n', this.settings.net.shaper, 'link', 'set', 'dev', DEVICES.outside];
    await run([...device, 'xdpdrv', 'obj', `${peerPath('steer')}.bpf.o`, 'sec', 'xdp']);
    try {
      return await body();
    } finally {
      await run([...device, 'xdpdrv', 'off']);
    }
  }

  private async writeConfig(backend: string): Promise<{ config: string; socket: string }> {
    const { folder, queues } = this.settings;
    const tree = join(folder, 'tree.json');
    const config = join(folder, 'weir.json');
    const socket = join(folder, 'weir.sock');
    await writeFile(tree, JSON.stringify(this.document));
    await writeFile(
      config,
      JSON.stringify({
        ports: { inside: { device: DEVICES.inside }, outside: { device: DEVICES.outside } },
        queues,
        cpus: this.cpus,
        rings: { backend },
        classes: { source: `file:${tree}` },
        control: { socket },
        // What is still queued when the measurement is over, nobody waits for.
        drain: { seconds: 0 },
        log: { level: 'warn' },
      }),
    );
    return { config, socket };
  }
}

/** The first queue's worker is not on the generator's first CPU. */
function workerCpus(queues: number): number[] {
  return queues === 1 ? [1] : Array.from({ length: queues }, (_, queue) => queues - queue - 1);
}

async function untilShaping(daemon: Helper, socket: string): Promise<void> {
  for (let attempt = 0; attempt < START_TRIES; attempt++) {
    daemon.assertRunning();
    const answers = await ask(socket, '/health').then(
      () => true,
      () => false,
    );
    if (answers) return;
    await sleep(START_POLL_MS);
  }
  throw new WeirError('E_BENCH_DAEMON', `the daemon does not answer: ${daemon.lastWords}`);
}

/**
 * Three levels: an uplink, sites of about a thousand subscribers, one subscriber an address from 10.0.0.0 on. Only the
 * subscribers' rates limit anything. The leaves are pfifos, which every kernel has.
 */
export function treeOf(classes: number, rateBps: number, limitPackets: number): TreeDocument {
  const sites = Math.ceil(classes / CLASSES_PER_SITE);
  const wideBps = Math.ceil(rateBps * classes * 2);
  const siteBps = Math.floor(wideBps / sites);
  const direction = (bps: number): object => ({ down: { rate: bps }, up: { rate: bps } });
  const uplink = { id: 'uplink', ...direction(wideBps) };
  const list: { id: string }[] = [uplink];
  for (let site = 0; site < sites; site++) {
    const spec = { id: `s${site}`, parent: 'uplink', ...direction(siteBps) };
    list.push(spec);
  }
  for (let i = 0; i < classes; i++) {
    const parent = `s${Math.floor(i / CLASSES_PER_SITE)}`;
    const spec = {
      id: `u${i}`,
      parent,
      match: formatIpv4(SUBSCRIBER_BASE + i),
      ...direction(Math.ceil(rateBps)),
    };
    list.push(spec);
  }
  const document = { version: 1, leaf: 'pfifo', limit: limitPackets, classes: list };
  return document;
}
