/**
 * What leaf queues do for the packets of one class: the delays of a flow beside others, shares of flows and devices,
 * marks and drops, and that all of it adds up.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { FlowResult } from '../../src/sim/result.js';
import { type Document, down, near, oneClass, run } from './scenarios.js';

const test = suite('leaf queues in the simulator');

const BULK = { class: 'u', direction: 'down', offered: '100mbit' };
/** Of 1500 bytes at 20 Mbit/s. */
const PACKET_MS = 0.6;

function flowsOf(leaf: Document, flows: readonly Document[], more: Document = {}): FlowResult[] {
  return run({ seconds: 5, classes: oneClass({ rate: '20mbit' }, leaf), flows, ...more }).flows;
}

// A flow is sparse whose packets come after the last one's round has ended: a packet of every other flow.
for (const [bulkFlows, packetsPerSecond] of [
  [1, 50],
  [4, 50],
  [100, 5],
] as const) {
  test(`a call beside ${bulkFlows} bulk flow(s) waits for a packet or two, in a FIFO for all that is queued`, () => {
    const call = { class: 'u', direction: 'down', offered: packetsPerSecond * 200 * 8, size: 200 };
    const flows = [call, { ...BULK, flows: bulkFlows, arrival: 'poisson' }];
    const [fair] = flowsOf({ leaf: 'fq_codel' }, flows);
    const [fifo] = flowsOf({ leaf: 'pfifo' }, flows);
    assert.is(fair!.sentPackets, fair!.offeredPackets, 'the call loses nothing');
    // Bulk flows come up anew now and then, and are sparse for their first packet as well.
    assert.ok(fair!.delayMs.p99! <= 6 * PACKET_MS, `fq_codel: p99 ${fair!.delayMs.p99} ms`);
    assert.ok(fifo!.delayMs.p99! >= 300, `pfifo: p99 ${fifo!.delayMs.p99} ms`);
  });
}

for (const flows of [2, 200]) {
  test(`${flows} backlogged flows get equal goodput, whatever each of them sends`, () => {
    const half = { ...BULK, flows: flows / 2 };
    const leaf = { leaf: 'fq_codel' };
    const results = flowsOf(leaf, [half, { ...half, offered: '300mbit' }], { seconds: 10, seed: 2 });
    const [modest, greedy] = results as [FlowResult, FlowResult];
    near(greedy.goodputBps, modest.goodputBps, 0.02, 'shares');
    near(greedy.goodputBps + modest.goodputBps, 20e6, 0.01, 'sum');
    for (const { fairness } of results)
      if (flows > 2) assert.ok(fairness! >= 0.99, `Jain ${fairness}`);
      else assert.is(fairness, null);
  });
}

test('a FIFO gives the greedier flows more, so equal shares are not a matter of course', () => {
  const half = { ...BULK, flows: 100 };
  const [modest, greedy] = flowsOf({ leaf: 'pfifo' }, [half, { ...half, offered: '300mbit' }]);
  assert.ok(greedy!.goodputBps > 2 * modest!.goodputBps, `${greedy!.goodputBps} and ${modest!.goodputBps}`);
});

test('between a device with one flow and a device with nine', () => {
  const shares = (isolate: string): [number, number] => {
    const leaf = { leaf: 'fq_codel', isolate };
    const nine = { ...BULK, flows: 9, device: 1, offered: '300mbit' };
    const [one, many] = flowsOf(leaf, [BULK, nine], { seconds: 10 });
    near(one!.goodputBps + many!.goodputBps, 20e6, 0.01, 'sum');
    if (isolate !== 'host') assert.ok(many!.fairness! >= 0.99, `${isolate}: Jain ${many!.fairness}`);
    return [one!.goodputBps, many!.goodputBps];
  };
  near(shares('none')[0], 2e6, 0.05, 'by flow');
  near(shares('dual')[0], 10e6, 0.02, 'by device and flow');
  near(shares('host')[0], 10e6, 0.02, 'by device');
});

