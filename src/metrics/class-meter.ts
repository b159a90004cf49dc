/**
 * What all workers together have counted for each class, and its rate: read by the control thread from the workers'
 * tree memory while they run. The workers do nothing for it.
 *
 *     a class's total  =  what workers counted that are gone  +  what each living worker's record says
 *
 * Only bytes are read once a second, for the rates; the rest when somebody asks.
 */
import { Field } from '../htb/layout.js';
import { addClassStats, type ClassStats, emptyStats } from '../htb/memory.js';
import { adoptedWord } from '../shm/shared-shaper.js';

const DIRECTIONS = 2;
/** Of a class that has been published; the publisher's object keeps its identity while the class keeps its index. */
export interface MeteredClass {
  readonly index: number;
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

/** One direction of one class. `marks` stays 0 where no leaf queue marks. */
export interface DirectionReport extends ClassStats {
  readonly marks: number;
  readonly rateBps: number;
}

export interface ClassReport {
  readonly id: string;
  readonly parent: string | null;
  readonly down: DirectionReport;
  readonly up: DirectionReport;
}

interface Entry {
  metered: MeteredClass;
  /** The epoch that gave the class its index; a worker that has not adopted it shows another class's record. */
  sinceEpoch: number;
  /** What is no longer in any worker's memory, by direction. */
  kept: [ClassStats, ClassStats] | null;
  /** By direction; what the last sample found. */
  readonly bytes: Float64Array;
  readonly rateBps: Float64Array;
}

export function treeView(words: Int32Array): TreeView {
  return { words, doubles: new Float64Array(words.buffer, words.byteOffset, words.length >> 1) };
}

export class ClassMeter {
  readonly #epochWords: Int32Array;
  readonly #entries = new Map<string, Entry>();
  readonly #views = new Map<number, WorkerView>();
  readonly #sentAtSample = new Map<number, number>();
  #sampledAtNs = 0;
  #hasRates = false;
  #mustSample = true;

  constructor(epochWords: Int32Array) {
    this.#epochWords = epochWords;
  }

  /** Takes over what has just been published; to be called after each publication. */
  track(classes: ReadonlyMap<string, MeteredClass>, epoch: number): void {
    for (const id of this.#entries.keys()) if (!classes.has(id)) this.#entries.delete(id);
    for (const [id, metered] of classes) {
      const entry = this.#entries.get(id);
      if (entry === undefined) {
        const bytes = new Float64Array(DIRECTIONS);
        const rateBps = new Float64Array(DIRECTIONS);
        this.#entries.set(id, { metered, sinceEpoch: epoch, kept: null, bytes, rateBps });
      } else if (entry.metered !== metered) {
        // The class has become a leaf or an inner class, with another record in the workers' memory.
        entry.kept = [this.#total(entry, 0), this.#total(entry, 1)];
        for (const kept of entry.kept) kept.backlogBytes = kept.backlogPackets = 0;
        entry.metered = metered;
        entry.sinceEpoch = epoch;
      }
    }
    this.#mustSample = true;
  }

  addWorker(view: WorkerView): void {
    this.#views.set(view.queue, view);
    this.#mustSample = true;
  }

  /** Keeps what a worker has counted; its thread must have ended. Returns the packets that were queued in its trees. */
  removeWorker(queue: number): number {
    const view = this.#views.get(queue);
    if (view === undefined) return 0;
    let queuedPackets = 0;
    for (const entry of this.#entries.values()) {
      if (!this.#isVisible(entry, view)) continue;
      entry.kept ??= [emptyStats(), emptyStats()];
      for (let d = 0; d < DIRECTIONS; d++) {
        const kept = entry.kept[d]!;
        const { words, doubles } = view.trees[d]!;
        addClassStats(words, doubles, entry.metered.index, kept);
        queuedPackets += kept.backlogPackets;
        kept.backlogBytes = kept.backlogPackets = 0;
      }
    }
    this.#views.delete(queue);
    this.#sentAtSample.delete(queue);
    this.#mustSample = true;
    return queuedPackets;
  }

  /** Sets every class's rate to the mean since the last sample. Costs nothing while no worker sends. */
  sample(nowNs: number): void {
    const seconds = (nowNs - this.#sampledAtNs) / 1e9;
    const isFirst = this.#sampledAtNs === 0;
    this.#sampledAtNs = nowNs;
    const isQuiet = !this.#haveSent() && !this.#mustSample;
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
    const { id, parent } = entry.metered.spec;
    const direction = (d: 0 | 1): DirectionReport => ({
      ...this.#total(entry, d),
      marks: 0,
      rateBps: Math.round(entry.rateBps[d]!),
    });
    return { id, parent, down: direction(0), up: direction(1) };
  }

  #total(entry: Entry, d: 0 | 1): ClassStats {
    const sum = entry.kept === null ? emptyStats() : { ...entry.kept[d] };
    for (const view of this.#views.values()) {
      if (!this.#isVisible(entry, view)) continue;
      addClassStats(view.trees[d].words, view.trees[d].doubles, entry.metered.index, sum);
    }
    return sum;
  }

  #bytesOf(entry: Entry, d: number): number {
    let bytes = entry.kept === null ? 0 : entry.kept[d]!.bytes;
    const at = ((entry.metered.index + 1) * Field.CLASS_STRIDE) >> 1;
    for (const view of this.#views.values()) {
      if (this.#isVisible(entry, view)) bytes += view.trees[d]!.doubles[at + Field.D_BYTES]!;
    }
    return bytes;
  }

  #isVisible(entry: Entry, view: WorkerView): boolean {
    // Pairs with the worker's store after it has adopted an epoch: its records are those of that epoch.
    const adopted = Atomics.load(this.#epochWords, adoptedWord(view.queue));
    return ((adopted - entry.sinceEpoch) | 0) >= 0;
  }

  #haveSent(): boolean {
    let haveSent = false;
    for (const [queue, view] of this.#views) {
      const sent = view.sentPackets();
      if (this.#sentAtSample.get(queue) !== sent) haveSent = true;
      this.#sentAtSample.set(queue, sent);
    }
    return haveSent;
  }
}
