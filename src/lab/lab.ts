/**
 * Runs a plan on real packets: makes the network, puts the shaper in, sends the traffic, measures, and removes all of
 * it again, whatever happens.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError } from '../errors.js';
import { countWire, ratesBetween, type Sample, takeSample, type WireCount } from './meters.js';
import { INTERNET_HOST, LabNet } from './net.js';
import type { LabPlan } from './plan.js';
import type { Shaper, ShaperCounters } from './shaper.js';
import { Traffic } from './traffic.js';
import { judge, type Measurements, type Verdict } from './verdict.js';

const TICK_MS = 1000;
/** After the load what is queued leaves, and connections are closed. Counters may be a second old. */
const QUIET_TRIES = 6;
const QUIET_MS = 1200;
const REACHABLE_TRIES = 50;

/** What can be shown while it runs. */
export interface LabProgress {
  readonly elapsedSeconds: number;
  readonly ratesBps: ReadonlyMap<string, number>;
  readonly pingMs: number | null;
  readonly conntrackEntries: number;
}

export interface LabOptions {
  readonly plan: LabPlan;
  /** `folder` is a scratch folder that is removed at the end. */
  readonly createShaper: (net: LabNet, folder: string) => Shaper;
  readonly onStage: (text: string) => void;
  readonly onProgress: (progress: LabProgress) => void;
  /** Ends the lab early; it then throws E_LAB_INTERRUPTED. */
  readonly signal: AbortSignal;
}

export interface LabOutcome {
  readonly verdicts: readonly Verdict[];
  readonly measurements: Measurements;
  /** what clients said that ended before their time */
  readonly complaints: readonly string[];
}

