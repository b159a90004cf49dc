import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseClassTree } from '../../classes/validate.js';
import { chain, documentOf, linesOf } from './documents.js';

/** Asserts that the classes yield exactly these lines, in any order. */
function expectLines(classes: unknown[], ...lines: string[]): void {
  const result = parseClassTree(documentOf(...classes));
  assert.equal(linesOf(result).sort(), [...lines].sort());
  assert.is(
    result.tree === null,
    lines.some((line) => line.startsWith('error')),
  );
}

function expectTop(value: unknown, line: string): void {
  assert.equal(linesOf(parseClassTree(value)), [line]);
}

const mbit = { rate: '1mbit' };
const test = suite('validate');

test('top level', () => {
  expectTop(null, 'error: a class tree must be a map with version and classes, not null');
  expectTop([], 'error: a class tree must be a map with version and classes, not a list');
  expectTop({ classes: [] }, 'error: version: is missing; this version reads 1');
  expectTop({ version: '1', classes: [] }, 'error: version: must be 1, not "1"');
  expectTop({ version: 1 }, 'error: classes: is missing');
  expectTop({ version: 1, classes: {} }, 'error: classes: must be a list, not a map');
  expectTop(
    { version: 1, classes: [], clases: 1 },
    "error: clases: is not a known key; did you mean 'classes'?",
  );
  expectTop(
    { version: 1, classes: [], mpu: 1501 },
    'error: mpu: must be a whole number from 0 to 1500, not 1501',
  );
  expectTop(
    { version: 1, classes: [], overhead: -65 },
    'error: overhead: must be a whole number from -64 to 256, not -65',
  );
  expectTop({ version: 1, classes: [], default: 5 }, 'error: default: must be the id of a class, not 5');
  expectTop({ version: 1, classes: [], default: 'x' }, 'error: default: "x" is not the id of a class');
  assert.is.not(parseClassTree({ version: 1, classes: [] }).tree, null);
});

test('default that is no leaf', () => {
  const value = { version: 1, default: 'a', classes: [{ id: 'a' }, { id: 'b', parent: 'a' }] };
  expectTop(value, 'error: default: "a" has children; only a leaf holds packets');
});

test('id: missing, empty, no string, too long, control character, twice', () => {
  expectLines([{}], 'error: classes[0].id: is missing');
  expectLines([{ id: '' }], 'error: classes[0].id: is empty');
  expectLines([{ id: 42 }], 'error: classes[0].id: must be a string; write "42" in quotes');
  expectLines([{ id: null }], 'error: classes[0].id: must be a string, not null');
  expectLines([{ id: 'x'.repeat(129) }], 'error: classes[0].id: is longer than 128 characters');
  expectLines([{ id: 'a\nb' }], 'error: classes[0].id: "a\\nb" contains a control character');
  expectLines(
    [{ id: 'a' }, { id: 'a' }],
    "error: class 'a': id: is used twice, by classes[0] and classes[1]",
  );
});

test('an unusable id does not hide the other faults of its class', () => {
  expectLines(
    [{ id: 'a' }, { down: { rate: 'x' } }],
    'error: classes[1].id: is missing',
    'error: classes[1].down.rate: "x" is not a rate such as "10mbit" or a number of bit/s',
  );
});

test('a class that is no map', () => {
  expectLines([null], 'error: classes[0]: must be a map with an id, not null');
  expectLines([{ id: 'a' }, 'a'], 'error: classes[1]: must be a map with an id, not "a"');
});

test('unknown parent, parent of a wrong type', () => {
  expectLines([{ id: 'a', parent: 'x' }], `error: class 'a': parent: "x" is not the id of a class`);
  expectLines([{ id: 'a', parent: 7 }], "error: class 'a': parent: must be the id of a class, not 7");
});

test('cycles are reported once each, with their members, from the first in the file', () => {
  expectLines([{ id: 'a', parent: 'a' }], "error: class 'a': parent: is the class itself");
  expectLines(
    [
      { id: 'tail', parent: 'c' },
      { id: 'b', parent: 'c' },
      { id: 'c', parent: 'd' },
      { id: 'd', parent: 'b' },
      { id: 'tail2', parent: 'tail' },
      { id: 'x', parent: 'y' },
      { id: 'y', parent: 'x' },
    ],
    "error: class 'b': parent: closes a cycle, each the child of the next: 'b', 'c', 'd', 'b'",
    "error: class 'x': parent: closes a cycle, each the child of the next: 'x', 'y', 'x'",
  );
  const ring = chain(100) as { parent?: string }[];
  ring[0]!.parent = 'c100';
  const lines = linesOf(parseClassTree(documentOf(...ring)));
  assert.is(lines.length, 1);
  assert.match(lines[0]!, /'c1', 'c100', 'c99', .*… \(84 more\), 'c1'$/);
});

