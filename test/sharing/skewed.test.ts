/** Borrowers with nine tenths of their packets on one queue get what those do whose packets lie evenly. */
import { suite } from 'uvu';
import {
  allQueues,
  type ClassDoc,
  changing,
  type Deform,
  Findings,
  flow,
  GBIT,
  jainIndex,
  MBIT,
  QUEUE_COUNTS,
  Run,
  SEED,
  spreadOver,
} from './measure.js';
import { nineTenthsOnOne } from './one-class.js';

const SECONDS = 1;
const SETTLED = 0.3;
const USERS = 24;
const TOLERANCE = 0.03;
const TOLERANCE_MANY = 0.05;
/** A train is over before its queue's share has followed. */
const TOLERANCE_TRAINS = 0.05;
const JAIN_LEAST = 0.999;

/** Every other user is skewed; what comes on the other queues is less than an even part there would let through. */
function measureSkewed(queues: number, quantum: number, deform?: Deform): Findings {
  const classes: ClassDoc[] = [{ id: 'root', down: { rate: GBIT } }];
  const flows = [];
  for (let user = 0; user < USERS; user++) {
    classes.push({ id: `u${user}`, parent: 'root', down: { rate: MBIT, ceil: GBIT, quantum } });
    flows.push(flow(`u${user}`, 100 * MBIT, user % 2 === 0 ? nineTenthsOnOne(queues) : allQueues(queues)));
  }
  const run = new Run({ queues, seconds: SECONDS, windowMs: 20, classes, flows }, deform);
  const shares = classes.slice(1).map(({ id }) => (run.meanBps(id, SETTLED) * USERS) / GBIT);
  const findings = new Findings(`every other of ${USERS} users 90/10, quantum ${quantum}, ${queues} queues`);
  const tolerance = queues < 64 ? TOLERANCE : TOLERANCE_MANY;
  findings.allNearOne(
    'skewed',
    shares.filter((_, user) => user % 2 === 0),
    tolerance,
  );
  findings.allNearOne(
    'even',
    shares.filter((_, user) => user % 2 === 1),
    tolerance,
  );
  findings.atLeast('Jain index', jainIndex(shares), JAIN_LEAST);
  findings.saturated(run, 'root', SETTLED);
  findings.ceilsHold(run);
  return findings;
}

/** A class whose packets come in trains on one queue, and all the time on another; beside it one that is on a third. */
function measureTrains(queues: number): Findings {
  const classes: ClassDoc[] = [{ id: 'root', down: { rate: 100 * MBIT } }];
  for (const id of ['trains', 'steady'])
    classes.push({ id, parent: 'root', down: { rate: MBIT, ceil: 100 * MBIT, quantum: 3000 } });
  const flows = [
    flow('trains', 90 * MBIT, spreadOver(queues, 0)),
    flow('steady', 90 * MBIT, spreadOver(queues, 2)),
  ];
  for (let train = 0; train < 50; train++)
    flows.push(
      flow('trains', 90 * MBIT, spreadOver(queues, 1), {
        start: train * 0.02,
        stop: train * 0.02 + 0.002,
      }),
    );
  const run = new Run({ queues, seconds: SECONDS, windowMs: 20, classes, flows });
  const findings = new Findings(`trains on a second queue, ${queues} queues`);
  findings.allNearOne(
    'part',
    ['trains', 'steady'].map((id) => run.meanBps(id, SETTLED) / (50 * MBIT)),
    TOLERANCE_TRAINS,
  );
  findings.saturated(run, 'root', SETTLED);
  findings.ceilsHold(run);
  return findings;
}

const test = suite(`sharing: skewed borrowers (seed ${SEED})`);

for (const queues of QUEUE_COUNTS.filter((count) => count > 1)) {
  test(`every other user 90/10, ${queues} queues`, () => measureSkewed(queues, 3000).hold());
  test(`trains on a second queue, ${queues} queues`, () => measureTrains(queues).hold());
}

test('a doubled quantum of the skewed is rejected', () => {
  const doubled = changing(
    (id) => /^u\d*[02468]$/.test(id),
    () => ({ quantum: 6000 }),
  );
  const findings = measureSkewed(4, 3000, doubled);
  for (const name of ['skewed max', 'Jain']) findings.mustReject(name);
});

test.run();
