import { alignedInt32 } from '../shm/aligned.js';
import type { SharedTree } from '../shm/tree-layout.js';
import { Field, Flag } from './layout.js';
import { Sojourn } from './leaves/sojourn.js';

/** What one worker has counted for one class in one direction. An inner class counts what passes through it. */
export interface ClassStats {
  bytes: number;
  packets: number;
  /** Of all causes. */
  drops: number;
  codelDrops: number;
  evictedDrops: number;
  marks: number;
  lends: number;
  borrows: number;
  overlimits: number;
  backlogPackets: number;
  backlogBytes: number;
  /** Flows that have packets or had them just now: new ones, and ones with a standing queue. */
  sparseFlows: number;
  bulkFlows: number;
  /** Packets by how long they were queued; see `Sojourn`. To be read only: those without any share one array. */
  sojourns: number[];
}

/** Of all that have queued nothing: most of very many classes have not. */
const NO_SOJOURNS: number[] = new Array<number>(Sojourn.BUCKETS).fill(0);
const NO_STATS: Readonly<ClassStats> = emptyStats();

export function emptyStats(): ClassStats {
  return {
    bytes: 0,
    packets: 0,
    drops: 0,
    codelDrops: 0,
    evictedDrops: 0,
    marks: 0,
    lends: 0,
    borrows: 0,
    overlimits: 0,
    backlogPackets: 0,
    backlogBytes: 0,
    sparseFlows: 0,
    bulkFlows: 0,
    sojourns: NO_SOJOURNS,
  };
}

/** Sets everything to 0, and leaves no garbage. */
export function clearStats(stats: ClassStats): void {
  const { sojourns } = stats;
  Object.assign(stats, NO_STATS);
  if (sojourns === NO_SOJOURNS) return;
  sojourns.fill(0);
  stats.sojourns = sojourns;
}

/** Adds `more` to `sum`. */
export function addStats(sum: ClassStats, more: ClassStats): void {
  sum.bytes += more.bytes;
  sum.packets += more.packets;
  sum.drops += more.drops;
  sum.codelDrops += more.codelDrops;
  sum.evictedDrops += more.evictedDrops;
  sum.marks += more.marks;
  sum.lends += more.lends;
  sum.borrows += more.borrows;
  sum.overlimits += more.overlimits;
  sum.backlogPackets += more.backlogPackets;
  sum.backlogBytes += more.backlogBytes;
  sum.sparseFlows += more.sparseFlows;
  sum.bulkFlows += more.bulkFlows;
  if (more.sojourns === NO_SOJOURNS) return;
  const sojourns = ownSojourns(sum);
  for (let i = 0; i < Sojourn.BUCKETS; i++) sojourns[i]! += more.sojourns[i]!;
}

function ownSojourns(stats: ClassStats): number[] {
  if (stats.sojourns === NO_SOJOURNS) stats.sojourns = [...NO_SOJOURNS];
  return stats.sojourns;
}

/**
 * Adds what one worker's tree memory, in its two views, says of a class to `sum`. For any thread: each number is read
 * whole, and two of them may be a packet apart. `isInner` as the class was published: the record of one that was let go
 * does not say so any more.
 */
export function addClassStats(
  words: Int32Array,
  doubles: Float64Array,
  classIndex: number,
  isInner: boolean,
  sum: ClassStats,
): void {
  const record = TreeMemory.recordOf(classIndex);
  const at = record >> 1;
  const packets = doubles[at + Field.D_PACKETS]!;
  const borrows = doubles[at + Field.D_BORROWS]!;
  sum.bytes += doubles[at + Field.D_BYTES]!;
  sum.packets += packets;
  sum.drops += doubles[at + Field.D_DROPS]!;
  sum.lends += isInner ? doubles[at + Field.D_LENDS]! : packets - borrows;
  sum.borrows += borrows;
  sum.overlimits += doubles[at + Field.D_OVERLIMITS]!;
  if (isInner) return;
  sum.codelDrops += doubles[at + Field.D_CODEL_DROPS]!;
  sum.evictedDrops += doubles[at + Field.D_EVICTED]!;
  sum.marks += doubles[at + Field.D_MARKS]!;
  sum.backlogPackets += words[record + Field.BACKLOG_PACKETS]!;
  sum.backlogBytes += words[record + Field.BACKLOG_BYTES]!;
  const flows = words[record + Field.FLOW_COUNTS]!;
  sum.sparseFlows += flows & 0xffff;
  sum.bulkFlows += flows >>> 16;
  // What has sent nothing has queued nothing that is in a histogram: pages that nobody wrote are not looked at.
  if (packets === 0) return;
  const sojourns = sojournBaseOf(words) + (classIndex << Sojourn.SHIFT);
  for (let i = 0; i < Sojourn.BUCKETS; i++) {
    const count = doubles[sojourns + i]!;
    if (count > 0) ownSojourns(sum)[i]! += count;
  }
}

