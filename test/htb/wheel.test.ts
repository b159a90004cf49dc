/**
 * The timing wheel against a list of nodes and their due times.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Field } from '../../src/htb/layout.js';
import { TimingWheel, tickOf } from '../../src/htb/wheel.js';
import { makeRng, type Rng } from '../oracle/random-tree.js';

const seed = Number(process.env.WEIR_SEED ?? 20240302);
console.log(`wheel: seed ${seed}`);

const US = 1e3;
const MS = 1e6;
const SECOND = 1e9;
/** Widths of the slots at the three levels, and how far ahead each level reaches. */
const SLOT_NS = 4096;
const SPANS_NS = [SLOT_NS, SLOT_NS * 2 ** 14, SLOT_NS * 2 ** 20] as const;
const HORIZON_NS = SLOT_NS * 63 * 2 ** 20;
const NODES = 300;

const nodeOf = (at: number): number => (at + 1) * Field.CLASS_STRIDE;
const wheelOf = (nodes: number): TimingWheel =>
  new TimingWheel(new Int32Array((nodes + 2) * Field.CLASS_STRIDE));

/** The earliest time at which a node may come out that was inserted at `insertedNs`: when its slot begins. */
function earliestNs(dueNs: number, insertedNs: number): number {
  const tick = Math.floor(insertedNs / SLOT_NS);
  const aheadTicks = Math.floor(dueNs / SLOT_NS) - tick;
  if (aheadTicks <= 0) return -Infinity;
  if (aheadTicks >= HORIZON_NS / SLOT_NS)
    return Math.floor((tick * SLOT_NS + HORIZON_NS) / SPANS_NS[2]) * SPANS_NS[2];
  const windowTicks = aheadTicks + (tick & (2 ** 14 - 1));
  const spanNs = aheadTicks < 2 ** 14 ? SPANS_NS[0] : windowTicks < 2 ** 20 ? SPANS_NS[1] : SPANS_NS[2];
  return Math.floor(dueNs / spanNs) * spanNs;
}

function popAll(wheel: TimingWheel): number[] {
  const nodes: number[] = [];
  for (let node = wheel.pop(); node !== 0; node = wheel.pop()) nodes.push(node);
  return nodes.sort((a, b) => a - b);
}

/** Distances of all sizes, from nothing to beyond the horizon. */
const randomDelay = (rng: Rng): number =>
  rng.chance(0.05) ? 0 : rng.logInt(1, rng.chance(0.02) ? 200 * SECOND : 2 * SECOND) * rng.next();

const wheelSuite = suite('htb: timing wheel');

wheelSuite(
  'gives each node at the first advance at or after its due time, and early by its slot at most',
  () => {
    let released = 0;
    for (let round = 0; round < 40; round++) {
      const rng = makeRng(seed + round);
      const wheel = wheelOf(NODES);
      const waiting = new Map<number, { dueNs: number; insertedNs: number }>();
      let nowNs = rng.chance(0.5) ? 0 : rng.next() * 1000 * SECOND;
      wheel.advance(tickOf(nowNs));
      for (let step = 0; step < 400; step++) {
        for (let left = rng.int(8); left > 0; left--) {
          const node = nodeOf(rng.int(NODES));
          if (waiting.has(node)) {
            wheel.remove(node);
            waiting.delete(node);
          } else {
            const dueNs = nowNs + randomDelay(rng) - (rng.chance(0.05) ? 10 * US : 0);
            wheel.insert(node, tickOf(dueNs));
            waiting.set(node, { dueNs, insertedNs: nowNs });
          }
        }
        assert.is(wheel.count, waiting.size);
        const firstNs = Math.min(...[...waiting.values()].map(({ dueNs }) => dueNs), Infinity);
        const saidNs = wheel.nextDueNs(nowNs);
        const where = `WEIR_SEED=${seed + round}, step ${step}`;
        assert.ok(saidNs <= Math.max(firstNs, nowNs), `${where}: due at ${firstNs}, said ${saidNs}`);
        assert.is(saidNs === Infinity, waiting.size === 0, where);
        // Often exactly to what the wheel says, or to the due time itself.
        if (rng.chance(0.3) && firstNs > nowNs && firstNs < Infinity) nowNs = firstNs;
        else if (rng.chance(0.3) && saidNs > nowNs && saidNs < Infinity) nowNs = saidNs;
        else nowNs += randomDelay(rng);
        wheel.advance(tickOf(nowNs));
        for (const node of popAll(wheel)) {
          const { dueNs, insertedNs } = waiting.get(node)!;
          assert.ok(nowNs >= earliestNs(dueNs, insertedNs), `${where}: ${dueNs - nowNs} ns early`);
          waiting.delete(node);
          released++;
        }
        for (const { dueNs } of waiting.values())
          assert.ok(dueNs > nowNs, `${where}: late by ${nowNs - dueNs} ns`);
      }
    }
    console.log(`wheel: ${released} nodes released`);
  },
);

