import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../classes/compile.js';
import { expiryOf } from '../../classes/compile-rows.js';
import { expectLines, linesOf, NOW_MS, NOW_SECONDS, sampleTables, treeOf } from './records.js';

const test = suite('compile-expiry');

test('expired subscribers are left out with their addresses, and not judged', () => {
  const tables = sampleTables();
  tables.subscribers.push(
    { id: 'old', site: 'gone', plan: 'gone', expires_at: NOW_SECONDS },
    { id: 'new', site: 'house', plan: 'gold', expires_at: NOW_SECONDS + 60 },
    { id: 'later', site: 'house', plan: 'gold', expires_at: new Date(NOW_MS + 90_000) },
  );
  tables.addresses.push({ subscriber: 'old', address: '10.0.0.5' }, { subscriber: 'old', address: 'x' });
  const result = compile(tables, NOW_MS);
  assert.equal(linesOf(result), []);
  assert.equal(
    treeOf(result).classes.map(({ id }) => id),
    ['uplink', 'house', 'u1', 'u2', 'guests', 'new', 'later'],
  );
  assert.equal([...result.expired], ['old']);
  assert.is(result.nextExpiryMs, NOW_MS + 60_000);
  const later = compile(tables, NOW_MS + 60_000);
  assert.equal([...later.expired].sort(), ['new', 'old']);
  assert.is(later.nextExpiryMs, NOW_MS + 90_000);
});

test('a default class that has expired is warned of', () => {
  const tables = sampleTables();
  tables.subscribers[2] = { ...tables.subscribers[2], expires_at: NOW_SECONDS - 1 };
  const result = compile(tables, NOW_MS);
  assert.equal(linesOf(result), [
    'warning: settings: default_class: "guests" has expired, so traffic of no class has no default class now',
  ]);
  assert.is(treeOf(result).defaultClass, null);
});

test('times: text with and without a zone, seconds, dates, never', () => {
  const expected = Date.UTC(2026, 0, 31, 17, 30, 15, 250);
  assert.is(expiryOf('2026-01-31T17:30:15.25Z'), expected);
  assert.is(expiryOf('2026-01-31 17:30:15.250'), expected);
  assert.is(expiryOf('2026-01-31 18:30:15.25+01'), expected);
  assert.is(expiryOf('2026-01-31 12:00:15.25-05:30'), expected);
  assert.is(expiryOf('2026-01-31'), Date.UTC(2026, 0, 31));
  assert.is(expiryOf(expected / 1000), expected);
  assert.is(expiryOf(String(Math.floor(expected / 1000))), expected - 250);
  assert.is(expiryOf(BigInt(Math.floor(expected / 1000))), expected - 250);
  assert.is(expiryOf(new Date(expected)), expected);
  for (const never of [null, undefined, 'infinity', Infinity]) assert.is(expiryOf(never), null);
  for (const bad of [
    'soon',
    '2026-02-30',
    '2026-13-01',
    '2026-01-31 25:00',
    '31.1.2026',
    '',
    -1,
    Number.NaN,
    expected,
    true,
    {},
    new Date(Number.NaN),
  ]) {
    assert.type(expiryOf(bad), 'string', String(bad));
  }
  expectLines((tables) => {
    tables.subscribers[0] = { ...tables.subscribers[0], expires_at: 'soon' };
  }, `error: subscribers row 'u1': expires_at: "soon" is not a time such as "2026-01-31 18:00:00+01" or seconds since 1970`);
});

test.run();
