/** Inner classes over several queues, deep trees, short packets with overhead, both directions at once. */
import { suite } from 'uvu';
import {
  type ClassDoc,
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
  tenthMore,
} from './measure.js';

const SECONDS = 2;
const SETTLED = 0.3;
/** Wider than elsewhere: equal users below a chain of lenders were measured to get 0.83 to 1.14 of their equal parts on 4 queues. */
const DEEP_TOLERANCE = 0.2;

/** Three sites whose ceils are below what their users may have together; each user is on a queue of its own. */
function measureSites(queues: number, arrival: 'cbr' | 'poisson', deform?: Deform): Findings {
  const classes: ClassDoc[] = [{ id: 'root', down: { rate: GBIT } }];
  const flows: FlowDoc[] = [];
  const siteMbit = [200, 100, 300];
  siteMbit.forEach((mbit, site) => {
    const id = `site${site}`;
    classes.push({ id, parent: 'root', down: { rate: 50 * MBIT, ceil: mbit * MBIT } });
    for (let user = 0; user < 5; user++) {
      const leaf = `${id}u${user}`;
      classes.push({ id: leaf, parent: id, down: { rate: 5 * MBIT, ceil: 90 * MBIT } });
      flows.push(flow(leaf, 120 * MBIT, spreadOver(queues, site * 5 + user), { arrival }));
    }
  });
  const run = new Run({ queues, seconds: SECONDS, windowMs: 20, classes, flows }, deform);
  const findings = new Findings(`sites, ${arrival}, ${queues} queues`);
  siteMbit.forEach((mbit, site) => {
    const users = [0, 1, 2, 3, 4].map((user) => run.meanBps(`site${site}u${user}`, SETTLED));
    findings.allNearOne(
      `site${site} users`,
      users.map((bps) => (bps * 5) / (mbit * MBIT)),
      0.05,
    );
    findings.saturated(run, `site${site}`, SETTLED);
  });
  findings.ceilsHold(run);
  return findings;
}

/** A chain of 16 levels whose ceil shrinks to the 15th, with four users below it and one beside each level. */
function measureDeep(queues: number, deform?: Deform): Findings {
  const levels = 16;
  const classes: ClassDoc[] = [{ id: 'l1', down: { rate: GBIT } }];
  const flows: FlowDoc[] = [];
  for (let level = 2; level < levels; level++) {
    const ceil = GBIT - (level - 1) * 50 * MBIT;
    classes.push({ id: `l${level}`, parent: `l${level - 1}`, down: { rate: 100 * MBIT, ceil } });
    classes.push({ id: `beside${level}`, parent: `l${level - 1}`, down: { rate: MBIT, ceil: GBIT } });
    flows.push(flow(`beside${level}`, 100 * MBIT, spreadOver(queues, level)));
  }
  for (let user = 0; user < 4; user++) {
    classes.push({ id: `u${user}`, parent: `l${levels - 1}`, down: { rate: 5 * MBIT, ceil: GBIT } });
    flows.push(flow(`u${user}`, 200 * MBIT, spreadOver(queues, user)));
  }
  const run = new Run({ queues, seconds: SECONDS, windowMs: 20, classes, flows }, deform);
  const findings = new Findings(`${levels} levels, ${queues} queues`);
  const users = [0, 1, 2, 3].map((user) => run.meanBps(`u${user}`, SETTLED));
  const total = users.reduce((sum, bps) => sum + bps, 0);
  findings.note('deepest users Mbit/s', total / MBIT);
  findings.atLeast('their assured rate', total / (100 * MBIT), 0.98);
  findings.allNearOne(
    'their parts',
    users.map((bps) => (4 * bps) / total),
    DEEP_TOLERANCE,
  );
  findings.saturated(run, 'l1', SETTLED);
  findings.ceilsHold(run);
  return findings;
}

