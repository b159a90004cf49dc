/**
 * Reads `tc filter` commands as far as they say which address goes to which class: u32, also in hash tables, and flower.
 * What else a filter may ask of a packet has no word in a class tree.
 */
import { parsePrefix } from '../prefix.js';
import { quoted } from '../units.js';
import { parseHandle, TcFault, type TcWords } from './tc-words.js';

export interface FilterRule {
  /** Null if the filter has none, and the kernel picks one. */
  readonly pref: number | null;
  readonly classid: number;
  readonly side: 'dst' | 'src';
  /** canonical */
  readonly prefix: string;
  readonly length: number;
}

/** A filter that belongs to a hash table's making, or one that a class tree cannot say: then why, in few words. */
export type FilterReading = FilterRule | 'table' | { readonly unsaid: string };

interface Entry {
  pref: number | null;
  classid: number | null;
  readonly addresses: { readonly side: 'dst' | 'src'; readonly text: string }[];
  /** What it asks besides addresses. */
  more: string | null;
  isTable: boolean;
}

/** Kinds that do not look at addresses, or not in a form that could be read. */
const OTHER_KINDS: ReadonlySet<string> = new Set([
  'fw',
  'matchall',
  'basic',
  'bpf',
  'flow',
  'route',
  'cgroup',
  'rsvp',
  'tcindex',
]);
const U32_KEYS: ReadonlySet<string> = new Set([
  ...['match', 'flowid', 'classid', 'ht', 'link', 'hashkey', 'divisor', 'order', 'offset', 'sample'],
  ...['police', 'action', 'skip_hw', 'skip_sw', 'indev', 'mark', 'handle'],
]);
/** Flower's words that stand alone. */
const FLOWER_FLAGS: ReadonlySet<string> = new Set(['skip_hw', 'skip_sw', 'verbose']);

/**
 * `words` stands after the device.
 * @throws TcFault
 */
export function readFilter(words: TcWords): FilterReading {
  const entry: Entry = { pref: null, classid: null, addresses: [], more: null, isTable: false };
  for (let word = words.next(); word !== undefined; word = words.next()) {
    if (word === 'prio' || word === 'pref' || word === 'preference') entry.pref = words.whole(word) || null;
    else if (word === 'parent' || word === 'protocol' || word === 'handle' || word === 'chain')
      words.value(word);
    else if (word === 'u32') {
      readU32(words, entry);
      return ruleOf(entry);
    } else if (word === 'flower') {
      readFlower(words, entry);
      return ruleOf(entry);
    } else if (OTHER_KINDS.has(word)) {
      return { unsaid: word === 'fw' ? 'a mark says no address' : `a ${word} filter says no address` };
    } else if (word !== 'root') throw new TcFault('', `${quoted(word)} is not an option of tc filter`);
  }
  throw new TcFault('', 'the filter has no kind such as u32 or flower');
}

function readU32(words: TcWords, entry: Entry): void {
  for (let word = words.next(); word !== undefined; word = words.next()) {
    if (word === 'match') readU32Match(words, entry);
    else if (word === 'flowid' || word === 'classid') entry.classid = words.parsed(word, parseHandle);
    else if (word === 'link' || word === 'divisor') {
      words.value(word);
      entry.isTable = true;
    } else if (word === 'ht' || word === 'order' || word === 'handle') words.value(word);
    else if (word === 'hashkey') skipToKey(words);
    else if (word === 'police' || word === 'action') {
      entry.more = word;
      return;
    } else if (U32_KEYS.has(word)) {
      if (word !== 'skip_hw' && word !== 'skip_sw') entry.more ??= word;
      skipToKey(words);
    } else throw new TcFault('u32', `${quoted(word)} is not an option of a u32 filter`);
  }
}

function readU32Match(words: TcWords, entry: Entry): void {
  const family = words.value('match');
  if (family === 'u32') {
    const value = words.whole('match u32');
    const mask = words.whole('match u32');
    if (words.next() !== 'at') throw new TcFault('match u32', 'has no "at" with an offset');
    const offset = words.value('at');
    const side = offset === '12' ? 'src' : offset === '16' ? 'dst' : null;
    const length = lengthOfMask(mask);
    if (mask === 0) return; // matches everything
    if (side === null || length === null) entry.more ??= `match u32 at ${offset}`;
    else entry.addresses.push({ side, text: `${dotted(value)}/${length}` });
    return;
  }
  const field = words.value('match');
  if ((family === 'ip' || family === 'ip6') && (field === 'dst' || field === 'src')) {
    const text = words.value(`match ${family} ${field}`);
    const all = family === 'ip' ? '0.0.0.0/0' : '::/0';
    entry.addresses.push({
      side: field,
      text: text === 'any' || text === 'all' || text === 'default' ? all : text,
    });
    if (words.peek() === 'at') entry.more ??= 'match at an offset';
  } else entry.more ??= `match ${family} ${field}`;
  skipToKey(words);
}

function readFlower(words: TcWords, entry: Entry): void {
  for (let word = words.next(); word !== undefined; word = words.next()) {
    if (word === 'dst_ip' || word === 'src_ip') {
      entry.addresses.push({ side: word === 'dst_ip' ? 'dst' : 'src', text: words.value(word) });
    } else if (word === 'classid' || word === 'flowid') entry.classid = words.parsed(word, parseHandle);
    else if (word === 'action') {
      entry.more = word;
      return;
    } else if (!FLOWER_FLAGS.has(word)) {
      entry.more ??= word;
      words.value(word);
    }
  }
}

function ruleOf(entry: Entry): FilterReading {
  if (entry.isTable) return 'table';
  if (entry.more !== null) return { unsaid: `"${entry.more}" asks more of a packet than its address` };
  if (entry.classid === null) return { unsaid: 'it names no class' };
  if (entry.addresses.length === 0) return { unsaid: 'it says no address' };
  if (entry.addresses.length > 1) return { unsaid: 'it asks for two addresses at once' };
  const { side, text } = entry.addresses[0]!;
  const parsed = parsePrefix(text);
  if (typeof parsed === 'string') throw new TcFault(side, parsed);
  const { prefix } = parsed;
  return { pref: entry.pref, classid: entry.classid, side, prefix: prefix.text, length: prefix.length };
}

function skipToKey(words: TcWords): void {
  while (words.peek() !== undefined && !U32_KEYS.has(words.peek()!)) words.next();
}

/** Null if the mask is not ones followed by zeros. */
function lengthOfMask(mask: number): number | null {
  const length = Math.clz32(~mask);
  const ofLength = length === 0 ? 0 : (-1 << (32 - length)) >>> 0;
  return mask >>> 0 === ofLength ? length : null;
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}
