/** CoDel in the real leaf: the control law itself, recorded queues, and what it must leave alone. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { eventsOf, RECORDED_BYTES, type Recording, record } from '../../oracle/sojourn-recordings.js';
import { RECORDINGS } from '../../oracle/sojourns-recorded.js';
import { LeafDriver, type LeafOptions } from './leaf-driver.js';

const MS = 1000;
const TARGET_US = 5 * MS;
const INTERVAL_US = 100 * MS;

const packetOf = (tag: number, canMark = false) => ({
  tag,
  bytes: RECORDED_BYTES,
  flow: 0,
  device: 0,
  dscp: 0,
  canMark,
});

/** A leaf that holds `count` packets from `startUs` on. */
function filled(count: number, options: LeafOptions = {}, startUs = 0, canMark = false): LeafDriver {
  const driver = new LeafDriver([{ flows: 1, limitPackets: 1e6, ...options }]);
  driver.setTime(startUs);
  for (let tag = 0; tag < count; tag++) driver.enqueue(packetOf(tag, canMark));
  return driver;
}

/** When something was dropped or marked, with a packet taken every `stepUs` in [fromUs, untilUs). */
function eventTimes(driver: LeafDriver, fromUs: number, untilUs: number, stepUs: number): number[] {
  const times: number[] = [];
  for (let nowUs = fromUs; nowUs < untilUs; nowUs += stepUs) {
    driver.setTime(nowUs);
    driver.dequeue();
    for (const _ of driver.takeEvents()) times.push(nowUs);
  }
  return times;
}

const law = suite('CoDel: the control law');

// The microseconds wrap to negative numbers at 2^31, and pass zero at 2^32.
for (const startUs of [0, 2 ** 31 - 700 * MS, 2 ** 31 + 3 * MS, 2 ** 32 - 700 * MS]) {
  for (const canMark of [false, true]) {
    law(
      `${canMark ? 'marks' : 'drops'} at interval over the root of the count, from ${startUs} µs on`,
      () => {
        const stepUs = 100;
        const driver = filled(15_000, {}, startUs, canMark);
        const firstUs = startUs + TARGET_US;
        const times = eventTimes(driver, firstUs, startUs + 1_400 * MS, stepUs);
        let wantedUs = firstUs + INTERVAL_US;
        assert.ok(times.length > 40, `${times.length} times`);
        times.forEach((timeUs, before) => {
          // Each at the first packet after its time, which whole microseconds may shift by one a step.
          const isThen = timeUs - wantedUs > -2 - before && timeUs - wantedUs < stepUs + 2 + before;
          assert.ok(isThen, `number ${before + 1} at ${timeUs} instead of ${wantedUs}`);
          wantedUs += INTERVAL_US / Math.sqrt(before + 1);
        });
      },
    );
  }
}

law('drops several on one occasion when its time has passed more than once', () => {
  const driver = filled(500);
  eventTimes(driver, TARGET_US, TARGET_US + INTERVAL_US + 1, MS);
  // Due at 100, 170.7 and 228.4 ms after the first drop.
  assert.is(eventTimes(driver, 335 * MS, 335 * MS + 1, MS).length, 3);
});

law('has target and interval from the shape', () => {
  const driver = filled(500, { targetUs: 2_000, intervalUs: 30_000 });
  assert.equal(eventTimes(driver, 1_999, 2_000, 1), []);
  assert.equal(eventTimes(driver, 2_000, 93_000, 1_000), [32_000, 62_000, 84_000]);
});

law('a sojourn just below the target begins all anew', () => {
  const driver = filled(100);
  eventTimes(driver, TARGET_US, TARGET_US + 90 * MS, 10 * MS);
  driver.setTime(200 * MS);
  for (let tag = 100; tag < 200; tag++) driver.enqueue(packetOf(tag));
  const old = driver.backlogPackets() - 100;
  for (let i = 0; i < old; i++) driver.takeOut();
  assert.equal(eventTimes(driver, 200 * MS + TARGET_US - 1, 200 * MS + TARGET_US, 1), []);
  assert.equal(eventTimes(driver, 300 * MS, 399 * MS, 10 * MS), []);
  assert.equal(eventTimes(driver, 400 * MS, 401 * MS, MS), [400 * MS]);
});

law('a leaf that holds one full frame more is left alone, however old', () => {
  const driver = filled(2);
  driver.setTime(1_000 * MS);
  driver.peek();
  driver.setTime(2_000 * MS);
  driver.dequeue();
  driver.setTime(3_000 * MS);
  driver.dequeue();
  assert.equal(driver.takeEvents(), []);
});

