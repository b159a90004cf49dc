/**
 * What all workers together have counted for each class, and its rate: read by the control thread from the workers'
 * tree memory while they run. The workers do nothing for it.
 *
 *     a class's total  =  what workers counted that are gone  +  what each living worker's record says
 *
 * Only bytes are read once a second, for the rates; the rest when somebody asks.
 */
import type { UsageMeter, VisitTotal } from '../accounting/ledger.js';
import { Field } from '../htb/layout.js';
import { type LeafFigures, leafFigures } from '../htb/leaf-figures.js';
import { addClassStats, addStats, type ClassStats, clearStats, emptyStats } from '../htb/memory.js';
import { adoptedWord } from '../shm/shared-shaper.js';

const DIRECTIONS = 2;
/** Of a class that has been published; the publisher's object keeps its identity while the class keeps its index. */
export interface MeteredClass {
  readonly index: number;
  readonly isInner: boolean;
  readonly spec: { readonly id: string; readonly parent: string | null };
}

/** What is read of one worker; gone when its thread is. */
export interface WorkerView {
  readonly queue: number;
  /** A counter that changes whenever the worker sends a packet. */
  readonly sentPackets: () => number;
  readonly trees: readonly [TreeView, TreeView];
}

export interface TreeView {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
}

/**
 * One direction of one class. Counters and percentiles are since the class came, backlog and flows as they are now. An
 * inner class holds no packets: it has no percentiles.
 */
export interface DirectionReport extends LeafFigures {
  readonly bytes: number;
  readonly packets: number;
  readonly drops: number;
  readonly marks: number;
  readonly backlogBytes: number;
  readonly backlogPackets: number;
  readonly lends: number;
  readonly borrows: number;
  readonly overlimits: number;
  readonly rateBps: number;
}

export interface ClassReport {
  readonly id: string;
  readonly parent: string | null;
  readonly down: DirectionReport;
  readonly up: DirectionReport;
}

/** An index that a class has or had. */
interface Holding {
  readonly metered: MeteredClass;
  /** The epoch that gave the class its index; a worker that has not adopted it shows another class's record. */
  readonly sinceEpoch: number;
}

interface Entry {
  readonly id: string;
  /** Of its life so far, for whoever keeps accounts. */
  readonly account: number;
  /** Null when the class is in no tree any more. */
  holding: Holding | null;
  /** Indices it had before and workers still hold: what was queued there leaves, and is counted, under them. */
  draining: readonly Holding[];
  /** What is no longer in any worker's memory, by direction. */
  kept: [ClassStats, ClassStats] | null;
  /** The part of it that was counted while the class was an inner one: its children's. */
  keptAsInner: [ClassStats, ClassStats] | null;
  /** By direction; what the last sample found. */
  readonly bytes: Float64Array;
  readonly rateBps: Float64Array;
}

const NO_HOLDINGS: readonly Holding[] = [];

export function treeView(words: Int32Array): TreeView {
  return { words, doubles: new Float64Array(words.buffer, words.byteOffset, words.length >> 1) };
}

export class ClassMeter implements UsageMeter {
  readonly #epochWords: Int32Array;
  readonly #hasAccounts: boolean;
  readonly #entries = new Map<string, Entry>();
  /** Classes that are in no tree any more, until the last of their packets has left. */
  readonly #departed = new Map<string, Entry>();
  readonly #views = new Map<number, WorkerView>();
  readonly #sentAtSample = new Map<number, number>();
  readonly #sentAtVisit = new Map<number, number>();
  #sampledAtNs = 0;
  #hasRates = false;
  #mustSample = true;
  /** Whether totals may have changed otherwise than by what a living worker has sent. */
  #mustVisit = true;
  /** Whose last totals nobody has taken yet. */
  #gone: Entry[] = [];
  #nextAccount = 0;
  #freeAccounts: number[] = [];
  /** Of whatever is being summed up. */
  readonly #sum = emptyStats();

  /** `hasAccounts`: whether somebody takes the accounts of classes that are gone. */
  constructor(epochWords: Int32Array, hasAccounts: boolean) {
    this.#epochWords = epochWords;
    this.#hasAccounts = hasAccounts;
  }

  // ---- what the publisher tells ------------------------------------------------------------------------

  onDeparture({ spec: { id } }: MeteredClass): void {
    const entry = this.#entries.get(id)!;
    this.#entries.delete(id);
    this.#departed.set(id, entry);
    entry.draining = [...entry.draining, entry.holding!];
    entry.holding = null;
    this.#mustSample = true;
  }

  onArrival(metered: MeteredClass, sinceEpoch: number): void {
    const { id } = metered.spec;
    const entry = this.#departed.get(id) ?? newEntry(id, this.#freeAccounts.pop() ?? this.#nextAccount++);
    this.#departed.delete(id);
    this.#entries.set(id, entry);
    entry.holding = { metered, sinceEpoch };
    this.#mustSample = true;
  }

