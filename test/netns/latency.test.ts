/**
 * What subscribers feel: round trips beside bulk downloads, with each kind of leaf, and while somebody else floods.
 *
 * Leaves are compared in one daemon at the same time, on subscribers of their own, so that they share what the machine
 * does to them; a subscriber without any load shows how much that is. A measurement that the machine has spoilt is tried
 * again, and each try prints its figures.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildPeers } from '../../bench/inline-net.js';
import { percentile } from '../../src/lab/verdict.js';
import type { DirectionReport } from '../../src/metrics/class-meter.js';
import { type Downloaded, inRig, type Rig, type RoundTrips, whyNoRig } from './latency-rig.js';
import { whyNoXdp } from './namespaces.js';

const test = suite('latency under load');
const TRIES = 3;
const RATE_BPS = 20e6;

/** The aims. */
const ADDED_P99_MAX_MS = 15;
const PFIFO_TIMES_MIN = 5;
const RETRANSMITS_MAX_SHARE = 0.01;
/** Of pfifo. When its 1000 packets overflow once, some 140 are sent again. */
const OVERFLOWED_MIN = 100;
const GOODPUT_MIN_SHARE = 0.93;
const GOODPUT_MAX_SHARE = 1.02;
const CHANGED_P99_MAX_MS = 2;
const LOST_MAX_SHARE = 0.01;

const IDLE_PINGS = { seconds: 2, perSecond: 50, flows: 4 };
const LOADED_PINGS = { seconds: 6, perSecond: 50, flows: 4 };
/** CUBIC has filled a queue of 1000 packets within this and what is measured. */
const SLOW_START_SECONDS = 4;
const LOOKS = 50;
/** Clients start one after the other, and each outlasts the measurement. */
const SPARE_SECONDS = 1;

const ROUNDS = 5;
const ROUND_PINGS = { seconds: 1, perSecond: 200, flows: 1 };
/** A flood offers ten times what its class may have, and goes on for a while before it counts. */
const FLOOD_TIMES = 10;
const FLOOD_SETTLE_SECONDS = 0.4;
const LONG_SECONDS = 60;

/** The flooder's limit is ten times the frames there are. Its rate is one at which the rings outlast a worker that waits. */
const FEW_FRAMES = { frames: 1024, ringSize: 256 };
const FEW_LIMIT = 10_240;
const FEW_BPS = 4e6;
const FEW_PINGS = { seconds: 3, perSecond: 100, flows: 1 };

/** Until a try has nothing to complain of. */
async function tried(attempt: () => Promise<string[]>): Promise<void> {
  let complaints: string[] = [];
  for (let tries = 0; tries < TRIES; tries++) {
    complaints = await attempt();
    if (complaints.length === 0) return;
    process.stdout.write(`not yet: ${complaints.join('; ')}\n`);
  }
  assert.unreachable(complaints.join('; '));
}

/** The sentences whose conditions do not hold. */
function unless(...claims: readonly (readonly [boolean, string])[]): string[] {
  return claims.filter(([holds]) => !holds).map(([, sentence]) => sentence);
}

const ms = (value: number): string => `${value.toFixed(1)} ms`;
const mbit = (bps: number): string => `${(bps / 1e6).toFixed(2)} Mbit/s`;
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

// ---- downloads beside pings -------------------------------------------------------------------------------

/** `marking` is the default; without ECN what is capable of it is dropped as anything else. */
const LOADED = ['marking', 'dropping', 'fifo'] as const;
type Loaded = (typeof LOADED)[number];

interface Felt {
  readonly loaded: RoundTrips;
  readonly addedMs: number;
  readonly downloaded: Downloaded;
  readonly stats: DirectionReport;
  /** The most that were seen. */
  readonly bulkFlows: number;
}

/** A queue's limit is its worker's own, so the limit of two is half of tc's default each. */
function leavesOf(queues: number): Record<Loaded | 'nobody', object> {
  return {
    marking: {},
    dropping: { leaf: 'fq_codel', ecn: false },
    fifo: { leaf: 'pfifo', limit: 1000 / queues },
    nobody: {},
  };
}

