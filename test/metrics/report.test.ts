import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Counter } from '../../src/dataplane/counters.js';
import { ThreadWord } from '../../src/dataplane/thread-contract.js';
import { leafFigures } from '../../src/htb/leaf-figures.js';
import { emptyStats } from '../../src/htb/memory.js';
import type { ClassReport, DirectionReport } from '../../src/metrics/class-meter.js';
import { droppedPackets, QueueMeter } from '../../src/metrics/queue-meter.js';
import { formatStats, type StatsSource, statsChunks } from '../../src/metrics/report.js';

const test = suite('stats');

function directionReport(packets: number, rateBps: number): DirectionReport {
  return {
    bytes: packets * 100,
    packets,
    drops: 0,
    marks: 0,
    backlogBytes: 0,
    backlogPackets: 0,
    lends: packets,
    borrows: 0,
    overlimits: 0,
    rateBps,
    ...leafFigures(emptyStats(), packets),
  };
}

function classReport(id: string, parent: string | null, packets = 0, rateBps = 0): ClassReport {
  return { id, parent, down: directionReport(packets, rateBps), up: directionReport(0, 0) };
}

function source(classes: Iterable<ClassReport>): StatsSource {
  const port = { device: 'eth0', link: 'up', linkChanges: 1, xdp: { toSocket: 5, nonIp: 0 } };
  return {
    epoch: 7,
    uptimeSeconds: 93784.5,
    backend: 'xdp',
    mode: 'copy',
    failure: 'open',
    source: {
      source: 'file:tree.yaml',
      watched: true,
      state: 'ok',
      fault: null,
      since: '2024-01-01T00:00:00.000Z',
      appliedFrom: 'file:tree.yaml',
      lastAppliedAt: '2024-01-01T00:00:00.000Z',
    },
    accounting: { state: 'off', pendingBatches: 0, lastTakenAt: null, fault: null },
    classes,
    queues: [new QueueMeter(0).report('running', 0)],
    ports: { inside: port, outside: { ...port, device: 'eth1', xdp: null } },
  };
}

test('the text in chunks is the document', () => {
  for (const count of [0, 1, 499, 500, 501, 2000]) {
    const classes = Array.from({ length: count }, (_, i) => classReport(`u${i}`, null, i));
    const chunks = [...statsChunks(source(classes))];
    assert.is(chunks.length, Math.floor(count / 500) + 1);
    assert.equal(JSON.parse(chunks.join('')), JSON.parse(JSON.stringify(source(classes))));
  }
});

test('the table shows the tree', () => {
  const classes = [
    classReport('uplink', null, 30, 12_345_678),
    classReport('site', 'uplink', 20),
    classReport('guests', 'uplink', 10, 999),
    classReport('u1', 'site', 20, 1_500),
  ];
  const text = formatStats({ ...source(classes), classes });
  assert.match(text, /^xdp copy, 1 queue, failure open, up 1 d 2 h, epoch 7\n/);
  const rows = text.split('\n').filter((line) => / down /.test(line));
  assert.match(rows[0]!, /^uplink +down +12\.35 Mbit +3000 +30 +0 /);
  assert.match(rows[1]!, /^ {2}site +down +0 bit /);
  assert.match(rows[2]!, /^ {4}u1 +down +1\.5 kbit /);
  assert.match(rows[3]!, /^ {2}guests +down +999 bit /);
  assert.match(text, /\ninside +eth0 +up +toSocket 5\n/);
  assert.match(text, /\noutside +eth1 +up\n/);
});

test('a class whose parent is not shown stands alone', () => {
  const classes = [classReport('u1', 'site', 1), classReport('u2', 'u1', 1)];
  assert.match(formatStats({ ...source(classes), classes }), /\nu1 +down [\s\S]*\n {2}u2 +down /);
});

