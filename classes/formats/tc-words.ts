/** Reads the words of one tc command in turn. */
import { parseSizeBytes, quoted } from '../units.js';

/** What is wrong with a command; never leaves this folder. */
export class TcFault extends Error {
  readonly key: string;

  constructor(key: string, message: string) {
    super(message);
    this.key = key;
  }
}

export class TcWords {
  readonly #words: readonly string[];
  #at: number;

  constructor(words: readonly string[], at = 0) {
    this.#words = words;
    this.#at = at;
  }

  /** Undefined at the end. */
  peek(): string | undefined {
    return this.#words[this.#at];
  }

  /** The next word, or undefined at the end. */
  next(): string | undefined {
    return this.#words[this.#at++];
  }

  /** The value after `key`. */
  value(key: string): string {
    const word = this.next();
    if (word === undefined) throw new TcFault(key, 'has no value');
    if (word.includes('$'))
      throw new TcFault(key, `${quoted(word)} is a shell variable; only plain values are read`);
    return word;
  }

  parsed(key: string, parse: (text: string) => number | string): number {
    const parsed = parse(this.value(key));
    if (typeof parsed === 'string') throw new TcFault(key, parsed);
    return parsed;
  }

  whole(key: string): number {
    return this.parsed(key, (text) => {
      const number = /^(0x[\da-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
      return Number.isSafeInteger(number) ? number : `${quoted(text)} is not a whole number`;
    });
  }

  /** A size, which may have a cell size after it: `15k/8`. */
  size(key: string): number {
    return this.parsed(key, (text) => parseSizeBytes(text.replace(/\/\d+$/, '')));
  }
}

/** A handle `MAJOR:MINOR`, both hexadecimal, as one number; the minor of `1:` is 0. */
export function parseHandle(text: string): number | string {
  const parts = /^([\da-f]{1,4}):([\da-f]{0,4})$/i.exec(text);
  if (parts === null) return `${quoted(text)} is not a handle such as "1:10"`;
  return Number.parseInt(parts[1]!, 16) * 0x10000 + (parts[2] === '' ? 0 : Number.parseInt(parts[2]!, 16));
}

export function formatHandle(handle: number): string {
  const minor = handle % 0x10000;
  return `${Math.floor(handle / 0x10000).toString(16)}:${minor === 0 ? '' : minor.toString(16)}`;
}
