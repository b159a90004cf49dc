/**
 * Workers that die under load, between two steps or at any access to shared memory in the middle of one, and others in
 * their place. Those that live must not notice: no rate is passed, no packet of theirs is lost, sums are what the living
 * have announced, and nothing is used up, however often a worker dies.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { OracleClass } from '../oracle/htb-oracle.js';
import { makeRng, type Rng } from '../oracle/random-tree.js';
import { wrongClass, wrongSum } from './churn-checks.js';
import { ChurnEdits } from './churn-edits.js';
import { churn, drain, reuse, settle } from './churn-run.js';
import { type ChurnQueue, ChurnShaper } from './churn-shaper.js';
import { dieAfter } from './mortal.js';

const MS = 1_000_000;
const SECOND = 1000 * MS;
const QUEUES = [1, 2, 3, 4, 8];
const RUNS = Number(process.env.WEIR_RUNS ?? 12);
/** A step seldom makes more accesses to shared memory. */
const ACCESSES_MAX = 300;
/** Steps of all queues between death and burial, and till the next worker begins. */
const STEPS_DEAD_MAX = 60;
const WRAP_NS = 2 ** 31 * 1000;

const firstSeed = Number(process.env.WEIR_SEED ?? 100);
const freshSeed = Date.now() % 2 ** 31;
const seeds = Array.from({ length: RUNS }, (_, at) => firstSeed + at);
if (process.env.WEIR_SEED === undefined)
  seeds.push(...Array.from({ length: RUNS }, (_, at) => freshSeed + at));
const test = suite('htb: workers that die and are replaced');
console.log(`worker restart: seeds ${firstSeed} and ${freshSeed}, ${RUNS} each`);

const total = { runs: 0, packets: 0, deaths: 0, amidSteps: 0, whileAdopting: 0, epochs: 0 };

/** Kills workers now and then, and replaces them. */
class Reaper {
  readonly #rng: Rng;
  readonly #shaper: ChurnShaper;
  readonly #chance: number;
  #dead: { queue: number; buryIn: number; restartIn: number }[] = [];

  constructor(rng: Rng, shaper: ChurnShaper) {
    this.#rng = rng;
    this.#shaper = shaper;
    this.#chance = 1 / rng.logInt(8, 200);
  }

