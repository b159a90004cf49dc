/**
 * Reads over a JSON text for the two things JSON.parse does not tell: where a syntax error is, and which keys stand twice
 * in one object (JSON.parse silently lets the last one win, and a class would lose its first `rate`).
 *
 * The scanner accepts exactly the language of RFC 8259, as JSON.parse does, keeps its own stack instead of recursing,
 * and costs about as much as JSON.parse itself.
 */

export interface JsonFault {
  /** in UTF-16 code units from the start of the text */
  readonly offset: number;
  readonly message: string;
}

export interface DuplicateKey {
  readonly offset: number;
  readonly key: string;
}

/** A list in the text, found without building its values. */
export interface JsonList {
  /** of the opening bracket, and just behind the closing one */
  readonly start: number;
  readonly end: number;
  /** of each element, from its first character to the separator behind it */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

export interface JsonScan {
  readonly fault: JsonFault | null;
  readonly duplicates: readonly DuplicateKey[];
  /** the list at the wanted key of the outermost object; null without one */
  readonly list: JsonList | null;
}

/**
 * Keys compared per object. No map of a class tree knows as many keys, so an object that exceeds this is refused for its
 * unknown keys anyway, and comparing all pairs stays cheap.
 */
const KEYS_COMPARED_MAX = 32;

/** Containers open around an element of the wanted list. */
const LIST_DEPTH = 2;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/**
 * What may come next; whitespace is skipped in every state.
 *
 *   Value ──scalar──► After ──,──► Value (in an array) or Key (in an object)
 *     │ [ ──► ValueOrEnd              │ ] or } ──► After of the container around
 *     │ { ──► KeyOrEnd ─key─► Colon ──► Value
 */
enum Expect {
  Value,
  ValueOrEnd,
  Key,
  KeyOrEnd,
  Colon,
  After,
}

const EXPECTED: readonly string[] = [
  'a value',
  "a value or ']'",
  'a key in double quotes',
  "a key in double quotes or '}'",
  "':'",
  "',' or the end of the list or map",
];

/** `listKey` names a key of the outermost object; if it holds a list, the scan tells where its elements are. */
export function scanJson(text: string, listKey: string | null = null): JsonScan {
  return new JsonScanner(text, listKey).run();
}

class JsonScanner {
  private readonly text: string;
  private at = 0;
  private expect: Expect = Expect.Value;
  /** per open container: where its keys start in keyOffsets, or -1 for an array */
  private readonly frames: number[] = [];
  private readonly keyOffsets: number[] = [];
  private readonly keyHashes: number[] = [];
  private readonly duplicates: DuplicateKey[] = [];
  /** of the string passed last, over its characters as written */
  private hash = 0;
  private escaped = false;
  /** set by the fault that ends the scan, if it lies in a string */
  private insideString = false;

  private readonly listKey: string | null;
  /** whether the key passed last in the outermost object is the wanted one */
  private isListKey = false;
  private isInList = false;
  private listStart = -1;
  private listEnd = -1;
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];

  constructor(text: string, listKey: string | null) {
    this.text = text;
    this.listKey = listKey;
  }

  run(): JsonScan {
    const text = this.text;
    for (;;) {
      const char = this.skipBlanks();
      if (this.at >= text.length) break;
      if (this.expect === Expect.After && this.frames.length === 0) return this.fault('nothing more');
      if (!this.step(char)) return this.fault(EXPECTED[this.expect]!);
    }
    if (this.expect === Expect.After && this.frames.length === 0) {
      return { fault: null, duplicates: this.duplicates, list: this.list() };
    }
    return this.fault(EXPECTED[this.expect]!);
  }

  /** The first character from `at` on that is no blank, NaN at the end of the text. */
  private skipBlanks(): number {
    let char = this.text.charCodeAt(this.at);
    while (char === 0x20 || char === 0x0a || char === 0x0d || char === 0x09) {
      char = this.text.charCodeAt(++this.at);
    }
    return char;
  }

