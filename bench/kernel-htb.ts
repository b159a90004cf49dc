/**
 * The kernel's HTB between two devices of one namespace, as a peer to measure weir against: the same class tree, the
 * cheapest path that the kernel has, and both ways of finding a class that cost nothing by the number of classes.
 *
 * The path is bpf_redirect() at the ingress of the one device to the other's queueing discipline (peers/steer.c). It needs
 * neither a bridge nor a route, and passes frames whoever their MAC address is, as weir does. Or it is IPv4 routing, as
 * where a firewall shapes: it costs more, and the device gets the MAC address to which peers/blast sends. The class comes with skb->priority, set where the frame comes in, or from an eBPF
 * filter of the HTB. Leaves are HTB's own, a pfifo of the device's queue length: the cheapest again.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeTc } from '../classes/formats/tc-export.js';
import { type ClassTree, type DirectionSpec, formatProblem } from '../classes/model.js';
import { parseClassTree } from '../classes/validate.js';
import { WeirError } from '../src/errors.js';
import { Helper, run } from '../src/lab/commands.js';
import { peerPath, untilReady } from './inline-net.js';
import type { Forwarding } from './inline-words.js';

/**
 * kernel: what tc makes of a class that says none, which on a kernel with high-resolution timers is one frame;
 * tree: weir's own, as `weir classes export tc` writes them; a number: so many bytes for all, burst and cburst alike.
 */
export type Bursts = 'kernel' | 'tree' | number;

/** By skb->priority, set on the way, or by an eBPF filter of the HTB. */
export type Classification = 'priority' | 'filter';

/** From where to where the kernel forwards. */
export interface KernelWire {
  readonly namespace: string;
  readonly ingress: string;
  readonly egress: string;
  /** Of each device. */
  readonly queues: number;
  /** route: only what comes in at `ingress` for 10.0.0.0/8. */
  readonly forwarding: Forwarding;
}

export interface KernelHtbOptions {
  readonly namespace: string;
  /** Where frames come in, and the device that has the HTB. */
  readonly ingress: string;
  readonly egress: string;
  /** redirect unless given. */
  readonly forwarding?: KernelWire['forwarding'];
  /** A tree file's document; each `match` is one IPv4 address. */
  readonly document: object;
  /** Whose rates are taken, and which address is the subscriber's. */
  readonly direction: 'down' | 'up';
  readonly bursts: Bursts;
  /** Above 1: `mq` with one HTB for each queue of the device, each with its share of every rate. */
  readonly queues: number;
  /** Packets that a leaf holds. */
  readonly limitPackets: number;
  /** An existing folder for the files of tc and steer. */
  readonly folder: string;
}

export interface KernelClass {
  /** As tc prints them: `2Mbit`, `1600b`. */
  readonly rate: string;
  readonly ceil: string;
  readonly burst: string;
  readonly packets: number;
  readonly bytes: number;
  readonly drops: number;
}

/** A class may send so much at once that neither timers nor locks hold it back. */
export const GENEROUS_BURST_BYTES = 32_768;

const FILES = ['tc', 'addresses'] as const;
const MAJOR = 1;
/** With mq the first HTB's; mq itself has MAJOR. */
const MQ_MAJOR = 0x10;
/** To whom and from whom peers/blast sends. */
const BLAST_MAC = '02:00:00:00:00:fe';
const NEIGHBOUR_MAC = '02:00:00:00:00:fd';
const NEIGHBOUR = '10.255.255.254';
const ROUTED_PREFIX = '10.0.0.0/8';
const LOAD_MAX_MS = 15 * 60_000;

export class KernelHtb {
  private readonly options: KernelHtbOptions;
  private script: string;
  /** Of each class id, decimal. */
  private readonly minors: ReadonlyMap<string, number>;
  private readonly addresses: string;
  private readonly major: number;

