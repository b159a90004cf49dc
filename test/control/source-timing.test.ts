/** Expiries are acted upon when they have come, whatever the timers do. */
import {
  of,
  type SchedulerAction,
  Subject,
  type Subscription,
  VirtualAction,
  VirtualTimeScheduler,
} from 'rxjs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { atTime, retryMs } from '../../src/control/source-timing.js';

const test = suite('when a source is read again');
const DAY_MS = 86_400_000;
const TIMER_MAX_MS = 2 ** 31 - 1;

/** Timers that come early by a tenth, and refuse what Node's cannot wait for. */
class EarlyTimers extends VirtualTimeScheduler {
  constructor() {
    super(VirtualAction);
  }

  override schedule<T>(
    work: (this: SchedulerAction<T>, state?: T) => void,
    delayMs = 0,
    state?: T,
  ): Subscription {
    assert.ok(delayMs <= TIMER_MAX_MS);
    return super.schedule(work, Math.ceil(delayMs * 0.9), state);
  }
}

test('never before the time, however far away it is, and once', () => {
  for (const atMs of [0, 1, 7, 1500, 60 * DAY_MS]) {
    const clock = new EarlyTimers();
    const seen: number[] = [];
    atTime(of(atMs), clock).subscribe(() => seen.push(clock.now()));
    clock.flush();
    assert.equal(seen, [atMs]);
  }
});

test('the time that was told last counts, and null is never', () => {
  const clock = new EarlyTimers();
  const seen: number[] = [];
  const told$ = new Subject<number | null>();
  atTime(told$, clock).subscribe(() => seen.push(clock.now()));
  for (const atMs of [50, null, 20, 30]) told$.next(atMs);
  clock.flush();
  assert.equal(seen, [30]);
});

test('the more often it fails, the later it is tried again, up to half a minute', () => {
  assert.equal([1, 2, 3, 8, 100].map(retryMs), [250, 500, 1000, 30_000, 30_000]);
});

test.run();
