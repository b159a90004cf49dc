import { makeRng, randomTree } from '../oracle/random-tree.js';
import { PairedRun } from './paired-run.js';
import { randomLoad } from './random-load.js';
const seed = Number(process.argv[2]);
const rng = makeRng(seed);
const tree = randomTree(rng, {});
const load = randomLoad(rng, tree, { packets: 2000, gridPoints: 400 });
const run = new PairedRun(tree, rng.chance(0.3) ? { overheadBytes: 24, mpuBytes: 84 } : {});
let at = 0;
const watch = process.argv[3];
for (let g = 0; g < load.gridPoints; g++) {
  const arr = [];
  while (at < load.arrivals.length && load.arrivals[at]!.at === g) arr.push(load.arrivals[at++]!);
  const now = g * load.gridNs;
  run.step(now, arr);
  run.runEvents(now, now + load.gridNs);
  if (watch && g % 20 === 19) console.log(g, run.realSent.get(watch)?.bytes, run.oracleSent.get(watch)?.bytes);
}
for (const c of tree) {
  const r = run.driver.stats(c.id), o = run.oracle.stats(c.id);
  let d = 0; for (let p = c.parent; p; p = run.parentOf.get(p)!) d++;
  console.log(' '.repeat(d) + c.id, c.unlimited ? 'unl' : `${(c.rateBps/1e6).toFixed(3)}/${(c.ceilBps/1e6).toFixed(3)} b${c.burstBytes} cb${c.cburstBytes} q${c.quantumBytes} p${c.prio} L${c.limitPackets},${c.limitBytes}`, 'diff', r.bytes - o.bytes, 'of', o.bytes, 'drops', r.drops, o.drops, 'back', r.backlogPackets, o.backlogPackets, 'lends', r.lends, o.lends, 'borr', r.borrows, o.borrows, 'ol', r.overlimits, o.overlimits);
}
