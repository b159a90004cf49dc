/**
 * The lab's network: four network namespaces in a row, joined by veth pairs of as many queues as weir has workers.
 *
 *   subscribers ── inside [ shaper ] outside ── firewall ── internet
 *
 * The shaper's namespace holds two devices without addresses: to the others weir is a wire.
 */
import { run } from './commands.js';

/** Between subscribers and firewall, and between firewall and internet; from the range kept for benchmarks, RFC 2544. */
export const SUBSCRIBER_GATEWAY = '198.18.0.2';
const FIREWALL_INSIDE = '198.18.0.1';
export const FIREWALL_OUTSIDE = '198.18.1.1';
export const INTERNET_HOST = '198.18.1.2';

export const PORTS = { inside: 'inside', outside: 'outside' } as const;
/** The other ends of the two ports: what goes into weir and what comes out passes them. */
export const SUBSCRIBER_DEVICE = 'toward-weir';
export const FIREWALL_DEVICE = 'from-weir';
const FIREWALL_UPLINK = 'uplink';
const INTERNET_DEVICE = 'internet';

const DISABLE_IPV6 =
  'for scope in all default; do f=/proc/sys/net/ipv6/conf/$scope/disable_ipv6; [ ! -e $f ] || echo 1 >$f; done';

export interface NetSettings {
  readonly queues: number;
  readonly subscriberPrefix: string;
  /** subscribers whose frames are counted one by one */
  readonly watched: readonly string[];
}

/** Removes the namespaces of processes that were killed before they could do so themselves. */
export async function removeOrphans(): Promise<void> {
  const lines = (await run(['ip', 'netns', 'list'])).split('\n');
  for (const line of lines) {
    const [, name, pid] = /^(weir-(\d+)-\S+)/.exec(line) ?? [];
    if (name !== undefined && !isAlive(Number(pid))) await run(['ip', 'netns', 'del', name]).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

export class LabNet {
  readonly subscribers: string;
  readonly shaper: string;
  readonly firewall: string;
  readonly internet: string;
  private readonly settings: NetSettings;

  constructor(settings: NetSettings) {
    const name = (part: string): string => `weir-${process.pid}-${part}`;
    this.subscribers = name('subscribers');
    this.shaper = name('shaper');
    this.firewall = name('firewall');
    this.internet = name('internet');
    this.settings = settings;
  }

  /** Throws E_LAB_COMMAND, having made some of it; `remove` clears that away too. */
  async create(): Promise<void> {
    await removeOrphans();
    for (const space of this.spaces) {
      await run(['ip', 'netns', 'add', space]);
      // A kernel that speaks IPv6 sends frames of its own, which would come between the counts.
      await this.inSpace(space, 'sh', '-c', DISABLE_IPV6);
      await run(['ip', '-n', space, 'link', 'set', 'dev', 'lo', 'up']);
    }
    await this.join(this.shaper, PORTS.inside, this.subscribers, SUBSCRIBER_DEVICE);
    await this.join(this.shaper, PORTS.outside, this.firewall, FIREWALL_DEVICE);
    await this.join(this.firewall, FIREWALL_UPLINK, this.internet, INTERNET_DEVICE);
    await this.prepareFeeder(this.subscribers, SUBSCRIBER_DEVICE);
    await this.prepareFeeder(this.firewall, FIREWALL_DEVICE);
    await this.configureSubscribers();
    await this.configureFirewall();
    await this.address(this.internet, INTERNET_DEVICE, `${INTERNET_HOST}/30`);
  }

  /** Everything in a namespace goes with it: devices, addresses, rules. Never throws. */
  async remove(): Promise<void> {
    for (const space of this.spaces) await run(['ip', 'netns', 'del', space]).catch(() => {});
  }

  /** The command as it is run inside a namespace. */
  within(space: string, ...command: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', space, ...command];
  }

  inSpace(space: string, ...command: readonly string[]): Promise<string> {
    return run(this.within(space, ...command));
  }

  private get spaces(): readonly string[] {
    return [this.subscribers, this.shaper, this.firewall, this.internet];
  }

  private async join(space: string, device: string, peerSpace: string, peer: string): Promise<void> {
    const queues = ['numtxqueues', String(this.settings.queues), 'numrxqueues', String(this.settings.queues)];
    const other = ['peer', 'name', peer, 'netns', peerSpace, ...queues];
    await run(['ip', '-n', space, 'link', 'add', 'name', device, ...queues, 'type', 'veth', ...other]);
    await run(['ip', '-n', space, 'link', 'set', 'dev', device, 'up']);
    await run(['ip', '-n', peerSpace, 'link', 'set', 'dev', peer, 'up']);
  }

  /**
   * The two devices that weir's ports are joined to.
   *
   * Transmit checksums and segmentation off: a veth would hand frames over as the stack left them, without a checksum
   * and up to 64 KB long; real cards would have completed them. GRO on: a veth takes frames that an XDP program
   * redirects to it only while its other end polls, which GRO makes it do. But no frame is merged, so that what is
   * counted there are the frames that weir sent.
   */
  private async prepareFeeder(space: string, device: string): Promise<void> {
    await this.inSpace(space, 'ethtool', '-K', device, 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'on');
    await run(['ip', '-n', space, 'link', 'set', 'dev', device, 'gro_max_size', '1']);
  }

  private async configureSubscribers(): Promise<void> {
    await this.address(this.subscribers, SUBSCRIBER_DEVICE, `${SUBSCRIBER_GATEWAY}/30`);
    const route = ['ip', '-n', this.subscribers, 'route', 'add'];
    // With this one route every subscriber's address is at home here, and a program can take any of them.
    await run([...route, 'local', this.settings.subscriberPrefix, 'dev', 'lo']);
    await run([...route, 'default', 'via', FIREWALL_INSIDE]);
    await this.load(this.subscribers, watchRules(SUBSCRIBER_DEVICE, 'daddr', this.settings.watched));
  }

  private async configureFirewall(): Promise<void> {
    await this.address(this.firewall, FIREWALL_DEVICE, `${FIREWALL_INSIDE}/30`);
    await this.address(this.firewall, FIREWALL_UPLINK, `${FIREWALL_OUTSIDE}/30`);
    await run([
      'ip',
      '-n',
      this.firewall,
      'route',
      'add',
      this.settings.subscriberPrefix,
      'via',
      SUBSCRIBER_GATEWAY,
    ]);
    await this.inSpace(this.firewall, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
    await this.load(this.firewall, watchRules(FIREWALL_DEVICE, 'saddr', this.settings.watched));
    await this.load(this.firewall, FIREWALL_RULES);
  }

  private async address(space: string, device: string, address: string): Promise<void> {
    await run(['ip', '-n', space, 'addr', 'add', address, 'dev', device]);
  }

  private async load(space: string, rules: string): Promise<void> {
    await run(this.within(space, 'nft', '-f', '-'), rules);
  }
}

/** Lets out what subscribers begin, under one address, and in only what belongs to it. */
const FIREWALL_RULES = `table ip lab {
  counter masqueraded { }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "${FIREWALL_DEVICE}" ct state new accept
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "${FIREWALL_UPLINK}" counter name masqueraded masquerade
  }
}
`;

/** Counts each watched subscriber's packets where they come out of weir, before anything else sees them. */
function watchRules(device: string, field: 'saddr' | 'daddr', watched: readonly string[]): string {
  return `table netdev lab {
  set watched {
    type ipv4_addr
    counter
    elements = { ${watched.join(', ')} }
  }
  chain arriving {
    type filter hook ingress device "${device}" priority 0; policy accept;
    ip ${field} @watched
  }
}
`;
}
