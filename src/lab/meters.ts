/** What the lab measures outside weir: frames that come out of it, connections that the firewall tracks. */
import { run } from './commands.js';
import { FIREWALL_DEVICE, type LabNet, PORTS, SUBSCRIBER_DEVICE } from './net.js';
import type { DirectionKey, LabPlan } from './plan.js';
import { type Count, type LinkCounters, readLink, readNamedCounter, readSetCounters } from './readings.js';
import { rateKey } from './verdict.js';

/** nft counts from the network header on. */
const ETHERNET_BYTES = 14;

/** One reading of everything. */
export interface Sample {
  /** layer-2 bytes of each loaded class since the start, by `rateKey` */
  readonly bytes: ReadonlyMap<string, number>;
  /** when each direction was read, milliseconds of performance.now() */
  readonly atMs: Readonly<Record<DirectionKey, number>>;
  readonly conntrackEntries: number;
  readonly masqueraded: number;
}

/** Frames that passed the two devices that weir's ports are joined to, and what they and the ports dropped. */
export interface WireCount {
  readonly intoWeir: number;
  readonly outOfWeir: number;
  /** sent by weir, but without room at the other end */
  readonly droppedBehind: number;
}

/** Layer-2 bits a second of each class between two samples. */
export function ratesBetween(from: Sample, to: Sample): Map<string, number> {
  const rates = new Map<string, number>();
  for (const [key, bytes] of to.bytes) {
    const direction = key.endsWith(' up') ? 'up' : 'down';
    const seconds = (to.atMs[direction] - from.atMs[direction]) / 1000;
    rates.set(key, ((bytes - (from.bytes.get(key) ?? 0)) * 8) / seconds);
  }
  return rates;
}

export async function takeSample(net: LabNet, plan: LabPlan): Promise<Sample> {
  const [down, up, conntrack, masqueraded] = await Promise.all([
    readWatched(net, net.subscribers),
    readWatched(net, net.firewall),
    net.inSpace(net.firewall, 'cat', '/proc/sys/net/netfilter/nf_conntrack_count'),
    net.inSpace(net.firewall, 'nft', '-j', 'list', 'counter', 'ip', 'lab', 'masqueraded'),
  ]);
  const bytes = new Map<string, number>();
  for (const { classId, address } of plan.flows) {
    bytes.set(rateKey(classId, 'down'), layer2Bytes(down.counts.get(address)));
    bytes.set(rateKey(classId, 'up'), layer2Bytes(up.counts.get(address)));
  }
  return {
    bytes,
    atMs: { down: down.atMs, up: up.atMs },
    conntrackEntries: Number(conntrack),
    masqueraded: readNamedCounter(masqueraded),
  };
}

export async function countWire(net: LabNet): Promise<WireCount> {
  const [subscribers, firewall, inside, outside] = await Promise.all([
    link(net.subscribers, SUBSCRIBER_DEVICE),
    link(net.firewall, FIREWALL_DEVICE),
    link(net.shaper, PORTS.inside),
    link(net.shaper, PORTS.outside),
  ]);
  return {
    intoWeir: subscribers.txPackets + firewall.txPackets,
    outOfWeir: subscribers.rxPackets + firewall.rxPackets,
    droppedBehind: inside.txDropped + outside.txDropped,
  };
}

async function link(space: string, device: string): Promise<LinkCounters> {
  return readLink(await run(['ip', '-n', space, '-j', '-s', 'link', 'show', 'dev', device]));
}

async function readWatched(
  net: LabNet,
  space: string,
): Promise<{ counts: Map<string, Count>; atMs: number }> {
  const startedMs = performance.now();
  const json = await net.inSpace(space, 'nft', '-j', 'list', 'set', 'netdev', 'lab', 'watched');
  // The kernel was asked somewhere in between; starting the tool takes most of the time.
  return { counts: readSetCounters(json), atMs: (startedMs + performance.now()) / 2 };
}

function layer2Bytes(count: Count | undefined): number {
  return count === undefined ? 0 : count.bytes + count.packets * ETHERNET_BYTES;
}
