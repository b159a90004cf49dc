import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { weir } from './weir.js';

const test = suite('weir');

test('--version prints the package version', () => {
  const file = new URL('../../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  assert.equal(weir('--version'), { code: 0, stdout: `${version}\n`, stderr: '' });
});

test('help lists the verbs', () => {
  const { code, stdout, stderr } = weir('help');
  assert.is(code, 0);
  assert.is(stderr, '');
  for (const verb of ['sim', 'bench']) assert.match(stdout, new RegExp(`^  ${verb} `, 'm'));
});

const MISUSES: readonly (readonly [string[], string])[] = [
  [[], "a verb is needed; 'weir help' lists them"],
  [['frobnicate'], "unknown command 'frobnicate'"],
  [['sim'], "missing required argument 'scenario'"],
  [['sim', '--jsn', 'x.json'], "unknown option '--jsn' (Did you mean --json?)"],
  [['bench'], "a verb is needed; 'weir bench help' lists them"],
  [['classes'], "a verb is needed; 'weir classes help' lists them"],
  [['bench', 'nothing'], "unknown command 'nothing'"],
  [['bench', 'core', '--classes', 'many'], "--classes: 'many' is not a number from 1 to 1000000"],
  [['bench', 'core', '--classes', '1.5'], "--classes: '1.5' is not a whole number"],
  [['bench', 'core', '--throttled', '2'], "--throttled: '2' is not a number from 0 to 1"],
  [['bench', 'core', '--seconds', '0'], '--seconds: must be above 0'],
  [['bench', 'flows', '--prefixes', '-1'], "--prefixes: '-1' is not a number from 1 to 1000000"],
];

for (const [args, message] of MISUSES) {
  test(`weir ${args.join(' ')}: a usage error in one line`, () => {
    assert.equal(weir(...args), { code: 2, stdout: '', stderr: `weir: E_USAGE: ${message}\n` });
  });
}

test('bench core prints one JSON document', () => {
  const { code, stdout, stderr } = weir('bench', 'core', '--classes', '64', '--seconds', '0.05', '--json');
  assert.is(code, 0);
  assert.is(stderr, '');
  const { bench, classes, throttled } = JSON.parse(stdout) as {
    bench: string;
    classes: number;
    throttled: number;
  };
  assert.equal([bench, classes, throttled], ['core', 64, 0]);
});

test('bench flows prints lines for people', () => {
  const { code, stdout } = weir(
    'bench',
    'flows',
    '--flows',
    '2000',
    '--prefixes',
    '100',
    '--seconds',
    '0.05',
  );
  assert.is(code, 0);
  assert.match(stdout, /^weir bench flows: .+\n {2}flows +2,000\n/);
  assert.match(stdout, /│ weir fq_codel +│ [\d.,]+ /);
});

test.run();
