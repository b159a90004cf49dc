import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Counter } from '../../src/dataplane/counters.js';
import { WeirError } from '../../src/errors.js';
import { TreeMemory } from '../../src/htb/memory.js';
import { checkConservation } from '../../src/sim/conservation.js';
import { Meters } from '../../src/sim/meters.js';
import { type Document, down, near, oneClass, run, twoBorrowers } from './scenarios.js';

const test = suite('simulator');

for (const queues of [1, 4]) {
  test(`a class below its ceil loses nothing on ${queues} queue(s)`, () => {
    const result = run({
      queues,
      seconds: 1,
      classes: oneClass({ rate: '100mbit' }),
      flows: [{ class: 'u', direction: 'down', offered: '60mbit' }],
    });
    const figures = down(result, 'u');
    near(figures.offeredBps, 60e6, 0.001, 'offered');
    assert.is(figures.drops, 0);
    assert.ok(figures.sentPackets >= figures.offeredPackets - 2 * queues, 'everything is sent');
    assert.ok(figures.delayMs.p99! < 1, `p99 ${figures.delayMs.p99} ms`);
  });

  test(`a class above its ceil gets its ceil on ${queues} queue(s)`, () => {
    const result = run({
      queues,
      seconds: 2,
      classes: oneClass({ rate: '50mbit' }, { leaf: 'pfifo' }),
      flows: [{ class: 'u', direction: 'down', offered: '100mbit' }],
    });
    const figures = down(result, 'u');
    near(figures.goodputBps, 50e6, 0.005, 'goodput');
    assert.is(figures.windowsBps.length, 20);
    for (const bps of figures.windowsBps.slice(1)) near(bps, 50e6, 0.02, 'a window');
    const { offeredPackets, sentPackets, drops, backlogPackets } = figures;
    assert.is(offeredPackets, sentPackets + drops + backlogPackets);
    assert.ok(drops > 0, 'a full leaf drops');
  });
}

test('two equal borrowers share their parent, which has their sum', () => {
  const flow = (id: string) => ({ class: id, direction: 'down', offered: '80mbit' });
  const result = run({ seconds: 2, classes: twoBorrowers(), flows: [flow('a'), flow('b')] });
  const [a, b, up] = [down(result, 'a'), down(result, 'b'), down(result, 'up')];
  near(a.goodputBps, b.goodputBps, 0.01, 'shares');
  near(up.goodputBps, 100e6, 0.01, 'parent');
  assert.is(up.sentPackets, a.sentPackets + b.sentPackets);
  assert.is(up.drops, a.drops + b.drops);
  assert.is(up.offeredPackets, a.offeredPackets + b.offeredPackets);
  assert.equal(
    up.windowsBps,
    a.windowsBps.map((bps, i) => bps + b.windowsBps[i]!),
  );
});

test('a direction has figures only where something is offered below it', () => {
  const result = run({
    seconds: 0.1,
    classes: twoBorrowers(),
    flows: [{ class: 'a', direction: 'up', offered: '1mbit' }],
  });
  assert.equal(Object.keys(result.classes), ['up', 'a', 'b']);
  assert.equal(Object.keys(result.classes.up!), ['up']);
  assert.equal(Object.keys(result.classes.a!), ['up']);
  assert.equal(result.classes.b, {});
  near(result.classes.a!.up!.goodputBps, 1e6, 0.1, 'goodput upwards');
});

test('packets arrive on the queues that the spread names, at the rate and in the time asked for', () => {
  const flow = { class: 'u', direction: 'down', offered: '10mbit', size: 1250, start: 0.5, stop: 1.5 };
  const result = run({
    queues: 2,
    seconds: 2,
    windowMs: 500,
    classes: oneClass({ rate: '100mbit' }),
    flows: [{ ...flow, spread: [0, 1] }],
    stalls: [{ queue: 0, at: 0, seconds: 2 }],
  });
  const figures = down(result, 'u');
  assert.is(figures.offeredPackets, 1000);
  assert.is(figures.windowsBps[0], 0);
  near(figures.windowsBps[1]!, 10e6, 0.01, 'second window');
  near(figures.windowsBps[2]!, 10e6, 0.01, 'third window');
  assert.is(figures.windowsBps[3], 0);
});

