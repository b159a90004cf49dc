/**
 * A steady load on the wire and what of it arrives, counted at both ends.
 *
 *     internet [net0] blast ──▶ [out0] weir [in0] ──▶ [sub0] sink, subscriber
 *
 * The sender sleeps between frames (AF_PACKET), so on a machine of two CPUs the daemon still finds one. The sink is an
 * XDP program: it counts without a thread that would have to be woken, and tells every millisecond from the next.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from './daemon-lab.js';
import { inNamespace } from './namespaces.js';
import { Program } from './program.js';

/** Frames that were still on their way when the sender ended have arrived by then. */
const SETTLE_MS = 300;
const NS_PER_MS = 1e6;

export interface LoadOptions {
  readonly pps: number;
  readonly seconds: number;
  /** Addresses from 10.0.0.0 on that the frames are for. */
  readonly subscribers: number;
  /** A sender on each; frames come in at queue `CPU % queues`. */
  readonly cpus?: string;
}

export interface LoadResult {
  /** Frames that the sender's device has taken, and that the sink has seen. */
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  /** Frames that arrived in each millisecond, the first of which began at `startNs` (CLOCK_MONOTONIC). */
  readonly milliPackets: readonly number[];
  readonly startNs: number;
}

/** The clock that the sink's milliseconds are told by. */
export function monotonicNs(): number {
  return Number(process.hrtime.bigint());
}

export class Load {
  readonly #lab: Lab;
  readonly #sink: Program;
  readonly #blast: Program;
  readonly #droppedBefore: number;

  private constructor(lab: Lab, sink: Program, blast: Program, droppedBefore: number) {
    this.#lab = lab;
    this.#sink = sink;
    this.#blast = blast;
    this.#droppedBefore = droppedBefore;
  }

  /** Resolves when frames are on their way. The load ends by itself after its seconds. */
  static async start(lab: Lab, { pps, seconds, subscribers, cpus = '0' }: LoadOptions): Promise<Load> {
    const sinkSeconds = String(Math.ceil(seconds) + 3);
    const sink = new Program(lab.subscriber, 'sink', ['sub0', '--millis', '--seconds', sinkSeconds]);
    await sink.ready();
    const before = sentAndDropped(lab.internet, 'net0');
    const blast = new Program(lab.internet, 'blast', [
      ...['net0', '--af-packet', '--direction', 'down', '--size', '64', '--ports', '1000'],
      ...['--pps', String(pps), '--seconds', String(seconds), '--subscribers', String(subscribers)],
      ...['--queue-cpus', cpus],
    ]);
    await sleep(SETTLE_MS);
    return new Load(lab, sink, blast, before);
  }

  /** Waits for the end of the load and compares both ends. */
  async end(): Promise<LoadResult> {
    const { sent: handedOver } = (await this.#blast.result()) as { sent: number };
    await sleep(SETTLE_MS);
    this.#sink.stop();
    const { packets, milliPackets, startNs } = (await this.#sink.result()) as {
      packets: number;
      milliPackets: number[];
      startNs: number;
    };
    // What the sender's own device dropped never was on the wire.
    const sent = handedOver - (sentAndDropped(this.#lab.internet, 'net0') - this.#droppedBefore);
    return { sent, received: packets, lost: sent - packets, milliPackets, startNs };
  }
}

/** The longest time without a frame that begins within `withinMs` of `sinceNs`; in whole milliseconds. */
export function outageMs({ milliPackets, startNs }: LoadResult, sinceNs: number, withinMs = 500): number {
  const first = Math.max(0, Math.floor((sinceNs - startNs) / NS_PER_MS));
  let longest = 0;
  for (let at = first; at < first + withinMs; at++) {
    let end = at;
    while (end < milliPackets.length && milliPackets[end] === 0) end++;
    longest = Math.max(longest, end - at);
    at = Math.max(at, end);
  }
  return longest;
}

/** Frames from `sinceMs` on, for `forMs`, counted from `ns`. */
export function packetsBetween(result: LoadResult, ns: number, sinceMs: number, forMs: number): number {
  const first = Math.floor((ns - result.startNs) / NS_PER_MS) + sinceMs;
  return result.milliPackets.slice(first, first + forMs).reduce((sum, packets) => sum + packets, 0);
}

/** Frames that a device was to send and could not hand to its peer. */
export function sentAndDropped(namespace: string, device: string): number {
  const text = inNamespace(namespace, 'ip', ['-s', '-j', 'link', 'show', 'dev', device]);
  const [{ stats64 }] = JSON.parse(text) as [{ stats64: { tx: { dropped: number } } }];
  return stats64.tx.dropped;
}
