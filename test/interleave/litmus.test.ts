/**
 * Real threads at full speed: what the explorer proves of small runs must hold for long ones, on real memory. Two
 * threads work, this one is the control thread and moves the clock that all share.
 */
import { once } from 'node:events';
import { MessageChannel, type MessagePort, type TransferListItem, Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ClassSpec, ClassTree, DirectionSpec } from '../../classes/model.js';
import { NO_SETTINGS, type QueueSettings } from '../../classes/queue.js';
import { Publisher } from '../../src/control/publisher.js';
import { WeirError } from '../../src/errors.js';
import { isHeld } from '../../src/shm/holds.js';
import { createSharedShaper } from '../../src/shm/shared-shaper.js';
import { Shape, type SharedTree, Word } from '../../src/shm/tree-layout.js';
import { randomInts } from '../rings/random.js';
import {
  CLOCK_US,
  CONTROL_WORDS,
  doneWord,
  LIMIT_NS,
  type LitmusTask,
  PACKET_NS_MAX,
  type ShaperReport,
  STOP,
  type TokenReport,
} from './litmus-thread.js';
import { classWord, smallTree, U1 } from './local-tree.js';

const THREADS = 2;
const RUN_MS = 700;
/** After this a thread hangs. */
const GIVE_UP_MS = 30_000;
/** The clock's word wraps a third of a second into each run. */
const START_US = 2 ** 31 - 333_000;

const seed = Number(process.env.WEIR_SEED ?? Date.now() % 2 ** 31);
const test = suite('litmus of real threads');
console.log(`litmus: seed ${seed}`);

type TaskOf<T> = T extends LitmusTask ? Omit<T, 'thread' | 'seed' | 'control' | 'startUs'> : never;

interface Crew {
  readonly control: Int32Array;
  readonly reports: Promise<unknown[]>;
  readonly end: () => Promise<void>;
}

async function start(tasks: readonly TaskOf<LitmusTask>[]): Promise<Crew> {
  const control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));
  control[CLOCK_US] = START_US | 0;
  const threads = tasks.map((task, thread) => {
    const transferList: TransferListItem[] = task.kind === 'shaper' ? [task.port] : [];
    const workerData = { ...task, thread, seed, control, startUs: START_US };
    return new Worker(new URL('./litmus-thread.js', import.meta.url), { workerData, transferList });
  });
  const reports = Promise.all(threads.map(async (thread) => (await once(thread, 'message'))[0] as unknown));
  await Promise.all(threads.map((thread) => once(thread, 'online')));
  const end = async (): Promise<void> => {
    await Promise.all(threads.map((thread) => thread.terminate()));
  };
  return { control, reports, end };
}

/** Calls `turn` with the milliseconds gone by, every tenth of a millisecond or so, until all threads are done. */
function conduct(control: Int32Array, turn: (ms: number) => void, onStop: () => void = () => {}): void {
  const startMs = performance.now();
  const areDone = (): boolean =>
    Array.from({ length: THREADS }, (_, thread) => Atomics.load(control, doneWord(thread))).every(
      (done) => done !== 0,
    );
  while (!areDone()) {
    const ms = performance.now() - startMs;
    if (ms > GIVE_UP_MS) throw new Error('a thread hangs');
    if (ms >= RUN_MS && Atomics.load(control, STOP) === 0) {
      onStop();
      Atomics.store(control, STOP, 1);
    }
    turn(ms);
    // Nobody wakes this word: it gives the processor to the threads.
    Atomics.wait(control, CONTROL_WORDS - 1, 0, 0.1);
  }
}

test('tokens are conserved, and no more than the limit is ever drawn', async () => {
  const TAB_NS = 20_000;
  const DEBT_MIN_US = 300;
  const tree = smallTree(THREADS);
  tree.shapes[(U1 << Shape.SHIFT) + Shape.CEIL_TAB_NS] = TAB_NS;
  tree.shapes[(U1 << Shape.SHIFT) + Shape.CEIL_NS_PER_BYTE] = 1;
  tree.shapes[(U1 << Shape.SHIFT) + Shape.CEIL_LIMIT_NS] = LIMIT_NS;
  const word = classWord(U1, Word.CEIL_FULL_AT_US);
  const firstUs = START_US + 1000;
  tree.classWords[word] = firstUs | 0;
  const crew = await start(Array.from({ length: THREADS }, () => ({ kind: 'tokens' as const, tree })));
  const debtMaxUs = (LIMIT_NS + PACKET_NS_MAX + 2 * TAB_NS) / 1000;
  let clockUs = START_US;
  let highestUs = 0;
  conduct(crew.control, () => {
    const debtUs = (Atomics.load(tree.classWords, word) - clockUs) | 0;
    highestUs = Math.max(highestUs, debtUs);
    // The bucket is never let run full, for what it then forgets would have to be accounted.
    clockUs += Math.max(0, Math.min(1000, debtUs - DEBT_MIN_US));
    Atomics.store(crew.control, CLOCK_US, clockUs);
  });
  const reports = (await crew.reports) as TokenReport[];
  await crew.end();
  const sentNs = reports.reduce((sum, report) => sum + report.sentNs, 0);
  const tabNs = reports.reduce((sum, report) => sum + report.tabNs, 0);
  const chargedNs = ((tree.classWords[word]! - firstUs) | 0) * 1000;
  console.log(
    `  packets ${reports.map(({ packets }) => packets)}, ${sentNs} ns sent, debt up to ${highestUs} µs`,
  );
  assert.ok(reports.every(({ packets }) => packets > 0));
  assert.is(sentNs, chargedNs + tabNs);
  assert.ok(highestUs <= debtMaxUs, `debt ${highestUs} µs, at most ${debtMaxUs}`);
});