  /** Throws E_BENCH_TREE for a tree that the kernel's HTB cannot have. */
  constructor(options: KernelHtbOptions) {
    this.options = options;
    this.major = options.queues > 1 ? MQ_MAJOR : MAJOR;
    const tree = treeFor(options);
    const { script, minors } = exported(tree, options);
    this.script = script;
    this.minors = minors;
    this.addresses = addressLines(tree, minors);
  }

  /** Puts the HTB on the egress device, in place of what was there; returns the milliseconds that tc took for it. */
  async load(): Promise<number> {
    const { namespace, egress, limitPackets } = this.options;
    await this.unload();
    await run(['ip', '-n', namespace, 'link', 'set', 'dev', egress, 'txqueuelen', String(limitPackets)]);
    await writeFile(this.path('addresses'), this.addresses);
    return this.batch(this.script);
  }

  /** Gives the classes that are loaded other rates and bursts: the tree must have the same classes otherwise. Takes a fortieth of the time. */
  async change(document: object, bursts: Bursts): Promise<void> {
    const options = { ...this.options, document, bursts };
    this.script = exported(treeFor(options), options).script;
    const added = this.script.split('\n').filter((line) => line.startsWith('class add '));
    await this.batch(`${added.join('\n')}\n`.replaceAll(/^class add /gm, 'class change '));
  }

  /** The milliseconds that tc took. */
  private async batch(script: string): Promise<number> {
    const { namespace, egress } = this.options;
    const path = this.path('tc');
    await writeFile(path, script);
    const startedMs = performance.now();
    const tc = new Helper(['tc', '-n', namespace, '-batch', path]);
    const timer = setTimeout(() => void tc.stop('SIGKILL'), LOAD_MAX_MS);
    const code = await tc.exited;
    clearTimeout(timer);
    if (code !== 0) throw new WeirError('E_BENCH_TC', `tc -batch for ${egress}: ${tc.lastWords}`);
    return performance.now() - startedMs;
  }

  /** Runs `body` while the kernel forwards and classifies. */
  async while<T>(by: Classification, seconds: number, body: () => Promise<T>): Promise<T> {
    const { direction, forwarding = 'redirect' } = this.options;
    const source = direction === 'up' ? ['--source'] : [];
    const options = [
      '--by',
      by,
      '--classes',
      this.path('addresses'),
      '--major',
      String(this.major),
      ...source,
    ];
    return whileSteering({ ...this.options, forwarding }, seconds, options, body);
  }

  /** What the kernel says of each class, by its id; the sum of all queues' counters, and the rates of the first. */
  async classes(): Promise<Map<string, KernelClass>> {
    const { namespace, egress, queues } = this.options;
    const shown = shownClasses(await run(['tc', '-n', namespace, '-s', 'class', 'show', 'dev', egress]));
    const found = new Map<string, KernelClass>();
    for (const [id, minor] of this.minors) {
      const parts = Array.from({ length: queues }, (_, q) =>
        shown.get(`${(this.major + q).toString(16)}:${minor.toString(16)}`),
      ).filter((part) => part !== undefined);
      if (parts.length < queues) continue;
      const sum = (key: 'packets' | 'bytes' | 'drops'): number =>
        parts.reduce((total, part) => total + part[key], 0);
      found.set(id, { ...parts[0]!, packets: sum('packets'), bytes: sum('bytes'), drops: sum('drops') });
    }
    return found;
  }

  /** Leaves the device as it was. Never throws. */
  async unload(): Promise<void> {
    const { namespace, egress } = this.options;
    await run(['tc', '-n', namespace, 'qdisc', 'del', 'dev', egress, 'root']).catch(() => {});
    for (const kind of FILES) await rm(this.path(kind), { force: true });
  }

  private path(kind: (typeof FILES)[number]): string {
    const { folder, namespace, egress } = this.options;
    return join(folder, `${namespace}-${egress}.${kind}`);
  }
}

