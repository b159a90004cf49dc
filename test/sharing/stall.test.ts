/** A worker that stalls for 50 ms keeps nothing from the others, and passes no ceil when it returns. */
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
  mean,
  QUEUE_COUNTS,
  Run,
  SEED,
  spreadOver,
} from './measure.js';

const AT = 0.4;
const STALL_SECONDS = 0.05;
const WINDOW_MS = 5;
const BURST_BYTES = GBIT / 8000 + 1600;

/** 16 users, `onStalled` of them on the queue that stalls, the others on the other queues in turn. */
function measureStall(queues: number, onStalled: number, deform?: Deform): Findings {
  const classes: ClassDoc[] = [{ id: 'root', down: { rate: GBIT } }];
  const flows: FlowDoc[] = [];
  for (let user = 0; user < 16; user++) {
    classes.push({ id: `u${user}`, parent: 'root', down: { rate: MBIT, ceil: GBIT } });
    const queue = user < onStalled ? 0 : 1 + (user % Math.max(1, queues - 1));
    flows.push(flow(`u${user}`, (onStalled > 8 ? 400 : 200) * MBIT, spreadOver(queues, queue)));
  }
  const stalls = [{ queue: 0, at: AT, seconds: STALL_SECONDS }];
  const run = new Run({ queues, seconds: 0.7, windowMs: WINDOW_MS, classes, flows, stalls }, deform);
  const findings = new Findings(`a stall of ${onStalled} users of 16, ${queues} queues`);
  const step = WINDOW_MS / 1e3;
  const returned = AT + STALL_SECONDS;
  if (queues > 1) {
    const during = run.windows('root', AT + step, returned).map((bps) => bps / GBIT);
    findings.note('first 5 ms', run.meanBps('root', AT, AT + step) / GBIT);
    findings.atLeast('rest of the stall', mean(during), 0.99);
    findings.atLeast('least 5 ms of it', Math.min(...during), 1 - BURST_BYTES / ((GBIT * step) / 8));
  }
  const hundredMs = run.windows('root', returned, returned + 0.1).map((bps) => bps / GBIT);
  findings.note('highest 5 ms after', Math.max(...hundredMs));
  findings.atLeast('100 ms after', mean(hundredMs), 0.99);
  findings.ceilsHold(run);
  return findings;
}

/** One class on all queues, a slow one and a fast one; its worker on queue 0 stalls. */
function measureOneClassStall(queues: number, rateBps: number, deform?: Deform): Findings {
  const spread = new Array<number>(queues).fill(1 / queues);
  const run = new Run(
    {
      queues,
      seconds: 0.7,
      windowMs: WINDOW_MS,
      classes: [{ id: 'a', down: { rate: rateBps } }],
      flows: [flow('a', 2 * rateBps, spread)],
      stalls: [{ queue: 0, at: AT, seconds: STALL_SECONDS }],
    },
    deform,
  );
  const findings = new Findings(`a stall of one class, ${rateBps / MBIT} Mbit/s, ${queues} queues`);
  const step = WINDOW_MS / 1e3;
  const returned = AT + STALL_SECONDS;
  const packet = 12000;
  if (queues > 1) {
    const bits = run.meanBps('a', AT + step, returned) * (STALL_SECONDS - step);
    const promised = rateBps * (STALL_SECONDS - step);
    // The bucket may be fuller at the end than at the start by its burst.
    const slackBits = (rateBps / 8000 + 1600) * 8;
    findings.note('goodput/ceil in it', bits / promised);
    findings.atLeast('rest of the stall and a burst', (bits + slackBits) / promised, 1);
  }
  const after = run.meanBps('a', returned, returned + 0.1) / rateBps;
  findings.atLeast('100 ms after', after, 1 - Math.max(0.01, (packet * 10) / rateBps));
  findings.ceilsHold(run);
  return findings;
}

const test = suite(`sharing: a worker stalls (seed ${SEED})`);

for (const queues of QUEUE_COUNTS) {
  for (const onStalled of [4, 12]) {
    test(`a worker of ${queues} stalls, ${onStalled} of 16 users on it`, () =>
      measureStall(queues, onStalled).hold());
  }
  for (const rateBps of [10 * MBIT, GBIT]) {
    test(`a worker of ${queues} stalls, one class of ${rateBps / MBIT} Mbit/s on all`, () =>
      measureOneClassStall(queues, rateBps).hold());
  }
}

test('users that may not take over are rejected', () => {
  const fixed = changing(
    (id) => id !== 'root',
    () => ({ ceil: GBIT / 16 }),
  );
  measureStall(4, 4, fixed).mustReject('rest of the stall');
  const more = changing(
    () => true,
    ({ rate }) => ({ rate: 1.1 * rate }),
  );
  measureOneClassStall(4, GBIT, more).mustReject('ceils');
});

test.run();
