import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ClassesDocument } from '../../bench/classes.js';
import type { Spread } from '../../bench/rig/rounds.js';
import { sampleTree } from '../../classes/sample.js';
import { whyNoPostgres } from '../../src/lab/scratch-postgres.js';
import { smokeOf } from './smoke.js';

const test = suite('the benchmark of the control plane');

function isSpread({ median, min, max }: Spread): boolean {
  return min > 0 && min <= median && median <= max;
}

test('in miniature', async () => {
  const document = (await smokeOf('classes', { seed: '7' })) as ClassesDocument;
  const { classes, sqlite, postgres, file, points, bench, users, runs, changes, seed } = document;
  assert.equal([bench, users, runs, changes, seed], ['classes', 300, 1, 2, 7]);
  assert.is(classes, sampleTree({ users: 300, seed: 7 }).classes.length, 'every class came into force');
  for (const figures of [sqlite, postgres]) {
    if (figures === null) continue;
    const { sourceToEpochMs, rowInForceMs, planMs } = figures;
    assert.ok([sourceToEpochMs, rowInForceMs, planMs].every(isSpread), JSON.stringify(figures));
  }
  assert.is(postgres === null, whyNoPostgres() !== null);
  assert.is(points[0]!.columns[1]!.missing, whyNoPostgres());
  assert.equal(points[0]!.columns[0]!.figures.planMs, sqlite.planMs);
  assert.is(file!.classes, 2500);
  assert.ok(file!.seconds > 0 && file!.peakRssBytes > file!.fileBytes);
});

test.run();