law('looking twice drops and marks once, and dequeue gives what was seen', () => {
  for (const canMark of [false, true]) {
    const driver = filled(100, {}, 0, canMark);
    driver.setTime(TARGET_US);
    driver.peek();
    driver.setTime(TARGET_US + INTERVAL_US);
    const seen = driver.peek();
    assert.is(driver.peek(), seen);
    assert.is(driver.takeEvents().length, 1);
    assert.is(driver.dequeue(), seen);
    assert.equal(driver.takeEvents(), []);
  }
});

law('a packet that was marked and then waits is not marked again, nor dropped', () => {
  const driver = filled(100, {}, 0, true);
  driver.setTime(TARGET_US);
  driver.peek();
  driver.setTime(TARGET_US + INTERVAL_US);
  const seen = driver.peek();
  driver.takeEvents();
  driver.setTime(TARGET_US + 4 * INTERVAL_US);
  assert.is(driver.peek(), seen);
  assert.is(driver.dequeue(), seen);
  assert.equal(driver.takeEvents(), []);
  // The next one is judged, though it may lie in the same frame.
  driver.setTime(TARGET_US + 8 * INTERVAL_US);
  driver.dequeue();
  assert.is(driver.takeEvents().length, 1);
});

law('marks only where that is wanted', () => {
  const driver = filled(200, { ecn: false }, 0, true);
  eventTimes(driver, TARGET_US, TARGET_US + INTERVAL_US + 1, 10 * MS);
  assert.is(driver.stats().codelDrops, 1);
  assert.is(driver.stats().drops, 1);
  assert.is(driver.stats().marks, 0);
});

law.run();

const recorded = suite('CoDel: recorded queues');

function replay(recording: Recording): void {
  const driver = new LeafDriver([{ flows: 1 }]);
  let tag = 0;
  for (const { atUs, isArrival, drops, isMarked } of eventsOf(recording)) {
    driver.setTime(atUs);
    if (isArrival) driver.enqueue(packetOf(tag++, recording.canMark));
    else driver.dequeue();
    const seen = driver.takeEvents().map(({ what }) => what);
    const wanted = [...Array<string>(drops).fill('codel'), ...(isMarked ? ['mark'] : [])];
    assert.equal(seen, wanted, `${recording.name}, at ${atUs} µs`);
  }
}

for (const recording of RECORDINGS) {
  recorded(recording.name, () => replay(recording));
  recorded(`${recording.name}: what is recorded is what the reference does`, () => {
    assert.is(recording.events.trim().split(/\s+/).join(' '), record(recording));
  });
}

recorded('a recording of something else is refused', () => {
  const [{ events, ...rest }] = RECORDINGS as [Recording];
  const later = events.replace(/\S+!-/, (word) => word.replace('!', ''));
  let difference: unknown = null;
  try {
    replay({ ...rest, events: later });
  } catch (error) {
    difference = error;
  }
  assert.instance(difference, assert.Assertion);
});

recorded.run();

const state = suite('CoDel: what is remembered');

state('a flow that was found empty begins anew, though it is still listed', () => {
  const bulk = 60;
  const driver = new LeafDriver([{}]);
  driver.setTime(0);
  const of = (tag: number, flow: number) => ({ ...packetOf(tag), flow });
  for (let tag = 0; tag < 4 * bulk; tag++) driver.enqueue(of(tag, tag % bulk));
  for (let i = 0; i < bulk; i++) driver.dequeue();
  const sparse = [1000, 1001] as const;
  driver.enqueue({ ...of(sparse[0], bulk), bytes: 100 });
  // Late when it leaves; then the flow is found empty, and waits for a round, which takes longer than the interval.
  driver.setTime(6 * MS);
  assert.is(driver.dequeue(), sparse[0]);
  driver.dequeue();
  driver.setTime(10 * MS);
  driver.enqueue(of(sparse[1], bulk));
  const sent: number[] = [];
  for (let i = 1; i <= bulk + 2; i++) {
    driver.setTime((10 + 3 * i) * MS);
    sent.push(driver.dequeue());
  }
  assert.ok(sent.indexOf(sparse[1]) > 100 / 3, 'it came too early, or was dropped');
});

state('an empty leaf forgets', () => {
  const driver = filled(200);
  eventTimes(driver, TARGET_US, TARGET_US + INTERVAL_US + 50 * MS, MS);
  while (driver.backlogPackets() > 0) driver.takeOut();
  for (let tag = 200; tag < 300; tag++) driver.enqueue(packetOf(tag));
  assert.equal(eventTimes(driver, 260 * MS, 360 * MS, 10 * MS), []);
  assert.equal(eventTimes(driver, 360 * MS, 361 * MS, MS), [360 * MS]);
});

state.run();
