/**
 * The wire of the inline benchmark: three network namespaces in a row, joined by veth pairs.
 *
 *   generator ── outside [ under test ] inside ── sink
 *
 * Frames go down the wire, as most of a subscriber's traffic does. The far ends have GRO on, because a veth takes
 * frames that an XDP program redirects to it only while its other end polls.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WeirError } from '../src/errors.js';
import { Helper, run } from '../src/lab/commands.js';
import { removeOrphans } from '../src/lab/net.js';

/** The compiled file is in dist/bench, two folders below the package. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PEERS = join(ROOT, 'bench', 'peers');

export const DEVICES = { generator: 'gen', outside: 'outside', inside: 'inside', sink: 'sink' } as const;

/** Builds the C programs. Throws E_BENCH_PEERS with what the compiler said. */
export async function buildPeers(): Promise<void> {
  await run(['make', '--silent', '-C', PEERS]).catch((cause: Error) => {
    const packages = 'gcc make clang libbpf-dev libxdp-dev';
    throw new WeirError('E_BENCH_PEERS', `bench/peers needs ${packages}: ${cause.message}`, { cause });
  });
}

export class InlineNet {
  readonly generator = `weir-${process.pid}-gen`;
  readonly shaper = `weir-${process.pid}-shaper`;
  readonly sink = `weir-${process.pid}-sink`;

  /** Throws E_LAB_COMMAND, having made some of it; `remove` clears that away too. */
  async create(queues: number): Promise<void> {
    await removeOrphans();
    for (const space of this.spaces) await run(['ip', 'netns', 'add', space]);
    await this.join(DEVICES.outside, this.generator, DEVICES.generator, queues);
    await this.join(DEVICES.inside, this.sink, DEVICES.sink, queues);
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
    return new Helper(this.peerCommand(space, program, args));
  }

  /** A verb of weir in the namespace in the middle. */
  startWeir(...args: readonly string[]): Helper {
    const main = join(ROOT, 'dist', 'src', 'cli', 'main.js');
    return new Helper(['ip', 'netns', 'exec', this.shaper, process.execPath, main, ...args]);
  }

  private get spaces(): readonly string[] {
    return [this.generator, this.shaper, this.sink];
  }

  private peerCommand(space: string, program: string, args: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', space, join(PEERS, 'build', program), ...args];
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
