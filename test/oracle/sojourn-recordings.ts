/**
 * How recorded queues are written down: one flow queue behind a bottleneck of 10 Mbit/s, packets of 1514 bytes, target
 * 5 ms and interval 100 ms; the senders are those of tcp-like.ts, and what CoDel did is what codel-reference.ts did.
 *
 * A recording is a line of events. Each has the microseconds since the one before, in base 36, and then what happened:
 * `+` a packet arrived, `-` the next packet left. In front of `-` stands a `!` for each packet that was dropped on that
 * occasion, and `^` where the one that left was marked.
 */
import { FqReference } from './fq-reference.js';
import { makeRng } from './random-tree.js';
import { runBottleneck, type SenderSpec } from './tcp-like.js';

export const RECORDED_BYTES = 1514;

export interface Recording {
  name: string;
  senders: number;
  rttUs: number;
  canMark: boolean;
  events: string;
}

export interface RecordedEvent {
  atUs: number;
  /** An arrival, or else a departure with what CoDel did on that occasion. */
  isArrival: boolean;
  drops: number;
  isMarked: boolean;
}

const UNTIL_US = 1_300_000;

/** Plays the queue of a recording against the reference and writes down what happens. */
export function record({ senders, rttUs, canMark }: Omit<Recording, 'events'>): string {
  const reference = new FqReference({ flows: 1 });
  const words: string[] = [];
  let lastUs = 0;
  const write = (nowUs: number, what: string): void => {
    words.push(`${(nowUs - lastUs).toString(36)}${what}`);
    lastUs = nowUs;
  };
  const spec = (index: number): SenderSpec => {
    const startUs = index * 20_000;
    return { device: 0, dscp: 0, canMark, bytes: RECORDED_BYTES, rttUs: rttUs + index * 3_000, startUs };
  };
  const queue = {
    get backlogPackets() {
      return reference.backlogPackets;
    },
    beginStep: () => reference.beginStep(),
    enqueue: reference.enqueue.bind(reference),
    dequeue: reference.dequeue.bind(reference),
    takeEvents: () => {
      const events = reference.takeEvents();
      if (events.length > 0) pending = events.map(({ what }) => (what === 'mark' ? '^' : '!')).join('');
      return events;
    },
  };
  let pending = '';
  runBottleneck(
    queue,
    {
      senders: Array.from({ length: senders }, (_, index) => spec(index)),
      rateBps: 1e7,
      untilUs: UNTIL_US,
      onArrival: (nowUs) => write(nowUs, '+'),
      onDeparture: (nowUs) => {
        write(nowUs, `${pending}-`);
        pending = '';
      },
    },
    makeRng(1),
  );
  return words.join(' ');
}

export function eventsOf({ events }: Recording): RecordedEvent[] {
  let atUs = 0;
  return events
    .trim()
    .split(/\s+/)
    .map((word) => {
      const [, deltaUs, drops, mark, what] = /^([0-9a-z]+)(!*)(\^?)([+-])$/.exec(word)!;
      atUs += Number.parseInt(deltaUs!, 36);
      return { atUs, isArrival: what === '+', drops: drops!.length, isMarked: mark !== '' };
    });
}
