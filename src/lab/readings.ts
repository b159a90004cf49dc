/** Readers of what the lab's tools print. Pure; a text that is not what it should be reads as nothing. */

export interface Count {
  readonly packets: number;
  readonly bytes: number;
}

/** `nft -j list set`: the counter of each address. nft counts from the network header on. */
export function readSetCounters(json: string): Map<string, Count> {
  const counts = new Map<string, Count>();
  const { nftables } = JSON.parse(json) as {
    nftables: readonly { set?: { elem?: readonly SetElement[] } }[];
  };
  for (const { set } of nftables) {
    for (const { elem } of set?.elem ?? []) counts.set(elem.val, elem.counter);
  }
  return counts;
}

interface SetElement {
  readonly elem: { readonly val: string; readonly counter: Count };
}

/** `nft -j list counter`: its packets. */
export function readNamedCounter(json: string): number {
  const { nftables } = JSON.parse(json) as { nftables: readonly { counter?: Count }[] };
  return nftables.find(({ counter }) => counter !== undefined)?.counter?.packets ?? 0;
}

export interface LinkCounters {
  readonly rxPackets: number;
  readonly txPackets: number;
  /** frames that found no room at the other end of a veth */
  readonly txDropped: number;
  readonly rxDropped: number;
}

/** `ip -j -s link show dev NAME` */
export function readLink(json: string): LinkCounters {
  const [link] = JSON.parse(json) as readonly LinkText[];
  const { rx, tx } = link!.stats64;
  return { rxPackets: rx.packets, txPackets: tx.packets, txDropped: tx.dropped, rxDropped: rx.dropped };
}

interface LinkText {
  readonly stats64: Record<'rx' | 'tx', { readonly packets: number; readonly dropped: number }>;
}

/** Round trips in the output of `ping`, milliseconds. */
export function readPings(text: string): number[] {
  return [...text.matchAll(/^\d+ bytes from .*\btime=([\d.]+) ms/gm)].map((match) => Number(match[1]));
}

/** How many echo requests `ping` says that it sent; null before its closing lines. */
export function readPingsSent(text: string): number | null {
  const found = /^(\d+) packets transmitted/m.exec(text);
  return found === null ? null : Number(found[1]);
}