test('several devices of one flow share by device as well', () => {
  const flows = [BULK, { ...BULK, flows: 12, device: 1, devices: 3, offered: '300mbit' }];
  const [one, three] = flowsOf({ leaf: 'fq_codel', isolate: 'dual' }, flows, { seconds: 10 });
  near(one!.goodputBps, 5e6, 0.03, 'the device with one flow');
  near(three!.goodputBps, 15e6, 0.02, 'three devices with four');
  assert.ok(three!.fairness! >= 0.99, `Jain ${three!.fairness}`);
});

/** Somewhat more than the class's ceil: a queue stands that CoDel does something about. */
const EXCESS = { ...BULK, offered: '21mbit' };

test('what is ECN capable is marked, and not dropped', () => {
  const marked = run({
    classes: oneClass({ rate: '20mbit' }, { leaf: 'fq_codel' }),
    flows: [{ ...EXCESS, ecn: true }],
  });
  const figures = down(marked, 'u');
  assert.ok(figures.marks > 20, `${figures.marks} marks`);
  assert.equal(figures.dropsBy, { limit: 0, codel: 0, evicted: 0, nic: 0 });
  assert.is(figures.markedPackets, figures.marks);
  assert.is(marked.flows[0]!.markedPackets, figures.marks);
});

test('what is not ECN capable is dropped, and all of it where the class does not want marks', () => {
  const dropped = (leaf: Document, flow: Document) => {
    const classes = oneClass({ rate: '20mbit' }, { leaf: 'fq_codel', ...leaf });
    const { marks, markedPackets, dropsBy, drops } = down(
      run({ classes, flows: [{ ...EXCESS, ...flow }] }),
      'u',
    );
    assert.equal([marks, markedPackets, dropsBy.limit, drops], [0, 0, 0, dropsBy.codel]);
    return drops;
  };
  assert.ok(dropped({}, {}) > 20);
  assert.is(dropped({ ecn: false }, { ecn: true }), dropped({}, {}));
});

test('drops are told by cause', () => {
  const classes = oneClass({ rate: '20mbit' }, { leaf: 'pfifo', limit: 50 });
  const full = down(run({ seconds: 1, classes, flows: [BULK] }), 'u');
  assert.ok(full.dropsBy.limit > 1000);
  assert.equal(full.dropsBy, { limit: full.drops, codel: 0, evicted: 0, nic: 0 });
  const stalls = [{ queue: 0, at: 0.2, seconds: 0.5 }];
  const { drops, dropsBy } = down(run({ seconds: 1, classes, flows: [BULK], stalls }), 'u');
  assert.ok(dropsBy.nic > 1000);
  assert.is(drops, dropsBy.limit + dropsBy.nic);
});

test('a flood takes frames from itself and not from another class', () => {
  const tree = {
    version: 1,
    leaf: 'pfifo',
    limit: 100_000,
    classes: [
      { id: 'flood', down: { rate: '5mbit' } },
      { id: 'u', down: { rate: '5mbit' } },
    ],
  };
  const flows = [
    { ...BULK, class: 'flood', size: 100, offered: '50mbit' },
    { ...BULK, class: 'u', offered: '4mbit', arrival: 'poisson' },
  ];
  const result = run({ seconds: 2, frames: 8192, classes: tree, flows });
  const flood = down(result, 'flood');
  assert.ok(flood.dropsBy.evicted > 10_000, `${flood.dropsBy.evicted} evicted`);
  assert.is(flood.drops, flood.dropsBy.evicted + flood.dropsBy.nic);
  assert.is(down(result, 'u').drops, 0);
});

test('how long packets are in a leaf agrees with how long they take', () => {
  const classes = oneClass({ rate: '20mbit' }, { leaf: 'pfifo', limit: 100 });
  const { sojournMs, delayMs } = down(run({ seconds: 2, classes, flows: [BULK] }), 'u');
  near(delayMs.p50!, 60, 0.05, 'delay');
  near(sojournMs.p50!, 60, 0.34, 'sojourn');
  const idle = down(run({ seconds: 2, classes, flows: [{ ...BULK, offered: '1mbit' }] }), 'u');
  assert.equal(idle.sojournMs, { p50: 0, p99: 0 });
});

