/** One class with nine tenths of its packets on one queue: its ceil exactly, at any rate and number of queues. */
import { suite } from 'uvu';
import { QUEUE_COUNTS, SEED, tenthMore } from './measure.js';
import { measureOneClass, nineTenthsOnOne, ONE_CLASS_RATES } from './one-class.js';

const test = suite(`sharing: one class 90/10 (seed ${SEED})`);

for (const [name, rateBps] of ONE_CLASS_RATES) {
  for (const queues of QUEUE_COUNTS.filter((count) => count > 1)) {
    const title = `90/10, ${name}, ${queues} queues`;
    test(title, () => measureOneClass(title, rateBps, nineTenthsOnOne(queues)).hold());
  }
}

test('a ceil that is a tenth higher is rejected', () => {
  const findings = measureOneClass('90/10, 100 Mbit/s', 1e8, nineTenthsOnOne(4), tenthMore('a'));
  for (const name of ['off by', 'above', 'ceils']) findings.mustReject(name);
});

test.run();
