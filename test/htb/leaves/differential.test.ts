/**
 * The real leaf against the reference, packet by packet: senders of many kinds in front of a bottleneck, and random calls
 * in any order, with every setting of the leaf.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FQ_DEFAULTS, type FqPacket } from '../../oracle/fq-reference.js';
import { makeRng, type Rng } from '../../oracle/random-tree.js';
import { runBottleneck, type SenderSpec } from '../../oracle/tcp-like.js';
import { LeafDriver, type LeafOptions } from './leaf-driver.js';
import { PairedLeaf } from './paired-leaf.js';

const seed = Number(process.env.WEIR_SEED ?? 20240611);
const RUNS_PER_SHAPE = 8;
const WILD_RUNS = 40;
const WILD_CALLS = 2000;
const MBIT = 1e6;
const ISOLATIONS = ['none', 'host', 'dual'] as const;
const DIFFSERVS = ['besteffort', 'diffserv3', 'diffserv4'] as const;
const DSCPS = [0, 0, 0, 8, 10, 26, 34, 46, 48];

type Shape = (rng: Rng, rateBps: number) => SenderSpec[];

function tcp(rng: Rng, more: Partial<SenderSpec> = {}): SenderSpec {
  return {
    device: rng.int(4),
    dscp: DSCPS[rng.int(DSCPS.length)]!,
    canMark: rng.chance(0.5),
    bytes: 1514,
    rttUs: rng.logInt(2_000, 100_000),
    startUs: rng.int(100_000),
    ...more,
  };
}

function many<T>(count: number, of: () => T): T[] {
  return Array.from({ length: count }, of);
}

const SHAPES: Readonly<Record<string, Shape>> = {
  'one flow that does not listen': (rng, rateBps) => [
    tcp(rng, { fixedBps: rateBps * (1.02 + rng.next()), startUs: 0 }),
  ],
  'sawtooth of a few senders': (rng) => many(1 + rng.int(8), () => tcp(rng)),
  'many senders': (rng) => many(60, () => tcp(rng)),
  'packets of all sizes': (rng, rateBps) =>
    many(20, () => tcp(rng, { bytes: 60 + rng.int(1455), fixedBps: (rateBps / 20) * (0.5 + rng.next()) })),
  'sparse flows beside bulk': (rng) => [
    ...many(4, () => tcp(rng)),
    ...many(12, () => tcp(rng, { bytes: 60 + rng.int(200), fixedBps: rng.logInt(2_000, 100_000) })),
  ],
  'now and then idle': (rng, rateBps) =>
    many(6, () => tcp(rng, { fixedBps: (rateBps / 6) * (0.6 + 0.6 * rng.next()) })),
};

function randomOptions(rng: Rng): LeafOptions {
  const targetUs = rng.chance(0.5) ? FQ_DEFAULTS.targetUs : rng.logInt(200, 50_000);
  return {
    flows: rng.chance(0.5) ? 1024 : 2 ** rng.int(7),
    limitPackets: rng.chance(0.5) ? FQ_DEFAULTS.limitPackets : rng.logInt(1, 300),
    limitBytes: rng.chance(0.6) ? FQ_DEFAULTS.limitBytes : rng.logInt(100, 200_000),
    targetUs,
    intervalUs: targetUs * (rng.chance(0.5) ? 20 : 1 + rng.int(30)),
    ecn: rng.chance(0.6),
    isolate: ISOLATIONS[rng.int(3)]!,
    diffserv: DIFFSERVS[rng.int(3)]!,
  };
}

const test = suite('fair leaf against the reference');
console.log(`WEIR_SEED=${seed}`);
let drops = 0;
let marks = 0;
let sent = 0;

for (const [name, shape] of Object.entries(SHAPES)) {
  test(name, () => {
    for (let run = 0; run < RUNS_PER_SHAPE; run++) {
      const rng = makeRng(seed + run);
      const options = run === 0 ? {} : randomOptions(rng);
      const rateBps = rng.logInt(1 * MBIT, 40 * MBIT);
      const where = `${name}, run ${run}, WEIR_SEED=${seed}, ${JSON.stringify(options)}`;
      const leaf = new PairedLeaf(new LeafDriver([options]), 0, options, where);
      const looked = rng.chance(0.5);
      const counted = {
        get backlogPackets() {
          return leaf.backlogPackets;
        },
        beginStep: (nowUs: number) => leaf.beginStep(nowUs),
        enqueue: (nowUs: number, packet: FqPacket) => leaf.enqueue(nowUs, packet),
        dequeue: (nowUs: number) => {
          // As a tree does that has to know the length first.
          const peeked = looked ? leaf.peek(nowUs) : -1;
          const tag = leaf.dequeue(nowUs);
          if (looked) assert.is(tag, peeked);
          sent++;
          return tag;
        },
        takeEvents: () => {
          const events = leaf.takeEvents();
          for (const { what } of events) what === 'mark' ? marks++ : drops++;
          return events;
        },
      };
      const untilUs = Math.min(3e6, (1500 * 1514 * 8e6) / rateBps);
      runBottleneck(counted, { senders: shape(rng, rateBps), rateBps, untilUs }, rng);
    }
  });
}

test('calls in any order, on several leaves that share a pool, across the wrap of the clock', () => {
  for (let run = 0; run < WILD_RUNS; run++) wildRun(seed + run);
});

function wildRun(runSeed: number): void {
  const rng = makeRng(runSeed);
  const options = many(1 + rng.int(3), () => randomOptions(rng));
  const driver = new LeafDriver(options);
  const leaves = options.map(
    (one, at) => new PairedLeaf(driver, at, one, `leaf ${at}, WEIR_SEED=${runSeed}, ${JSON.stringify(one)}`),
  );
  // Half of the runs begin shortly before the clock's microseconds become negative.
  let nowUs = rng.chance(0.5) ? 1000 : 2 ** 31 - 1_000_000;
  for (const leaf of leaves) leaf.beginStep(nowUs);
  let tag = 0;
  let load = 0.5;
  for (let call = 0; call < WILD_CALLS; call++) {
    if (call % 100 === 0) load = rng.next();
    if (rng.chance(0.4)) {
      nowUs += rng.logInt(1, 20_000);
      for (const leaf of leaves) leaf.beginStep(nowUs);
    }
    const leaf = leaves[rng.int(leaves.length)]!;
    const packet: FqPacket = {
      tag: tag++,
      bytes: rng.chance(0.5) ? 1514 : 60 + rng.int(1455),
      flow: rng.chance(0.5) ? rng.int(3) : rng.int(200),
      device: rng.int(5),
      dscp: DSCPS[rng.int(DSCPS.length)]!,
      canMark: rng.chance(0.5),
    };
    const dice = leaf.backlogPackets === 0 || rng.chance(load) ? 1 : 0.9 * rng.next();
    if (dice === 1) leaf.enqueue(nowUs, packet);
    else if (dice < 0.03) leaf.evict(nowUs, 1 + rng.int(70));
    else if (dice < 0.25) leaf.peek(nowUs);
    else leaf.dequeue(nowUs);
    leaf.takeEvents();
  }
}

test.after(() => {
  console.log(`${sent} packets left, ${drops} were dropped and ${marks} marked`);
  assert.ok(drops > 1000 && marks > 500, 'too little happened');
});

test.run();
