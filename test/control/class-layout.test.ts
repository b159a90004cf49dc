/** What follows from a tree's shape is the same whether it is worked out anew or from the tree before. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ClassSpec, ClassTree, DirectionSpec } from '../../classes/model.js';
import { layOut, type TreeLayout } from '../../src/control/class-layout.js';
import { below, seededRandom } from '../classes/random.js';

const test = suite('class layout');
const ROUNDS = 400;
const INNER = 6;
const LEAVES = 30;
const RATES_BPS = [0, 1e6, 5e6, 20e6];

const DIRECTIONS: readonly (DirectionSpec | null)[] = [
  null,
  ...RATES_BPS.map((rateBps) => ({
    ...{ rateBps, ceilBps: 100e6, burstBytes: 3200, cburstBytes: 3200, quantumBytes: 1500, prio: 0 },
  })),
];

function treeOf(classes: readonly ClassSpec[]): ClassTree {
  const settings = { defaultClass: null, overheadBytes: 0, mpuBytes: 0, linkLayer: 'ethernet' } as const;
  return { version: 1, ...settings, queue: {}, classes };
}

function placesOf(classes: readonly ClassSpec[]): (id: string) => number {
  const places = new Map(classes.map(({ id }, place) => [id, place]));
  return (id) => places.get(id) ?? -1;
}

/** What does not depend on the tree before. */
function essence({ parent, isInner, level, claims, rateBps }: TreeLayout): unknown {
  return [[...parent], [...isInner], [...level], [...claims], [...rateBps[0]], [...rateBps[1]]];
}

class RandomTree {
  readonly #random = seededRandom('class layout');
  #named = 0;
  classes: ClassSpec[] = [];

  constructor() {
    for (let i = 0; i < INNER; i++)
      this.classes.push(this.#spec(`s${i}`, i === 0 ? null : `s${below(this.#random, i)}`));
    for (let i = 0; i < LEAVES; i++) this.#add();
  }

  /** Gives some classes other rates; now and then one comes, goes or moves. */
  edit(): void {
    this.classes = [...this.classes];
    for (let i = below(this.#random, 4); i > 0; i--) {
      const at = below(this.#random, this.classes.length);
      const { id, parent } = this.classes[at]!;
      this.classes[at] = this.#spec(id, parent);
    }
    const leaf = INNER + below(this.#random, this.classes.length - INNER);
    const kind = below(this.#random, 8);
    if (kind === 0) this.#add();
    if (kind === 1) this.classes.splice(leaf, 1);
    if (kind === 2) this.classes[leaf] = this.#spec(this.classes[leaf]!.id, this.#site());
  }

  #add(): void {
    this.classes.push(this.#spec(`u${this.#named++}`, this.#site()));
  }

  #site(): string {
    return `s${below(this.#random, INNER)}`;
  }

  #spec(id: string, parent: string | null): ClassSpec {
    const direction = (): DirectionSpec | null => DIRECTIONS[below(this.#random, DIRECTIONS.length)]!;
    return { id, parent, match: [], queue: {}, down: direction(), up: direction() };
  }
}

test('from the tree before, and anew', () => {
  const tree = new RandomTree();
  let before = layOut(treeOf(tree.classes), null, () => -1);
  let inPlace = 0;
  for (let round = 0; round < ROUNDS; round++) {
    tree.edit();
    const layout = layOut(treeOf(tree.classes), before, placesOf(before.classes));
    assert.equal(essence(layout), essence(layOut(treeOf(tree.classes), null, () => -1)));
    tree.classes.forEach(({ id }, place) => {
      assert.is(layout.before[place], placesOf(before.classes)(id));
    });
    const stand = tree.classes.map(({ id, parent }) => `${id} ${parent}`).join();
    const stood = before.classes.map(({ id, parent }) => `${id} ${parent}`).join();
    assert.is(layout.changed !== null, stand === stood, 'whether all are where they were');
    if (layout.changed !== null) {
      const isOther = (spec: ClassSpec, place: number): boolean =>
        spec !== before.classes[place] || layout.claims[place] !== before.claims[place];
      const others = tree.classes.flatMap((spec, place) => (isOther(spec, place) ? [place] : []));
      assert.equal(layout.changed, others);
      inPlace++;
    }
    before = layout;
  }
  assert.ok(inPlace > ROUNDS / 2 && inPlace < ROUNDS);
});

test.run();
