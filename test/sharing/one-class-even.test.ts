/** One class, its packets spread evenly over the queues: its ceil exactly, at any rate and number of queues. */
import { suite } from 'uvu';
import { allQueues, QUEUE_COUNTS, SEED, tenthMore } from './measure.js';
import { measureOneClass, ONE_CLASS_RATES } from './one-class.js';

const test = suite(`sharing: one class evenly (seed ${SEED})`);

for (const [name, rateBps] of ONE_CLASS_RATES) {
  for (const queues of QUEUE_COUNTS) {
    const title = `evenly, ${name}, ${queues} queues`;
    test(title, () => measureOneClass(title, rateBps, allQueues(queues)).hold());
  }
}

test('a ceil that is a tenth higher is rejected', () => {
  const findings = measureOneClass('evenly, 10 Mbit/s', 1e7, allQueues(4), tenthMore('a'));
  for (const name of ['off by', 'above', 'ceils']) findings.mustReject(name);
});

test.run();
