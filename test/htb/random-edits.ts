/**
 * Random changes of a class tree while packets flow, made to the oracle one by one and to the real tree by
 * publishing the whole.
 */
import * as assert from 'uvu/assert';
import type { OracleClass } from '../oracle/htb-oracle.js';
import type { Rng } from '../oracle/random-tree.js';
import type { PairedRun } from './paired-run.js';

type Edit = (run: PairedRun, nowNs: number) => OracleClass[] | null;

const PRIO_COUNT = 8;

export class RandomEdits {
  /** Parents before children. */
  tree: OracleClass[];
  readonly #rng: Rng;
  readonly #gone = new Set<string>();
  readonly #added = new Set<string>();
  /** Inner classes below which something came, went or moved. */
  readonly #touchedParents = new Set<string>();
  readonly #wereParents: ReadonlySet<string | null>;
  #names = 0;

  constructor(rng: Rng, tree: readonly OracleClass[]) {
    this.#rng = rng;
    this.tree = [...tree];
    this.#wereParents = new Set(tree.map(({ parent }) => parent));
  }

  /** Classes that were there all the time, with what is below each of them. */
  untouched(): OracleClass[] {
    return this.tree.filter(({ id, parent }) => {
      const touches = (other: string | null): boolean => other !== null && this.#touchedParents.has(other);
      return !this.#added.has(id) && !touches(id) && !touches(parent);
    });
  }

  /** One to three changes as one epoch; returns how many. */
  edit(run: PairedRun, nowNs: number): number {
    const edits: Edit[] = [this.#reshape, this.#reshape, this.#add, this.#move, this.#remove];
    let made = 0;
    for (let left = 1 + this.#rng.int(3); left > 0; left--) {
      const tree = edits[this.#rng.int(edits.length)]!.call(this, run, nowNs);
      if (tree === null) continue;
      this.tree = parentsFirst(tree);
      made++;
    }
    run.noteParents(this.tree);
    run.driver.publish(this.tree, nowNs);
    return made;
  }

  #pick(wanted: (spec: OracleClass) => boolean): OracleClass | undefined {
    const found = this.tree.filter(wanted);
    return found[this.#rng.int(found.length)];
  }

  #childrenOf(id: string | null): OracleClass[] {
    return this.tree.filter(({ parent }) => parent === id);
  }

  #reshape(run: PairedRun, nowNs: number): OracleClass[] | null {
    const rng = this.#rng;
    const spec = this.#pick(({ unlimited }) => !unlimited);
    if (spec === undefined) return null;
    const ceilBps = Math.max(1, Math.round(spec.ceilBps * (0.4 + 1.2 * rng.next())));
    const rateBps = Math.min(ceilBps, Math.round(spec.rateBps * (0.4 + 0.9 * rng.next())));
    const quantumBytes = rng.chance(0.3) ? rng.logInt(1600, 8000) : spec.quantumBytes;
    const prio = rng.chance(0.3) ? rng.int(PRIO_COUNT) : spec.prio;
    const changed = { ...spec, ceilBps, rateBps, quantumBytes, prio };
    const tree = this.tree.map((other) => (other === spec ? changed : other));
    if (isOversubscribed(tree)) return null;
    run.oracle.change(changed, nowNs);
    return tree;
  }

  #add(run: PairedRun): OracleClass[] | null {
    const sibling = this.#pick(({ parent, unlimited }) => parent !== null && !unlimited);
    if (sibling === undefined) return null;
    const id = `n${this.#names++}`;
    const added = { ...sibling, id, rateBps: 0, limitPackets: 100, limitBytes: 0 };
    this.#added.add(id);
    this.#touch(sibling.parent);
    run.oracle.add(added);
    return [...this.tree, added];
  }

  #move(run: PairedRun): OracleClass[] | null {
    const spec = this.#pick(({ parent }) => parent !== null && this.#childrenOf(parent).length > 1);
    if (spec === undefined) return null;
    const inside = this.#below(spec.id);
    const target = this.#pick(
      ({ id }) => id !== spec.parent && !inside.has(id) && this.#childrenOf(id).length > 0,
    );
    if (target === undefined) return null;
    const moved = { ...spec, parent: target.id };
    const tree = this.tree.map((other) => (other === spec ? moved : other));
    if (isOversubscribed(tree)) return null;
    this.#touch(spec.parent);
    this.#touch(target.id);
    run.oracle.move(spec.id, target.id);
    return tree;
  }

  #remove(run: PairedRun): OracleClass[] | null {
    const top = this.#pick(({ parent }) => parent !== null && this.#childrenOf(parent).length > 1);
    if (top === undefined) return null;
    const inside = this.#below(top.id);
    if (inside.size > 4) return null;
    this.#touch(top.parent);
    for (const { id } of [...this.tree].reverse()) {
      if (!inside.has(id)) continue;
      this.#gone.add(id);
      run.oracle.remove(id);
      run.refuse(id);
    }
    return this.tree.filter(({ id }) => !inside.has(id));
  }

  /** The class and all below it. */
  #below(top: string): Set<string> {
    const inside = new Set([top]);
    for (const { id, parent } of this.tree) if (parent !== null && inside.has(parent)) inside.add(id);
    return inside;
  }

  #touch(from: string | null): void {
    const parentOf = new Map(this.tree.map(({ id, parent }) => [id, parent]));
    for (let at = from; at !== null; at = parentOf.get(at) ?? null) this.#touchedParents.add(at);
  }

  /** Of a removed leaf no more can have left, or been dropped, than was offered. */
  checkGone(run: PairedRun, where: string): void {
    for (const id of this.#gone) {
      const sent = run.realSent.get(id)?.packets ?? 0;
      const offered = run.offered.get(id) ?? 0;
      const drops = run.realDrops.get(id) ?? 0;
      const left = `${where}, removed class ${id}: ${sent} sent and ${drops} dropped of ${offered}`;
      if (!this.#wereParents.has(id)) assert.ok(sent + drops <= offered, left);
    }
  }
}

function parentsFirst(tree: readonly OracleClass[]): OracleClass[] {
  const byId = new Map(tree.map((spec) => [spec.id, spec]));
  const done = new Set<string>();
  const ordered: OracleClass[] = [];
  const visit = (spec: OracleClass): void => {
    if (done.has(spec.id)) return;
    if (spec.parent !== null) visit(byId.get(spec.parent)!);
    done.add(spec.id);
    ordered.push(spec);
  };
  for (const spec of tree) visit(spec);
  return ordered;
}

/** Whether some class has less assured than the classes below it, passed on by those that assure nothing. */
function isOversubscribed(tree: readonly OracleClass[]): boolean {
  const byId = new Map(tree.map((spec) => [spec.id, spec]));
  const assuredBps = new Map<string, number>();
  for (const { rateBps, parent } of tree) {
    let holder = parent;
    while (holder !== null && byId.get(holder)!.rateBps === 0) holder = byId.get(holder)!.parent;
    if (holder !== null) assuredBps.set(holder, (assuredBps.get(holder) ?? 0) + rateBps);
  }
  return [...assuredBps].some(([id, sumBps]) => sumBps > byId.get(id)!.rateBps);
}
