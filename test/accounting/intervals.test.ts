/** Intervals under clocks that are set. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BACK_MAX_MS, intervalOf, SteadyTime } from '../../src/accounting/intervals.js';
import { makeRng } from '../oracle/random-tree.js';
import { seedOf } from './parts.js';

const test = suite('intervals');
const MINUTE = 60_000;
const NOON = Date.UTC(2026, 0, 31, 12);

test('a span belongs to the interval that was open when it began', () => {
  const time = new SteadyTime(NOON + 59_500, 0);
  const span = time.advance(NOON + 60_400, 900);
  assert.equal(intervalOf(span, MINUTE), { startMs: NOON, endMs: NOON + MINUTE });
  assert.is(span.nextMs, NOON + 60_400);
});

test('a long silence makes one long interval, up to the last full minute', () => {
  const time = new SteadyTime(NOON + 1000, 0);
  const span = time.advance(NOON + 5 * MINUTE + 3000, 5 * MINUTE + 2000);
  assert.equal(intervalOf(span, MINUTE), { startMs: NOON, endMs: NOON + 5 * MINUTE });
});

test('a clock that is set forward makes no interval longer', () => {
  const time = new SteadyTime(5000, 0);
  const span = time.advance(NOON, 1000);
  assert.equal(intervalOf(span, MINUTE), { startMs: 0, endMs: MINUTE });
  assert.is(time.advance(NOON + 1000, 2000).fromMs, NOON);
});

test('a clock that is set back a little stands still, and is followed when it is set back far', () => {
  const time = new SteadyTime(NOON, 0);
  assert.equal(time.advance(NOON - BACK_MAX_MS, 1000), { fromMs: NOON, untilMs: NOON, nextMs: NOON });
  assert.equal(time.advance(NOON - 10, 2000), { fromMs: NOON, untilMs: NOON, nextMs: NOON });
  assert.equal(time.advance(NOON + 5, 3000), { fromMs: NOON, untilMs: NOON + 5, nextMs: NOON + 5 });
  const back = NOON - 24 * 3_600_000;
  assert.is(time.advance(back, 4000).nextMs, back);
  assert.is(time.advance(back + 1000, 5000).fromMs, back);
});

test('whatever the clock does within an hour, intervals are aligned, follow each other and never overlap', () => {
  const seed = seedOf('intervals');
  for (let run = 0; run < 200; run++) {
    const rng = makeRng(seed + run);
    let wallMs = NOON;
    let monotonicMs = 0;
    const time = new SteadyTime(wallMs, monotonicMs);
    let lastStartMs = 0;
    let lastEndMs = 0;
    for (let step = 0; step < 500; step++) {
      const lastedMs = rng.chance(0.02) ? rng.int(10 * MINUTE) : rng.int(3000);
      monotonicMs += lastedMs;
      wallMs += lastedMs;
      // Steps back stay within an hour of the highest reading.
      if (rng.chance(0.05)) wallMs += rng.int(2 * MINUTE) - MINUTE;
      const { startMs, endMs } = intervalOf(time.advance(wallMs, monotonicMs), MINUTE);
      const where = `WEIR_SEED=${seed + run}`;
      assert.ok(startMs % MINUTE === 0 && endMs % MINUTE === 0, where);
      assert.ok(endMs >= startMs + MINUTE, where);
      // Either the same interval goes on, perhaps longer, or a later one begins.
      assert.ok(startMs === lastStartMs || startMs >= lastEndMs, where);
      lastStartMs = startMs;
      lastEndMs = Math.max(lastEndMs, endMs);
    }
  }
});

test.run();
