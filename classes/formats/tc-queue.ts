/** The queue below a leaf of an htb, as tc says it: from its words, and back to them. */
import {
  isOfUse,
  LEAF_DEFAULT,
  type LeafKind,
  layeredSettings,
  NO_SETTINGS,
  type QueueSettings,
  type QueueSpec,
  queueSpecOf,
} from '../queue.js';
import { QUEUE_KEYS } from '../queue-keys.js';
import { formatTime, parseTimeUs, quoted } from '../units.js';
import type { DocumentQueue, FormatProblems, Spot } from './result.js';
import { TcFault, type TcWords } from './tc-words.js';

/** An option's word, the key that it is, and its value. */
type Option = readonly [
  word: string,
  key: keyof DocumentQueue,
  read: (words: TcWords, word: string) => unknown,
];

const packets = (words: TcWords, word: string): number => words.parsed(word, parsePackets);
const bytes = (words: TcWords, word: string): number => words.size(word);
const time = (words: TcWords, word: string): number => words.parsed(word, parseTimeUs);

const CODEL: readonly Option[] = [
  ['limit', 'limit', packets],
  ['target', 'target', time],
  ['interval', 'interval', time],
  ['ecn', 'ecn', () => true],
  ['noecn', 'ecn', () => false],
];

/** The queues that weir has. */
const KINDS: ReadonlyMap<string, { readonly leaf: LeafKind; readonly options: readonly Option[] }> = new Map([
  ['pfifo', { leaf: 'pfifo', options: [['limit', 'limit', packets]] }],
  ['bfifo', { leaf: 'pfifo', options: [['limit', 'limitBytes', bytes]] }],
  ['codel', { leaf: 'codel', options: CODEL }],
  [
    'fq_codel',
    {
      leaf: 'fq_codel',
      options: [
        ...CODEL,
        ['flows', 'flows', (words, word) => words.whole(word)],
        ['memory_limit', 'memory', bytes],
      ],
    },
  ],
]);

/** The nearest for those that it has not. */
const NEAREST: ReadonlyMap<string, LeafKind> = new Map([
  ['pfifo_fast', 'pfifo'],
  ['sfq', 'fq_codel'],
  ['fq', 'fq_codel'],
  ['fq_pie', 'fq_codel'],
  ['cake', 'fq_codel'],
  ['pie', 'codel'],
]);

/** Options of codel and fq_codel that weir has no word for, and the kernel's own value, which changes nothing. */
const UNKNOWN: ReadonlyMap<string, string> = new Map([
  ['quantum', '1514'],
  ['drop_batch', '64'],
  ['ce_threshold', ''],
  ['ce_threshold_selector', ''],
]);

/** Reads what follows the queue's kind. What weir cannot say is told with a count. */
export function readQueue(kind: string, words: TcWords, problems: FormatProblems, spot: Spot): DocumentQueue {
  const known = KINDS.get(kind);
  if (known === undefined) return readOther(kind, words, problems, spot);
  const said: Record<string, unknown> = { leaf: known.leaf };
  for (let word = words.next(); word !== undefined; word = words.next()) {
    const option = known.options.find(([name]) => name === word);
    const plain = known.leaf === 'pfifo' ? undefined : UNKNOWN.get(word);
    if (option !== undefined) said[option[1]] = option[2](words, word);
    else if (plain === undefined) throw new TcFault('', `${quoted(word)} is not an option of ${kind}`);
    else if (words.value(word) !== plain) {
      problems.tally(`option ${kind} ${word}`, spot, kind, `weir has no ${word}; left out`);
    }
  }
  return said;
}

function readOther(kind: string, words: TcWords, problems: FormatProblems, spot: Spot): DocumentQueue {
  const leaf = NEAREST.get(kind);
  const instead = leaf === undefined ? 'the default queue' : leaf;
  problems.tally(`queue ${kind}`, spot, 'leaf', `weir has no ${kind}; read as ${instead}`);
  if (leaf === undefined) return {};
  const said: DocumentQueue = { leaf };
  for (let word = words.next(); word !== undefined; word = words.next()) {
    if (word === 'limit') said.limit = packets(words, word);
    else {
      problems.tally(`option ${kind}`, spot, kind, 'its options but for the limit are left out');
      break;
    }
  }
  return said;
}

/** A limit in packets, as tc writes it: a bare number, or one with a p. */
function parsePackets(text: string): number | string {
  const parts = /^(\d+)p?$/.exec(text);
  return parts === null ? `${quoted(text)} is not a number of packets` : Number(parts[1]);
}

