/** A daemon in this process over rings in memory, and its API. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DaemonConfig } from '../../src/config/config.js';
import { readConfig } from '../../src/config/load.js';
import type { Candidate } from '../../src/control/backends.js';
import { readClasses } from '../../src/control/class-source.js';
import { Daemon } from '../../src/control/daemon.js';
import { createLogger } from '../../src/control/log.js';
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
  readonly queues?: number;
  readonly config?: Record<string, unknown>;
  readonly candidates?: (wire: MemoryWire) => Candidate[];
}

export class RunningDaemon {
  readonly wire = new MemoryWire();
  readonly socket: string;
  readonly treeFile: string;
  readonly daemon: Daemon;
  readonly #folder = mkdtempSync(join(tmpdir(), 'weir-daemon-'));

  constructor({ queues = 1, config = {}, candidates }: RunningOptions = {}) {
    this.socket = join(this.#folder, 'weir.sock');
    this.treeFile = join(this.#folder, 'tree.json');
    this.writeTree(TREE);
    const settings = this.#config(config);
    const source = settings.classes.source;
    this.daemon = new Daemon({
      config: settings,
      tree: readClasses(source, null).tree!,
      readClasses: () => readClasses(source, null),
      plan: { queues, cpus: [], warnings: [] },
      candidates: candidates?.(this.wire) ?? [this.wire.candidate],
      log: createLogger('silent'),
    });
  }

  writeTree(document: unknown): void {
    writeFileSync(this.treeFile, typeof document === 'string' ? document : JSON.stringify(document));
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  call(path: string, method = 'GET'): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: this.socket, path, method }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve({ status: response.statusCode!, body: JSON.parse(text) }));
      });
      call.on('error', reject);
      call.end();
    });
  }

  #config(more: Record<string, unknown>): DaemonConfig {
    const document = {
      ports: { inside: { device: 'none0' }, outside: { device: 'none1' } },
      classes: { source: `file:${this.treeFile}`, capacity: 64 },
      flows: { capacity: 1024 },
      control: { socket: this.socket },
      ...more,
    };
    const { config, faults } = readConfig(document, 'test', {});
    if (config === null) throw new Error(JSON.stringify(faults));
    return config;
  }
}

/** Waits until something holds; fails when it does not within a time that only a broken daemon needs. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + UNTIL_MS;
  while (!(await isTrue())) {
    if (performance.now() > endMs) throw new Error(`it never came to be: ${what}`);
    await sleep(5);
  }
}