  /** Passes one token; false leaves `at` on the character that does not fit. */
  private step(char: number): boolean {
    switch (this.expect) {
      case Expect.ValueOrEnd:
        return char === CLOSE_ARRAY ? this.close() : this.passValue(char);
      case Expect.Value:
        return this.passValue(char);
      case Expect.KeyOrEnd:
        return char === CLOSE_OBJECT ? this.close() : this.passKey(char);
      case Expect.Key:
        return this.passKey(char);
      case Expect.Colon:
        if (char !== COLON) return false;
        this.at++;
        this.expect = Expect.Value;
        return true;
      case Expect.After:
        return this.passSeparator(char);
    }
  }

  private passSeparator(char: number): boolean {
    const inObject = this.frames[this.frames.length - 1]! >= 0;
    if (this.isInList && this.frames.length === LIST_DEPTH) this.ends.push(this.at);
    if (char === (inObject ? CLOSE_OBJECT : CLOSE_ARRAY)) return this.close();
    if (char !== COMMA) return false;
    this.at++;
    this.expect = inObject ? Expect.Key : Expect.Value;
    return true;
  }

  private close(): boolean {
    const firstKey = this.frames.pop()!;
    if (firstKey >= 0) {
      this.keyOffsets.length = firstKey;
      this.keyHashes.length = firstKey;
    }
    this.at++;
    if (this.isInList && this.frames.length === LIST_DEPTH - 1) {
      this.isInList = false;
      this.listEnd = this.at;
    }
    this.expect = Expect.After;
    return true;
  }

  private passValue(char: number): boolean {
    if (this.isInList && this.frames.length === LIST_DEPTH) this.starts.push(this.at);
    else if (this.isListKey && this.frames.length === LIST_DEPTH - 1 && char === OPEN_ARRAY) this.enterList();
    if (char === OPEN_OBJECT || char === OPEN_ARRAY) {
      this.frames.push(char === OPEN_OBJECT ? this.keyOffsets.length : -1);
      this.expect = char === OPEN_OBJECT ? Expect.KeyOrEnd : Expect.ValueOrEnd;
      this.at++;
      return true;
    }
    const expected = this.expect;
    this.expect = Expect.After;
    if (char === QUOTE) return this.passString();
    if (char === 0x74) return this.passWord('true');
    if (char === 0x66) return this.passWord('false');
    if (char === 0x6e) return this.passWord('null');
    if (char === 0x2d || isDigit(char)) return this.passNumber(char);
    this.expect = expected;
    return false;
  }

  private enterList(): void {
    this.isInList = true;
    this.listStart = this.at;
    // A key that stands twice is reported; the later value counts, as for JSON.parse.
    this.starts.length = this.ends.length = 0;
  }

  private list(): JsonList | null {
    if (this.listEnd < 0) return null;
    return { start: this.listStart, end: this.listEnd, starts: this.starts, ends: this.ends };
  }

  private passKey(char: number): boolean {
    const start = this.at;
    if (char !== QUOTE || !this.passString()) return false;
    if (this.frames.length === LIST_DEPTH - 1 && this.listKey !== null)
      this.isListKey = this.keyAt(start) === this.listKey;
    const firstKey = this.frames[this.frames.length - 1]!;
    const count = this.keyOffsets.length - firstKey;
    if (count < KEYS_COMPARED_MAX) {
      // A key with escapes is hashed as it reads, so that "r\u0061te" is found to be "rate".
      const hash = this.escaped ? hashOf(this.keyAt(start)) : this.hash;
      for (let i = firstKey; i < firstKey + count; i++) {
        if (this.keyHashes[i] === hash) this.compareKeys(this.keyOffsets[i]!, start);
      }
      this.keyOffsets.push(start);
      this.keyHashes.push(hash);
    }
    this.expect = Expect.Colon;
    return true;
  }

  private compareKeys(earlierStart: number, laterStart: number): void {
    const key = this.keyAt(laterStart);
    if (key === this.keyAt(earlierStart)) this.duplicates.push({ offset: laterStart, key });
  }

