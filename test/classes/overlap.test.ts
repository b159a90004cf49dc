import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ClassSpec, PrefixSpec } from '../../classes/model.js';
import { comparePrefixes, findOverlaps } from '../../classes/overlap.js';
import { parsePrefix } from '../../classes/prefix.js';
import { below, seededRandom } from './random.js';

function prefixOf(text: string): PrefixSpec {
  const parsed = parsePrefix(text);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed.prefix;
}

function specOf(id: string, ...match: string[]): ClassSpec {
  const parts = { parent: null, queue: {}, down: null, up: null };
  return { id, match: match.map(prefixOf), ...parts };
}

function linesOf(classes: readonly ClassSpec[]): string[] {
  return findOverlaps(classes).map(
    ({ classIndex, prefix, count, innerIndex, inner }) =>
      `${classes[classIndex]!.id} ${prefix.text} ${count} ${classes[innerIndex]!.id} ${inner.text}`,
  );
}

/** Every pair is looked at: the nearest prefix around each one, if another class has it. */
function slowly(classes: readonly ClassSpec[]): string[] {
  const all = classes.flatMap(({ id, match }) => match.map((prefix) => ({ id, prefix })));
  all.sort((a, b) => comparePrefixes(a.prefix, b.prefix));
  const inside = new Map<(typeof all)[number], typeof all>();
  for (const inner of all) {
    const around = all.filter((outer) => outer !== inner && containsSlowly(outer.prefix, inner.prefix));
    const nearest = around.reduce<(typeof all)[number] | null>(
      (best, one) => (best === null || one.prefix.length > best.prefix.length ? one : best),
      null,
    );
    if (nearest !== null && nearest.id !== inner.id)
      inside.set(nearest, [...(inside.get(nearest) ?? []), inner]);
  }
  return all
    .filter((outer) => inside.has(outer))
    .map((outer) => {
      const inners = inside.get(outer)!;
      return `${outer.id} ${outer.prefix.text} ${inners.length} ${inners[0]!.id} ${inners[0]!.prefix.text}`;
    });
}

function containsSlowly(outer: PrefixSpec, inner: PrefixSpec): boolean {
  const bits = ({ words }: PrefixSpec): string =>
    words.map((word) => (word >>> 0).toString(2).padStart(32, '0')).join('');
  return (
    outer.family === inner.family &&
    outer.length <= inner.length &&
    bits(outer).slice(0, outer.length) === bits(inner).slice(0, outer.length)
  );
}

const test = suite('overlap');

test('one line for a prefix around many, the nearest one counts, the own class does not', () => {
  const classes = [
    specOf('host', '10.1.0.1', '10.1.0.2', '192.0.2.1'),
    specOf('wide', '10.0.0.0/8'),
    specOf('site', '10.1.0.0/16', '10.1.1.0/24'),
    specOf('six', '2001:db8::/32', '2001:db8:1::/48'),
    specOf('other', '2001:db8:1:2::/64'),
  ];
  assert.equal(linesOf(classes), [
    'wide 10.0.0.0/8 1 site 10.1.0.0/16',
    'site 10.1.0.0/16 2 host 10.1.0.1',
    'six 2001:db8:1::/48 1 other 2001:db8:1:2::/64',
  ]);
});

test('prefixes side by side, at both ends of the address space, and all of it', () => {
  assert.equal(
    linesOf([specOf('a', '10.0.0.0/9'), specOf('b', '10.128.0.0/9'), specOf('c', '9.0.0.0/8')]),
    [],
  );
  assert.equal(
    linesOf([specOf('a', '0.0.0.0/0', '::/0'), specOf('b', '255.255.255.255', '0.0.0.0', 'ffff::1')]),
    ['a 0.0.0.0/0 2 b 0.0.0.0', 'a ::/0 1 b ffff::1'],
  );
  assert.equal(linesOf([]), []);
});

test('random prefixes: the same as by comparing all pairs', () => {
  const random = seededRandom('overlapping prefixes');
  for (let round = 0; round < 200; round++) {
    const seen = new Set<string>();
    const classes = Array.from({ length: 1 + below(random, 12) }, (_, index) => {
      const match: string[] = [];
      for (let count = below(random, 6); count > 0; count--) {
        const isSix = random() < 0.4;
        const octet = (): number => (random() < 0.5 ? 0 : below(random, 2) * 255);
        const text = isSix
          ? `2001:db8:${below(random, 2)}:${below(random, 3)}::${below(random, 3)}/${[0, 31, 32, 33, 48, 63, 64, 65, 128][below(random, 9)]}`
          : `${octet()}.${octet()}.${below(random, 3)}.${below(random, 4)}/${[0, 1, 8, 15, 16, 24, 30, 31, 32][below(random, 9)]}`;
        const prefix = prefixOf(text);
        if (!seen.has(prefix.text)) match.push(prefix.text);
        seen.add(prefix.text);
      }
      return specOf(`c${index}`, ...match);
    });
    assert.equal(linesOf(classes), slowly(classes));
  }
});

test('a wide prefix around 24,000 hosts is one', () => {
  const hosts = Array.from({ length: 24_000 }, (_, i) => specOf(`u${i}`, `10.0.${i >> 8}.${i & 255}`));
  assert.equal(linesOf([...hosts, specOf('all', '10.0.0.0/8')]), ['all 10.0.0.0/8 24000 u0 10.0.0.0']);
});

test.run();
