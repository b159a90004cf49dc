import { makeRng, randomTree } from '../oracle/random-tree.js';
import { PairedRun } from './paired-run.js';
import { randomLoad } from './random-load.js';
const from = Number(process.argv[2] ?? 0), n = Number(process.argv[3] ?? 50);
let worst: any[] = [];
let packets = 0;
const t0 = Date.now();
for (let seed = from; seed < from + n; seed++) {
  const rng = makeRng(seed);
  const tree = randomTree(rng, {});
  const load = randomLoad(rng, tree, { packets: 2000, gridPoints: 400 });
  const run = new PairedRun(tree, rng.chance(0.3) ? { overheadBytes: 24, mpuBytes: 84 } : {});
  let at = 0;
  let w = 0, wid = '', wt = 0, wroot = 0;
  const maxQ = Math.max(...tree.map((c) => c.quantumBytes));
  try {
    for (let g = 0; g < load.gridPoints; g++) {
      const arr = [];
      while (at < load.arrivals.length && load.arrivals[at]!.at === g) arr.push(load.arrivals[at++]!);
      const now = g * load.gridNs;
      run.step(now, arr);
      run.runEvents(now, now + load.gridNs);
      if (g % 20 === 19) for (const c of tree) {
        const d = (run.realSent.get(c.id)?.bytes ?? 0) - (run.oracleSent.get(c.id)?.bytes ?? 0);
        if (Math.abs(d) > Math.abs(w)) { w = d; wid = c.id; wt = g; }
        if (c.parent === null && Math.abs(d) > Math.abs(wroot)) wroot = d;
      }
    }
  } catch (e) { console.log(seed, 'threw', (e as Error).stack); continue; }
  for (const c of tree) packets += c.parent === null ? (run.realSent.get(c.id)?.packets ?? 0) : 0;
  worst.push({ seed, ratio: +(Math.abs(w) / (maxQ + 1500)).toFixed(2), w, wid, wt, maxQ, wroot, n: tree.length, grid: load.gridNs });
}
worst.sort((a, b) => b.ratio - a.ratio);
for (const w of worst.slice(0, 14)) console.log(JSON.stringify(w));
console.log('max root diff', Math.max(...worst.map((w) => Math.abs(w.wroot))), 'packets', packets, 'ms', Date.now() - t0);