test('Poisson arrivals keep the rate and wait for one another', () => {
  const at = (arrival: string) => {
    const flow = { class: 'u', direction: 'down', offered: '90mbit', arrival };
    return down(
      run({ seconds: 3, classes: oneClass({ rate: '100mbit', burst: 2000, cburst: 2000 }), flows: [flow] }),
      'u',
    );
  };
  const [cbr, poisson] = [at('cbr'), at('poisson')];
  near(poisson.offeredBps, 90e6, 0.03, 'offered');
  assert.is(poisson.drops, 0);
  assert.ok(
    poisson.delayMs.p99! > 2 * cbr.delayMs.p99!,
    `${poisson.delayMs.p99} ms against ${cbr.delayMs.p99} ms`,
  );
});

test('a stalled worker sends nothing, its card drops what its ring cannot hold, the rest is sent afterwards', () => {
  const base = {
    queues: 2,
    seconds: 1,
    classes: oneClass({ rate: '1gbit', burst: '8mb', cburst: '8mb' }),
    flows: [{ class: 'u', direction: 'down', offered: '120mbit', spread: [0, 1] }],
  };
  const stalled = (at: number, seconds: number) =>
    down(run({ ...base, stalls: [{ queue: 1, at, seconds }] }), 'u');
  // 10,000 packets a second: 1,000 wait in the ring meanwhile, and leave within the next window.
  const short = stalled(0.3, 0.1);
  assert.is(short.drops, 0);
  assert.is(short.windowsBps[3], 0);
  near(short.windowsBps[4]!, 240e6, 0.01, 'window after the stall');
  near(short.delayMs.p99!, 90, 0.05, 'p99');
  // 4,000 arrive and 2,048 fit.
  const long = stalled(0.3, 0.4);
  near(long.drops, 4000 - 2048, 0.01, 'drops');
  // The last stall of a run leaves its packets in the ring; they are accounted for.
  const last = stalled(0.9, 0.5);
  near(last.backlogPackets, 1000, 0.01, 'backlog');
});

test('a change of the classes takes effect at its time, also for a worker that sleeps', () => {
  const result = run({
    seconds: 2,
    classes: oneClass({ rate: '1mbit' }),
    flows: [{ class: 'u', direction: 'down', offered: '40mbit' }],
    changes: [
      { at: 1.5, classes: oneClass({ rate: '5mbit' }) },
      { at: 1, classes: oneClass({ rate: '20mbit' }) },
    ],
  });
  const { windowsBps } = down(result, 'u');
  for (const bps of windowsBps.slice(1, 9)) near(bps, 1e6, 0.15, 'before');
  for (const bps of windowsBps.slice(11, 14)) near(bps, 20e6, 0.02, 'after the first change');
  for (const bps of windowsBps.slice(17)) near(bps, 5e6, 0.05, 'after the second change');
});

test('a change wakes a worker that would sleep for long', () => {
  const result = run({
    seconds: 1.2,
    classes: oneClass({ rate: '8kbit', burst: 2000, cburst: 2000 }, { leaf: 'pfifo' }),
    flows: [{ class: 'u', direction: 'down', offered: '12mbit', stop: 0.1 }],
    changes: [{ at: 1, classes: { version: 1, leaf: 'pfifo', classes: [{ id: 'u' }] } }],
  });
  const figures = down(result, 'u');
  assert.ok(figures.windowsBps[9]! <= 12_000 * 10, 'at most one packet before');
  assert.ok(figures.windowsBps[10]! >= 98 * 12_000 * 10, 'all that was queued after');
  assert.is(figures.backlogPackets, 0);
});

test('a worker takes more than a batch at one time when more has arrived', () => {
  const result = run({
    seconds: 0.004,
    classes: oneClass({ rate: '100gbit' }),
    // 125 packets arrive from one step to the next.
    flows: [{ class: 'u', direction: 'down', offered: '12gbit', size: 60 }],
  });
  const figures = down(result, 'u');
  assert.is(figures.offeredPackets, 100_000);
  assert.is(figures.drops, 0);
  assert.ok(figures.delayMs.p99! < 0.006, `p99 ${figures.delayMs.p99} ms`);
});

