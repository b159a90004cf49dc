/** Delivery in order, once, and patience with a database that fails in every way. No real time passes. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { UsageBatch } from '../../classes/stores/usage.js';
import { Courier, type Outbox, type UsageStore } from '../../src/accounting/courier.js';

const test = suite('courier');

/** Timers that fire when the test says so. */
class HandTimers {
  nowMs = 0;
  readonly #timers = new Set<{ dueMs: number; work: () => void }>();

  readonly set = (work: () => void, ms: number): (() => void) => {
    const timer = { dueMs: this.nowMs + ms, work };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  get nextMs(): number | null {
    const due = [...this.#timers].map(({ dueMs }) => dueMs);
    return due.length === 0 ? null : Math.min(...due);
  }

  /** Goes to the next timer that is due, and lets everything happen that follows from it. */
  async step(): Promise<void> {
    this.nowMs = this.nextMs!;
    for (const timer of this.#timers)
      if (timer.dueMs === this.nowMs) {
        this.#timers.delete(timer);
        timer.work();
        break;
      }
    await settled();
  }
}

/** All promises that need no timer have had their turn. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

class ListOutbox implements Outbox {
  readonly batches: UsageBatch[];
  constructor(count: number) {
    this.batches = Array.from({ length: count }, (_, i) => ({
      id: `b${i}`,
      startMs: i,
      endMs: i + 1,
      rows: [],
    }));
  }
  head(): UsageBatch | null {
    return this.batches[0] ?? null;
  }
  remove(id: string): void {
    assert.is(this.batches.shift()?.id, id);
  }
}

type Take = (batch: UsageBatch) => Promise<void>;

function rig(count: number, take: Take) {
  const timers = new HandTimers();
  const outbox = new ListOutbox(count);
  const faults: (string | null)[] = [];
  let connections = 0;
  let closed = 0;
  const connect = async (): Promise<UsageStore> => {
    connections++;
    return {
      takeUsage: take,
      close: async () => {
        closed++;
      },
    };
  };
  const courier = new Courier({
    outbox,
    connect,
    setTimer: timers.set,
    onAttempt: (fault) => faults.push(fault),
  });
  return { timers, outbox, faults, courier, counts: () => ({ connections, closed }) };
}

test('delivers everything in order over one connection and rests', async () => {
  const taken: string[] = [];
  const { courier, outbox, timers, counts } = rig(5, async ({ id }) => void taken.push(id));
  courier.wake();
  courier.wake();
  await settled();
  assert.equal(taken, ['b0', 'b1', 'b2', 'b3', 'b4']);
  assert.equal(outbox.batches, []);
  assert.is(timers.nextMs, null, 'no timer is left');
  assert.is(counts().connections, 1);
});

test('waits 1 s, 2 s, 4 s and so on up to 60 s, and from 1 s again after a success', async () => {
  let isAway = true;
  const { courier, outbox, timers, faults } = rig(2, async ({ id }) => {
    if (isAway || id === 'b1') throw new Error('connection refused');
  });
  courier.wake();
  await settled();
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    waits.push((timers.nextMs! - timers.nowMs) / 1000);
    courier.wake(); // does not hurry it
    await settled();
    await timers.step();
  }
  assert.equal(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
  assert.is(outbox.batches.length, 2);
  isAway = false;
  await timers.step();
  assert.equal(
    outbox.batches.map(({ id }) => id),
    ['b1'],
  );
  assert.is((timers.nextMs! - timers.nowMs) / 1000, 1);
  assert.equal(faults.slice(-2), [null, 'connection refused']);
});

test('what was taken without an answer is offered again under the same id', async () => {
  const inDatabase: string[] = [];
  let isCut = true;
  const { courier, outbox, timers, counts } = rig(2, async ({ id }) => {
    inDatabase.push(id);
    if (isCut) throw new Error('connection terminated unexpectedly');
  });
  courier.wake();
  await settled();
  assert.is(outbox.batches.length, 2);
  isCut = false;
  await timers.step();
  assert.equal(inDatabase, ['b0', 'b0', 'b1']);
  assert.equal(outbox.batches, []);
  assert.equal(counts(), { connections: 2, closed: 1 }, 'over a new connection');
});

test('a database that never answers is left after two minutes', async () => {
  let calls = 0;
  const { courier, outbox, timers, faults, counts } = rig(1, () =>
    calls++ === 0 ? new Promise<void>(() => {}) : Promise.resolve(),
  );
  courier.wake();
  await settled();
  assert.is(timers.nextMs, 120_000);
  await timers.step();
  assert.match(String(faults[0]), /did not answer for 120 s/);
  assert.is(counts().closed, 1);
  await timers.step();
  assert.equal(outbox.batches, []);
  assert.is(timers.nextMs, null);
});

test('the end tries once more at once, and is bounded', async () => {
  let isAway = true;
  const first = rig(3, async () => {
    if (isAway) throw new Error('away');
  });
  first.courier.wake();
  await settled();
  isAway = false;
  await first.courier.finish(2000);
  assert.equal(first.outbox.batches, []);
  assert.is(first.timers.nextMs, null);

  const second = rig(3, () => new Promise<void>(() => {}));
  second.courier.wake();
  await settled();
  let hasEnded = false;
  void second.courier.finish(2000).then(() => (hasEnded = true));
  await settled();
  assert.not(hasEnded);
  assert.is(second.timers.nextMs, 2000);
  await second.timers.step();
  assert.ok(hasEnded);
  assert.is(second.outbox.batches.length, 3, 'nothing is dropped');
});

test('nothing is removed after the end, also when the answer comes late', async () => {
  let answer = (): void => {};
  const { courier, outbox, timers } = rig(1, () => new Promise<void>((resolve) => (answer = resolve)));
  courier.wake();
  await settled();
  const end = courier.finish(10);
  await settled();
  await timers.step();
  await end;
  answer();
  await settled();
  assert.is(outbox.batches.length, 1);
  assert.is(timers.nextMs, null);
});

test.run();
