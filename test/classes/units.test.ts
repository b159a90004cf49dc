import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { formatRate, formatSize, parseRateBps, parseSizeBytes, RATE_MAX_BPS } from '../../classes/units.js';
import { seededRandom } from './random.js';

const RATES: readonly [string | number, number][] = [
  [0, 0],
  [1_000_000, 1e6],
  [1.5, 2],
  ['0', 0],
  ['-0', 0],
  ['8000', 8000],
  ['1bit', 1],
  ['10kbit', 1e4],
  ['10Kbit', 1e4],
  ['10mbit', 1e7],
  ['10MBIT', 1e7],
  ['+10mbit', 1e7],
  ['5gbit', 5e9],
  ['10tbit', 1e13],
  ['1.5mbit', 1.5e6],
  ['1.1mbit', 1.1e6],
  ['.5gbit', 5e8],
  ['5.mbit', 5e6],
  ['1e6', 1e6],
  ['1e3kbit', 1e6],
  ['2.5E-1gbit', 2.5e8],
  ['1kibit', 1024],
  ['1mibit', 1048576],
  ['1gibit', 1073741824],
  ['1tibit', 1099511627776],
  ['1bps', 8],
  ['1kbps', 8000],
  ['1Mbps', 8e6],
  ['1gbps', 8e9],
  ['1tbps', 8e12],
  ['1kibps', 8192],
  ['1MiBps', 8388608],
  ['1gibps', 8589934592],
  ['1tibps', 8796093022208],
];

const BAD_RATES: readonly [unknown, RegExp][] = [
  ['', /not a rate/],
  ['mbit', /not a rate/],
  ['ten', /not a rate/],
  [' 10mbit', /not a rate/],
  ['nan', /not a rate/],
  ['infinity', /not a rate/],
  ['--5', /not a rate/],
  ['.', /not a rate/],
  ['10 mbit', /unknown unit " mbit"/],
  ['10mbit ', /unknown unit/],
  ['10mbt', /unknown unit "mbt"/],
  ['10mb', /unknown unit/],
  ['50%', /unknown unit/],
  ['0x10', /unknown unit/],
  ['1e', /unknown unit/],
  ['1.2.3mbit', /unknown unit/],
  ['10mbit\n', /unknown unit "mbit\\n"/],
  ['-1mbit', /negative/],
  [-1, /negative/],
  [Number.NaN, /not a finite/],
  [Number.POSITIVE_INFINITY, /not a finite/],
  ['1e999', /not a finite/],
  ['11tbit', /above the highest rate, 10tbit/],
  [1e14, /above/],
  [null, /must be a rate .*not null/],
  [true, /must be a rate .*not true/],
  [['10mbit'], /must be a rate .*not a list/],
  [{}, /must be a rate .*not a map/],
];

const SIZES: readonly [string | number, number][] = [
  [0, 0],
  [1600, 1600],
  ['1600', 1600],
  ['1600b', 1600],
  ['1600B', 1600],
  ['1k', 1024],
  ['64kb', 65536],
  ['64KB', 65536],
  ['1.5kb', 1536],
  ['1m', 1048576],
  ['2mb', 2097152],
  ['1g', 1073741824],
  ['1gb', 1073741824],
  ['8kbit', 1024],
  ['1mbit', 131072],
  ['1gbit', 134217728],
];

const BAD_SIZES: readonly [unknown, RegExp][] = [
  ['', /not a size/],
  ['kb', /not a size/],
  ['64kib', /unknown unit "kib"/],
  ['64 kb', /unknown unit/],
  ['64bit', /unknown unit/],
  ['64bps', /unknown unit/],
  ['-1kb', /negative/],
  ['2gb', /above the largest size/],
  [2 ** 31, /above the largest size/],
  [undefined, /must be a size .*not undefined/],
  [[], /must be a size/],
];

const test = suite('units');

test('rates are read as tc reads them', () => {
  for (const [text, bps] of RATES) assert.is(parseRateBps(text), bps, String(text));
});

test('bad rates are refused with a reason', () => {
  for (const [text, reason] of BAD_RATES) {
    const message = parseRateBps(text);
    assert.type(message, 'string', String(text));
    assert.match(message as string, reason);
  }
});

test('sizes are read as tc reads them', () => {
  for (const [text, bytes] of SIZES) assert.is(parseSizeBytes(text), bytes, String(text));
});

test('bad sizes are refused with a reason', () => {
  for (const [text, reason] of BAD_SIZES) {
    const message = parseSizeBytes(text);
    assert.type(message, 'string', String(text));
    assert.match(message as string, reason);
  }
});

test('a message is one short line, whatever the text', () => {
  const message = parseRateBps(`${'x\n'.repeat(1000)}`) as string;
  assert.not.match(message, /\n/);
  assert.ok(message.length < 160);
});

test('formatted values take the largest unit that divides them', () => {
  assert.is(formatRate(0), '0bit');
  assert.is(formatRate(1_500_000), '1500kbit');
  assert.is(formatRate(10_000_000), '10mbit');
  assert.is(formatRate(RATE_MAX_BPS), '10tbit');
  assert.is(formatRate(1001), '1001bit');
  assert.is(formatSize(0), '0b');
  assert.is(formatSize(65536), '64kb');
  assert.is(formatSize(1600), '1600b');
  assert.is(formatSize(1 << 30), '1gb');
});

test('formatting and parsing are inverse', () => {
  const random = seededRandom('units');
  for (let i = 0; i < 20_000; i++) {
    const bps = Math.floor(random() * 10 ** Math.floor(random() * 14)) * 10 ** Math.floor(random() * 4);
    if (bps <= RATE_MAX_BPS) assert.is(parseRateBps(formatRate(bps)), bps);
    const bytes = Math.floor(random() * 2 ** Math.floor(random() * 21)) * 1024 ** Math.floor(random() * 2);
    assert.is(parseSizeBytes(formatSize(bytes)), bytes);
  }
});

test.run();
