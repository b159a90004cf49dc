/** Readers of the texts that the facts are made of. None throws; what is not there reads as null or empty. */

/** Names of the features that `ethtool -k` says are on. */
export function featuresOn(text: string): ReadonlySet<string> {
  const found = text.matchAll(/^\s*([\w-]+): on\b/gm);
  return new Set([...found].map((match) => match[1]!));
}

/** Queue pairs in use by `ethtool -l`: combined ones and those that have only one direction; null: not told. */
export function channelsInUse(text: string): number | null {
  const current = text.slice(text.search(/^Current hardware settings:/m));
  const count = (label: string): number =>
    Number(new RegExp(`^${label}:\\s+(\\d+)`, 'm').exec(current)?.[1] ?? 0);
  const combined = count('Combined');
  // Drivers with separate rings (veth) count RX and TX; a worker needs one of each.
  const channels = combined + Math.min(count('RX'), count('TX'));
  return text.includes('Current hardware settings:') && channels > 0 ? channels : null;
}

/** Capability numbers in the `CapEff` line of /proc/PID/status. */
export function effectiveCapabilities(status: string): ReadonlySet<number> {
  const mask = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const held = new Set<number>();
  for (let bit = 0; bit < 64; bit++) if ((mask >> BigInt(bit)) & 1n) held.add(bit);
  return held;
}

/** The soft limit of "Max locked memory" in /proc/PID/limits, bytes; Infinity where there is none. */
export function lockedMemoryLimitBytes(limits: string): number {
  const soft = /^Max locked memory\s+(\S+)/m.exec(limits)?.[1];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** A figure of /proc/meminfo as it stands there: kB for sizes, a count for HugePages_Total; 0 where it is missing. */
export function memoryFigure(memoryInfo: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(memoryInfo)?.[1] ?? 0);
}

/** [major, minor] of a release such as `6.1.0-18-amd64`; [0, 0] where it cannot be read. */
export function kernelVersion(release: string): readonly [number, number] {
  const found = /^(\d+)\.(\d+)/.exec(release);
  return found === null ? [0, 0] : [Number(found[1]), Number(found[2])];
}

/** Whether the kernel was built with the option, as a module or built in. */
export function kernelHas(config: string, option: string): boolean {
  return new RegExp(`^${option}=[ym]$`, 'm').test(config);
}

/** The driver's name in `ethtool -i`. */
export function driverName(text: string | null): string | null {
  return /^driver: (\S+)/m.exec(text ?? '')?.[1] ?? null;
}
