import { suite } from 'uvu';
import { moveClock } from '../../src/htb/sharing/fair-clock.js';
import { catchCanary, exploreAll, type Scenario } from './explorer.js';

const test = suite('interleavings of the fair clock');

const CLOCK = 0;
const MOVED_AT = 1;
const SPEED = 3;

/** Parties that move the clock at the times given, in units, each party's in order. */
function moves(
  times: readonly (readonly number[])[],
  move: typeof moveClock = moveClock,
  start = 1000,
): Scenario {
  const last = start + Math.max(...times.flat());
  return {
    soloStepsMax: 4 * Math.max(...times.map(({ length }) => length)),
    build: (world) => {
      const words = world.int32('clock', 2, undefined, [70, start | 0]);
      const run = (list: readonly number[]) => (): void => {
        for (const time of list) move(words, CLOCK, MOVED_AT, (start + time) | 0, SPEED, 0);
      };
      return {
        parties: times.map(run),
        // Whoever has claimed an interval adds it later, so the clock is behind or right, never ahead.
        invariant: (read) =>
          ((read(words, CLOCK) - 70) | 0) > SPEED * (last - start) ? 'the clock is ahead of time' : null,
        check: ({ read }) => {
          const claimed = (read(words, MOVED_AT) - start) | 0;
          const moved = (read(words, CLOCK) - 70) | 0;
          return moved === SPEED * claimed ? null : `${claimed} units claimed, the clock moved by ${moved}`;
        },
      };
    },
  };
}

/** Broken: two may claim the same interval. */
const moveByStore: typeof moveClock = (words, clock, movedAt, nowUnits, speed) => {
  const elapsed = (nowUnits - Atomics.load(words, movedAt)) | 0;
  if (elapsed > 0) {
    Atomics.store(words, movedAt, nowUnits);
    Atomics.add(words, clock, elapsed * speed);
  }
  return Atomics.load(words, clock);
};

/** Broken: a worker whose present is older takes the time of the last move back, and it is counted again. */
const moveBack: typeof moveClock = (words, clock, movedAt, nowUnits, speed) => {
  const last = Atomics.load(words, movedAt);
  const elapsed = (nowUnits - last) | 0;
  if (elapsed !== 0 && Atomics.compareExchange(words, movedAt, last, nowUnits) === last && elapsed > 0)
    Atomics.add(words, clock, elapsed * speed);
  return Atomics.load(words, clock);
};

test('each interval is counted once', () => {
  exploreAll(
    '2 parties, 2 moves each',
    moves([
      [100, 130],
      [110, 120],
    ]),
  );
  exploreAll('3 parties, 1 move each', moves([[100], [130], [110]]));
  exploreAll('3 parties, 2 moves for two', moves([[100, 140], [130, 160], [110]]));
  catchCanary('claimed by load and store', moves([[100], [130]], moveByStore), /the clock/);
});

test('a worker whose present is older than the last move does not turn the clock back', () => {
  exploreAll('one behind the other', moves([[100, 200], [60]]));
  catchCanary('turned back', moves([[100, 200], [60]], moveBack), /units claimed/);
});

test('the time wraps between the moves', () => {
  exploreAll(
    'over the wrap',
    moves(
      [
        [100, 130],
        [60, 140],
      ],
      moveClock,
      0x7fffffff - 90,
    ),
  );
});

test.run();
