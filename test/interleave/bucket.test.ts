import { suite } from 'uvu';
import {
  bucketDebtUs,
  DEBT_US_MAX,
  drawBucket,
  freshenBucket,
  returnToBucket,
} from '../../src/htb/sharing/bucket.js';
import { catchCanary, type Ending, exploreAll, type Scenario } from './explorer.js';

const test = suite('interleavings of the shared bucket');

/** A draw is a load and a compare-exchange; alone it fails once at most, for what others did before they stopped. */
const DRAW_STEPS_MAX = 4;

interface Draw {
  readonly nowUs: number;
  readonly costUs: number;
  readonly maxDebtUs: number;
}

type DrawBucket = typeof drawBucket;

/** What a party's draws have charged. */
function drawAll(draws: readonly Draw[], words: Int32Array, draw: DrawBucket): number {
  let charged = 0;
  for (const { nowUs, costUs, maxDebtUs } of draws) {
    if (draw(words, 0, nowUs | 0, costUs, maxDebtUs) >= 0) charged += costUs;
  }
  return charged;
}

const sumOf = (results: readonly unknown[]): number =>
  results.reduce((sum: number, n) => sum + (n as number), 0);

/** Parties that draw from a bucket that is in debt all the time, so that no charge is clamped to the present. */
function draws(
  parties: readonly (readonly Draw[])[],
  fullAtUs: number,
  draw: DrawBucket = drawBucket,
): Scenario {
  const overdraftUs = Math.max(...parties.flat().map(({ maxDebtUs, costUs }) => maxDebtUs + costUs));
  const lastNowUs = Math.max(...parties.flat().map(({ nowUs }) => nowUs));
  return {
    soloStepsMax: DRAW_STEPS_MAX * Math.max(...parties.map(({ length }) => length)),
    build: (world) => {
      const words = world.int32('bucket', 1, undefined, [fullAtUs | 0]);
      return {
        parties: parties.map((list) => () => drawAll(list, words, draw)),
        invariant: (read) =>
          ((read(words, 0) - lastNowUs) | 0) > overdraftUs ? 'overdrawn by more than a packet' : null,
        check: ({ results, read }) => {
          const advanceUs = (read(words, 0) - fullAtUs) | 0;
          const chargedUs = sumOf(results);
          return advanceUs === chargedUs ? null : `${chargedUs} µs charged, the word went on by ${advanceUs}`;
        },
      };
    },
  };
}

/** The broken draw: another's charge between the load and the store is lost. */
function drawByStore(
  words: Int32Array,
  index: number,
  nowUs: number,
  costUs: number,
  maxDebtUs: number,
): number {
  const fullAt = Atomics.load(words, index);
  const debt = (fullAt - nowUs) | 0;
  if (debt > maxDebtUs) return -1 - debt;
  Atomics.store(words, index, ((debt > 0 ? fullAt : nowUs) + costUs) | 0);
  return Math.max(debt, 0);
}

/** The broken draw: charges by an add after it has looked, so several may overdraw. */
function drawByAdd(
  words: Int32Array,
  index: number,
  nowUs: number,
  costUs: number,
  maxDebtUs: number,
): number {
  const debt = (Atomics.load(words, index) - nowUs) | 0;
  if (debt > maxDebtUs) return -1 - debt;
  Atomics.add(words, index, costUs);
  return Math.max(debt, 0);
}

const at = (nowUs: number, costUs: number, maxDebtUs = DEBT_US_MAX): Draw => ({ nowUs, costUs, maxDebtUs });

test('two and three parties draw: no charge is lost', () => {
  exploreAll(
    '2 parties, 2 draws each',
    draws(
      [
        [at(0, 5), at(2, 7)],
        [at(1, 11), at(3, 13)],
      ],
      50,
    ),
  );
  exploreAll('3 parties, 1 draw each', draws([[at(0, 5)], [at(1, 11)], [at(4, 17)]], 50));
  exploreAll(
    '3 parties, 2 draws each',
    draws(
      [
        [at(0, 5), at(2, 7)],
        [at(1, 11), at(3, 13)],
        [at(4, 17), at(5, 19)],
      ],
      50,
    ),
  );
  catchCanary('load and store', draws([[at(0, 5)], [at(1, 11)]], 50, drawByStore), /the word went on by/);
});

