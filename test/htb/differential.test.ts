/**
 * The real tree on one queue against the oracle: random trees and loads, the same packets at the same times into
 * both, and as many bytes of each class out of both, window by window.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { OracleClass } from '../oracle/htb-oracle.js';
import { makeRng, type Rng, randomTree } from '../oracle/random-tree.js';
import { PairedRun } from './paired-run.js';
import { RandomEdits } from './random-edits.js';
import { type RandomLoad, randomLoad } from './random-load.js';
import { CeilBound } from './rate-bound.js';
import { boundsOf, steadied } from './steady-tree.js';

const seed = Number(process.env.WEIR_SEED ?? 20240301);
const STEADY_TREES = 260;
const EDITED_TREES = 150;
const WILD_TREES = 200;
const PACKETS_PER_TREE = 2000;
const GRID_POINTS = 400;
const POINTS_PER_WINDOW = 20;
const LARGEST_PACKET_BYTES = 1500;
const CAPACITY_CLASSES = 1024;

/** Packets of all scenes that left at once when their timers ran. */
let released = 0;

interface Scene {
  where: string;
  rng: Rng;
  tree: OracleClass[];
  load: RandomLoad;
  run: PairedRun;
}

function sceneOf(kind: string, treeSeed: number, steady: boolean): Scene {
  const rng = makeRng(treeSeed);
  const wild = randomTree(rng);
  const tree = steady ? steadied(wild) : wild;
  const load = randomLoad(rng, tree, { packets: PACKETS_PER_TREE, gridPoints: GRID_POINTS });
  const linkLayer = rng.chance(0.3) ? { overheadBytes: 24, mpuBytes: 200 } : {};
  const run = new PairedRun(tree, { ...linkLayer, capacityClasses: CAPACITY_CLASSES });
  run.passes = rng.chance(0.5);
  return { where: `${kind}, WEIR_SEED=${treeSeed}`, rng, tree, load, run };
}

/** Plays the load; `atWindow` runs at the end of each window, `between` before each grid point. */
function play(scene: Scene, atWindow: () => void, between: (nowNs: number) => void = () => {}): void {
  const { load, run } = scene;
  let next = 0;
  for (let point = 0; point < load.gridPoints; point++) {
    const nowNs = point * load.gridNs;
    between(nowNs);
    const from = next;
    while (next < load.arrivals.length && load.arrivals[next]!.at === point) next++;
    run.step(nowNs, load.arrivals.slice(from, next));
    run.runEvents(nowNs, nowNs + load.gridNs);
    if (point % POINTS_PER_WINDOW === POINTS_PER_WINDOW - 1) atWindow();
  }
  released += run.released;
}

const bytesOf = (sent: ReadonlyMap<string, { bytes: number }>, id: string): number =>
  sent.get(id)?.bytes ?? 0;

/** Fails when some class differs by more than its bound; gives the largest part of a bound that was used. */
function compare(scene: Scene, tree: readonly OracleClass[], bounds: ReadonlyMap<string, number>): number {
  let largest = 0;
  for (const { id } of tree) {
    const differs = Math.abs(bytesOf(scene.run.realSent, id) - bytesOf(scene.run.oracleSent, id));
    const bound = bounds.get(id)!;
    assert.ok(differs <= bound, `${scene.where}, class ${id}: differs by ${differs} of ${bound} bytes`);
    largest = Math.max(largest, differs / bound);
  }
  return largest;
}

/** What must add up exactly, whatever the order in which packets left. */
function checkCounts(scene: Scene, tree: readonly OracleClass[]): number {
  const { run, where } = scene;
  let packets = 0;
  const isParent = new Set(tree.map(({ parent }) => parent));
  const borrowsBelow = new Map<string | null, number>();
  for (const { id, parent } of tree) {
    const { borrows } = run.driver.stats(id);
    borrowsBelow.set(parent, (borrowsBelow.get(parent) ?? 0) + borrows);
  }
  for (const { id } of tree) {
    const stats = run.driver.stats(id);
    const sent = run.realSent.get(id) ?? { bytes: 0, packets: 0 };
    const passed = isParent.has(id) ? borrowsBelow.get(id)! : stats.packets;
    assert.is(stats.bytes, sent.bytes, `${where}, class ${id}: bytes`);
    assert.is(stats.packets, sent.packets, `${where}, class ${id}: packets`);
    assert.is(stats.lends + stats.borrows, passed, `${where}, class ${id}: lends and borrows`);
    if (isParent.has(id)) continue;
    packets += sent.packets;
    assert.is(stats.drops, run.realDrops.get(id) ?? 0, `${where}, class ${id}: drops`);
    const settled = stats.packets + stats.drops + stats.backlogPackets;
    assert.is(settled, run.offered.get(id) ?? 0, `${where}, class ${id}: conservation`);
  }
  return packets;
}

