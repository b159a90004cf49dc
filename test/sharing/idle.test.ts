/** Capacity that other queues leave is used within 5 ms. */
import { suite } from 'uvu';
import {
  allQueues,
  type ClassDoc,
  changing,
  type Deform,
  Findings,
  flow,
  GBIT,
  MBIT,
  mean,
  QUEUE_COUNTS,
  Run,
  SEED,
} from './measure.js';

const STOP = 0.5;
const TAKEN_OVER = STOP + 0.005;
const PACKET_BYTES = 1500;

/**
 * From 5 ms after the others fell idle, `id` has `ceilBps`: in every 5 ms but for its burst and a packet, which
 * a bucket may hold back or give in advance, and over 100 ms but for 1 %.
 */
function expectTakenOver(
  findings: Findings,
  run: Run,
  id: string,
  ceilBps: number,
  burstBytes: number,
): void {
  const after = run.windows(id, TAKEN_OVER, TAKEN_OVER + 0.1).map((bps) => bps / ceilBps);
  const perWindow = (ceilBps * 0.005) / 8;
  findings.note('before', run.meanBps(id, STOP - 0.1, STOP) / ceilBps);
  findings.note('the 5 ms between', run.meanBps(id, STOP, TAKEN_OVER) / ceilBps);
  findings.atLeast('least 5 ms after', Math.min(...after), 1 - (burstBytes + PACKET_BYTES) / perWindow);
  findings.atLeast('100 ms after', mean(after), 0.99);
  findings.ceilsHold(run);
}

function othersOf(queues: number): number[] {
  return queues === 1 ? [1] : allQueues(queues).map((_, queue) => (queue === 0 ? 0 : 1 / (queues - 1)));
}

function firstOf(queues: number): number[] {
  return allQueues(queues).map((_, queue) => (queue === 0 ? 1 : 0));
}

/**
 * One class on all queues; all but the first fall idle. They are offered a little less than their parts, so that
 * they hold no backlog then that would have to be sent first.
 */
function measureOneClassIdling(queues: number, rateBps: number, deform?: Deform): Findings {
  const othersShare = (0.8 * Math.max(1, queues - 1)) / Math.max(2, queues);
  const run = new Run(
    {
      queues,
      seconds: 0.7,
      windowMs: 5,
      classes: [{ id: 'a', down: { rate: rateBps } }],
      flows: [
        flow('a', rateBps * 1.5, firstOf(queues)),
        flow('a', rateBps * othersShare, othersOf(queues), { stop: STOP }),
      ],
    },
    deform,
  );
  const findings = new Findings(`one queue of ${queues} goes on, ${rateBps / MBIT} Mbit/s`);
  expectTakenOver(findings, run, 'a', rateBps, rateBps / 8000 + 1600);
  return findings;
}

/** One class on the first queue, 24 siblings on the others, of its prio or a higher one; they fall idle without backlog. */
function measureSiblingsIdling(queues: number, prio: number, deform?: Deform): Findings {
  const spread = othersOf(queues);
  const classes: ClassDoc[] = [
    { id: 'root', down: { rate: GBIT } },
    { id: 'a', parent: 'root', down: { rate: MBIT, ceil: GBIT, prio } },
  ];
  const flows = [flow('a', 1.5 * GBIT, firstOf(queues))];
  for (let user = 0; user < 24; user++) {
    classes.push({ id: `u${user}`, parent: 'root', down: { rate: MBIT, ceil: GBIT, prio: 0 } });
    flows.push(flow(`u${user}`, 30 * MBIT, spread, { stop: STOP }));
  }
  const run = new Run({ queues, seconds: 0.7, windowMs: 5, classes, flows }, deform);
  const findings = new Findings(`siblings on other queues of ${queues} fall idle, prio ${prio} after 0`);
  expectTakenOver(findings, run, 'a', GBIT, GBIT / 8000 + 1600);
  return findings;
}

const test = suite(`sharing: others fall idle (seed ${SEED})`);

for (const queues of QUEUE_COUNTS) {
  for (const rateBps of [10 * MBIT, 100 * MBIT, GBIT]) {
    test(`a class on one of ${queues} queues, ${rateBps / MBIT} Mbit/s, others fall idle`, () =>
      measureOneClassIdling(queues, rateBps).hold());
  }
  for (const prio of [0, 1]) {
    test(`a class on one of ${queues} queues, its siblings fall idle, prio ${prio}`, () =>
      measureSiblingsIdling(queues, prio).hold());
  }
}

test('a class that keeps half is rejected', () => {
  const half = changing(
    (id) => id === 'a',
    (limit) => ({ rate: limit.rate / 2, ceil: (limit.ceil ?? limit.rate) / 2 }),
  );
  for (const findings of [measureOneClassIdling(4, 100 * MBIT, half), measureSiblingsIdling(4, 0, half)]) {
    for (const name of ['least 5 ms', '100 ms']) findings.mustReject(name);
  }
});

test.run();
