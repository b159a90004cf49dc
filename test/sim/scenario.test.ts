import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readScenario } from '../../src/sim/scenario.js';
import { type Document, twoBorrowers } from './scenarios.js';

const test = suite('scenario');

const FLOW = { class: 'a', direction: 'down', offered: '1mbit' };

function errorsOf(value: unknown): string[] {
  const { scenario, problems } = readScenario(value);
  const errors = problems.filter((problem) => problem.severity === 'error');
  assert.is(scenario === null, errors.length > 0);
  return errors.map(({ key, message }) => `${key}: ${message}`);
}

function withFlow(fields: Document): Document {
  return { queues: 2, classes: twoBorrowers(), flows: [{ ...FLOW, ...fields }] };
}

const BAD: readonly (readonly [string, unknown, readonly string[]])[] = [
  ['no map', [], [': a scenario must be a map with classes and flows, not a list']],
  [
    'nothing',
    {},
    ['classes: is missing; it holds the class tree', 'flows: is missing; it lists the traffic'],
  ],
  ['an unknown key', { ...withFlow({}), quues: 3 }, ["quues: is not a known key; did you mean 'queues'?"]],
  [
    'numbers out of range',
    { ...withFlow({}), queues: 0, seconds: 3601, seed: -1, windowMs: 0 },
    [
      'queues: must be a whole number from 1 to 256, not 0',
      'seconds: must be a number of seconds above 0 and up to 3600, not 3601',
      'seed: must be a whole number from 0 to 4294967295, not -1',
      'windowMs: must be a number of milliseconds above 0 and up to 3600000, not 0',
    ],
  ],
  [
    'too many windows',
    { ...withFlow({}), seconds: 3600, windowMs: 1 },
    ['windowMs: 1 makes more than 100000 windows of the 3600 seconds'],
  ],
  [
    'an error in the tree',
    { classes: { version: 1, classes: [{ id: 'a', down: { rate: '10mbt' } }] }, flows: [FLOW] },
    [`classes: class 'a': down.rate: "10mbt" has the unknown unit "mbt"`],
  ],
  ['flows that are no list', { classes: twoBorrowers(), flows: {} }, ['flows: must be a list, not a map']],
  [
    'a flow that is no map',
    { classes: twoBorrowers(), flows: [7] },
    ['flows[0]: must be a map with class, direction and offered, not 7'],
  ],
  [
    'a flow with nothing',
    { classes: twoBorrowers(), flows: [{}] },
    [
      'flows[0].class: is missing',
      'flows[0].direction: is missing; it is "down" or "up"',
      'flows[0].offered: is missing; it is a rate such as "10mbit"',
    ],
  ],
  ['an unknown class', withFlow({ class: 'u43' }), ['flows[0].class: no class "u43"']],
  [
    'an inner class',
    withFlow({ class: 'up' }),
    ['flows[0].class: "up" has children; only a leaf holds packets'],
  ],
  [
    'a bad direction',
    withFlow({ direction: 'left' }),
    ['flows[0].direction: must be "down" or "up", not "left"'],
  ],
  ['a negative rate', withFlow({ offered: '-1mbit' }), ['flows[0].offered: "-1mbit" is negative']],
  [
    'a size of nothing',
    withFlow({ size: 59 }),
    ['flows[0].size: must be a whole number from 60 to 9000, not 59'],
  ],
  [
    'a bad arrival',
    withFlow({ arrival: 'burst' }),
    ['flows[0].arrival: must be "cbr" or "poisson", not "burst"'],
  ],
  ['a stop before the start', withFlow({ start: 2, stop: 1 }), ['flows[0].stop: 1 is before the start, 2']],
  [
    'a negative start',
    withFlow({ start: -1 }),
    ['flows[0].start: must be a number of seconds from 0 to 3600, not -1'],
  ],
  [
    'an unknown key of a flow',
    withFlow({ arival: 'cbr' }),
    ["flows[0].arival: is not a known key; did you mean 'arrival'?"],
  ],
  [
    'a spread that is no list',
    withFlow({ spread: 1 }),
    ['flows[0].spread: must be a list with a share for each queue, not 1'],
  ],
  [
    'a spread over too many queues',
    withFlow({ spread: [0, 0, 1] }),
    ['flows[0].spread: has 3 shares, but there are 2 queues'],
  ],
  [
    'a negative share',
    withFlow({ spread: [2, -1] }),
    ['flows[0].spread[0]: must be a number from 0 to 1, not 2'],
  ],
  [
    'shares of half',
    withFlow({ spread: [0.25, 0.25] }),
    ['flows[0].spread: the shares add up to 0.5, not to 1'],
  ],
  ['a spread of nothing', withFlow({ spread: [] }), ['flows[0].spread: the shares add up to 0, not to 1']],
  [
    'numbers of flows and devices that are out of range',
    withFlow({ flows: 0, device: 4096, devices: 1.5, dscp: 64, ecn: 1 }),
    [
      'flows[0].device: must be a whole number from 0 to 4095, not 4096',
      'flows[0].devices: must be a whole number from 1 to 4096, not 1.5',
      'flows[0].flows: must be a whole number from 1 to 60000, not 0',
      'flows[0].ecn: must be true or false, not 1',
      'flows[0].dscp: must be a whole number from 0 to 63, not 64',
    ],
  ],
  [
    'devices behind the last one',
    withFlow({ device: 4000, devices: 97 }),
    ['flows[0].devices: must be a whole number from 1 to 96, not 97'],
  ],
  [
    'devices without a flow',
    withFlow({ flows: 2, devices: 3 }),
    ['flows[0].devices: 3 devices cannot share 2 flows'],
  ],
  [
    'too many pairs of flows and queues',
    { ...withFlow({}), queues: 256, flows: [{ ...FLOW, flows: 15_625 }, FLOW] },
    ['flows: 15626 flows on 256 queues are more than 4000000 pairs'],
  ],
  [
    'frames that would not fill the rings',
    { ...withFlow({}), frames: 8191 },
    ['frames: must be a whole number from 8192 to 4194304, not 8191'],
  ],
  [
    'bad stalls',
    { ...withFlow({}), stalls: [{ queue: 2, at: -1 }, null] },
    [
      'stalls[0].queue: must be a whole number from 0 to 1, not 2',
      'stalls[0].at: must be a number of seconds from 0 to 3600, not -1',
      'stalls[0].seconds: is missing',
      'stalls[1]: must be a map with queue, at and seconds, not null',
    ],
  ],
  [
    'a change without the class of a flow',
    { ...withFlow({}), changes: [{ at: 1, classes: { version: 1, classes: [{ id: 'b' }] } }] },
    ['flows[0].class: no class "a" in changes[0].classes'],
  ],
  [
    'a change with a bad tree',
    { ...withFlow({}), changes: [{ classes: { version: 2, classes: [] } }] },
    ['changes[0].at: is missing', 'changes[0].classes: version: must be 1, not 2'],
  ],
];

