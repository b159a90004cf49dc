import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ExchangeCounter } from '../../bench/scale-exchanges.js';
import { medianOf, smokeOf } from './smoke.js';

const test = suite('bench scale');

test('counts what others change: failures, and meetings of queues in one step', () => {
  const words = new Int32Array(new SharedArrayBuffer(16));
  const others = new Int32Array(new SharedArrayBuffer(16));
  const counter = new ExchangeCounter();
  const before = Atomics.compareExchange;
  const exchanges = counter.during(() => {
    counter.enter(0, 1);
    assert.is(Atomics.compareExchange(words, 1, 0, 5), 0);
    assert.is(Atomics.compareExchange(words, 1, 5, 6), 5, 'the same queue again is no meeting');
    counter.enter(1, 1);
    assert.is(Atomics.compareExchange(words, 1, 0, 9), 6, 'fails, and meets');
    assert.is(Atomics.compareExchange(words, 2, 0, 9), 0, 'another word');
    assert.is(Atomics.compareExchange(others, 1, 0, 9), 0, 'the same word of another memory');
    counter.enter(0, 2);
    assert.is(Atomics.compareExchange(words, 1, 6, 7), 6, 'a later step');
  });
  assert.equal(exchanges, { attempts: 6, failures: 1, meetings: 1 });
  assert.is(Atomics.compareExchange, before);
});

test('in miniature', async () => {
  const document = await smokeOf('scale', { seed: '3' });
  const { points, plots, model } = document;
  const figure = (point: string, column: string, name: string): number =>
    medianOf(document, point, column, name);
  for (const axis of ['classes: 64', 'classes: 512', 'flows: 256', 'depth: 2', 'depth: 4', 'queues: 4']) {
    assert.ok(figure(axis, 'open', 'nsPerPacket') > 0, axis);
    assert.ok(figure(axis, 'open', 'sentShare') > 0.99, axis);
    const sent = figure(axis, 'half throttled', 'sentShare');
    assert.ok(sent > 0.72 && sent < 0.78, `${axis}: sent ${sent}`);
  }
  const alone = 'contention: 1 simulated, 16 shared';
  const four = 'contention: 4 simulated, 16 shared';
  assert.is(figure(alone, 'open', 'meetingsPerPacket'), 0, 'one queue meets nobody');
  const met = figure(four, 'open', 'meetingsPerPacket');
  assert.ok(met > 0 && met <= figure(four, 'open', 'exchangesPerPacket'), `${met} meetings a packet`);
  assert.ok(points.some(({ parameters: { kind } }) => kind === 'threads'));
  assert.ok(plots.every(({ series }) => series.every((line) => line.points.length > 0)));
  assert.ok(Number.isFinite(model!.rSquared) && model!.rSquared <= 1);
  assert.ok(model!.predictions.every(({ value }) => Number.isFinite(value)));
  assert.ok(model!.assumptions.length > 3);
});

test.run();
