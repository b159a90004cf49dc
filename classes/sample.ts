/** Plausible classes of a dormitory ISP, for trying out and measuring: the same ones for the same seed. */
import { usageError, WeirError } from '../src/errors.js';
import { type ClassTree, formatProblem } from './model.js';
import type { Store } from './stores/store.js';
import { formatRate, quoted } from './units.js';
import { consumeClassTree } from './validate.js';

export const SAMPLE_USERS_MAX = 1_000_000;

export interface SampleOptions {
  /** From 0 to SAMPLE_USERS_MAX. */
  readonly users: number;
  readonly seed: number;
}

interface SampleDirection {
  rate: string;
  ceil?: string;
  prio?: number;
}

interface SampleClass {
  readonly id: string;
  readonly parent?: string;
  readonly match?: readonly string[];
  down: SampleDirection;
  up: SampleDirection;
}

/** A document of the tree file's format. */
export interface SampleDocument {
  readonly version: 1;
  readonly default: string;
  readonly classes: readonly SampleClass[];
}

interface Plan {
  readonly downBps: number;
  readonly upBps: number;
  readonly down: SampleDirection;
  readonly up: SampleDirection;
}

/** The most popular first: the nth has 1/n of the first one's users, after Zipf. */
const PLANS: readonly Plan[] = [
  plan(100e3, 50e6, 16e3, 20e6),
  plan(64e3, 25e6, 16e3, 5e6),
  plan(150e3, 100e6, 30e3, 40e6),
  plan(200e3, 250e6, 40e3, 50e6),
  plan(300e3, 500e6, 60e3, 100e6, 1),
  plan(400e3, 1e9, 64e3, 200e6),
  plan(400e3, 1e9, 64e3, 500e6),
  plan(400e3, 500e6, 64e3, 500e6, 2),
];

const CEIL_OF_FLOOR = { down: '1gbit', up: '500mbit' };
const CEIL_OF_HOUSE = { down: '2gbit', up: '1gbit' };
const UPLINK_DOWN_MIN_BPS = 5e9;
const UPLINK_UP_MIN_BPS = 1e9;

/** Sites stay so few that a million users and their sites are no more classes than a tree may have. */
const FLOOR_USERS = { from: 20, to: 36 };
const HOUSE_FLOORS = { from: 3, to: 7 };
const CAMPUS_HOUSES = { from: 12, to: 24 };
/** Small houses have no floors of their own. */
const SMALL_HOUSE_SHARE = 0.2;

const SECOND_ADDRESS_SHARE = 0.05;
const IPV6_SHARE = 0.3;
const IPV4_PREFIX_SHARE = 0.005;
const EXPIRING_SHARE = 0.01;
const EXPIRY_DAYS_MAX = 90;
const DAY_MS = 86_400_000;

/**
 * An uplink; campuses, houses and floors below it, whose assured rates cover those of their users; the users; and
 * `guests` for everybody else.
 * @throws WeirError E_USERS, exit code 2
 */
export function sampleTree({ users, seed }: SampleOptions): SampleDocument {
  if (!Number.isInteger(users) || users < 0 || users > SAMPLE_USERS_MAX) {
    const message = `users must be a whole number from 0 to ${SAMPLE_USERS_MAX}, not ${quoted(users)}`;
    throw usageError('E_USERS', message);
  }
  return new Sampler(users, randomOf(seed)).build();
}

/** When each test account of the sample ends, in milliseconds since 1970: about one user in a hundred, after `nowMs`. */
export function sampleExpiries({ classes }: ClassTree, seed: number, nowMs: number): Map<string, number> {
  const random = randomOf(seed + 1);
  const expiresAtMs = new Map<string, number>();
  for (const { id, match } of classes) {
    if (match.length === 0 || random() >= EXPIRING_SHARE) continue;
    const seconds = Math.ceil((nowMs + DAY_MS / 24 + random() * EXPIRY_DAYS_MAX * DAY_MS) / 1000);
    expiresAtMs.set(id, seconds * 1000);
  }
  return expiresAtMs;
}

/** Makes the schema if need be and writes a sample, in the place of what the store holds. */
export async function fillStore(
  store: Store,
  options: SampleOptions,
  nowMs = Date.now(),
): Promise<{ readonly tree: ClassTree; readonly expiring: number }> {
  const { tree, problems } = consumeClassTree(sampleTree(options));
  if (tree === null) throw new WeirError('E_SAMPLE', formatProblem(problems[0]!));
  const expiresAtMs = sampleExpiries(tree, options.seed, nowMs);
  await store.createSchema();
  await store.writeTree(tree, { expiresAtMs });
  return { tree, expiring: expiresAtMs.size };
}

class Sampler {
  readonly #users: number;
  readonly #random: () => number;
  readonly #classes: SampleClass[] = [];
  readonly #addresses: AddressPool;
  #made = 0;
  #campuses = 0;

  constructor(users: number, random: () => number) {
    this.#users = users;
    this.#random = random;
    this.#addresses = new AddressPool(random);
  }