test('a class may get another parent while it sends; both parents count what went below them', () => {
  const tree = (parent: string): Document => ({
    version: 1,
    classes: [
      { id: 'p', down: { rate: '10mbit' } },
      { id: 'q', down: { rate: '20mbit' } },
      { id: 'idle', parent: 'p', down: { rate: '1mbit' } },
      { id: 'idler', parent: 'q', down: { rate: '1mbit' } },
      { id: 'u', parent, down: { rate: '1mbit', ceil: '20mbit' } },
    ],
  });
  const result = run({
    queues: 2,
    seconds: 2,
    classes: tree('p'),
    flows: [{ class: 'u', direction: 'down', offered: '40mbit' }],
    changes: [{ at: 1, classes: tree('q') }],
  });
  const { windowsBps } = down(result, 'u');
  near(windowsBps[5]!, 10e6, 0.05, 'below p');
  near(windowsBps[15]!, 20e6, 0.05, 'below q');
  assert.equal(down(result, 'q'), down(result, 'u'));
});

test('the same scenario gives the same bytes, another seed gives others', () => {
  const document = (seed: number) => ({
    queues: 3,
    seconds: 0.5,
    seed,
    classes: twoBorrowers(),
    flows: [
      { class: 'a', direction: 'down', offered: '70mbit', arrival: 'poisson' },
      { class: 'b', direction: 'down', offered: '70mbit', size: 300, spread: [0.5, 0, 0.5] },
      { class: 'b', direction: 'up', offered: '60mbit' },
    ],
    stalls: [{ queue: 1, at: 0.1, seconds: 0.05 }],
  });
  const first = JSON.stringify(run(document(1)));
  assert.is(JSON.stringify(run(document(1))), first);
  assert.is.not(JSON.stringify({ ...run(document(2)), seed: 1 }), first);
});

test('a flow more or less leaves the arrivals of the others alone', () => {
  const flow = { class: 'a', direction: 'down', offered: '3mbit', arrival: 'poisson' };
  const other = { class: 'b', direction: 'down', offered: '3mbit' };
  const alone = run({ seconds: 1, classes: twoBorrowers(), flows: [flow] });
  const both = run({ seconds: 1, classes: twoBorrowers(), flows: [flow, other] });
  assert.is(down(both, 'a').offeredPackets, down(alone, 'a').offeredPackets);
});

test('books that do not balance are an internal error', () => {
  const meters = () => new Meters(Int32Array.of(1), 2);
  const memory = new TreeMemory({ capacityClasses: 1 } as never, 0);
  const queue = {
    worker: {
      freeFrames: 5,
      queuedPackets: 0,
      counters: new Float64Array(Counter.COUNT),
      trees: [{ memory }, { memory }],
    },
    frames: 5,
    ringFrames: 0,
    countReceived: () => {},
  };
  const publisher = { classes: new Map([['u', { index: 0 }]]) };
  const check = (of = meters()) =>
    checkConservation([queue] as never, publisher as never, new Map([['u', 0]]), of);
  check();
  const offered = meters();
  offered.offeredPackets[0] = 1;
  assert.throws(() => check(offered), isBroken("class 'u' up: 1 packets offered"));
  const sent = meters();
  sent.offeredPackets[0] = sent.sentPackets[0] = 1;
  assert.throws(() => check(sent), isBroken("class 'u' up: 1 packets and 0 bytes left, the trees"));
  queue.ringFrames = 1;
  assert.throws(check, isBroken('queue 0 has 5 frames, but 5 free, 0 queued, 1 in rings'));
  queue.ringFrames = 0;
  const { counters } = queue.worker;
  counters[Counter.RX_PACKETS] = 6;
  counters[Counter.DROP_QUEUE] = 1;
  counters[Counter.DROP_CODEL] = 2;
  assert.throws(check, isBroken('queue 0 took 6 packets, but 0 sent, 3 dropped, 0 queued'));
  counters[Counter.DROP_EVICTED] = 3;
  check();
});

function isBroken(message: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof WeirError && error.code === 'E_CONSERVATION' && error.message.includes(message);
}

test.run();
