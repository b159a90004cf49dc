/** What the daemon is told, once it has been read and checked. `schema.ts` says where each value comes from. */

import type { RecordTable } from '../../classes/records.js';
import type { SourceSpec } from '../../classes/source/source.js';
import { isStoreUrl, redactUrl } from '../../classes/stores/url.js';

export interface DaemonConfig {
  readonly ports: {
    readonly inside: { readonly device: string };
    readonly outside: { readonly device: string };
  };
  /** Workers, and with them NIC queues of each port. */
  readonly queues: number | 'auto';
  readonly rings: {
    readonly backend: 'auto' | 'xdp' | 'packet';
    readonly mode: 'auto' | 'zerocopy' | 'copy' | 'skb';
    /** Frames of each worker's UMEM. */
    readonly frames: number;
    readonly frameBytes: 2048 | 4096;
    /** Entries of each ring. */
    readonly ringSize: number;
  };
  readonly classes: {
    readonly source: string;
    /** Room for classes; cannot grow while the daemon runs. */
    readonly capacity: number | 'auto';
    /** Whether changes of the source are followed; without, only SIGHUP and the verbs apply them. */
    readonly watch: boolean;
    /** More than this part of the classes does not go at once, unless somebody forces it. */
    readonly guardPercent: number;
    /** Folder of the copy that a daemon starts with while its database is away. */
    readonly stateFolder: string;
    /** SQL that returns the canonical columns; all null for weir's own schema. */
    readonly queries: Readonly<Record<RecordTable, string | null>>;
  };
  /** Usage, written back into the database that the classes come from. */
  readonly accounting: {
    /** `auto`: where the classes come from a database with weir's own schema. */
    readonly mode: 'auto' | 'on' | 'off';
    readonly intervalSeconds: number;
    readonly checkpointSeconds: number;
    readonly spool: string;
  };
  readonly unknown: { readonly policy: 'pass' | 'drop' | 'class'; readonly class: string | null };
  readonly bypass: readonly string[];
  readonly failure: 'open' | 'closed';
  /** What SIGTERM does with the XDP program. */
  readonly exit: 'detach' | 'keep';
  readonly drain: { readonly seconds: number };
  readonly flows: { readonly capacity: number; readonly idleSeconds: number };
  readonly cpus: readonly number[] | 'auto';
  readonly log: { readonly level: LogLevel };
  readonly control: { readonly socket: string };
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One thing that is wrong: `place` is the file or the environment variable, `key` dotted. */
export interface ConfigFault {
  readonly place: string;
  readonly key: string;
  readonly message: string;
}

/** A UMEM is one buffer of less than 1 GiB, so that every address is a small integer. */
export const UMEM_BYTES_MAX = 2 ** 30 - 1;
/** Two fill rings, a batch on its way and a transmit ring must never starve each other. */
export const FRAMES_PER_RING_ENTRY = 4;

/** What holds between keys; every message names the key to change. */
export function crossFaults(config: DaemonConfig): { key: string; message: string }[] {
  const faults: { key: string; message: string }[] = [];
  const add = (key: string, message: string): void => {
    faults.push({ key, message });
  };
  const { ports, unknown, rings, queues, cpus } = config;
  if (ports.inside.device === ports.outside.device)
    add('ports.outside.device', `is '${ports.inside.device}', as ports.inside.device; a wire has two ends`);
  if (unknown.policy === 'class' && unknown.class === null)
    add('unknown.class', "is missing; unknown.policy 'class' needs the id of a leaf");
  if (unknown.policy !== 'class' && unknown.class !== null)
    add('unknown.class', `is given, but unknown.policy is '${unknown.policy}'`);
  if (rings.backend === 'packet' && rings.mode !== 'auto')
    add('rings.mode', `is '${rings.mode}', but only the backend xdp has modes`);
  if (rings.frames * rings.frameBytes > UMEM_BYTES_MAX)
    add('rings.frames', `${rings.frames} frames of ${rings.frameBytes} bytes are not less than 1 GiB`);
  if (rings.frames < rings.ringSize * FRAMES_PER_RING_ENTRY)
    add(
      'rings.frames',
      `${rings.frames} frames are too few for rings of ${rings.ringSize}: at least ${rings.ringSize * FRAMES_PER_RING_ENTRY} are needed`,
    );
  if (config.accounting.mode === 'on' && !isStoreUrl(config.classes.source))
    add('accounting.mode', "is 'on', but classes.source is no database that takes usage");
  if (cpus !== 'auto' && queues !== 'auto' && cpus.length < queues)
    add('cpus', `names ${cpus.length} CPUs for ${queues} queues`);
  return faults;
}

/** The leaf for IP traffic of no class; null where it is passed or dropped. */
export function unknownClass({ unknown }: DaemonConfig): string | null {
  return unknown.policy === 'class' ? unknown.class : null;
}

/** Whether usage is written back: by itself into weir's own schema only. */
export function isAccounting(config: DaemonConfig): boolean {
  const { mode } = config.accounting;
  const { url, queries } = sourceSpec(config);
  return mode === 'on' || (mode === 'auto' && isStoreUrl(url) && Object.keys(queries).length === 0);
}

/** Where the classes come from, and how they are asked for. */
export function sourceSpec({ classes: { source, queries } }: DaemonConfig): SourceSpec {
  const given = Object.entries(queries).filter(([, sql]) => sql !== null);
  return { url: source, queries: Object.fromEntries(given) };
}

/** The effective configuration for people: no passwords of database URLs. */
export function printableConfig(config: DaemonConfig): DaemonConfig {
  return { ...config, classes: { ...config.classes, source: redactUrl(config.classes.source) } };
}