test('depth: 16 and 32 levels pass, 33 do not', () => {
  expectLines(chain(16));
  expectLines(chain(32));
  expectLines(chain(40), "error: class 'c33': parent: puts the class on level 33; a tree may have 32 levels");
  expectLines(
    chain(33).reverse(),
    "error: class 'c33': parent: puts the class on level 33; a tree may have 32 levels",
  );
});

test('match: duplicates name both classes', () => {
  expectLines(
    [
      { id: 'a', match: ['10.0.0.1', '10.0.0.1/32'] },
      { id: 'b', match: '10.0.0.1' },
      { id: 'c', match: ['2001:db8::/48'] },
      { match: '2001:DB8:0::/48' },
    ],
    "error: class 'a': match[1]: 10.0.0.1 is matched by this class already",
    "error: class 'b': match: 10.0.0.1 is matched by class 'a' already",
    'error: classes[3].id: is missing',
    "error: classes[3].match: 2001:db8::/48 is matched by class 'c' already",
  );
});

test('match: unparsable, wrong types, host bits', () => {
  const expected = 'must be an address or prefix such as "10.0.0.5" or "2001:db8::/56"';
  expectLines(
    [
      { id: 'a', match: ['10.0.0.1', 'x', 5, null] },
      { id: 'b', match: 10.5 },
    ],
    `error: class 'a': match[1]: "x" is not an IPv4 or IPv6 address or prefix`,
    `error: class 'a': match[2]: ${expected}, not 5`,
    `error: class 'a': match[3]: ${expected}, not null`,
    `error: class 'b': match: ${expected}, not 10.5`,
  );
  expectLines(
    [{ id: 'a', match: '10.0.0.1/24' }],
    `warning: class 'a': match: "10.0.0.1/24" has bits set after its length; read as 10.0.0.0/24`,
  );
  expectLines(
    [
      { id: 'a', match: '10.0.0.1' },
      { id: 'b', parent: 'a' },
    ],
    "error: class 'a': match: stands at a class with children; only a leaf holds packets",
  );
});

test('unknown keys, with a hint where one is close', () => {
  expectLines(
    [{ id: 'a', Match: '10.0.0.1', colour: 1, ab: 1, 'x\ny': 1, down: { rate: 1e6, brust: 1, zz: 2 } }],
    "error: class 'a': Match: is not a known key; did you mean 'match'?",
    "error: class 'a': colour: is not a known key",
    "error: class 'a': ab: is not a known key",
    `error: class 'a': "x\\ny": is not a known key`,
    "error: class 'a': down.brust: is not a known key; did you mean 'burst'?",
    "error: class 'a': down.zz: is not a known key",
  );
});

test('rates and sizes that do not parse', () => {
  expectLines(
    [{ id: 'a', limitBytes: '5x', down: { rate: '10mbt', ceil: -5, burst: 'a', cburst: [], quantum: {} } }],
    `error: class 'a': limitBytes: "5x" has the unknown unit "x"`,
    `error: class 'a': down.rate: "10mbt" has the unknown unit "mbt"`,
    "error: class 'a': down.ceil: -5 is negative",
    `error: class 'a': down.burst: "a" is not a size such as "64kb" or a number of bytes`,
    `error: class 'a': down.cburst: must be a size such as "64kb" or a number of bytes, not a list`,
    `error: class 'a': down.quantum: must be a size such as "64kb" or a number of bytes, not a map`,
  );
});

test('ceil below rate, nothing at all, no rate', () => {
  expectLines(
    [{ id: 'a', up: { rate: '2mbit', ceil: '1mbit' } }],
    `error: class 'a': up.ceil: "1mbit" is below the rate, 2mbit`,
  );
  expectLines([{ id: 'a', up: { rate: 0 } }], "error: class 'a': up.rate: is 0, which lets nothing through");
  expectLines(
    [{ id: 'a', up: { burst: 3000 } }],
    "error: class 'a': up: needs a rate, a ceil or both; leave the key out to set no limit",
  );
  for (const value of [null, 'x', 5, []]) {
    const [line] = linesOf(parseClassTree(documentOf({ id: 'a', up: value })));
    assert.match(line!, /^error: class 'a': up: must be a map with a rate, not /);
  }
});