/** The same path without any shaping: runs `body` while the kernel forwards between two devices. */
export function whileForwarding<T>(wire: KernelWire, seconds: number, body: () => Promise<T>): Promise<T> {
  return whileSteering(wire, seconds, [], body);
}

/** Why the kernel's HTB cannot be measured here, or null: tried in `namespace`, whose loopback is used for a moment. */
export async function whyNoKernelHtb(namespace: string): Promise<string | null> {
  const tc = ['tc', '-n', namespace, 'qdisc'];
  try {
    for (const [where, kind] of [['root', 'htb'] as const, ['clsact', null] as const]) {
      await run([...tc, 'add', 'dev', 'lo', where, ...(kind === null ? [] : [kind])]);
      await run([...tc, 'del', 'dev', 'lo', where]);
    }
    return null;
  } catch (error) {
    const last = error instanceof Error ? error.message.split('\n').at(-1) : String(error);
    return `needs tc of the Debian package iproute2 and a kernel with sch_htb and sch_ingress: ${last}`;
  }
}

async function whileSteering<T>(
  wire: KernelWire,
  seconds: number,
  options: readonly string[],
  body: () => Promise<T>,
): Promise<T> {
  const { namespace, ingress, egress, queues, forwarding } = wire;
  const words = [ingress, egress, String(seconds), '--queues', String(queues), ...options];
  const isRouted = forwarding === 'route';
  if (isRouted) words.push('--routed');
  const steer = new Helper(['ip', 'netns', 'exec', namespace, peerPath('steer'), ...words]);
  try {
    await untilReady(steer);
    if (isRouted) await route(wire);
    const result = await body();
    steer.assertRunning();
    return result;
  } finally {
    if (isRouted) await unroute(wire);
    await steer.stop();
  }
}

/** All subscribers are behind one neighbour on the egress device. */
async function route({ namespace, ingress, egress }: KernelWire): Promise<void> {
  const ip = ['ip', '-n', namespace];
  // Without any address of its own a namespace has no idea of what a neighbour's may be.
  await run([...ip, 'link', 'set', 'dev', 'lo', 'up']);
  await run([...ip, 'link', 'set', 'dev', ingress, 'address', BLAST_MAC]);
  await run([...ip, 'route', 'replace', ROUTED_PREFIX, 'via', NEIGHBOUR, 'dev', egress, 'onlink']);
  await run([
    ...ip,
    'neigh',
    'replace',
    NEIGHBOUR,
    'lladdr',
    NEIGHBOUR_MAC,
    'dev',
    egress,
    'nud',
    'permanent',
  ]);
  for (const key of ['ip_forward=1', 'conf.all.rp_filter=0', `conf.${ingress}.rp_filter=0`])
    await run(['ip', 'netns', 'exec', namespace, 'sysctl', '-qw', `net.ipv4.${key}`]);
}

/** Others take frames from the same device, and nobody else is to forward them then. Never throws. */
async function unroute({ namespace }: KernelWire): Promise<void> {
  const sysctl = ['ip', 'netns', 'exec', namespace, 'sysctl', '-qw', 'net.ipv4.ip_forward=0'];
  await run(sysctl).catch(() => {});
  await run(['ip', '-n', namespace, 'route', 'del', ROUTED_PREFIX]).catch(() => {});
}

