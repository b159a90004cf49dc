/** A steady load to all subscribers for as long as something else happens, counted at both ends of the wire. */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatIpv4 } from '../classes/prefix.js';
import { run } from '../src/lab/commands.js';
import { SUBSCRIBER_BASE } from './churn-database.js';
import { DEVICES, endOf, type InlineNet, untilReady } from './inline-net.js';

export interface LoadOptions {
  readonly pps: number;
  readonly subscribers: number;
  /** The device at which it arrives. */
  readonly sink: string;
}

export interface Carried {
  /** Frames that were on the wire. */
  readonly sentPackets: number;
  readonly lostPackets: number;
}

/** It ends by itself when nobody is left to end it. */
const SECONDS_MAX = 300;
const FRAME_BYTES = 64;
const WARM_UP_MS = 300;
/** Frames under way when the sender ends have arrived by then. */
const SETTLE_MS = 300;

/** What of the load was lost while `body` ran, and what `body` returned. */
export async function underLoad<T>(
  net: InlineNet,
  { pps, subscribers, sink: arrival }: LoadOptions,
  body: () => Promise<T>,
): Promise<Carried & { readonly value: T }> {
  const seconds = String(SECONDS_MAX);
  const sink = net.startPeer(net.sink, 'sink', arrival, '--seconds', seconds);
  await untilReady(sink);
  const droppedBefore = await droppedAtSender(net);
  const blast = net.startPeer(
    net.generator,
    'blast',
    ...[DEVICES.generator, '--af-packet', '--direction', 'down', '--size', String(FRAME_BYTES)],
    ...['--base', formatIpv4(SUBSCRIBER_BASE), '--subscribers', String(subscribers)],
    ...['--pps', String(pps), '--seconds', seconds, '--queue-cpus', '0'],
  );
  try {
    await sleep(WARM_UP_MS);
    const value = await body();
    const { sent } = await endOf<{ sent: number }>(blast);
    await sleep(SETTLE_MS);
    const { packets } = await endOf<{ packets: number }>(sink);
    // What the sender's own device dropped never was on the wire.
    const sentPackets = sent - ((await droppedAtSender(net)) - droppedBefore);
    return { sentPackets, lostPackets: sentPackets - packets, value };
  } finally {
    await Promise.all([blast.stop(), sink.stop()]);
  }
}

async function droppedAtSender(net: InlineNet): Promise<number> {
  const text = await run(['ip', '-n', net.generator, '-s', '-j', 'link', 'show', 'dev', DEVICES.generator]);
  const [{ stats64 }] = JSON.parse(text) as [{ stats64: { tx: { dropped: number } } }];
  return stats64.tx.dropped;
}
