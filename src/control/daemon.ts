/**
 * The daemon: one wire, one worker a queue, and what the control thread does for them.
 *
 *     classes ──▶ Publisher ──epochs──▶ workers ──counters──▶ meters ──▶ API
 *     timers, link state, signals ──▶ this ──▶ Supervisor ──▶ threads, rings, wire
 */
import { randomInt } from 'node:crypto';
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { filter, firstValueFrom, interval, merge, type Subscription, skip, take } from 'rxjs';
import { type PrefixSpec, parsePrefix } from '../../classes/prefix.js';
import type { ClassSource, SourceResult } from '../../classes/source/source.js';
import type { DaemonConfig } from '../config/config.js';
import { Counter } from '../dataplane/counters.js';
import { WeirError } from '../errors.js';
import { treeView } from '../metrics/class-meter.js';
import { QueueMeter } from '../metrics/queue-meter.js';
import type { PortReport, StatsSource } from '../metrics/report.js';
import { ClassHashWriter } from '../shm/class-hash-writer.js';
import { Command } from '../shm/mailbox.js';
import {
  createSharedShaper,
  EpochWord,
  type PublishedEpoch,
  type SharedShaper,
} from '../shm/shared-shaper.js';
import { type ApiSubject, type ClassesRequest, closeServer, type Health, listen } from './api.js';
import type { Attachment, Candidate } from './backends.js';
import { ClassService } from './class-service.js';
import { linkState$, readLinkState } from './link-state.js';
import type { Logger } from './log.js';
import type { Plan } from './machine.js';
import { Supervisor, type SupervisorEvent } from './supervisor.js';

const CHECK_MS = 250;
const SAMPLE_MS = 1000;
const POLL_MS = 5;
const STOP_MS = 1000;
/** For one that is starting: it has its modules and the native library to load first. */
const STOP_STARTING_MS = 20_000;
const STOP_BY_FORCE_MS = 5000;
const CAPACITY_MIN = 65_536;
/** The epoch of the bypass prefixes' own class hash, which never changes. */
const BYPASS_EPOCH = 1;
/** Faults that another backend would not mend, or only hide. */
const FINAL_CODES = new Set([
  'E_BUSY',
  'E_PRIVILEGE',
  'E_DEVICE',
  'E_QUEUES',
  'E_MEMORY',
  'E_FRAMES',
  'E_RING_SIZE',
  'E_NATIVE',
  'E_INTERNAL',
]);

export interface DaemonOptions {
  readonly config: DaemonConfig;
  /** Where the classes come from; the daemon closes it when it stops. */
  readonly source: ClassSource;
  /** What the source had when it was loaded last, valid, and with the policy for unknown traffic worked in. */
  readonly loaded: SourceResult;
  readonly plan: Plan;
  /** Backends to be tried, best first. */
  readonly candidates: readonly Candidate[];
  readonly log: Logger;
  /** Called when a running daemon can do no more for its wire; the caller is to stop it. */
  readonly onFault?: (fault: WeirError) => void;
}

/** The prefixes of `bypass`, which the configuration has checked. */
export function bypassPrefixes(config: DaemonConfig): PrefixSpec[] {
  return config.bypass.flatMap((text) => {
    const parsed = parsePrefix(text);
    return typeof parsed === 'string' ? [] : [parsed.prefix];
  });
}

export class Daemon implements ApiSubject {
  readonly #options: DaemonOptions;
  readonly #log: Logger;
  readonly #shared: SharedShaper;
  readonly #classes: ClassService;
  readonly #queueMeters: readonly QueueMeter[];
  readonly #seed = randomInt(2 ** 31);
  readonly #bypassHash: SharedArrayBuffer | null;
  /** Queues that a worker has been started on before. */
  readonly #hadWorker = new Set<number>();
  /** CLOCK_MONOTONIC that counts as 0; a second ago, so that no time of the daemon is 0. */
  readonly #originNs = Number(process.hrtime.bigint()) - 1e9;
  readonly #startedAtNs: number;
  #state: 'starting' | 'running' | 'stopping' = 'starting';
  #server: Server | null = null;
  #attachment: Attachment | null = null;
  #candidate: Candidate | null = null;
  #supervisor: Supervisor | null = null;
  #subscription: Subscription | null = null;