/**
 * Drops and backlogs of both: the bytes that have left differ by at most the bound, so the packets that were let in
 * or that are still there do too, by as many as the smallest packet fits in it.
 */
function compareDrops(scene: Scene, tree: readonly OracleClass[], bounds: ReadonlyMap<string, number>): void {
  const isParent = new Set(tree.map(({ parent }) => parent));
  for (const { id } of tree) {
    if (isParent.has(id)) continue;
    const real = scene.run.driver.stats(id);
    const oracle = scene.run.oracle.stats(id);
    const bound = Math.ceil(bounds.get(id)! / 64);
    const where = `${scene.where}, class ${id}`;
    assert.ok(
      Math.abs(real.drops - oracle.drops) <= bound,
      `${where}: ${real.drops} and ${oracle.drops} drops`,
    );
    const differs = Math.abs(real.backlogPackets - oracle.backlogPackets);
    assert.ok(differs <= bound, `${where}: backlogs differ by ${differs}`);
  }
}

const differential = suite('htb: real tree and oracle');

differential('steady trees: every class within one turn in every window', () => {
  let packets = 0;
  let largest = 0;
  for (let at = 0; at < STEADY_TREES; at++) {
    const scene = sceneOf('steady', seed + at, true);
    const bounds = boundsOf(scene.tree);
    play(scene, () => {
      largest = Math.max(largest, compare(scene, scene.tree, bounds));
    });
    compareDrops(scene, scene.tree, bounds);
    packets += checkCounts(scene, scene.tree);
  }
  console.log(
    `steady: seed ${seed}, ${STEADY_TREES} trees, ${packets} packets, at most ${largest.toFixed(2)} of a bound`,
  );
});

differential('classes that change: within one turn, and one more for each change', () => {
  let packets = 0;
  let edits = 0;
  let largest = 0;
  for (let at = 0; at < EDITED_TREES; at++) {
    const scene = sceneOf('edited', seed + at, true);
    const editor = new RandomEdits(scene.rng, scene.tree);
    let slack = 0;
    const check = (): void => {
      const bounds = new Map([...boundsOf(editor.tree)].map(([id, bound]) => [id, bound + slack]));
      largest = Math.max(largest, compare(scene, editor.tree, bounds));
    };
    play(scene, check, (nowNs) => {
      if (!scene.rng.chance(0.02)) return;
      // Who has the turn when classes come, go or move is settled anew: one leaf's turn more.
      slack += Math.min(...boundsOf(editor.tree).values());
      edits += editor.edit(scene.run, nowNs);
    });
    editor.checkGone(scene.run, scene.where);
    packets += checkCounts(scene, editor.untouched());
  }
  assert.ok(edits > EDITED_TREES, 'hardly any changes');
  console.log(
    `edited: seed ${seed}, ${EDITED_TREES} trees, ${edits} changes, ${packets} packets, at most ${largest.toFixed(2)} of a bound`,
  );
});

differential('any tree: ceils hold in every window, roots agree, nothing gets lost', () => {
  let packets = 0;
  for (let at = 0; at < WILD_TREES; at++) {
    const scene = sceneOf('wild', seed + at, false);
    const bounds = new Map<string, CeilBound>();
    for (const spec of scene.tree) if (!spec.unlimited) bounds.set(spec.id, new CeilBound(spec));
    scene.run.onRealSent = (id, lenBytes, nowNs) => {
      for (let up: string | null = id; up !== null; up = scene.run.parentOf.get(up)!)
        assert.not(bounds.get(up)?.passedBy(lenBytes, nowNs), `${scene.where}, class ${up} passes its ceil`);
    };
    // Whoever sends first, a root's tokens are the same, up to the packets that overdraw it.
    const roots = scene.tree.filter((spec) => spec.parent === null);
    const isParent = new Set(scene.tree.map(({ parent }) => parent));
    const alone = new Map(
      roots.filter(({ id }) => !isParent.has(id)).map(({ id }) => [id, 2 * LARGEST_PACKET_BYTES]),
    );
    play(scene, () =>
      compare(
        scene,
        roots.filter(({ id }) => alone.has(id)),
        alone,
      ),
    );
    packets += checkCounts(scene, scene.tree);
  }
  console.log(`wild: seed ${seed}, ${WILD_TREES} trees, ${packets} packets`);
});

differential('some of the packets left at once when their timers ran', () => {
  console.log(`${released} packets`);
  assert.ok(released > 0);
});

differential.run();