  /** To be called before each step. */
  turn(): void {
    for (const one of this.#dead) {
      if (one.buryIn-- === 0) this.#shaper.bury(one.queue);
      if (one.restartIn-- === 0) this.#shaper.restart(one.queue);
    }
    this.#dead = this.#dead.filter(({ restartIn }) => restartIn >= 0);
    if (this.#rng.chance(this.#chance)) this.#kill();
    if (this.#shaper.queues.length === 0) this.finish();
    if (this.#rng.chance(0.1)) this.#shaper.publisher.reclaim();
    const wrong = wrongSum(this.#shaper);
    if (wrong !== null) throw new Error(wrong);
  }

  /** Replaces all that are dead. */
  finish(): void {
    for (const { queue } of this.#dead) this.#shaper.restart(queue);
    this.#dead = [];
  }

  #kill(): void {
    const rng = this.#rng;
    const { queues } = this.#shaper;
    const queue = queues[rng.int(queues.length)]!;
    if (rng.chance(0.8) && !this.#dyingStep(queue)) return;
    total.deaths++;
    this.#shaper.kill(queue);
    // What outlives the worker is shared memory alone; a scrap of its own must not be looked at.
    queue.tree.memory.words.fill(-1);
    const restartIn = rng.chance(0.3) ? 0 : rng.int(STEPS_DEAD_MAX);
    this.#dead.push({ queue: queue.queue, buryIn: rng.int(STEPS_DEAD_MAX), restartIn });
  }

  /** Whether the worker died in it. */
  #dyingStep(queue: ChurnQueue): boolean {
    const rng = this.#rng;
    const accesses = rng.logInt(1, ACCESSES_MAX);
    const adopts = rng.chance(0.3);
    const died = dieAfter(accesses, () => {
      if (adopts) queue.adopt();
      queue.step(rng, 1 + rng.int(32), 256);
    });
    if (died) {
      total.amidSteps++;
      if (adopts) total.whileAdopting++;
    }
    return died;
  }
}

for (const seed of seeds) {
  test(`seed ${seed}`, () => {
    const rng = makeRng(seed);
    const queues = QUEUES[rng.int(QUEUES.length)]!;
    const shaper = new ChurnShaper(queues, rng.chance(0.7) ? WRAP_NS - rng.int(300 * MS) : rng.int(SECOND));
    const edits = new ChurnEdits(rng);
    try {
      assert.ok(shaper.publish(edits.tree));
      const reaper = new Reaper(rng, shaper);
      churn(rng, shaper, edits, () => reaper.turn());
      reaper.finish();
      drain(rng, shaper);
      settle(rng, shaper);
      reuse(rng, shaper);
    } catch (error) {
      throw new Error(`WEIR_SEED=${seed}, ${queues} queues: ${(error as Error).message}`, { cause: error });
    }
    total.runs++;
    total.packets += shaper.sent.packets;
    total.epochs += shaper.sent.epochs;
  });
}

/** Forty leaves with other rates each time, and unless they are `kept` with other names too. */
function generationOf(at: number, kept = false): OracleClass[] {
  return Array.from({ length: 41 }, (_, i) => ({
    id: i === 0 ? 'root' : `g${kept ? 0 : at}-${i}`,
    parent: i === 0 ? null : 'root',
    rateBps: 1_000_000 + at * 100 + i,
    ceilBps: 2_000_000 + at * 100 + i,
    burstBytes: 3000,
    cburstBytes: 3000,
    quantumBytes: 1500,
    prio: 0,
    unlimited: false,
    limitPackets: 10,
    limitBytes: 0,
  }));
}

test('a queue without a worker holds nothing up, and its next worker finds the classes of the others', () => {
  const rng = makeRng(1);
  for (const buried of ['at once', 'late']) {
    const shaper = new ChurnShaper(2, SECOND);
    assert.ok(shaper.publish(generationOf(0)));
    for (const queue of shaper.queues) queue.adopt();
    const [, mortal] = shaper.queues;
    shaper.kill(mortal!);
    if (buried === 'late') assert.ok(shaper.publish(generationOf(1)));
    shaper.bury(1);
    for (let at = 2; at < 30; at++) {
      for (const queue of shaper.queues) {
        queue.adopt();
        queue.step(rng, 0, 0);
      }
      assert.ok(shaper.publish(generationOf(at)), `room for generation ${at}, buried ${buried}`);
    }
    const next = shaper.restart(1);
    assert.ok(shaper.publish(generationOf(30)), 'one more before it begins');
    for (const queue of shaper.queues) queue.adopt();
    next.step(rng, 0, 0);
    assert.is(wrongClass(shaper), null);
  }
});

test('memory that a new worker is yet to look at is not used again', () => {
  const shaper = new ChurnShaper(2, SECOND);
  assert.ok(shaper.publish(generationOf(0)));
  const [survivor, mortal] = shaper.queues;
  survivor!.adopt();
  shaper.kill(mortal!);
  shaper.restart(1);
  let at = 1;
  for (; at < 30 && shaper.publish(generationOf(at, true)); at++) survivor!.adopt();
  assert.ok(at > 1 && at < 30, 'what the first epoch needs stays until the new worker has passed it');
  for (const queue of shaper.queues) queue.adopt();
  assert.ok(shaper.publish(generationOf(at, true)));
  for (const queue of shaper.queues) queue.adopt();
  assert.is(wrongClass(shaper), null);
});

test('the runs did something', () => {
  console.log(`  ${JSON.stringify(total)}`);
  assert.ok(total.packets > 0 && total.epochs > total.runs);
  if (RUNS >= 10) assert.ok(total.amidSteps > 0 && total.whileAdopting > 0 && total.deaths > total.amidSteps);
});

test.run();
