import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { difference, differenceDocument, formatDifference, refusal } from '../../classes/difference.js';
import type { ClassTree } from '../../classes/model.js';
import { parseClassTree } from '../../classes/validate.js';
import { documentOf, sampleDocument, treeOf } from './documents.js';
import { below, seededRandom } from './random.js';

const NOBODY: ReadonlySet<string> = new Set();

function edited(
  edit: (classes: Record<string, unknown>[], document: Record<string, unknown>) => void,
): ClassTree {
  const document = sampleDocument();
  edit(document.classes as Record<string, unknown>[], document);
  return treeOf(document);
}

function linesOf(before: ClassTree | null, after: ClassTree): string[] {
  return formatDifference(difference(before, after)).split('\n');
}

const sample = treeOf(sampleDocument());
const test = suite('difference');

test('equal trees differ in nothing, whatever the order of classes and prefixes', () => {
  const other = edited((classes) => {
    classes[2]!.match = ['2001:db8:42::/56', '10.0.0.5'];
    classes.reverse();
  });
  const result = difference(sample, other);
  assert.is(result.unchanged, 5);
  assert.equal(formatDifference(result), '0 added, 0 removed, 0 moved, 0 changed, 5 unchanged');
});

test('added, removed, moved and changed, and the settings', () => {
  const after = edited((classes, document) => {
    classes.splice(3, 1);
    classes[2]!.parent = 'uplink';
    classes[2]!.down = { rate: '20mbit', ceil: '100mbit', burst: '64kb', cburst: 3200, prio: 3 };
    classes[2]!.match = ['10.0.0.7', '10.0.0.5'];
    classes.push({ id: 'u44', parent: 'house', match: '10.0.0.9', down: { rate: '1mbit', ceil: '2mbit' } });
    document.default = null;
    document.mpu = 0;
  });
  assert.equal(linesOf(sample, after), [
    '- u43',
    '> u42 moves from house to uplink',
    '~ u42 match 10.0.0.5 2001:db8:42::/56 → 10.0.0.5 10.0.0.7, down.rate 10mbit → 20mbit',
    '+ u44 under house: down 1mbit ceil 2mbit, match 10.0.0.9',
    '~ all classes: default guests → none, mpu 64 → 0',
    '1 added, 1 removed, 1 moved, 1 changed, 3 unchanged, 2 settings changed',
  ]);
});

test('what many have in common is told of each as if it were alone', () => {
  const random = seededRandom('common changes');
  const rates = ['1mbit', '2mbit', '3mbit'];
  const classes = (seed: () => number): Record<string, unknown>[] =>
    Array.from({ length: 60 }, (_, i) => ({
      id: `u${i}`,
      match: `10.0.${below(seed, 2)}.${i}`,
      down: { rate: rates[below(seed, 3)] },
      up: { rate: rates[below(seed, 3)] },
      ...(below(seed, 3) === 0 ? { limit: 50 } : {}),
    }));
  const [before, after] = [treeOf(documentOf(...classes(random))), treeOf(documentOf(...classes(random)))];
  const { changed } = difference(before, after);
  const alone = before.classes.flatMap((spec, i) => {
    const of = (tree: ClassTree, one: typeof spec): ClassTree => ({ ...tree, classes: [one] });
    return difference(of(before, spec), of(after, after.classes[i]!)).changed;
  });
  assert.equal(changed, alone);
  assert.ok(changed.length > 30);
});

test('one setting is one setting', () => {
  const after = edited((_classes, document) => {
    document.mpu = 0;
  });
  assert.match(linesOf(sample, after).at(-1)!, /, 1 setting changed$/);
});

test('everything is added where there was nothing', () => {
  const result = difference(null, sample);
  assert.is(result.added.length, 5);
  assert.equal(
    result.settings.map(({ key }) => key),
    ['default', 'overhead', 'mpu', 'linklayer', 'target', 'interval', 'ecn', 'isolate'],
  );
});

test('every key of a class is compared', () => {
  const keys: [Record<string, unknown>, string][] = [
    [{ leaf: 'codel' }, 'leaf pfifo → codel'],
    [{ limit: 501 }, 'limit 500 → 501'],
    [{ limitBytes: 5000 }, 'limitBytes 1mb → 5000b'],
    [{ up: { rate: '2mbit', ceil: '41mbit' } }, 'up.ceil 40mbit → 41mbit'],
    [{ up: { rate: '2mbit', ceil: '40mbit', quantum: 3000 } }, 'up.quantum 25000b → 3000b'],
    [{ up: { rate: '2mbit', ceil: '40mbit', prio: 1 } }, 'up.prio 0 → 1'],
    [{ up: { rate: '2mbit', ceil: '40mbit', burst: 5 } }, 'up.burst 1850b → 5b'],
    [{ up: { rate: '2mbit', ceil: '40mbit', cburst: 5 } }, 'up.cburst 6600b → 5b'],
    [{ up: { ceil: '40mbit' } }, 'up.rate 2mbit → 0bit'],
  ];
  for (const [fields, line] of keys) {
    const after = edited((classes) => Object.assign(classes[2]!, fields));
    assert.is(linesOf(sample, after)[0], `~ u42 ${line}`);
  }
  const without = edited((classes) => {
    delete classes[2]!.up;
  });
  assert.is(linesOf(sample, without)[0], '~ u42 up.rate 2mbit → none, up.ceil 40mbit → none');
  assert.is(linesOf(without, sample)[0], '~ u42 up.rate none → 2mbit, up.ceil none → 40mbit');
});