test('prio, quantum and limit out of range or of a wrong type', () => {
  expectLines(
    [
      { id: 'a', limit: 0, down: { ...mbit, prio: 8 }, up: { ...mbit, prio: '3', quantum: 59 } },
      { id: 'b', limit: 1.5, down: { ...mbit, prio: -1, quantum: '10mb' } },
    ],
    "error: class 'a': limit: must be a whole number from 1 to 1000000, not 0",
    "error: class 'a': down.prio: must be a whole number from 0 to 7, not 8",
    `error: class 'a': up.prio: must be a whole number from 0 to 7, not "3"`,
    "error: class 'a': up.quantum: 59 is not from 60 to 10000000 bytes",
    "error: class 'b': limit: must be a whole number from 1 to 1000000, not 1.5",
    "error: class 'b': down.prio: must be a whole number from 0 to 7, not -1",
    `error: class 'b': down.quantum: "10mb" is not from 60 to 10000000 bytes`,
  );
});

test('more classes than a tree may have', () => {
  const value = { version: 1, classes: new Array(2 ** 20 + 1) };
  expectTop(value, 'error: classes: holds 1048577 classes; a tree may have 1048576');
});

test("children's assured rates above the parent's, per direction, through classes without the direction", () => {
  expectLines(
    [
      { id: 'root', down: { rate: '10mbit' }, up: { rate: '10mbit' } },
      { id: 'group', parent: 'root', up: { rate: '10mbit' } },
      { id: 'a', parent: 'group', down: { rate: '6mbit' }, up: { rate: '5mbit' } },
      { id: 'b', parent: 'group', down: { rate: '5mbit' }, up: { rate: '5mbit' } },
    ],
    "warning: class 'root': down.rate: the children's assured rates add up to 11mbit, above this 10mbit",
  );
});

test('a root with ceil above rate, a ceil above the nearest limit', () => {
  expectLines(
    [
      { id: 'root', down: { rate: '10mbit', ceil: '20mbit' } },
      { id: 'group', parent: 'root' },
      { id: 'a', parent: 'group', down: { rate: '1mbit', ceil: '21mbit' } },
      { id: 'free' },
      { id: 'b', parent: 'free', down: { rate: '1mbit', ceil: '21mbit' } },
    ],
    "warning: class 'root': down.ceil: 20mbit is above the rate, 10mbit, but a root has nobody to borrow from",
    "warning: class 'a': down.ceil: 21mbit is above 20mbit, the ceil of class 'root'",
  );
});

test('a direction that cannot be read causes no warnings of its own', () => {
  expectLines(
    [
      { id: 'root', down: { rate: 'x', ceil: '1mbit' } },
      { id: 'a', parent: 'root', down: { rate: '5mbit' } },
    ],
    `error: class 'root': down.rate: "x" is not a rate such as "10mbit" or a number of bit/s`,
  );
});

test('all errors of a bad file at once', () => {
  const result = parseClassTree({
    version: 2,
    default: 'nobody',
    mpu: 'small',
    extra: true,
    classes: [
      { id: 'root', match: '10.9.9.9', down: { rate: '1gbit' } },
      { id: 'u1', parent: 'rot', match: ['10.0.0.1', 'bogus'] },
      { id: 'u1', parent: 'root', match: '10.0.0.1' },
      { id: 'u2', parent: 'root', down: { rate: '10mb', prio: 9 }, up: { rate: 5, ceil: 4 } },
      { id: 'c1', parent: 'c2' },
      { id: 'c2', parent: 'c1' },
      { parent: 'root', limit: -1, leaf: 'sfq' },
      [],
      { id: 'u3', parent: 'root', rate: 5, down: { cell: '1mbit', burst: '1x', quantum: 1 } },
      { id: 'u4', parent: 'root', down: { rate: '2gbit' } },
    ],
  });
  assert.is(result.tree, null);
  const errors = result.problems.filter((problem) => problem.severity === 'error');
  assert.equal(errors.map((problem) => `${problem.classId ?? ''} ${problem.key}`).sort(), [
    ' classes[6].id',
    ' classes[6].leaf',
    ' classes[6].limit',
    ' classes[7]',
    ' default',
    ' extra',
    ' mpu',
    ' version',
    'c1 parent',
    'root match',
    'u1 id',
    'u1 match',
    'u1 match[1]',
    'u1 parent',
    'u2 down.prio',
    'u2 down.rate',
    'u2 up.ceil',
    'u3 down',
    'u3 down.burst',
    'u3 down.cell',
    'u3 down.quantum',
    'u3 rate',
  ]);
  const warnings = result.problems.filter((problem) => problem.severity === 'warning');
  assert.equal(warnings.map((problem) => `${problem.classId} ${problem.key}`).sort(), [
    'root down.rate',
    'u4 down.ceil',
  ]);
});

test.run();
