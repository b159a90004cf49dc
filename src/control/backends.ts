/** The ways frames can reach the workers, best first, and what each needs from the control thread. */
import type { PrefixSpec } from '../../classes/model.js';
import type { DaemonConfig } from '../config/config.js';
import type { IoOpener } from '../dataplane/thread-contract.js';
import type { NamedCounters } from '../metrics/queue-meter.js';
import { loadNative } from '../rings/native.js';
import { type BypassPrefix, Wire } from '../rings/xdp.js';
import type { Logger } from './log.js';

/** A backend that holds the ports. */
export interface Attachment {
  /** Whether an earlier daemon had left the wire to take over, which then is not to be undone. */
  readonly tookOver: boolean;
  /** Whether the kernel keeps bypass traffic away from the workers. */
  readonly bypassesInKernel: boolean;
  opener(queue: number): IoOpener;
  /** The queue's frames do what `failure` says from now on. */
  releaseQueue(queue: number): void;
  /** What the XDP program counted at a port; null where there is none. */
  counters(port: 0 | 1): NamedCounters | null;
  /** Closes an io whose worker has ended. */
  closeIo(handle: bigint): void;
  /** `detach`: gives the wire back to the kernel; otherwise it follows `failure`. */
  close(detach: boolean): void;
}

export interface Candidate {
  readonly backend: string;
  readonly mode: string;
  /** Throws WeirError when this machine or these devices cannot do it. */
  attach(log: Logger): Attachment;
}

interface XdpMode {
  readonly mode: 'zerocopy' | 'copy' | 'skb';
  readonly attachMode: 'native' | 'skb';
  readonly zeroCopy: 'required' | 'copy';
}

const XDP_MODES: readonly XdpMode[] = [
  { mode: 'zerocopy', attachMode: 'native', zeroCopy: 'required' },
  { mode: 'copy', attachMode: 'native', zeroCopy: 'copy' },
  { mode: 'skb', attachMode: 'skb', zeroCopy: 'copy' },
];

/** What the configuration allows, best first. */
export function candidatesFor(
  config: DaemonConfig,
  queues: number,
  bypass: readonly PrefixSpec[],
): Candidate[] {
  const { backend, mode } = config.rings;
  const candidates: Candidate[] = [];
  if (backend !== 'packet') {
    for (const xdpMode of XDP_MODES) {
      if (mode === 'auto' || mode === xdpMode.mode)
        candidates.push(xdpCandidate(config, queues, bypass, xdpMode));
    }
  }
  // With a mode given, only the backend that has modes will do.
  if (backend !== 'xdp' && mode === 'auto') candidates.push(packetCandidate(config, queues));
  return candidates;
}

function xdpCandidate(
  config: DaemonConfig,
  queues: number,
  bypass: readonly PrefixSpec[],
  { mode, attachMode, zeroCopy }: XdpMode,
): Candidate {
  const { ports, failure, rings } = config;
  return {
    backend: 'xdp',
    mode,
    attach(log) {
      const wire = Wire.open({
        inside: ports.inside.device,
        outside: ports.outside.device,
        queues,
        mode: attachMode,
        failureOpen: failure === 'open',
      });
      try {
        wire.setBypass(bypass.map(mappedPrefix));
      } catch (error) {
        wire.close(!wire.tookOver);
        throw error;
      }
      if (wire.tookOver) log.info({ mode: wire.attachMode }, 'took the wire over from a daemon before');
      const { frames, frameBytes, ringSize } = rings;
      const options = { wireHandle: wire.handle, frames, frameBytes, ringSize, zeroCopy };
      return {
        tookOver: wire.tookOver,
        bypassesInKernel: true,
        opener: (queue) => ({ module: moduleUrl('xdp'), name: 'openXdpIo', options: { ...options, queue } }),
        releaseQueue: (queue) => wire.releaseQueue(queue),
        counters: (port) => ({ ...wire.counters(port) }),
        closeIo: (handle) => loadNative().closeIo(handle),
        close: (detach) => wire.close(detach),
      };
    },
  };
}

function packetCandidate({ ports, rings }: DaemonConfig, queues: number): Candidate {
  return {
    backend: 'packet',
    mode: 'copy',
    attach() {
      // A library that only a worker has loaded is unloaded when the worker ends, with calls into it still to come.
      const native = loadNative();
      const { frames, frameBytes, ringSize } = rings;
      const inside = ports.inside.device;
      const outside = ports.outside.device;
      const options = { inside, outside, queues, frames, frameBytes, ringSize };
      return {
        tookOver: false,
        bypassesInKernel: false,
        opener: (queue) => ({
          module: moduleUrl('packet'),
          name: 'openPacketIo',
          options: { ...options, queue },
        }),
        releaseQueue: () => {},
        counters: () => null,
        closeIo: (handle) => native.closeIo(handle),
        close: () => {},
      };
    },
  };
}

/** Over 128 bits, with IPv4 as ::ffff:a.b.c.d. */
export function mappedPrefix({ family, words, length }: PrefixSpec): BypassPrefix {
  const bytes = new DataView(new ArrayBuffer(16));
  if (family === 4) bytes.setInt32(8, 0xffff);
  for (const [i, word] of words.entries()) bytes.setInt32((family === 4 ? 12 : 0) + i * 4, word);
  return { address: new Uint8Array(bytes.buffer), bits: family === 4 ? 96 + length : length };
}

function moduleUrl(backend: 'xdp' | 'packet'): string {
  return new URL(`../rings/${backend}.js`, import.meta.url).href;
}
