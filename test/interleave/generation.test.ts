import { suite } from 'uvu';
import { TreeMemory } from '../../src/htb/memory.js';
import { beginGeneration, sideOf } from '../../src/htb/sharing/generation.js';
import { Registry } from '../../src/htb/sharing/registry.js';
import { Generation, type SharedTree, Word } from '../../src/shm/tree-layout.js';
import { dieAfter } from '../htb/mortal.js';
import { catchCanary, exploreAll, type Scenario } from './explorer.js';
import { CLASSES, exploredTree, localTree, U1, U2 } from './local-tree.js';
import { type Published, publishedOf, sumsProblem } from './published.js';

const test = suite('interleavings of death and the next generation');

/** The workers that die, one after the other, in queue 0, and the one that lives. */
const MORTAL = 0;
const SURVIVOR = 1;
/** Accesses of a mortal's life, and one more, with which it dies of old age. */
const LIFE = 27;

interface End {
  readonly published: Published;
  readonly generation: number;
}

class Life {
  readonly memory: TreeMemory;
  readonly registry: Registry;

  constructor(shared: SharedTree, queue: number) {
    this.memory = localTree(shared, queue);
    this.registry = new Registry(this.memory);
  }

  /** A step that announces a leaf, withdraws it, or only begins. */
  step(classIndex: number, deed: 'announce' | 'withdraw' | 'nothing'): void {
    const leaf = TreeMemory.recordOf(classIndex);
    this.registry.followGeneration();
    if (deed === 'announce') {
      this.registry.registerPresence(leaf);
      this.registry.registerWeight(leaf);
    } else if (deed === 'withdraw') this.registry.unregister(leaf);
  }
}

/** How the control thread takes back what the dead worker had. False: it has to wait. */
type Burial = (shared: SharedTree, dead: Life) => boolean;
const byGeneration: Burial = (shared) =>
  beginGeneration(shared, (queue) => queue !== MORTAL, CLASSES, CLASSES + 1);

/** In queue 0 workers die after so many accesses; each is buried, and the last one lives. Null: a burial had to wait. */
function deaths(shared: SharedTree, accesses: readonly number[], bury: Burial): End | null {
  for (const count of accesses) {
    const life = new Life(shared, MORTAL);
    const work = (): void => {
      life.step(U1, 'announce');
      life.step(U1, 'withdraw');
    };
    dieAfter(count, work);
    if (!bury(shared, life)) return null;
  }
  const last = new Life(shared, MORTAL);
  last.step(U1, 'announce');
  return {
    published: publishedOf(last.memory, last.registry),
    generation: Atomics.load(shared.generationWords, 0),
  };
}

function survive(shared: SharedTree): End {
  const life = new Life(shared, SURVIVOR);
  life.step(U1, 'announce');
  life.step(U2, 'announce');
  life.step(U1, 'withdraw');
  life.step(U1, 'nothing');
  const generation = life.memory.side;
  return { published: publishedOf(life.memory, life.registry), generation };
}

const isPresence = (place: number): boolean => {
  const word = place & (Word.STRIDE - 1);
  return place < CLASSES << Word.SHIFT && (word === Word.PRESENCE || word === Word.PRESENCE + 1);
};

function scenario(accesses: readonly number[], bury: Burial = byGeneration): Scenario {
  return {
    ignoresResult: ({ op, place }) => op === 'sub' || (op === 'add' && !isPresence(place)),
    // Clearing a side is many stores to words that nobody uses then.
    atOnce: ['fairWords'],
    build: (world) => {
      const shared = exploredTree(world, 2);
      return {
        parties: [() => deaths(shared, accesses, bury), () => survive(shared)],
        check: ({ results, read }) => {
          const [successor, survivor] = results as [End | null, End];
          const side = sideOf(read(shared.generationWords, Generation.CURRENT));
          // Whoever is still in an earlier generation announces itself when its next step begins.
          if (successor === null || survivor.generation !== side) return null;
          return sumsProblem(shared, read, [successor.published, survivor.published], side);
        },
      };
    },
  };
}

test('a worker may die at any access, and the sums are those of the living', () => {
  for (let count = 0; count <= LIFE; count++) exploreAll(`dead after ${count} accesses`, scenario([count]));
});

test('its successor may die too, before the survivor has seen anything', () => {
  for (const counts of [
    [5, 5],
    [3, 8],
  ])
    exploreAll(`dead after ${counts} accesses`, scenario(counts));
});

test('broken burials are caught', () => {
  const byNotes: Burial = (_shared, dead) => {
    dead.registry.unregister(TreeMemory.recordOf(U1));
    return true;
  };
  const wrong = /presence of|lack of|claims at|weight at/;
  const caught = Array.from({ length: LIFE }, (_, count) => count).filter((count) => {
    try {
      catchCanary('taken back by its own notes', scenario([count], byNotes), wrong);
      return true;
    } catch {
      return false;
    }
  });
  if (caught.length === 0) throw new Error('a worker that dies amid an announcement needs no generations');
  const impatient: Burial = (shared) => beginGeneration(shared, () => false, CLASSES, CLASSES + 1);
  catchCanary('two generations on without the survivor', scenario([5, 5], impatient), wrong);
});

test.run();
