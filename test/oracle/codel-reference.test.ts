/**
 * The CoDel reference against expectations worked out by hand from RFC 8289: target 5 ms, interval 100 ms.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type CodelPacket, CodelReference, type CodelSource } from './codel-reference.js';

const MS = 1000;
const PLENTY_BYTES = 1e6;

interface HandQueue {
  source: CodelSource<CodelPacket>;
  /** What every packet has waited when it comes to the head. */
  sojournUs: number;
  restBytes: number;
  canMark: boolean;
  drops: number[];
  marks: number[];
  nowUs: number;
}

/** A queue without end, whose packets have all waited equally long. */
function handQueue(): HandQueue {
  const queue: HandQueue = {
    sojournUs: 50 * MS,
    restBytes: PLENTY_BYTES,
    canMark: false,
    drops: [],
    marks: [],
    nowUs: 0,
    source: {
      take: () => ({ queuedUs: queue.nowUs - queue.sojournUs }),
      waitingBytes: () => queue.restBytes,
      drop: () => queue.drops.push(queue.nowUs / MS),
      mark: () => {
        if (queue.canMark) queue.marks.push(queue.nowUs / MS);
        return queue.canMark;
      },
    },
  };
  return queue;
}

function newCodel(): CodelReference<CodelPacket> {
  return new CodelReference({ targetUs: 5 * MS, intervalUs: 100 * MS, mtuBytes: 1514 });
}

/** Takes a packet every tenth of a millisecond in [fromMs, untilMs). */
function run(codel: CodelReference<CodelPacket>, queue: HandQueue, fromMs: number, untilMs: number): void {
  for (queue.nowUs = fromMs * MS; queue.nowUs < untilMs * MS; queue.nowUs += 100)
    codel.dequeue(queue.nowUs, queue.source);
}

const test = suite('codel reference');

test('drops an interval after sojourns rose, then at interval over the root of the count', () => {
  const codel = newCodel();
  const queue = handQueue();
  run(codel, queue, 0, 400);
  // 200 + 70.71 + 57.74 + 50: each at the first packet that comes then.
  assert.equal(queue.drops, [100, 200, 270.8, 328.5, 378.5]);
  assert.is(codel.dropNextUs, 378_445 + 44_721);
});

test('marks instead, at the same times, where it can', () => {
  const codel = newCodel();
  const queue = handQueue();
  queue.canMark = true;
  run(codel, queue, 0, 400);
  assert.equal(queue.marks, [100, 200, 270.8, 328.5, 378.5]);
  assert.equal(queue.drops, []);
});

test('drops several at once when it comes late, and marks one at a time', () => {
  const codel = newCodel();
  const queue = handQueue();
  run(codel, queue, 0, 150);
  run(codel, queue, 330, 330.1);
  assert.equal(queue.drops, [100, 330, 330, 330]);
  queue.canMark = true;
  run(codel, queue, 600, 600.3);
  assert.equal(queue.marks, [600, 600.1, 600.2]);
});

test('a sojourn of the target is too long, one below it begins all anew', () => {
  const codel = newCodel();
  const queue = handQueue();
  queue.sojournUs = 5 * MS;
  run(codel, queue, 0, 90);
  queue.sojournUs -= 1;
  run(codel, queue, 90, 91);
  queue.sojournUs += 1;
  run(codel, queue, 91, 191);
  assert.equal(queue.drops, []);
  run(codel, queue, 191, 192);
  assert.equal(queue.drops, [191]);
});

test('one full frame left in the queue is never too long', () => {
  const codel = newCodel();
  const queue = handQueue();
  queue.restBytes = 1514;
  run(codel, queue, 0, 500);
  assert.equal(queue.drops, []);
  queue.restBytes = 1515;
  run(codel, queue, 500, 601);
  assert.equal(queue.drops, [600]);
});

test('goes on at the rate it had when sojourns rise again soon, and anew after 16 intervals', () => {
  for (const [pauseMs, count] of [
    [10, 4],
    [1400, 4],
    [1700, 1],
  ] as const) {
    const codel = newCodel();
    const queue = handQueue();
    // Five drops, which took the count from 1 to 5.
    run(codel, queue, 0, 400);
    assert.is(codel.count, 5);
    queue.sojournUs = 0;
    run(codel, queue, 400, 400 + pauseMs);
    assert.not.ok(codel.isDropping);
    queue.sojournUs = 50 * MS;
    run(codel, queue, 400 + pauseMs, 500.1 + pauseMs);
    assert.is(queue.drops.at(-1), 500 + pauseMs);
    assert.is(codel.count, count);
    assert.is(codel.dropNextUs, (500 + pauseMs) * MS + Math.floor((100 * MS) / Math.sqrt(count)));
  }
});

test('leaves the dropping state when a drop has emptied the queue', () => {
  const codel = newCodel();
  const queue = handQueue();
  run(codel, queue, 0, 150);
  let left = 1;
  queue.nowUs = 250 * MS;
  const last = { ...queue.source, take: () => (left-- > 0 ? { queuedUs: 0 } : null) };
  assert.is(codel.dequeue(queue.nowUs, last), null);
  assert.equal(queue.drops, [100, 250]);
  assert.not.ok(codel.isDropping);
  assert.is(codel.firstAboveUs, null);
});

test.run();
