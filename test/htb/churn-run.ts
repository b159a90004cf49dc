/** The parts of a run under churn: load and changes, draining, silence, and whether everything can be used again. */
import * as assert from 'uvu/assert';
import { isHeld } from '../../src/shm/holds.js';
import type { Rng } from '../oracle/random-tree.js';
import { wrongClass } from './churn-checks.js';
import type { ChurnEdits } from './churn-edits.js';
import { CAPACITY_CLASSES, type ChurnQueue, type ChurnShaper } from './churn-shaper.js';

const MS = 1_000_000;
const SECOND = 1000 * MS;
const STEPS = 1500;
export const ROOM_MAX = 256;
/** Steps that a run may take to drain; each sends something or waits for what is due. */
const DRAIN_STEPS_MAX = 400_000;
/** Every wait ends: the longest gate, a late adoption's debt, the largest burst. */
const DRAIN_SLACK_NS = 10 * SECOND;

function nextQueue(shaper: ChurnShaper): ChurnQueue {
  return shaper.queues.reduce((first, queue) => (queue.nextStepNs < first.nextStepNs ? queue : first));
}

/** Some time under load, with a publication every `pace` steps or so; `between` is called before each step. */
export function churn(
  rng: Rng,
  shaper: ChurnShaper,
  edits: ChurnEdits,
  between: () => void = () => {},
): void {
  const pace = rng.logInt(3, 200);
  const stepNs = rng.logInt(2_000, 500_000);
  const arrivalsMax = rng.logInt(1, 32);
  // A queue that has drained has nothing due ever; packets come for it all the same.
  for (const queue of shaper.queues)
    if (queue.nextStepNs === Number.POSITIVE_INFINITY) queue.nextStepNs = shaper.nowNs;
  for (let step = 0; step < STEPS; step++) {
    if (rng.int(pace) === 0) {
      const before = edits.tree;
      if (!shaper.publish(edits.next())) edits.tree = before;
      if (rng.chance(0.5)) for (const queue of shaper.queues) queue.adoptsIn = rng.int(4);
    }
    between();
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
export function drain(rng: Rng, shaper: ChurnShaper): void {
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
export function settle(rng: Rng, shaper: ChurnShaper): void {
  for (const queue of shaper.queues) queue.adopt();
  for (let round = 0; round < 10_000; round++) {
    const dueNs = Math.min(...shaper.queues.map(({ tree }) => tree.nextDueNs(shaper.nowNs)));
    if (dueNs === Number.POSITIVE_INFINITY) break;
    shaper.nowNs = Math.max(shaper.nowNs + 1000, dueNs);
    for (const queue of shaper.queues) queue.step(rng, 0, ROOM_MAX);
  }
  for (const queue of shaper.queues) queue.checkCounts();
  shaper.finishGenerations(rng);
  const wrong = wrongClass(shaper);
  assert.is(wrong, null, `${wrong}`);
  const left = shaper.leftovers();
  assert.is(left, null, `${left}`);
}

/** Removes all, checks that every index is free, and fills the whole table with new classes. */
export function reuse(rng: Rng, shaper: ChurnShaper): void {
  assert.ok(shaper.publish([]));
  for (const queue of shaper.queues) queue.adopt();
  for (const queue of shaper.queues) assert.is(queue.tree.roots, 0);
  for (const tree of shaper.shared.trees)
    for (let index = 0; index < CAPACITY_CLASSES; index++)
      assert.not(isHeld(tree, index), `index ${index} is held`);
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
