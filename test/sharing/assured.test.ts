/** Assured rates hold across queues, and scale down in proportion where they oversubscribe their parent. */
import { suite } from 'uvu';
import {
  type ClassDoc,
  changing,
  type Deform,
  Findings,
  type FlowDoc,
  flow,
  GBIT,
  MBIT,
  QUEUE_COUNTS,
  Run,
  SEED,
  spreadOver,
} from './measure.js';

const SECONDS = 3;
const SETTLED = 0.3;
const OVERSUBSCRIBED_MBIT = [400, 300, 200, 100, 100, 50, 50, 40, 30, 20];
const ASSURED_MBIT = [200, 150, 100, 80, 60, 40, 20, 10, 5];

const slower = changing(
  (id) => id === 'u1',
  ({ rate }) => ({ rate: rate * 0.9 }),
);

/** Together 1.29 times the parent's rate, all of them backlogged; every third one on two queues. */
function measureOversubscribed(queues: number, deform?: Deform): Findings {
  const classes: ClassDoc[] = [{ id: 'root', down: { rate: GBIT } }];
  const flows: FlowDoc[] = [];
  OVERSUBSCRIBED_MBIT.forEach((mbit, index) => {
    classes.push({ id: `u${index}`, parent: 'root', down: { rate: mbit * MBIT, ceil: GBIT } });
    const spread = index % 3 === 0 ? spreadOver(queues, index, index + 1) : spreadOver(queues, index);
    flows.push(flow(`u${index}`, 1.5 * mbit * MBIT, spread));
  });
  const run = new Run({ queues, seconds: SECONDS, windowMs: 100, classes, flows }, deform);
  const sum = OVERSUBSCRIBED_MBIT.reduce((total, mbit) => total + mbit, 0);
  const parts = OVERSUBSCRIBED_MBIT.map(
    (mbit, index) => run.meanBps(`u${index}`, SETTLED) / ((mbit * GBIT) / sum),
  );
  const findings = new Findings(`oversubscribed assured rates, ${queues} queues`);
  findings.atLeast('part min', Math.min(...parts), 0.97);
  findings.note('part max', Math.max(...parts));
  findings.saturated(run, 'root', SETTLED);
  findings.ceilsHold(run);
  return findings;
}

/** Two thirds of the parent are assured and used; a class with a large quantum borrows from every queue at once. */
function measureWithHog(queues: number, isHogElsewhere: boolean, deform?: Deform): Findings {
  const hog = { rate: MBIT, ceil: GBIT, quantum: 200_000 };
  const classes: ClassDoc[] = [
    { id: 'root', down: { rate: GBIT } },
    { id: 'hog', parent: 'root', down: hog },
  ];
  const hogQueues = isHogElsewhere ? [queues - 1] : Array.from({ length: queues }, (_, queue) => queue);
  const flows: FlowDoc[] = [flow('hog', 2 * GBIT, spreadOver(queues, ...hogQueues))];
  ASSURED_MBIT.forEach((mbit, index) => {
    classes.push({
      id: `u${index}`,
      parent: 'root',
      down: { rate: mbit * MBIT, ceil: GBIT, quantum: 1500, prio: 7 },
    });
    // The last queue is left to the hog where there are several.
    flows.push(flow(`u${index}`, mbit * MBIT, spreadOver(queues, index % Math.max(1, queues - 1))));
  });
  const run = new Run({ queues, seconds: SECONDS, windowMs: 100, classes, flows }, deform);
  const parts = ASSURED_MBIT.map((mbit, index) => run.meanBps(`u${index}`, SETTLED) / (mbit * MBIT));
  const place = isHogElsewhere ? 'on a queue of its own' : 'on all queues';
  const findings = new Findings(`assured rates against a hog ${place}, ${queues} queues`);
  findings.atLeast('assured min', Math.min(...parts), 0.98);
  findings.note('hog Mbit/s', run.meanBps('hog', SETTLED) / MBIT);
  findings.saturated(run, 'root', SETTLED);
  findings.ceilsHold(run);
  return findings;
}

const test = suite(`sharing: assured rates (seed ${SEED})`);

for (const queues of QUEUE_COUNTS) {
  test(`oversubscribed assured rates scale down in proportion, ${queues} queues`, () =>
    measureOversubscribed(queues).hold());
  test(`assured rates against a hog on a queue of its own, ${queues} queues`, () =>
    measureWithHog(queues, true).hold());
  if (queues === 1) continue;
  test(`assured rates against a hog on all queues, ${queues} queues`, () =>
    measureWithHog(queues, false).hold());
}

test('an assured rate that is a tenth lower is rejected', () => {
  measureOversubscribed(4, slower).mustReject('part min');
  measureWithHog(4, true, slower).mustReject('assured min');
});

test.run();
