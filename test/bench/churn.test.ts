/** The churn benchmark in miniature: it runs, its changes are made, and nothing is left behind. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { benchChurn } from '../../bench/churn.js';
import { Editor, fillDatabase, treeOf } from '../../bench/churn-database.js';
import type { ClassTree } from '../../classes/model.js';
import { openSource } from '../../classes/source/open.js';
import { parseClassTree } from '../../classes/validate.js';
import { hasTool, whyNoXdp } from '../netns/namespaces.js';

const test = suite('churn');
const CLASSES = 100;
const FIGURES = [
  'changesPerSecond',
  'singlesPerSecond',
  'oneChangeMs',
  'reloadSeconds',
  'fromNothingSeconds',
];
/** Of a machine whose other work keeps who forwards from its CPU. */
const LOSS_MAX = 0.5;

/** Rates by class, in bit/s. */
function ratesOf(tree: ClassTree): Record<string, unknown> {
  return Object.fromEntries(
    tree.classes.map(({ id, parent, match, down, up }) => [
      id,
      [parent, match.map(({ text }) => text), down?.rateBps, down?.ceilBps, up?.rateBps, up?.ceilBps],
    ]),
  );
}

test('weir and the kernel get the same classes, and the same changes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-churn-'));
  const path = join(folder, 'users.db');
  await fillDatabase(path, CLASSES);
  const source = openSource({ url: `sqlite:${path}`, queries: {} });
  const editor = new Editor(path);
  const expectPlan = async (plan: 'small' | 'large'): Promise<void> => {
    const { tree } = await source.load(Date.now());
    assert.equal(ratesOf(tree!), ratesOf(parseClassTree(treeOf(CLASSES, plan)).tree!));
  };
  try {
    await expectPlan('small');
    editor.changeAll();
    await expectPlan('large');
    editor.changeMany(Array.from({ length: CLASSES - 1 }, (_, i) => i));
    editor.change(CLASSES - 1);
    await expectPlan('small');
  } finally {
    editor.close();
    await source.close();
    rmSync(folder, { recursive: true });
  }
});

function why(): string | null {
  const missing = ['make', 'clang'].find((tool) => !hasTool(tool));
  return whyNoXdp() ?? (missing === undefined ? null : `bench/peers needs ${missing}`);
}

const reason = why();
if (reason !== null) {
  console.log(`skipped: churn on the wire: ${reason}`);
  test.skip(`churn on the wire: ${reason}`, () => {});
} else {
  test('weir bench churn, with little', async () => {
    const told: string[] = [];
    const document = await benchChurn({
      ...{ classes: CLASSES, seconds: 0.3, pps: 2000, batch: 50, changes: 2, runs: 1, smoke: true },
      tell: (line) => told.push(line),
    });
    const [point] = document.points;
    assert.is(document.bench, 'churn');
    assert.equal(
      point!.columns.map(({ name }) => name),
      ['weir', 'tc -batch'],
    );
    for (const { name, missing, perRun } of point!.columns) {
      if (missing !== null) {
        console.log(`skipped: ${name}: ${missing}`);
        continue;
      }
      const figures = perRun[0]!;
      for (const figure of FIGURES) assert.ok(figures[figure]! > 0, `${name}: ${figure}`);
      assert.ok(figures.sentPackets! > 0 && figures.lostPackets! <= LOSS_MAX * figures.sentPackets!, name);
    }
    assert.is(told.length, point!.columns.filter(({ missing }) => missing === null).length);
    const left = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
    assert.not.match(left, new RegExp(`weir-${process.pid}-`));
  });
}

test.run();