test('flows are sparse until they have a standing queue', () => {
  const classes = oneClass({ rate: '20mbit' }, { leaf: 'fq_codel' });
  const { flows } = down(run({ seconds: 1, classes, flows: [{ ...BULK, flows: 5 }] }), 'u');
  assert.equal(flows, { sparse: 0, bulk: 5 });
});

test('figures by flow are in the order of the scenario and add up to the class', () => {
  const flows = [{ ...BULK, size: 200 }, { ...BULK, direction: 'up', offered: '2mbit' }, BULK];
  const classes = { version: 1, classes: [{ id: 'u', down: { rate: '20mbit' }, up: { rate: '10mbit' } }] };
  const result = run({ queues: 3, seconds: 1, classes, flows });
  assert.equal(
    result.flows.map((flow) => `${flow.class} ${flow.direction}`),
    ['u down', 'u up', 'u down'],
  );
  const [small, upward, full] = result.flows as [FlowResult, FlowResult, FlowResult];
  assert.is(down(result, 'u').sentPackets, small.sentPackets + full.sentPackets);
  assert.is(result.classes.u!.up!.sentPackets, upward.sentPackets);
  assert.is(down(result, 'u').goodputBps, small.goodputBps + full.goodputBps);
});

/** Everything at once on few frames: what the run checks of itself is that nothing is lost or made up. */
function everything(seed: number): Document {
  const tree = (leaf: Document): Document => ({
    version: 1,
    ...leaf,
    classes: [
      { id: 'line', down: { rate: '60mbit' }, up: { rate: '30mbit' } },
      {
        id: 'home',
        parent: 'line',
        down: { rate: '10mbit', ceil: '60mbit' },
        up: { rate: '5mbit', ceil: '30mbit' },
      },
      { id: 'shop', parent: 'line', down: { rate: '20mbit', ceil: '40mbit' }, up: { rate: '9mbit' } },
    ],
  });
  return {
    queues: 3,
    seconds: 2,
    seed,
    frames: 8192,
    classes: tree({
      leaf: 'fq_codel',
      isolate: 'dual',
      diffserv: 'diffserv4',
      limit: 100_000,
      memory: '1gb',
    }),
    changes: [
      { at: 0.7, classes: tree({ leaf: 'fq_codel', limit: 300, wash: true }) },
      { at: 1, classes: tree({ leaf: 'pfifo', limit: 100_000 }) },
      { at: 1.4, classes: tree({ leaf: 'codel', ecn: true }) },
    ],
    flows: [
      { class: 'home', direction: 'down', offered: '900mbit', size: 200, flows: 300, devices: 7 },
      { class: 'home', direction: 'down', offered: '60mbit', flows: 5, device: 3, ecn: true, dscp: 8 },
      { class: 'home', direction: 'up', offered: '40mbit', dscp: 46, arrival: 'poisson' },
      { class: 'shop', direction: 'down', offered: '55mbit', flows: 10, devices: 2, ecn: true },
      { class: 'shop', direction: 'up', offered: '10mbit', spread: [0.2, 0.8], ecn: true },
    ],
    stalls: [{ queue: 1, at: 0.5, seconds: 0.05 }],
  };
}

test('the books balance with all of it, and the same scenario gives the same bytes', () => {
  const result = run(everything(1));
  for (const id of ['line', 'home', 'shop'])
    for (const direction of ['down', 'up'] as const) {
      const { drops, dropsBy } = result.classes[id]![direction]!;
      assert.is(drops, dropsBy.limit + dropsBy.codel + dropsBy.evicted + dropsBy.nic, `${id} ${direction}`);
    }
  const { dropsBy, marks } = down(result, 'line');
  for (const [cause, count] of Object.entries({ ...dropsBy, marks })) assert.ok(count > 0, cause);
  assert.is(JSON.stringify(run(everything(1))), JSON.stringify(result));
  assert.is.not(JSON.stringify({ ...run(everything(2)), seed: 1 }), JSON.stringify(result));
});

test.run();
