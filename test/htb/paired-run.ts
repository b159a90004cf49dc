/**
 * Runs the real tree and the oracle side by side: the same classes, packets and clock go into both, and what comes
 * out of each is counted by class.
 */
import { HtbOracle, type OracleClass } from '../oracle/htb-oracle.js';
import { type DriverOptions, TreeDriver } from './tree-driver.js';

/** Few enough for more to be due at times. */
const RELEASE_ROOM = 6;

export interface Sent {
  bytes: number;
  packets: number;
}

export class PairedRun {
  readonly driver: TreeDriver;
  readonly oracle: HtbOracle;
  /** By class, inner ones too: what has left so far. */
  readonly realSent = new Map<string, Sent>();
  readonly oracleSent = new Map<string, Sent>();
  /** By leaf: packets offered, and refused by each. */
  readonly offered = new Map<string, number>();
  readonly realDrops = new Map<string, number>();
  readonly oracleDrops = new Map<string, number>();
  readonly parentOf = new Map<string, string | null>();
  /** Whether packets that may leave at once do so without being queued, as they do in a worker. */
  passes = false;
  /** Packets that timers have released at once. */
  released = 0;
  onRealSent: (id: string, lenBytes: number, nowNs: number) => void = () => {};
  readonly #refused = new Set<string>();
  #tag = 0;

  constructor(classes: readonly OracleClass[], options: DriverOptions = {}) {
    this.driver = new TreeDriver(options);
    this.oracle = new HtbOracle(classes, options);
    this.driver.publish(classes, 0);
    this.noteParents(classes);
  }

  noteParents(classes: readonly OracleClass[]): void {
    for (const { id, parent } of classes) this.parentOf.set(id, parent);
  }

  /** Offers nothing to a removed class from now on. */
  refuse(id: string): void {
    this.#refused.add(id);
  }

  /** One step of both at `nowNs`; `arrivals` are queued first. */
  step(nowNs: number, arrivals: readonly { id: string; lenBytes: number }[]): void {
    const { driver, oracle } = this;
    if (this.passes) this.#release(nowNs);
    else driver.tree.beginStep(nowNs);
    for (const { id, lenBytes } of arrivals) {
      if (this.#refused.has(id)) continue;
      const tag = this.#tag++;
      bump(this.offered, id);
      if (!oracle.enqueue(id, { lenBytes, tag }, nowNs)) bump(this.oracleDrops, id);
      if (this.passes && driver.pass(id, lenBytes)) {
        this.onRealSent(id, lenBytes, nowNs);
        this.#count(this.realSent, id, lenBytes);
        // It takes no room in a queue, so it must not in the oracle's.
        const sent = oracle.dequeue(nowNs);
        if (sent !== null) this.#count(this.oracleSent, sent.id, sent.lenBytes);
      } else if (!driver.enqueue(id, lenBytes, tag)) bump(this.realDrops, id);
    }
    for (let sent = driver.dequeue(); sent !== null; sent = driver.dequeue()) {
      this.onRealSent(sent.id, sent.lenBytes, nowNs);
      this.#count(this.realSent, sent.id, sent.lenBytes);
    }
    driver.tree.endStep();
    for (let sent = oracle.dequeue(nowNs); sent !== null; sent = oracle.dequeue(nowNs))
      this.#count(this.oracleSent, sent.id, sent.lenBytes);
  }

  /**
   * The times in (`fromNs`, `untilNs`) at which one of the two has something to do: a step of both at each. Throws
   * when the real tree sends a packet before the time at which it said it would look again.
   */
  runEvents(fromNs: number, untilNs: number): void {
    // The real tree may ask for a look a slot of its wheel early; it is then asked again after this.
    const patienceNs = Math.max(10, Math.min(500, Math.round((untilNs - fromNs) / 200)));
    let nowNs = fromNs;
    for (;;) {
      const dueNs = this.driver.nextDueNs(nowNs);
      // A moment later: the two add up costs in different orders, and differ by less than a nanosecond.
      const eventNs = Math.round(this.oracle.nextEventNs(nowNs) ?? Number.POSITIVE_INFINITY) + 1;
      nowNs = Math.min(eventNs, Math.max(Math.ceil(dueNs), nowNs + patienceNs));
      if (nowNs >= untilNs) return;
      const before = this.driver.freePackets;
      this.step(nowNs, []);
      if (this.driver.freePackets > before && dueNs > nowNs)
        throw new Error(`the tree sends at ${nowNs} ns and said ${dueNs} ns`);
    }
  }

  #release(nowNs: number): void {
    for (const { id, lenBytes } of this.driver.release(nowNs, RELEASE_ROOM)) {
      this.released++;
      this.onRealSent(id, lenBytes, nowNs);
      this.#count(this.realSent, id, lenBytes);
      // It leaves room for what arrives, so it must in the oracle's queues.
      const sent = this.oracle.dequeue(nowNs);
      if (sent !== null) this.#count(this.oracleSent, sent.id, sent.lenBytes);
    }
  }

  #count(sent: Map<string, Sent>, id: string, lenBytes: number): void {
    for (let at: string | null = id; at !== null; at = this.parentOf.get(at)!) {
      const entry = sent.get(at) ?? { bytes: 0, packets: 0 };
      entry.bytes += lenBytes;
      entry.packets++;
      sent.set(at, entry);
    }
  }
}

function bump(counts: Map<string, number>, id: string): void {
  counts.set(id, (counts.get(id) ?? 0) + 1);
}
