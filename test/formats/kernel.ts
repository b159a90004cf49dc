/**
 * What the kernel knows of a device's HTB classes, by rtnetlink: exact, where tc prints rounded rates. Run in a namespace:
 *
 *   node kernel.js show DEVICE                 prints a KernelClass[] as JSON
 *   node kernel.js send DEVICE FAMILY HEX …    sends IP packets, each with such an address at source and destination
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

export interface KernelClass {
  readonly classid: number;
  /** 0xffffffff at a root */
  readonly parent: number;
  /** bytes per second */
  readonly rate: number;
  readonly ceil: number;
  /** in the kernel's ticks of 64 ns at that rate */
  readonly burstTicks: number;
  readonly cburstTicks: number;
  readonly quantum: number;
  readonly prio: number;
  readonly overhead: number;
  readonly mpu: number;
  /** sent and waiting */
  readonly packets: number;
}

export const KERNEL_PROGRAM = fileURLToPath(import.meta.url);

interface Libc {
  socket(family: number, type: number, protocol: number): number;
  sendto(fd: number, data: Buffer, size: number, flags: number, to: Buffer | null, toSize: number): number;
  recv(fd: number, data: Buffer, size: number, flags: number): number;
}

const AF_NETLINK = 16;
const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const RTM_NEWTCLASS = 40;
const RTM_GETTCLASS = 42;
const NLMSG_DONE = 3;
const NLM_F_REQUEST_DUMP = 0x301;
const HEADER_BYTES = 16;
const TCMSG_BYTES = 20;
const PACKETS_PER_SOCKET = 64;

function libc(): Libc {
  const ffi = createRequire(import.meta.url)('ffi-napi') as {
    Library(name: null, functions: Record<string, readonly [string, readonly string[]]>): Libc;
  };
  return ffi.Library(null, {
    socket: ['int', ['int', 'int', 'int']],
    sendto: ['long', ['int', 'pointer', 'size_t', 'int', 'pointer', 'int']],
    recv: ['long', ['int', 'pointer', 'size_t', 'int']],
  });
}

function indexOf(device: string): number {
  return Number(readFileSync(`/sys/class/net/${device}/ifindex`, 'utf8'));
}

function show(device: string): KernelClass[] {
  const calls = libc();
  const fd = calls.socket(AF_NETLINK, SOCK_RAW, 0);
  const request = Buffer.alloc(HEADER_BYTES + TCMSG_BYTES);
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(RTM_GETTCLASS, 4);
  request.writeUInt16LE(NLM_F_REQUEST_DUMP, 6);
  request.writeInt32LE(indexOf(device), HEADER_BYTES + 4);
  if (calls.sendto(fd, request, request.length, 0, null, 0) < 0) throw new Error('cannot ask the kernel');
  const classes: KernelClass[] = [];
  const answer = Buffer.alloc(1 << 16);
  for (;;) {
    const size = calls.recv(fd, answer, answer.length, 0);
    if (size <= 0) throw new Error('the kernel does not answer');
    for (let at = 0; at < size; at += (answer.readUInt32LE(at) + 3) & ~3) {
      const type = answer.readUInt16LE(at + 4);
      if (type === NLMSG_DONE) return classes;
      if (type !== RTM_NEWTCLASS) throw new Error(`the kernel answers with message ${type}`);
      classes.push(classOf(answer.subarray(at + HEADER_BYTES, at + answer.readUInt32LE(at))));
    }
  }
}

function classOf(message: Buffer): KernelClass {
  const options = attributes(message.subarray(TCMSG_BYTES)).get(2)!;
  const stats = attributes(attributes(message.subarray(TCMSG_BYTES)).get(7)!);
  const htb = attributes(options);
  const parameters = htb.get(1)!;
  const wide = (type: number, narrow: number): number => {
    const value = htb.get(type);
    return value === undefined ? narrow : Number(value.readBigUInt64LE(0));
  };
  return {
    classid: message.readUInt32LE(8),
    parent: message.readUInt32LE(12),
    overhead: parameters.readUInt16LE(2),
    mpu: parameters.readUInt16LE(6),
    rate: wide(6, parameters.readUInt32LE(8)),
    ceil: wide(7, parameters.readUInt32LE(20)),
    burstTicks: parameters.readUInt32LE(24),
    cburstTicks: parameters.readUInt32LE(28),
    quantum: parameters.readUInt32LE(32),
    prio: parameters.readUInt32LE(40),
    packets: stats.get(1)!.readUInt32LE(8) + stats.get(3)!.readUInt32LE(0),
  };
}

function attributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; at += (bytes.readUInt16LE(at) + 3) & ~3) {
    found.set(bytes.readUInt16LE(at + 2) & 0x3fff, bytes.subarray(at + 4, at + bytes.readUInt16LE(at)));
  }
  return found;
}

function send(device: string, packets: readonly string[]): void {
  const calls = libc();
  let fd = -1;
  const to = Buffer.alloc(20);
  to.writeUInt16LE(AF_PACKET, 0);
  to.writeInt32LE(indexOf(device), 4);
  to.writeUInt8(6, 11);
  for (const [index, hex] of packets.entries()) {
    // What waits in a slow class fills its socket's buffer, and the next packet would wait for it.
    if (index % PACKETS_PER_SOCKET === 0) fd = calls.socket(AF_PACKET, SOCK_DGRAM, 0);
    const address = Buffer.from(hex, 'hex');
    const packet = address.length === 4 ? packet4(address) : packet6(address);
    to.writeUInt16BE(address.length === 4 ? 0x0800 : 0x86dd, 2);
    if (calls.sendto(fd, packet, packet.length, 0, to, to.length) < 0)
      throw new Error(`cannot send on ${device}`);
  }
}

/** The checksum stays 0: nobody between here and the queue looks at it. */
function packet4(address: Buffer): Buffer {
  const packet = Buffer.alloc(28);
  packet.set([0x45, 0, 0, packet.length, 0, 0, 0, 0, 64, 17]);
  packet.set(address, 12);
  packet.set(address, 16);
  return packet;
}

function packet6(address: Buffer): Buffer {
  const packet = Buffer.alloc(48);
  packet.set([0x60, 0, 0, 0, 0, 8, 17, 64]);
  packet.set(address, 8);
  packet.set(address, 24);
  return packet;
}

if (process.argv[1] === KERNEL_PROGRAM) {
  const [, , verb, device, ...rest] = process.argv;
  if (verb === 'show') process.stdout.write(JSON.stringify(show(device!)));
  else send(device!, rest);
}