test('the table tells of marks and of the slowest packets', () => {
  const slow = { ...directionReport(8, 0), drops: 5, marks: 3, backlogPackets: 2, borrows: 6, overlimits: 7 };
  const classes = [
    { ...classReport('u1', null), down: { ...slow, sojournMs: { p50: 1, p99: 12.34 } } },
    { ...classReport('u2', null), down: { ...slow, sojournMs: { p50: 0, p99: 0.001 } } },
    { ...classReport('u3', null), down: { ...slow, sojournMs: { p50: 0, p99: 0 } } },
  ];
  const text = formatStats({ ...source(classes), classes });
  const head = 'class dir rate bytes packets drops marks backlog p99 borrows overlimits';
  assert.match(text, new RegExp(`\n${head.replaceAll(' ', ' +')}\n`));
  assert.match(
    text,
    /\nu1 +down +0 bit +800 +8 +5 +3 +2 +12\.3 ms +6 +7\n +up +0 bit +0 +0 +0 +0 +0 +- +0 +0\n/,
  );
  assert.match(text, /\nu2 +down +0 bit +800 +8 +5 +3 +2 +<0\.01 ms +6 +7\n/);
  assert.match(text, /\nu3 +down +0 bit +800 +8 +5 +3 +2 +0 ms +6 +7\n/);
});

test('a class alone is shown with all that is known of it', () => {
  const down = {
    ...directionReport(11, 1_500),
    ...{ drops: 9, marks: 12, backlogBytes: 13, backlogPackets: 14, lends: 15, borrows: 16, overlimits: 17 },
    dropsBy: { limit: 2, codel: 3, evicted: 4 },
    sojournMs: { p50: 0.5, p99: 123.4 },
    flows: { sparse: 18, bulk: 19 },
  };
  const classes = [{ ...classReport('u1', 'site'), down }];
  const text = formatStats({ ...source(classes), classes });
  const lines = text.slice(text.indexOf('class u1')).split('\n');
  const cells = lines.slice(0, lines.indexOf('')).map((line) => line.trim().split(/ {2,}/));
  assert.equal(cells, [
    ['class u1 below site'],
    ['down', 'up'],
    ['rate', '1.5 kbit', '0 bit'],
    ['bytes', '1100', '0'],
    ['packets', '11', '0'],
    ['drops', '9', '0'],
    ['at its limit', '2', '0'],
    ['by CoDel', '3', '0'],
    ['out of frames', '4', '0'],
    ['marks', '12', '0'],
    ['backlog, bytes', '13', '0'],
    ['backlog, packets', '14', '0'],
    ['sojourn p50', '0.50 ms', '-'],
    ['sojourn p99', '123 ms', '-'],
    ['sparse flows', '18', '0'],
    ['bulk flows', '19', '0'],
    ['lends', '15', '0'],
    ['borrows', '16', '0'],
    ['overlimits', '17', '0'],
  ]);
});

test('a queue counts on when its worker is replaced, and tells what died with it', () => {
  const meter = new QueueMeter(3);
  const life = (rx: number, tx: number, busyNs: number, dropped = 0): void => {
    const counters = new Float64Array(Counter.COUNT);
    const words = new Float64Array(ThreadWord.COUNT);
    counters[Counter.RX_PACKETS] = rx;
    counters[Counter.TX_PACKETS] = tx;
    counters[Counter.DROP_QUEUE] = 1;
    counters[Counter.DROP_CODEL] = dropped;
    counters[Counter.DROP_EVICTED] = 2 * dropped;
    counters[Counter.MARKS] = 4;
    words[ThreadWord.BUSY_NS] = busyNs;
    words[ThreadWord.SOCKETS + 8] = 2;
    meter.addWorker(counters, words);
  };
  meter.sample(1e9);
  life(10, 7, 0.25e9);
  meter.sample(2e9);
  assert.is(meter.report('running', 0).busy, 0.25);
  meter.removeWorker();
  assert.is(meter.report('waiting', 0).drops.restart, 2);
  life(13, 6, 0, 2);
  meter.removeWorker();
  const report = meter.report('waiting', 1);
  assert.equal([report.queue, report.rxPackets, report.txPackets, report.busy], [3, 23, 13, 0]);
  // Of the 13 of the second life 6 were sent and 7 dropped, none was lost.
  assert.equal(report.drops, {
    parse: 0,
    queue: 2,
    codel: 2,
    evicted: 4,
    txFull: 0,
    unknown: 0,
    restart: 2,
  });
  assert.is(droppedPackets(report.drops), 10);
  assert.is(report.marks, 8);
  assert.is(report.sockets.outside.rxDropped, 4);
});

test.run();
