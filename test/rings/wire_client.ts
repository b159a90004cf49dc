/** What the tests of wires are made of: three namespaces in a row, the process between them, frames at both ends. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { WireCounters } from '../../src/rings/xdp.js';
import {
  deleteNamespace,
  inNamespace,
  makeNamespace,
  makeVeth,
  packageRoot,
  startInNamespace,
} from '../netns/namespaces.js';
import type { Options } from './wire_process.js';

const RAWFRAMES = join(packageRoot(), 'native', 'build', 'rawframes');
const ANSWER_TIMEOUT_MS = 20_000;
let made = 0;

/** client (c0) - (in0) wire (out0) - (s0) server */
export interface Row {
  readonly client: string;
  readonly wire: string;
  readonly server: string;
}

export function makeRow(queues: number, mtu = 1500): Row {
  made++;
  const [client, wire, server] = ['c', 'w', 's'].map((side) => makeNamespace(`${made}${side}`)) as [
    string,
    string,
    string,
  ];
  makeVeth({ namespace: wire, device: 'in0' }, { namespace: client, device: 'c0' }, queues);
  makeVeth({ namespace: wire, device: 'out0' }, { namespace: server, device: 's0' }, queues);
  if (mtu !== 1500) {
    const ends = [
      [wire, 'in0'],
      [client, 'c0'],
      [wire, 'out0'],
      [server, 's0'],
    ] as const;
    for (const [namespace, device] of ends) {
      inNamespace(namespace, 'ip', ['link', 'set', device, 'mtu', String(mtu)]);
    }
  }
  return { client, wire, server };
}

export function deleteRow(row: Row): void {
  for (const namespace of [row.client, row.wire, row.server]) deleteNamespace(namespace);
}

export interface Opened {
  readonly ready?: true;
  readonly attachMode?: string;
  readonly tookOver?: boolean;
  readonly note?: string;
  readonly error?: string;
  readonly message?: string;
}

export interface Counted {
  readonly inside: WireCounters;
  readonly outside: WireCounters;
  /** By queue. */
  readonly forwarded: readonly number[];
}

/** The process of wire_process.ts. */
export class WireProcess {
  private readonly lines: AsyncIterator<string>;

  private constructor(readonly child: ChildProcess) {
    this.lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  /** Starts a wire and returns it with its first answer. `prefix` is a command to start it by. */
  static async start(
    row: Row,
    options: Partial<Options>,
    prefix: readonly string[] = [],
  ): Promise<[WireProcess, Opened]> {
    const all: Options = {
      ...{ inside: 'in0', outside: 'out0', queues: 1, mode: 'auto', failureOpen: true },
      ...{ frames: 4096, ringSize: 1024, zeroCopy: 'auto', forward: [0] },
      ...options,
    };
    const script = fileURLToPath(new URL('./wire_process.js', import.meta.url));
    const [name, ...rest] = [...prefix, process.execPath, script, JSON.stringify(all)];
    const child = startInNamespace(row.wire, name!, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    const wire = new WireProcess(child);
    return [wire, (await wire.answer()) as Opened];
  }

  async ask<T>(line: string): Promise<T> {
    this.child.stdin!.write(`${line}\n`);
    return (await this.answer()) as T;
  }

  counters(): Promise<Counted> {
    return this.ask('counters');
  }

  async close(detach: boolean): Promise<void> {
    await this.ask(`close ${detach ? 1 : 0}`);
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
  }

  private async answer(): Promise<unknown> {
    const { value, done } = await within(this.lines.next(), ANSWER_TIMEOUT_MS, 'the wire says nothing');
    if (done) throw new Error('the wire ended');
    return JSON.parse(value);
  }
}

async function within<T>(promise: Promise<T>, timeoutMs: number, complaint: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(complaint)), timeoutMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Sends frames (hex) one after the other from a device. */
export async function sendFrames(
  namespace: string,
  device: string,
  frames: readonly string[],
): Promise<void> {
  const child = startInNamespace(namespace, RAWFRAMES, ['send', device, '1'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  child.stdin!.end(`${frames.join('\n')}\n`);
  await once(child, 'exit');
}

/** Sends frames at a rate and returns how many were sent. */
export async function flood(
  namespace: string,
  device: string,
  frames: readonly string[],
  pps: number,
  ms: number,
): Promise<number> {
  const child = startInNamespace(namespace, RAWFRAMES, ['flood', device, String(pps), String(ms)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin!.end(`${frames.join('\n')}\n`);
  const { value } = await createInterface({ input: child.stdout! })[Symbol.asyncIterator]().next();
  return Number(value);
}

/** Starts a listener; resolves once it listens, to a function that waits for what it has to say. */
export async function listen(
  verb: 'capture' | 'count',
  namespace: string,
  device: string,
  ms: number,
): Promise<(enough?: number) => Promise<string[]>> {
  const child = startInNamespace(namespace, RAWFRAMES, [verb, device, String(ms)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  await lines.next();
  return async (enough = Number.POSITIVE_INFINITY) => {
    const heard: string[] = [];
    while (heard.length < enough) {
      const { value, done } = await lines.next();
      if (done) break;
      heard.push(value);
    }
    child.kill('SIGKILL');
    return heard;
  };
}

/** Sends frames at one end of the row and returns what came out at the other, sorted. */
export async function across(row: Row, from: 'client' | 'server', frames: readonly string[], ms = 1000) {
  const [there, there0] = from === 'client' ? [row.server, 's0'] : [row.client, 'c0'];
  const heard = await listen('capture', there, there0, ms);
  await sendFrames(row[from], from === 'client' ? 'c0' : 's0', frames);
  return (await heard(frames.length)).sort();
}