function assertNothingRegistered(tree: SharedTree, classes: number): void {
  for (let i = 0; i < classes; i++) {
    assert.is(tree.classWords[classWord(i, Word.PRESENCE)], 0, `presence of class ${i}`);
    assert.is(tree.classWords[classWord(i, Word.CLAIMS)], 0, `claims at class ${i}`);
  }
}

/** Weights lie at the start of each inner slot's words, one a prio. */
function assertNoWeights(tree: SharedTree): void {
  tree.fairWords.forEach((value, i) => {
    if ((i & 31) < 8) assert.is(value, 0, `weight at fair word ${i}`);
  });
}

test('all sums return to zero', async () => {
  const tree = smallTree(THREADS);
  const crew = await start(Array.from({ length: THREADS }, () => ({ kind: 'registry' as const, tree })));
  conduct(crew.control, () => {});
  const changes = await crew.reports;
  await crew.end();
  console.log(`  registry changes ${changes}`);
  assertNothingRegistered(tree, tree.capacityClasses);
  assertNoWeights(tree);
});

const CAPACITY = 512;
const INNERS = 5;
const LEAVES = 24;
const PLANS: readonly DirectionSpec[] = Array.from({ length: 12 }, (_, i) => {
  const rateBps = 20e6 * (i + 1);
  const bursts = { burstBytes: 8_000 + rateBps / 8000, cburstBytes: 8_000 + rateBps / 4000 };
  return { rateBps, ceilBps: rateBps * (1 + (i % 3)), ...bursts, quantumBytes: 1500, prio: i % 4 };
});

const QUEUE: QueueSettings = { leaf: 'pfifo', limitPackets: 20 };

/** A tree of two roots in which inner classes and leaves come, go, move and change their plans. */
function randomTree(random: (below: number) => number): ClassTree {
  const classes: ClassSpec[] = [];
  const add = (id: string, parent: string | null, mayBeOpen = false): void => {
    const down = random(8) === 0 && mayBeOpen ? null : PLANS[random(PLANS.length)]!;
    classes.push({ id, parent, match: [], queue: QUEUE, down, up: null });
  };
  const roots = ['r0', 'r1'];
  for (const root of roots) add(root, null);
  const above = [...roots];
  for (let i = 0; i < INNERS; i++) {
    if (random(3) === 0) continue;
    add(`i${i}`, above[random(above.length)]!, true);
    above.push(`i${i}`);
  }
  for (let i = 0; i < LEAVES; i++) if (random(3) > 0) add(`l${i}`, above[random(above.length)]!, true);
  return {
    version: 1,
    defaultClass: null,
    overheadBytes: 0,
    mpuBytes: 0,
    linkLayer: 'ethernet',
    queue: NO_SETTINGS,
    classes,
  };
}

test('packets are conserved while the classes change, and every index comes back', async () => {
  const shared = createSharedShaper(CAPACITY, THREADS);
  const channels = Array.from({ length: THREADS }, () => new MessageChannel());
  const ports: MessagePort[] = channels.map(({ port1 }) => port1);
  const random = randomInts(seed);
  const deliver = (epoch: unknown): void => {
    for (const port of ports) port.postMessage(epoch);
  };
  const publisher = new Publisher(shared, { seed, deliver });
  const crew = await start(channels.map(({ port2 }) => ({ kind: 'shaper' as const, shared, port: port2 })));
  let clockUs = START_US;
  let nextMs = 0;
  const publish = (tree: ClassTree): void => {
    try {
      publisher.publish(tree, clockUs * 1000);
    } catch (error) {
      // A thread that does not get the processor for a while gives no index back; then this tree is left out.
      if (!(error instanceof WeirError && error.code === 'E_CAPACITY')) throw error;
    }
  };
  conduct(
    crew.control,
    (ms) => {
      clockUs = START_US + Math.floor(ms * 1000);
      Atomics.store(crew.control, CLOCK_US, clockUs);
      if (ms < nextMs || ms >= RUN_MS) return;
      nextMs = ms + random(6);
      publish(randomTree(random));
    },
    () =>
      publish({
        version: 1,
        defaultClass: null,
        overheadBytes: 0,
        mpuBytes: 0,
        linkLayer: 'ethernet',
        queue: NO_SETTINGS,
        classes: [],
      }),
  );
  const reports = (await crew.reports) as ShaperReport[];
  await crew.end();
  for (const port of ports) port.close();
  for (const report of reports) {
    console.log(`  ${JSON.stringify(report)}`);
    assert.is(report.wrong, null);
    assert.is(report.enqueued, report.sent);
    assert.ok(report.freed > 0 && report.epochs === publisher.epoch);
  }
  assert.ok(reports.some(({ sent }) => sent > 0));
  for (const tree of shared.trees) {
    for (let index = 0; index < CAPACITY; index++) assert.not(isHeld(tree, index), `index ${index} is held`);
    assertNothingRegistered(tree, CAPACITY);
    assertNoWeights(tree);
  }
});

test.run();
