/** The lab's subscribers and their class tree. */
import { formatIpv4 } from '../../classes/prefix.js';
import { formatRate } from '../../classes/units.js';
import { streamState, uniformOf } from '../sim/random.js';

/** What a subscriber has bought; layer-2 bits a second. */
export interface Tariff {
  readonly name: string;
  readonly downBps: number;
  readonly upBps: number;
  /** of all subscribers */
  readonly share: number;
}

export interface Subscriber {
  readonly id: string;
  readonly address: string;
  readonly tariff: Tariff;
  /** id of the class above */
  readonly parent: string;
}

/** A class of a tree file, as `classes/` reads it. */
export interface TreeClass {
  readonly id: string;
  readonly parent?: string;
  readonly match?: readonly string[];
  readonly limit?: number;
  readonly down: TreeDirection;
  readonly up: TreeDirection;
}

export interface TreeDirection {
  readonly rate: string;
  readonly ceil: string;
  readonly burst: number;
  readonly cburst: number;
}

export interface TreeDocument {
  readonly version: 1;
  readonly classes: readonly TreeClass[];
}

const MBIT = 1e6;
export const TARIFFS = {
  basic: { name: 'basic', downBps: 10 * MBIT, upBps: 2 * MBIT, share: 0.4 },
  standard: { name: 'standard', downBps: 50 * MBIT, upBps: 10 * MBIT, share: 0.3 },
  fibre: { name: 'fibre', downBps: 20 * MBIT, upBps: 20 * MBIT, share: 0.1 },
  premium: { name: 'premium', downBps: 100 * MBIT, upBps: 20 * MBIT, share: 0.1 },
  business: { name: 'business', downBps: 300 * MBIT, upBps: 50 * MBIT, share: 0.1 },
  test: { name: 'test', downBps: 2 * MBIT, upBps: 2 * MBIT, share: 0 },
} as const satisfies Record<string, Tariff>;
const DRAWN: readonly Tariff[] = [
  TARIFFS.basic,
  TARIFFS.standard,
  TARIFFS.fibre,
  TARIFFS.premium,
  TARIFFS.business,
];

/** Holds every subscriber's address. */
export const SUBSCRIBER_PREFIX = '10.64.0.0/15';
const FIRST_ADDRESS = (10 << 24) | (64 << 16);
const WIDE = 'uplink-wide';
/** What the wide uplink has beyond the assured rates: more than all that the lab sends. */
const WIDE_SPARE_BPS = 10_000 * MBIT;
/** The uplink that fills up. */
export const NARROW = 'uplink-narrow';
export const NARROW_RATE = { downBps: 40 * MBIT, upBps: 20 * MBIT };
const SITE_USERS = 1000;
/** Subscribers that every lab has of each drawn tariff. */
const TURNS = 2;
/** Assured to a subscriber, of what he has bought: an operator sells far more than he has. */
const ASSURED_SHARE = 0.01;
/** A leaf holds what its ceil sends in this time, within bounds, so that TCP neither starves nor waits for long. */
const LEAF_SECONDS = 0.04;
const LEAF_MIN_PACKETS = 20;
const LEAF_MAX_PACKETS = 400;
const FRAME_BITS = 1514 * 8;
/**
 * Bursts hold what the rate sends in this time. The lab's workers share their CPUs with the programs that load them,
 * and lose what does not fit the bucket while another runs; workers with CPUs of their own need a tenth of this.
 */
const BURST_SECONDS = 0.02;
/** Two full frames. */
const BURST_MIN_BYTES = 3200;

/**
 * The test account, then `narrow` subscribers of the fibre tariff on the narrow uplink, then the rest on the
 * wide one with tariffs at random; the first of those have each tariff in turn, so that also a small lab has enough of each.
 */
export function makeSubscribers(users: number, narrow: number, seed: number): Subscriber[] {
  const subscribers = [makeSubscriber(0, TARIFFS.test, 'site-1')];
  for (let index = 1; index <= narrow; index++) {
    subscribers.push(makeSubscriber(index, TARIFFS.fibre, NARROW));
  }
  for (let index = narrow + 1; index < users; index++) {
    const turn = index - narrow - 1;
    const isInTurn = turn < DRAWN.length * TURNS;
    const uniform = uniformOf(streamState(seed, index, 0));
    const tariff = isInTurn ? DRAWN[turn % DRAWN.length]! : drawTariff(uniform);
    subscribers.push(makeSubscriber(index, tariff, `site-${Math.floor(index / SITE_USERS) + 1}`));
  }
  return subscribers;
}

/** Inner classes are assured what their children are, so that no assured rate is oversubscribed. */
export function makeTree(subscribers: readonly Subscriber[]): TreeDocument {
  const sites = new Map<string, { downBps: number; upBps: number }>();
  for (const { parent, tariff } of subscribers) {
    if (parent === NARROW) continue;
    const site = sites.get(parent) ?? { downBps: 0, upBps: 0 };
    site.downBps += tariff.downBps * ASSURED_SHARE;
    site.upBps += tariff.upBps * ASSURED_SHARE;
    sites.set(parent, site);
  }
  const sum = (of: (site: { downBps: number; upBps: number }) => number): number =>
    [...sites.values()].reduce((total, site) => total + of(site), WIDE_SPARE_BPS);
  const wide = { downBps: sum(({ downBps }) => downBps), upBps: sum(({ upBps }) => upBps) };
  const inner: TreeClass[] = [
    { id: WIDE, down: directionOf(wide.downBps), up: directionOf(wide.upBps) },
    { id: NARROW, down: directionOf(NARROW_RATE.downBps), up: directionOf(NARROW_RATE.upBps) },
  ];
  for (const [id, { downBps, upBps }] of sites) {
    const down = directionOf(downBps, wide.downBps);
    inner.push({ id, parent: WIDE, down, up: directionOf(upBps, wide.upBps) });
  }
  return { version: 1, classes: [...inner, ...subscribers.map(leafOf)] };
}

function makeSubscriber(index: number, tariff: Tariff, parent: string): Subscriber {
  const address = formatIpv4(FIRST_ADDRESS + 1 + index);
  return { id: `${tariff.name}-${index}`, address, tariff, parent };
}

function drawTariff(uniform: number): Tariff {
  let below = 0;
  for (const tariff of DRAWN) {
    below += tariff.share;
    if (uniform <= below) return tariff;
  }
  return DRAWN.at(-1)!;
}

function leafOf({ id, parent, address, tariff }: Subscriber): TreeClass {
  const packets = Math.ceil((Math.max(tariff.downBps, tariff.upBps) * LEAF_SECONDS) / FRAME_BITS);
  return {
    id,
    parent,
    match: [address],
    limit: Math.min(LEAF_MAX_PACKETS, Math.max(LEAF_MIN_PACKETS, packets)),
    down: directionOf(tariff.downBps * ASSURED_SHARE, tariff.downBps),
    up: directionOf(tariff.upBps * ASSURED_SHARE, tariff.upBps),
  };
}

function directionOf(rateBps: number, ceilBps = rateBps): TreeDirection {
  const rate = Math.round(rateBps);
  const ceil = Math.round(ceilBps);
  return {
    rate: formatRate(rate),
    ceil: formatRate(ceil),
    burst: burstBytes(rate),
    cburst: burstBytes(ceil),
  };
}

function burstBytes(bps: number): number {
  return Math.max(BURST_MIN_BYTES, Math.ceil((bps / 8) * BURST_SECONDS));
}