test('the word wraps between the draws', () => {
  const now = 0x7fffffff - 20;
  const lists = [
    [at(now, 15), at(now + 4, 15)],
    [at(now + 2, 15), at(now + 9, 15)],
  ];
  exploreAll('2 parties over the wrap', draws(lists, now + 10));
});

test('whoever races, the bucket is overdrawn by one packet at most', () => {
  const tight = at(0, 10, 20);
  exploreAll('3 parties at the limit', draws([[tight, tight], [tight, tight], [tight]], 5));
  catchCanary('load and add', draws([[tight], [tight]], 15, drawByAdd), /overdrawn/);
});

/** Two draw from a full bucket at different times: the one that finds it idle starts it at its own present. */
test('a full bucket starts at the present of whoever draws first', () => {
  exploreAll('idle bucket', {
    soloStepsMax: DRAW_STEPS_MAX,
    // The first draw's five microseconds have passed at 200; the second draw's ten have not begun at 100.
    acceptable: ['210 0,0', '215 110,0'],
    build: (world) => {
      const words = world.int32('bucket', 1, undefined, [10]);
      return {
        parties: [
          () => drawBucket(words, 0, 100, 5, DEBT_US_MAX),
          () => drawBucket(words, 0, 200, 10, DEBT_US_MAX),
        ],
        outcome: ({ results, read }) => `${read(words, 0)} ${results}`,
      };
    },
  });
});

const DEBT_US = 40;

function giveBack(give: typeof returnToBucket): Scenario {
  return {
    soloStepsMax: DRAW_STEPS_MAX + 1,
    build: (world) => {
      const words = world.int32('bucket', 1, undefined, [DEBT_US]);
      const drawsAndReturns = (): number => {
        if (drawBucket(words, 0, 0, 30, 100) < 0) return 0;
        give(words, 0, 12);
        return 18;
      };
      const check = ({ results, read }: Ending): string | null =>
        read(words, 0) === DEBT_US + sumOf(results) ? null : `charge or return lost: ${read(words, 0)}`;
      return { parties: [drawsAndReturns, () => drawAll([at(1, 7), at(2, 9)], words, drawBucket)], check };
    },
  };
}

test('what is given back is neither lost nor counted twice', () => {
  exploreAll('draw and return against draws', giveBack(returnToBucket));
  const byStore = (words: Int32Array, index: number, costUs: number): void => {
    Atomics.store(words, index, Atomics.load(words, index) - costUs);
  };
  catchCanary('return by load and store', giveBack(byStore), /charge or return lost/);
});

function freshen(fresh: typeof freshenBucket): Scenario {
  return {
    soloStepsMax: DRAW_STEPS_MAX,
    // Were the charge overwritten, the bucket would be full again.
    acceptable: ['debt 26'],
    build: (world) => {
      const words = world.int32('bucket', 1, undefined, [-500]);
      const draw = (): number => drawBucket(words, 0, 100, 26, DEBT_US_MAX);
      return {
        parties: [draw, () => fresh(words, 0, 99), () => bucketDebtUs(words, 0, 100)],
        outcome: ({ read }) => `debt ${(read(words, 0) - 100) | 0}`,
      };
    },
  };
}

test('a bucket that is brought to the present keeps a charge that comes in between', () => {
  exploreAll('draw, freshen and a look', freshen(freshenBucket));
  const byStore = (words: Int32Array, index: number, nowUs: number): void => {
    if (((Atomics.load(words, index) - nowUs) | 0) < 0) Atomics.store(words, index, nowUs);
  };
  catchCanary('freshen by store', freshen(byStore), /not acceptable/);
});

test.run();
