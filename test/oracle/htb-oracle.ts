/**
 * A slow hierarchical token bucket, written to be read. It judges the real tree: one queue, one direction,
 * virtual time, objects and lists throughout.
 *
 * The rules are those of Linux `net/sched/sch_htb.c` (hysteresis off), with weir's differences, which the
 * README beside this file lists. Where the kernel keeps event queues and feed trees up to date by increments,
 * this computes every class's mode and activity afresh at each dequeue. When a class gets other rates or bursts,
 * its buckets keep their debt in bytes, not their tokens as in the kernel.
 */

import {
  Node,
  type OracleClass,
  type OraclePacket,
  type OracleStats,
  PRIO_COUNT,
  type Round,
  rounds,
} from './oracle-node.js';

export type { OracleClass, OraclePacket, OracleStats } from './oracle-node.js';

/** A leaf's level is 0; a root's, where it has children, is this, and each step down is one less. */
const ROOT_LEVEL = 1000;

function checkSpec(spec: OracleClass): void {
  const ratesValid = spec.unlimited || (spec.rateBps >= 0 && spec.ceilBps > 0);
  const prioValid = Number.isInteger(spec.prio) && spec.prio >= 0 && spec.prio < PRIO_COUNT;
  if (ratesValid && prioValid && spec.quantumBytes > 0) return;
  throw new RangeError(`class ${spec.id}: needs rate ≥ 0, ceil > 0, prio 0-7 and quantum > 0`);
}

/**
 * Times are nanoseconds from any origin and must not go backwards. Misuse (unknown id, bad spec) throws
 * RangeError.
 */
export class HtbOracle {
  readonly #overheadBytes: number;
  readonly #mpuBytes: number;
  readonly #nodes = new Map<string, Node>();
  /** The last counters of classes that are gone. */
  readonly #goneStats = new Map<string, OracleStats>();
  /** Every class, parents before their children. */
  #topDown: Node[] = [];
  /** For each level and prio, the round among the classes that may lend at that level. */
  readonly #rows = new Map<number, Round[]>();
  #nowNs = -Infinity;

  /** `classes` in any order that has parents before their children. */
  constructor(classes: readonly OracleClass[], options: { overheadBytes?: number; mpuBytes?: number } = {}) {
    this.#overheadBytes = options.overheadBytes ?? 0;
    this.#mpuBytes = options.mpuBytes ?? 0;
    for (const spec of classes) this.add(spec);
  }

  /** False when the leaf's queue is full or the class is being removed; either counts as a drop. */
  enqueue(id: string, packet: OraclePacket, nowNs: number): boolean {
    this.#advanceTo(nowNs);
    const leaf = this.#node(id);
    if (!leaf.isLeaf) throw new RangeError(`class ${id}: only a leaf holds packets`);
    const { limitPackets, limitBytes } = leaf.spec;
    const bytesAfter = leaf.backlogBytes + packet.lenBytes;
    const isFull = leaf.queue.length >= limitPackets || (limitBytes > 0 && bytesAfter > limitBytes);
    if (isFull || leaf.isRemoved) {
      leaf.counters.drops++;
      return false;
    }
    leaf.queue.push({ lenBytes: packet.lenBytes, tag: packet.tag });
    leaf.backlogBytes = bytesAfter;
    this.#activate(leaf);
    return true;
  }

