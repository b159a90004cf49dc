/** What the spool keeps of amounts, there and back. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AmountSum, encodeAmounts, usageRows } from '../../src/accounting/amounts.js';
import { makeRng } from '../oracle/random-tree.js';
import { amountsOf, type Four, Sums, seedOf } from './parts.js';

const test = suite('amounts');
const EDGES = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 49, 2 ** 53 - 1];

test('numbers up to 2^53 and any id come back', () => {
  const entries: Record<string, Four> = {};
  for (const [i, edge] of EDGES.entries()) entries[`u${i}`] = [edge, EDGES[i - 1] ?? 0, 0, edge];
  entries['Zoë / 房间 7 😀'] = [1, 2, 3, 4];
  entries['x'.repeat(300)] = [5, 0, 0, 0];
  const amounts = amountsOf(entries);
  const sum = new AmountSum();
  sum.addEncoded(encodeAmounts(amounts));
  assert.equal(sum.amounts(), amounts);
});

test('sums of many encoded parts equal sums of the numbers', () => {
  const seed = seedOf('amounts');
  const rng = makeRng(seed);
  const expected = new Sums();
  const sum = new AmountSum();
  for (let part = 0; part < 60; part++) {
    const entries: Record<string, Four> = {};
    for (let i = 0; i < 40; i++)
      entries[`u${rng.int(500)}`] = [rng.logInt(1, 2 ** 40), rng.int(1e6), rng.int(9), 0];
    const amounts = amountsOf(entries);
    expected.addAmounts(amounts);
    sum.addEncoded(encodeAmounts(amounts));
  }
  const found = new Sums();
  found.addRows(usageRows(sum.amounts()));
  assert.equal(found.plain(), expected.plain(), `WEIR_SEED=${seed}`);
});

test('a direction without traffic makes no row', () => {
  assert.equal(usageRows(amountsOf({ a: [0, 0, 7, 1], b: [0, 0, 0, 0] })), [
    { subscriber: 'a', direction: 'up', bytes: 7, packets: 1 },
  ]);
});

test('bytes that are cut off, or are something else, are refused', () => {
  const whole = encodeAmounts(amountsOf({ alpha: [300, 2, 2 ** 40, 9], beta: [1, 1, 1, 1] }));
  const first = encodeAmounts(amountsOf({ alpha: [300, 2, 2 ** 40, 9] })).length;
  for (let end = 1; end < whole.length; end++) {
    const read = (): void => new AmountSum().addEncoded(whole.subarray(0, end));
    if (end === first) read();
    else assert.throws(read, (error: unknown) => error instanceof RangeError, `${end} bytes`);
  }
  assert.throws(() => new AmountSum().addEncoded(new Uint8Array(40).fill(255)), /no end/);
});

test.run();
