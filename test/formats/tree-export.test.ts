/** Tree files written and read back: the same tree, in the words an operator would use. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeTreeFile } from '../../classes/formats/tree-export.js';
import type { ClassTree } from '../../classes/model.js';
import { readClassTreeText } from '../../classes/tree-file.js';
import { documentOf, linesOf, sampleDocument, treeOf } from '../classes/documents.js';
import { below, seededRandom } from '../classes/random.js';
import { expectSameTree, randomTree } from './random-tree.js';

const test = suite('tree files written');
const FORMATS = ['json', 'yaml'] as const;

function textOf(tree: ClassTree, format: 'json' | 'yaml'): string {
  return [...writeTreeFile(tree, format)].join('');
}

function expectSame(tree: ClassTree): void {
  for (const format of FORMATS) {
    const text = textOf(tree, format);
    const result = readClassTreeText(text, format);
    assert.is.not(result.tree, null, `${linesOf(result).join('\n')}\n${text.slice(0, 2000)}`);
    expectSameTree(result.tree!, tree);
  }
}

test('reads back what it writes: the sample, an empty tree, random trees', () => {
  expectSame(treeOf(sampleDocument()));
  expectSame(treeOf(documentOf()));
  const random = seededRandom('trees through files');
  for (let round = 0; round < 40; round++) {
    expectSame(
      randomTree(random, {
        rich: round % 2 === 0,
        inner: 1 + below(random, 6),
        leaves: 6 + below(random, 40),
        depthMax: 6,
      }),
    );
  }
});

test('keeps ids that look like something else', () => {
  const ids = [
    '10',
    '1e5',
    '0x1f',
    '1:10',
    'null',
    'TRUE',
    'no',
    '~',
    '- a',
    'a: b',
    'a #b',
    '"q"',
    "it's",
    '[x]',
    '{y}',
    '&a',
    '*a',
    '!t',
    '%d',
    '@x',
    '`',
    '|',
    '>',
    '?',
    ' blank ',
    'Süd',
    '\u2028',
    '\ufeffx',
    '12mbit',
    '1_000',
    '.inf',
    '=',
    '<<',
    '10.0.0.1',
    '2001-01-01',
    '\ud83d\ude00',
    '__proto__',
  ];
  expectSame(
    treeOf(
      documentOf(...ids.map((id, i) => ({ id, ...(i > 0 ? { parent: ids[0] } : {}), down: { rate: 1e6 } }))),
    ),
  );
});

test('leaves defaults out, and writes rates as people do', () => {
  const tree = treeOf(
    documentOf(
      {
        id: 'up',
        down: { rate: '1gbit', ceil: '1gbit', burst: 126600, quantum: 200000, prio: 0 },
      },
      {
        id: 'u',
        parent: 'up',
        match: ['10.0.0.5', '2001:db8::/56'],
        down: { ceil: '2500kbit', cburst: '64kb' },
        up: { rate: 1001, quantum: 60 },
      },
    ),
  );
  assert.is(
    textOf(tree, 'yaml'),
    `version: 1
classes:
  - id: up
    down: { rate: 1gbit }
  - id: u
    parent: up
    match: [10.0.0.5, "2001:db8::/56"]
    down: { ceil: 2500kbit, cburst: 64kb }
    up: { rate: 1001bit, quantum: 60b }
`,
  );
  assert.is(
    textOf(tree, 'json'),
    `{
  "version": 1,
  "classes": [
    { "id": "up", "down": { "rate": "1gbit" } },
    { "id": "u", "parent": "up", "match": ["10.0.0.5", "2001:db8::/56"], "down": { "ceil": "2500kbit", "cburst": "64kb" }, "up": { "rate": "1001bit", "quantum": "60b" } }
  ]
}
`,
  );
});

test('hands a large tree out in chunks', () => {
  const tree = treeOf(
    documentOf(...Array.from({ length: 20_000 }, (_, i) => ({ id: `u${i}`, down: { rate: 1e6 } }))),
  );
  for (const format of FORMATS) {
    const chunks = [...writeTreeFile(tree, format)];
    assert.ok(chunks.length > 5, `${chunks.length} chunks`);
    assert.ok(chunks.every((chunk) => chunk.length < 70_000));
  }
  assert.equal(readClassTreeText(textOf(tree, 'json'), 'json').tree, tree);
});

test.run();
