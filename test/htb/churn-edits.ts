/**
 * Random changes of a class tree, as wild as a publication may be: every kind of move, subtrees that come and go,
 * leaves that become inner classes and back, rates and directions that appear and vanish.
 */
import type { OracleClass } from '../oracle/htb-oracle.js';
import { type Rng, randomTree } from '../oracle/random-tree.js';

const RATE_BPS_MIN = 64_000;
const RATE_BPS_MAX = 10_000_000_000;
const LONGEST_BURST_SECONDS = 0.02;
const DEPTH_MAX = 16;
const CLASSES_MAX = 60;
const LIMIT_PACKETS_MAX = 20;

export class ChurnEdits {
  /** Parents before children. */
  tree: readonly OracleClass[];
  readonly #rng: Rng;
  #names = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
    const oversubscribed = rng.chance(0.5);
    const grown = randomTree(rng, { maxLeaves: 12, maxLevels: rng.chance(0.3) ? 8 : 4, oversubscribed });
    this.tree = grown.map((spec) => this.#sound({ ...spec, limitPackets: this.#limit(), limitBytes: 0 }));
  }

  /** The next tree: a few edits away from this one, seldom empty or wholly new. */
  next(): readonly OracleClass[] {
    const rng = this.#rng;
    if (rng.chance(0.02)) return this.#take([]);
    const edits = [this.#reshape, this.#reshape, this.#move, this.#move, this.#add, this.#add, this.#remove];
    let tree = [...this.tree];
    for (let left = 1 + rng.int(6); left > 0; left--) tree = edits[rng.int(edits.length)]!.call(this, tree);
    return this.#take(tree);
  }

  #take(tree: readonly OracleClass[]): readonly OracleClass[] {
    this.tree = parentsFirst(tree).map((spec) => this.#sound(spec));
    return this.tree;
  }

  /** What has nobody to borrow from must have something assured, or its packets could never leave. */
  #sound(spec: OracleClass): OracleClass {
    if (spec.parent !== null || spec.unlimited || spec.rateBps > 0) return spec;
    return { ...spec, rateBps: spec.ceilBps };
  }

  #limit(): number {
    return this.#rng.logInt(1, LIMIT_PACKETS_MAX);
  }

  #pick(tree: readonly OracleClass[]): OracleClass | undefined {
    return tree[this.#rng.int(tree.length)];
  }

  #plan(spec: OracleClass): OracleClass {
    const rng = this.#rng;
    if (rng.chance(0.15)) {
      const none = { rateBps: 0, ceilBps: 0, burstBytes: 0, cburstBytes: 0, quantumBytes: 1000, prio: 0 };
      return { ...spec, ...none, unlimited: true };
    }
    const burstOf = (bps: number): number =>
      rng.chance(0.3)
        ? 1600
        : rng.logInt(1600, Math.max(1600, Math.floor((bps * LONGEST_BURST_SECONDS) / 8)));
    const ceilBps = rng.logInt(RATE_BPS_MIN, RATE_BPS_MAX);
    const rateBps = rng.chance(0.2) ? 0 : rng.chance(0.3) ? ceilBps : rng.logInt(RATE_BPS_MIN, ceilBps);
    const cburstBytes = burstOf(ceilBps);
    const burstBytes = rng.chance(0.3) ? cburstBytes : burstOf(rateBps);
    const quantumBytes = rng.logInt(1000, 60_000);
    return {
      ...spec,
      rateBps,
      ceilBps,
      burstBytes,
      cburstBytes,
      quantumBytes,
      prio: rng.int(8),
      unlimited: false,
    };
  }

  #reshape(tree: OracleClass[]): OracleClass[] {
    const spec = this.#pick(tree);
    const rng = this.#rng;
    return tree.map((other) => {
      if (other !== spec) return other;
      if (rng.chance(0.6) || other.unlimited) return this.#plan(other);
      if (rng.chance(0.3)) return { ...other, prio: rng.int(8), quantumBytes: rng.logInt(1000, 60_000) };
      if (rng.chance(0.3)) return { ...other, limitPackets: this.#limit() };
      return { ...other, rateBps: other.rateBps === 0 ? other.ceilBps : 0 };
    });
  }

  #move(tree: OracleClass[]): OracleClass[] {
    const spec = this.#pick(tree);
    if (spec === undefined) return tree;
    const inside = below(tree, spec.id);
    const outside = tree.filter(({ id }) => !inside.has(id));
    const target = this.#rng.chance(0.15) ? undefined : this.#pick(outside);
    if (target !== undefined && depthOf(tree, target.id) + heightOf(tree, spec.id) >= DEPTH_MAX) return tree;
    const moved = { ...spec, parent: target?.id ?? null };
    return tree.map((other) => (other === spec ? moved : other));
  }

  #add(tree: OracleClass[]): OracleClass[] {
    if (tree.length >= CLASSES_MAX) return tree;
    const above = this.#rng.chance(0.1) ? undefined : this.#pick(tree);
    if (above !== undefined && depthOf(tree, above.id) + 1 >= DEPTH_MAX) return tree;
    const blank = {
      id: `n${this.#names++}`,
      parent: above?.id ?? null,
      limitPackets: this.#limit(),
      limitBytes: 0,
    };
    return [...tree, this.#plan(blank as OracleClass)];
  }

  #remove(tree: OracleClass[]): OracleClass[] {
    const top = this.#pick(tree);
    if (top === undefined) return tree;
    const inside = below(tree, top.id);
    // The class itself may stay: an inner class becomes a leaf then.
    if (this.#rng.chance(0.3)) inside.delete(top.id);
    return tree.filter(({ id }) => !inside.has(id));
  }
}

/** The class and all below it. */
function below(tree: readonly OracleClass[], top: string): Set<string> {
  const inside = new Set([top]);
  for (const { id, parent } of parentsFirst(tree)) if (parent !== null && inside.has(parent)) inside.add(id);
  return inside;
}

function depthOf(tree: readonly OracleClass[], id: string): number {
  const parent = tree.find((spec) => spec.id === id)!.parent;
  return parent === null ? 1 : 1 + depthOf(tree, parent);
}

function heightOf(tree: readonly OracleClass[], id: string): number {
  return (
    1 + Math.max(0, ...tree.filter(({ parent }) => parent === id).map((child) => heightOf(tree, child.id)))
  );
}

function parentsFirst(tree: readonly OracleClass[]): OracleClass[] {
  const byId = new Map(tree.map((spec) => [spec.id, spec]));
  const ordered = new Set<OracleClass>();
  const visit = (spec: OracleClass): void => {
    if (spec.parent !== null) visit(byId.get(spec.parent)!);
    ordered.add(spec);
  };
  for (const spec of tree) visit(spec);
  return [...ordered];
}
