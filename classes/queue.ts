/**
 * The queue of a leaf: what a class or a tree says about it, and what follows from that.
 *
 * A setting that a class leaves out is the tree's; what the tree leaves out is the default of the queue's kind, which are
 * those of tc's fq_codel, codel and pfifo.
 */
export const LEAF_KINDS = ['pfifo', 'fq_codel', 'codel'] as const;
export type LeafKind = (typeof LEAF_KINDS)[number];
/** Whom a leaf is shared out among: its flows; its devices; its devices, and the flows of each. */
export const ISOLATIONS = ['none', 'host', 'dual'] as const;
export type Isolation = (typeof ISOLATIONS)[number];
/** Into which tins a leaf sorts packets by their DSCP, as sch_cake's tables do. */
export const DIFFSERVS = ['besteffort', 'diffserv3', 'diffserv4'] as const;
export type Diffserv = (typeof DIFFSERVS)[number];

/** What was said, of a class or of a tree; what is left out was not. Frozen, and equal ones are one object within a tree. */
export interface QueueSettings {
  readonly leaf?: LeafKind;
  readonly limitPackets?: number;
  readonly limitBytes?: number;
  readonly targetUs?: number;
  readonly intervalUs?: number;
  readonly flows?: number;
  readonly memoryBytes?: number;
  readonly ecn?: boolean;
  readonly isolate?: Isolation;
  readonly diffserv?: Diffserv;
  readonly wash?: boolean;
}

/** All of a leaf's queue, with nothing left open. */
export interface QueueSpec {
  readonly kind: LeafKind;
  readonly limitPackets: number;
  /** 0: no limit in bytes. What fq_codel calls memory is a limit in bytes like another here; the lower one counts. */
  readonly limitBytes: number;
  readonly targetUs: number;
  readonly intervalUs: number;
  readonly flows: number;
  readonly ecn: boolean;
  readonly isolate: Isolation;
  readonly diffserv: Diffserv;
  readonly wash: boolean;
}

export const NO_SETTINGS: QueueSettings = Object.freeze({});
export const LEAF_DEFAULT: LeafKind = 'fq_codel';
/** tc's default txqueuelen, which pfifo takes, and codel's limit. */
export const LIMIT_DEFAULT_PACKETS = 1000;
export const FQ_LIMIT_DEFAULT_PACKETS = 10_240;
export const LIMIT_MAX_PACKETS = 1_000_000;
export const TARGET_DEFAULT_US = 5_000;
export const INTERVAL_DEFAULT_US = 100_000;
/** Longer times would leave the range in which wrapping microseconds are compared. */
export const INTERVAL_MAX_US = 60_000_000;
export const FLOWS_DEFAULT = 1024;
/** A leaf may come to five times as many while flows share queues in all tins, and they are counted in 16 bits. */
export const FLOWS_MAX = 8192;
export const MEMORY_DEFAULT_BYTES = 32_000_000;
/** Less would not hold one packet. */
export const MEMORY_MIN_BYTES = 2_000;

const PFIFO: QueueSpec = {
  kind: 'pfifo',
  limitPackets: LIMIT_DEFAULT_PACKETS,
  limitBytes: 0,
  targetUs: TARGET_DEFAULT_US,
  intervalUs: INTERVAL_DEFAULT_US,
  flows: 1,
  ecn: false,
  isolate: 'none',
  diffserv: 'besteffort',
  wash: false,
};

const DEFAULTS: Readonly<Record<LeafKind, QueueSpec>> = {
  pfifo: PFIFO,
  codel: { ...PFIFO, kind: 'codel' },
  fq_codel: {
    ...PFIFO,
    kind: 'fq_codel',
    limitPackets: FQ_LIMIT_DEFAULT_PACKETS,
    limitBytes: MEMORY_DEFAULT_BYTES,
    flows: FLOWS_DEFAULT,
    ecn: true,
  },
};

/** Leaves that have a use for a setting; those that are not named here are of use to all. */
const USERS: Readonly<Partial<Record<keyof QueueSettings, readonly LeafKind[]>>> = {
  targetUs: ['fq_codel', 'codel'],
  intervalUs: ['fq_codel', 'codel'],
  ecn: ['fq_codel', 'codel'],
  flows: ['fq_codel'],
  memoryBytes: ['fq_codel'],
  isolate: ['fq_codel'],
  diffserv: ['fq_codel'],
};

/** True if a queue of that kind takes any notice of the setting. */
export function isOfUse(setting: keyof QueueSettings, kind: LeafKind): boolean {
  return USERS[setting]?.includes(kind) ?? true;
}

/**
 * What `own` says together with what `base` says besides, as one class would say it: what `base` says for another kind of leaf
 * is left out.
 */
export function layeredSettings(base: QueueSettings, own: QueueSettings): QueueSettings {
  const said: Record<string, unknown> = { ...base, ...own };
  const { leaf } = said as QueueSettings;
  for (const setting of Object.keys(base) as (keyof QueueSettings)[]) {
    if (leaf !== undefined && own[setting] === undefined && !isOfUse(setting, leaf)) delete said[setting];
  }
  return said;
}

/** By the tree's settings and then by the class's: both are few objects, and a tree may have a million classes. */
const specs = new WeakMap<QueueSettings, WeakMap<QueueSettings, QueueSpec>>();

/** The queue of a class that says `own` in a tree that says `tree`. The same objects give the same object. */
export function queueSpecOf(tree: QueueSettings, own: QueueSettings): QueueSpec {
  let ofTree = specs.get(tree);
  if (ofTree === undefined) {
    ofTree = new WeakMap();
    specs.set(tree, ofTree);
  }
  let spec = ofTree.get(own);
  if (spec === undefined) {
    spec = resolve({ ...tree, ...own });
    ofTree.set(own, spec);
  }
  return spec;
}

/** Settings that a kind of queue has no use for are the tree's, meant for its other classes. */
function resolve(said: QueueSettings): QueueSpec {
  const kind = said.leaf ?? LEAF_DEFAULT;
  const fallback = DEFAULTS[kind];
  const of = <S extends keyof QueueSettings>(setting: S): QueueSettings[S] | undefined =>
    isOfUse(setting, kind) ? said[setting] : undefined;
  const limits = [said.limitBytes ?? 0, of('memoryBytes') ?? fallback.limitBytes];
  const limitBytes = Math.min(...limits.map((bytes) => (bytes === 0 ? Number.POSITIVE_INFINITY : bytes)));
  return {
    kind,
    limitPackets: said.limitPackets ?? fallback.limitPackets,
    limitBytes: limitBytes === Number.POSITIVE_INFINITY ? 0 : limitBytes,
    targetUs: of('targetUs') ?? fallback.targetUs,
    intervalUs: of('intervalUs') ?? fallback.intervalUs,
    flows: of('flows') ?? fallback.flows,
    ecn: of('ecn') ?? fallback.ecn,
    isolate: of('isolate') ?? fallback.isolate,
    diffserv: of('diffserv') ?? fallback.diffserv,
    wash: said.wash ?? fallback.wash,
  };
}