/** Throws WeirError: E_LAB_NETWORK where the namespaces cannot be made, E_LAB_… and the shaper's own for the rest. */
export async function runLab(options: LabOptions): Promise<LabOutcome> {
  const { plan, signal } = options;
  const watched = [...new Set(plan.flows.map(({ address }) => address))];
  const net = new LabNet({ queues: plan.queues, subscriberPrefix: plan.subscriberPrefix, watched });
  const folder = await mkdtemp(join(tmpdir(), `weir-lab-${process.pid}-`));
  const shaper = options.createShaper(net, folder);
  const traffic = new Traffic(net, plan);
  try {
    options.onStage('making the namespaces');
    await net.create().catch((cause: Error) => {
      throw new WeirError('E_LAB_NETWORK', cause.message, { cause });
    });
    signal.throwIfAborted();
    return await new Run(options, net, shaper, traffic).run();
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new WeirError('E_LAB_INTERRUPTED', 'ended before its time; all that was made is removed', {
      cause: error,
    });
  } finally {
    await traffic.stop();
    await shaper.stop();
    await net.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

class Run {
  private readonly options: LabOptions;
  private readonly net: LabNet;
  private readonly shaper: Shaper;
  private readonly traffic: Traffic;
  private conntrackEntries = 0;

  constructor(options: LabOptions, net: LabNet, shaper: Shaper, traffic: Traffic) {
    this.options = options;
    this.net = net;
    this.shaper = shaper;
    this.traffic = traffic;
  }

  async run(): Promise<LabOutcome> {
    const { shaper, traffic } = this;
    const { plan, onStage, signal } = this.options;
    onStage(`starting the shaper with ${plan.users} subscribers`);
    await shaper.start(signal);
    await this.waitUntilReachable();
    await traffic.listen(signal);
    const before = await this.books();
    onStage(`sending for ${plan.seconds} s`);
    const { first, last } = await this.loadedPhase();
    const complaints = traffic.complaints;
    const delay = await traffic.delay();
    shaper.assertRunning();
    onStage('closing the books');
    await traffic.stop();
    const after = await this.quietBooks();
    const measurements: Measurements = {
      ratesBps: ratesBetween(first, last),
      delay,
      conntrackEntries: this.conntrackEntries,
      masqueraded: last.masqueraded,
      ...compareBooks(before, after),
    };
    return { verdicts: judge(plan.expectations, measurements), measurements, complaints };
  }

  /** The first ping also teaches the neighbours each other's addresses. */
  private async waitUntilReachable(): Promise<void> {
    const { net } = this;
    const ping = ['ping', '-n', '-c', '1', '-W', '1', '-I', this.options.plan.idle.address, INTERNET_HOST];
    for (let attempt = 1; ; attempt++) {
      this.options.signal.throwIfAborted();
      this.shaper.assertRunning();
      const answered = await net.inSpace(net.subscribers, ...ping).then(
        () => true,
        () => false,
      );
      if (answered) return;
      if (attempt === REACHABLE_TRIES) {
        throw new WeirError('E_LAB_UNREACHABLE', 'no ping gets through the shaper and the firewall');
      }
    }
  }

  /** Loads the wire; the samples are those of the end of the warm-up and of the end. */
  private async loadedPhase(): Promise<{ first: Sample; last: Sample }> {
    const { plan, signal } = this.options;
    await this.traffic.load(signal);
    const startedMs = performance.now();
    let previous = await this.sample();
    const advance = async (untilSeconds: number): Promise<Sample> => {
      const endMs = startedMs + untilSeconds * 1000;
      while (performance.now() < endMs) {
        const leftMs = Math.max(1, endMs - performance.now());
        // No last tick that is much shorter than the others: its rates would jump.
        await sleep(leftMs < 1.5 * TICK_MS ? leftMs : TICK_MS, undefined, { signal });
        this.shaper.assertRunning();
        const sample = await this.sample();
        this.report((performance.now() - startedMs) / 1000, previous, sample);
        previous = sample;
      }
      return previous;
    };
    const first = await advance(plan.warmupSeconds);
    this.traffic.startPings(plan.seconds - plan.warmupSeconds);
    return { first, last: await advance(plan.seconds) };
  }

  private async sample(): Promise<Sample> {
    const sample = await takeSample(this.net, this.options.plan);
    this.conntrackEntries = Math.max(this.conntrackEntries, sample.conntrackEntries);
    return sample;
  }

  private report(elapsedSeconds: number, previous: Sample, sample: Sample): void {
    this.options.onProgress({
      elapsedSeconds,
      ratesBps: ratesBetween(previous, sample),
      pingMs: this.traffic.lastPingMs,
      conntrackEntries: sample.conntrackEntries,
    });
  }

  private async books(): Promise<Books> {
    const [wire, sample, counters] = [
      await countWire(this.net),
      await this.sample(),
      await this.shaper.counters(),
    ];
    return { wire, sample, counters };
  }

  /** The books once nothing moves any more: two readings alike, and nothing queued. */
  private async quietBooks(): Promise<Books> {
    let books = await this.books();
    for (let attempt = 0; attempt < QUIET_TRIES; attempt++) {
      await sleep(QUIET_MS, undefined, { signal: this.options.signal });
      const next = await this.books();
      const isStill =
        next.wire.intoWeir === books.wire.intoWeir && next.wire.outOfWeir === books.wire.outOfWeir;
      books = next;
      if (isStill && (next.counters?.queuedFrames ?? 0) === 0) break;
    }
    return books;
  }
}

interface Books {
  readonly wire: WireCount;
  readonly sample: Sample;
  readonly counters: ShaperCounters | null;
}

/** What went in must have come out, be queued, or be counted as dropped; and both sides must count the same bytes. */
function compareBooks(
  before: Books,
  after: Books,
): Pick<Measurements, 'framesUnaccounted' | 'counterDifference'> {
  if (before.counters === null || after.counters === null) {
    return { framesUnaccounted: null, counterDifference: null };
  }
  const moved = (of: (wire: WireCount) => number): number => of(after.wire) - of(before.wire);
  const dropped = after.counters.droppedFrames - before.counters.droppedFrames;
  const framesUnaccounted =
    moved((wire) => wire.intoWeir) -
    moved((wire) => wire.outOfWeir) -
    moved((wire) => wire.droppedBehind) -
    dropped -
    after.counters.queuedFrames;
  let counterDifference = 0;
  for (const [key, bytes] of after.sample.bytes) {
    const seen = bytes - (before.sample.bytes.get(key) ?? 0);
    const told = (after.counters.bytes.get(key) ?? 0) - (before.counters.bytes.get(key) ?? 0);
    if (seen > 0) counterDifference = Math.max(counterDifference, Math.abs(told - seen) / seen);
  }
  return { framesUnaccounted, counterDifference };
}
