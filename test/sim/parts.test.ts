import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { binOf, HISTOGRAM_BINS, quantileMs } from '../../src/sim/histogram.js';
import { nextState, streamState, uniformOf } from '../../src/sim/random.js';
import { TimeHeap } from '../../src/sim/time-heap.js';

const seed = Number(process.env.WEIR_SEED ?? Date.now() % 2 ** 31) | 0;
console.log(`seed ${seed} (WEIR_SEED)`);
const test = suite('simulator parts');

function uniforms(stream: number): () => number {
  let state = streamState(seed, stream, 0);
  return () => {
    state = nextState(state);
    return uniformOf(state);
  };
}

test('the heap gives times in order, whatever is pushed and put back', () => {
  const random = uniforms(1);
  const heap = new TimeHeap(300);
  const model: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    if (model.length < 300 && random() < 0.4) {
      const time = Math.floor(random() * 1000);
      heap.push(time, i);
      model.push(time);
    } else if (model.length > 0) {
      const time = random() < 0.5 ? Number.POSITIVE_INFINITY : heap.topTime + Math.floor(random() * 100);
      const at = model.indexOf(heap.topTime);
      if (time === Number.POSITIVE_INFINITY) model.splice(at, 1);
      else model[at] = time;
      heap.replaceTop(time);
    }
    assert.is(heap.size, model.length);
    assert.is(heap.topTime, model.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...model));
  }
});

test('what is put back on top keeps its id', () => {
  const heap = new TimeHeap(3);
  heap.push(1, 10);
  heap.push(2, 20);
  heap.push(3, 30);
  heap.replaceTop(2.5);
  assert.is(heap.topId, 20);
  heap.replaceTop(4);
  assert.equal([heap.topId, heap.topTime], [10, 2.5]);
});

test('a quantile is within one per cent of the sorted delays', () => {
  const random = uniforms(2);
  const bins = new Uint32Array(HISTOGRAM_BINS * 2);
  const delaysNs = Array.from({ length: 5000 }, () => 2_000 * 10 ** (random() * 8));
  for (const delayNs of delaysNs) bins[HISTOGRAM_BINS + binOf(delayNs)]! += 1;
  delaysNs.sort((a, b) => a - b);
  for (const share of [0.01, 0.5, 0.99, 1]) {
    const exactMs = delaysNs[Math.ceil(delaysNs.length * share) - 1]! / 1e6;
    const ms = quantileMs(bins, HISTOGRAM_BINS, delaysNs.length, share)!;
    assert.ok(Math.abs(ms / exactMs - 1) <= 0.01, `${share}: ${ms} ms instead of ${exactMs}`);
  }
  assert.is(quantileMs(bins, 0, 0, 0.5), null);
});

test('delays beyond the scale count as its ends', () => {
  assert.is(binOf(0), 0);
  assert.is(binOf(1), 0);
  assert.is(binOf(1e15), HISTOGRAM_BINS - 1);
});

test('random numbers are spread evenly over (0, 1]', () => {
  const random = uniforms(3);
  const tenths = new Array<number>(10).fill(0);
  let sum = 0;
  for (let i = 0; i < 50_000; i++) {
    const value = random();
    assert.ok(value > 0 && value <= 1);
    tenths[Math.min(9, Math.floor(value * 10))]! += 1;
    sum += value;
  }
  assert.ok(Math.abs(sum / 50_000 - 0.5) < 0.01, `mean ${sum / 50_000}`);
  for (const count of tenths) assert.ok(Math.abs(count - 5000) < 400, `${tenths}`);
});

test.run();
