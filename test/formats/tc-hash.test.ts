import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type HashNode, isTable, spreadGroups } from '../../classes/formats/tc-hash.js';
import type { PrefixSpec } from '../../classes/prefix.js';

const test = suite('hash tables of u32');

interface Item {
  readonly prefix: PrefixSpec;
}

function host(...octets: number[]): Item {
  const text = octets.join('.');
  const word = octets.reduce((sum, octet) => (sum << 8) | octet, 0);
  return { prefix: { family: 4, words: [word], length: 32, text } };
}

function host6(...words: number[]): Item {
  return { prefix: { family: 6, words: [...words, 0], length: 128, text: words.join(':') } };
}

interface Shape {
  tables: number;
  longest: number;
  readonly texts: string[];
}

/** Goes through a node, and looks whether the kernel would find each item in its bucket. */
function look(node: HashNode<Item>, shape: Shape): Shape {
  if (!isTable(node)) {
    shape.longest = Math.max(shape.longest, node.length);
    shape.texts.push(...node.map(({ prefix }) => prefix.text));
    return shape;
  }
  shape.tables++;
  const { word, shift, bits } = node.window;
  for (const [bucket, below] of node.buckets) {
    assert.ok(bucket < 256);
    for (const { prefix } of itemsOf(below)) {
      assert.is(Math.floor((prefix.words[word]! >>> 0) / 2 ** shift) % 2 ** bits, bucket, prefix.text);
    }
    look(below, shape);
  }
  return shape;
}

function itemsOf(node: HashNode<Item>): readonly Item[] {
  return isTable(node) ? [...node.buckets.values()].flatMap(itemsOf) : node;
}

function shapeOf(items: readonly Item[]): Shape {
  const shape = look(spreadGroups([items])[0]!, { tables: 0, longest: 0, texts: [] });
  assert.equal(shape.texts.sort(), items.map(({ prefix }) => prefix.text).sort());
  return shape;
}

test('a few stay a list, more go by their last octet, many by two', () => {
  const shape = (count: number): number[] => {
    const { tables, longest } = shapeOf(
      Array.from({ length: count }, (_, i) => host(10, i >> 16, (i >> 8) & 255, i & 255)),
    );
    return [tables, longest];
  };
  assert.equal(shape(32), [0, 32]);
  assert.equal(shape(33), [1, 1]);
  assert.equal(shape(8192), [1, 32]);
  assert.equal(shape(24_576), [257, 6]);
});

test('what the last octet does not tell apart goes by another', () => {
  const { tables, longest } = shapeOf(Array.from({ length: 2049 }, (_, i) => host(10, i >> 8, i & 255, 1)));
  assert.equal([tables, longest], [1, 9]);
});

test('with as many tables as a device may have, lists grow', () => {
  // Octets so far apart that no table looks at two of them: 2,551 tables would tell all of these apart.
  const values = Array.from({ length: 50 }, (_, i) => i);
  const items = values.flatMap((x) => values.flatMap((y) => values.map((z) => host6(x, y, z))));
  const { tables, longest } = shapeOf(items);
  assert.equal([tables, longest], [51, 50]);
});

test.run();