const WORDS_PER_CLASS = Field.CLASS_STRIDE + Field.FEED_BLOCK_WORDS + 2 * Sojourn.BUCKETS;

/** Where the histograms begin among the doubles of a tree's memory: behind the records and the feeds. */
function sojournBaseOf(words: Int32Array): number {
  return (words.length / WORDS_PER_CLASS / 2) * (Field.CLASS_STRIDE + Field.FEED_BLOCK_WORDS);
}

/**
 * One worker's memory for one tree: the arrays that `layout.ts` describes, and the blocks of feed nodes that
 * inner classes take from it. Shared only so that the control thread can read backlogs and statistics.
 */
export class TreeMemory {
  readonly shared: SharedTree;
  readonly queue: number;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  /**
   * The time of the step, in [0]. Kept here and not handed from function to function, because the engine allocates
   * a double that is passed to a call it does not inline.
   */
  readonly clock = new Float64Array(1);
  readonly feedBase: number;
  /** Where the histograms of the leaves begin in `doubles`, by class index; see `Sojourn`. */
  readonly sojournBase: number;
  /** Packets in all leaves, in [0]. Leaf queues keep it. */
  readonly backlog = new Int32Array(1);
  /** Which of the two sets of sums over workers counts: 0 or 1. */
  side = 0;
  /** The highest class index ever set. */
  lastIndex = -1;
  #feedTop: number;
  #feedFree: number[] = [];

  constructor(shared: SharedTree, queue: number) {
    this.shared = shared;
    this.queue = queue;
    const slots = shared.capacityClasses + 1;
    this.feedBase = slots * Field.CLASS_STRIDE;
    this.#feedTop = this.feedBase;
    // Demand-zeroed: room for a feed block per class costs nothing until inner classes take it.
    this.words = alignedInt32(slots * WORDS_PER_CLASS);
    this.sojournBase = sojournBaseOf(this.words);
    const { buffer, byteOffset, length } = this.words;
    this.doubles = new Float64Array(buffer, byteOffset, length >> 1);
  }

  /** Word offset of a class's record. */
  static recordOf(classIndex: number): number {
    return (classIndex + 1) * Field.CLASS_STRIDE;
  }

  static classIndexOf(record: number): number {
    return ((record / Field.CLASS_STRIDE) | 0) - 1;
  }

  /** Counters and backlog of a class. */
  statsOf(classIndex: number): ClassStats {
    const stats = emptyStats();
    const flags = this.words[TreeMemory.recordOf(classIndex) + Field.FLAGS]!;
    addClassStats(this.words, this.doubles, classIndex, (flags & Flag.IS_INNER) !== 0, stats);
    return stats;
  }

  /** Gives an inner class its eight feed nodes. Control path: runs when a class is added, never for a packet. */
  takeFeeds(record: number): void {
    const words = this.words;
    let block = this.#feedFree.pop() ?? 0;
    if (block === 0) {
      block = this.#feedTop;
      this.#feedTop += Field.FEED_BLOCK_WORDS;
    }
    words.fill(0, block, block + Field.FEED_BLOCK_WORDS);
    words[record + Field.FEEDS] = block;
    const level = words[record + Field.FLAGS]! & Flag.LEVEL_MASK;
    for (let prio = 0; prio < 8; prio++) {
      const node = block + (prio << Field.FEED_SHIFT);
      words[node + Field.OWNER] = record;
      words[node + Field.FLAGS] = (prio << Flag.PRIO_SHIFT) | level;
    }
  }

  /** Takes the feed nodes back. They must be on no list and no wheel. */
  giveFeeds(record: number): void {
    this.#feedFree.push(this.words[record + Field.FEEDS]!);
    this.words[record + Field.FEEDS] = 0;
  }

  /** Bytes that classes have made resident so far, by layout, for one tree of one worker. */
  usedBytes(classes: number): number {
    const feedBytes = (this.#feedTop - this.feedBase) * 4;
    return classes * Field.CLASS_STRIDE * 4 + feedBytes;
  }
}