async function downloads(rig: Rig): Promise<Record<Loaded, Felt>> {
  await rig.drained();
  const idle = await Promise.all(LOADED.map((id) => rig.roundTrips(id, IDLE_PINGS)));
  // Of all together: of one alone it would be the second longest of a hundred.
  const times = idle.flatMap(({ timesMs }) => timesMs);
  const idleMs = percentile(times, 0.99);
  const seconds = SLOW_START_SECONDS + LOADED_PINGS.seconds + SPARE_SECONDS;
  const begun = await Promise.all(LOADED.map((id) => rig.download(id, seconds)));
  await sleep(SLOW_START_SECONDS * 1000);
  const [loaded, looks] = await Promise.all([
    Promise.all([...LOADED, 'nobody'].map((id) => rig.roundTrips(id, LOADED_PINGS))),
    looksAt(rig),
  ]);
  const downloaded = await Promise.all(begun.map((one) => one.end(SLOW_START_SECONDS)));
  const nobodyMs = loaded.at(-1)!.p99Ms;
  process.stdout.write(`p99 ${ms(idleMs)} idle, ${ms(nobodyMs)} beside the others' load\n`);
  const felt = LOADED.map((id, i) => {
    const one = {
      loaded: loaded[i]!,
      // The quieter of two times without a load, so that what the machine does in one of them is not taken off.
      addedMs: loaded[i]!.p99Ms - Math.min(idleMs, nobodyMs),
      downloaded: downloaded[i]!,
      stats: looks.at(-1)![i]!,
      bulkFlows: Math.max(...looks.map((look) => look[i]!.flows.bulk)),
    };
    tell(id, one);
    return [id, one] as const;
  });
  return Object.fromEntries(felt) as Record<Loaded, Felt>;
}

/** Looks at the loaded leaves' counters while their round trips are measured. */
async function looksAt(rig: Rig): Promise<DirectionReport[][]> {
  const looks: DirectionReport[][] = [];
  for (let look = 0; look < LOOKS; look++) {
    await sleep((LOADED_PINGS.seconds * 1000) / (LOOKS + 1));
    looks.push(await Promise.all(LOADED.map((id) => rig.stats(id))));
  }
  return looks;
}

function tell(id: string, { loaded, addedMs, downloaded, stats, bulkFlows }: Felt): void {
  const { dropsBy, marks, sojournMs } = stats;
  process.stdout.write(
    `${id}: p99 ${ms(loaded.p99Ms)}, added ${ms(addedMs)} (p50 ${ms(loaded.p50Ms)}, ${loaded.lost} of ${loaded.sent} ` +
      `lost); ${mbit(downloaded.bps)}, ${downloaded.retransmits} sent again; ${bulkFlows} bulk flows, ` +
      `${JSON.stringify({ dropsBy, marks, sojournMs })}\n`,
  );
}

function complaints({ marking, dropping, fifo }: Record<Loaded, Felt>, queues: number): string[] {
  const [again, overflowed] = [marking.downloaded.retransmits, fifo.downloaded.retransmits];
  return unless(
    ...[marking, dropping].flatMap(({ addedMs, bulkFlows, downloaded, stats }) => {
      const share = downloaded.bps / RATE_BPS;
      return [
        [addedMs <= ADDED_P99_MAX_MS, `p99 rises by ${ms(addedMs)}`],
        [fifo.addedMs >= PFIFO_TIMES_MIN * addedMs, 'pfifo is not several times slower'],
        [share >= GOODPUT_MIN_SHARE && share <= GOODPUT_MAX_SHARE, `${mbit(downloaded.bps)} of the rate`],
        [bulkFlows >= 4, `${bulkFlows} bulk flows of four downloads`],
        [stats.dropsBy.evicted === 0, 'frames have run out'],
        [stats.sojournMs.p50! > 0, 'a standing queue, and nobody waits'],
        [stats.sojournMs.p99! < fifo.stats.sojournMs.p99!, 'packets wait as long as in pfifo'],
      ] as const;
    }),
    [marking.stats.marks > 0 && dropping.stats.marks === 0, 'marks where there should be none, or none'],
    [dropping.stats.dropsBy.codel > 0, 'CoDel has dropped nothing'],
    [again <= RETRANSMITS_MAX_SHARE * Math.max(overflowed, OVERFLOWED_MIN), `${again} sent again with ECN`],
    // On several queues each queue of pfifo has some of the flows, and may never fill.
    [
      queues > 1 || overflowed >= OVERFLOWED_MIN,
      `${overflowed} sent again with pfifo are too few to compare`,
    ],
  );
}

// ---- a neighbour who floods -------------------------------------------------------------------------------

interface Round {
  readonly p99Ms: number;
  readonly bps: number;
}

/** One measurement of the first subscriber, beside its downloads. */
async function round(rig: Rig): Promise<Round> {
  const [before, beganMs] = [await rig.stats('first'), performance.now()];
  const { p99Ms } = await rig.roundTrips('first', ROUND_PINGS);
  const [after, endedMs] = [await rig.stats('first'), performance.now()];
  return { p99Ms, bps: ((after.bytes - before.bytes) * 8000) / (endedMs - beganMs) };
}

