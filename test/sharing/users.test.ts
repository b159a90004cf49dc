/** A thousand equal users, hashed over the queues, under a saturated parent. */
import { suite } from 'uvu';
import {
  type ClassDoc,
  changing,
  type Deform,
  Findings,
  type FlowDoc,
  flow,
  GBIT,
  jainIndex,
  MBIT,
  mean,
  QUEUE_COUNTS,
  Run,
  SEED,
  spreadOver,
} from './measure.js';

const USERS = 1000;
const SECONDS = 3;
const SETTLED = 0.5;
const JAIN_LEAST = 0.995;

/** Uneven as hashes are: some queues get more users than others. */
function hashOf(value: number): number {
  let mixed = Math.imul(value ^ 0x9e3779b9, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

function spreadOf(user: number, queues: number, hasFourFlows: boolean): number[] {
  if (!hasFourFlows) return spreadOver(queues, hashOf(user));
  return spreadOver(queues, ...[0, 1, 2, 3].map((member) => hashOf(user * 4 + member + USERS)));
}

function measureUsers(queues: number, halfHaveFour: boolean, deform?: Deform): Findings {
  const classes: ClassDoc[] = [{ id: 'root', down: { rate: GBIT } }];
  const flows: FlowDoc[] = [];
  for (let user = 0; user < USERS; user++) {
    classes.push({ id: `u${user}`, parent: 'root', down: { rate: 0.1 * MBIT, ceil: 100 * MBIT } });
    flows.push(flow(`u${user}`, 4 * MBIT, spreadOf(user, queues, halfHaveFour && user % 2 === 0)));
  }
  const run = new Run({ queues, seconds: SECONDS, windowMs: 100, classes, flows }, deform);
  const rates = classes.slice(1).map(({ id }) => run.meanBps(id, SETTLED) / MBIT);
  const findings = new Findings(
    `${USERS} users, ${queues} queues${halfHaveFour ? ', half of them on four' : ''}`,
  );
  findings.atLeast('Jain index', jainIndex(rates), JAIN_LEAST);
  findings.note('least Mbit/s', Math.min(...rates));
  findings.note('most', Math.max(...rates));
  findings.note('mean of even users', mean(rates.filter((_, user) => user % 2 === 0)));
  findings.note('of odd', mean(rates.filter((_, user) => user % 2 === 1)));
  findings.saturated(run, 'root', SETTLED);
  findings.ceilsHold(run);
  return findings;
}

const test = suite(`sharing: a thousand users (seed ${SEED})`);

for (const queues of QUEUE_COUNTS) {
  test(`a thousand users hashed over ${queues} queues`, () => measureUsers(queues, false).hold());
  if (queues === 1) continue;
  test(`a thousand users hashed over ${queues} queues, half of them with flows on four`, () =>
    measureUsers(queues, true).hold());
}

test('a doubled quantum of half the users is rejected', () => {
  const doubled = changing(
    (id) => /^u\d*[02468]$/.test(id),
    () => ({ quantum: 2000 }),
  );
  measureUsers(4, false, doubled).mustReject('Jain');
});

test.run();
