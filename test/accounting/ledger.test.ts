/** Differences add up to what was counted, whatever happens to the classes between the collections. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Ledger, type UsageMeter, type VisitTotal } from '../../src/accounting/ledger.js';
import { makeRng } from '../oracle/random-tree.js';
import { type Four, HandMeter, Sums, seedOf } from './parts.js';

const test = suite('ledger');
const RUNS = 200;
const STEPS = 300;
const IDS = 12;

test('differences add up to the totals under any order of counts, removals, additions and collections', () => {
  const seed = seedOf('ledger');
  for (let run = 0; run < RUNS; run++) {
    const rng = makeRng(seed + run);
    const meter = new HandMeter();
    const ledger = new Ledger();
    const counted = new Sums();
    const collected = new Sums();
    for (let step = 0; step < STEPS; step++) {
      const id = `u${rng.int(IDS)}`;
      const act = rng.int(10);
      if (act < 2) meter.open(id);
      else if (act === 2 && meter.ids.includes(id)) meter.remove(id);
      else if (act === 3) collected.addAmounts(ledger.collect(meter));
      else if (meter.ids.includes(id)) {
        const amounts: Four = [rng.logInt(1, 2 ** 30), rng.int(9), rng.chance(0.5) ? rng.int(1500) : 0, 0];
        meter.count(id, amounts);
        counted.add(id, amounts);
      }
    }
    collected.addAmounts(ledger.collect(meter));
    assert.equal(collected.plain(), counted.plain(), `WEIR_SEED=${seed + run}`);
    assert.is(ledger.collect(meter).ids.length, 0, 'a second collection finds nothing');
  }
});

test('a class that is removed and added again under its id begins at 0 and loses nothing', () => {
  const meter = new HandMeter();
  const ledger = new Ledger();
  const collected = new Sums();
  meter.open('u1');
  meter.count('u1', [100, 1, 10, 1]);
  collected.addAmounts(ledger.collect(meter));
  meter.count('u1', [50, 1, 0, 0]);
  meter.remove('u1');
  meter.open('u1');
  meter.count('u1', [7, 1, 0, 0]);
  const both = ledger.collect(meter);
  assert.equal(both.ids, ['u1', 'u1']);
  collected.addAmounts(both);
  meter.count('u1', [3, 1, 0, 0]);
  collected.addAmounts(ledger.collect(meter));
  assert.equal(collected.plain(), [['u1', [160, 4, 10, 1]]]);
});

test('a total that looks lower for a moment is neither lost nor counted twice', () => {
  let totals: Four = [0, 0, 0, 0];
  const meter: UsageMeter = {
    forEachTotal: (visit: VisitTotal) => visit(5000, 'u1', ...totals),
    takeGone: () => {},
  };
  const ledger = new Ledger();
  const collected = new Sums();
  for (totals of [
    [100, 10, 0, 0],
    [40, 4, 0, 0],
    [90, 11, 0, 0],
    [120, 12, 0, 0],
  ] as Four[]) {
    const amounts = ledger.collect(meter);
    assert.ok(amounts.values.every((value) => value >= 0));
    collected.addAmounts(amounts);
  }
  assert.equal(collected.plain(), [['u1', [120, 12, 0, 0]]]);
});

test.run();
