import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { placeOf, scanJson } from '../../classes/json-text.js';
import { below, seededRandom } from './random.js';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const SAMPLE = `{"a": [1, -0.5e+3, 2E-2, 0, true, false, null, "x\\u00e9\\n\\"", {}, []],\r\n\t"b": {"c": {"d": "é"}}, "": ""}`;
const PIECES = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '0',
  '1',
  '.',
  '-',
  'e',
  't',
  'true',
  ' ',
  '\n',
  '\u0001',
  'é',
];

const test = suite('json-text');

test('accepts what JSON.parse accepts, and nothing else, under random mutations', () => {
  const random = seededRandom('json-text');
  let accepted = 0;
  for (let i = 0; i < 60_000; i++) {
    let text = SAMPLE;
    for (let edit = below(random, 4); edit >= 0; edit--) {
      const at = below(random, text.length + 1);
      const piece = random() < 0.3 ? '' : PIECES[below(random, PIECES.length)]!;
      text = text.slice(0, at) + piece + text.slice(at + below(random, 3));
    }
    const valid = isJson(text);
    if (valid) accepted++;
    assert.is(scanJson(text).fault === null, valid, text);
  }
  assert.ok(accepted > 1000, 'the mutations must leave some texts valid');
});

test('points at the character that does not fit', () => {
  const cases: [string, number, RegExp][] = [
    ['', 0, /the text ends where a value/],
    ['{"a": 1,}', 8, /found "}" where a key/],
    ['[1 2]', 3, /found "2" where ','/],
    ['{"a" 1}', 5, /':'/],
    ['[01]', 2, /','/],
    ['[1.]', 3, /a value/],
    ['["a\nb"]', 3, /string/],
    ['["a\\x"]', 3, /string/],
    ['{"a": nul}', 6, /a value/],
    ['[] []', 3, /nothing more/],
    ['["abc', 5, /the text ends/],
  ];
  for (const [text, offset, message] of cases) {
    const fault = scanJson(text).fault!;
    assert.is(fault.offset, offset, text);
    assert.match(fault.message, message);
  }
});

test('finds keys that stand twice in one object, only there, escapes resolved', () => {
  const { duplicates } = scanJson('{"a":1,"b":{"a":2,"c":[{"a":1},{"a":1}],"c":3},"\\u0061":4,"x":"b"}');
  assert.equal(duplicates, [
    { offset: 40, key: 'c' },
    { offset: 47, key: 'a' },
  ]);
});

test('keys of closed objects are forgotten, those of the object around them are not', () => {
  const { duplicates } = scanJson('{"x":{"a":1,"b":2},"y":{"b":1,"a":2},"x":1,"y":1}');
  assert.equal(duplicates, [
    { offset: 37, key: 'x' },
    { offset: 43, key: 'y' },
  ]);
});

test('nesting is not bounded by the stack', () => {
  const depth = 200_000;
  assert.is(scanJson('['.repeat(depth) + ']'.repeat(depth)).fault, null);
});

test('places count lines and columns from one', () => {
  assert.is(placeOf('ab\ncd\n', 0), 'line 1, column 1');
  assert.is(placeOf('ab\ncd\n', 2), 'line 1, column 3');
  assert.is(placeOf('ab\ncd\n', 4), 'line 2, column 2');
  assert.is(placeOf('ab\ncd\n', 6), 'line 3, column 1');
});

test.run();
