/**
 * Random trees on several queues that are changed while packets flow, every step checked. What can go wrong here goes
 * wrong seldom and late: a leaf that nobody comes back to, a claim that is never withdrawn, an index that is never
 * free again.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeRng } from '../oracle/random-tree.js';
import { ChurnEdits } from './churn-edits.js';
import { churn, drain, reuse, settle } from './churn-run.js';
import { ChurnShaper } from './churn-shaper.js';

const MS = 1_000_000;
const SECOND = 1000 * MS;
const QUEUES = [1, 2, 3, 4, 8];
const RUNS = Number(process.env.WEIR_RUNS ?? 30);
/** Runs with seeds that nobody has seen before, beside the known ones by which a change is judged. */
const FRESH_RUNS = process.env.WEIR_SEED === undefined ? RUNS : 0;
/** The words' microseconds wrap in most runs. */
const WRAP_NS = 2 ** 31 * 1000;

const firstSeed = Number(process.env.WEIR_SEED ?? 100);
const test = suite('htb: several queues under changing classes');
const freshSeed = Math.floor(Date.now() % 2 ** 31);
const seeds = [
  ...Array.from({ length: RUNS }, (_, at) => firstSeed + at),
  ...Array.from({ length: FRESH_RUNS }, (_, at) => freshSeed + at),
];
console.log(
  `shared churn: seeds ${firstSeed} and ${RUNS - 1} more, WEIR_SEED=${freshSeed} and ${FRESH_RUNS - 1} more`,
);

const total = { runs: 0, packets: 0, passed: 0, released: 0, epochs: 0 };
const failures: string[] = [];
for (const seed of seeds) {
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
    total.released += shaper.sent.released;
    total.epochs += shaper.sent.epochs;
  });
}

test('the runs did something', () => {
  console.log(`  ${JSON.stringify(total)}`);
  for (const failure of failures) console.log(`  ${failure}`);
  assert.ok(total.packets > 0 && total.epochs > total.runs);
  if (RUNS >= 10) assert.ok(total.passed > 0 && total.released > 0);
});

test.run();
