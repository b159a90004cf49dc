import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { missingForLab } from '../../src/lab/needs.js';
import { type Expectation, labPlan } from '../../src/lab/plan.js';
import {
  readLink,
  readNamedCounter,
  readPings,
  readPingsSent,
  readSetCounters,
} from '../../src/lab/readings.js';
import { simulateLab } from '../../src/lab/simulate.js';
import { judge, type Measurements, percentile, rateKey } from '../../src/lab/verdict.js';
import { formatLine, formatTable, formatVerdicts } from '../../src/lab/view.js';
import { GOOD_MACHINE, USER_STATUS } from '../doctor/recorded.js';

const test = suite('lab verdicts');

const RATE: Expectation = {
  kind: 'rate',
  label: 'a down',
  classId: 'a',
  direction: 'down',
  wantedBps: 10e6,
  tolerance: 0.02,
};
const EQUAL: Expectation = {
  kind: 'equal',
  label: 'equal',
  classIds: ['a', 'b', 'c'],
  direction: 'down',
  tolerance: 0.05,
};
const SUM: Expectation = { ...EQUAL, kind: 'sum', label: 'sum', wantedBps: 30e6, tolerance: 0.02 };
const DELAY: Expectation = { kind: 'delay', label: 'ping', meanMsMax: 5 };
const CONNTRACK: Expectation = { kind: 'conntrack', label: 'conntrack', entriesMin: 40 };
const MASQUERADE: Expectation = { kind: 'masquerade', label: 'masquerade' };
const AGREE: Expectation = { kind: 'agree', label: 'agree', tolerance: 0.005 };
const LOST: Expectation = { kind: 'lost', label: 'lost' };

const GOOD: Measurements = {
  ratesBps: new Map([
    [rateKey('a', 'down'), 10e6],
    [rateKey('b', 'down'), 10.2e6],
    [rateKey('c', 'down'), 9.8e6],
  ]),
  delay: { meanMs: 0.8, p99Ms: 1.2, maxMs: 7, samples: 300, lost: 0 },
  conntrackEntries: 44,
  masqueraded: 44,
  counterDifference: 0.001,
  framesUnaccounted: 0,
};

function rates(...mbits: readonly number[]): Partial<Measurements> {
  const entries = mbits.map((mbit, i) => [rateKey('abc'[i]!, 'down'), mbit * 1e6] as const);
  return { ratesBps: new Map(entries) };
}

function passes(expectation: Expectation, changes: Partial<Measurements> = {}): boolean {
  const verdicts = judge([expectation], { ...GOOD, ...changes });
  assert.is(verdicts.length, 1);
  return verdicts[0]!.ok;
}

test('what is right passes', () => {
  for (const expectation of [RATE, EQUAL, SUM, DELAY, CONNTRACK, MASQUERADE, AGREE, LOST]) {
    assert.is(passes(expectation), true, expectation.label);
  }
});

const WRONG: readonly (readonly [string, Expectation, Partial<Measurements>])[] = [
  ['too slow', RATE, rates(9.79)],
  ['too fast', RATE, rates(10.21)],
  ['not measured', RATE, rates()],
  ['one borrower behind', EQUAL, rates(10, 10, 9.2)],
  ['one borrower ahead', EQUAL, rates(10, 10, 11)],
  ['borrowers that get nothing', EQUAL, rates(0, 0, 0)],
  ['capacity left', SUM, rates(9.7, 9.7, 9.7)],
  ['a late ping', DELAY, { delay: { meanMs: 5, p99Ms: 8, maxMs: 9, samples: 300, lost: 0 } }],
  ['a lost ping', DELAY, { delay: { meanMs: 0.5, p99Ms: 1, maxMs: 9, samples: 300, lost: 1 } }],
  [
    'no ping at all',
    DELAY,
    { delay: { meanMs: Number.NaN, p99Ms: Number.NaN, maxMs: null, samples: 0, lost: 0 } },
  ],
  ['untracked connections', CONNTRACK, { conntrackEntries: 39 }],
  ['nothing masqueraded', MASQUERADE, { masqueraded: 0 }],
  ['counters that differ', AGREE, { counterDifference: 0.006 }],
  ['a frame missing', LOST, { framesUnaccounted: 1 }],
  ['a frame too many', LOST, { framesUnaccounted: -1 }],
];

for (const [name, expectation, changes] of WRONG) {
  test(`${name} fails`, () => {
    assert.is(passes(expectation, changes), false);
  });
}

test('what cannot be measured is left out', () => {
  const nothing = {
    conntrackEntries: null,
    masqueraded: null,
    counterDifference: null,
    framesUnaccounted: null,
  };
  assert.equal(judge([CONNTRACK, MASQUERADE, AGREE, LOST], { ...GOOD, ...nothing }), []);
});

