import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import { loadClassTreeFile, readClassTreeText, readText } from '../../classes/tree-file.js';
import { WeirError } from '../../src/errors.js';
import { linesOf, sampleDocument, treeOf } from './documents.js';

function lines(text: string, format: 'json' | 'yaml'): string[] {
  return linesOf(readClassTreeText(text, format));
}

const test = suite('tree-file');

test('JSON and YAML give the same tree, also after a byte order mark', () => {
  const expected = treeOf(sampleDocument());
  const json = JSON.stringify(sampleDocument(), null, 2);
  const yaml = stringify(sampleDocument());
  for (const mark of ['', '\ufeff']) {
    assert.equal(readClassTreeText(mark + json, 'json').tree, expected);
    assert.equal(readClassTreeText(mark + yaml, 'yaml').tree, expected);
    assert.equal(readClassTreeText(mark + json, 'yaml').tree, expected);
  }
});

test('a syntax error is one problem with line and column', () => {
  assert.equal(lines('{"version": 1,\n "classes": [,]}', 'json'), [
    `error: line 2, column 14: found "," where a value or ']' is expected`,
  ]);
  assert.equal(lines('', 'json'), ['error: line 1, column 1: the text ends where a value is expected']);
  const yaml = lines('version: 1\nclasses: [\n  {id: a\n', 'yaml');
  assert.is(yaml.length, 1);
  assert.match(yaml[0]!, /^error: line \d+, column \d+: \S/);
  assert.match(lines('version: 1\nclasses: *nowhere\n', 'yaml')[0]!, /^error: .*nowhere/);
});

test('an empty YAML text is no class tree', () => {
  assert.equal(lines('', 'yaml'), ['error: a class tree must be a map with version and classes, not null']);
});

test('a key that stands twice is an error in both formats, beside the other errors', () => {
  const json = '{"version": 1,\n "classes": [{"id": "a",\n  "leaf": "x", "id": "b"}]}';
  const twice = 'the key stands twice in one map';
  const leaf = `error: class 'b': leaf: "x" is not a leaf queue; known are pfifo, fq_codel and codel`;
  assert.equal(lines(json, 'json'), [`error: id: line 3, column 16: ${twice}`, leaf]);
  assert.is(readClassTreeText(json, 'json').tree, null);
  assert.is(readClassTreeText('{"version": 1, "classes": [], "version": 1}', 'json').tree, null);
  const yaml = lines('version: 1\nclasses:\n- id: a\n  leaf: x\n  id: b\n', 'yaml');
  assert.is(yaml.length, 2);
  assert.is(yaml[0], `error: id: line 5, column 3: ${twice}`);
  assert.match(yaml[1]!, /leaf: "x"/);
  const quotedYaml = lines('version: 1\nclasses: []\n"default": null\n"default": null\n', 'yaml');
  assert.equal(quotedYaml, [`error: default: line 4, column 1: ${twice}`]);
});

test('YAML anchors name a plan once, for any number of classes', () => {
  const users = Array.from({ length: 500 }, (_, i) => `- {id: u${i}, down: *plan}`).join('\n');
  const text = `version: 1\nclasses:\n- {id: first, down: &plan {rate: 10mbit}}\n${users}\n`;
  const tree = readClassTreeText(text, 'yaml').tree!;
  assert.is(tree.classes.length, 501);
  assert.is(tree.classes[500]!.down, tree.classes[0]!.down);
});

test('YAML of any kind never throws', () => {
  const texts = [
    'a: &a [*a]',
    '[[[[',
    '['.repeat(20_000),
    '? {a: b}\n: 1',
    'a: !!weird x',
    '--- 1\n--- 2',
    '\t- x',
    '%FOO',
    '&a *a',
    '{"__proto__": 1}',
    '&a [&b [*a, *a], *b, *b, *b]',
  ];
  for (const text of texts) {
    const result = readClassTreeText(text, 'yaml');
    assert.is(result.tree, null, text.slice(0, 40));
    for (const problem of result.problems) assert.not.match(problem.message, /\n/);
  }
});

test('why a file cannot be read is told in few words, with its path once', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-tree-'));
  try {
    writeFileSync(join(folder, 'a'), '');
    mkdirSync(join(folder, 'folder.yaml'));
    for (const [name, line] of [
      ['missing.json', 'there is no such file'],
      ['folder.yaml', 'is a folder, not a file'],
      ['a/tree.yaml', 'cannot be read: not a directory'],
    ] as const) {
      const path = join(folder, name);
      assert.throws(
        () => readText(path),
        (error: Error) => error.message === `${path}: ${line}`,
        line,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('files are read by their extension; one that cannot be read is wrong usage', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-tree-'));
  try {
    writeFileSync(join(folder, 'tree.json'), JSON.stringify(sampleDocument()));
    writeFileSync(join(folder, 'tree.YML'), stringify(sampleDocument()));
    writeFileSync(join(folder, 'tree.txt'), '{}');
    writeFileSync(join(folder, 'latin1.json'), Buffer.from([0x22, 0xe9, 0x22]));
    const expected = treeOf(sampleDocument());
    assert.equal(loadClassTreeFile(join(folder, 'tree.json')).tree, expected);
    assert.equal(loadClassTreeFile(join(folder, 'tree.YML')).tree, expected);
    assert.equal(linesOf(loadClassTreeFile(join(folder, 'latin1.json'))), ['error: the text is not UTF-8']);
    for (const [name, code] of [
      ['tree.txt', 'E_CLASSES_FORMAT'],
      ['missing.json', 'E_CLASSES_READ'],
    ] as const) {
      try {
        loadClassTreeFile(join(folder, name));
        assert.unreachable();
      } catch (error) {
        assert.instance(error, WeirError);
        assert.is((error as WeirError).code, code);
        assert.is((error as WeirError).exitCode, 2);
        assert.match((error as WeirError).message, name);
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
