import { suite } from 'uvu';
import { HEADER_LENGTHS4, HEADER_LENGTHS6 } from '../../src/shm/class-hash-layout.js';
import { EpochWord, type PublishedEpoch } from '../../src/shm/shared-shaper.js';
import { type ControlOptions, control, EpochWorker, epochWorld } from './epoch-scenario.js';
import { catchCanary, exploreAll, type Scenario } from './explorer.js';
import type { PlainRule } from './world.js';

const test = suite('interleavings of publication and adoption');

/** Slots of the class hash are read while others are written, by design: see class-hash-layout.ts. */
const HASH = 'buffer 0.0';

/**
 * Every plain access is a step, but for what the control thread alone has written and reads again, and for the
 * two hundred readings of the hash's bitmap of lengths, which are one step.
 */
const EACH_ACCESS: PlainRule = (party, isWrite, name, index) => {
  const isBitmap = name === HASH && index >= HEADER_LENGTHS4 && index < HEADER_LENGTHS6 + 8;
  return !isWrite && (party === 0 || isBitmap) ? 'quiet' : 'step';
};
/** Steps end at the words and queues of the protocol; for three parties, after two were run with EACH_ACCESS. */
const ATOMICS_ONLY: PlainRule = () => 'quiet';

function epochs(
  options: ControlOptions,
  steps: readonly number[],
  rule: PlainRule,
  Kind: typeof EpochWorker = EpochWorker,
): Scenario {
  return {
    racy: [HASH],
    ...(rule === ATOMICS_ONLY ? { atOnce: ['classWords', 'buffer'] } : {}),
    build: (world) => {
      const memory = epochWorld(world, steps.length, options.capacity, rule);
      const parties: (() => unknown)[] = [() => control(world, memory, options)];
      steps.forEach((count, q) => {
        parties.push(() => new Kind(memory, q).run(count));
      });
      return {
        parties,
        check: ({ results }) => {
          const [published, ...seen] = results as [number, ...string[]];
          const isAhead = seen.some((list) => list.split(',').some((epoch) => Number(epoch) > published));
          return isAhead ? `published ${published}, workers saw ${seen.join(' and ')}` : null;
        },
      };
    },
  };
}

/** The index of the first user must be used again; the publisher may have to try twice. */
const REUSE_INDEX: ControlOptions = { epochs: 3, capacity: 3, attempts: 4 };
/** One user changes plans; the shape of the first must be used again for the third. */
const REUSE_SHAPE: ControlOptions = { epochs: 3, capacity: 4, keepsUser: true };
/** Users come and go, and there is room for all. */
const ROOMY: ControlOptions = { epochs: 3, capacity: 4 };

test('a worker finds the address the plan of its epoch, whatever is written meanwhile', () => {
  exploreAll('control and 1 worker, index used again', epochs(REUSE_INDEX, [2], EACH_ACCESS));
  exploreAll('control and 1 worker, shape used again', epochs(REUSE_SHAPE, [2], EACH_ACCESS));
});

test('indexes and shapes are used again only when both workers have let go of them', () => {
  exploreAll('control and 2 workers, index used again', epochs(REUSE_INDEX, [2, 1], ATOMICS_ONLY));
  exploreAll('control and 2 workers, shape used again', epochs(REUSE_SHAPE, [2, 1], ATOMICS_ONLY));
});

test('broken publication is caught', () => {
  /** Hands the epoch over first and writes its changes then. */
  const handOverFirst = (
    epoch: PublishedEpoch,
    handedOver: readonly { push(epoch: PublishedEpoch): void }[],
  ): void => {
    const changes = new Int32Array(new SharedArrayBuffer(epoch.changes.length * 4));
    for (const queue of handedOver) queue.push({ ...epoch, changes });
    for (let i = 0; i < changes.length; i++) changes[i] = epoch.changes[i]!;
  };
  catchCanary(
    'epoch handed over before its data',
    epochs({ epochs: 2, capacity: 3, deliver: handOverFirst }, [2], EACH_ACCESS),
    /race on buffer|no class|no present leaf/,
  );
});

/** Believes the published word instead of what it was handed. */
class Believer extends EpochWorker {
  protected override adopt(): void {
    const published = Atomics.load(this.shared.epochWords, EpochWord.PUBLISHED);
    super.adopt();
    this.epoch = published;
  }
}

/** Says that it has adopted an epoch before it has. */
class Boaster extends EpochWorker {
  protected override adopt(): void {
    const before = this.epoch;
    this.epoch = Atomics.load(this.shared.epochWords, EpochWord.PUBLISHED);
    this.reportAdopted();
    this.epoch = before;
    this.usePackets();
    super.adopt();
  }
}

/** Adopts what there is in the middle of a batch. */
class Hasty extends EpochWorker {
  protected override betweenPasses(): void {
    if (Atomics.load(this.shared.epochWords, EpochWord.PUBLISHED) !== this.epoch) this.adopt();
  }
}

test('broken adoption is caught', () => {
  const wrong = /no class|no present leaf|a byte of/;
  catchCanary('adopted mid-batch', epochs(REUSE_INDEX, [2], ATOMICS_ONLY, Hasty), wrong);
  catchCanary('epoch word believed', epochs(REUSE_INDEX, [2], ATOMICS_ONLY, Believer), wrong);
  catchCanary(
    'adopted in words only',
    epochs(REUSE_SHAPE, [2], EACH_ACCESS, Boaster),
    /race on shapes|a byte of/,
  );
});

/** Keeps a packet of the first user, so that its class drains when it is removed. */
class Drainer extends EpochWorker {
  #held = -1;

  protected override use(classIndex: number): void {
    super.use(classIndex);
    if (this.#held >= 0) this.checkPlan(this.#held, 1);
    else if (this.epoch === 1) {
      this.#held = classIndex;
      this.tree.enqueue(classIndex, 0, 1500);
    }
  }
}

test('a class that drains keeps its plan', () => {
  exploreAll('control and 1 worker with a packet', epochs(ROOMY, [3], ATOMICS_ONLY, Drainer));
});

test.run();