wheelSuite('a node put back whenever it is early comes out within a slot of its time', () => {
  const rng = makeRng(seed);
  const node = nodeOf(0);
  for (let at = 0; at < 200; at++) {
    const wheel = wheelOf(1);
    const dueNs = randomDelay(rng) + rng.next() * 100 * MS;
    wheel.insert(node, tickOf(dueNs));
    let looks = 0;
    let nowNs = 0;
    while (nowNs + SLOT_NS <= dueNs) {
      nowNs = wheel.nextDueNs(nowNs);
      wheel.advance(tickOf(nowNs));
      if (wheel.pop() === node) wheel.insert(node, tickOf(dueNs));
      looks++;
      assert.ok(looks <= 20, `${looks} looks for ${dueNs} ns`);
    }
    assert.ok(nowNs <= dueNs);
  }
});

wheelSuite('a node put back while its slot is handed out comes out neither at once nor a turn later', () => {
  const node = nodeOf(0);
  const window = 2 ** 14;
  const turn = 2 ** 20;
  const near = [-2, -1, 0, 1, 2];
  const starts = [turn, 2 * turn - window, 63 * turn, 64 * turn].flatMap((at) => near.map((by) => at + by));
  const aheads = [window, 255 * window, turn - window, turn, 63 * turn].flatMap((at) =>
    near.map((by) => at + by),
  );
  for (const start of starts) {
    for (const ahead of aheads) {
      const wheel = wheelOf(1);
      const where = `inserted at tick ${start} for ${ahead} later`;
      wheel.advance(start - window - 10);
      wheel.insert(node, start);
      const due = start + ahead;
      let nowTick = start;
      for (let looks = 0, isOut = false; !isOut; looks++) {
        wheel.advance(nowTick);
        for (let popped = wheel.pop(); popped !== 0; popped = wheel.pop()) {
          assert.ok(looks++ < 20, `${where}: handed out without end`);
          if (nowTick >= due) isOut = true;
          else wheel.insert(node, due);
        }
        if (isOut) break;
        assert.ok(nowTick < due, `${where}: late`);
        nowTick = tickOf(wheel.nextDueNs(nowTick * SLOT_NS));
        assert.ok(nowTick <= due, `${where}: nothing is due in time`);
      }
    }
  }
});

wheelSuite('a jump over everything gives everything', () => {
  const rng = makeRng(seed);
  const wheel = wheelOf(NODES);
  const all: number[] = [];
  for (let at = 0; at < NODES; at++) {
    wheel.insert(nodeOf(at), tickOf(rng.next() * 60 * SECOND));
    all.push(nodeOf(at));
  }
  wheel.advance(tickOf(120 * SECOND));
  assert.equal(popAll(wheel), all);
  assert.is(wheel.count, 0);
  assert.is(wheel.nextDueNs(120 * SECOND), Infinity);
});

wheelSuite('slots are used again after every level has wrapped', () => {
  const wheel = wheelOf(1);
  const node = nodeOf(0);
  for (const startNs of [0, 1.04 * MS, 268.4 * MS, 68.6 * SECOND, 137 * SECOND]) {
    for (const delayNs of [5 * US, 1.05 * MS, 268.5 * MS]) {
      wheel.advance(tickOf(startNs + delayNs));
      const nowNs = startNs + delayNs;
      wheel.insert(node, tickOf(nowNs + delayNs));
      wheel.advance(tickOf(nowNs + delayNs));
      assert.is(wheel.pop(), node, `${startNs} ns and ${delayNs} ns later`);
    }
  }
});

wheelSuite('a node can be taken off again while it expires', () => {
  const wheel = wheelOf(3);
  for (let at = 0; at < 3; at++) wheel.insert(nodeOf(at), tickOf(10 * US));
  wheel.advance(tickOf(20 * US));
  assert.ok(wheel.nextDueNs(20 * US) <= 20 * US);
  wheel.remove(nodeOf(1));
  assert.equal(popAll(wheel), [nodeOf(0), nodeOf(2)]);
});

wheelSuite.run();
