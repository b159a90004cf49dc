/** What `bench share` runs: class trees, where the packets land, and what each class should get of them. */
import { nextState, streamState, uniformOf } from '../src/sim/random.js';
import type { ClassDoc } from './canary.js';

/** A flow of the simulator's scenario; `offered` in bit/s over all queues. */
export interface FlowDoc {
  readonly class: string;
  readonly direction: 'down';
  readonly offered: number;
  readonly size: number;
  readonly spread: readonly number[];
  readonly start?: number;
  readonly stop?: number;
}

export interface Situation {
  readonly name: string;
  readonly what: string;
  readonly classes: readonly ClassDoc[];
  readonly flows: (queues: number, seconds: number, seed: number) => FlowDoc[];
  /** What HTB promises each leaf in bit/s, wherever its packets land. */
  readonly promisedBps: ReadonlyMap<string, number>;
}

const MBIT = 1e6;
const LINK_BPS = 1000 * MBIT;
const FRAME_BYTES = 1500;
/** Two frames: equal, and short rounds. */
const QUANTUM_BYTES = 2 * FRAME_BYTES;
const ASSURED_BPS = MBIT;
/** How long a wandering class stays on a queue. */
const STAY_SECONDS = 0.02;

const LINK: ClassDoc = { id: 'link', down: { rate: LINK_BPS } };

export const SITUATIONS: readonly Situation[] = [alone(), skewed(), zipf(), houses(), ceils(), wandering()];

/** Borrowers that are alike: each is promised the same part of the link. */
function borrowers(count: number): { classes: ClassDoc[]; ids: string[]; promisedBps: Map<string, number> } {
  const ids = Array.from({ length: count }, (_, i) => `u${i}`);
  const down = { rate: ASSURED_BPS, ceil: LINK_BPS, quantum: QUANTUM_BYTES };
  const classes = [LINK, ...ids.map((id) => ({ id, parent: LINK.id, down }))];
  return { classes, ids, promisedBps: new Map(ids.map((id) => [id, LINK_BPS / count])) };
}

function alone(): Situation {
  const { classes, ids, promisedBps } = borrowers(26);
  return {
    name: 'alone',
    what: 'one class alone on the first queue, 25 on the last',
    classes,
    promisedBps,
    flows: (queues) => ids.map((id, i) => flow(id, 100 * MBIT, onQueue(i === 0 ? 0 : queues - 1, queues))),
  };
}

function skewed(): Situation {
  const { classes, ids, promisedBps } = borrowers(24);
  return {
    name: 'skewed',
    what: 'every other class with 0.9 of its packets on the first queue, the rest evenly',
    classes,
    promisedBps,
    flows: (queues) =>
      ids.map((id, i) => flow(id, 100 * MBIT, i % 2 === 0 ? lopsided(queues) : even(queues))),
  };
}

function zipf(): Situation {
  const { classes, ids, promisedBps } = borrowers(48);
  return {
    name: 'zipf',
    what: 'each class on one queue, drawn with weights 1, 1/2, 1/3 …',
    classes,
    promisedBps,
    flows: (queues, _seconds, seed) =>
      ids.map((id, i) => flow(id, 60 * MBIT, onQueue(zipfQueue(queues, seed, i), queues))),
  };
}

/** Two houses borrow the 200 Mbit/s of one that is idle: HTB goes round all their leaves, which have one quantum. */
function houses(): Situation {
  const house = (id: string, rate: number): ClassDoc => ({
    id,
    parent: LINK.id,
    down: { rate: rate * MBIT, ceil: LINK_BPS, quantum: QUANTUM_BYTES },
  });
  const leaf = (id: string, parent: string, rate: number): ClassDoc => ({
    id,
    parent,
    down: { rate: rate * MBIT, ceil: LINK_BPS, quantum: QUANTUM_BYTES },
  });
  const many = Array.from({ length: 8 }, (_, i) => `many${i}`);
  const each = (200 * MBIT) / 9;
  return {
    name: 'houses',
    what: 'two houses that borrow, one with a single class and one with eight, on other queues',
    classes: [
      LINK,
      house('single', 400),
      house('many', 400),
      house('idle', 200),
      leaf('single0', 'single', 400),
      ...many.map((id) => leaf(id, 'many', 50)),
      leaf('idle0', 'idle', 200),
    ],
    promisedBps: new Map([
      ['single0', 400 * MBIT + each],
      ...many.map((id) => [id, 50 * MBIT + each] as const),
    ]),
    flows: (queues) => [
      flow('single0', 800 * MBIT, onQueue(0, queues)),
      ...many.map((id, i) => flow(id, 150 * MBIT, onQueue((1 + i) % queues, queues))),
    ],
  };
}

function ceils(): Situation {
  const ids = ['u0', 'u1', 'u2', 'u3'];
  const down = { rate: 100 * MBIT, quantum: QUANTUM_BYTES };
  return {
    name: 'ceils',
    what: 'classes at their ceils, spread over all queues',
    classes: [LINK, ...ids.map((id) => ({ id, parent: LINK.id, down }))],
    promisedBps: new Map(ids.map((id) => [id, 100 * MBIT])),
    flows: (queues) => ids.map((id) => flow(id, 200 * MBIT, even(queues))),
  };
}

function wandering(): Situation {
  const ids = ['u0', 'u1'];
  const down = { rate: 200 * MBIT, quantum: QUANTUM_BYTES };
  return {
    name: 'wandering',
    what: `classes at their ceils that move on to the next queue every ${STAY_SECONDS * 1e3} ms`,
    classes: [LINK, ...ids.map((id) => ({ id, parent: LINK.id, down }))],
    promisedBps: new Map(ids.map((id) => [id, 200 * MBIT])),
    flows: (queues, seconds) =>
      ids.flatMap((id, i) =>
        Array.from({ length: Math.ceil(seconds / STAY_SECONDS) }, (_, stay) => ({
          ...flow(id, 300 * MBIT, onQueue((i + stay) % queues, queues)),
          start: stay * STAY_SECONDS,
          stop: Math.min(seconds, (stay + 1) * STAY_SECONDS),
        })),
      ),
  };
}

function flow(id: string, offered: number, spread: readonly number[]): FlowDoc {
  return { class: id, direction: 'down', offered, size: FRAME_BYTES, spread };
}

function even(queues: number): number[] {
  return new Array<number>(queues).fill(1 / queues);
}

function onQueue(queue: number, queues: number): number[] {
  return Array.from({ length: queues }, (_, q) => (q === queue ? 1 : 0));
}

function lopsided(queues: number): number[] {
  if (queues === 1) return [1];
  return Array.from({ length: queues }, (_, q) => (q === 0 ? 0.9 : 0.1 / (queues - 1)));
}

function zipfQueue(queues: number, seed: number, item: number): number {
  const weights = Array.from({ length: queues }, (_, q) => 1 / (q + 1));
  let left =
    uniformOf(nextState(streamState(seed, item, 0))) * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [queue, weight] of weights.entries()) {
    left -= weight;
    if (left <= 0) return queue;
  }
  return queues - 1;
}
