/** The load on the wire of the inline benchmarks, and what comes of it: packets that arrive, CPU time, latency. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError } from '../src/errors.js';
import type { Helper } from '../src/lab/commands.js';
import { DEVICES, endOf, type InlineNet, readResult, untilReady } from './inline-net.js';

export interface Offer {
  /** 0: as fast as it goes. */
  readonly pps: number;
  /** Layer-2 bytes of a frame. */
  readonly size: number;
  /** Drawn from uniformly. */
  readonly subscribers: number;
  /** The first subscriber's address. */
  readonly base: string;
  /**
   * live: frames made in the kernel, some millions a second, by a thread that never rests; socket: an AF_PACKET ring, whose
   * sender sleeps between frames, so that the CPU time of the machine is that of the work.
   */
  readonly by: 'live' | 'socket';
}

export interface Arrivals {
  /** Of the time that was measured. */
  readonly deliveredPps: number;
  /** Handed to the wire, on average of the generator's whole run. */
  readonly offeredPps: number;
  /** Of all CPUs, while it was measured. */
  readonly busyCpus: number;
}

/** Microseconds. */
export interface Latency {
  readonly arrivedPps: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** What a generator may last longer than it is needed; it ends by itself when nobody is left to end it. */
const SPARE_SECONDS = 10;
const PROBE_ADDRESS = '10.0.0.0';
const TICKS_PER_SECOND = 100;

export class InlineLoad {
  private readonly net: InlineNet;
  private readonly queues: number;
  private readonly warmUpSeconds: number;
  private readonly seconds: number;

  constructor(net: InlineNet, settings: { queues: number; warmUpSeconds: number; seconds: number }) {
    this.net = net;
    this.queues = settings.queues;
    this.warmUpSeconds = settings.warmUpSeconds;
    this.seconds = settings.seconds;
  }

  /** How long a path has to stand for one measurement. */
  get longestSeconds(): number {
    return Math.ceil(this.warmUpSeconds + this.seconds + SPARE_SECONDS);
  }

  /** Counts at `sinkDevice` what comes through of the offer, for no longer than `longestSeconds` allow. */
  async arrivals(sinkDevice: string, offer: Offer, seconds = this.seconds): Promise<Arrivals> {
    const { generator, value } = await this.during([offer], async () => {
      const sink = await this.startSink(sinkDevice);
      const busyBefore = await busyNow();
      await sleep(seconds * 1000);
      const busyCpus = (await busyNow()).since(busyBefore);
      return { busyCpus, ...(await endOf<{ pps: number }>(sink)) };
    });
    const { pps: offeredPps } = readResult<{ pps: number }>(generator[0]!);
    return { deliveredPps: value.pps, offeredPps, busyCpus: value.busyCpus };
  }

  /** How long probes of the first subscriber take, while the offers are sent. */
  async latency(sinkDevice: string, probePps: number, offers: readonly Offer[]): Promise<Latency> {
    const pace = ['--pps', String(probePps), '--seconds', String(this.longestSeconds)];
    const who = ['--direction', 'down', '--subscriber', PROBE_ADDRESS, '--cpu', '0'];
    const probe = this.net.startPeer(this.net.generator, 'probe', DEVICES.generator, ...pace, ...who);
    try {
      const { value } = await this.during(offers, async () => {
        const sink = await this.startSink(sinkDevice, '--latency');
        await sleep(this.seconds * 1000);
        return endOf<{ seconds: number; latencyUs: Omit<Latency, 'arrivedPps'> & { probes: number } }>(sink);
      });
      probe.assertRunning();
      const { probes, p50, p99, p999 } = value.latencyUs;
      if (probes === 0) throw new WeirError('E_BENCH_PROBES', `no probe has arrived at ${sinkDevice}`);
      return { arrivedPps: probes / value.seconds, p50, p99, p999 };
    } finally {
      await probe.stop();
    }
  }

  private async during<T>(
    offers: readonly Offer[],
    body: () => Promise<T>,
  ): Promise<{ generator: Helper[]; value: T }> {
    const generator = offers.map((offer) => this.startGenerator(offer));
    try {
      await sleep(this.warmUpSeconds * 1000);
      const value = await body();
      for (const each of generator) each.assertRunning();
      return { generator, value };
    } finally {
      await Promise.all(generator.map((each) => each.stop()));
    }
  }

  private startGenerator({ pps, size, subscribers, base, by }: Offer): Helper {
    const cpus = Array.from({ length: this.queues }, (_, cpu) => cpu).join(',');
    return this.net.startPeer(
      this.net.generator,
      'blast',
      ...[DEVICES.generator, '--direction', 'down', '--seconds', String(this.longestSeconds)],
      ...['--size', String(size), '--subscribers', String(subscribers), '--base', base],
      ...['--queue-cpus', cpus, ...(pps === 0 ? [] : ['--pps', String(Math.round(pps))])],
      ...(by === 'socket' ? ['--af-packet'] : []),
    );
  }

  private async startSink(device: string, ...options: readonly string[]): Promise<Helper> {
    const seconds = String(this.longestSeconds);
    const sink = this.net.startPeer(this.net.sink, 'sink', device, '--seconds', seconds, ...options);
    await untilReady(sink);
    return sink;
  }
}

/** How long all CPUs together have been idle. Linux counts that exactly, where it samples what runs. */
class Busy {
  private readonly idleSeconds: number;
  private readonly cpus: number;
  private readonly atMs = performance.now();

  constructor(stat: string) {
    const [first, ...rest] = stat.split('\n');
    const [, , , , idle, iowait] = first!.split(/ +/).map(Number);
    this.idleSeconds = (idle! + iowait!) / TICKS_PER_SECOND;
    this.cpus = rest.filter((line) => line.startsWith('cpu')).length;
  }

  /** CPUs' worth of work since then. */
  since(before: Busy): number {
    const seconds = (this.atMs - before.atMs) / 1000;
    return Math.max(0, this.cpus - (this.idleSeconds - before.idleSeconds) / seconds);
  }
}

async function busyNow(): Promise<Busy> {
  return new Busy(await readFile('/proc/stat', 'utf8'));
}
