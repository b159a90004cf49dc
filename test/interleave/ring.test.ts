import { suite } from 'uvu';
import { DESC_WORDS_SHIFT, type RingViews } from '../../src/rings/layout.js';
import { DescConsumer, DescProducer } from '../../src/rings/ring.js';
import { catchCanary, exploreAll, type Scenario } from './explorer.js';
import { STEP } from './world.js';

const test = suite('interleavings of a ring');

const SIZE = 2;
/** Indices wrap during the run. */
const FIRST = -1;

type Produce = (views: RingViews, batches: readonly number[]) => number;
type Consume = (views: RingViews, batches: readonly number[]) => string[];

/** Submits numbered entries, as many of each batch as there is room for; returns how many. */
const produce: Produce = (views, batches) => {
  const ring = new DescProducer(views);
  let count = 0;
  for (const want of batches) {
    const granted = ring.reserve(want);
    for (let i = 0; i < granted; i++, count++) ring.write(ring.cachedProd + i, count + 1, (count + 1) * 10);
    ring.submit(granted);
  }
  return count;
};

const consume: Consume = (views, batches) => {
  const ring = new DescConsumer(views);
  const seen: string[] = [];
  for (const want of batches) {
    const ready = ring.peek(want);
    for (let i = 0; i < ready; i++)
      seen.push(`${ring.addrAt(ring.cachedCons + i)} ${ring.lenAt(ring.cachedCons + i)}`);
    ring.release(ready);
  }
  return seen;
};

function ring(
  produced: readonly number[],
  consumed: readonly number[],
  produceWith: Produce = produce,
  consumeWith: Consume = consume,
): Scenario {
  return {
    soloStepsMax: 10 * SIZE * Math.max(produced.length, consumed.length),
    build: (world) => {
      const words = world.int32('index', 2, undefined, [FIRST, FIRST]);
      const entries = world.int32('entries', SIZE << DESC_WORDS_SHIFT, STEP);
      const views: RingViews = {
        producer: { words, index: 0 },
        consumer: { words, index: 1 },
        entries,
        size: SIZE,
      };
      return {
        parties: [() => produceWith(views, produced), () => consumeWith(views, consumed)],
        invariant: (read) => {
          const filled = (read(words, 0) - read(words, 1)) | 0;
          return filled >= 0 && filled <= SIZE ? null : `${filled} entries in a ring of ${SIZE}`;
        },
        check: ({ results, read }) => {
          const [count, seen] = results as [number, string[]];
          const left = (read(words, 0) - read(words, 1)) | 0;
          if (seen.length + left !== count) return `${count} submitted, ${seen.length} seen, ${left} left`;
          const wrong = seen.find((entry, i) => entry !== `${i + 1} ${(i + 1) * 10}`);
          return wrong === undefined ? null : `saw ${seen}`;
        },
      };
    },
  };
}

test('nothing is lost, doubled or torn', () => {
  exploreAll('3 batches of 1 against 3', ring([1, 1, 1], [1, 1, 1]));
  exploreAll('batches of 2 against 1', ring([2, 2], [1, 1, 1]));
  exploreAll('batches of 1 against 2', ring([1, 1, 1, 1], [2, 2]));
});

test('broken ends are caught', () => {
  const submitFirst: Produce = (views) => {
    const end = new DescProducer(views);
    end.submit(end.reserve(1));
    end.write(end.cachedProd - 1, 1, 10);
    return 1;
  };
  catchCanary('submitted before it is written', ring([1], [1], submitFirst), /race on entries/);
  const releaseFirst: Consume = (views) => {
    const end = new DescConsumer(views);
    const ready = end.peek(1);
    end.release(ready);
    return ready > 0 ? [`${end.addrAt(end.cachedCons - 1)} ${end.lenAt(end.cachedCons - 1)}`] : [];
  };
  catchCanary('released before it is read', ring([1, 1, 1], [1], produce, releaseFirst), /race on entries/);
});

test.run();