  /** The next packet that may leave at `nowNs`, or null. */
  dequeue(nowNs: number): { id: string; lenBytes: number; tag: number } | null {
    this.#advanceTo(nowNs);
    this.#refresh(nowNs);
    const lender = this.#bestLender();
    if (lender === null) return null;
    const level = lender.level;
    const prio = lowestBit(lender.activity);
    const leaf = this.#leafInTurn(level, prio);
    const packet = leaf.queue.shift()!;
    leaf.backlogBytes -= packet.lenBytes;
    const chargedBytes = Math.max(packet.lenBytes + this.#overheadBytes, this.#mpuBytes);
    this.#takeFromDeficit(leaf, level, prio, chargedBytes);
    if (leaf.queue.length === 0) this.#deactivate(leaf);
    this.#chargePath(leaf, level, packet.lenBytes, chargedBytes, nowNs);
    const sent = { id: leaf.spec.id, lenBytes: packet.lenBytes, tag: packet.tag };
    this.#reap(leaf);
    return sent;
  }

  /**
   * When `dequeue` should next be called: `nowNs` if a packet can leave now, else the earliest later time at
   * which a bucket of a class with backlog has tokens again, or null if there is none. Then a packet can
   * leave, or there is a later event.
   */
  nextEventNs(nowNs: number): number | null {
    this.#advanceTo(nowNs);
    this.#refresh(nowNs);
    if (this.#bestLender() !== null) return nowNs;
    let earliestNs = Infinity;
    for (const node of this.#topDown) {
      if (node.spec.unlimited || !this.#hasBacklog(node)) continue;
      if (node.ceilReadyNs > nowNs) earliestNs = Math.min(earliestNs, node.ceilReadyNs);
      if (node.spec.rateBps > 0 && node.readyNs > nowNs) earliestNs = Math.min(earliestNs, node.readyNs);
    }
    return earliestNs === Infinity ? null : earliestNs;
  }

  /** Also of classes that are gone: what their counters were at the end. */
  stats(id: string): OracleStats {
    return this.#nodes.get(id)?.stats() ?? this.#goneStats.get(id) ?? this.#node(id).stats();
  }

  /**
   * New rates act from the next packet. Debts (in nanoseconds: when a bucket would be full again), deficits and
   * backlog stay.
   */
  change(spec: OracleClass, nowNs: number): void {
    checkSpec(spec);
    const node = this.#node(spec.id);
    if (spec.parent !== node.spec.parent) throw new RangeError(`class ${spec.id}: use move for a new parent`);
    if (spec.prio === node.spec.prio) {
      node.reshape(spec, nowNs);
    } else {
      this.#outOfRounds(node, () => node.reshape(spec, nowNs));
    }
  }

  /**
   * Adds a leaf with full buckets. Where the parent was a leaf, it becomes an inner class and drops its
   * packets, as in the kernel.
   */
  add(spec: OracleClass): void {
    checkSpec(spec);
    if (this.#nodes.has(spec.id)) throw new RangeError(`class ${spec.id}: exists`);
    const parent = spec.parent === null ? null : this.#node(spec.parent);
    if (parent?.isRemoved) throw new RangeError(`class ${parent.spec.id}: is being removed`);
    const node = new Node({ ...spec }, parent);
    if (parent !== null) {
      this.#dropBacklog(parent);
      parent.children.push(node);
    }
    this.#nodes.set(spec.id, node);
    this.#goneStats.delete(spec.id);
    this.#reorder();
  }

  /** Hangs a class with all below it under another parent (null: as a root); tokens and backlog go with it. */
  move(id: string, newParentId: string | null): void {
    const node = this.#node(id);
    const newParent = newParentId === null ? null : this.#node(newParentId);
    for (let above = newParent; above !== null; above = above.parent) {
      if (above === node) throw new RangeError(`class ${id}: cannot move below itself`);
    }
    if (newParent?.isRemoved) throw new RangeError(`class ${newParentId}: is being removed`);
    const oldParent = node.parent;
    this.#outOfRounds(node, () => {
      if (newParent?.isLeaf) this.#dropBacklog(newParent);
      if (oldParent !== null) oldParent.children = oldParent.children.filter((child) => child !== node);
      newParent?.children.push(node);
      node.parent = newParent;
      node.spec.parent = newParentId;
      this.#reorder();
    });
    if (oldParent !== null) this.#reap(oldParent);
  }

  /**
   * Takes no more packets; gone when its queue is empty. An inner class must have only such children, and goes
   * with the last.
   */
  remove(id: string): void {
    const node = this.#node(id);
    if (!node.children.every((child) => child.isRemoved)) throw new RangeError(`class ${id}: has children`);
    node.isRemoved = true;
    this.#reap(node);
  }

  #node(id: string): Node {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new RangeError(`class ${id}: unknown`);
    return node;
  }

  #advanceTo(nowNs: number): void {
    if (!(nowNs >= this.#nowNs)) throw new RangeError(`time went from ${this.#nowNs} ns to ${nowNs} ns`);
    this.#nowNs = nowNs;
  }

  #row(level: number): Round[] {
    let row = this.#rows.get(level);
    if (row === undefined) this.#rows.set(level, (row = rounds()));
    return row;
  }

  #hasBacklog(node: Node): boolean {
    return node.isLeaf ? node.queue.length > 0 : node.feeds.some((feed) => !feed.isEmpty);
  }

