/** A daemon in this process over rings in memory, and its API. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSource } from '../../classes/source/open.js';
import { type DaemonConfig, sourceSpec } from '../../src/config/config.js';
import { readConfig } from '../../src/config/load.js';
import type { Candidate } from '../../src/control/backends.js';
import { Daemon } from '../../src/control/daemon.js';
import { createLogger } from '../../src/control/log.js';
import { buildFrame } from '../../src/dataplane/frame-builder.js';
import { MemoryWire } from './memory-io.js';

const UNTIL_MS = 20_000;

export const TREE = {
  version: 1,
  classes: [
    { id: 'uplink', down: { rate: '1gbit' }, up: { rate: '1gbit' } },
    { id: 'u1', parent: 'uplink', match: ['10.0.0.1'], down: { rate: '100mbit' }, up: { rate: '100mbit' } },
    {
      id: 'slow',
      parent: 'uplink',
      match: ['10.0.0.9'],
      down: { rate: '80kbit', burst: '1600' },
      up: { rate: '80kbit' },
    },
  ],
};

export interface Reply {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the tests look into documents of every shape
  readonly body: any;
}

export interface RunningOptions {
  /** Looks at what the daemon has left, before the folder goes. */
  readonly ended?: (folder: string) => void;
  /** Makes what the daemon's source is to have, in a folder of its own; returns keys of the configuration. */
  readonly prepare?: (folder: string) => Promise<Record<string, unknown>>;
  readonly queues?: number;
  readonly config?: Record<string, unknown>;
  readonly candidates?: (wire: MemoryWire) => Candidate[];
}

export class RunningDaemon {
  readonly wire = new MemoryWire();
  readonly socket: string;
  readonly treeFile: string;
  /** There after `create`. */
  daemon!: Daemon;
  readonly #folder = mkdtempSync(join(tmpdir(), 'weir-daemon-'));

  get folder(): string {
    return this.#folder;
  }

  private constructor() {
    this.socket = join(this.#folder, 'weir.sock');
    this.treeFile = join(this.#folder, 'tree.json');
    this.writeTree(TREE);
  }

  static async create(options: RunningOptions = {}): Promise<RunningDaemon> {
    const { queues = 1, config = {}, candidates, prepare } = options;
    const running = new RunningDaemon();
    const settings = running.#config({ ...config, ...(await prepare?.(running.#folder)) });
    const source = openSource(sourceSpec(settings));
    running.daemon = new Daemon({
      config: settings,
      source,
      loaded: await source.load(Date.now()),
      plan: { queues, cpus: [], warnings: [] },
      candidates: candidates?.(running.wire) ?? [running.wire.candidate],
      log: createLogger('silent'),
    });
    return running;
  }

  writeTree(document: unknown): void {
    writeFileSync(this.treeFile, typeof document === 'string' ? document : JSON.stringify(document));
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  call(path: string, method = 'GET', body?: object): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: this.socket, path, method }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve({ status: response.statusCode!, body: JSON.parse(text) }));
      });
      call.on('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  #config(more: Record<string, unknown>): DaemonConfig {
    const document = {
      ports: { inside: { device: 'none0' }, outside: { device: 'none1' } },
      classes: { source: `file:${this.treeFile}`, capacity: 64, watch: false },
      flows: { capacity: 1024 },
      accounting: { spool: join(this.#folder, 'usage.db') },
      control: { socket: this.socket },
      ...more,
    };
    Object.assign(document.classes, { stateFolder: this.#folder });
    const { config, faults } = readConfig(document, 'test', {});
    if (config === null) throw new Error(JSON.stringify(faults));
    return config;
  }
}

/** Runs `body` with a daemon, and ends it whatever happens. */
export async function withDaemon(
  options: RunningOptions,
  body: (running: RunningDaemon) => Promise<void>,
): Promise<void> {
  const running = await RunningDaemon.create(options);
  try {
    await running.daemon.start();
    try {
      await body(running);
    } finally {
      await running.daemon.stop();
    }
    options.ended?.(running.folder);
  } finally {
    running.remove();
  }
}

export function down(address: string, frameBytes = 1000): Uint8Array {
  return buildFrame({ src: '192.0.2.1', dst: address, protocol: 'udp', sport: 1, dport: 2, frameBytes });
}

/** Sends frames toward the subscriber through a worker, and waits until they are out at the other side. */
export async function carry(
  running: RunningDaemon,
  queue: number,
  address: string,
  count: number,
): Promise<void> {
  let packets = 0;
  let sent = 0;
  await until(`${count} packets through queue ${queue}`, () => {
    const card = running.wire.cards[queue]!;
    while (sent < count && card.receive(1, down(address))) sent++;
    packets += card.send(0).packets;
    return packets === count;
  });
}

/** Waits until something holds; fails when it does not within a time that only a broken daemon needs. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + UNTIL_MS;
  while (!(await isTrue())) {
    if (performance.now() > endMs) throw new Error(`it never came to be: ${what}`);
    await sleep(5);
  }
}
