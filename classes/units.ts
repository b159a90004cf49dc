/**
 * tc's grammar for rates, sizes and times.
 *
 * A value is a decimal number with an optional fraction and exponent, followed without a space by a unit in
 * any case. Sources: tc(8), "Parameters", and the behaviour of get_rate64(), get_size() and get_time() in iproute2. Two
 * deliberate differences: results are rounded to the nearest whole bit/s, byte or microsecond, where tc cuts off, and what
 * strtod() would also take (hexadecimal, "inf", "nan", leading blanks) is refused.
 *
 * Parsers return the number, or a string that says what is wrong; they never throw.
 */

/** The highest rate accepted, in bit/s. More than this is a slip of the pen, and its default burst would not fit an int32. */
export const RATE_MAX_BPS = 10e12;

/** The largest size accepted, in bytes: sizes end up in int32 columns. */
export const SIZE_MAX_BYTES = 2 ** 31 - 1;

/** The longest time accepted, in microseconds: half of what an int32 of wrapping microseconds tells apart. */
export const TIME_MAX_US = 2 ** 30;

const KIBI = 1024;

/** bit/s per unit. In tc's names `bit` ends a bit rate and `bps` a byte rate, whatever `bps` means elsewhere. */
const RATE_UNITS_BPS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['bit', 1],
  ['kbit', 1e3],
  ['mbit', 1e6],
  ['gbit', 1e9],
  ['tbit', 1e12],
  ['kibit', KIBI],
  ['mibit', KIBI ** 2],
  ['gibit', KIBI ** 3],
  ['tibit', KIBI ** 4],
  ['bps', 8],
  ['kbps', 8e3],
  ['mbps', 8e6],
  ['gbps', 8e9],
  ['tbps', 8e12],
  ['kibps', 8 * KIBI],
  ['mibps', 8 * KIBI ** 2],
  ['gibps', 8 * KIBI ** 3],
  ['tibps', 8 * KIBI ** 4],
]);

/** Bytes per unit. Sizes count in powers of 1024 throughout, also where they are given in bits. */
const SIZE_UNITS_BYTES: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['k', KIBI],
  ['kb', KIBI],
  ['m', KIBI ** 2],
  ['mb', KIBI ** 2],
  ['g', KIBI ** 3],
  ['gb', KIBI ** 3],
  ['kbit', KIBI / 8],
  ['mbit', KIBI ** 2 / 8],
  ['gbit', KIBI ** 3 / 8],
]);

const TIME_UNITS_US: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['us', 1],
  ['usec', 1],
  ['usecs', 1],
  ['ms', 1e3],
  ['msec', 1e3],
  ['msecs', 1e3],
  ['s', 1e6],
  ['sec', 1e6],
  ['secs', 1e6],
]);

const RATE_OUTPUT: readonly (readonly [string, number])[] = [
  ['tbit', 1e12],
  ['gbit', 1e9],
  ['mbit', 1e6],
  ['kbit', 1e3],
];

const SIZE_OUTPUT: readonly (readonly [string, number])[] = [
  ['gb', KIBI ** 3],
  ['mb', KIBI ** 2],
  ['kb', KIBI],
];

const TIME_OUTPUT: readonly (readonly [string, number])[] = [
  ['s', 1e6],
  ['ms', 1e3],
];

const NUMBER_AND_UNIT = /^([+-]?)(\d+\.?\d*|\.\d+)(e[+-]?\d+)?(.*)$/is;

/** A value as it may stand in a one-line message: quoted, with escapes, and never long. */
export function quoted(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value !== 'string') return String(value);
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
}

/**
 * A rate in bit/s, a whole number from 0 to RATE_MAX_BPS. A number counts bit/s.
 * @returns the rate, or a message that says what is wrong with `value`
 */
export function parseRateBps(value: unknown): number | string {
  const bps = parseQuantity(value, RATE_UNITS_BPS, 'a rate such as "10mbit" or a number of bit/s');
  if (typeof bps === 'string') return bps;
  if (bps > RATE_MAX_BPS) return `${quoted(value)} is above the highest rate, ${formatRate(RATE_MAX_BPS)}`;
  return bps;
}

/**
 * A size in bytes, a whole number from 0 to SIZE_MAX_BYTES. A number counts bytes.
 * @returns the size, or a message that says what is wrong with `value`
 */
export function parseSizeBytes(value: unknown): number | string {
  const bytes = parseQuantity(value, SIZE_UNITS_BYTES, 'a size such as "64kb" or a number of bytes');
  if (typeof bytes === 'string') return bytes;
  if (bytes > SIZE_MAX_BYTES) return `${quoted(value)} is above the largest size, ${SIZE_MAX_BYTES} bytes`;
  return bytes;
}

/**
 * A time in microseconds, a whole number from 0 to TIME_MAX_US. A number counts microseconds.
 * @returns the time, or a message that says what is wrong with `value`
 */
export function parseTimeUs(value: unknown): number | string {
  const us = parseQuantity(value, TIME_UNITS_US, 'a time such as "5ms" or a number of microseconds');
  if (typeof us === 'string') return us;
  if (us > TIME_MAX_US) return `${quoted(value)} is above the longest time, ${TIME_MAX_US}us`;
  return us;
}

/** The shortest whole-number text that parseRateBps() reads back as `bps`, a whole number of bit/s. */
export function formatRate(bps: number): string {
  return formatQuantity(bps, RATE_OUTPUT, 'bit');
}

/** The shortest whole-number text that parseSizeBytes() reads back as `bytes`, a whole number. */
export function formatSize(bytes: number): string {
  return formatQuantity(bytes, SIZE_OUTPUT, 'b');
}

/** The shortest whole-number text that parseTimeUs() reads back as `us`, a whole number. */
export function formatTime(us: number): string {
  return formatQuantity(us, TIME_OUTPUT, 'us');
}

function parseQuantity(
  value: unknown,
  units: ReadonlyMap<string, number>,
  expected: string,
): number | string {
  if (typeof value === 'number') return checkNumber(value, value);
  if (typeof value !== 'string') return `must be ${expected}, not ${quoted(value)}`;
  const parts = NUMBER_AND_UNIT.exec(value);
  if (parts === null) return `${quoted(value)} is not ${expected}`;
  const unit = units.get(parts[4]!.toLowerCase());
  if (unit === undefined) return `${quoted(value)} has the unknown unit ${quoted(parts[4])}`;
  return checkNumber(Number(parts[1]! + parts[2]! + (parts[3] ?? '')) * unit, value);
}

function checkNumber(amount: number, value: string | number): number | string {
  if (!Number.isFinite(amount)) return `${quoted(value)} is not a finite number`;
  if (amount < 0) return `${quoted(value)} is negative`;
  return Math.abs(Math.round(amount)); // abs turns the minus zero of "-0" into zero
}

function formatQuantity(
  amount: number,
  units: readonly (readonly [string, number])[],
  smallest: string,
): string {
  if (amount > 0) {
    for (const [name, scale] of units) {
      if (amount % scale === 0) return `${amount / scale}${name}`;
    }
  }
  return `${amount}${smallest}`;
}
