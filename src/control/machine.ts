/** What the machine has: devices and their queues, CPUs, capabilities. Read from /proc and /sys. */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { DaemonConfig } from '../config/config.js';
import { cpusOf } from '../config/schema.js';
import { usageError, WeirError } from '../errors.js';

/** Bits of CapEff, from linux/capability.h. */
const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_BPF: 39 } as const;
const CAP_SYS_ADMIN = 21;
const HEADERS_BYTES = 22;

/** How many workers there will be, and where they run. */
export interface Plan {
  readonly queues: number;
  /** CPU of each queue's worker. */
  readonly cpus: readonly number[];
  /** What is not as it should be and does not hinder. */
  readonly warnings: readonly string[];
}

const PORT_NAMES = ['inside', 'outside'] as const;

/** Checks what the configuration wants of this machine. Throws E_DEVICE and E_QUEUES (usage) or E_PRIVILEGE. */
export function planMachine(config: DaemonConfig): Plan {
  checkCapabilities(config.rings.backend, readText('/proc/self/status'));
  const present = deviceNames(readText('/proc/self/net/dev'));
  const devices = PORT_NAMES.map((port) => config.ports[port].device);
  for (const port of PORT_NAMES) {
    const { device } = config.ports[port];
    if (!present.has(device))
      throw usageError('E_DEVICE', `ports.${port}.device: there is no network device '${device}'`);
  }
  const counts = devices.map(queuePairs);
  const allowed = allowedCpus(readText('/proc/self/status'));
  const queues = config.queues === 'auto' ? Math.min(...counts, cpuLimit(config, allowed)) : config.queues;
  // The backend packet spreads flows itself, so the card's queues do not matter to it.
  if (config.rings.backend !== 'packet') checkQueues(devices, counts, queues);
  const warnings = [
    ...queueWarnings(config, devices, counts, queues),
    ...mtuWarnings(config, devices),
    ...swapWarnings(
      readTextOr('/proc/swaps', ''),
      readTextOr(`/sys/fs/cgroup${ownCgroup()}/memory.swap.max`, ''),
    ),
  ];
  return { queues, cpus: chooseCpus(config, allowed, queues), warnings };
}

/** Throws E_PRIVILEGE with what is missing, by the text of /proc/self/status. */
export function checkCapabilities(backend: string, status: string): void {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const has = (bit: number): boolean => ((effective >> BigInt(bit)) & 1n) === 1n;
  const wanted: readonly (keyof typeof CAPABILITIES)[] =
    backend === 'packet' ? ['CAP_NET_ADMIN', 'CAP_NET_RAW'] : ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_BPF'];
  const missing = wanted.filter(
    (name) => !has(CAPABILITIES[name]) && !(name === 'CAP_BPF' && has(CAP_SYS_ADMIN)),
  );
  if (missing.length === 0) return;
  throw new WeirError(
    'E_PRIVILEGE',
    `missing ${missing.join(', ')}: run it as root, or give it these capabilities`,
  );
}

/** Names in the text of /proc/net/dev, which always shows the network namespace of whoever reads it. */
export function deviceNames(text: string): Set<string> {
  return new Set([...text.matchAll(/^\s*([^\s:]+):/gm)].map((match) => match[1]!));
}

/** CPUs of `Cpus_allowed_list` in the text of /proc/self/status. */
export function allowedCpus(status: string): number[] {
  const list = cpusOf(/^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '');
  return Array.isArray(list) ? list : Array.from({ length: availableParallelism() }, (_, cpu) => cpu);
}

function cpuLimit(config: DaemonConfig, allowed: readonly number[]): number {
  return config.cpus === 'auto' ? allowed.length : config.cpus.length;
}

/** Where there are CPUs to spare, the first is left to the control thread and the kernel. */
export function chooseCpus(
  config: Pick<DaemonConfig, 'cpus'>,
  allowed: readonly number[],
  queues: number,
): number[] {
  if (config.cpus !== 'auto') return config.cpus.slice(0, queues);
  const first = allowed.length > queues ? 1 : 0;
  return Array.from({ length: queues }, (_, queue) => allowed[(first + queue) % allowed.length]!);
}

/** Queue pairs: a worker needs a receive and a transmit queue. */
function queuePairs(device: string): number {
  try {
    const names = readdirSync(`/sys/class/net/${device}/queues`);
    const count = (prefix: string): number => names.filter((name) => name.startsWith(prefix)).length;
    return Math.max(1, Math.min(count('rx-'), count('tx-')));
  } catch {
    // Without its own /sys a network namespace does not show its devices; one queue every device has.
    return 1;
  }
}

function checkQueues(devices: readonly string[], counts: readonly number[], queues: number): void {
  for (const [i, device] of devices.entries()) {
    if (counts[i]! >= queues) continue;
    const mend = `ethtool -L ${device} combined ${queues}`;
    const has = `${device} has ${counts[i]} ${counts[i] === 1 ? 'queue' : 'queues'}`;
    throw usageError(
      'E_QUEUES',
      `ports.${PORT_NAMES[i]}.device: ${has}, and queues is ${queues}; try: ${mend}`,
    );
  }
}

/** A queue of the card without a worker is a hole in the shaper. */
function queueWarnings(
  config: DaemonConfig,
  devices: readonly string[],
  counts: readonly number[],
  queues: number,
): string[] {
  if (config.rings.backend === 'packet') return [];
  return devices.flatMap((device, i) => {
    if (counts[i]! <= queues) return [];
    const what = config.failure === 'open' ? 'are not shaped' : 'are dropped';
    return [
      `${device} has ${counts[i]} queues for ${queues} workers: frames of the others ${what}; try: ethtool -L ${device} combined ${queues}`,
    ];
  });
}

function mtuWarnings(config: DaemonConfig, devices: readonly string[]): string[] {
  const room = config.rings.frameBytes - (config.rings.backend === 'packet' ? 0 : 256);
  return devices.flatMap((device) => {
    const mtu = Number(readTextOr(`/sys/class/net/${device}/mtu`, '0'));
    if (mtu + HEADERS_BYTES <= room) return [];
    return [
      `${device} has an mtu of ${mtu}: frames above ${room} bytes are dropped; try: ip link set ${device} mtu ${room - HEADERS_BYTES}`,
    ];
  });
}

/**
 * A worker whose memory is on a disk stalls. Locking it (mlockall) is no way: V8 gives pages of its heap back with
 * madvise, which the kernel refuses for locked ones, and V8 then aborts. Without swap it stays where it is.
 */
export function swapWarnings(swaps: string, swapMax: string): string[] {
  const areas = swaps
    .split('\n')
    .slice(1)
    .filter((line) => line.trim() !== '').length;
  if (areas === 0 || swapMax === '0') return [];
  return [
    'swap is on, and a worker that is swapped out stalls; try: MemorySwapMax=0 in the systemd unit, or swapoff -a',
  ];
}

function ownCgroup(): string {
  return /^0::(.*)$/m.exec(readTextOr('/proc/self/cgroup', ''))?.[1] ?? '';
}

export function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

/** The file's text without the final line break, or `fallback` where it cannot be read. */
export function readTextOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return fallback;
  }
}