  onRelease(metered: MeteredClass): void {
    const { id } = metered.spec;
    const entry = this.#entries.get(id) ?? this.#departed.get(id)!;
    const holding = entry.draining.find((one) => one.metered === metered)!;
    for (const view of this.#views.values()) this.#keep(entry, holding, view);
    const rest = entry.draining.filter((one) => one !== holding);
    entry.draining = rest.length === 0 ? NO_HOLDINGS : rest;
    if (entry.holding !== null || rest.length > 0) return;
    this.#departed.delete(id);
    if (this.#hasAccounts) this.#gone.push(entry);
    else this.#freeAccounts.push(entry.account);
  }

  // ---- workers -----------------------------------------------------------------------------------------

  addWorker(view: WorkerView): void {
    this.#views.set(view.queue, view);
    this.#mustSample = true;
  }

  /** Keeps what a worker has counted; its thread must have ended. Returns the packets that were queued in its trees. */
  removeWorker(queue: number): number {
    const view = this.#views.get(queue);
    if (view === undefined) return 0;
    let queuedPackets = 0;
    for (const entries of [this.#entries, this.#departed])
      for (const entry of entries.values()) {
        if (entry.holding !== null) queuedPackets += this.#keep(entry, entry.holding, view);
        for (const holding of entry.draining) queuedPackets += this.#keep(entry, holding, view);
      }
    this.#views.delete(queue);
    this.#sentAtSample.delete(queue);
    this.#sentAtVisit.delete(queue);
    this.#mustVisit = true;
    this.#mustSample = true;
    return queuedPackets;
  }

  /** Sets every class's rate to the mean since the last sample. Costs nothing while no worker sends. */
  sample(nowNs: number): void {
    const seconds = (nowNs - this.#sampledAtNs) / 1e9;
    const isFirst = this.#sampledAtNs === 0;
    this.#sampledAtNs = nowNs;
    const isQuiet = !this.#haveSentSince(this.#sentAtSample) && !this.#mustSample;
    if (isQuiet && !this.#hasRates) return;
    this.#mustSample = false;
    this.#hasRates = false;
    for (const entry of this.#entries.values()) {
      for (let d = 0; d < DIRECTIONS; d++) {
        const bytes = this.#bytesOf(entry, d);
        // Never below 0: a class that has just turned into a leaf may look like less than before for a moment.
        const rateBps = isFirst ? 0 : Math.max(0, ((bytes - entry.bytes[d]!) * 8) / seconds);
        entry.bytes[d] = bytes;
        entry.rateBps[d] = rateBps;
        if (rateBps > 0) this.#hasRates = true;
      }
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  // ---- accounts ----------------------------------------------------------------------------------------

  /** What was sent as a leaf; an inner class counts for its children. */
  forEachTotal(visit: VisitTotal): void {
    // Nothing has been counted since the last visit, and classes that came have counted nothing.
    if (!this.#haveSentSince(this.#sentAtVisit) && !this.#mustVisit) return;
    this.#mustVisit = false;
    for (const entry of this.#entries.values()) this.#visit(entry, visit);
    for (const entry of this.#departed.values()) this.#visit(entry, visit);
  }

  takeGone(visit: VisitTotal): void {
    for (const entry of this.#gone) {
      this.#visit(entry, visit);
      this.#freeAccounts.push(entry.account);
    }
    this.#gone = [];
  }

  /** All classes, in the order of their first publication. */
  *reports(): Generator<ClassReport> {
    for (const entry of this.#entries.values()) yield this.#report(entry);
  }

  /** One class; null when there is none of this id. */
  report(id: string): ClassReport | null {
    const entry = this.#entries.get(id);
    return entry === undefined ? null : this.#report(entry);
  }

  #report(entry: Entry): ClassReport {
    const { id, parent } = entry.holding!.metered.spec;
    return { id, parent, down: this.#direction(entry, 0), up: this.#direction(entry, 1) };
  }

  #direction(entry: Entry, d: 0 | 1): DirectionReport {
    const sum = this.#sum;
    clearStats(sum);
    if (entry.kept !== null) addStats(sum, entry.kept[d]);
    this.#addHolding(entry.holding!, d, sum);
    for (const holding of entry.draining) this.#addHolding(holding, d, sum);
    const { isInner } = entry.holding!.metered;
    const { bytes, packets, drops, marks, backlogBytes, backlogPackets, lends, borrows, overlimits } = sum;
    return {
      bytes,
      packets,
      drops,
      marks,
      backlogBytes,
      backlogPackets,
      lends,
      borrows,
      overlimits,
      rateBps: Math.round(entry.rateBps[d]!),
      ...leafFigures(sum, isInner ? 0 : this.#sentAsLeaf(entry, d, Field.D_PACKETS)),
    };
  }

  #addHolding({ metered, sinceEpoch }: Holding, d: 0 | 1, sum: ClassStats): void {
    for (const view of this.#views.values()) {
      if (!this.#isVisible(sinceEpoch, view)) continue;
      addClassStats(view.trees[d].words, view.trees[d].doubles, metered.index, metered.isInner, sum);
    }
  }

  /** Takes over what one worker has counted under an index that it will soon not know any more; the packets queued there. */
  #keep(entry: Entry, { metered, sinceEpoch }: Holding, view: WorkerView): number {
    if (!this.#isVisible(sinceEpoch, view)) return 0;
    const sum = this.#sum;
    let queuedPackets = 0;
    for (const d of [0, 1] as const) {
      clearStats(sum);
      addClassStats(view.trees[d].words, view.trees[d].doubles, metered.index, metered.isInner, sum);
      queuedPackets += sum.backlogPackets;
      sum.backlogBytes = sum.backlogPackets = sum.sparseFlows = sum.bulkFlows = 0;
      // Whatever is counted comes with one of these, and most of very many classes have counted nothing.
      if (sum.packets + sum.drops + sum.marks + sum.overlimits === 0) continue;
      entry.kept ??= [emptyStats(), emptyStats()];
      addStats(entry.kept[d], sum);
      if (!metered.isInner) continue;
      entry.keptAsInner ??= [emptyStats(), emptyStats()];
      addStats(entry.keptAsInner[d], sum);
    }
    return queuedPackets;
  }

  #visit(entry: Entry, visit: VisitTotal): void {
    const downBytes = this.#sentAsLeaf(entry, 0, Field.D_BYTES);
    const upBytes = this.#sentAsLeaf(entry, 1, Field.D_BYTES);
    // Most of many thousand classes have been idle since they came.
    if (downBytes === 0 && upBytes === 0) return;
    const downPackets = this.#sentAsLeaf(entry, 0, Field.D_PACKETS);
    const upPackets = this.#sentAsLeaf(entry, 1, Field.D_PACKETS);
    visit(entry.account, entry.id, downBytes, downPackets, upBytes, upPackets);
  }

  #sentAsLeaf(entry: Entry, d: 0 | 1, field: Field.D_BYTES | Field.D_PACKETS): number {
    const key = field === Field.D_BYTES ? 'bytes' : 'packets';
    const kept = (entry.kept?.[d]?.[key] ?? 0) - (entry.keptAsInner?.[d]?.[key] ?? 0);
    return kept + this.#sumOf(entry, d, field, true);
  }

  #bytesOf(entry: Entry, d: number): number {
    return (entry.kept === null ? 0 : entry.kept[d]!.bytes) + this.#sumOf(entry, d, Field.D_BYTES, false);
  }

  /** One counter of all living workers' records; without an object, for it is read of every class once a second. */
  #sumOf(entry: Entry, d: number, field: Field, leavesOnly: boolean): number {
    const { holding, draining } = entry;
    let sum = 0;
    if (holding !== null && !(leavesOnly && holding.metered.isInner))
      sum = this.#counterOf(holding, d, field);
    for (const one of draining)
      if (!(leavesOnly && one.metered.isInner)) sum += this.#counterOf(one, d, field);
    return sum;
  }

  #counterOf({ metered, sinceEpoch }: Holding, d: number, field: Field): number {
    const at = (((metered.index + 1) * Field.CLASS_STRIDE) >> 1) + field;
    let sum = 0;
    for (const view of this.#views.values())
      if (this.#isVisible(sinceEpoch, view)) sum += view.trees[d]!.doubles[at]!;
    return sum;
  }

  #isVisible(sinceEpoch: number, view: WorkerView): boolean {
    // Pairs with the worker's store after it has adopted an epoch: its records are those of that epoch.
    const adopted = Atomics.load(this.#epochWords, adoptedWord(view.queue));
    return ((adopted - sinceEpoch) | 0) >= 0;
  }

  /** Whether a worker has sent packets since this was asked with the same map. */
  #haveSentSince(sentBefore: Map<number, number>): boolean {
    let haveSent = false;
    for (const [queue, view] of this.#views) {
      const sent = view.sentPackets();
      if (sentBefore.get(queue) !== sent) haveSent = true;
      sentBefore.set(queue, sent);
    }
    return haveSent;
  }
}

function newEntry(id: string, account: number): Entry {
  return {
    id,
    account,
    holding: null,
    draining: NO_HOLDINGS,
    kept: null,
    keptAsInner: null,
    bytes: new Float64Array(DIRECTIONS),
    rateBps: new Float64Array(DIRECTIONS),
  };
}
