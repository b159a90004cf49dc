/** Small scenarios for the simulator's tests. */
import * as assert from 'uvu/assert';
import type { DirectionResult } from '../../src/sim/result.js';
import { readScenario } from '../../src/sim/scenario.js';
import { runScenario, type SimResult } from '../../src/sim/simulator.js';

export type Document = Record<string, unknown>;

/** Two leaves that may borrow the whole of their parent. */
export function twoBorrowers(): Document {
  return {
    version: 1,
    classes: [
      { id: 'up', down: { rate: '100mbit' }, up: { rate: '50mbit' } },
      {
        id: 'a',
        parent: 'up',
        down: { rate: '10mbit', ceil: '100mbit' },
        up: { rate: '5mbit', ceil: '50mbit' },
      },
      {
        id: 'b',
        parent: 'up',
        down: { rate: '10mbit', ceil: '100mbit' },
        up: { rate: '5mbit', ceil: '50mbit' },
      },
    ],
  };
}

/** One class, with whatever else is said of it. */
export function oneClass(down: Document, more: Document = {}): Document {
  return { version: 1, classes: [{ id: 'u', down, ...more }] };
}

/** Runs a document that must be a valid scenario. */
export function run(document: Document): SimResult {
  const { scenario, problems } = readScenario(document);
  if (scenario === null) throw new Error(JSON.stringify(problems));
  return runScenario(scenario);
}

export function down(result: SimResult, id: string): DirectionResult {
  const figures = result.classes[id]?.down;
  if (figures === undefined) throw new Error(`no figures for ${id}`);
  return figures;
}

/** Asserts that `value` is `expected`, but for a share of it. */
export function near(value: number, expected: number, share: number, what: string): void {
  const off = Math.abs(value - expected) / expected;
  assert.ok(off <= share, `${what}: ${value} is ${(100 * off).toFixed(2)} % off ${expected}`);
}