test('what follows from the rate is no change of its own', () => {
  const before = treeOf(documentOf({ id: 'a', down: { rate: '10mbit' } }));
  const after = treeOf(documentOf({ id: 'a', down: { rate: '20mbit' } }));
  assert.is(linesOf(before, after)[0], '~ a down.rate 10mbit → 20mbit');
  const wider = treeOf(documentOf({ id: 'a', down: { rate: '10mbit', ceil: '20mbit' } }));
  assert.is(linesOf(before, wider)[0], '~ a down.ceil 10mbit → 20mbit');
});

test('a leaf that gets children is changed, not removed', () => {
  const after = edited((classes) => {
    classes[3] = { id: 'u43', parent: 'house', down: { rate: '10mbit' } };
    classes.push({ id: 'tv', parent: 'u43', match: '10.0.0.6' });
  });
  const result = difference(sample, after);
  assert.equal(result.removed, []);
  assert.equal(result.changed, [{ id: 'u43', changes: [{ key: 'match', from: ['10.0.0.6'], to: [] }] }]);
});

test('the guard counts removals, but not those of expired classes', () => {
  const tree = (ids: readonly string[]): ClassTree => treeOf(documentOf(...ids.map((id) => ({ id }))));
  const ids = Array.from({ length: 100 }, (_, i) => `u${i}`);
  const without = (count: number) => difference(tree(ids), tree(ids.slice(count)));
  assert.is(refusal(without(10), 100, 10, NOBODY), null);
  assert.equal(refusal(without(11), 100, 10, NOBODY), { removed: 11, total: 100, percent: 10 });
  assert.is(refusal(without(11), 100, 10, new Set(['u3'])), null);
  assert.is(refusal(without(100), 100, 100, NOBODY), null);
  assert.equal(refusal(without(1), 100, 0, NOBODY), { removed: 1, total: 100, percent: 0 });
  assert.is(refusal(difference(null, tree(ids)), 0, 10, NOBODY), null);
  const moved = edited((classes) => {
    for (const spec of classes.slice(1)) spec.parent = 'uplink';
    classes[4]!.down = { ceil: '2gbit' };
  });
  assert.is(refusal(difference(sample, moved), 5, 0, NOBODY), null);
});

test('the document for programs', () => {
  const after = edited((classes) => {
    classes.splice(1, 1);
    for (const spec of classes.slice(1)) spec.parent = 'uplink';
  });
  const document = JSON.parse(JSON.stringify(differenceDocument(difference(sample, after))));
  assert.equal(document.counts, { added: 0, removed: 1, moved: 2, changed: 0, settings: 0, unchanged: 2 });
  assert.equal(document.removed, [
    { id: 'house', parent: 'uplink', down: { rate: '1gbit', ceil: '2gbit', quantum: '3000b' } },
  ]);
  assert.equal(document.moved[0], { id: 'u42', from: 'house', to: 'uplink' });
  assert.equal(document.changed, []);
});

test('an added class is told in the keys of the tree file, and read back it is the same', () => {
  const { added } = differenceDocument(difference(null, sample)) as { added: unknown[] };
  assert.equal(parseClassTree({ version: 1, classes: added }).tree!.classes, sample.classes);
});

test('random edits: the lists are those of a comparison by id', () => {
  const random = seededRandom('differences');
  for (let round = 0; round < 300; round++) {
    const make = (): Record<string, unknown>[] => {
      const classes: Record<string, unknown>[] = [{ id: 'a' }, { id: 'b' }];
      for (let i = 0; i < 20; i++) {
        if (random() < 0.2) continue;
        const at = random() < 0.9 ? classes.length : below(random, classes.length + 1);
        classes.splice(at, 0, {
          id: `u${i}`,
          parent: random() < 0.8 ? 'a' : 'b',
          limit: random() < 0.8 ? 10 : 20,
        });
      }
      return classes;
    };
    const before = make();
    const after = make();
    const result = difference(treeOf(documentOf(...before)), treeOf(documentOf(...after)));
    const find = (classes: Record<string, unknown>[], id: unknown) => classes.find((spec) => spec.id === id);
    const idsOf = (list: readonly { readonly id: string }[]): unknown[] => list.map(({ id }) => id).sort();
    const where = (
      classes: Record<string, unknown>[],
      holds: (spec: Record<string, unknown>) => boolean,
    ): unknown[] =>
      classes
        .filter(holds)
        .map(({ id }) => id)
        .sort();
    assert.equal(
      idsOf(result.added),
      where(after, ({ id }) => find(before, id) === undefined),
    );
    assert.equal(
      idsOf(result.removed),
      where(before, ({ id }) => find(after, id) === undefined),
    );
    const both = (key: string) =>
      where(
        after,
        (spec) => find(before, spec.id) !== undefined && find(before, spec.id)![key] !== spec[key],
      );
    assert.equal(idsOf(result.moved), both('parent'));
    assert.equal(idsOf(result.changed), both('limit'));
    const touched = new Set([...both('parent'), ...both('limit')]);
    assert.is(result.unchanged, after.length - result.added.length - touched.size);
  }
});

test('24,000 equal classes that are other objects', () => {
  const document = (): unknown =>
    documentOf(
      ...Array.from({ length: 24_000 }, (_, i) => ({
        id: `u${i}`,
        match: `10.0.${i >> 8}.${i & 255}`,
        down: { rate: 1e6 },
      })),
    );
  const before = treeOf(document());
  const after = treeOf(document());
  const startMs = performance.now();
  const result = difference(before, after);
  console.log(`24,000 equal classes compared in ${(performance.now() - startMs).toFixed(1)} ms`);
  assert.is(result.unchanged, 24_000);
});

test.run();