  /** Rebuilds the order of classes and their levels after a change of the tree. */
  #reorder(): void {
    this.#topDown = [];
    const visit = (node: Node, depth: number): void => {
      node.level = node.isLeaf ? 0 : ROOT_LEVEL - depth;
      this.#topDown.push(node);
      for (const child of node.children) visit(child, depth + 1);
    };
    for (const node of this.#nodes.values()) {
      if (node.parent === null) visit(node, 0);
    }
  }

  /** Computes modes from the roots down, then what could be sent through each class from the leaves up. */
  #refresh(nowNs: number): void {
    for (const node of this.#topDown) {
      node.mode = node.modeAt(nowNs);
      node.activity = node.activePrio === null ? 0 : 1 << node.activePrio;
    }
    for (let at = this.#topDown.length - 1; at >= 0; at--) {
      const node = this.#topDown[at]!;
      if (node.mode === 'may-borrow' && node.parent !== null) node.parent.activity |= node.activity;
    }
  }

  /**
   * A class of the lowest level and prio at which anything can be sent: all leaves with tokens of their own
   * come before any borrowing.
   */
  #bestLender(): Node | null {
    let best: Node | null = null;
    for (const node of this.#topDown) {
      if (node.mode !== 'can-send' || node.activity === 0) continue;
      const isBetter =
        best === null ||
        node.level < best.level ||
        (node.level === best.level && lowestBit(node.activity) < lowestBit(best.activity));
      if (isBetter) best = node;
    }
    return best;
  }

  /** Follows the rounds from the row of lenders down to a leaf. */
  #leafInTurn(level: number, prio: number): Node {
    const lends = (node: Node): boolean => node.mode === 'can-send' && (node.activity & (1 << prio)) !== 0;
    const borrows = (node: Node): boolean =>
      node.mode === 'may-borrow' && (node.activity & (1 << prio)) !== 0;
    let node = this.#row(level)[prio]!.current(lends);
    while (!node.isLeaf) node = node.feeds[prio]!.current(borrows);
    return node;
  }

  #takeFromDeficit(leaf: Node, level: number, prio: number, bytes: number): void {
    const kind = level === 0 ? 'own' : 'borrowed';
    const deficitBytes = leaf.deficitBytes[kind] - bytes;
    leaf.deficitBytes[kind] = deficitBytes >= 0 ? deficitBytes : deficitBytes + leaf.spec.quantumBytes;
    if (level > 0) this.#takeFromTurns(leaf, level, prio, bytes);
    if (deficitBytes >= 0) return;
    if (level === 0) this.#row(0)[prio]!.endTurn();
    else leaf.parent!.feeds[prio]!.endTurn();
  }

  /**
   * An inner class's turn is as long as those of all borrowers below it together, whoever lends above it; likewise that of
   * a lender among lenders.
   */
  #takeFromTurns(leaf: Node, lenderLevel: number, prio: number, bytes: number): void {
    for (let node = leaf.parent!; ; node = node.parent!) {
      const lends = node.level === lenderLevel;
      const turns = lends ? node.turnBytes.lending : node.turnBytes.borrowing;
      const wholeBytes = Math.max(this.#borrowersBytes(node, prio), leaf.spec.quantumBytes);
      turns[prio] = Math.min(turns[prio]!, wholeBytes) - bytes;
      if (turns[prio]! < 0) {
        turns[prio]! += wholeBytes;
        (lends ? this.#row(lenderLevel) : node.parent!.feeds)[prio]!.endTurn();
      }
      if (lends) return;
    }
  }

  /** The quanta of the leaves below a class that wait to borrow. */
  #borrowersBytes(node: Node, prio: number): number {
    if (node.isLeaf)
      return node.activePrio === prio && node.mode === 'may-borrow' ? node.spec.quantumBytes : 0;
    return node.children.reduce((sum, child) => sum + this.#borrowersBytes(child, prio), 0);
  }

  /**
   * Every class from the leaf to the root pays from its ceil; from the assured rate only the lender and those
   * above it.
   */
  #chargePath(leaf: Node, lenderLevel: number, lenBytes: number, chargedBytes: number, nowNs: number): void {
    for (let node: Node | null = leaf; node !== null; node = node.parent) {
      if (node.level === lenderLevel) node.counters.lends++;
      if (node.level < lenderLevel) node.counters.borrows++;
      node.counters.bytes += lenBytes;
      node.counters.packets++;
      node.charge(nowNs, chargedBytes, node.level >= lenderLevel);
    }
  }

  /** Enters a leaf with packets into the rounds, and the ancestors that had no backlog of this prio. */
  #activate(leaf: Node): void {
    if (leaf.activePrio !== null) return;
    const prio = leaf.spec.prio;
    leaf.activePrio = prio;
    this.#row(0)[prio]!.join(leaf);
    let node: Node = leaf;
    for (let parent = node.parent; parent !== null; parent = node.parent) {
      const feed = parent.feeds[prio]!;
      const wasIdle = feed.isEmpty;
      feed.join(node);
      if (!wasIdle) return;
      this.#row(parent.level)[prio]!.join(parent);
      node = parent;
    }
  }

  #deactivate(leaf: Node): void {
    if (leaf.activePrio === null) return;
    const prio = leaf.activePrio;
    leaf.activePrio = null;
    this.#row(0)[prio]!.leave(leaf);
    let node: Node = leaf;
    for (let parent = node.parent; parent !== null; parent = node.parent) {
      const feed = parent.feeds[prio]!;
      feed.leave(node);
      if (!feed.isEmpty) return;
      this.#row(parent.level)[prio]!.leave(parent);
      node = parent;
    }
  }

  /**
   * Runs `edit` while the leaves at and below `node` are out of the rounds, whose places depend on prio,
   * parent and level.
   */
  #outOfRounds(node: Node, edit: () => void): void {
    const active = this.#topDown.filter((leaf) => leaf.activePrio !== null && isAtOrBelow(leaf, node));
    for (const leaf of active) this.#deactivate(leaf);
    edit();
    for (const leaf of active) this.#activate(leaf);
  }

  #dropBacklog(leaf: Node): void {
    this.#deactivate(leaf);
    leaf.counters.drops += leaf.queue.length;
    leaf.queue = [];
    leaf.backlogBytes = 0;
  }

  /** Forgets a removed class that has drained, and then its removed parent if that was the last child. */
  #reap(node: Node): void {
    if (!node.isRemoved || !node.isLeaf || node.queue.length > 0) return;
    this.#goneStats.set(node.spec.id, node.stats());
    this.#nodes.delete(node.spec.id);
    const parent = node.parent;
    if (parent !== null) parent.children = parent.children.filter((child) => child !== node);
    this.#reorder();
    if (parent !== null) this.#reap(parent);
  }
}

const lowestBit = (mask: number): number => 31 - Math.clz32(mask & -mask);

function isAtOrBelow(node: Node, top: Node): boolean {
  for (let at: Node | null = node; at !== null; at = at.parent) {
    if (at === top) return true;
  }
  return false;
}
