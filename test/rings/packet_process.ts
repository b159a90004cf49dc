/**
 * Forwarders over the packet backend as a process of its own, to be run in a namespace: all queues in one thread, in
 * turn. Argument: one JSON object, see `Options`. Answers in JSON, one object a line: first `{ready}` or `{error}`, then
 * one for each command read from stdin.
 *
 *   go      begins to forward, when `waits` was set
 *   stop    prints what was forwarded by each queue and the statistics, then ends
 */
import { createInterface } from 'node:readline';
import { WeirError } from '../../src/errors.js';
import type { WorkerIo } from '../../src/rings/io.js';
import { openPacketIo } from '../../src/rings/packet.js';
import { Forwarder } from './forwarder.js';

export interface Options {
  readonly inside: string;
  readonly outside: string;
  readonly queues: number;
  readonly frames: number;
  readonly ringSize: number;
  /** Starts the sockets, but forwards nothing before `go`. */
  readonly waits?: boolean;
}

export interface Result {
  readonly forwarded: number[];
  /** By queue, as in `WorkerIo.statistics`. */
  readonly statistics: number[][];
  /** Turns of queue 0 in the second before the end; each could have slept for 20 ms. */
  readonly lastTurns: number;
}

const STEPS_A_ROUND = 64;
const STEP_WAIT_NS = 500_000;
const LAST_WAIT_NS = 20_000_000;
/** The statistics are refreshed once a second. */
const STATISTICS_AGE_NS = 1.1e9;

const options = JSON.parse(process.argv[2]!) as Options;

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

function openQueue(queue: number): WorkerIo {
  const { inside, outside, queues, frames, ringSize } = options;
  return openPacketIo({ inside, outside, queue, queues, frames, frameBytes: 2048, ringSize });
}

function finish(ios: readonly WorkerIo[], forwarders: readonly Forwarder[]): never {
  const startNs = ios[0]!.nowWord[0]!;
  let lastTurns = 0;
  for (; ios[0]!.nowWord[0]! - startNs < STATISTICS_AGE_NS; lastTurns++) {
    for (const forwarder of forwarders) forwarder.step(LAST_WAIT_NS);
  }
  const statistics = ios.map((io) => Array.from(io.statistics));
  for (const io of ios) io.close();
  say({ forwarded: forwarders.map(({ forwarded }) => forwarded), statistics, lastTurns } satisfies Result);
  process.exit(0);
}

function main(): void {
  const ios = Array.from({ length: options.queues }, (_, queue) => openQueue(queue));
  const forwarders = ios.map((io) => new Forwarder(io));
  for (const io of ios) io.start();
  let goes = options.waits !== true;
  say({ ready: true });
  createInterface({ input: process.stdin }).on('line', (line) => {
    if (line === 'go' && !goes) {
      goes = true;
      round();
    } else if (line === 'stop') finish(ios, forwarders);
  });
  const round = (): void => {
    for (let i = 0; i < STEPS_A_ROUND; i++) for (const forwarder of forwarders) forwarder.step(STEP_WAIT_NS);
    setImmediate(round);
  };
  if (goes) round();
}

try {
  main();
} catch (error) {
  say({
    error: error instanceof WeirError ? error.code : 'none',
    message: error instanceof Error ? error.message : String(error),
  });
  process.exit(1);
}
