/**
 * The frames of the simulation: real headers, so that the worker parses and classifies as it does on the wire,
 * and only the first bytes of each packet in memory.
 *
 * Every class that has flows is given addresses of its own instead of its own matches. So a scenario need not
 * say what its classes match, and classes that match whole prefixes are no different from others.
 */
import type { ClassTree } from '../../classes/model.js';
import { type PrefixSpec, parsePrefix } from '../../classes/prefix.js';
import { writeFrame } from '../dataplane/frame-builder.js';
import { Direction } from '../shm/tree-layout.js';
import type { FlowSpec } from './scenario.js';

/** Entries of each ring, the usual size of a network card's. */
export const RING_SIZE = 2048;
/** Frames of a worker: enough to fill its rings of both ports, and what can be held in memory. */
export const FRAMES_MIN = 4 * RING_SIZE;
export const FRAMES_MAX = 2 ** 22;

/**
 * A frame slot, one cache line: the head of a packet, whose full length the descriptor carries, and behind it
 * what the simulator wants to know when the packet leaves.
 *
 *   0 Ethernet, IPv4 and UDP headers, 42 bytes | 48 time of arrival, float64 | 56 flow, int32 | 60 header, int32
 */
export const enum Slot {
  BYTES_SHIFT = 6,
  BYTES = 1 << BYTES_SHIFT,
  HEADER_WORDS = 11,
  /** Int32 indexes in the slot: number in the scenario's list, and which of the queue's headers the packet has. */
  FLOW = 14,
  HEADER = 15,
  /** Byte in the slot that ends in the ECN field. */
  TRAFFIC_CLASS_BYTE = 15,
}
export const enum SlotDouble {
  /** Float64 index in the slot. */
  ARRIVED_NS = 6,
}
/** Values of the ECN field, RFC 3168. */
export const enum Ecn {
  ECT_0 = 2,
  CE = 3,
  MASK = 3,
}
/** Words from one header to the next one. */
export const HEADER_STRIDE_SHIFT = 4;

const SUBSCRIBERS = 0x0a000000;
const REMOTE_HOSTS = 0x64000000;
const FRAME_MAX_BYTES = 16384;

/** Where the classes with flows have their devices: each in a block that is a prefix, one address where it has one. */
export class Subscribers {
  private readonly first: Float64Array;
  private readonly bits: Uint8Array;

  constructor(flows: readonly FlowSpec[], classNumbers: ReadonlyMap<string, number>) {
    const devices = new Int32Array(classNumbers.size).fill(1);
    for (const { classId, firstDevice, devices: count } of flows) {
      const number = classNumbers.get(classId)!;
      devices[number] = Math.max(devices[number]!, firstDevice + count);
    }
    this.first = new Float64Array(devices.length);
    this.bits = Uint8Array.from(devices, (count) => 32 - Math.clz32(count - 1));
    let next = SUBSCRIBERS;
    for (let number = 0; number < devices.length; number++) {
      const size = 2 ** this.bits[number]!;
      this.first[number] = Math.ceil(next / size) * size;
      next = this.first[number]! + size;
    }
  }

  /** The address of a device of a class, as one number. */
  address(classNumber: number, device: number): number {
    return this.first[classNumber]! + device;
  }

  prefix(classNumber: number): PrefixSpec {
    const address = this.first[classNumber]!;
    const bytes = [address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255];
    const parsed = parsePrefix(`${bytes.join('.')}/${32 - this.bits[classNumber]!}`);
    if (typeof parsed === 'string') throw new TypeError(parsed);
    return parsed.prefix;
  }
}

/** `tree` with the simulated prefix as the one match of each class in `classNumbers`, and no other matches. */
export function withSimulatedMatches(
  tree: ClassTree,
  classNumbers: ReadonlyMap<string, number>,
  subscribers: Subscribers,
): ClassTree {
  const classes = tree.classes.map((spec) => {
    const number = classNumbers.get(spec.id);
    return { ...spec, match: number === undefined ? [] : [subscribers.prefix(number)] };
  });
  return { ...tree, classes };
}

/** What the packets of a queue's sources begin with. */
export interface Headers {
  /** `1 << HEADER_STRIDE_SHIFT` words a header. */
  readonly words: Int32Array;
  /** By source its first header, and behind the last source their number. */
  readonly first: Int32Array;
}

/**
 * A header for each 5-tuple of each source of a queue: UDP between a device of its class and a remote host that no
 * other flow of the scenario has.
 */
export function buildHeaders(
  flows: readonly FlowSpec[],
  flowOf: Int32Array,
  classNumbers: ReadonlyMap<string, number>,
  subscribers: Subscribers,
  queue: number,
): Headers {
  const first = new Int32Array(flowOf.length + 1);
  for (let source = 0; source < flowOf.length; source++)
    first[source + 1] = first[source]! + flows[flowOf[source]!]!.tuples;
  const words = new Int32Array(first[flowOf.length]! << HEADER_STRIDE_SHIFT);
  const frame = new Uint8Array(FRAME_MAX_BYTES);
  const head = new Int32Array(frame.buffer, 0, Slot.HEADER_WORDS);
  for (let source = 0; source < flowOf.length; source++) {
    const number = flowOf[source]!;
    const flow = flows[number]!;
    const remote = REMOTE_HOSTS + number;
    const isDown = flow.direction === Direction.DOWN;
    for (let tuple = 0; tuple < flow.tuples; tuple++) {
      const device = flow.firstDevice + (tuple % flow.devices);
      const subscriber = subscribers.address(classNumbers.get(flow.classId)!, device);
      writeFrame(frame, 0, {
        src: isDown ? remote : subscriber,
        dst: isDown ? subscriber : remote,
        protocol: 'udp',
        sport: 1024 + queue,
        dport: 443 + tuple,
        frameBytes: flow.sizeBytes,
        ecn: flow.ecn ? Ecn.ECT_0 : 0,
        dscp: flow.dscp,
      });
      words.set(head, (first[source]! + tuple) << HEADER_STRIDE_SHIFT);
    }
  }
  return { words, first };
}
