/**
 * The frames of the simulation: real headers, so that the worker parses and classifies as it does on the wire,
 * and only the first bytes of each packet in memory.
 *
 * Every class that has flows is given an address of its own instead of its own matches. So a scenario need not
 * say what its classes match, and classes that match whole prefixes are no different from others.
 */
import type { ClassTree } from '../../classes/model.js';
import { parsePrefix } from '../../classes/prefix.js';
import { writeFrame } from '../dataplane/frame-builder.js';
import { Direction } from '../shm/tree-layout.js';
import type { FlowSpec } from './scenario.js';

/**
 * A frame slot, one cache line: the head of a packet, whose full length the descriptor carries, and behind it
 * what the simulator wants to know when the packet leaves.
 *
 *   0 Ethernet, IPv4 and UDP headers, 42 bytes | 48 time of arrival, float64 | 56 meter, int32
 */
export const enum Slot {
  BYTES_SHIFT = 6,
  BYTES = 1 << BYTES_SHIFT,
  HEADER_WORDS = 11,
  /** Int32 index in the slot. */
  METER = 14,
}
export const enum SlotDouble {
  /** Float64 index in the slot. */
  ARRIVED_NS = 6,
}
/** Words from one source's headers to the next one's. */
export const HEADER_STRIDE_SHIFT = 4;

const SUBSCRIBERS = 0x0a000000;
const REMOTE_HOSTS = 0x64000000;
const FRAME_MAX_BYTES = 16384;

/** The address of the class that flows to it bear, as one number. */
export function addressOf(meterClass: number): number {
  return SUBSCRIBERS + meterClass;
}

/** `tree` with the simulated address as the one match of each class in `classNumbers`, and no other matches. */
export function withSimulatedMatches(tree: ClassTree, classNumbers: ReadonlyMap<string, number>): ClassTree {
  const classes = tree.classes.map((spec) => {
    const number = classNumbers.get(spec.id);
    return { ...spec, match: number === undefined ? [] : [hostPrefix(addressOf(number))] };
  });
  return { ...tree, classes };
}

/**
 * Headers of a queue's sources, `1 << HEADER_STRIDE_SHIFT` words each. Every source is one UDP flow between its
 * class's address and a remote host of its own.
 */
export function buildHeaders(
  flows: readonly FlowSpec[],
  flowOf: Int32Array,
  classNumbers: ReadonlyMap<string, number>,
  queue: number,
): Int32Array {
  const headers = new Int32Array(flowOf.length << HEADER_STRIDE_SHIFT);
  const frame = new Uint8Array(FRAME_MAX_BYTES);
  const words = new Int32Array(frame.buffer, 0, Slot.HEADER_WORDS);
  for (let source = 0; source < flowOf.length; source++) {
    const number = flowOf[source]!;
    const flow = flows[number]!;
    const subscriber = addressOf(classNumbers.get(flow.classId)!);
    const remote = REMOTE_HOSTS + number;
    const isDown = flow.direction === Direction.DOWN;
    writeFrame(frame, 0, {
      src: isDown ? remote : subscriber,
      dst: isDown ? subscriber : remote,
      protocol: 'udp',
      sport: 1024 + queue,
      dport: 443,
      frameBytes: flow.sizeBytes,
    });
    headers.set(words, source << HEADER_STRIDE_SHIFT);
  }
  return headers;
}

function hostPrefix(address: number) {
  const text = `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
  const parsed = parsePrefix(text);
  if (typeof parsed === 'string') throw new TypeError(parsed);
  return parsed.prefix;
}
