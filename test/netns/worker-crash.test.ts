/** A worker thread that dies under load: its queue fails open, the others go on, and a new one takes its place. */
import type { ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildPeers } from '../../bench/inline-net.js';
import { ask } from '../../src/control/client.js';
import { type Lab, makeLab, removeLab, writeConfig, writeTree } from './daemon-lab.js';
import { Load } from './fail-open-load.js';
import { hasTool, startInNamespace, whyNoXdp } from './namespaces.js';

const test = suite('a worker that dies');
const DAEMON = new URL('./worker-crash-daemon.js', import.meta.url).pathname;
const PPS = 20_000;
const SECONDS = 4;
/** What a worker has put into its TX ring counts as sent, and goes with the worker when the kernel has not taken it. */
const RING_SIZE = 1024;
const POLL_MS = 20;
const UNTIL_MS = 20_000;
/** A dead worker's part of the frames for the time that its end takes to be noticed; the other half never stops. */
const LOSS_MAX = { throw: 0.2, exit: 0.2, hang: 0.5 } as const;
const DIRECTION = { rate: '200mbit', burst: '256kb', cburst: '256kb' };
const TREE = {
  version: 1,
  classes: [
    { id: 'uplink', down: { rate: '1gbit' }, up: { rate: '1gbit' } },
    ...['10.0.0.0/25', '10.0.0.128/25'].map((match, i) => ({
      id: `u${i}`,
      parent: 'uplink',
      match: [match],
      down: DIRECTION,
      up: DIRECTION,
    })),
  ],
};
/** Figures that may fall. */
const GAUGES = /backlog|rateBps|busy|freeFrames|epoch|uptime|sojourn|flows/;

interface Queue {
  readonly state: string;
  readonly restarts: number;
  readonly rxPackets: number;
  readonly txPackets: number;
}

interface Stats {
  readonly queues: readonly [Queue, Queue];
  readonly ports: { readonly outside: { readonly xdp: Record<'toSocket' | 'failOpen', number> } };
}

let lab: Lab;
let daemon: ChildProcess;
let log = '';
let lastCounters = new Map<string, number>();

async function getStats(): Promise<Stats> {
  return JSON.parse(await ask(join(lab.folder, 'weir.sock'), '/stats')) as Stats;
}

/** Every counter of a document, by its path. */
function countersOf(value: unknown, path: string, into: Map<string, number>): Map<string, number> {
  if (typeof value === 'number') {
    if (!GAUGES.test(path)) into.set(path, value);
  } else if (typeof value === 'object' && value !== null)
    for (const [key, part] of Object.entries(value)) countersOf(part, `${path}/${key}`, into);
  return into;
}

/** Looks at the daemon, and that no counter has gone back since the last look. */
async function look(): Promise<Stats> {
  const stats = await getStats();
  const counters = countersOf(stats, '', new Map());
  for (const [path, count] of lastCounters)
    assert.ok(counters.get(path)! >= count, `${path} fell from ${count} to ${counters.get(path)}`);
  lastCounters = counters;
  return stats;
}

async function until(what: string, isTrue: (stats: Stats) => boolean): Promise<Stats> {
  const endMs = performance.now() + UNTIL_MS;
  for (;;) {
    const stats = await look();
    if (isTrue(stats)) return stats;
    assert.ok(performance.now() < endMs, `it never came to be: ${what}\n${log}`);
    await sleep(POLL_MS);
  }
}

function sum(stats: Stats, key: 'rxPackets' | 'txPackets'): number {
  return stats.queues[0][key] + stats.queues[1][key];
}

function why(): string | null {
  if (availableParallelism() < 2) return 'a load on two queues takes two CPUs';
  return whyNoXdp() ?? (hasTool('make') && hasTool('clang') ? null : 'bench/peers needs make and clang');
}

const reason = why();
if (reason !== null) {
  process.stdout.write(`skipped: ${reason}\n`);
  test.skip('a worker is replaced', () => {});
} else {
  test.before(async () => {
    await buildPeers();
    lab = makeLab('crash', 2);
    writeTree(lab, TREE);
    const path = writeConfig(lab, {
      queues: 2,
      rings: { backend: 'xdp', mode: 'copy', frames: 8192, ringSize: RING_SIZE },
    });
    daemon = startInNamespace(lab.weir, process.execPath, [DAEMON, path]);
    daemon.stderr!.on('data', (part) => (log += part));
    const endMs = performance.now() + UNTIL_MS;
    while (!log.includes('"shaping"') && performance.now() < endMs) await sleep(POLL_MS);
    assert.match(log, '"shaping"');
  });

  test.after(async () => {
    if (daemon.exitCode === null) {
      const ended = new Promise((resolve) => daemon.once('close', resolve));
      daemon.kill('SIGTERM');
      await ended;
    }
    removeLab(lab);
    assert.is(daemon.exitCode, 0, log);
  });

  for (const [fault, victim, line] of [
    ['throw', 1, 'a fault in the worker'],
    ['exit', 0, 'ended without being told to'],
    ['hang', 1, 'has not come round for 1000 ms'],
  ] as const) {
    test(`${fault}: queue ${victim} fails open, the other goes on, a new worker takes its place`, async () => {
      const other = 1 - victim;
      const before = await look();
      const load = await Load.start(lab, {
        pps: PPS,
        seconds: SECONDS,
        subscribers: 256,
        cpus: '0,1',
      });
      await until('both queues carry', ({ queues }) =>
        queues.every((queue, i) => queue.rxPackets > before.queues[i]!.rxPackets),
      );
      log = '';
      daemon.stdin!.write(`${fault} ${victim}\n`);
      const dead = await until('the worker is gone', ({ queues }) => queues[victim].state !== 'running');
      const open = await until(
        'its frames cross in the kernel',
        ({ ports }) => ports.outside.xdp.failOpen > dead.ports.outside.xdp.failOpen,
      );
      assert.is(open.queues[other]!.state, 'running');
      const again = await until('a new worker carries', ({ queues }) => {
        const { state, rxPackets } = queues[victim];
        return state === 'running' && rxPackets > open.queues[victim].rxPackets;
      });
      assert.is(again.queues[victim].restarts, before.queues[victim].restarts + 1);
      assert.is(again.queues[other]!.restarts, before.queues[other]!.restarts);
      assert.ok(again.queues[other]!.rxPackets > dead.queues[other]!.rxPackets, 'the other queue went on');
      assert.match(log, line);

      const { sent, received, lost } = await load.end();
      const after = await look();
      const crossed = after.ports.outside.xdp.failOpen - before.ports.outside.xdp.failOpen;
      const taken = after.ports.outside.xdp.toSocket - before.ports.outside.xdp.toSocket;
      process.stdout.write(`${fault}: ${lost} of ${sent} frames lost, ${crossed} crossed in the kernel\n`);
      assert.is(taken + crossed, sent, 'the program has counted every frame');
      const inTxRing = crossed + sum(after, 'txPackets') - sum(before, 'txPackets') - received;
      assert.ok(inTxRing >= 0 && inTxRing <= RING_SIZE, `workers have sent ${inTxRing} frames too many`);
      assert.ok(lost <= sent * LOSS_MAX[fault], `${lost} frames lost`);
    });
  }
}

test.run();