for (const [name, value, expected] of BAD) {
  test(`refuses ${name}`, () => assert.equal(errorsOf(value), expected));
}

test('reports what is wrong everywhere at once', () => {
  const flows = [
    { ...FLOW, class: 'x' },
    { ...FLOW, size: 1 },
  ];
  assert.is(errorsOf({ queues: -1, classes: twoBorrowers(), flows, stalls: [{}] }).length, 6);
});

test('fills in what is left out', () => {
  const { scenario } = readScenario({ classes: twoBorrowers(), flows: [FLOW], queues: 4 });
  const { tree, ...rest } = scenario!;
  assert.is(tree.classes.length, 3);
  assert.equal(rest, {
    queues: 4,
    seconds: 5,
    seed: 1,
    windowMs: 100,
    frames: null,
    flows: [
      {
        classId: 'a',
        direction: 0,
        offeredBps: 1e6,
        sizeBytes: 1500,
        startSeconds: 0,
        stopSeconds: 5,
        shares: [0.25, 0.25, 0.25, 0.25],
        arrival: 'cbr',
        tuples: 1,
        firstDevice: 0,
        devices: 1,
        ecn: false,
        dscp: 0,
      },
    ],
    stalls: [],
    changes: [],
  });
});

test('pads a short spread, and takes one that is rounded as exact', () => {
  const sharesOf = (spread: number[]) =>
    readScenario({ ...withFlow({ spread }), queues: 3 }).scenario!.flows[0]!.shares;
  assert.equal(sharesOf([1]), [1, 0, 0]);
  const sum = sharesOf([0.3333333, 0.3333333, 0.3333333]).reduce((a, b) => a + b);
  assert.ok(Math.abs(sum - 1) < 1e-15);
});

test('as many flows as devices where only these are given', () => {
  const { scenario } = readScenario(withFlow({ devices: 3, device: 2, ecn: true, dscp: 46 }));
  const { tuples, devices, firstDevice, ecn, dscp } = scenario!.flows[0]!;
  assert.equal([tuples, devices, firstDevice, ecn, dscp], [3, 3, 2, true, 46]);
});

test('hands on the warnings of the tree', () => {
  const classes = { version: 1, classes: [{ id: 'a', match: '10.0.0.5/24' }] };
  const { scenario, problems } = readScenario({ classes, flows: [FLOW] });
  assert.ok(scenario !== null);
  assert.equal(problems, [
    {
      severity: 'warning',
      key: 'classes',
      message: `class 'a': match: "10.0.0.5/24" has bits set after its length; read as 10.0.0.0/24`,
    },
  ]);
});

test.run();
