/**
 * The wire of the inline benchmark: three network namespaces in a row, joined by veth pairs.
 *
 *   generator ── outside [ under test ] inside ── sink
 *
 * Frames go down the wire, as most of a subscriber's traffic does. The far ends have GRO on, because a veth takes
 * frames that an XDP program redirects to it only while its other end polls.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { WeirError } from '../src/errors.js';
import { Helper, run } from '../src/lab/commands.js';
import { removeOrphans } from '../src/lab/net.js';

/** The compiled file is in dist/bench, two folders below the package. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PEERS = join(ROOT, 'bench', 'peers');

const READY_MAX_MS = 10_000;
const READY_POLL_MS = 20;
/** A kernel that speaks IPv6 sends frames of its own, which would come between the counts. */
const DISABLE_IPV6 = 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 2>&- || :';

export const DEVICES = { generator: 'gen', outside: 'outside', inside: 'inside', sink: 'sink' } as const;

/** Builds the C programs. Throws E_BENCH_PEERS with what the compiler said. */
export async function buildPeers(): Promise<void> {
  await run(['make', '--silent', '-C', PEERS]).catch((cause: Error) => {
    const packages = 'gcc make clang libbpf-dev libxdp-dev';
    throw new WeirError('E_BENCH_PEERS', `bench/peers needs ${packages}: ${cause.message}`, { cause });
  });
}

/** A program of bench/peers, once it is built. */
export function peerPath(program: string): string {
  return join(PEERS, 'build', program);
}

/** Runs `body` with a net of so many queues and a folder, both gone afterwards, also after SIGINT and SIGTERM. */
export async function withInlineNet<T>(
  queues: number,
  body: (net: InlineNet, folder: string) => Promise<T>,
): Promise<T> {
  await buildPeers();
  const net = new InlineNet();
  const folder = await mkdtemp(join(tmpdir(), 'weir-bench-'));
  const remove = async (): Promise<void> => {
    await net.remove();
    await rm(folder, { recursive: true, force: true });
  };
  const interrupted = (): void => {
    // What runs in the namespaces is in process groups of its own; it ends with this, or by itself after its bounded time.
    void net
      .stopAll()
      .then(remove)
      .finally(() => process.exit(1));
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  try {
    await net.create(queues);
    return await body(net, folder);
  } finally {
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
    await net.stopAll();
    await remove();
  }
}

/** Waits until a peer says that it works. Throws E_BENCH_PEERS when it does not within ten seconds. */
export async function untilReady(peer: Helper): Promise<void> {
  for (
    const endMs = performance.now() + READY_MAX_MS;
    performance.now() < endMs;
    await sleep(READY_POLL_MS)
  ) {
    if (peer.lastWords.startsWith('ready')) return;
    peer.assertRunning();
  }
  throw new WeirError('E_BENCH_PEERS', `no sign of life: ${peer.lastWords}`);
}

/** Ends a peer and reads what it says then. */
export async function endOf<T>(peer: Helper): Promise<T> {
  peer.assertRunning();
  await peer.stop();
  return readResult(peer);
}

/** What a peer that has ended said. Throws E_BENCH_PEERS when that is no document. */
export function readResult<T>({ lastWords }: Helper): T {
  try {
    return JSON.parse(lastWords.slice(lastWords.indexOf('{'))) as T;
  } catch (cause) {
    throw new WeirError('E_BENCH_PEERS', `not the result of a peer: ${lastWords}`, { cause });
  }
}

export class InlineNet {
  readonly generator = `weir-${process.pid}-gen`;
  readonly shaper = `weir-${process.pid}-shaper`;
  readonly sink = `weir-${process.pid}-sink`;
  private readonly helpers = new Set<Helper>();

  /** Throws E_LAB_COMMAND, having made some of it; `remove` clears that away too. */
  async create(queues: number): Promise<void> {
    await removeOrphans();
    for (const space of this.spaces) {
      await run(['ip', 'netns', 'add', space]);
      await run(['ip', 'netns', 'exec', space, 'sh', '-c', DISABLE_IPV6]);
    }
    await this.join(DEVICES.outside, this.generator, DEVICES.generator, queues);
    await this.addExit(DEVICES.inside, DEVICES.sink, queues);
  }

  /** One more way from the middle to the sink's namespace, for what keeps its state on a device of its own. */
  async addExit(device: string, sinkDevice: string, queues: number): Promise<void> {
    await this.join(device, this.sink, sinkDevice, queues);
  }

  /** Never throws. */
  async remove(): Promise<void> {
    for (const space of this.spaces) await run(['ip', 'netns', 'del', space]).catch(() => {});
  }

  /** One of the programs in bench/peers, run to its end; what it prints, read as JSON. */
  async peer<T>(space: string, program: string, ...args: readonly string[]): Promise<T> {
    return JSON.parse(await run(this.peerCommand(space, program, args))) as T;
  }

  /** The same, left running. */
  startPeer(space: string, program: string, ...args: readonly string[]): Helper {
    return this.start(this.peerCommand(space, program, args));
  }

  /** A verb of weir in the namespace in the middle. */
  startWeir(...args: readonly string[]): Helper {
    const main = join(ROOT, 'dist', 'src', 'cli', 'main.js');
    return this.start(['ip', 'netns', 'exec', this.shaper, process.execPath, main, ...args]);
  }

  /** Ends what still runs. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.helpers].map((helper) => helper.stop()));
  }

  private start(command: readonly string[]): Helper {
    const helper = new Helper(command);
    this.helpers.add(helper);
    void helper.exited.then(() => this.helpers.delete(helper));
    return helper;
  }

  private get spaces(): readonly string[] {
    return [this.generator, this.shaper, this.sink];
  }

  private peerCommand(space: string, program: string, args: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', space, peerPath(program), ...args];
  }

  private async join(device: string, peerSpace: string, peer: string, queues: number): Promise<void> {
    const counts = ['numtxqueues', String(queues), 'numrxqueues', String(queues)];
    const far = ['peer', 'name', peer, 'netns', peerSpace, ...counts];
    await run(['ip', '-n', this.shaper, 'link', 'add', 'name', device, ...counts, 'type', 'veth', ...far]);
    await run(['ip', '-n', this.shaper, 'link', 'set', 'dev', device, 'up']);
    await run(['ip', '-n', peerSpace, 'link', 'set', 'dev', peer, 'up']);
    await run(['ip', 'netns', 'exec', peerSpace, 'ethtool', '-K', peer, 'gro', 'on']);
  }
}
