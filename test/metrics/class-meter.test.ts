/** What classes have counted in all, while workers die and come and classes change their places. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Field, Flag } from '../../src/htb/layout.js';
import { Sojourn, sojournBucket } from '../../src/htb/leaves/sojourn.js';
import { TreeMemory } from '../../src/htb/memory.js';
import { ClassMeter, type DirectionReport, type MeteredClass } from '../../src/metrics/class-meter.js';
import { adoptedWord, EpochWord } from '../../src/shm/shared-shaper.js';

const test = suite('class meter');
const QUEUES = 2;

/** What a worker writes into the record of a leaf. */
interface Counted {
  packets?: number;
  drops?: number;
  codel?: number;
  evicted?: number;
  marks?: number;
  backlog?: number;
  sparse?: number;
  bulk?: number;
  /** Milliseconds that packets were queued. */
  sojournsMs?: readonly number[];
}

/** A worker's memory of both trees, written as the worker would. */
class FakeWorker {
  readonly queue: number;
  readonly trees: readonly [TreeMemory, TreeMemory];
  sent = 0;

  constructor(queue: number) {
    this.queue = queue;
    this.trees = [
      new TreeMemory({ capacityClasses: 8 } as never, queue),
      new TreeMemory({ capacityClasses: 8 } as never, queue),
    ];
  }

  count(index: number, counted: Counted, d: 0 | 1 = 0): void {
    const { words, doubles, sojournBase } = this.trees[d];
    const record = TreeMemory.recordOf(index);
    const at = record >> 1;
    doubles[at + Field.D_PACKETS]! += counted.packets ?? 0;
    doubles[at + Field.D_BYTES]! += (counted.packets ?? 0) * 100;
    doubles[at + Field.D_DROPS]! += counted.drops ?? 0;
    doubles[at + Field.D_CODEL_DROPS]! += counted.codel ?? 0;
    doubles[at + Field.D_EVICTED]! += counted.evicted ?? 0;
    doubles[at + Field.D_MARKS]! += counted.marks ?? 0;
    words[record + Field.BACKLOG_PACKETS]! += counted.backlog ?? 0;
    words[record + Field.FLOW_COUNTS] = (counted.sparse ?? 0) | ((counted.bulk ?? 0) << 16);
    for (const ms of counted.sojournsMs ?? [])
      doubles[sojournBase + (index << Sojourn.SHIFT) + sojournBucket(ms * 1000)]! += 1;
    this.sent += counted.packets ?? 0;
  }

  /** An inner class counts what passes through it. */
  countInner(index: number, packets: number): void {
    const { words, doubles } = this.trees[0];
    const record = TreeMemory.recordOf(index);
    words[record + Field.FLAGS]! |= Flag.IS_INNER;
    doubles[(record >> 1) + Field.D_PACKETS]! += packets;
  }
}

class World {
  readonly epochWords = new Int32Array(EpochWord.ADOPTED + QUEUES * EpochWord.ADOPTED_STRIDE);
  readonly meter = new ClassMeter(this.epochWords, true);

  worker(queue: number): FakeWorker {
    const worker = new FakeWorker(queue);
    const [down, up] = worker.trees;
    this.meter.addWorker({ queue, sentPackets: () => worker.sent, trees: [down, up] });
    return worker;
  }

  arrive(id: string, index: number, epoch: number, isInner = false): MeteredClass {
    const metered = { index, isInner, spec: { id, parent: null } };
    this.meter.onArrival(metered, epoch);
    for (let queue = 0; queue < QUEUES; queue++) this.epochWords[adoptedWord(queue)] = epoch;
    return metered;
  }

  down(id: string): DirectionReport {
    return this.meter.report(id)!.down;
  }
}

/** Within what a bucket of the histogram is wide. */
function nearMs(value: number | null, expectedMs: number): void {
  assert.ok(
    value !== null && value >= expectedMs / 1.5 && value <= expectedMs * 1.5,
    `${value} ms instead of ${expectedMs}`,
  );
}

test('drops by cause, marks, flows and sojourns are those of all workers', () => {
  const world = new World();
  world.arrive('u', 3, 1);
  const [a, b] = [world.worker(0), world.worker(1)];
  a.count(3, { packets: 60, drops: 9, codel: 4, evicted: 2, marks: 5, backlog: 3, sparse: 2, bulk: 1 });
  b.count(3, { packets: 2, drops: 1, codel: 1, marks: 1, sparse: 1, bulk: 6, sojournsMs: [40, 40] });
  b.count(4, { packets: 50, sojournsMs: [900] });
  const { drops, dropsBy, marks, flows, sojournMs, backlogPackets, lends } = world.down('u');
  assert.equal([drops, marks, backlogPackets, lends], [10, 6, 3, 62]);
  assert.equal(dropsBy, { limit: 3, codel: 5, evicted: 2 });
  assert.equal(flows, { sparse: 3, bulk: 7 });
  assert.is(sojournMs.p50, 0, 'most were never queued');
  nearMs(sojournMs.p99, 40);
  assert.equal(world.meter.report('u')!.up.sojournMs, { p50: null, p99: null });
});

test('a report has these keys and no others', () => {
  const world = new World();
  world.arrive('u', 0, 1);
  const keys = 'bytes packets drops marks backlogBytes backlogPackets lends borrows overlimits rateBps';
  assert.equal(Object.keys(world.down('u')), [...keys.split(' '), 'dropsBy', 'sojournMs', 'flows']);
});

