/** Shapes against a table of keys: equal numbers share one, and none is used again while a worker may see it. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { queueSpecOf } from '../../classes/queue.js';
import { type ShapeSpec, ShapeTable } from '../../src/control/shapes.js';
import { createSharedTree } from '../../src/shm/tree-layout.js';
import { below, seededRandom } from '../classes/random.js';

const test = suite('shapes');
const CLASSES = 64;
const ROUNDS = 5000;
const ADOPTION_EVERY = 3;
const QUEUES = [null, ...[100, 200].map((limitPackets) => queueSpecOf({}, { limitPackets }))];

test('taken and dropped at random', () => {
  const random = seededRandom('shapes');
  const table = new ShapeTable(createSharedTree(CLASSES, 1));
  // Equal directions that are two objects, as those of two trees are.
  const direction = (rateBps: number): ShapeSpec['direction'] => ({
    ...{ rateBps, ceilBps: 1e8, burstBytes: 3200, cburstBytes: 3200, quantumBytes: 1500, prio: 0 },
  });
  const directions = [null, ...[1e6, 2e6, 1e6, 3e6].map(direction)];
  const specs = directions.flatMap((one) =>
    QUEUES.flatMap((queue) =>
      [true, false].map((hasClaim) => ({
        ...{ direction: one, queue, hasClaim, isInner: queue === null, isRoot: false },
      })),
    ),
  );
  const users = new Map<string, number>();
  const shapeOf = new Map<string, number>();
  /** Shape → the epoch that gave it up. */
  const released = new Map<number, number>();
  const held: { key: string; shape: number }[] = [];
  for (let epoch = 1; epoch <= ROUNDS; epoch++) {
    if (held.length === 0 || (held.length < CLASSES && random() < 0.5)) {
      const spec = specs[below(random, specs.length)]!;
      const key = JSON.stringify(spec);
      const shape = table.take(spec);
      if ((users.get(key) ?? 0) > 0) assert.is(shape, shapeOf.get(key), 'equal numbers share a shape');
      else {
        assert.not.ok([...shapeOf.values()].includes(shape), 'another has it');
        assert.not.ok(released.has(shape), 'a worker may still see it');
      }
      users.set(key, (users.get(key) ?? 0) + 1);
      shapeOf.set(key, shape);
      held.push({ key, shape });
    } else {
      const [{ key, shape }] = held.splice(below(random, held.length), 1) as [(typeof held)[number]];
      table.drop(shape, epoch);
      users.set(key, users.get(key)! - 1);
      if (users.get(key) === 0) {
        shapeOf.delete(key);
        released.set(shape, epoch);
      }
    }
    if (epoch % ADOPTION_EVERY !== 0) continue;
    table.reclaim(epoch - ADOPTION_EVERY);
    for (const [shape, since] of released) if (since <= epoch - ADOPTION_EVERY) released.delete(shape);
  }
});

test.run();
