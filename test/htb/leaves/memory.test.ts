/** What fair leaves cost a worker: nothing while they are idle, and a bounded amount when all of them have packets. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseClassTree } from '../../../classes/validate.js';
import { Publisher } from '../../../src/control/publisher.js';
import { applyChanges } from '../../../src/dataplane/adopt.js';
import { ChangeApplier } from '../../../src/htb/changes.js';
import { Htb } from '../../../src/htb/htb.js';
import { PacketPool } from '../../../src/htb/packet-pool.js';
import { createSharedShaper, EpochQueue } from '../../../src/shm/shared-shaper.js';

const test = suite('memory of fair leaves');
const LEAVES = 24_000;
const FRAMES = 65_536;
const WORKER_MAX_BYTES = 64 * 2 ** 20;
const SECOND_NS = 1_000_000_000;

test('24,000 classes in both directions stay below 64 MiB a worker, and hold no flow when they are idle', () => {
  const plan = { rate: '10mbit', ceil: '20mbit' };
  const users = Array.from({ length: LEAVES }, (_, i) => ({
    id: `u${i}`,
    parent: 'up',
    down: plan,
    up: plan,
  }));
  const wide = { rate: '4tbit' };
  const classes = [{ id: 'up', down: wide, up: wide }, ...users];
  const { tree } = parseClassTree({ version: 1, diffserv: 'diffserv4', isolate: 'dual', classes });
  const shared = createSharedShaper(LEAVES + 1, 1);
  const epochs = new EpochQueue();
  new Publisher(shared, { seed: 1, deliver: (epoch) => epochs.push(epoch) }).publish(tree!, 0);
  const { changes } = epochs.take()!;
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  const pool = new PacketPool(FRAMES);
  const trees = [new Htb(shared.trees[0], 0, pool), new Htb(shared.trees[1], 0, pool)] as const;
  applyChanges(changes, [new ChangeApplier(trees[0]), new ChangeApplier(trees[1])]);
  const idleBytes = process.memoryUsage.rss() - before;
  assert.is(pool.flows.used, 0);
  let packet = 0;
  for (const htb of trees) {
    htb.beginStep(SECOND_NS);
    for (let index = 1; index <= LEAVES; index++) htb.enqueue(index, packet++, 1500, index << 16, index);
  }
  assert.is(pool.flows.used, 2 * LEAVES);
  const fullBytes = process.memoryUsage.rss() - before;
  for (const htb of trees) {
    htb.beginStep(2 * SECOND_NS);
    for (let left = LEAVES; left > 0; left--) assert.ok(htb.dequeue() >= 0);
    assert.is(htb.backlogPackets, 0);
  }
  assert.is(pool.flows.used, 0);
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  console.log(`${mib(idleBytes)} MiB idle, ${mib(fullBytes)} MiB with a packet in every leaf`);
  assert.ok(fullBytes < WORKER_MAX_BYTES, `${mib(fullBytes)} MiB`);
});

test.run();