/** True if both say the same. */
export function areEqualQueues(a: DocumentQueue, b: DocumentQueue): boolean {
  return QUEUE_KEYS.every(({ key }) => a[key as keyof DocumentQueue] === b[key as keyof DocumentQueue]);
}

export interface TcQueueText {
  readonly words: string;
  /** For the class's note: what readers need to tell what was said from what follows. */
  readonly note: readonly string[];
  /** Keys that were said and that tc has no word for, each with what it is. */
  readonly unsaid: readonly (readonly [key: string, what: string])[];
}

/**
 * A queue spelt out, for the kernel's own defaults depend on its build. tc has nothing that holds for all classes, so what a tree
 * says is written at each. The note names what was said though it is the default, and whether a limit in bytes is meant.
 */
export function queueText(tree: QueueSettings, own: QueueSettings): TcQueueText {
  const spec = queueSpecOf(tree, own);
  const said = layeredSettings(tree, own);
  const unsaid: [string, string][] = [];
  const note: string[] = [];
  const limitBytes = said.limitBytes ?? 0;
  let words = `${spec.kind} limit ${spec.limitPackets}`;
  if (spec.kind === 'fq_codel') {
    words += ` flows ${spec.flows}${codelWords(spec)} memory_limit ${spec.limitBytes}b`;
    if (limitBytes === spec.limitBytes && said.memoryBytes === undefined) note.push('limitBytes');
    else if (limitBytes !== 0) unsaid.push(['limitBytes', 'a limit in bytes beside one of memory']);
  } else if (spec.kind === 'codel') words += codelWords(spec);
  else if (limitBytes !== 0 && said.limitPackets === undefined) words = `bfifo limit ${limitBytes}b`;
  if (limitBytes !== 0 && spec.kind !== 'fq_codel' && !words.startsWith('bfifo')) {
    unsaid.push(['limitBytes', 'a limit in bytes beside one in packets']);
  }
  if (spec.isolate !== 'none') unsaid.push(['isolate', 'how devices share a queue']);
  if (spec.diffserv !== 'besteffort') unsaid.push(['diffserv', 'tins']);
  if (spec.wash) unsaid.push(['wash', 'that marks are cleared']);
  const defaults = defaultsOf(spec.kind);
  const plain = QUEUE_KEYS.filter(
    ({ setting, key }) =>
      isOfUse(setting, spec.kind) && said[setting] !== undefined && said[setting] === defaults[key],
  );
  if (plain.length > 0) note.push(`says=${plain.map(({ key }) => key).join(',')}`);
  return { words, note, unsaid };
}

function codelWords({ targetUs, intervalUs, ecn }: QueueSpec): string {
  return ` target ${formatTime(targetUs)} interval ${formatTime(intervalUs)} ${ecn ? 'ecn' : 'noecn'}`;
}

/** What a class of weir's own script says: what is as it would be anyway was said only if the note says so. */
export function saidQueue(queue: DocumentQueue, note: readonly string[]): DocumentQueue {
  const { memory, ...others } = queue;
  const isBytes = memory !== undefined && note.includes('limitBytes');
  const read: Record<string, unknown> = isBytes ? { ...others, limitBytes: memory } : { ...queue };
  const defaults = defaultsOf((queue.leaf as LeafKind | undefined) ?? LEAF_DEFAULT);
  const plain =
    note
      .find((word) => word.startsWith('says='))
      ?.slice('says='.length)
      .split(',') ?? [];
  const said: Record<string, unknown> = {};
  for (const { key } of QUEUE_KEYS) {
    const value = read[key];
    if (value !== undefined && value !== defaults[key]) said[key] = value;
    else if (plain.includes(key)) said[key] = defaults[key];
  }
  return said;
}

/** What holds of a queue of that kind where nothing is said of it, by key; a leaf of the default kind goes without saying. */
function defaultsOf(kind: LeafKind): Readonly<Record<string, unknown>> {
  const spec = queueSpecOf(NO_SETTINGS, SAYS_KIND[kind]);
  return {
    leaf: LEAF_DEFAULT,
    limit: spec.limitPackets,
    limitBytes: 0,
    target: spec.targetUs,
    interval: spec.intervalUs,
    flows: spec.flows,
    memory: spec.limitBytes,
    ecn: spec.ecn,
    isolate: spec.isolate,
    diffserv: spec.diffserv,
    wash: spec.wash,
  };
}

const SAYS_KIND: Readonly<Record<LeafKind, QueueSettings>> = {
  pfifo: { leaf: 'pfifo' },
  codel: { leaf: 'codel' },
  fq_codel: { leaf: 'fq_codel' },
};