/** Packets of 64 bytes that the link makes `charged` bytes of. */
function measureShort(queues: number, link: { overhead: number; mpu: number }, deform?: Deform): Findings {
  const classes: ClassDoc[] = [{ id: 'root', down: { rate: 50 * MBIT } }];
  const flows: FlowDoc[] = [];
  for (let user = 0; user < 4; user++) {
    classes.push({ id: `u${user}`, parent: 'root', down: { rate: MBIT, ceil: 50 * MBIT } });
    const spread = user === 0 ? spreadOver(queues, 0, 1, 2, 3) : spreadOver(queues, user);
    flows.push(flow(`u${user}`, 25 * MBIT, spread, { size: 64 }));
  }
  const run = new Run({ queues, seconds: SECONDS, windowMs: 20, classes, flows, ...link }, deform);
  const findings = new Findings(`64 bytes, overhead ${link.overhead}, mpu ${link.mpu}, ${queues} queues`);
  const users = [0, 1, 2, 3].map((user) => run.meanBps(`u${user}`, SETTLED));
  const total = users.reduce((sum, bps) => sum + bps, 0);
  findings.note('goodput Mbit/s', total / MBIT);
  findings.allNearOne(
    'parts',
    users.map((bps) => (4 * bps) / total),
    0.03,
  );
  findings.saturated(run, 'root', SETTLED);
  findings.ceilsHold(run);
  return findings;
}

/** Other limits up than down, both full at once. */
function measureBothWays(queues: number, deform?: Deform): Findings {
  const classes: ClassDoc[] = [{ id: 'root', down: { rate: 400 * MBIT }, up: { rate: 100 * MBIT } }];
  const flows: FlowDoc[] = [];
  for (let user = 0; user < 10; user++) {
    const down = { rate: 2 * MBIT, ceil: 200 * MBIT, quantum: user < 5 ? 3000 : 6000 };
    const up = { rate: MBIT, ceil: 50 * MBIT, quantum: user < 5 ? 6000 : 3000 };
    classes.push({ id: `u${user}`, parent: 'root', down, up });
    flows.push(flow(`u${user}`, 100 * MBIT, spreadOver(queues, user)));
    flows.push(flow(`u${user}`, 40 * MBIT, spreadOver(queues, user, user + 1), { direction: 'up' }));
  }
  const run = new Run({ queues, seconds: SECONDS, windowMs: 20, classes, flows }, deform);
  const findings = new Findings(`down and up at once, ${queues} queues`);
  for (const [direction, rootBps, assured, quanta] of [
    ['down', 400 * MBIT, 2 * MBIT, [3000, 6000]],
    ['up', 100 * MBIT, MBIT, [6000, 3000]],
  ] as const) {
    const parts = Array.from({ length: 10 }, (_, user) => {
      const expected = assured + ((rootBps - 10 * assured) * quanta[user < 5 ? 0 : 1]) / 45_000;
      return run.meanBps(`u${user}`, SETTLED, SECONDS, direction) / expected;
    });
    findings.allNearOne(`${direction} part`, parts, 0.03);
    findings.saturated(run, 'root', SETTLED, SECONDS, { direction });
  }
  findings.ceilsHold(run);
  return findings;
}

const test = suite(`sharing: trees (seed ${SEED})`);

for (const queues of QUEUE_COUNTS) {
  for (const arrival of ['cbr', 'poisson'] as const)
    test(`sites with ceils of their own, ${arrival}, ${queues} queues`, () =>
      measureSites(queues, arrival).hold());
  test(`sixteen levels, ${queues} queues`, () => measureDeep(queues).hold());
  for (const link of [
    { overhead: 24, mpu: 0 },
    { overhead: 4, mpu: 84 },
  ])
    test(`short packets, overhead ${link.overhead}, mpu ${link.mpu}, ${queues} queues`, () =>
      measureShort(queues, link).hold());
  test(`down and up at once, ${queues} queues`, () => measureBothWays(queues).hold());
}

test('a tenth more for an inner class is rejected', () => {
  measureSites(4, 'cbr', tenthMore('site1')).mustReject('ceils');
  measureDeep(4, tenthMore('l1')).mustReject('ceils');
  measureShort(4, { overhead: 24, mpu: 0 }, tenthMore('root')).mustReject('ceils');
  measureBothWays(4, tenthMore('root')).mustReject('ceils');
});

test.run();