test('what a dead worker has counted stays, its backlog and flows do not', () => {
  const world = new World();
  world.arrive('u', 3, 1);
  for (let life = 1; life <= 3; life++) {
    const worker = world.worker(0);
    worker.count(3, {
      ...{ packets: 10, drops: 5, codel: 2, evicted: 1, marks: 4, backlog: 7, sparse: 1, bulk: 2 },
      sojournsMs: new Array<number>(10).fill(100 * life),
    });
    assert.equal(world.down('u').flows, { sparse: 1, bulk: 2 });
    assert.is(world.meter.removeWorker(0), 7, 'what the worker held');
    const report = world.down('u');
    assert.equal([report.packets, report.drops, report.marks], [10 * life, 5 * life, 4 * life]);
    assert.equal(report.dropsBy, { limit: 2 * life, codel: 2 * life, evicted: life });
    assert.equal([report.backlogPackets, report.flows], [0, { sparse: 0, bulk: 0 }]);
  }
  nearMs(world.down('u').sojournMs.p50, 200);
  nearMs(world.down('u').sojournMs.p99, 300);
});

test('asking changes nothing, and one class is not mixed up with another', () => {
  const world = new World();
  world.arrive('u', 0, 1);
  world.arrive('idle', 1, 1);
  world.arrive('v', 2, 1);
  world.worker(0).count(0, { packets: 4, sojournsMs: [10, 10, 10, 10] });
  world.meter.removeWorker(0);
  const worker = world.worker(0);
  worker.count(0, { packets: 1, sojournsMs: [10] });
  worker.count(2, { packets: 2, marks: 1, sojournsMs: [500, 500] });
  const first = JSON.stringify([...world.meter.reports()]);
  assert.is(JSON.stringify([...world.meter.reports()]), first);
  assert.equal(world.down('idle').sojournMs, { p50: null, p99: null });
  nearMs(world.down('u').sojournMs.p99, 10);
  nearMs(world.down('v').sojournMs.p50, 500);
});

test('a class that moves to another index keeps what it had counted, and counts what still drains', () => {
  const world = new World();
  const old = world.arrive('u', 3, 1);
  const worker = world.worker(0);
  worker.count(3, { packets: 10, drops: 2, codel: 2, sojournsMs: new Array<number>(10).fill(20) });
  world.meter.onDeparture(old);
  world.arrive('u', 5, 2);
  worker.count(5, { packets: 1, marks: 1, sparse: 1, sojournsMs: [20] });
  worker.count(3, { packets: 9, drops: 1, evicted: 1, bulk: 1, sojournsMs: new Array<number>(9).fill(200) });
  const both = world.down('u');
  assert.equal([both.packets, both.drops, both.marks], [20, 3, 1]);
  assert.equal(
    [both.dropsBy, both.flows],
    [
      { limit: 0, codel: 2, evicted: 1 },
      { sparse: 1, bulk: 1 },
    ],
  );
  nearMs(both.sojournMs.p99, 200);
  world.meter.onRelease(old);
  // The index is another class's from now on.
  worker.count(3, { packets: 1000, drops: 1000, sojournsMs: [0.1, 0.1] });
  const after = world.down('u');
  assert.equal([after.packets, after.drops, after.dropsBy], [20, 3, both.dropsBy]);
  assert.equal([after.flows, after.sojournMs], [{ sparse: 1, bulk: 0 }, both.sojournMs]);
});

test('an inner class has no sojourns, and its packets are none that passed when it is a leaf again', () => {
  const world = new World();
  const worker = world.worker(0);
  const leaf = world.arrive('u', 0, 1);
  worker.count(0, { packets: 4, sojournsMs: [50, 50, 50, 50] });
  world.meter.onDeparture(leaf);
  const inner = world.arrive('u', 1, 2, true);
  worker.countInner(1, 10_000);
  world.meter.onRelease(leaf);
  assert.is(world.down('u').packets, 10_004);
  assert.equal(world.down('u').sojournMs, { p50: null, p99: null });
  world.meter.onDeparture(inner);
  world.arrive('u', 2, 3);
  nearMs(world.down('u').sojournMs.p50, 50);
  world.meter.onRelease(inner);
  nearMs(world.down('u').sojournMs.p50, 50);
  worker.count(2, { packets: 5 });
  assert.is(world.down('u').sojournMs.p50, 0, 'five that passed and four that did not');
  assert.is(world.down('u').packets, 10_009);
});

test('what an inner class lent is no drop when its worker has let it go', () => {
  const world = new World();
  const worker = world.worker(0);
  const inner = world.arrive('u', 1, 1, true);
  worker.countInner(1, 10);
  const { words, doubles } = worker.trees[0];
  const record = TreeMemory.recordOf(1);
  // Lends stand where a leaf counts what CoDel has dropped.
  doubles[(record >> 1) + Field.D_LENDS] = 7;
  words[record + Field.LEDGER_PACKETS] = 9;
  world.meter.onDeparture(inner);
  world.arrive('u', 2, 2);
  words[record + Field.FLAGS] = 0;
  world.meter.onRelease(inner);
  const { lends, drops, dropsBy, backlogBytes } = world.down('u');
  assert.equal([lends, drops, dropsBy, backlogBytes], [7, 0, { limit: 0, codel: 0, evicted: 0 }, 0]);
});

test('a bucket counts on beyond 2^32', () => {
  const world = new World();
  world.arrive('u', 0, 1);
  const worker = world.worker(0);
  worker.count(0, { packets: 2 ** 40 });
  const { doubles, sojournBase } = worker.trees[0];
  doubles[sojournBase + sojournBucket(64_000)] = 2 ** 40;
  nearMs(world.down('u').sojournMs.p50, 64);
});

test.run();
