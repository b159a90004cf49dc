/**
 * Runs the real tree and the oracle side by side: the same classes, packets and clock go into both, and what comes
 * out of each is counted by class.
 */
import { HtbOracle, type OracleClass } from '../oracle/htb-oracle.js';
import { type DriverOptions, TreeDriver } from './tree-driver.js';

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
  onRealSent: (id: string, lenBytes: number, nowNs: number) => void = () => {};
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

  /** One step of both at `nowNs`; `arrivals` are queued first. */
  step(nowNs: number, arrivals: readonly { id: string; lenBytes: number }[]): void {
    const { driver, oracle } = this;
    driver.tree.runTimers(nowNs);
    for (const { id, lenBytes } of arrivals) {
      const tag = this.#tag++;
      bump(this.offered, id);
      if (!driver.enqueue(id, lenBytes, tag, nowNs)) bump(this.realDrops, id);
      if (!oracle.enqueue(id, { lenBytes, tag }, nowNs)) bump(this.oracleDrops, id);
    }
    for (let sent = driver.dequeue(nowNs); sent !== null; sent = driver.dequeue(nowNs)) {
      this.onRealSent(sent.id, sent.lenBytes, nowNs);
      this.#count(this.realSent, sent.id, sent.lenBytes);
    }
    driver.tree.endStep(nowNs);
    for (let sent = oracle.dequeue(nowNs); sent !== null; sent = oracle.dequeue(nowNs))
      this.#count(this.oracleSent, sent.id, sent.lenBytes);
  }

  /**
   * The times in (`fromNs`, `untilNs`) at which the oracle has something to do: one step of both at each. Throws when
   * the real tree has sent a packet before the time at which it said it would look again.
   */
  runEvents(fromNs: number, untilNs: number): void {
    let nowNs = fromNs;
    for (;;) {
      const dueNs = this.driver.nextDueNs(nowNs);
      const nextNs = this.oracle.nextEventNs(nowNs);
      if (nextNs === null || nextNs >= untilNs) return;
      // Nothing stays sendable after a step, so time goes on.
      nowNs = nextNs;
      const before = this.driver.freePackets;
      this.step(nowNs, []);
      if (this.driver.freePackets > before && dueNs > nowNs)
        throw new Error(`the tree sends at ${nowNs} ns and said ${dueNs} ns`);
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
