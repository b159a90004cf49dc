/**
 * Network namespaces for tests: made for one test process, gone with it.
 *
 * A namespace's name carries the process's number, so that test files that run side by side do not meet, and so that
 * what a killed process left behind can be told from what is in use.
 */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NAMESPACE_FOLDER = '/run/netns';
const NAME_PATTERN = /^weir-(\d+)-/;
/** Debian keeps the network tools where only root's shell looks. */
const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
const COMMAND_TIMEOUT_MS = 30_000;

const namespaces = new Set<string>();
const children = new Set<ChildProcess>();
let cleansUp = false;

/** Why tests in network namespaces cannot run here, or null. */
export function whyNoNamespaces(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are of Linux';
  if (process.getuid?.() !== 0) return 'network namespaces take root';
  for (const tool of ['ip', 'ethtool']) {
    if (!hasTool(tool)) return `the command ${tool} is missing`;
  }
  try {
    const probe = makeNamespace('probe');
    command('ip', ['-n', probe, 'link', 'add', 'p0', 'type', 'veth', 'peer', 'name', 'p1']);
    deleteNamespace(probe);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message.replaceAll('\n', ' ') : String(error);
  }
}

/** Why tests of the XDP backend cannot run here, or null. */
export function whyNoXdp(): string | null {
  const why = whyNoNamespaces();
  if (why !== null) return why;
  for (const file of ['libweir.so', 'weir_xdp.o']) {
    if (!existsSync(join(packageRoot(), 'native', 'build', file))) {
      return `native/build/${file} is not there; run native/setup`;
    }
  }
  return null;
}

/** The folder with package.json. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}

/** Whether a command can be found. */
export function hasTool(name: string): boolean {
  return PATH.split(':').some((folder) => folder !== '' && existsSync(join(folder, name)));
}

/**
 * Makes `weir-PID-suffix`, with its loopback up, and returns the name. IPv6 is off unless wanted, because a kernel
 * that speaks it sends frames of its own.
 */
export function makeNamespace(suffix: string, { ipv6 = false }: { ipv6?: boolean } = {}): string {
  cleanUpAtTheEnd();
  const name = `weir-${process.pid}-${suffix}`;
  command('ip', ['netns', 'add', name]);
  namespaces.add(name);
  command('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  for (const scope of ipv6 ? [] : ['all', 'default']) {
    inNamespace(name, 'sysctl', ['-qw', `net.ipv6.conf.${scope}.disable_ipv6=1`], true);
  }
  return name;
}

/** Deletes one namespace before the end, with the devices in it. */
export function deleteNamespace(name: string): void {
  command('ip', ['netns', 'del', name], true);
  namespaces.delete(name);
}

export interface VethEnd {
  readonly namespace: string;
  readonly device: string;
}

/**
 * A cable between two namespaces with `queues` queue pairs at either end, both ends up.
 *
 * Offloads are off, because a frame whose checksum, segments or VLAN tag are left to a card is not the frame that
 * goes over a wire. GRO is on: a veth takes frames that XDP redirects only if its peer polls, and GRO makes it poll. The
 * kernel notes that it polls when GRO is switched, and only on a device that is up.
 */
export function makeVeth(a: VethEnd, b: VethEnd, queues = 1): void {
  const count = String(queues);
  const queueArguments = ['numrxqueues', count, 'numtxqueues', count];
  command('ip', [
    ...['-n', a.namespace, 'link', 'add', a.device, ...queueArguments, 'type', 'veth'],
    ...['peer', 'name', b.device, 'netns', b.namespace, ...queueArguments],
  ]);
  const off = ['tso', 'gso', 'tx', 'rxvlan', 'txvlan', 'tx-vlan-stag-hw-insert', 'rx-vlan-stag-hw-parse'];
  for (const { namespace, device } of [a, b]) command('ip', ['-n', namespace, 'link', 'set', device, 'up']);
  for (const { namespace, device } of [a, b]) {
    inNamespace(namespace, 'ethtool', ['-L', device, 'rx', count, 'tx', count], true);
    for (const feature of off) inNamespace(namespace, 'ethtool', ['-K', device, feature, 'off'], true);
    inNamespace(namespace, 'ethtool', ['-K', device, 'gro', 'on']);
  }
}

/** Runs a command in a namespace and returns its output. `mayFail` for settings that some kernels do not have. */
export function inNamespace(
  namespace: string,
  name: string,
  commandArguments: readonly string[],
  mayFail = false,
): string {
  return command('ip', ['netns', 'exec', namespace, name, ...commandArguments], mayFail);
}

/** Starts a process in a namespace; it is killed at the latest with this one. */
export function startInNamespace(
  namespace: string,
  name: string,
  commandArguments: readonly string[],
  options: SpawnOptions = {},
): ChildProcess {
  cleanUpAtTheEnd();
  // `ip netns exec` becomes the command, so signals for the child reach the command itself.
  const child = spawn('ip', ['netns', 'exec', namespace, name, ...commandArguments], {
    ...options,
    env: { ...process.env, PATH, ...options.env },
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** Kills what was started and deletes what was made. Also runs by itself when the process ends. */
export function cleanUp(): void {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  for (const name of namespaces) deleteNamespace(name);
}

function cleanUpAtTheEnd(): void {
  if (cleansUp) return;
  cleansUp = true;
  deleteLeftovers();
  process.once('exit', cleanUp);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      cleanUp();
      process.kill(process.pid, signal);
    });
  }
}

/** A test that was killed could not tidy up. Its number shows that it is gone. */
function deleteLeftovers(): void {
  if (!existsSync(NAMESPACE_FOLDER)) return;
  for (const name of readdirSync(NAMESPACE_FOLDER)) {
    const pid = NAME_PATTERN.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) command('ip', ['netns', 'del', name], true);
  }
}

function command(name: string, commandArguments: readonly string[], mayFail = false): string {
  try {
    return execFileSync(name, commandArguments, {
      env: { ...process.env, PATH },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_TIMEOUT_MS,
    });
  } catch (error) {
    if (mayFail) return '';
    throw error;
  }
}
