/**
 * A subscriber, weir and the internet in three namespaces, with the daemon as its users start it.
 *
 *     subscriber [sub0] ──── [in0] weir [out0] ──── [net0] internet
 *      10.77.0.5                                     10.77.0.1
 */
import { type ChildProcess, execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  deleteNamespace,
  inNamespace,
  makeNamespace,
  makeVeth,
  packageRoot,
  startInNamespace,
} from './namespaces.js';

export const SUBSCRIBER = '10.77.0.5';
export const INTERNET = '10.77.0.1';
const START_MS = 30_000;
/** Where the compiled command is: beside the compiled tests. */
const MAIN = new URL('../../src/cli/main.js', import.meta.url).pathname;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Lab {
  readonly subscriber: string;
  readonly weir: string;
  readonly internet: string;
  readonly folder: string;
}

export function makeLab(name: string, queues: number): Lab {
  const [subscriber, weir, internet] = ['s', 'w', 'i'].map((part) => makeNamespace(`${name}${part}`));
  makeVeth({ namespace: subscriber!, device: 'sub0' }, { namespace: weir!, device: 'in0' }, queues);
  makeVeth({ namespace: internet!, device: 'net0' }, { namespace: weir!, device: 'out0' }, queues);
  inNamespace(subscriber!, 'ip', ['addr', 'add', `${SUBSCRIBER}/24`, 'dev', 'sub0']);
  inNamespace(internet!, 'ip', ['addr', 'add', `${INTERNET}/24`, 'dev', 'net0']);
  const folder = mkdtempSync(join(tmpdir(), 'weir-netns-'));
  // Also the test's unprivileged user reads what lies here.
  chmodSync(folder, 0o755);
  return { subscriber: subscriber!, weir: weir!, internet: internet!, folder };
}

export function removeLab(lab: Lab): void {
  for (const namespace of [lab.subscriber, lab.weir, lab.internet]) deleteNamespace(namespace);
  rmSync(lab.folder, { recursive: true, force: true });
}

/** One subscriber at `rate` both ways. The bursts outlast what a busy test machine makes a worker wait. */
export function treeWith(rate: string): object {
  const direction = { rate, burst: '64kb', cburst: '64kb' };
  return {
    version: 1,
    classes: [
      { id: 'uplink', down: { rate: '500mbit' }, up: { rate: '500mbit' } },
      // What iperf3 sends and has not received by its end does not count: the queue is not to hold seconds of it.
      { id: 'u1', parent: 'uplink', match: [SUBSCRIBER], limit: 200, down: direction, up: direction },
    ],
  };
}

/** Writes a configuration, which `more` adds to; returns its path. */
export function writeConfig(lab: Lab, more: object = {}, name = 'weir'): string {
  const { classes = { source: 'file:tree.json', capacity: 1024 }, accounting } = more as Record<
    string,
    object
  >;
  const path = join(lab.folder, `${name}.json`);
  const config = {
    ports: { inside: { device: 'in0' }, outside: { device: 'out0' } },
    rings: { frames: 8192, ringSize: 1024 },
    flows: { capacity: 4096 },
    control: { socket: `${name}.sock` },
    ...more,
    // Nothing that a daemon keeps is to outlive the lab.
    classes: { ...classes, stateFolder: '.' },
    accounting: { spool: `${name}-usage.db`, ...accounting },
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

export function writeTree(lab: Lab, document: unknown): void {
  writeFileSync(
    join(lab.folder, 'tree.json'),
    typeof document === 'string' ? document : JSON.stringify(document),
  );
}

/** Runs a verb in weir's namespace to its end; `before` stands in front of it, such as a change of the user. */
export function weir(lab: Lab, args: readonly string[], before: readonly string[] = []): Promise<Ended> {
  return run('ip', ['netns', 'exec', lab.weir, ...before, process.execPath, MAIN, ...args]);
}

export function run(name: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      name,
      [...args],
      { encoding: 'utf8', timeout: 60_000, cwd: packageRoot() },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : (error.code as unknown as number), stdout, stderr });
      },
    );
  });
}

/** A daemon that was started and shapes. */
export class DaemonProcess {
  log = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #code: number | null | undefined;

  constructor(
    readonly lab: Lab,
    readonly configPath: string,
  ) {
    this.#child = startInNamespace(lab.weir, process.execPath, [MAIN, 'daemon', '--config', configPath]);
    this.#child.stderr!.on('data', (part) => (this.log += part));
    this.#ended = new Promise((resolve) => {
      this.#child.on('close', (code) => {
        this.#code = code;
        resolve(code);
      });
    });
  }

  /** Waits until the log has a line; throws with the log when the daemon ends or takes too long. */
  async logged(part: string): Promise<void> {
    const endMs = performance.now() + START_MS;
    while (!this.log.includes(part)) {
      if (this.#code !== undefined || performance.now() > endMs)
        throw new Error(`the daemon (exit ${this.#code}) has not logged '${part}':\n${this.log}`);
      await sleep(10);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Tells the daemon to end; its exit code. */
  async stop(): Promise<number | null> {
    this.signal('SIGTERM');
    return this.#ended;
  }

  // biome-ignore lint/suspicious/noExplicitAny: the tests look into documents of every shape
  async stats(): Promise<any> {
    const { code, stdout, stderr } = await weir(this.lab, ['stats', '--json', '--config', this.configPath]);
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  }
}

/** Sends datagrams from one namespace to the other and returns how many came. Bounded in count and time. */
export async function sendDatagrams(
  from: string,
  to: string,
  address: string,
  count: number,
  payloadBytes: number,
): Promise<number> {
  const receiver = `
    const socket = require('node:dgram').createSocket('udp4');
    let got = 0, last = performance.now();
    const end = performance.now() + 10000;
    socket.on('message', () => { got++; last = performance.now(); });
    socket.bind(9999, () => console.log('ready'));
    setInterval(() => {
      const now = performance.now();
      if (got >= ${count} || now > end || (got > 0 && now - last > 1500)) { console.log('got ' + got); process.exit(); }
    }, 20);`;
  const sender = `
    const socket = require('node:dgram').createSocket('udp4');
    let sent = 0;
    const timer = setInterval(() => {
      for (let i = 0; i < 5 && sent < ${count}; i++, sent++) socket.send(Buffer.alloc(${payloadBytes}), 9999, '${address}');
      if (sent >= ${count}) { clearInterval(timer); setTimeout(() => socket.close(), 100); }
    }, 5);`;
  const child = startInNamespace(to, process.execPath, ['-e', receiver]);
  let output = '';
  child.stdout!.on('data', (part) => (output += part));
  const ended = new Promise((resolve) => child.on('close', resolve));
  const endMs = performance.now() + 10_000;
  while (!output.includes('ready') && performance.now() < endMs) await sleep(10);
  await run('ip', ['netns', 'exec', from, process.execPath, '-e', sender]);
  await ended;
  return Number(/got (\d+)/.exec(output)?.[1] ?? -1);
}
