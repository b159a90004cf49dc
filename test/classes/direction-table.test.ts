import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DirectionTable } from '../../classes/direction-table.js';
import type { DirectionSpec } from '../../classes/model.js';

const BASE: DirectionSpec = {
  rateBps: 1e9,
  ceilBps: 1e10,
  burstBytes: 1600,
  cburstBytes: 3200,
  quantumBytes: 1000,
  prio: 0,
};
const FIELDS = Object.keys(BASE) as (keyof DirectionSpec)[];

const test = suite('direction-table');

test('directions that differ in any one field stay apart, equal ones become the first', () => {
  const table = new DirectionTable();
  const first = table.intern({ ...BASE });
  const interned = new Set([first]);
  // Thousands of values per field make sure that slots collide and that the table grows in between.
  for (let i = 1; i <= 4000; i++) {
    for (const field of FIELDS) {
      const wanted = { ...BASE, [field]: BASE[field] + i };
      const got = table.intern(wanted);
      assert.is(got, wanted);
      interned.add(got);
    }
  }
  for (const direction of interned) assert.is(table.intern({ ...direction }), direction);
  assert.is(interned.size, 1 + 4000 * FIELDS.length);
  assert.ok(Object.isFrozen(first));
});

test('rates that agree in their low 32 bits stay apart', () => {
  const table = new DirectionTable();
  for (let i = 0; i < 1000; i++) {
    const wanted = { ...BASE, rateBps: BASE.rateBps + i * 2 ** 32 };
    assert.is(table.intern(wanted), wanted);
  }
});

test.run();
