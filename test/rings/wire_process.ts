/**
 * A wire with forwarders as a process of its own, to be run in a namespace. Arguments: one JSON object, see `Options`.
 * Answers in JSON, one object a line: first `{ready}` or `{error}`, then one for each command read from stdin.
 *
 *   counters              both ports' counters and what was forwarded
 *   bypass [[HEX, BITS]]  sets the bypass prefixes
 *   release QUEUE         releases a queue of the wire
 *   close DETACH          (0 or 1) stops the threads and closes the wire
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { WeirError } from '../../src/errors.js';
import { Wire, type WireOptions, type XdpIoOptions } from '../../src/rings/xdp.js';

export interface Options extends WireOptions {
  readonly frames: number;
  readonly ringSize: number;
  readonly zeroCopy: XdpIoOptions['zeroCopy'];
  /** Queues that get a forwarder. */
  readonly forward: readonly number[];
}

const options = JSON.parse(process.argv[2]!) as Options;
const stop = new Int32Array(new SharedArrayBuffer(4));
const totals = new Float64Array(new SharedArrayBuffer(64 * 8));
const workers: Worker[] = [];
const wakeFds: number[] = [];

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

/** Starts a thread and waits until its rings are open. */
function startForwarder(wire: Wire, queue: number): Promise<{ wakeFd: number }> {
  const { frames, ringSize, zeroCopy } = options;
  const worker = new Worker(new URL('./forwarder.js', import.meta.url), {
    workerData: {
      wireHandle: wire.handle,
      queue,
      frames,
      frameBytes: 2048,
      ringSize,
      zeroCopy,
      stop,
      totals,
    },
  });
  return new Promise((resolve, reject) => {
    worker.once('message', (answer) => {
      workers.push(worker);
      resolve(answer);
    });
    worker.once('error', reject);
  });
}

async function stopForwarders(): Promise<object[]> {
  const said = workers.map((worker) => new Promise<object>((resolve) => worker.once('message', resolve)));
  // A thread must end by itself: terminated within a native call, it would take the process with it.
  const ended = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
  Atomics.store(stop, 0, 1);
  for (const fd of wakeFds) writeSync(fd, new Uint8Array(8).fill(1));
  await Promise.all(ended);
  return Promise.all(said);
}

async function obey(wire: Wire, line: string): Promise<void> {
  const [verb, argument] = line.split(' ', 2);
  if (verb === 'counters') {
    say({
      inside: wire.counters(0),
      outside: wire.counters(1),
      forwarded: Array.from(totals.subarray(0, options.queues)),
    });
  } else if (verb === 'bypass') {
    const prefixes = JSON.parse(argument!) as [string, number][];
    wire.setBypass(prefixes.map(([hex, bits]) => ({ address: Buffer.from(hex, 'hex'), bits })));
    say({ done: verb });
  } else if (verb === 'release') {
    wire.releaseQueue(Number(argument));
    say({ done: verb });
  } else if (verb === 'close') {
    const statistics = await stopForwarders();
    wire.close(argument === '1');
    say({ done: verb, statistics });
    process.exit(0);
  }
}

async function main(): Promise<void> {
  const wire = Wire.open(options);
  const opened = [];
  for (const queue of options.forward) {
    const answer = await startForwarder(wire, queue);
    wakeFds.push(answer.wakeFd);
    opened.push(answer);
  }
  const { attachMode, tookOver, note } = wire;
  say({ ready: true, attachMode, tookOver, note, opened });
  for await (const line of createInterface({ input: process.stdin })) await obey(wire, line);
}

main().catch(async (error: unknown) => {
  const code = error instanceof WeirError ? error.code : ((error as { code?: string }).code ?? 'none');
  say({ error: code, message: error instanceof Error ? error.message : String(error) });
  // The end of the process waits for its threads, and they sleep.
  await stopForwarders();
  process.exit(1);
});
