/**
 * What the oracle knows about one class, and the order in which siblings take turns.
 *
 * A bucket is held as the time at which its tokens are zero, `readyNs`: at time t it holds `t − readyNs`
 * nanoseconds of sending, never more than its depth. "Tokens are not negative" is then the exact comparison
 * `t ≥ readyNs`, so that no rounding can make an event fall short of what it was set for.
 */

/** One class in one direction. Rates in bit/s, sizes in bytes. */
export interface OracleClass {
  id: string;
  /** null for a root. */
  parent: string | null;
  /** Assured rate; 0: nothing assured. */
  rateBps: number;
  ceilBps: number;
  burstBytes: number;
  cburstBytes: number;
  /** Bytes in a row when leaves share a lender. Counts for leaves only, as `prio` does. */
  quantumBytes: number;
  /** 0 (served first) to 7. */
  prio: number;
  /** The direction is left out: no limit of its own; the rates and bursts above are not looked at. */
  unlimited: boolean;
  limitPackets: number;
  /** 0: no limit in bytes. */
  limitBytes: number;
}

export interface OraclePacket {
  lenBytes: number;
  tag: number;
}

/** `bytes` are the packets' own lengths, without overhead. Backlog and drops are a leaf's, as in the kernel. */
export interface OracleStats {
  bytes: number;
  packets: number;
  drops: number;
  /** Packets sent on this class's own assured tokens, by itself or by a descendant. */
  lends: number;
  /** Packets that passed this class on their way to a lender above it. */
  borrows: number;
  /** Times the class became unable to send, that is, used up its ceil. */
  overlimits: number;
  backlogPackets: number;
  backlogBytes: number;
}

/** The part of every burst that is there for the packet that overdraws the bucket. */
const BURST_PACKET_BYTES = 1600;
export const PRIO_COUNT = 8;

type Mode = 'can-send' | 'may-borrow' | 'cant-send';

/** Nanoseconds that `bytes` take at `rateBps`. */
const timeNs = (bytes: number, rateBps: number): number => (bytes * 8e9) / rateBps;

/** Tokens of a full bucket. One that never gives has none. */
const depthNs = (burstBytes: number, rateBps: number): number =>
  rateBps > 0 ? timeNs(Math.max(0, burstBytes - BURST_PACKET_BYTES), rateBps) : 0;

/** What a bucket's `readyNs` becomes when `bytes` are taken from it at `nowNs`. */
function charge(readyNs: number, nowNs: number, bytes: number, burstBytes: number, rateBps: number): number {
  return Math.max(readyNs, nowNs - depthNs(burstBytes, rateBps)) + timeNs(bytes, rateBps);
}

/**
 * The order in which backlogged siblings take turns. A class keeps its place while its mode changes; it leaves when its
 * backlog ends, and comes last when it begins.
 */
export class Round {
  #members: Node[] = [];

  get isEmpty(): boolean {
    return this.#members.length === 0;
  }

  join(node: Node): void {
    this.#members.push(node);
  }

  leave(node: Node): void {
    this.#members = this.#members.filter((other) => other !== node);
  }

  /** Whose turn it is among the wanted, of whom there must be one; the others in front lose theirs. */
  current(isWanted: (node: Node) => boolean): Node {
    while (!isWanted(this.#members[0]!)) this.endTurn();
    return this.#members[0]!;
  }

  endTurn(): void {
    const node = this.#members.shift();
    if (node !== undefined) this.#members.push(node);
  }
}

export const rounds = (): Round[] => Array.from({ length: PRIO_COUNT }, () => new Round());

export class Node {
  spec: OracleClass;
  parent: Node | null;
  children: Node[] = [];
  level = 0;
  isRemoved = false;

  /** When the assured tokens, and the ceil's, are zero. A new class has full buckets. */
  readyNs = -Infinity;
  ceilReadyNs = -Infinity;

  queue: OraclePacket[] = [];
  /** The prio that the leaf is in the rounds with, null when it has no backlog. */
  activePrio: number | null = null;
  /** A leaf's deficits: among those with tokens of their own, and among borrowers, whoever lends. */
  deficitBytes = { own: 0, borrowed: 0 };
  /** An inner class's rounds among its backlogged children, one for each prio. */
  feeds = rounds();
  /** By prio, what is left of an inner class's turn among the borrowers of its parent, and among lenders. */
  turnBytes = {
    borrowing: new Array<number>(PRIO_COUNT).fill(0),
    lending: new Array<number>(PRIO_COUNT).fill(0),
  };

  /**
   * Computed afresh at each dequeue. `activity` has a bit for each prio that could be sent through this class.
   */
  mode: Mode = 'cant-send';
  activity = 0;

  counters = { bytes: 0, packets: 0, drops: 0, lends: 0, borrows: 0, overlimits: 0 };
  backlogBytes = 0;

  constructor(spec: OracleClass, parent: Node | null) {
    this.spec = spec;
    this.parent = parent;
  }

  get isLeaf(): boolean {
    return this.children.length === 0;
  }

  /**
   * The mode at `nowNs`; the parent's must be known. A class under one that can't send can't either: ceils are
   * hard.
   */
  modeAt(nowNs: number): Mode {
    if (this.parent?.mode === 'cant-send') return 'cant-send';
    if (this.spec.unlimited) return this.parent === null ? 'can-send' : 'may-borrow';
    if (nowNs < this.ceilReadyNs) return 'cant-send';
    return this.spec.rateBps > 0 && nowNs >= this.readyNs ? 'can-send' : 'may-borrow';
  }

  /**
   * Takes a packet of `bytes` from the ceil, and from the assured rate too where the class lends or stands
   * above the lender.
   */
  charge(nowNs: number, bytes: number, paysAssured: boolean): void {
    const { unlimited, rateBps, ceilBps, burstBytes, cburstBytes } = this.spec;
    if (unlimited) return;
    if (paysAssured && rateBps > 0) this.readyNs = charge(this.readyNs, nowNs, bytes, burstBytes, rateBps);
    this.ceilReadyNs = charge(this.ceilReadyNs, nowNs, bytes, cburstBytes, ceilBps);
    if (nowNs < this.ceilReadyNs) this.counters.overlimits++;
  }

  /**
   * Gives the class other numbers. What stays is the debt in bytes: what a bucket lacks to be full. So a bucket that
   * was full is full, however deep it has become, and what was sent is paid for at the new rate.
   */
  reshape(spec: OracleClass, nowNs: number): void {
    const old = this.spec;
    this.readyNs = reshaped(
      this.readyNs,
      nowNs,
      [old.rateBps, old.burstBytes],
      [spec.rateBps, spec.burstBytes],
    );
    this.ceilReadyNs = reshaped(
      this.ceilReadyNs,
      nowNs,
      [old.ceilBps, old.cburstBytes],
      [spec.ceilBps, spec.cburstBytes],
    );
    this.spec = { ...spec };
  }

  stats(): OracleStats {
    return { ...this.counters, backlogPackets: this.queue.length, backlogBytes: this.backlogBytes };
  }
}

/** When a bucket's tokens are zero after it has got another rate and burst. */
function reshaped(
  readyNs: number,
  nowNs: number,
  [oldBps, oldBytes]: readonly [number, number],
  [bps, bytes]: readonly [number, number],
): number {
  if (bps === 0) return readyNs;
  const debtNs = oldBps === 0 ? 0 : Math.max(0, readyNs + depthNs(oldBytes, oldBps) - nowNs);
  return nowNs + (debtNs * oldBps) / bps - depthNs(bytes, bps);
}
