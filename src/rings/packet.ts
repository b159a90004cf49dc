/**
 * The backend `packet`: the rings of one queue of both ports over AF_PACKET sockets, for devices without XDP and for
 * old kernels. See native/packet.c for how, and for what it asks of the devices.
 */
import { usageError } from '../errors.js';
import type { WorkerIo } from './io.js';
import {
  checkIoSizes,
  type IoSizes,
  loadNative,
  NativeErrorText,
  nativeIo,
  regionsBuffer,
} from './native.js';

export interface PacketIoOptions extends IoSizes {
  /** Device names. */
  readonly inside: string;
  readonly outside: string;
  /** 0 … `queues` − 1. Queue 0 claims the devices for this process. */
  readonly queue: number;
  /** How many share the packets of each port; the kernel keeps a flow, both ways, on one of them. */
  readonly queues: number;
}

/** The kernel numbers the members of a fanout group with a byte. */
const QUEUES_MAX = 256;
/** A device's name in the kernel, with the zero at its end. */
const DEVICE_NAME_BYTES = 16;

/**
 * Rings for the calling thread. Frames arrive from `start` on; queues that have started share what arrives, so a queue
 * whose worker ended leaves its share to the others. Nothing crosses while no queue runs.
 * Throws `E_DEVICE`, `E_QUEUES`, `E_BUSY`, `E_PRIVILEGE`, `E_PACKET`, `E_MEMORY`, `E_FRAMES`, `E_RING_SIZE` or `E_NATIVE`.
 */
export function openPacketIo(options: PacketIoOptions): WorkerIo {
  checkIoSizes(options);
  const { inside, outside, queue, queues } = options;
  if (!(Number.isInteger(queues) && queues > 0 && queues <= QUEUES_MAX)) {
    throw usageError('E_QUEUES', `${queues} queues: must be 1 to ${QUEUES_MAX}`);
  }
  if (!(Number.isInteger(queue) && queue >= 0 && queue < queues)) {
    throw usageError('E_QUEUES', `queue ${queue}: must be 0 to ${queues - 1}`);
  }
  const names = [deviceName(inside), deviceName(outside)] as const;
  const native = loadNative();
  const error = new NativeErrorText();
  const regions = regionsBuffer();
  const handle = native
    .function('weir_io_open_packet', 'pointer', [
      'pointer',
      'pointer',
      'uint32',
      'uint32',
      'uint32',
      'uint32',
      'uint32',
      'pointer',
      'pointer',
      'uint32',
    ])
    .callPointer(
      names[0],
      names[1],
      queue,
      queues,
      options.frames,
      options.frameBytes,
      options.ringSize,
      regions,
      error.buffer,
      error.bytes,
    );
  if (handle === 0n) throw error.toError();
  return nativeIo(native, handle, regions, options);
}

function deviceName(name: string): Buffer {
  const text = Buffer.from(`${name}\0`);
  if (name === '' || text.length > DEVICE_NAME_BYTES || name.includes('\0')) {
    throw usageError('E_DEVICE', `'${name}' is not the name of a device`);
  }
  return text;
}
