/** The daemon between the lab's two ports: started as its operators do, asked through its control socket. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ask } from '../control/client.js';
import { WeirError } from '../errors.js';
import type { QueueReport } from '../metrics/queue-meter.js';
import type { StatsDocument } from '../metrics/report.js';
import { atNice, Helper } from './commands.js';
import { type LabNet, PORTS } from './net.js';
import type { LabPlan } from './plan.js';
import type { Shaper, ShaperCounters } from './shaper.js';
import { rateKey } from './verdict.js';

/** The compiled file is dist/src/lab/daemon.js. */
const MAIN = fileURLToPath(new URL('../cli/main.js', import.meta.url));
/** Higher than this, or in real time, polling workers leave the programs that load them too little. */
const DAEMON_NICE = -15;
const START_TIMEOUT_MS = 30_000;
const ANSWER_TIMEOUT_MS = 10_000;
const POLL_MS = 100;
/** Frames that a socket did not get. The other statistics tell why, or are of frames that weir still has. */
const SOCKET_LOSSES = ['rxDropped', 'rxRingFull', 'txInvalid'] as const;
/** Frames that the XDP program drops. */
const PROGRAM_LOSSES = ['failClosed', 'runtClosed', 'tooLong'] as const;

export class DaemonShaper implements Shaper {
  private readonly net: LabNet;
  private readonly folder: string;
  private readonly plan: LabPlan;
  private daemon: Helper | null = null;

  constructor(net: LabNet, folder: string, plan: LabPlan) {
    this.net = net;
    this.folder = folder;
    this.plan = plan;
  }

  async start(signal: AbortSignal): Promise<void> {
    const { net, folder, plan } = this;
    const tree = join(folder, 'tree.json');
    const config = join(folder, 'weir.json');
    await writeFile(tree, JSON.stringify(plan.tree));
    await writeFile(config, JSON.stringify(this.config(tree)));
    const command = atNice(DAEMON_NICE, [process.execPath, MAIN, 'daemon', '--config', config]);
    this.daemon = new Helper(net.within(net.shaper, ...command));
    for (let waitedMs = 0; ; waitedMs += POLL_MS) {
      this.assertRunning();
      const isUp = await ask(this.socket, '/health', { timeoutMs: ANSWER_TIMEOUT_MS }).then(
        () => true,
        () => false,
      );
      if (isUp) return;
      if (waitedMs >= START_TIMEOUT_MS) {
        throw new WeirError('E_LAB_DAEMON', `the daemon does not answer: ${this.daemon.lastWords}`);
      }
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  async counters(): Promise<ShaperCounters> {
    const { classes, queues, ports } = await this.stats();
    const loaded = new Set(this.plan.flows.map(({ classId }) => classId));
    const parents = new Set(classes.map(({ parent }) => parent));
    const bytes = new Map<string, number>();
    let queuedFrames = 0;
    for (const { id, down, up } of classes) {
      // An inner class counts what its children queue.
      if (!parents.has(id)) queuedFrames += down.backlogPackets + up.backlogPackets;
      if (!loaded.has(id)) continue;
      bytes.set(rateKey(id, 'down'), down.bytes);
      bytes.set(rateKey(id, 'up'), up.bytes);
    }
    const inProgram = [ports.inside, ports.outside].reduce(
      (sum, { xdp }) => sum + sumOf(xdp, PROGRAM_LOSSES),
      0,
    );
    const droppedFrames = queues.reduce((sum, queue) => sum + droppedBy(queue), inProgram);
    return { bytes, droppedFrames, queuedFrames };
  }

  assertRunning(): void {
    if (this.daemon === null || this.daemon.isRunning) return;
    throw new WeirError('E_LAB_DAEMON', `the daemon has ended: ${this.daemon.lastWords}`);
  }

  async stop(): Promise<void> {
    await this.daemon?.stop();
  }

  private get socket(): string {
    return join(this.folder, 'weir.sock');
  }

  private config(tree: string): object {
    return {
      ports: { inside: { device: PORTS.inside }, outside: { device: PORTS.outside } },
      queues: this.plan.queues,
      classes: { source: `file:${tree}` },
      control: { socket: this.socket },
    };
  }

  private async stats(): Promise<StatsDocument> {
    return JSON.parse(await ask(this.socket, '/stats', { timeoutMs: ANSWER_TIMEOUT_MS })) as StatsDocument;
  }
}

function droppedBy({ drops, sockets }: QueueReport): number {
  const { parse, queue, codel, evicted, txFull, unknown, restart } = drops;
  const inWorker = parse + queue + codel + evicted + txFull + unknown + restart;
  return inWorker + sumOf(sockets.inside, SOCKET_LOSSES) + sumOf(sockets.outside, SOCKET_LOSSES);
}

function sumOf(counters: Readonly<Record<string, number>> | null, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (counters?.[name] ?? 0), 0);
}
