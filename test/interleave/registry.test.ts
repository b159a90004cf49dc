import { suite } from 'uvu';
import { Field } from '../../src/htb/layout.js';
import { TreeMemory } from '../../src/htb/memory.js';
import { Registry } from '../../src/htb/sharing/registry.js';
import { type SharedTree, Word } from '../../src/shm/tree-layout.js';
import { catchCanary, exploreAll, type Scenario } from './explorer.js';
import { CLASSES, exploredTree, localTree, U1, U2 } from './local-tree.js';
import { type Published, publishedOf, sumsProblem } from './published.js';

const test = suite('interleavings of the registry');
const PACKET_BYTES = 1500;

type Act = (registry: Registry, leaf: number, memory: TreeMemory) => void;
const announce: Act = (registry, leaf) => registry.registerPresence(leaf);
const weigh: Act = (registry, leaf) => registry.registerWeight(leaf);
const reweigh: Act = (registry, leaf) => registry.publishWeight(leaf, registry.weightNow(leaf));
const reclaim: Act = (registry, leaf) => registry.refreshClaims(leaf);
const empty: Act = (registry, leaf) => registry.emptied(leaf);
/** Another packet than the last one leaves. */
const send: Act = (_registry, leaf, { words, doubles }) => {
  words[leaf + Field.BACKLOG_PACKETS] = 1;
  doubles[(leaf >> 1) + Field.D_BYTES]! += PACKET_BYTES;
};
const withdraw: Act = (registry, leaf) => registry.unregister(leaf);

type Deed = readonly [act: Act, classIndex: number];

function act(shared: SharedTree, queue: number, deeds: readonly Deed[], Kind: typeof Registry): Published {
  const memory = localTree(shared, queue);
  const registry = new Kind(memory);
  for (const [deed, classIndex] of deeds) deed(registry, TreeMemory.recordOf(classIndex), memory);
  return publishedOf(memory, registry);
}

/** Sums that are looked at when they are added to. Class words are the first array of the world. */
const isRead = (place: number): boolean => {
  const word = place & (Word.STRIDE - 1);
  return place < CLASSES << Word.SHIFT && (word === Word.PRESENCE || word === Word.SENT);
};

function deeds(lists: readonly (readonly Deed[])[], Kind: typeof Registry = Registry): Scenario {
  const count = (list: readonly Deed[], wanted: Act): number =>
    list.filter(([deed]) => deed === wanted).length;
  const isWithdrawn = lists.every((list) => count(list, announce) === count(list, withdraw));
  return {
    ignoresResult: ({ op, place }) => op === 'sub' || (op === 'add' && !isRead(place)),
    // A deed touches the leaf and two ancestors, in a few words each; nothing is ever tried again.
    soloStepsMax: 12 * Math.max(...lists.map(({ length }) => length)),
    build: (world) => {
      const shared = exploredTree(world, lists.length);
      const run = (list: readonly Deed[], queue: number) => (): Published => act(shared, queue, list, Kind);
      return {
        parties: lists.map(run),
        check: (ending) => {
          const isAnyLeft = (ending.results as Published[]).some(({ presence, lacks, claims, weights }) =>
            [presence, lacks, claims, weights].some((sums) => sums.some((value) => value !== 0)),
          );
          if (isWithdrawn && isAnyLeft) return 'not all was withdrawn';
          return sumsProblem(shared, ending.read, ending.results as Published[]);
        },
      };
    },
  };
}

test('two workers announce, weigh and withdraw leaves: all sums return to zero', () => {
  const whole = (leaf: number): Deed[] => [
    [announce, leaf],
    [weigh, leaf],
    [withdraw, leaf],
  ];
  exploreAll('2 workers, the same leaf', deeds([whole(U1), whole(U1)]));
  exploreAll('2 workers, two leaves', deeds([whole(U1), whole(U2)]));
  exploreAll(
    '3 workers, presence and claims',
    deeds([
      [
        [announce, U1],
        [withdraw, U1],
      ],
      [
        [announce, U1],
        [withdraw, U1],
      ],
      [
        [announce, U2],
        [withdraw, U2],
      ],
    ]),
  );
});

test('while leaves are registered the sums are the published parts', () => {
  exploreAll(
    '2 workers, refreshed',
    deeds([
      [
        [announce, U1],
        [weigh, U1],
        [reclaim, U1],
        [reweigh, U1],
      ],
      [
        [announce, U1],
        [reclaim, U1],
        [withdraw, U1],
      ],
    ]),
  );
  exploreAll(
    '2 workers, chains over two levels',
    deeds([
      [
        [announce, U1],
        [announce, U2],
        [withdraw, U1],
      ],
      [
        [announce, U2],
        [withdraw, U2],
        [announce, U1],
      ],
    ]),
  );
});

test('shares follow what is sent: lacks are the published parts, and zero at the end', () => {
  const whole: Deed[] = [
    [announce, U1],
    [weigh, U1],
    [send, U1],
    [reweigh, U1],
    [empty, U1],
    [withdraw, U1],
  ];
  exploreAll('2 workers, one sends', deeds([whole, whole.filter(([deed]) => deed !== send)]));
  exploreAll(
    '2 workers, one stays',
    deeds([
      whole,
      [
        [announce, U1],
        [weigh, U1],
        [send, U1],
        [reweigh, U1],
      ],
    ]),
  );
  // Weighed twice, a lack is in the sum twice and is taken back once.
  class Twice extends Registry {
    override registerWeight(leaf: number): void {
      super.registerWeight(leaf);
      super.registerWeight(leaf);
    }
  }
  catchCanary('announced twice', deeds([whole, whole], Twice), /lack of class/);
});

test('broken registries are caught', () => {
  class Forgetful extends Registry {
    /** Takes back what the weight would be now, not what was published. */
    override unregister(leaf: number): void {
      const { words } = broken(this);
      if (words[leaf + Field.WEIGHT_PUBLISHED] !== 0)
        words[leaf + Field.WEIGHT_PUBLISHED] = this.weightNow(leaf);
      super.unregister(leaf);
    }
  }
  const memories = new WeakMap<Registry, TreeMemory>();
  const broken = (registry: Registry): TreeMemory => memories.get(registry)!;
  const Remembered = class extends Forgetful {
    constructor(memory: TreeMemory) {
      super(memory);
      memories.set(this, memory);
    }
  };
  const lists: Deed[][] = [
    [
      [announce, U1],
      [weigh, U1],
      [withdraw, U1],
    ],
    [
      [announce, U1],
      [withdraw, U1],
    ],
  ];
  catchCanary('taking back another weight', deeds(lists, Remembered), /weight at class/);
});

test.run();
