/** The options of the benchmarks: declared once, they are what --help shows and what the benchmark gets. */
import { usageError } from '../errors.js';

/** Options as commander hands them out. */
export type RawOptions = Readonly<Record<string, string | boolean | undefined>>;

/** One option. Its name is that of the field it becomes, in the command line's spelling. */
export interface Option<T> {
  /** What stands for the value in --help; null for an option without one. */
  readonly placeholder: string | null;
  readonly description: string;
  /** As the user would write it; null when leaving it out means something of its own. */
  readonly fallback: string | null;
  /** What --smoke takes instead. */
  readonly smoke: string | null;
  readonly read: (text: string, flag: string) => T;
  /** When neither the user nor a fallback says anything. */
  readonly absent: T;
}

export type OptionTable = Readonly<Record<string, Option<unknown>>>;

export type Settings<O extends OptionTable> = {
  -readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never;
};

interface Defaults {
  readonly fallback: string | number | null;
  readonly smoke?: string | number;
}

/** A whole number from `min` to `max`. */
export function whole(description: string, min: number, max: number, defaults: Defaults): Option<number> {
  return option('<n>', description, defaults, Number.NaN, (written, flag) =>
    wholeOf(written, flag, min, max),
  );
}

/** The same, and null when it is left out. */
export function wholeOrNull(
  description: string,
  min: number,
  max: number,
  defaults: Defaults = { fallback: null },
): Option<number | null> {
  return option<number | null>('<n>', description, defaults, null, (written, flag) =>
    wholeOf(written, flag, min, max),
  );
}

/** Whole numbers with commas between them. */
export function wholes(description: string, min: number, max: number, defaults: Defaults): Option<number[]> {
  return option('<n,…>', description, defaults, [], (written, flag) =>
    written.split(',').map((part) => wholeOf(part, flag, min, max)),
  );
}

/** Shares from 0 to 1 with commas between them. */
export function shares(description: string, defaults: Defaults): Option<number[]> {
  return option('<share,…>', description, defaults, [], (written, flag) =>
    written.split(',').map((part) => numberOf(part, flag, 0, 1)),
  );
}

/** A time above 0 in seconds. */
export function seconds(description: string, max: number, defaults: Defaults): Option<number> {
  return option('<s>', description, defaults, Number.NaN, (written, flag) => {
    const value = numberOf(written, flag, 0, max);
    if (value === 0) throw usageError('E_USAGE', `${flag}: must be above 0`);
    return value;
  });
}

/** One of some words. */
export function word<T extends string>(
  description: string,
  words: readonly T[],
  defaults: Defaults,
): Option<T> {
  return option('<name>', description, defaults, words[0]!, (written, flag) => {
    const found = words.find((each) => each === written);
    if (found === undefined)
      throw usageError('E_USAGE', `${flag}: '${written}' is not one of ${words.join(', ')}`);
    return found;
  });
}

/** Words out of some, with commas between them. */
export function words<T extends string>(
  description: string,
  all: readonly T[],
  defaults: Defaults,
): Option<T[]> {
  const one = word('', all, defaults);
  return option('<name,…>', description, defaults, [], (written, flag) =>
    written.split(',').map((part) => one.read(part, flag)),
  );
}

/** One of some words, and null when it is left out. */
export function wordOrNull<T extends string>(description: string, all: readonly T[]): Option<T | null> {
  return option<T | null>(
    '<name>',
    description,
    { fallback: null },
    null,
    word('', all, { fallback: null }).read,
  );
}

/** A number from `min` to `max`. */
export function number(description: string, min: number, max: number, defaults: Defaults): Option<number> {
  return option('<n>', description, defaults, Number.NaN, (written, flag) =>
    numberOf(written, flag, min, max),
  );
}

/** The same, and null when it is left out. */
export function numberOrNull(description: string, min: number, max: number): Option<number | null> {
  return option<number | null>('<n>', description, { fallback: null }, null, (written, flag) =>
    numberOf(written, flag, min, max),
  );
}

/** Any text. */
export function text(placeholder: string, description: string, defaults: Defaults): Option<string> {
  return option(placeholder, description, defaults, '', (given) => given);
}

/** Any text, and null when it is left out. */
export function textOrNull(placeholder: string, description: string): Option<string | null> {
  return option<string | null>(placeholder, description, { fallback: null }, null, (given) => given);
}

/** An option without a value: true when it is there. */
export function flag(description: string): Option<boolean> {
  return option<boolean>(null, description, { fallback: null }, false, () => true);
}

function option<T>(
  placeholder: string | null,
  description: string,
  { fallback, smoke }: Defaults,
  absent: T,
  read: (text: string, flag: string) => T,
): Option<T> {
  const spelt = (value: string | number | null): string | null => (value === null ? null : String(value));
  return {
    placeholder,
    description,
    fallback: spelt(fallback),
    smoke: spelt(smoke ?? fallback),
    absent,
    read,
  };
}

/** What the user gave, or else what --smoke or the table says. Throws E_USAGE. */
export function readSettings<O extends OptionTable>(
  table: O,
  raw: RawOptions,
  isSmoke: boolean,
): Settings<O> {
  const settings: Record<string, unknown> = {};
  for (const [name, { read, smoke, fallback, absent }] of Object.entries(table)) {
    const given = raw[name];
    const written = given === undefined ? (isSmoke ? smoke : fallback) : String(given);
    settings[name] = written === null ? absent : read(written, flagOf(name));
  }
  return settings as Settings<O>;
}

/** As commander wants it: `--file-classes <n>`. */
export function flagsOf(name: string, { placeholder }: Option<unknown>): string {
  return placeholder === null ? flagOf(name) : `${flagOf(name)} ${placeholder}`;
}

export function descriptionOf({ description, fallback }: Option<unknown>): string {
  return fallback === null ? description : `${description} (default: ${fallback})`;
}

function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function wholeOf(written: string, flag: string, min: number, max: number): number {
  const value = numberOf(written, flag, min, max);
  if (!Number.isInteger(value)) throw usageError('E_USAGE', `${flag}: '${written}' is not a whole number`);
  return value;
}

function numberOf(written: string, flag: string, min: number, max: number): number {
  const value = /^\d+(\.\d+)?(e\d+)?$/i.test(written) ? Number(written) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw usageError('E_USAGE', `${flag}: '${written}' is not a number from ${min} to ${max}`);
}
