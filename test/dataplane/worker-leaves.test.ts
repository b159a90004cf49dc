/** What a worker does with its leaves' queues: frames that run low, queues that are exchanged, marks that are washed. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseClassTree } from '../../classes/validate.js';
import { Counter } from '../../src/dataplane/counters.js';
import { Direction } from '../../src/shm/tree-layout.js';
import { type SentFrame, WorkerRig } from './worker-rig.js';

const test = suite('leaves of a worker');
const MS = 1_000_000;
const FAT = '10.0.0.1';
const THIN = '10.0.0.2';

function flow(dst: string, sport = 1000, dscp = 0, ecn = 0) {
  return { src: '192.0.2.1', dst, sport, dscp, ecn };
}

function treeWith(fat: object, more: object = {}) {
  const rate = { down: { rate: '1mbit' }, up: { rate: '1mbit' } };
  return {
    ...more,
    classes: [
      { id: 'fat', match: FAT, ...rate, ...fat },
      { id: 'thin', match: THIN, down: { rate: '10mbit' }, up: { rate: '10mbit' } },
    ],
  };
}

const numbers = (sent: readonly SentFrame[]): number[] => sent.map(({ number }) => number);

for (const leaf of ['pfifo', 'fq_codel']) {
  test(`${leaf}: when frames run low the flood loses its oldest packets, and nobody else any`, () => {
    const rig = new WorkerRig(treeWith({ leaf, limit: 100_000 }), { frames: 512, ringSize: 64 });
    let floods = 0;
    let refused = 0;
    const sent: SentFrame[] = [];
    for (let round = 0; round < 100; round++) {
      for (let i = 0; i < 30; i++) if (rig.receive(floods + 1, 1000, flow(FAT))) floods++;
      if (!rig.receive(1_000_000 + round, 200, flow(THIN))) refused++;
      sent.push(...rig.step(MS));
    }
    sent.push(...rig.run(20 * MS));
    const thin = rig.statsOf('thin', Direction.DOWN);
    const fat = rig.statsOf('fat', Direction.DOWN);
    assert.is(refused, 0, 'there is always a frame to receive into');
    assert.equal([thin.drops, thin.packets], [0, 100]);
    assert.ok(fat.evictedDrops > 2000, `${fat.evictedDrops} evicted`);
    assert.is(fat.drops, fat.evictedDrops);
    assert.is(rig.counter(Counter.DROP_EVICTED), fat.evictedDrops);
    rig.checkConservation();
    // The newest are still there: what leaves from now on ends with the very last one.
    const rest = numbers(rig.run(10_000 * MS, 5 * MS));
    assert.is(rest.at(-1), floods);
    assert.equal(
      rest,
      [...rest].sort((a, b) => a - b),
      'in order',
    );
    rig.checkConservation();
  });
}

test('of a leaf that has most frames the fattest flow loses, and not the thin one beside it', () => {
  const rig = new WorkerRig(treeWith({ limit: 100_000 }), { frames: 512, ringSize: 64 });
  const sent: SentFrame[] = [];
  for (let round = 0; round < 60; round++) {
    for (let i = 0; i < 30; i++) rig.receive(round * 100 + i, 1000, flow(FAT, 1000));
    rig.receive(round * 100 + 99, 100, flow(FAT, 2000));
    sent.push(...rig.step(10 * MS));
  }
  sent.push(...rig.run(5_000 * MS, 5 * MS));
  const thin = numbers(sent).filter((number) => number % 100 === 99);
  assert.equal(
    thin,
    Array.from({ length: 60 }, (_, round) => round * 100 + 99),
  );
  rig.checkConservation();
});

test('frames that lie in rings are no reason to drop what is queued', () => {
  // Beside the fill rings there is no frame left as soon as some packets wait.
  const rig = new WorkerRig(treeWith({}), { frames: 600, ringSize: 256 });
  for (let i = 0; i < 100; i++) rig.receive(i, 1000, flow(FAT));
  rig.run(50 * MS);
  assert.is(rig.counter(Counter.DROP_EVICTED), 0);
  assert.ok(rig.worker.queuedPackets > 80);
});

test('packets keep their order within a flow while the queue is exchanged for another one', () => {
  const rig = new WorkerRig(treeWith({ leaf: 'pfifo' }));
  const sent: SentFrame[] = [];
  let next = 0;
  const offer = (count: number): void => {
    for (let i = 0; i < count; i++, next++) rig.receive(next, 500, flow(FAT, 1000 + (next % 5)));
    sent.push(...rig.step(MS));
  };
  const queues = [
    { leaf: 'fq_codel' },
    { leaf: 'fq_codel', flows: 3 },
    { leaf: 'codel' },
    { leaf: 'fq_codel', diffserv: 'diffserv4', isolate: 'dual' },
    { leaf: 'fq_codel', isolate: 'host' },
    { leaf: 'pfifo' },
  ];
  offer(60);
  for (const queue of queues) {
    const before = rig.worker.queuedPackets;
    // A target that is never reached: nothing but the exchange is to be seen.
    const settings = queue.leaf === 'pfifo' ? queue : { ...queue, target: '30s', interval: '60s' };
    rig.publish(treeWith(settings));
    assert.ok(before - rig.worker.queuedPackets <= 1, JSON.stringify(queue));
    offer(20);
    rig.checkConservation();
  }
  sent.push(...rig.run(10_000 * MS, 5 * MS));
  assert.is(sent.length, next, 'none lost');
  for (let at = 0; at < 5; at++) {
    const ofFlow = numbers(sent).filter((number) => number % 5 === at);
    assert.equal(
      ofFlow,
      [...ofFlow].sort((a, b) => a - b),
      `flow ${at}`,
    );
  }
});

test('a smaller limit of the new queue drops the rest, counted, and never the last packet', () => {
  const rig = new WorkerRig(treeWith({ leaf: 'fq_codel' }));
  for (let i = 0; i < 50; i++) rig.receive(i, 500, flow(FAT));
  rig.step(MS);
  const before = rig.worker.queuedPackets;
  rig.publish(treeWith({ leaf: 'pfifo', limit: 1 }));
  assert.is(rig.worker.queuedPackets, 1);
  assert.is(rig.statsOf('fat', Direction.DOWN).drops, before - 1);
  rig.checkConservation();
});

test('a new queue that has no room for any packet leaves an idle class, and its neighbours send', () => {
  const rig = new WorkerRig(treeWith({ leaf: 'fq_codel' }));
  for (let i = 0; i < 50; i++) rig.receive(i, 1400, flow(FAT));
  rig.step(MS);
  const held = rig.worker.queuedPackets;
  // No file may say so, but what is published must not be able to stop a worker.
  const { tree } = parseClassTree({ version: 1, ...treeWith({ leaf: 'pfifo' }) });
  const classes = tree!.classes.map((spec) =>
    spec.id === 'fat' ? { ...spec, queue: { leaf: 'pfifo' as const, limitBytes: 1000 } } : spec,
  );
  rig.publisher.publish({ ...tree!, classes }, rig.nowNs);
  rig.step(MS);
  const { drops, backlogPackets, backlogBytes } = rig.statsOf('fat', Direction.DOWN);
  assert.equal([backlogPackets, backlogBytes], [0, 0]);
  assert.ok(drops >= held - 1, `${drops} of ${held}`);
  for (let i = 0; i < 100; i++) rig.receive(i, 200, flow(THIN));
  assert.is(rig.run(200 * MS, MS).length, 100);
  rig.checkConservation();
  // And it works again with a queue that has room.
  rig.publish(treeWith({ leaf: 'fq_codel' }));
  for (let i = 0; i < 10; i++) rig.receive(i, 1000, flow(FAT));
  assert.is(rig.run(2_000 * MS, MS).length, 10);
  rig.checkConservation();
});

test('frames that hundreds of classes hold together are given up by the fatter half first, in few looks', () => {
  const USERS = 600;
  const address = (i: number): string => `10.1.${i >> 8}.${i & 255}`;
  const classes = Array.from({ length: USERS }, (_, i) => ({
    id: `u${i}`,
    match: address(i),
    limit: 1000,
    down: { rate: '8kbit' },
  }));
  const rig = new WorkerRig({ classes }, { frames: 4096, ringSize: 256, capacityClasses: USERS + 1 });
  let next = 0;
  for (let round = 0; round < 40; round++) {
    // Every third has three times as many.
    for (let i = 0; i < 250; i++, next++) {
      const user = round % 2 === 0 ? (next * 3) % USERS : next % USERS;
      rig.receive(next, 300, flow(address(user), 1000 + (next % 7)));
    }
    rig.step(MS);
  }
  const backlogs = classes.map(({ id }) => rig.statsOf(id, Direction.DOWN).backlogPackets);
  assert.ok(rig.counter(Counter.DROP_EVICTED) > 5000);
  assert.ok(Math.min(...backlogs) >= 1, 'nobody has lost everything');
  assert.ok(
    Math.max(...backlogs) <= 4 * (rig.worker.queuedPackets / USERS),
    `${Math.max(...backlogs)} at most`,
  );
  rig.checkConservation();
});

test('what the tree says of queues reaches the classes that say nothing themselves', () => {
  const rig = new WorkerRig(treeWith({}, { limit: 5, leaf: 'pfifo' }));
  for (let i = 0; i < 50; i++) rig.receive(i, 500, flow(FAT));
  rig.step(MS);
  assert.is(rig.statsOf('fat', Direction.DOWN).backlogPackets, 5);
  rig.publish(treeWith({}, { limit: 9, leaf: 'pfifo' }));
  for (let i = 0; i < 50; i++) rig.receive(i, 500, flow(FAT));
  rig.step(MS);
  assert.is(rig.statsOf('fat', Direction.DOWN).backlogPackets, 9);
  rig.publish(treeWith({ limit: 7 }, { limit: 9, leaf: 'pfifo' }));
  rig.run(2_000 * MS, MS);
  for (let i = 0; i < 50; i++) rig.receive(i, 500, flow(FAT));
  rig.step(MS);
  assert.is(rig.statsOf('fat', Direction.DOWN).backlogPackets, 7);
});

for (const leaf of ['pfifo', 'fq_codel'])
  test(`${leaf}: wash clears the DSCP of what passes at once as of what waits, and nothing else`, () => {
    const rig = new WorkerRig(treeWith({ leaf, wash: true }));
    const plain = new WorkerRig(treeWith({ leaf }));
    const sent: SentFrame[] = [];
    const expected: SentFrame[] = [];
    for (let i = 0; i < 20; i++) {
      rig.receive(i, 500, flow(FAT, 1000, 46, 2));
      plain.receive(i, 500, flow(FAT, 1000, 0, 2));
      sent.push(...rig.step(MS));
      expected.push(...plain.step(MS));
    }
    sent.push(...rig.run(500 * MS, MS));
    expected.push(...plain.run(500 * MS, MS));
    assert.is(sent.length, 20);
    for (const [i, { bytes }] of expected.entries()) assert.equal(sent[i]!.bytes, bytes);
  });

test('a packet of a tin below its threshold overtakes the best-effort ones that wait', () => {
  const rig = new WorkerRig(treeWith({ diffserv: 'diffserv4' }));
  for (let i = 0; i < 40; i++) rig.receive(i, 1000, flow(FAT));
  rig.step(MS);
  rig.receive(1000, 200, flow(FAT, 2000, 46));
  const sent = numbers(rig.run(1_000 * MS, MS));
  assert.ok(sent.indexOf(1000) <= 1, `place ${sent.indexOf(1000)}`);
});

test('with ECN marks leave in place of drops, and say so in the frame', () => {
  for (const ecn of [0, 1]) {
    const rig = new WorkerRig(treeWith({ leaf: 'fq_codel' }));
    let marked = 0;
    let next = 0;
    // Twice the rate for three seconds.
    for (let ms = 0; ms < 3000; ms += 4) {
      rig.receive(next++, 1000, flow(FAT, 1000, 0, ecn));
      for (const { bytes } of rig.step(4 * MS)) if ((bytes[15]! & 3) === 3) marked++;
    }
    const { marks, codelDrops } = rig.statsOf('fat', Direction.DOWN);
    assert.ok((ecn === 1 ? marks : codelDrops) > 5, `${marks} marks, ${codelDrops} drops`);
    assert.is(ecn === 1 ? codelDrops : marks, 0);
    // One may be marked and still be at the head.
    assert.ok(marks - marked <= 1 && marked <= marks, `${marks} marks, ${marked} on the wire`);
    assert.is(rig.counter(Counter.MARKS), marks);
    assert.is(rig.counter(Counter.DROP_CODEL), codelDrops);
    rig.checkConservation();
  }
});

test.run();