async function roundBesideAFlood(rig: Rig): Promise<Round> {
  const flood = rig.flood('flooder', FLOOD_TIMES * RATE_BPS, ROUND_PINGS.seconds + 2 * FLOOD_SETTLE_SECONDS);
  await sleep(FLOOD_SETTLE_SECONDS * 1000);
  const measured = await round(rig);
  await flood.result();
  return measured;
}

async function besideAFlood(rig: Rig): Promise<string[]> {
  await rig.drained();
  const begun = await rig.download('first', LONG_SECONDS);
  await sleep(SLOW_START_SECONDS * 1000);
  const pairs: [Round, Round][] = [];
  for (let i = 0; i < ROUNDS; i++) pairs.push([await round(rig), await roundBesideAFlood(rig)]);
  await begun.stop();
  for (const [quiet, noisy] of pairs)
    process.stdout.write(
      `p99 ${ms(quiet.p99Ms)}, ${ms(noisy.p99Ms)} beside a flood; ${mbit(quiet.bps)}, ${mbit(noisy.bps)}\n`,
    );
  const changedMs = median(pairs.map(([quiet, noisy]) => noisy.p99Ms - quiet.p99Ms));
  const share = median(pairs.map(([, noisy]) => noisy.bps)) / RATE_BPS;
  const [first, flooder] = await Promise.all(['first', 'flooder'].map((id) => rig.stats(id)));
  process.stdout.write(
    `p99 changes by ${ms(changedMs)}, ${(share * 100).toFixed(1)} % of the rate beside a flood; ` +
      `drops ${JSON.stringify(first!.dropsBy)}, the flooder's ${JSON.stringify(flooder!.dropsBy)}\n`,
  );
  return unless(
    [changedMs <= CHANGED_P99_MAX_MS, `p99 rises by ${ms(changedMs)}`],
    [share >= GOODPUT_MIN_SHARE && share <= GOODPUT_MAX_SHARE, `${share} of the rate`],
    [flooder!.drops > 0, 'the flood has lost nothing'],
    [first!.dropsBy.evicted === 0, 'who does not flood has lost packets to a want of frames'],
  );
}

// ---- few frames -------------------------------------------------------------------------------------------

async function withFewFrames(rig: Rig): Promise<string[]> {
  const { seconds } = FEW_PINGS;
  const flood = rig.flood('flooder', FLOOD_TIMES * FEW_BPS, seconds + 3 * FLOOD_SETTLE_SECONDS);
  await sleep(FLOOD_SETTLE_SECONDS * 1000);
  const felt = await rig.roundTrips('other', FEW_PINGS);
  const [other, flooder] = await Promise.all(['other', 'flooder'].map((id) => rig.stats(id)));
  await flood.result();
  const { backlogPackets, dropsBy } = flooder!;
  process.stdout.write(
    `p99 ${ms(felt.p99Ms)}, ${felt.lost} of ${felt.sent} lost; the flooder's ${JSON.stringify({ backlogPackets, dropsBy })}\n`,
  );
  return unless(
    [felt.lost <= LOST_MAX_SHARE * felt.sent, `${felt.lost} pings lost`],
    [felt.p99Ms <= ADDED_P99_MAX_MS, `p99 ${ms(felt.p99Ms)}`],
    [dropsBy.evicted > 0, 'nothing evicted from the flooder'],
    [other!.drops === 0, `${other!.drops} drops of the one who does not flood`],
  );
}

// ---- all of them ------------------------------------------------------------------------------------------

const reason = whyNoXdp() ?? whyNoRig();
if (reason !== null) {
  process.stdout.write(`skipped: ${reason}\n`);
  test.skip('round trips under load', () => {});
} else {
  test.before(() => buildPeers());

  for (const queues of [1, 2])
    test(`queues: ${queues}; downloads add little to a round trip, and with ECN nothing is sent again`, () =>
      inRig(`lat${queues}`, { leaves: leavesOf(queues), rateBps: RATE_BPS, queues }, (rig) =>
        tried(async () => complaints(await downloads(rig), queues)),
      ));

  test('a flood changes nothing for a neighbour who downloads', () =>
    inRig('flood', { leaves: { first: {}, flooder: {} }, rateBps: RATE_BPS }, (rig) =>
      tried(() => besideAFlood(rig)),
    ));

  for (const leaf of ['fq_codel', 'pfifo'])
    test(`${leaf}: a flood that could take all frames leaves others theirs`, () => {
      const leaves = { flooder: { leaf, limit: FEW_LIMIT }, other: { leaf } };
      return inRig('few', { leaves, rateBps: FEW_BPS, rings: FEW_FRAMES }, (rig) =>
        tried(() => withFewFrames(rig)),
      );
    });
}

test.run();
