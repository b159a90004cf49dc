/** Siblings that borrow share by quantum, wherever their flows landed. */
import { suite } from 'uvu';
import {
  allQueues,
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
const TOLERANCE = 0.03;

/** One user alone on a queue, 25 on another or on all others: 1/26 each. */
function measureAlone(queues: number, areOthersTogether: boolean, deform?: Deform): Findings {
  const classes: ClassDoc[] = [{ id: 'root', down: { rate: GBIT } }];
  const flows: FlowDoc[] = [];
  for (let user = 0; user < 26; user++) {
    classes.push({ id: `u${user}`, parent: 'root', down: { rate: MBIT, ceil: GBIT } });
    const queue = areOthersTogether ? 1 : 1 + (user % Math.max(1, queues - 1));
    flows.push(flow(`u${user}`, 150 * MBIT, spreadOver(queues, user === 0 ? 0 : queue)));
  }
  const run = new Run({ queues, seconds: SECONDS, windowMs: 100, classes, flows }, deform);
  const others = areOthersTogether ? 'on another' : 'on the others';
  const findings = new Findings(`one user alone, 25 ${others}, ${queues} queues`);
  const shares = classes.slice(1).map(({ id }) => (run.meanBps(id, SETTLED) * 26) / GBIT);
  findings.allNearOne('alone × 26', shares.slice(0, 1), TOLERANCE);
  findings.allNearOne('others × 26', shares.slice(1), TOLERANCE);
  findings.saturated(run, 'root', SETTLED);
  findings.ceilsHold(run);
  return findings;
}

/** Where the flows of the classes with unequal quanta land: the weights of queues then differ a lot. */
const PLACES: Record<string, (queues: number, index: number) => number[]> = {
  'each on a queue': (queues, index) => spreadOver(queues, index),
  'large ones on all queues, small on one': (queues, index) =>
    index < 4 ? spreadOver(queues, 0) : allQueues(queues),
  'large ones on one, small on all': (queues, index) =>
    index < 4 ? allQueues(queues) : spreadOver(queues, 0),
  'on two overlapping queues each': (queues, index) => spreadOver(queues, index, index + 1),
};
const QUANTA_BYTES = [1500, 3000, 4500, 6000, 9000, 15000, 30000, 60000];

/** Eight siblings with a fortyfold range of quanta: each its assured rate and its part of the rest. */
function measureQuanta(queues: number, place: string, deform?: Deform): Findings {
  const classes: ClassDoc[] = [{ id: 'root', down: { rate: GBIT } }];
  const flows: FlowDoc[] = [];
  const assured = 0.5 * MBIT;
  QUANTA_BYTES.forEach((quantum, index) => {
    classes.push({ id: `u${index}`, parent: 'root', down: { rate: assured, ceil: GBIT, quantum } });
    flows.push(flow(`u${index}`, 700 * MBIT, PLACES[place]!(queues, index)));
  });
  const run = new Run({ queues, seconds: SECONDS, windowMs: 100, classes, flows }, deform);
  const sum = QUANTA_BYTES.reduce((total, quantum) => total + quantum, 0);
  const rest = GBIT - assured * QUANTA_BYTES.length;
  const parts = QUANTA_BYTES.map(
    (quantum, index) => run.meanBps(`u${index}`, SETTLED) / (assured + (rest * quantum) / sum),
  );
  const findings = new Findings(`unequal quanta, ${place}, ${queues} queues`);
  findings.allNearOne('part', parts, TOLERANCE);
  findings.saturated(run, 'root', SETTLED);
  findings.ceilsHold(run);
  return findings;
}

const test = suite(`sharing: by quantum (seed ${SEED})`);

for (const queues of QUEUE_COUNTS) {
  for (const together of queues > 2 ? [true, false] : [true]) {
    test(`one user alone against 25 ${together ? 'on another' : 'on the others'}, ${queues} queues`, () =>
      measureAlone(queues, together).hold());
  }
  for (const place of queues === 1 ? ['each on a queue'] : Object.keys(PLACES)) {
    test(`unequal quanta, ${place}, ${queues} queues`, () => measureQuanta(queues, place).hold());
  }
}

test('a doubled quantum is rejected', () => {
  const doubled = changing(
    (id) => id === 'u0',
    ({ quantum }) => ({ quantum: 2 * (quantum ?? 12500) }),
  );
  measureAlone(4, true, doubled).mustReject('alone × 26 max');
  measureQuanta(4, 'each on a queue', doubled).mustReject('part max');
});

test.run();
