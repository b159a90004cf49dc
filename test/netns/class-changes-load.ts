/**
 * A load of numbered frames for all subscribers of a user database.
 *
 *     internet [net0] blast ──▶ [out0] weir [in0] ──▶ [sub0] sink, subscribers
 *
 * Frames come in short trains of one flow, because two frames that are far apart would keep their order by chance. The sink
 * knows each by its number, counts for each subscriber, and reads off how long each was on its way.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from './daemon-lab.js';
import { sentAndDropped } from './fail-open-load.js';
import { Program } from './program.js';

const TRAIN = 8;
const FIRST_PORT = 20_000;
const SETTLE_MS = 300;

// ---- the load ---------------------------------------------------------------------------------------------

export interface NumberedOptions {
  readonly pps: number;
  readonly seconds: number;
  readonly subscribers: number;
  readonly bytes: number;
}

export interface NumberedResult {
  /** Frames that the sender's device has taken, and that the sink has seen. */
  readonly sent: number;
  readonly received: number;
  /** Frames whose number the sink could read; all of them. */
  readonly numbered: number;
  /** Frames that came after a later one of their subscriber, or twice. */
  readonly late: number;
  /** Frames that the sender's own device dropped: they never were on the wire. */
  readonly senderDrops: number;
  readonly subscriberPackets: readonly number[];
  readonly subscriberBytes: readonly number[];
  readonly milliPackets: readonly number[];
  readonly startNs: number;
  readonly latencyUs: {
    readonly p50: number;
    readonly p99: number;
    readonly p999: number;
    readonly max: number;
  };
}

/** A load that ends by itself after its seconds. */
export class NumberedLoad {
  readonly #lab: Lab;
  readonly #sink: Program;
  readonly #blast: Program;
  readonly #droppedBefore: number;

  private constructor(lab: Lab, sink: Program, blast: Program) {
    this.#lab = lab;
    this.#sink = sink;
    this.#blast = blast;
    this.#droppedBefore = sentAndDropped(lab.internet, 'net0');
  }

  /** Resolves when frames are on their way. */
  static async start(lab: Lab, options: NumberedOptions): Promise<NumberedLoad> {
    const { pps, seconds, subscribers, bytes } = options;
    const sink = new Program(lab.subscriber, 'sink', [
      ...[
        'sub0',
        '--subscribers',
        String(subscribers),
        '--order',
        '--millis',
        '--latency',
        String(FIRST_PORT),
      ],
      ...['--seconds', String(Math.ceil(seconds) + 3)],
    ]);
    await sink.ready();
    const load = new NumberedLoad(
      lab,
      sink,
      new Program(lab.internet, 'blast', [
        ...['net0', '--af-packet', '--numbered', '--train', String(TRAIN), '--direction', 'down'],
        ...['--size', String(bytes), '--ports', '2', '--port', String(FIRST_PORT)],
        ...['--pps', String(pps), '--seconds', String(seconds), '--subscribers', String(subscribers)],
        ...['--queue-cpus', '0'],
      ]),
    );
    await sleep(SETTLE_MS);
    return load;
  }

  /** Waits for the end of the load and compares both ends. */
  async end(): Promise<NumberedResult> {
    const { sent } = (await this.#blast.result()) as { sent: number };
    await sleep(SETTLE_MS);
    this.#sink.stop();
    const { packets, ...seen } = (await this.#sink.result()) as NumberedResult & { packets: number };
    const senderDrops = sentAndDropped(this.#lab.internet, 'net0') - this.#droppedBefore;
    return { ...seen, senderDrops, sent: sent - senderDrops, received: packets };
  }
}