/** By class number. tc 6.1 knows no JSON for the classes of an HTB. */
function shownClasses(text: string): Map<string, KernelClass> {
  const shown = new Map<string, KernelClass>();
  const pattern =
    /^class htb (\S+) .*?rate (\S+) ceil (\S+) burst (\S+) .*\n Sent (\d+) bytes (\d+) pkt \(dropped (\d+),/gm;
  for (const [, handle, rate, ceil, burst, bytes, packets, drops] of text.matchAll(pattern)) {
    const counts = { bytes: Number(bytes), packets: Number(packets), drops: Number(drops) };
    shown.set(handle!, { rate: rate!, ceil: ceil!, burst: burst!, ...counts });
  }
  return shown;
}

/** Each rate divided by the queues. A burst is a matter of clocks and frames, and stays. */
function treeFor({ document, queues }: KernelHtbOptions): ClassTree {
  const { tree, problems } = parseClassTree(document);
  if (tree === null)
    throw new WeirError(
      'E_BENCH_TREE',
      formatProblem(problems.find(({ severity }) => severity === 'error')!),
    );
  if (queues === 1) return tree;
  const share = (spec: DirectionSpec | null): DirectionSpec | null =>
    spec && {
      ...spec,
      rateBps: Math.floor(spec.rateBps / queues),
      ceilBps: Math.ceil(spec.ceilBps / queues),
    };
  return {
    ...tree,
    classes: tree.classes.map((spec) => ({ ...spec, down: share(spec.down), up: share(spec.up) })),
  };
}

/** The classes as `weir classes export tc` writes them, below the HTB of each queue. */
function exported(
  tree: ClassTree,
  options: KernelHtbOptions,
): { script: string; minors: Map<string, number> } {
  const { egress, ingress, direction, queues } = options;
  const devices =
    direction === 'down'
      ? { downDevice: egress, upDevice: ingress }
      : { downDevice: ingress, upDevice: egress };
  const bare = { ...tree, classes: tree.classes.map((spec) => ({ ...spec, match: [] })) };
  const { script, problems } = writeTc(bare, devices);
  if (script === null)
    throw new WeirError(
      'E_BENCH_TREE',
      formatProblem(problems.find(({ severity }) => severity === 'error')!),
    );
  const lines = script.split('\n');
  const own = (line: string): boolean => line.startsWith(`class add dev ${egress} `);
  const minors = new Map<string, number>();
  lines.forEach((line, at) => {
    const [, minor, id] = /^# weir class 1:([\da-f]+) ("(?:[^"\\]|\\.)*")/.exec(line) ?? [];
    if (own(lines[at + 1] ?? '')) minors.set(JSON.parse(id!) as string, Number.parseInt(minor!, 16));
  });
  const classes = lines.filter(own).map((line) => withBursts(line, options.bursts));
  const fallback = / default 0x[\da-f]+/.exec(script)?.[0] ?? '';
  const written: string[] = [];
  if (queues === 1) written.push(`qdisc add dev ${egress} root handle ${MAJOR}: htb${fallback}`, ...classes);
  else {
    written.push(`qdisc add dev ${egress} root handle ${MAJOR}: mq`);
    for (let q = 0; q < queues; q++) {
      const major = (MQ_MAJOR + q).toString(16);
      const parent = `${MAJOR}:${(q + 1).toString(16)}`;
      written.push(`qdisc add dev ${egress} parent ${parent} handle ${major}: htb${fallback}`);
      for (const line of classes)
        written.push(
          line.replace(/parent 1:/, `parent ${major}:`).replace(/classid 1:/, `classid ${major}:`),
        );
    }
  }
  return { script: `${written.join('\n')}\n`, minors };
}

function withBursts(line: string, bursts: Bursts): string {
  if (bursts === 'tree') return line;
  return line.replace(
    / burst \d+b cburst \d+b/,
    bursts === 'kernel' ? '' : ` burst ${bursts}b cburst ${bursts}b`,
  );
}

function addressLines(tree: ClassTree, minors: ReadonlyMap<string, number>): string {
  const lines: string[] = [];
  for (const { id, match } of tree.classes) {
    for (const { family, text } of match) {
      if (family !== 4 || (text.includes('/') && !text.endsWith('/32')))
        throw new WeirError(
          'E_BENCH_TREE',
          `${id}: ${text} is not an IPv4 address, and steer knows no others`,
        );
      lines.push(`${text.replace('/32', '')} ${minors.get(id)}\n`);
    }
  }
  return lines.join('');
}
