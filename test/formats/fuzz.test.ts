/** Texts with random faults: readers of foreign formats never throw, and give a document exactly when they report no error. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeLibreqos } from '../../classes/formats/libreqos-export.js';
import { readLibreqos } from '../../classes/formats/libreqos-import.js';
import type { FormatResult } from '../../classes/formats/result.js';
import { writeTc } from '../../classes/formats/tc-export.js';
import { readTc } from '../../classes/formats/tc-import.js';
import { formatProblem } from '../../classes/model.js';
import { parseClassTree } from '../../classes/validate.js';
import { below, seededRandom } from '../classes/random.js';
import { randomTree } from './random-tree.js';

const test = suite('texts with random faults');
const ROUNDS = 400;
const SCRAPS = [
  '"',
  "'",
  ',',
  '\n',
  '\r\n',
  '#',
  '\\',
  '{',
  '}',
  ':',
  '-1',
  '1e400',
  '\u0000',
  '\ufeff',
  'parent',
  '1:',
  '/',
  ' dev ',
  '$X',
];

function damaged(text: string, random: () => number): string {
  let result = text;
  for (let count = 1 + below(random, 4); count > 0; count--) {
    const at = below(random, result.length + 1);
    const end = Math.min(result.length, at + below(random, 12));
    const scrap = SCRAPS[below(random, SCRAPS.length)]!;
    const middle = [scrap, '', result.slice(at, end).repeat(2), scrap + result.slice(at, end)][
      below(random, 4)
    ]!;
    result = result.slice(0, at) + middle + result.slice(end);
  }
  return result;
}

/** Returns 1 for a text with an error, so that a test can tell that its texts are bad enough. */
function check(result: FormatResult): number {
  const failed = result.problems.some(({ severity }) => severity === 'error');
  assert.is(result.document === null, failed);
  for (const problem of result.problems) {
    const line = formatProblem(problem);
    assert.is(/[\n\r]/.test(line), false, JSON.stringify(line));
    assert.ok(line.length < 400, line);
  }
  if (result.document !== null) parseClassTree(result.document);
  return failed ? 1 : 0;
}

test('LibreQoS', () => {
  const random = seededRandom('damaged LibreQoS files');
  const { csv, network } = writeLibreqos(
    randomTree(random, { rich: false, inner: 4, leaves: 12, depthMax: 3 }),
  );
  let failed = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const bad = {
      csv: damaged(csv!, random),
      network: round % 2 === 0 ? network! : damaged(network!, random),
    };
    failed += check(readLibreqos({ ...bad, csvName: 'S.csv', networkName: 'network.json' }));
  }
  assert.ok(failed > ROUNDS / 10 && failed < ROUNDS, `${failed} with errors`);
});

test('tc', () => {
  const random = seededRandom('damaged tc scripts');
  const tree = randomTree(random, { rich: true, inner: 4, leaves: 12, depthMax: 3 });
  const { script } = writeTc(tree, { downDevice: 'eth1', upDevice: 'eth0' });
  let failed = 0;
  for (let round = 0; round < ROUNDS; round++) {
    failed += check(readTc([{ name: 's.tc', text: damaged(script!, random) }]));
  }
  assert.ok(failed > ROUNDS / 10 && failed < ROUNDS, `${failed} with errors`);
});

test.run();