  /** The key whose opening quote is at `start`; its string has been passed without a fault. */
  private keyAt(start: number): string {
    let end = start + 1;
    while (this.text.charCodeAt(end) !== QUOTE) end += this.text.charCodeAt(end) === BACKSLASH ? 2 : 1;
    return JSON.parse(this.text.slice(start, end + 1)) as string;
  }

  private passString(): boolean {
    const text = this.text;
    let hash = 0;
    this.escaped = false;
    for (let at = this.at + 1; ; at++) {
      const char = text.charCodeAt(at);
      if (char === QUOTE) {
        this.at = at + 1;
        this.hash = hash;
        return true;
      }
      if (char === BACKSLASH) {
        this.escaped = true;
        const length = escapeLength(text, at + 1);
        if (length === 0) return this.failString(at);
        at += length;
      } else if (!(char >= 0x20)) {
        return this.failString(at); // a control character, or NaN: the end of the text
      }
      hash = (Math.imul(hash, 31) + char) | 0;
    }
  }

  private failString(at: number): boolean {
    this.at = at;
    this.insideString = true;
    return false;
  }

  private passWord(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) {
      this.expect = Expect.Value;
      return false;
    }
    this.at += word.length;
    return true;
  }

  private passNumber(first: number): boolean {
    let at = first === 0x2d ? this.at + 1 : this.at;
    const zero = this.text.charCodeAt(at) === 0x30;
    const integerEnd = zero ? at + 1 : this.digitsEnd(at);
    if (integerEnd === at) return this.failNumber(at);
    at = integerEnd;
    if (this.text.charCodeAt(at) === 0x2e) {
      const fractionEnd = this.digitsEnd(at + 1);
      if (fractionEnd === at + 1) return this.failNumber(fractionEnd);
      at = fractionEnd;
    }
    if ((this.text.charCodeAt(at) | 0x20) === 0x65) {
      const sign = this.text.charCodeAt(at + 1);
      const exponentStart = sign === 0x2b || sign === 0x2d ? at + 2 : at + 1;
      const exponentEnd = this.digitsEnd(exponentStart);
      if (exponentEnd === exponentStart) return this.failNumber(exponentEnd);
      at = exponentEnd;
    }
    this.at = at;
    return true;
  }

  private failNumber(at: number): boolean {
    this.at = at;
    this.expect = Expect.Value;
    return false;
  }

  private digitsEnd(start: number): number {
    let at = start;
    while (isDigit(this.text.charCodeAt(at))) at++;
    return at;
  }

  private fault(expected: string): JsonScan {
    const ended = this.at >= this.text.length;
    const found = ended ? 'the text ends' : `found ${JSON.stringify(this.text.charAt(this.at))}`;
    const wanted = this.insideString ? "the string's closing quote or a valid character" : expected;
    const message = `${found} where ${wanted} is expected`;
    const offset = Math.min(this.at, this.text.length);
    return { fault: { offset, message }, duplicates: this.duplicates, list: null };
  }
}

/** Characters of the escape after its backslash, 0 if it is none. */
function escapeLength(text: string, at: number): number {
  const char = text.charAt(at);
  if (char === 'u') return /^[0-9a-f]{4}$/i.test(text.slice(at + 1, at + 5)) ? 5 : 0;
  return char !== '' && '"\\/bfnrt'.includes(char) ? 1 : 0;
}

function isDigit(char: number): boolean {
  return char >= 0x30 && char <= 0x39;
}

function hashOf(key: string): number {
  let hash = 0;
  for (let at = 0; at < key.length; at++) hash = (Math.imul(hash, 31) + key.charCodeAt(at)) | 0;
  return hash;
}

/** `line 3, column 7`, both from 1, the column in UTF-16 code units. */
export function placeOf(text: string, offset: number): string {
  let line = 1;
  let lineStart = 0;
  for (;;) {
    const newline = text.indexOf('\n', lineStart);
    if (newline < 0 || newline >= offset) break;
    line++;
    lineStart = newline + 1;
  }
  return `line ${line}, column ${offset - lineStart + 1}`;
}
