import type { ClassHashReader } from '../shm/class-hash-reader.js';
import { KEY_WORDS_SHIFT, KIND_IPV4, KIND_IPV6, type PacketBatch } from './batch.js';
import { Counter } from './counters.js';
import { isNonIp } from './non-ip.js';

/** What happens to traffic of no class. A default class in the tree file takes precedence for IP traffic. */
export type UnknownPolicy = 'pass' | 'drop';

/** Bypass prefixes never change while a worker lives, so one epoch sees them all. */
export const BYPASS_EPOCH = 1;

export interface UnclassedOptions {
  readonly umem: Uint8Array;
  readonly policy: UnknownPolicy;
  /** Of the prefixes whose traffic is not shaped; null when there are none. */
  readonly bypass: ClassHashReader | null;
  readonly counters: Float64Array;
}

/** The packets that belong to no class: which these are, and which of them go on. */
export class Unclassed {
  readonly hasBypass: boolean;
  readonly #umem: Uint8Array;
  readonly #passesUnknown: boolean;
  readonly #bypass: ClassHashReader | null;
  readonly #counters: Float64Array;

  constructor({ umem, policy, bypass, counters }: UnclassedOptions) {
    this.hasBypass = bypass !== null;
    this.#umem = umem;
    this.#passesUnknown = policy !== 'drop';
    this.#bypass = bypass;
    this.#counters = counters;
  }

  /** Whether packet `i` comes from or goes to a bypass prefix. */
  isBypassed({ kind, key }: PacketBatch, i: number): boolean {
    const bypass = this.#bypass;
    if (bypass === null) return false;
    const at = i << KEY_WORDS_SHIFT;
    if (kind[i] === KIND_IPV4)
      return bypass.lookup4(key[at]!, BYPASS_EPOCH) >= 0 || bypass.lookup4(key[at + 1]!, BYPASS_EPOCH) >= 0;
    if (kind[i] !== KIND_IPV6) return false;
    for (let word = at; word < at + 8; word += 4) {
      if (bypass.lookup6(key[word]!, key[word + 1]!, key[word + 2]!, key[word + 3]!, BYPASS_EPOCH) >= 0)
        return true;
    }
    return false;
  }

  /** Counts packet `i` of the batch, which has no class, and says whether it goes on, unshaped. */
  mayPass(batch: PacketBatch, i: number): boolean {
    const { kind, addr, capturedBytes } = batch;
    const counters = this.#counters;
    if (this.isBypassed(batch, i)) {
      counters[Counter.BYPASS_PACKETS]! += 1;
      return true;
    }
    counters[Counter.UNKNOWN_PACKETS]! += 1;
    if (kind[i] === 0) counters[Counter.UNPARSED_PACKETS]! += 1;
    if (this.#passesUnknown) return true;
    // The policy is about subscribers' traffic; without ARP and the like there would be no wire.
    if (kind[i] === 0 && isNonIp(this.#umem, addr[i]!, capturedBytes[i]!)) return true;
    if (kind[i] === 0) counters[Counter.DROP_PARSE]! += 1;
    else counters[Counter.DROP_UNKNOWN]! += 1;
    return false;
  }
}
