/** What one queue's workers have counted, one after the other, and how busy the present one is. */
import { Counter } from '../dataplane/counters.js';
import { PARSE_CAUSE_NAMES } from '../dataplane/parse-causes.js';
import { ThreadWord } from '../dataplane/thread-contract.js';
import { STATISTIC_NAMES, Statistic } from '../rings/io.js';

export type NamedCounters = Readonly<Record<string, number>>;

export interface QueueReport {
  readonly queue: number;
  /** running, starting, or waiting for the next attempt. */
  readonly state: string;
  readonly restarts: number;
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly txPackets: number;
  readonly txBytes: number;
  readonly unknownPackets: number;
  readonly bypassPackets: number;
  /** Packets marked instead of dropped. */
  readonly marks: number;
  readonly drops: {
    readonly parse: number;
    /** At the limits of leaves. */
    readonly queue: number;
    readonly codel: number;
    /** For want of frames. */
    readonly evicted: number;
    readonly txFull: number;
    readonly unknown: number;
    /** Packets that a worker held when it died. */
    readonly restart: number;
  };
  /** Share of the last second spent on packets. */
  readonly busy: number;
  readonly sleeps: number;
  readonly freeFrames: number;
  readonly parse: NamedCounters;
  /** What the kernel counted at the sockets of both ports. */
  readonly sockets: { readonly inside: NamedCounters; readonly outside: NamedCounters };
}

/** Of all causes. */
export function droppedPackets(drops: QueueReport['drops']): number {
  return Object.values(drops).reduce((sum, count) => sum + count, 0);
}

export class QueueMeter {
  readonly queue: number;
  #counters: Float64Array | null = null;
  #words: Float64Array | null = null;
  /** What dead workers have counted. */
  readonly #keptCounters = new Float64Array(Counter.COUNT);
  readonly #keptWords = new Float64Array(ThreadWord.COUNT);
  #lostPackets = 0;
  #sampledAtNs = 0;
  #busyAtSampleNs = 0;
  #busy = 0;

  constructor(queue: number) {
    this.queue = queue;
  }

  addWorker(counters: Float64Array, words: Float64Array): void {
    this.#counters = counters;
    this.#words = words;
    this.#busyAtSampleNs = 0;
  }

  /** Keeps what a worker has counted; its thread must have ended. */
  removeWorker(): void {
    const { rxPackets, txPackets, drops } = this.report('', 0);
    this.#lostPackets += Math.max(0, rxPackets - txPackets - droppedPackets(drops));
    addTo(this.#keptCounters, this.#counters);
    addTo(this.#keptWords, this.#words);
    this.#counters = this.#words = null;
    this.#busy = 0;
  }

  sample(nowNs: number): void {
    const busyNs = this.#words?.[ThreadWord.BUSY_NS] ?? 0;
    const share = (busyNs - this.#busyAtSampleNs) / (nowNs - this.#sampledAtNs);
    this.#busy = this.#sampledAtNs === 0 ? 0 : Math.min(1, Math.max(0, share));
    this.#busyAtSampleNs = busyNs;
    this.#sampledAtNs = nowNs;
  }

  report(state: string, restarts: number): QueueReport {
    const count = (counter: Counter): number =>
      this.#keptCounters[counter]! + (this.#counters?.[counter] ?? 0);
    const word = (index: number): number => this.#keptWords[index]! + (this.#words?.[index] ?? 0);
    const socket = (port: number): NamedCounters =>
      named(STATISTIC_NAMES, (i) => word(ThreadWord.SOCKETS + port * Statistic.COUNT + i));
    return {
      queue: this.queue,
      state,
      restarts,
      rxPackets: count(Counter.RX_PACKETS),
      rxBytes: count(Counter.RX_BYTES),
      txPackets: count(Counter.TX_PACKETS),
      txBytes: count(Counter.TX_BYTES),
      unknownPackets: count(Counter.UNKNOWN_PACKETS),
      bypassPackets: count(Counter.BYPASS_PACKETS),
      marks: count(Counter.MARKS),
      drops: {
        parse: count(Counter.DROP_PARSE),
        queue: count(Counter.DROP_QUEUE),
        codel: count(Counter.DROP_CODEL),
        evicted: count(Counter.DROP_EVICTED),
        txFull: count(Counter.DROP_TX_FULL),
        unknown: count(Counter.DROP_UNKNOWN),
        restart: this.#lostPackets,
      },
      busy: Math.round(this.#busy * 1000) / 1000,
      sleeps: word(ThreadWord.SLEEPS),
      freeFrames: this.#words?.[ThreadWord.FREE_FRAMES] ?? 0,
      parse: named(PARSE_CAUSE_NAMES, (i) => word(ThreadWord.PARSE + i)),
      sockets: { inside: socket(0), outside: socket(1) },
    };
  }
}

function addTo(sums: Float64Array, counts: Float64Array | null): void {
  for (let i = 0; i < sums.length; i++) sums[i]! += counts?.[i] ?? 0;
}

function named(names: readonly string[], countOf: (index: number) => number): NamedCounters {
  return Object.fromEntries(names.map((name, i) => [name, countOf(i)]));
}
