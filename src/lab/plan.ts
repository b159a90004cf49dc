/**
 * What the lab does, as data: a class tree of many subscribers, the traffic of a few of them, and what must come
 * of it. The same plan runs on real packets and in the simulator.
 *
 * Two uplinks stand side by side. The wide one never fills, so a subscriber on it gets what he has bought. The narrow
 * one is filled by a few who borrow from it, and shared by one who is idle but for pings.
 *
 * All rates are layer-2 bits a second without FCS. The loaded subscribers together get some 280 Mbit/s, which two cores
 * carry in TCP next to the shaper.
 */
import {
  makeSubscribers,
  makeTree,
  NARROW,
  NARROW_RATE,
  SUBSCRIBER_PREFIX,
  type Subscriber,
  TARIFFS,
  type TreeDocument,
} from './subscribers.js';

export type DirectionKey = 'down' | 'up';

/** Traffic of one subscriber in one direction, for the whole time. */
export interface LabFlow {
  readonly classId: string;
  readonly address: string;
  readonly direction: DirectionKey;
  readonly protocol: 'tcp' | 'udp';
  /** TCP connections; 1 for UDP */
  readonly connections: number;
  /** what UDP sends, and what the simulator offers in TCP's place */
  readonly offeredBps: number;
}

/** What must come of the traffic; `label` is for people. Rates hold from the end of the warm-up to the end. */
export type Expectation =
  | {
      readonly kind: 'rate';
      readonly label: string;
      readonly classId: string;
      readonly direction: DirectionKey;
      readonly wantedBps: number;
      readonly tolerance: number;
    }
  | {
      readonly kind: 'sum';
      readonly label: string;
      readonly classIds: readonly string[];
      readonly direction: DirectionKey;
      readonly wantedBps: number;
      readonly tolerance: number;
    }
  | {
      readonly kind: 'equal';
      readonly label: string;
      readonly classIds: readonly string[];
      readonly direction: DirectionKey;
      readonly tolerance: number;
    }
  | { readonly kind: 'delay'; readonly label: string; readonly meanMsMax: number }
  | { readonly kind: 'conntrack'; readonly label: string; readonly entriesMin: number }
  | { readonly kind: 'masquerade'; readonly label: string }
  | { readonly kind: 'agree'; readonly label: string; readonly tolerance: number }
  | { readonly kind: 'lost'; readonly label: string };

export interface LabSettings {
  readonly users: number;
  readonly seconds: number;
  readonly seed: number;
}

export interface LabPlan extends LabSettings {
  /** TCP needs this long to find its rate; what comes before is not measured. */
  readonly warmupSeconds: number;
  readonly queues: number;
  readonly tree: TreeDocument;
  /** holds every subscriber's address */
  readonly subscriberPrefix: string;
  readonly flows: readonly LabFlow[];
  /** what each subscriber has bought, by class */
  readonly ceilsBps: ReadonlyMap<string, Readonly<Record<DirectionKey, number>>>;
  /** the subscriber on the narrow uplink who sends nothing but pings */
  readonly idle: { readonly classId: string; readonly address: string };
  readonly expectations: readonly Expectation[];
}

export const USERS_MIN = 32;
export const USERS_MAX = 100_000;
export const SECONDS_MIN = 3;
export const SECONDS_MAX = 3600;

/** One number a borrower: each has the same right to the narrow uplink, however many connections he opens. */
const BORROWER_CONNECTIONS = [2, 3, 4, 8] as const;
const QUEUES = 2;
const RATE_TOLERANCE = 0.02;
const EQUAL_TOLERANCE = 0.05;
const AGREE_TOLERANCE = 0.005;
const IDLE_MEAN_MS = 5;
const UDP_OVER_CEIL = 2;
/** What the simulator offers in TCP's place, against the ceil: enough that the class never runs dry. */
const TCP_OVER_CEIL = 1.25;
const WARMUP_SHARE = 0.3;
const WARMUP_MAX_SECONDS = 4;

/** The subscribers with a part to play; the others are silent. */
interface Cast {
  readonly tester: Subscriber;
  readonly borrowers: readonly Subscriber[];
  readonly idle: Subscriber;
  readonly basic: Subscriber;
  readonly standard: Subscriber;
  /** loaded both ways at once */
  readonly fibre: Subscriber;
  readonly premium: Subscriber;
  readonly uploaders: readonly Subscriber[];
  readonly flooded: Subscriber;
}

