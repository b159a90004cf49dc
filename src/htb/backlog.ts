/**
 * Which leaves are to be announced to other workers, and which to be withdrawn. A leaf that is still backlogged
 * when a step ends is announced; one that has been empty for a while is withdrawn. So packets that come and go
 * within a step cost nothing here.
 */
import { Field, Flag } from './layout.js';
import type { TreeMemory } from './memory.js';
import { LINGER_NS, type Registry } from './sharing/registry.js';
import type { Tabs } from './sharing/tab.js';

const PENDING_MAX = 1024;

export class Backlog {
  readonly #words: Int32Array;
  readonly #clock: Float64Array;
  readonly #registry: Registry;
  readonly #tabs: Tabs;
  readonly #isShared: boolean;
  readonly #pending = new Int32Array(PENDING_MAX);
  #pendingCount = 0;
  /** A ring of leaves that have become empty, oldest first. A leaf is on it once at most. */
  readonly #lingering: Int32Array;
  readonly #lingeringSinceNs: Float64Array;
  #lingerHead = 0;
  #lingerTail = 0;

  constructor(memory: TreeMemory, registry: Registry, tabs: Tabs) {
    this.#words = memory.words;
    this.#clock = memory.clock;
    this.#registry = registry;
    this.#tabs = tabs;
    this.#isShared = memory.shared.queues > 1;
    const slots = 2 ** Math.ceil(Math.log2(memory.shared.capacityClasses + 1));
    this.#lingering = new Int32Array(slots);
    this.#lingeringSinceNs = new Float64Array(slots);
  }

  /** Has a backlogged leaf looked at when the step ends. */
  watch(leaf: number): void {
    const words = this.#words;
    const flags = words[leaf + Field.FLAGS]!;
    if ((flags & (Flag.MUST_REGISTER | Flag.IS_PENDING)) !== Flag.MUST_REGISTER) return;
    const wantsWeight = this.#isShared && (flags & Flag.ON_FEED) !== 0 && (flags & Flag.IS_WEIGHTED) === 0;
    if ((flags & Flag.IS_REGISTERED) !== 0 && !wantsWeight) return;
    if (this.#pendingCount === PENDING_MAX) this.#announce();
    words[leaf + Field.FLAGS] = flags | Flag.IS_PENDING;
    this.#pending[this.#pendingCount++] = leaf;
  }

  /** Notes that a leaf has become empty. */
  emptied(leaf: number): void {
    const nowNs = this.#clock[0]!;
    const flags = this.#words[leaf + Field.FLAGS]!;
    this.#registry.emptied(leaf);
    if ((flags & (Flag.IS_REGISTERED | Flag.IS_LINGERING)) !== Flag.IS_REGISTERED) return;
    this.#words[leaf + Field.FLAGS] = flags | Flag.IS_LINGERING;
    const slot = this.#lingerTail++ & (this.#lingering.length - 1);
    this.#lingering[slot] = leaf;
    this.#lingeringSinceNs[slot] = nowNs;
  }

  endStep(): void {
    const nowNs = this.#clock[0]!;
    if (this.#pendingCount > 0) this.#announce();
    while (this.#lingerHead !== this.#lingerTail) {
      const slot = this.#lingerHead & (this.#lingering.length - 1);
      if (this.#lingeringSinceNs[slot]! + LINGER_NS > nowNs) return;
      this.#lingerHead++;
      this.#withdraw(this.#lingering[slot]!);
    }
  }

  /** When the next leaf will have lingered long enough; Infinity when none lingers. */
  nextDueNs(): number {
    if (this.#lingerHead === this.#lingerTail) return Number.POSITIVE_INFINITY;
    return this.#lingeringSinceNs[this.#lingerHead & (this.#lingering.length - 1)]! + LINGER_NS;
  }

  #announce(): void {
    const words = this.#words;
    for (let i = 0; i < this.#pendingCount; i++) {
      const leaf = this.#pending[i]!;
      const flags = words[leaf + Field.FLAGS]!;
      words[leaf + Field.FLAGS] = flags & ~Flag.IS_PENDING;
      if (words[leaf + Field.BACKLOG_PACKETS] === 0 || (flags & Flag.MUST_REGISTER) === 0) continue;
      if ((flags & Flag.IS_REGISTERED) === 0) this.#registry.registerPresence(leaf);
      if (this.#isShared && (flags & Flag.ON_FEED) !== 0 && (flags & Flag.IS_WEIGHTED) === 0) {
        this.#registry.registerWeight(leaf);
      }
    }
    this.#pendingCount = 0;
  }

  #withdraw(leaf: number): void {
    const flags = this.#words[leaf + Field.FLAGS]!;
    if ((flags & Flag.IS_LINGERING) === 0) return;
    this.#words[leaf + Field.FLAGS] = flags & ~Flag.IS_LINGERING;
    if (this.#words[leaf + Field.BACKLOG_PACKETS] !== 0) return;
    this.#registry.unregister(leaf);
    if (this.#isShared) this.#tabs.settle(leaf);
  }
}
