import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Counter } from '../../src/dataplane/counters.js';
import { ThreadWord } from '../../src/dataplane/thread-contract.js';
import { emptyStats } from '../../src/htb/memory.js';
import type { ClassReport } from '../../src/metrics/class-meter.js';
import { QueueMeter } from '../../src/metrics/queue-meter.js';
import { formatStats, type StatsSource, statsChunks } from '../../src/metrics/report.js';

const test = suite('stats');

function classReport(id: string, parent: string | null, packets = 0, rateBps = 0): ClassReport {
  const direction = { ...emptyStats(), packets, bytes: packets * 100, marks: 0, rateBps };
  return { id, parent, down: direction, up: { ...direction, packets: 0, bytes: 0, rateBps: 0 } };
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
  const classes = [classReport('u1', 'site', 1)];
  assert.match(formatStats({ ...source(classes), classes }), /\nu1 +down /);
});

test('a queue counts on when its worker is replaced, and tells what died with it', () => {
  const meter = new QueueMeter(3);
  const life = (rx: number, tx: number, busyNs: number): void => {
    const counters = new Float64Array(Counter.COUNT);
    const words = new Float64Array(ThreadWord.COUNT);
    counters[Counter.RX_PACKETS] = rx;
    counters[Counter.TX_PACKETS] = tx;
    counters[Counter.DROP_QUEUE] = 1;
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
  life(5, 4, 0);
  meter.removeWorker();
  const report = meter.report('waiting', 1);
  assert.equal([report.queue, report.rxPackets, report.txPackets, report.busy], [3, 15, 11, 0]);
  assert.equal(report.drops, { parse: 0, queue: 2, txFull: 0, unknown: 0, restart: 2 });
  assert.is(report.sockets.outside.rxDropped, 4);
});

test.run();
