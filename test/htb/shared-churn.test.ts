/**
 * Random trees on several queues that are changed while packets flow, every step checked. What can go wrong here goes
 * wrong seldom and late: a leaf that nobody comes back to, a claim that is never withdrawn, an index that is never
 * free again.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeRng, type Rng } from '../oracle/random-tree.js';
import { ChurnEdits } from './churn-edits.js';
import { CAPACITY_CLASSES, type ChurnQueue, ChurnShaper } from './churn-shaper.js';

const MS = 1_000_000;
const SECOND = 1000 * MS;
const QUEUES = [1, 2, 3, 4, 8];
const RUNS = Number(process.env.WEIR_RUNS ?? 30);
const STEPS = 1500;
const ROOM_MAX = 256;
/** Steps that a run may take to drain; each sends something or waits for what is due. */
const DRAIN_STEPS_MAX = 400_000;
/** Every wait ends: the longest gate, a late adoption's debt, the largest burst. */
const DRAIN_SLACK_NS = 10 * SECOND;
/** The words' microseconds wrap in most runs. */
const WRAP_NS = 2 ** 31 * 1000;

const firstSeed = Number(process.env.WEIR_SEED ?? 100);
const test = suite('htb: several queues under changing classes');
console.log(`shared churn: seeds ${firstSeed} to ${firstSeed + RUNS - 1}`);

function nextQueue(shaper: ChurnShaper): ChurnQueue {
  return shaper.queues.reduce((first, queue) => (queue.nextStepNs < first.nextStepNs ? queue : first));
}

/** Some time under load, with a publication every `pace` steps or so. */
function churn(rng: Rng, shaper: ChurnShaper, edits: ChurnEdits): void {
  const pace = rng.logInt(3, 200);
  const stepNs = rng.logInt(2_000, 500_000);
  const arrivalsMax = rng.logInt(1, 32);
  for (let step = 0; step < STEPS; step++) {
    if (rng.int(pace) === 0) {
      const before = edits.tree;
      if (!shaper.publish(edits.next())) edits.tree = before;
      if (rng.chance(0.5)) for (const queue of shaper.queues) queue.adoptsIn = rng.int(4);
    }
    const queue = nextQueue(shaper);
    shaper.nowNs = Math.max(shaper.nowNs, queue.nextStepNs);
    if (queue.adoptsIn-- <= 0) queue.adopt();
    const arrivals = rng.chance(0.3) ? 0 : 1 + rng.int(arrivalsMax);
    queue.step(rng, arrivals, rng.chance(0.1) ? rng.int(8) : ROOM_MAX);
    const waitNs = rng.chance(0.01) ? rng.int(60 * MS) : 1 + rng.int(2 * stepNs);
    queue.nextStepNs = shaper.nowNs + waitNs;
    if (step % 50 === 0) for (const each of shaper.queues) each.checkCounts();
  }
}

/** No more arrivals: every packet leaves in the time that the rates allow. */
function drain(rng: Rng, shaper: ChurnShaper): void {
  const serialNs = (8e9 * shaper.backlogBytes) / shaper.slowestBps;
  const deadlineNs = shaper.nowNs + 2 * serialNs + 2 * shaper.longestDebtNs + DRAIN_SLACK_NS;
  for (const queue of shaper.queues) queue.nextStepNs = Math.max(shaper.nowNs, queue.nextStepNs);
  for (let steps = 0; shaper.backlogPackets > 0; steps++) {
    const queue = nextQueue(shaper);
    const left = `${shaper.backlogPackets} packets left after ${steps} steps`;
    assert.ok(Number.isFinite(queue.nextStepNs), `nothing is due, ${left}`);
    assert.ok(queue.nextStepNs <= deadlineNs && steps < DRAIN_STEPS_MAX, `too slow, ${left}`);
    shaper.nowNs = Math.max(shaper.nowNs, queue.nextStepNs);
    queue.adopt();
    queue.step(rng, 0, ROOM_MAX);
    queue.nextStepNs = Math.max(shaper.nowNs + 1 + rng.int(20_000), queue.tree.nextDueNs(shaper.nowNs));
  }
}

/** Lets lingering and all timers run out; then nobody must be announced anywhere. */
function settle(rng: Rng, shaper: ChurnShaper): void {
  for (let round = 0; round < 10_000; round++) {
    const dueNs = Math.min(...shaper.queues.map(({ tree }) => tree.nextDueNs(shaper.nowNs)));
    if (dueNs === Number.POSITIVE_INFINITY) break;
    shaper.nowNs = Math.max(shaper.nowNs + 1000, dueNs);
    for (const queue of shaper.queues) queue.step(rng, 0, ROOM_MAX);
  }
  for (const queue of shaper.queues) queue.checkCounts();
  assert.is(shaper.leftovers(), null);
}

/** Removes all, checks that every index is free, and fills the whole table with new classes. */
function reuse(rng: Rng, shaper: ChurnShaper): void {
  assert.ok(shaper.publish([]));
  for (const queue of shaper.queues) queue.adopt();
  for (const queue of shaper.queues) assert.is(queue.tree.roots, 0);
  shaper.shared.holders.forEach((holders, index) => {
    assert.is(holders, 0, `holders of index ${index}`);
  });
  const full = Array.from({ length: CAPACITY_CLASSES }, (_, at) => ({
    id: `f${at}`,
    parent: at === 0 ? null : `f${(at - 1) >> 1}`,
    rateBps: 1_000_000 + at,
    ceilBps: 2_000_000 + at,
    burstBytes: 3000,
    cburstBytes: 3000,
    quantumBytes: 1500,
    prio: 0,
    unlimited: false,
    limitPackets: 10,
    limitBytes: 0,
  }));
  assert.ok(shaper.publish(full), 'all indexes are free');
  const slots = [...shaper.publisher.classes.values()]
    .filter(({ isInner }) => isInner)
    .map(({ fairSlot }) => fairSlot);
  assert.ok(new Set(slots).size === slots.length && Math.max(...slots) <= CAPACITY_CLASSES, 'slots are free');
  for (const queue of shaper.queues) queue.adopt();
  for (const queue of shaper.queues) queue.step(rng, 8, ROOM_MAX);
}

const total = { runs: 0, packets: 0, passed: 0, epochs: 0 };
const failures: string[] = [];
for (let seed = firstSeed; seed < firstSeed + RUNS; seed++) {
  test(`seed ${seed}`, () => {
    const rng = makeRng(seed);
    const queues = QUEUES[rng.int(QUEUES.length)]!;
    const shaper = new ChurnShaper(queues, rng.chance(0.7) ? WRAP_NS - rng.int(300 * MS) : rng.int(SECOND));
    const edits = new ChurnEdits(rng);
    try {
      assert.ok(shaper.publish(edits.tree));
      for (let round = 1 + rng.int(2); round > 0; round--) {
        churn(rng, shaper, edits);
        drain(rng, shaper);
        settle(rng, shaper);
      }
      reuse(rng, shaper);
    } catch (error) {
      failures.push(`${seed}: ${queues} queues, ${(error as Error).message}`);
      throw error;
    }
    total.runs++;
    total.packets += shaper.sent.packets;
    total.passed += shaper.sent.passed;
    total.epochs += shaper.sent.epochs;
  });
}

test('the runs did something', () => {
  console.log(`  ${JSON.stringify(total)}`);
  for (const failure of failures) console.log(`  ${failure}`);
  assert.ok(total.packets > 0 && total.epochs > total.runs);
  if (RUNS >= 10) assert.ok(total.passed > 0);
});

test.run();