  build(): SampleDocument {
    const uplink = this.#addSite('uplink');
    this.#classes.push({
      id: 'guests',
      parent: 'uplink',
      down: { rate: '10mbit', ceil: '100mbit', prio: 7 },
      up: { rate: '5mbit', ceil: '50mbit', prio: 7 },
    });
    const sum = { down: 10e6, up: 5e6 };
    const campuses: SampleClass[] = [];
    while (this.#made < this.#users) {
      const campus = this.#addSite(`campus${++this.#campuses}`, 'uplink');
      campuses.push(campus);
      add(sum, assure(campus, this.#fillCampus(campus.id), 1e6));
    }
    const downBps = Math.max(UPLINK_DOWN_MIN_BPS, roundUp(sum.down, 1e9));
    const upBps = Math.max(UPLINK_UP_MIN_BPS, roundUp(sum.up, 1e9));
    uplink.down = { rate: formatRate(downBps) };
    uplink.up = { rate: formatRate(upBps) };
    for (const { down, up } of campuses) {
      down.ceil = uplink.down.rate;
      up.ceil = uplink.up.rate;
    }
    return { version: 1, default: 'guests', classes: this.#classes };
  }

  #fillCampus(campus: string): Sums {
    const sum = { down: 0, up: 0 };
    const houses = this.#between(CAMPUS_HOUSES);
    for (let n = 1; n <= houses && this.#made < this.#users; n++) {
      const house = this.#addSite(`${campus}-house${n}`, campus);
      const small = this.#random() < SMALL_HOUSE_SHARE;
      const users = small ? this.#addUsers(house.id) : this.#fillHouse(house.id);
      add(sum, assure(house, users, 1e5, CEIL_OF_HOUSE));
    }
    return sum;
  }

  #fillHouse(house: string): Sums {
    const sum = { down: 0, up: 0 };
    const floors = this.#between(HOUSE_FLOORS);
    for (let n = 1; n <= floors && this.#made < this.#users; n++) {
      const floor = this.#addSite(`${house}-floor${n}`, house);
      add(sum, assure(floor, this.#addUsers(floor.id), 1e5, CEIL_OF_FLOOR));
    }
    return sum;
  }

  /** The users of one floor, and what they are assured, with a tenth more for who changes to a larger plan. */
  #addUsers(parent: string): Sums {
    const sum = { down: 0, up: 0 };
    const count = Math.min(this.#between(FLOOR_USERS), this.#users - this.#made);
    for (let n = 0; n < count; n++) {
      const { downBps, upBps, down, up } = this.#pickPlan();
      this.#classes.push({ id: `u${++this.#made}`, parent, match: this.#addresses.take(), down, up });
      add(sum, { down: downBps * 1.1, up: upBps * 1.1 });
    }
    return sum;
  }

  #addSite(id: string, parent?: string): SampleClass {
    const site = { id, ...(parent !== undefined && { parent }), down: { rate: '' }, up: { rate: '' } };
    this.#classes.push(site);
    return site;
  }

  #pickPlan(): Plan {
    let at = this.#random() * ZIPF_SUM;
    for (let n = 1; n < PLANS.length; n++) {
      at -= 1 / n;
      if (at < 0) return PLANS[n - 1]!;
    }
    return PLANS[PLANS.length - 1]!;
  }

  #between({ from, to }: { from: number; to: number }): number {
    return from + Math.floor(this.#random() * (to - from + 1));
  }
}

/** Addresses that nobody has yet, of ranges that are nobody's on the internet. */
class AddressPool {
  readonly #random: () => number;
  #hosts = 0;
  #prefixes = 0;
  #delegated = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  take(): string[] {
    const addresses = [this.#random() < IPV4_PREFIX_SHARE ? this.#prefix4() : this.#host()];
    if (this.#random() < SECOND_ADDRESS_SHARE) addresses.push(this.#host());
    if (this.#random() < IPV6_SHARE) addresses.push(this.#prefix6());
    return addresses;
  }

  /** From 10.0.0.0/8, the first and the last of each /24 left out. */
  #host(): string {
    const n = this.#hosts++;
    const net = Math.floor(n / 254);
    return `10.${net >>> 8}.${net & 255}.${(n % 254) + 1}`;
  }

  /** A /29 of 100.64.0.0/10. */
  #prefix4(): string {
    const n = this.#prefixes++;
    return `100.${64 + (n >>> 13)}.${(n >>> 5) & 255}.${(n & 31) * 8}/29`;
  }

  /** A /56 of 2001:db8::/32, or the first /64 of one. */
  #prefix6(): string {
    const n = this.#delegated++;
    const high = (n >>> 8).toString(16);
    const low = ((n & 255) << 8).toString(16);
    return `2001:db8:${high}:${low}::/${this.#random() < 0.7 ? 56 : 64}`;
  }
}

interface Sums {
  down: number;
  up: number;
}

const ZIPF_SUM = PLANS.reduce((sum, _, index) => sum + 1 / (index + 1), 0);

function plan(downBps: number, downCeil: number, upBps: number, upCeil: number, prio?: number): Plan {
  const common = prio === undefined ? {} : { prio };
  return {
    downBps,
    upBps,
    down: { rate: formatRate(downBps), ceil: formatRate(downCeil), ...common },
    up: { rate: formatRate(upBps), ceil: formatRate(upCeil), ...common },
  };
}

/** Gives a site what its children need, rounded up, and tells how much that is. */
function assure(site: SampleClass, needs: Sums, stepBps: number, ceil?: { down: string; up: string }): Sums {
  const assured = { down: roundUp(needs.down, stepBps), up: roundUp(needs.up, stepBps) };
  site.down = { rate: formatRate(assured.down), ...(ceil && { ceil: ceil.down }) };
  site.up = { rate: formatRate(assured.up), ...(ceil && { ceil: ceil.up }) };
  return assured;
}

function roundUp(bps: number, stepBps: number): number {
  return Math.ceil(bps / stepBps) * stepBps;
}

function add(sum: Sums, more: Sums): void {
  sum.down += more.down;
  sum.up += more.up;
}

/** Numbers from 0 to below 1: the mulberry32 generator, of which any seed is good. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}