  constructor(options: DaemonOptions) {
    const { config, loaded, plan } = options;
    this.#options = options;
    this.#log = options.log;
    this.#startedAtNs = this.#nowNs();
    const { capacity } = config.classes;
    const room = capacity === 'auto' ? Math.max(CAPACITY_MIN, 2 * loaded.tree!.classes.length) : capacity;
    this.#shared = createSharedShaper(room, plan.queues);
    this.#classes = new ClassService({
      config,
      source: options.source,
      loaded,
      shared: this.#shared,
      seed: this.#seed,
      log: this.#log,
      nowNs: () => this.#nowNs(),
      deliver: (epoch) => this.#supervisor?.deliver(epoch),
      wake: () => this.#supervisor?.wake(),
    });
    this.#queueMeters = Array.from({ length: plan.queues }, (_, queue) => new QueueMeter(queue));
    this.#bypassHash = hashOf(bypassPrefixes(config), this.#seed);
  }

  // ---- life -------------------------------------------------------------------------------------------

  /** Claims the control socket, publishes the classes, starts the workers on the best backend. Throws WeirError. */
  async start(): Promise<void> {
    const { config } = this.#options;
    // First, because a second daemon must find out before it touches the wire.
    this.#server = await listen(config.control.socket, this);
    try {
      this.#classes.publishFirst();
      await this.#startWorkers();
    } catch (error) {
      await closeServer(this.#server);
      throw error;
    }
    this.#watch();
    this.#state = 'running';
    this.#classes.start();
    const { backend, mode } = this.#candidate!;
    const classes = this.#classes.count;
    this.#log.info({ backend, mode, queues: this.#shared.queues, classes }, 'shaping');
  }

  /** Lets the wire follow `failure`, sends what is queued for at most `drain.seconds`, ends the workers and detaches. */
  async stop(): Promise<void> {
    const { config } = this.#options;
    this.#state = 'stopping';
    // A database that does not answer must not hold up the wire.
    const frozen = this.#classes.freeze();
    const supervisor = this.#supervisor!;
    const attachment = this.#attachment!;
    for (let queue = 0; queue < this.#shared.queues; queue++) this.#releaseQueue(queue);
    const isDrained = supervisor.command(Command.DRAIN);
    if (!(await until(isDrained, config.drain.seconds * 1000)))
      this.#log.warn({ packets: this.#heldPackets() }, 'packets were still queued when draining ended');
    await this.#stopWorkers(supervisor);
    this.#subscription?.unsubscribe();
    attachment.close(config.exit === 'detach');
    await this.#classes.stop();
    await frozen;
    await closeServer(this.#server!);
    this.#log.info({ wire: config.exit === 'detach' ? 'detached' : `fails ${config.failure}` }, 'stopped');
  }

  /** Reads the classes and publishes the difference. Rejects with E_CLASSES and what reading throws; the old ones stay. */
  reload(): Promise<object> {
    return this.#whileRunning(() => this.#classes.reload());
  }

  plan(request: ClassesRequest): Promise<object> {
    return this.#whileRunning(() => this.#classes.plan(request));
  }

  apply(request: ClassesRequest): Promise<object> {
    return this.#whileRunning(() => this.#classes.apply(request));
  }

  #whileRunning<T>(work: () => Promise<T>): Promise<T> {
    if (this.#state === 'running') return work();
    return Promise.reject(new WeirError('E_NOT_READY', `the daemon is ${this.#state}`));
  }

  // ---- what the API shows -----------------------------------------------------------------------------

  health(): Health {
    const supervisor = this.#supervisor;
    const workers = this.#queueMeters.map(({ queue }) => supervisor?.state(queue) ?? 'stopped');
    const isWhole = supervisor?.areRunning ?? false;
    const state = this.#state === 'running' && !isWhole ? 'degraded' : this.#state;
    const { backend = null, mode = null } = this.#candidate ?? {};
    const epoch = this.#classes.publisher.oldestAdoptedEpoch();
    return { state, pid: process.pid, uptimeSeconds: this.#uptimeSeconds(), backend, mode, workers, epoch };
  }

  stats(classId: string | null): StatsSource | null {
    if (this.#candidate === null || this.#supervisor === null) return null;
    const supervisor = this.#supervisor;
    const { config } = this.#options;
    const one = classId === null ? null : this.#classes.meter.report(classId);
    if (classId !== null && one === null) throw new WeirError('E_CLASS', `there is no class '${classId}'`);
    return {
      ...this.#classes.status(),
      uptimeSeconds: this.#uptimeSeconds(),
      backend: this.#candidate.backend,
      mode: this.#candidate.mode,
      failure: config.failure,
      classes: one === null ? this.#classes.meter.reports() : [one],
      queues: this.#queueMeters.map((meter) =>
        meter.report(supervisor.state(meter.queue), supervisor.restarts(meter.queue)),
      ),
      ports: { inside: this.#portReport(0), outside: this.#portReport(1) },
    };
  }

  #portReport(port: 0 | 1): PortReport {
    const { device } = this.#options.config.ports[port === 0 ? 'inside' : 'outside'];
    const { state, changes } = readLinkState(device);
    return { device, link: state, linkChanges: changes, xdp: this.#attachment?.counters(port) ?? null };
  }

  #uptimeSeconds(): number {
    return Math.round((this.#nowNs() - this.#startedAtNs) / 1e6) / 1000;
  }

  // ---- workers ----------------------------------------------------------------------------------------

  async #startWorkers(): Promise<void> {
    const { candidates, log } = this.#options;
    for (const [i, candidate] of candidates.entries()) {
      const { backend, mode } = candidate;
      try {
        await this.#startOn(candidate);
        return;
      } catch (error) {
        if (!(error instanceof WeirError)) throw error;
        if (i === candidates.length - 1 || FINAL_CODES.has(error.code)) throw error;
        log.info({ backend, mode, code: error.code, reason: error.message }, 'backend not used');
      }
    }
  }

  /** Opens one backend and starts all workers on it; undoes everything and throws if any of them does not start. */
  async #startOn(candidate: Candidate): Promise<void> {
    const attachment = candidate.attach(this.#log);
    const supervisor = this.#createSupervisor(attachment);
    const subscription = supervisor.events$.subscribe((event) => this.#onWorker(event));
    this.#attachment = attachment;
    this.#supervisor = supervisor;
    const outcome = firstValueFrom(
      supervisor.events$.pipe(
        filter(({ kind }) => kind === 'ended' || supervisor.areRunning),
        take(1),
      ),
    );
    supervisor.start(this.#nowMs());
    const event = await outcome;
    if (event.kind !== 'ended') {
      this.#candidate = candidate;
      this.#subscription = subscription;
      return;
    }
    await this.#stopWorkers(supervisor);
    subscription.unsubscribe();
    attachment.close(!attachment.tookOver);
    this.#attachment = this.#supervisor = null;
    throw event.fault ?? new WeirError('E_WORKER', `queue ${event.queue}: the worker ended`);
  }

  #createSupervisor(attachment: Attachment): Supervisor {
    const { config, plan } = this.#options;
    return new Supervisor({
      queues: plan.queues,
      threadOptions: (queue) => ({
        queue,
        originNs: this.#originNs,
        cpu: plan.cpus[queue] ?? -1,
        shared: this.#shared,
        capacityFlows: config.flows.capacity,
        flowIdleMs: config.flows.idleSeconds * 1000,
        seed: (this.#seed + queue) | 0,
        unknownPolicy: config.unknown.policy === 'drop' ? 'drop' : 'pass',
        bypassHash: attachment.bypassesInKernel ? null : this.#bypassHash,
      }),
      opener: (queue) => attachment.opener(queue),
      releaseQueue: (queue) => this.#releaseQueue(queue),
      closeIo: (handle) => attachment.closeIo(handle),
      firstEpoch: (queue) => this.#firstEpoch(queue),
    });
  }

  #firstEpoch(queue: number): PublishedEpoch {
    if (this.#hadWorker.has(queue)) return this.#classes.publisher.restart(queue, this.#nowNs());
    this.#hadWorker.add(queue);
    return this.#classes.publisher.snapshot();
  }

  async #stopWorkers(supervisor: Supervisor): Promise<void> {
    const patienceMs = supervisor.isStarting ? STOP_STARTING_MS : STOP_MS;
    supervisor.stop(false);
    if (await until(() => supervisor.isStopped, patienceMs)) return;
    supervisor.stop(true);
    if (!(await until(() => supervisor.isStopped, STOP_BY_FORCE_MS)))
      throw new WeirError('E_WORKER', 'a worker thread does not end: it is stuck in the kernel');
  }

  #onWorker(event: SupervisorEvent): void {
    const { queue } = event;
    if (event.kind === 'ready') {
      const { counters, trees, zeroCopy, warnings } = event.ready;
      for (const warning of warnings) this.#log.warn(warning);
      this.#log.debug({ queue, zeroCopy }, 'rings open');
      const sentPackets = (): number => counters[Counter.TX_PACKETS]!;
      this.#classes.meter.addWorker({ queue, sentPackets, trees: [treeView(trees[0]), treeView(trees[1])] });
      this.#queueMeters[queue]!.addWorker(counters, event.words);
    } else if (event.kind === 'ended') {
      // What the worker counted is read before what it held in shared memory may be used again.
      this.#classes.meter.removeWorker(queue);
      this.#queueMeters[queue]!.removeWorker();
      this.#classes.publisher.release(queue, this.#nowNs());
      if (event.fault === null || this.#state === 'starting') return;
      const { code, message } = event.fault;
      const { failure } = this.#options.config;
      this.#log.error(
        { queue, code, reason: message, retryMs: event.retryMs },
        `worker ended, its queue fails ${failure}`,
      );
    } else if (this.#state !== 'starting') this.#log.info({ queue }, 'worker runs again');
  }

  #releaseQueue(queue: number): void {
    try {
      this.#attachment!.releaseQueue(queue);
    } catch (error) {
      this.#log.error({ queue, reason: (error as Error).message }, 'queue not released');
    }
  }

  /** Packets taken in that have neither left nor been dropped. */
  #heldPackets(): number {
    return this.#queueMeters.reduce((sum, meter) => {
      const { rxPackets, txPackets, drops } = meter.report('', 0);
      return sum + rxPackets - txPackets - Object.values(drops).reduce((a, b) => a + b, 0);
    }, 0);
  }

  // ---- what goes on beside ----------------------------------------------------------------------------

  #watch(): void {
    const { inside, outside } = this.#options.config.ports;
    const checks = interval(CHECK_MS).subscribe(() => this.#supervisor!.check(this.#nowMs()));
    const samples = interval(SAMPLE_MS).subscribe(() => this.#sample());
    const links = merge(
      ...[inside, outside].map(({ device }) => {
        const changes = linkState$(device).pipe(skip(1));
        return changes.pipe(filter(({ state }) => this.#onLink(device, state)));
      }),
    ).subscribe();
    for (const part of [checks, samples, links]) this.#subscription!.add(part);
  }

  #sample(): void {
    const nowNs = this.#nowNs();
    this.#classes.sample(nowNs);
    for (const meter of this.#queueMeters) meter.sample(nowNs);
  }

  #onLink(device: string, state: string): boolean {
    this.#log.warn({ device, state }, 'link changed');
    // Pairs with the workers' load in each step: flow entries made before are not used any more.
    Atomics.add(this.#shared.epochWords, EpochWord.PORT_STATE, 1);
    this.#supervisor!.wake();
    // A device that comes back under its name is another one, with neither program nor sockets.
    if (state === 'gone' && this.#state === 'running')
      this.#options.onFault?.(new WeirError('E_DEVICE', `${device} is gone, and with it the wire`));
    return true;
  }

  #nowNs(): number {
    return Number(process.hrtime.bigint()) - this.#originNs;
  }

  #nowMs(): number {
    return this.#nowNs() / 1e6;
  }
}

/** A class hash of its own for the bypass prefixes; null when there are none. */
function hashOf(prefixes: readonly PrefixSpec[], seed: number): SharedArrayBuffer | null {
  if (prefixes.length === 0) return null;
  const writer = new ClassHashWriter({ seed });
  for (const { family, words, length } of prefixes) writer.insert(family, words, length, 0, BYPASS_EPOCH);
  return writer.buffer;
}

/** Asks again and again for at most `timeoutMs`; the last answer. */
async function until(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
  const endMs = performance.now() + timeoutMs;
  while (!isTrue()) {
    if (performance.now() >= endMs) return false;
    await sleep(POLL_MS);
  }
  return true;
}
