/** `bench accuracy` in small, and a shaper that is a tenth too fast. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type AccuracyOptions, benchAccuracy } from '../../bench/accuracy.js';
import { hasTool, whyNoXdp } from '../netns/namespaces.js';

const test = suite('bench accuracy');

const smoke: AccuracyOptions = {
  smoke: true,
  runs: 1,
  seconds: 1,
  rates: [10],
  traffic: ['udp'],
  onlyRates: true,
};

/** In a window of 100 ms at 10 Mbit/s a frame more is 1.2 %, and so is a burst. */
const TOO_MUCH = 1.05;

const missing = ['make', 'clang', 'tc'].find((tool) => !hasTool(tool));
const why = whyNoXdp() ?? (missing === undefined ? null : `the command ${missing} is missing`);
if (why === null) {
  test('one class gets its rate, of weir and of the kernel', async () => {
    const { points, verdict, notes } = await benchAccuracy({ ...smoke, traffic: ['udp', 'tcp'] });
    assert.equal(
      points.map(({ name }) => name),
      ['10 Mbit/s, UDP', '10 Mbit/s, TCP'],
    );
    for (const { name, columns } of points) {
      assert.is(columns.length, 3);
      for (const { name: column, missing: without, figures } of columns) {
        if (without !== null) continue;
        const { median: total } = figures.total!;
        // How near it comes to 1 is a matter of what else the machine does; above it nothing excuses.
        assert.ok(total > 0.02 && total < 1.02, `${name}: ${column}: ${total}`);
        assert.ok(figures.windowMin!.median <= figures.windowMedian!.median);
        assert.ok(figures.windowMedian!.median <= figures.windowMax!.median);
      }
    }
    assert.is(notes[0], verdict.withinBounds ? 'Verdict: within bounds.' : 'Verdict: OUT OF BOUNDS.');
    assert.ok(
      verdict.outOfBounds.every((line) => / weir: (total|offered) is 0\.| offered is 1\.0/.test(line)),
    );
  });

  test('a shaper that is a tenth too fast is caught', async () => {
    const { points, verdict } = await benchAccuracy({ ...smoke, canary: 'fast' });
    // Also where weir does not always get a CPU, some window shows it; the kernel was given the right rate.
    const [weir, ...kernel] = points[0]!.columns.map(({ figures }) => figures.windowMax?.max ?? 0);
    assert.ok(weir! > TOO_MUCH, `weir: ${weir}`);
    for (const most of kernel) assert.ok(most < TOO_MUCH, `kernel: ${most}`);
    assert.is(verdict.withinBounds, false);
    assert.match(verdict.outOfBounds[0]!, /^10 Mbit\/s, UDP: weir: total is /);
  });
} else {
  test(`skipped: ${why}`, () => {});
  console.log(`skipped: ${why}`);
}

test.run();
