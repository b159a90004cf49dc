/**
 * What must hold for the oracle whatever the tree and the load: nothing gets lost, no ceil is passed, and the random
 * trees it is fed with are valid and varied.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { HtbOracle, type OracleClass } from './htb-oracle.js';
import { makeRng, randomTree } from './random-tree.js';

const MS = 1e6;
const seed = Number(process.env.WEIR_SEED ?? 20240229);
console.log(`oracle: seed ${seed}`);

const properties = suite('oracle: properties');
const TREES = 150;
const PACKETS_PER_TREE = 600;

/**
 * Watches one rate in every window at once: `excessBytes` is the most by which any window that ends now passed
 * `rate · window`, so it must never be above the burst, or one packet.
 */
class RateBound {
  #excessBytes = 0;
  #lastNs = 0;
  readonly #spec: OracleClass;
  constructor(spec: OracleClass) {
    this.#spec = spec;
  }
  sent(nowNs: number, bytes: number): void {
    const earnedBytes = ((nowNs - this.#lastNs) * this.#spec.ceilBps) / 8e9;
    this.#excessBytes = Math.max(0, this.#excessBytes - earnedBytes) + bytes;
    this.#lastNs = nowNs;
    const allowedBytes = Math.max(this.#spec.cburstBytes, 1600) + 1e-3;
    assert.ok(
      this.#excessBytes <= allowedBytes,
      `${this.#spec.id}: ${this.#excessBytes} of ${allowedBytes} bytes`,
    );
  }
}

/** Random load on a random tree; every packet that leaves is shown to `onSent`. */
function exercise(
  treeSeed: number,
  onSent: (oracle: HtbOracle, id: string, bytes: number, nowNs: number) => void,
): { oracle: HtbOracle; tree: OracleClass[]; offered: Map<string, number> } {
  const rng = makeRng(treeSeed);
  const tree = randomTree(rng, { oversubscribed: rng.chance(0.5) });
  const oracle = new HtbOracle(tree);
  const parents = new Set(tree.map((spec) => spec.parent));
  const leaves = tree.filter((spec) => !parents.has(spec.id));
  const offered = new Map(tree.map((spec) => [spec.id, 0]));
  let nowNs = 0;
  for (let count = 0; count < PACKETS_PER_TREE; count++) {
    const { id } = leaves[rng.int(leaves.length)]!;
    oracle.enqueue(id, { lenBytes: 60 + rng.int(1455), tag: count }, nowNs);
    offered.set(id, offered.get(id)! + 1);
    for (let left = rng.int(4); left > 0; left--) {
      const packet = oracle.dequeue(nowNs);
      if (packet !== null) onSent(oracle, packet.id, packet.lenBytes, nowNs);
    }
    if (rng.chance(0.5)) nowNs = oracle.nextEventNs(nowNs) ?? nowNs;
    if (rng.chance(0.1)) nowNs += rng.int(2 * MS);
  }
  return { oracle, tree, offered };
}

properties('enqueued = sent + dropped + backlog, and inner classes count what passes them', () => {
  for (let at = 0; at < TREES; at++) {
    const { oracle, tree, offered } = exercise(seed + at, () => {});
    const parents = new Set(tree.map((spec) => spec.parent));
    for (const { id } of tree) {
      const { packets, bytes, drops, backlogPackets, lends, borrows } = oracle.stats(id);
      const where = `seed ${seed + at}, class ${id}`;
      const below = tree.filter((spec) => spec.parent === id).map((spec) => oracle.stats(spec.id));
      if (!parents.has(id)) assert.is(packets + drops + backlogPackets, offered.get(id), where);
      if (parents.has(id)) assert.is(bytes, sum(below.map((stats) => stats.bytes)), where);
      assert.is(lends + borrows, parents.has(id) ? sum(below.map((stats) => stats.borrows)) : packets, where);
    }
  }
});

properties('no class passes its ceil by more than its burst in any window', () => {
  for (let at = 0; at < TREES; at++) {
    const specs = new Map<string, OracleClass>();
    const bounds = new Map<string, RateBound>();
    for (const spec of treeOf(seed + at)) {
      specs.set(spec.id, spec);
      if (!spec.unlimited) bounds.set(spec.id, new RateBound(spec));
    }
    let sentPackets = 0;
    exercise(seed + at, (_oracle, id, bytes, nowNs) => {
      sentPackets++;
      for (let up: string | null = id; up !== null; up = specs.get(up)!.parent)
        bounds.get(up)?.sent(nowNs, bytes);
    });
    assert.ok(
      sentPackets > 0 || treeOf(seed + at).some((spec) => spec.rateBps === 0),
      `seed ${seed + at}: sent nothing`,
    );
  }
});

properties('random trees are valid, and varied', () => {
  const seen = new Set<string>();
  for (let at = 0; at < 500; at++) {
    const rng = makeRng(seed + at);
    const oversubscribed = rng.chance(0.5);
    const tree = randomTree(rng, { oversubscribed });
    const byId = new Map(tree.map((spec) => [spec.id, spec]));
    const parents = new Set(tree.map((spec) => spec.parent));
    assert.ok(tree.length - [...byId.keys()].filter((id) => parents.has(id)).length <= 40);
    for (const spec of tree) {
      const where = `seed ${seed + at}, class ${spec.id}`;
      const ceilAbove = nearestCeil(byId, spec.parent);
      let depth = 1;
      for (let up = spec.parent; up !== null; up = byId.get(up)!.parent) depth++;
      assert.ok(depth <= 16, where);
      if (depth > 4) seen.add('deep');
      if (spec.unlimited) seen.add('left out');
      if (spec.unlimited) continue;
      assert.ok(spec.rateBps <= spec.ceilBps && spec.ceilBps <= ceilAbove, where);
      assert.ok(spec.rateBps === 0 || (spec.rateBps >= 64_000 && spec.rateBps <= 1e10), where);
      assert.ok(spec.burstBytes >= 1600 && spec.cburstBytes >= 1600, where);
      assert.ok(spec.quantumBytes >= 1600 && spec.quantumBytes <= 60_000, where);
      const assuredBps = sum(tree.filter((child) => child.parent === spec.id).map((child) => child.rateBps));
      if (assuredBps > spec.rateBps) seen.add('oversubscribed');
      assert.ok(oversubscribed || assuredBps <= spec.rateBps, where);
    }
    if (tree.filter((spec) => spec.parent === null).length > 1) seen.add('roots');
  }
  assert.equal([...seen].sort(), ['deep', 'left out', 'oversubscribed', 'roots']);
});

function treeOf(treeSeed: number): OracleClass[] {
  const rng = makeRng(treeSeed);
  return randomTree(rng, { oversubscribed: rng.chance(0.5) });
}

function nearestCeil(byId: Map<string, OracleClass>, parent: string | null): number {
  for (let up = parent; up !== null; up = byId.get(up)!.parent) {
    if (!byId.get(up)!.unlimited) return byId.get(up)!.ceilBps;
  }
  return 1e10;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

properties.run();
