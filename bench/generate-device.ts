/** Keeps load away from the devices that a machine is reached by. */
import { readdirSync } from 'node:fs';
import { usageError } from '../src/errors.js';
import { run } from '../src/lab/commands.js';

/**
 * @throws WeirError E_BENCH_DEVICE, exit code 2, for a device that this machine's default route goes through, be it as a
 * part of a bridge, a bond or a VLAN
 */
export async function checkDevice(device: string): Promise<void> {
  const carriers = new Map<string, string>();
  for (const name of await defaultDevices()) for (const part of partsOf(name)) carriers.set(part, name);
  const carrier = carriers.get(device);
  if (carrier === undefined) return;
  const how = carrier === device ? '' : ` of ${carrier}`;
  throw usageError(
    'E_BENCH_DEVICE',
    `${device} carries the default route${how}; load there would cut this machine off. --force sends it all the same`,
  );
}

async function defaultDevices(): Promise<Set<string>> {
  const devices = new Set<string>();
  for (const family of ['-4', '-6']) {
    const text = await run(['ip', '-j', family, 'route', 'show', 'table', 'all', 'default']);
    const routes = JSON.parse(text.trim() || '[]') as { dev?: string; nexthops?: { dev?: string }[] }[];
    for (const { dev, nexthops = [] } of routes)
      for (const name of [dev, ...nexthops.map((hop) => hop.dev)]) if (name !== undefined) devices.add(name);
  }
  return devices;
}

/** The device and all that it is made of. */
function partsOf(device: string): Set<string> {
  const parts = new Set([device]);
  // A set is walked over with what is added meanwhile.
  for (const part of parts) for (const lower of lowersOf(part)) parts.add(lower);
  return parts;
}

function lowersOf(device: string): string[] {
  try {
    return readdirSync(`/sys/class/net/${device}`)
      .filter((name) => name.startsWith('lower_'))
      .map((name) => name.slice('lower_'.length));
  } catch {
    // Gone meanwhile.
    return [];
  }
}