/** Pure: the same settings give the same plan. The settings must lie within the bounds above. */
export function labPlan({ users, seconds, seed }: LabSettings): LabPlan {
  const subscribers = makeSubscribers(users, BORROWER_CONNECTIONS.length + 1, seed);
  const cast = chooseCast(subscribers);
  const flows = flowsOf(cast);
  return {
    users,
    seconds,
    seed,
    warmupSeconds: Math.min(WARMUP_MAX_SECONDS, seconds * WARMUP_SHARE),
    queues: QUEUES,
    tree: makeTree(subscribers),
    subscriberPrefix: SUBSCRIBER_PREFIX,
    flows,
    ceilsBps: new Map(subscribers.map(({ id, tariff }) => [id, { down: tariff.downBps, up: tariff.upBps }])),
    idle: { classId: cast.idle.id, address: cast.idle.address },
    expectations: expectationsOf(cast, flows),
  };
}

/** Each part goes to the last subscribers of its tariff, so that they are spread over sites and table. */
function chooseCast(subscribers: readonly Subscriber[]): Cast {
  const narrow = subscribers.filter(({ parent }) => parent === NARROW);
  const wide = subscribers.filter(({ parent }) => parent !== NARROW);
  const lastOf = (tariff: { name: string }, back: number): Subscriber =>
    wide.filter((one) => one.tariff.name === tariff.name).at(-1 - back)!;
  return {
    tester: lastOf(TARIFFS.test, 0),
    borrowers: narrow.slice(0, BORROWER_CONNECTIONS.length),
    idle: narrow.at(-1)!,
    basic: lastOf(TARIFFS.basic, 0),
    standard: lastOf(TARIFFS.standard, 0),
    flooded: lastOf(TARIFFS.basic, 1),
    premium: lastOf(TARIFFS.premium, 0),
    fibre: lastOf(TARIFFS.fibre, 0),
    uploaders: [lastOf(TARIFFS.premium, 1), lastOf(TARIFFS.standard, 1)],
  };
}

function flowsOf(cast: Cast): LabFlow[] {
  return [
    tcp(cast.premium, 'down', 4),
    tcp(cast.standard, 'down', 4),
    tcp(cast.fibre, 'down', 8),
    tcp(cast.fibre, 'up', 8),
    ...cast.uploaders.map((one) => tcp(one, 'up', 3)),
    tcp(cast.basic, 'down', 2),
    tcp(cast.tester, 'down', 2),
    {
      ...tcp(cast.flooded, 'down', 1),
      protocol: 'udp',
      offeredBps: UDP_OVER_CEIL * cast.flooded.tariff.downBps,
    },
    ...cast.borrowers.map((one, index) => tcp(one, 'down', BORROWER_CONNECTIONS[index]!)),
  ];
}

function tcp({ id, address, tariff }: Subscriber, direction: DirectionKey, connections: number): LabFlow {
  const ceilBps = direction === 'down' ? tariff.downBps : tariff.upBps;
  return {
    classId: id,
    address,
    direction,
    protocol: 'tcp',
    connections,
    offeredBps: TCP_OVER_CEIL * ceilBps,
  };
}

function expectationsOf(cast: Cast, flows: readonly LabFlow[]): Expectation[] {
  const borrowers = cast.borrowers.map(({ id }) => id);
  const connections = flows.reduce((sum, flow) => sum + flow.connections, 0);
  const narrowBps = NARROW_RATE.downBps;
  return [
    rate(cast.premium, 'down'),
    rate(cast.standard, 'down'),
    rate(cast.fibre, 'down'),
    rate(cast.fibre, 'up'),
    ...cast.uploaders.map((one) => rate(one, 'up')),
    rate(cast.basic, 'down'),
    rate(cast.tester, 'down'),
    {
      ...rate(cast.flooded, 'down'),
      label: `${cast.flooded.id}, sent ${UDP_OVER_CEIL} times his ceil in UDP, down`,
    },
    {
      kind: 'sum',
      label: 'the narrow uplink is full',
      classIds: borrowers,
      direction: 'down',
      wantedBps: narrowBps,
      tolerance: RATE_TOLERANCE,
    },
    {
      kind: 'equal',
      label: 'borrowers get the same',
      classIds: borrowers,
      direction: 'down',
      tolerance: EQUAL_TOLERANCE,
    },
    { kind: 'delay', label: `ping of idle ${cast.idle.id} on the full uplink`, meanMsMax: IDLE_MEAN_MS },
    { kind: 'conntrack', label: 'connections tracked by the firewall', entriesMin: connections },
    { kind: 'masquerade', label: "connections under the firewall's address" },
    { kind: 'agree', label: "weir's byte counters against the wire's", tolerance: AGREE_TOLERANCE },
    { kind: 'lost', label: 'frames lost that no counter knows' },
  ];
}

function rate({ id, tariff }: Subscriber, direction: DirectionKey): Expectation & { kind: 'rate' } {
  const wantedBps = direction === 'down' ? tariff.downBps : tariff.upBps;
  return {
    kind: 'rate',
    label: `${id} ${direction}`,
    classId: id,
    direction,
    wantedBps,
    tolerance: RATE_TOLERANCE,
  };
}
