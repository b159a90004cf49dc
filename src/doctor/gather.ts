/** Reads the facts from this machine. The only part of the doctor that touches it; everything it runs only reads. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { type DeviceFacts, type MachineFacts, NATIVE_FILES, TOOLS } from './facts.js';

/** The compiled file is dist/src/doctor/gather.js, three folders below the package. */
const PACKAGE_ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CLOCKSOURCE = '/sys/devices/system/clocksource/clocksource0';
const CPUS = '/sys/devices/system/cpu';
const NET = '/sys/class/net';
const TOOL_TIMEOUT_MS = 5000;

export interface PortNames {
  readonly inside: string;
  readonly outside: string;
}

export function gatherFacts(ports: PortNames | null): MachineFacts {
  const kernelRelease = read('/proc/sys/kernel/osrelease') ?? '';
  return {
    kernelRelease,
    kernelConfig: readKernelConfig(kernelRelease.trim()),
    processStatus: read('/proc/self/status') ?? '',
    processLimits: read('/proc/self/limits') ?? '',
    memoryInfo: read('/proc/meminfo') ?? '',
    clocksource: read(`${CLOCKSOURCE}/current_clocksource`),
    clocksourcesAvailable: read(`${CLOCKSOURCE}/available_clocksource`),
    governors: readEach(CPUS, /^cpu\d+$/, (cpu) => `${CPUS}/${cpu}/cpufreq/scaling_governor`),
    processNames: readEach('/proc', /^\d+$/, (pid) => `/proc/${pid}/comm`),
    tools: TOOLS.map(({ name }) => name).filter(isInPath),
    nativeFilesMissing: missingNativeFiles(),
    devices:
      ports === null ? [] : [gatherDevice('inside', ports.inside), gatherDevice('outside', ports.outside)],
  };
}

/** Paths of the native library's parts that are not there. */
export function missingNativeFiles(): string[] {
  return NATIVE_FILES.filter((file) => !existsSync(join(PACKAGE_ROOT, file)));
}

/** System tools may stand in folders that only root has in the PATH. */
export function isInPath(name: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => folder !== '' && isExecutable(join(folder, name)));
}

function gatherDevice(port: DeviceFacts['port'], name: string): DeviceFacts {
  const folder = `${NET}/${name}`;
  // A slash would lead out of the folder; no device has one in its name.
  const exists = !name.includes('/') && existsSync(`${folder}/ifindex`);
  if (!exists) {
    const nothing = { features: null, channels: null, queues: [], driver: null, mtu: null, flags: null };
    return { port, name, exists, ...nothing, peer: null };
  }
  return {
    port,
    name,
    exists,
    features: run('ethtool', '-k', name),
    channels: run('ethtool', '-l', name),
    queues: list(`${folder}/queues`),
    driver: run('ethtool', '-i', name),
    mtu: read(`${folder}/mtu`),
    flags: read(`${folder}/flags`),
    peer: findPeer(name),
  };
}

/** The device that this one is linked to, if it is in this namespace: the one whose link leads back. */
function findPeer(name: string): DeviceFacts['peer'] {
  const index = (device: string, file: string): string => read(`${NET}/${device}/${file}`)?.trim() ?? '';
  const [own, link] = [index(name, 'ifindex'), index(name, 'iflink')];
  if (own === link) return null;
  const peer = list(NET).find((other) => index(other, 'ifindex') === link && index(other, 'iflink') === own);
  return peer === undefined ? null : { name: peer, features: run('ethtool', '-k', peer) };
}

function readKernelConfig(release: string): string | null {
  try {
    return gunzipSync(readFileSync('/proc/config.gz')).toString('utf8');
  } catch {
    return read(`/boot/config-${release}`);
  }
}

function readEach(folder: string, names: RegExp, fileOf: (name: string) => string): string[] {
  const texts = list(folder)
    .filter((name) => names.test(name))
    .map((name) => read(fileOf(name)));
  return texts.filter((text) => text !== null);
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** What the tool prints; null where it is missing or fails, as ethtool does for what a driver does not have. */
function run(tool: string, ...args: string[]): string | null {
  const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
  const { status, stdout } = spawnSync(tool, args, { encoding: 'utf8', timeout: TOOL_TIMEOUT_MS, env });
  return status === 0 ? stdout : null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
