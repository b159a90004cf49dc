/** Borrowers of a higher prio come first, whatever queue they are on. */
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

const SECONDS = 2.5;
const SETTLED = 0.3;

/** One class that offers less than the parent has, and lower ones that want twice as much, on all queues. */
function measureTwoLevels(queues: number, lowClasses: number, arrival: 'cbr' | 'poisson'): Findings {
  const classes: ClassDoc[] = [
    { id: 'root', down: { rate: GBIT } },
    { id: 'high', parent: 'root', down: { rate: 10 * MBIT, ceil: GBIT, prio: 0 } },
  ];
  const flows: FlowDoc[] = [flow('high', 400 * MBIT, spreadOver(queues, 0), { arrival })];
  for (let low = 0; low < lowClasses; low++) {
    classes.push({ id: `low${low}`, parent: 'root', down: { rate: MBIT, ceil: GBIT, prio: 1 } });
    flows.push(flow(`low${low}`, (2 * GBIT) / lowClasses, allQueues(queues), { arrival }));
  }
  const run = new Run({ queues, seconds: SECONDS, windowMs: 100, classes, flows });
  const findings = new Findings(`prio 0 (${arrival}) before ${lowClasses} of prio 1, ${queues} queues`);
  const { sentPackets, offeredPackets, delayMs } = run.figures('high');
  findings.atLeast('sent/offered', sentPackets / offeredPackets, 0.99);
  findings.note('p99 delay ms', delayMs.p99 ?? Number.NaN);
  findings.saturated(run, 'root', SETTLED);
  findings.ceilsHold(run);
  return findings;
}

const LEVELS = [
  { prio: 0, offered: [150, 100, 50] },
  { prio: 2, offered: [120, 100, 80, 60, 40] },
  { prio: 5, offered: [600, 600, 600, 600] },
];
/** What the two higher levels and the assured rates leave is shared by the lowest, by quantum. */
const LOW_QUANTA = [3000, 3000, 6000, 12000];

function measureThreeLevels(queues: number, deform?: Deform): Findings {
  const classes: ClassDoc[] = [{ id: 'root', down: { rate: GBIT } }];
  const flows: FlowDoc[] = [];
  const assured = 0.5 * MBIT;
  LEVELS.forEach(({ prio, offered }, level) => {
    offered.forEach((mbit, index) => {
      const quantum = level === 2 ? LOW_QUANTA[index]! : 3000;
      const id = `l${level}u${index}`;
      classes.push({ id, parent: 'root', down: { rate: assured, ceil: GBIT, prio, quantum } });
      // Each level has a class on all queues, and others on queues of their own.
      const spread = index === 1 ? allQueues(queues) : spreadOver(queues, level * 3 + index);
      flows.push(flow(id, mbit * MBIT, spread, { arrival: level < 2 ? 'poisson' : 'cbr' }));
    });
  });
  const run = new Run({ queues, seconds: SECONDS, windowMs: 100, classes, flows }, deform);
  const findings = new Findings(`three prios, ${queues} queues`);
  LEVELS.forEach(({ prio, offered }, level) => {
    if (level === 2) return;
    const parts = offered.map((_, index) => {
      const { sentPackets, offeredPackets } = run.figures(`l${level}u${index}`);
      return sentPackets / offeredPackets;
    });
    findings.atLeast(`prio ${prio} sent/offered min`, Math.min(...parts), 0.99);
  });
  const ids = LOW_QUANTA.map((_, index) => `l2u${index}`);
  const rest = ids.reduce((sum, id) => sum + run.meanBps(id, SETTLED), 0) - assured * ids.length;
  const quanta = LOW_QUANTA.reduce((sum, quantum) => sum + quantum, 0);
  const parts = ids.map(
    (id, index) => run.meanBps(id, SETTLED) / (assured + (rest * LOW_QUANTA[index]!) / quanta),
  );
  findings.allNearOne('prio 5 part', parts, 0.03);
  findings.saturated(run, 'root', SETTLED);
  findings.ceilsHold(run);
  return findings;
}

/** The higher wants everything: the lower keep exactly what is assured to them. */
function measureStarved(queues: number): Findings {
  const classes: ClassDoc[] = [{ id: 'root', down: { rate: GBIT } }];
  const flows: FlowDoc[] = [];
  for (let index = 0; index < 8; index++) {
    const prio = index < 4 ? 3 : 4;
    classes.push({ id: `u${index}`, parent: 'root', down: { rate: 20 * MBIT, ceil: GBIT, prio } });
    flows.push(flow(`u${index}`, 400 * MBIT, spreadOver(queues, index)));
  }
  const run = new Run({ queues, seconds: SECONDS, windowMs: 100, classes, flows });
  const parts = classes
    .slice(1)
    .map(({ id }, index) => run.meanBps(id, SETTLED) / ((index < 4 ? 230 : 20) * MBIT));
  const findings = new Findings(`a higher prio that wants everything, ${queues} queues`);
  findings.allNearOne('high part', parts.slice(0, 4), 0.02);
  findings.atLeast('assured of low min', Math.min(...parts.slice(4)), 0.98);
  findings.note('low max', Math.max(...parts.slice(4)));
  findings.saturated(run, 'root', SETTLED);
  findings.ceilsHold(run);
  return findings;
}

const test = suite(`sharing: prio (seed ${SEED})`);

for (const queues of QUEUE_COUNTS) {
  for (const [lowClasses, arrival] of [
    [1, 'cbr'],
    [20, 'poisson'],
  ] as const) {
    test(`a higher prio on one of ${queues} queues, ${lowClasses} lower on all, ${arrival}`, () =>
      measureTwoLevels(queues, lowClasses, arrival).hold());
  }
  test(`three prios with several classes each, ${queues} queues`, () => measureThreeLevels(queues).hold());
  test(`a higher prio that wants everything, ${queues} queues`, () => measureStarved(queues).hold());
}

test('a class of lower prio than its tree says is rejected', () => {
  const last = changing(
    (id) => id === 'l0u0',
    () => ({ prio: 5 }),
  );
  measureThreeLevels(4, last).mustReject('prio 0 sent/offered');
});

test.run();
