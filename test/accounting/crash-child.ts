/**
 * A daemon as far as accounting is concerned: counts, and says on stdout what it is about to hand over and what is on
 * disk. Its wall clock is its own, so that intervals end often.
 */
import { writeSync } from 'node:fs';
import { Accountant } from '../../src/accounting/accountant.js';
import { makeRng } from '../oracle/random-tree.js';
import { type ChildOptions, countedBefore, MARK } from './crash-load.js';
import { HandMeter } from './parts.js';

const options = JSON.parse(process.argv[2]!) as ChildOptions;
const rng = makeRng(options.seed ^ options.life);
const meter = new HandMeter();
const STEP_MS = 13_000;
// Lives overlap, so that they write to the same intervals.
let wallMs = Date.UTC(2026, 0, 31, 12) + options.life * 20_000;

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

const accountant = new Accountant({
  store: { url: options.url, queries: {} },
  spool: options.spool,
  intervalSeconds: 60,
  // The loop below sets the pace.
  checkpointSeconds: 3600,
  log: {
    info: () => {},
    warn: (message) => say(`log ${message}`),
    error: (message) => say(`log ${message}`),
  },
  meter,
  clock: {
    wallMs: () => wallMs,
    monotonicMs: () => performance.now(),
    setTimer: (work, ms) => {
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
  },
  threadModule: new URL('./crash-thread.js', import.meta.url),
});

await accountant.start();
say('started');
for (let number = 1; number <= options.checkpoints; number++) {
  for (const [id, amounts] of Object.entries(countedBefore(options.seed, options.life, number))) {
    meter.open(id);
    meter.count(id, amounts);
    if (id.startsWith(MARK) || rng.chance(0.1)) meter.remove(id);
  }
  wallMs += STEP_MS;
  say(`handing ${number}`);
  if (!(await accountant.flush())) break;
  say(`recorded ${number}`);
}
await accountant.stop(options.deliverMs);
say('stopped');
process.exit(0);
