import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { weir } from './weir.js';

const test = suite('weir sim');
const folder = mkdtempSync(join(tmpdir(), 'weir-sim-'));
test.after(() => rmSync(folder, { recursive: true }));

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const GOOD = {
  seconds: 0.2,
  classes: {
    version: 1,
    classes: [
      { id: 'up', down: { rate: '10mbit' } },
      { id: 'u42', parent: 'up', leaf: 'fq_codel', down: { rate: '1mbit', ceil: '5mbit' } },
    ],
  },
  flows: [{ class: 'u42', direction: 'down', offered: '20mbit' }],
};

test('prints a table', () => {
  const { code, stdout } = weir('sim', file('good.json', GOOD));
  assert.is(code, 0);
  assert.match(stdout, /^1 queue, 0\.2 s of virtual time, seed 1\n\nclass +dir +offered +goodput +of ceil/);
  assert.match(stdout, /\nup +down .* 5\d\.\d %/);
  assert.match(stdout, /\n {2}u42 +down .* 10\d\.\d % .* ms\n$/);
});

test('--json prints one document on stdout; warnings go to stderr', () => {
  const [up, user] = GOOD.classes.classes;
  const classes = [{ ...up, down: { rate: '10mbit', ceil: '20mbit' } }, user];
  const path = file('warned.json', { ...GOOD, classes: { version: 1, classes } });
  const { code, stdout, stderr } = weir('sim', path, '--json');
  assert.is(code, 0);
  assert.is(
    stderr,
    `weir: W_SCENARIO: ${path}: classes: class 'up': down.ceil: 20mbit is above the rate, 10mbit, but a root has nobody to borrow from\n`,
  );
  const result = JSON.parse(stdout) as {
    seconds: number;
    classes: Record<string, { down: Record<string, unknown> }>;
  };
  assert.is(result.seconds, 0.2);
  assert.equal(Object.keys(result.classes), ['up', 'u42']);
  for (const key of ['goodputBps', 'windowsBps', 'drops', 'delayMs'])
    assert.ok(key in result.classes.u42!.down, key);
  assert.is(stdout, `${JSON.stringify(result)}\n`);
  assert.is(weir('sim', '--json', path).stdout, stdout, 'the same bytes again');
});

test('a bad scenario is reported whole, one line for each problem', () => {
  const path = file('bad.json', {
    ...GOOD,
    queues: 'two',
    flows: [...GOOD.flows, { class: 'u43', direction: 'down', offered: '1mbit' }],
  });
  const { code, stdout, stderr } = weir('sim', path, '--json');
  assert.is(code, 2);
  assert.is(stdout, '');
  const lines = stderr.split('\n').filter((line) => line.startsWith('weir: E_'));
  assert.equal(lines, [
    `weir: E_SCENARIO: ${path}: queues: must be a whole number from 1 to 256, not "two"`,
    `weir: E_SCENARIO: ${path}: flows[1].class: no class "u43"`,
  ]);
});

test('a file that is no JSON, or is not there, is a usage error', () => {
  const syntax = file('syntax.json', '{\n  "queues": 1,\n}');
  assert.match(
    weir('sim', syntax).stderr,
    /^weir: E_SCENARIO_SYNTAX: .*syntax\.json: line 3, column 1: .*\n$/,
  );
  const twice = file('twice.json', '{ "queues": 1, "queues": 2 }');
  assert.match(
    weir('sim', twice).stderr,
    /^weir: E_SCENARIO_SYNTAX: .*twice\.json: .*queues stands twice in one map\n$/,
  );
  const missing = weir('sim', join(folder, 'missing.json'));
  assert.is(missing.code, 2);
  assert.match(missing.stderr, /^weir: E_SCENARIO_READ: .*missing\.json: ENOENT.*\n$/);
});

test.run();
