import type { QueuedFrames } from '../htb/leaves/queued-frames.js';
import { Packet, type PacketPool } from '../htb/packet-pool.js';
import type { Direction } from '../shm/tree-layout.js';
import * as batchLayout from './batch.js';
import { deviceHashOf } from './device-hash.js';
import type { FlowTable } from './flow-table.js';
import { ipHeaderAt, setTrafficClass, trafficClassOf } from './ip-header.js';
import { Parser } from './parse.js';

// Imported constants are looked up at each use; the engine folds a module's own into the code.
const { KIND_UNKNOWN } = batchLayout;

/** The codepoint of ECN in a traffic class. */
const ECN_MASK = 3;
const ECN_CE = 3;
const DSCP_SHIFT = 2;

export interface UmemFramesOptions {
  readonly umem: Uint8Array;
  readonly pool: PacketPool;
  /** Bytes of a frame: of a packet that claims to be longer, no more is there. */
  readonly capturedMax: number;
  readonly flows: FlowTable;
  /** Where the packets of the tree go, and the side they came in by. */
  readonly direction: Direction;
  readonly port: number;
  /** What the worker hashes devices with. */
  readonly seed: number;
}

/** The bytes of the packets that one tree of a worker has queued. */
export class UmemFrames implements QueuedFrames {
  private readonly view: DataView;
  private readonly words: Int32Array;
  private readonly capturedMax: number;
  private readonly flows: FlowTable;
  private readonly direction: Direction;
  private readonly port: number;
  private readonly seed: number;
  /** The worker's own parser counts packets, and its batch is in use; these are for one packet that moves. */
  private readonly parser: Parser;
  private readonly batch = new batchLayout.PacketBatch();

  constructor(options: UmemFramesOptions) {
    const { umem } = options;
    this.view = new DataView(umem.buffer, umem.byteOffset, umem.byteLength);
    this.words = options.pool.words;
    this.capturedMax = options.capturedMax;
    this.flows = options.flows;
    this.direction = options.direction;
    this.port = options.port;
    this.seed = options.seed | 0;
    this.parser = new Parser(umem);
  }

  markCe(packet: number): boolean {
    const at = this.addrOf(packet);
    const header = ipHeaderAt(this.view, at, this.capturedOf(packet));
    if (header < 0) return false;
    const trafficClass = trafficClassOf(this.view, at, header);
    const ecn = trafficClass & ECN_MASK;
    if (ecn === 0) return false;
    if (ecn !== ECN_CE) setTrafficClass(this.view, at, header, trafficClass | ECN_CE);
    return true;
  }

  dscp(packet: number): number {
    const at = this.addrOf(packet);
    const header = ipHeaderAt(this.view, at, this.capturedOf(packet));
    return header < 0 ? 0 : trafficClassOf(this.view, at, header) >>> DSCP_SHIFT;
  }

  wash(packet: number): void {
    const at = this.addrOf(packet);
    const header = ipHeaderAt(this.view, at, this.capturedOf(packet));
    if (header < 0) return;
    const trafficClass = trafficClassOf(this.view, at, header);
    const washed = trafficClass & ECN_MASK;
    if (washed !== trafficClass) setTrafficClass(this.view, at, header, washed);
  }

  /** What the flow table hashes it to; 0 for a packet without a key, which is never queued. */
  flowHash(packet: number): number {
    if (this.parse(packet) === KIND_UNKNOWN) return 0;
    this.flows.hashBatch(this.batch, 1, this.port);
    return this.batch.hash[0]!;
  }

  deviceHash(packet: number): number {
    return deviceHashOf(this.batch.key, 0, this.parse(packet), this.direction, this.seed);
  }

  /** Leaves the key words in slot 0; returns the kind. */
  private parse(packet: number): number {
    const { batch } = this;
    batch.addr[0] = this.addrOf(packet);
    batch.capturedBytes[0] = this.capturedOf(packet);
    this.parser.parse(batch, 1);
    return batch.kind[0]!;
  }

  private addrOf(packet: number): number {
    return this.words[(packet << Packet.SHIFT) + Packet.ADDR]!;
  }

  /** What the worker's parser was told. */
  private capturedOf(packet: number): number {
    const lenBytes = this.words[(packet << Packet.SHIFT) + Packet.LEN_BYTES]!;
    return lenBytes < this.capturedMax ? lenBytes : this.capturedMax;
  }
}