test('a percentile is one of the values', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.is(percentile(values, 0.99), 99);
  assert.is(percentile(values, 0.5), 50);
  assert.is(percentile([7], 0.99), 7);
  assert.ok(Number.isNaN(percentile([], 0.99)));
});

test('the plan comes out right in the simulator, and a narrower uplink does not', () => {
  const plan = labPlan({ users: 64, seconds: 3, seed: 1 });
  const { verdicts } = simulateLab(plan);
  assert.equal(
    verdicts.filter(({ ok }) => !ok),
    [],
  );
  assert.ok(verdicts.length > 10);
  const classes = plan.tree.classes.map((spec) =>
    spec.id === 'uplink-narrow' ? { ...spec, down: { ...spec.down, rate: '38mbit', ceil: '38mbit' } } : spec,
  );
  const failed = simulateLab({ ...plan, tree: { version: 1, classes } }).verdicts.filter(({ ok }) => !ok);
  assert.equal(
    failed.map(({ label }) => label),
    ['the narrow uplink is full'],
  );
});

test('texts of nft, ip and ping are read', () => {
  const set = `{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"set": {"family": "netdev", "name": "watched", "table":
    "lab", "type": "ipv4_addr", "handle": 2, "elem": [{"elem": {"val": "10.64.0.1", "counter": {"packets": 3, "bytes": 252}}},
    {"elem": {"val": "10.64.0.2", "counter": {"packets": 0, "bytes": 0}}}], "stmt": [{"counter": null}]}}]}`;
  assert.equal(
    [...readSetCounters(set)],
    [
      ['10.64.0.1', { packets: 3, bytes: 252 }],
      ['10.64.0.2', { packets: 0, bytes: 0 }],
    ],
  );
  const counter = `{"nftables": [{"metainfo": {}}, {"counter": {"family": "ip", "name": "masqueraded", "table": "lab",
    "handle": 3, "packets": 58, "bytes": 3480}}]}`;
  assert.is(readNamedCounter(counter), 58);
  const link = `[{"ifname":"va","stats64":{"rx":{"bytes":90,"packets":1,"errors":0,"dropped":2},
    "tx":{"bytes":180,"packets":3,"errors":0,"dropped":4}}}]`;
  assert.equal(readLink(link), { rxPackets: 1, txPackets: 3, txDropped: 4, rxDropped: 2 });
  const ping = `PING 198.18.1.2 (198.18.1.2) from 10.64.0.6 : 56(84) bytes of data.
64 bytes from 198.18.1.2: icmp_seq=1 ttl=63 time=0.098 ms
64 bytes from 198.18.1.2: icmp_seq=3 ttl=63 time=12.1 ms

--- 198.18.1.2 ping statistics ---
3 packets transmitted, 2 received, 33.3333% packet loss, time 40ms
`;
  assert.equal(readPings(ping), [0.098, 12.1]);
  assert.is(readPingsSent(ping), 3);
  assert.is(readPingsSent('PING'), null);
});

test('what is missing is told with the command that gets it', () => {
  assert.equal(missingForLab(GOOD_MACHINE), []);
  const poor = {
    processStatus: USER_STATUS,
    tools: ['ip', 'ethtool'],
    nativeFilesMissing: ['native/build/libweir.so'],
  };
  const missing = missingForLab({ ...GOOD_MACHINE, ...poor });
  assert.is(missing.length, 3);
  assert.match(missing[0]!, /sudo npx weir lab$/);
  assert.match(missing[1]!, /apt-get install -y nftables iperf3 iputils-ping$/);
  assert.match(missing[2]!, /native\/setup$/);
});

test('people see every loaded subscriber and every verdict', () => {
  const plan = labPlan({ users: 64, seconds: 20, seed: 1 });
  const ratesBps = new Map([[rateKey('test-0', 'down'), 1.96e6]]);
  const progress = { elapsedSeconds: 7.2, ratesBps, pingMs: 0.25, conntrackEntries: 58 };
  const shown = formatTable(plan, progress);
  for (const { classId } of plan.flows) assert.match(shown, classId);
  assert.match(shown, /test-0 .* 2 tcp down .* 1\.96 Mbit\/s .* 98 %/);
  const line = formatLine(plan, progress);
  assert.match(line, /^ {2}7 of 20 s \| ping of the idle one 0\.25 ms \| 58 connections tracked/);
  assert.is(line.indexOf('\n'), line.length - 1);
  const verdicts = judge([RATE, LOST], { ...GOOD, framesUnaccounted: 3 });
  const lines = formatVerdicts(verdicts).split('\n');
  assert.match(lines[0]!, /^ok {6}a down {2}10\.00 Mbit\/s {2}10\.00 Mbit\/s ± 2 %$/);
  assert.match(lines[1]!, /^FAILED {2}lost/);
  assert.is(lines[2], '1 of 2 FAILED');
});

test.run();
