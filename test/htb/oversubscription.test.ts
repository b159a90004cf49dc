/**
 * Assured rates that add up to more than the parent's: each active class gets its proportional part, one queue.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ceil, cls } from '../oracle/hand-worked.js';
import type { OracleClass } from '../oracle/htb-oracle.js';
import { TreeDriver } from './tree-driver.js';

const MS = 1e6;
const MBIT = 1e6;
const GRID_NS = 0.05 * MS;
const SETTLE_MS = 200;
const MEASURE_MS = 1000;
const PACKET_BYTES = 1000;
const LEAST_PART = 0.97;

/** Bursts of a millisecond, as weir chooses them where none are given. */
const deep = (rateMbit: number): Partial<OracleClass> => ({
  burstBytes: 1600 + rateMbit * 125,
  cburstBytes: 1600 + 100 * 125,
});
const assured = (
  id: string,
  parent: string | null,
  mbit: number,
  more: Partial<OracleClass> = {},
): OracleClass => cls(id, parent, mbit, { ...ceil(100), ...deep(mbit), limitPackets: 50, ...more });
const leftOut = (id: string, parent: string): OracleClass =>
  cls(id, parent, 0, { unlimited: true, ceilBps: 0 });

/** Mbit/s of each class while every leaf in `offers` is offered that many Mbit/s, after the start has settled. */
function measure(tree: OracleClass[], offers: Record<string, number>): Record<string, number> {
  const driver = new TreeDriver({ capacityClasses: 64 });
  driver.publish(tree, 0);
  const owedBytes: Record<string, number> = {};
  const sentBytes: Record<string, number> = {};
  const endNs = (SETTLE_MS + MEASURE_MS) * MS;
  for (let nowNs = 0; nowNs < endNs; nowNs += GRID_NS) {
    driver.step(
      nowNs,
      ({ id, lenBytes }) => {
        if (nowNs >= SETTLE_MS * MS) sentBytes[id] = (sentBytes[id] ?? 0) + lenBytes;
      },
      () => {
        for (const [id, mbit] of Object.entries(offers)) {
          owedBytes[id] = (owedBytes[id] ?? 0) + (mbit * MBIT * GRID_NS) / 8e9;
          for (; owedBytes[id]! >= PACKET_BYTES; owedBytes[id]! -= PACKET_BYTES)
            driver.enqueue(id, PACKET_BYTES, 0);
        }
      },
    );
  }
  const rates: Record<string, number> = {};
  for (const id of Object.keys(offers)) rates[id] = ((sentBytes[id] ?? 0) * 8) / (MEASURE_MS * 1000);
  return rates;
}

function expectParts(
  tree: OracleClass[],
  offers: Record<string, number>,
  parts: Record<string, number>,
): void {
  const rates = measure(tree, offers);
  const said = JSON.stringify(rates);
  console.log(`oversubscription: ${said}`);
  for (const [id, mbit] of Object.entries(parts)) {
    assert.ok(
      rates[id]! >= LEAST_PART * mbit,
      `${id} has less than ${LEAST_PART} of ${mbit} Mbit/s: ${said}`,
    );
  }
}

const full = (...ids: string[]): Record<string, number> => Object.fromEntries(ids.map((id) => [id, 200]));
const root = assured('r', null, 100);

const parts = suite('htb: oversubscribed assured rates');

parts('equal rates are scaled down equally', () => {
  const tree = [root, ...['a', 'b', 'c', 'd'].map((id) => assured(id, 'r', 50))];
  expectParts(tree, full('a', 'b', 'c', 'd'), { a: 25, b: 25, c: 25, d: 25 });
});

parts('unequal rates in proportion, whatever prio and quantum', () => {
  const tree = [
    root,
    assured('a', 'r', 60, { prio: 5, quantumBytes: 60_000 }),
    assured('b', 'r', 90, { prio: 3 }),
    assured('c', 'r', 30, { prio: 7, quantumBytes: 200_000 }),
  ];
  expectParts(tree, full('a', 'b', 'c'), { a: 100 / 3, b: 50, c: 100 / 6 });
});

parts('inner children in proportion, and their children again', () => {
  const tree = [
    root,
    assured('m', 'r', 90),
    assured('a', 'm', 60),
    assured('b', 'm', 30),
    assured('c', 'm', 60),
    assured('d', 'r', 60),
  ];
  expectParts(tree, full('a', 'b', 'c', 'd'), { a: 24, b: 12, c: 24, d: 40 });
});

parts('a left-out class between passes the claims of its children on', () => {
  const tree = [root, leftOut('u', 'r'), assured('a', 'u', 80), assured('b', 'u', 40), assured('c', 'r', 80)];
  expectParts(tree, full('a', 'b', 'c'), { a: 40, b: 20, c: 40 });
});

parts('what an idle class does not use goes to the others', () => {
  const tree = [root, assured('a', 'r', 80), assured('b', 'r', 80), assured('c', 'r', 40)];
  expectParts(tree, full('b', 'c'), { b: 100 * (2 / 3), c: 100 / 3 });
});

parts('a class that asks for less than its part gets it, and the others the rest', () => {
  const tree = [root, assured('a', 'r', 80), assured('b', 'r', 80), assured('c', 'r', 80)];
  const offers = { a: 10, ...full('b', 'c') };
  expectParts(tree, offers, { a: 10, b: 45, c: 45 });
});

parts('a class without assured tokens starves no one and is left what nobody claims', () => {
  const tree = [root, assured('a', 'r', 80), assured('b', 'r', 80), assured('z', 'r', 0)];
  expectParts(tree, full('a', 'b', 'z'), { a: 50, b: 50 });
});

parts.run();
