/** Captures: every kind read as it was written, broken ones refused with their offset, and on the wire what is in the file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { replay, writeFrames } from '../../bench/generate.js';
import { readCapture } from '../../bench/generate-capture.js';
import { buildPeers } from '../../bench/inline-net.js';
import { WeirError } from '../../src/errors.js';
import { seededRandom } from '../classes/random.js';
import { deleteNamespace, inNamespace } from '../netns/namespaces.js';
import { Program } from '../netns/program.js';
import { makeCable, whyNoPeers } from './generate-rig.js';
import {
  block,
  enhanced,
  interfaceBlock,
  type Order,
  pcap,
  section,
  simple,
  Writer,
  type WrittenFrame,
} from './pcap-files.js';

const test = suite('captures');
const START_NS = 1_700_000_000_000_000_000n;
const RECORD_BYTES = 16;
/** Between what the sender says of its own lateness, which a busy machine causes, and what is seen at the other end. */
const OFF_MAX_MS = 1;

const folder = mkdtempSync(join(tmpdir(), 'weir-pcap-'));
let written = 0;

function fileOf(bytes: Buffer): string {
  const path = join(folder, `${written++}.pcap`);
  writeFileSync(path, bytes);
  return path;
}

function read(bytes: Buffer): WrittenFrame[] {
  return [...readCapture(fileOf(bytes))].map((frame) => ({ ...frame, bytes: Buffer.from(frame.bytes) }));
}

/** Frames of random sizes and bytes, from one to some thousand microseconds apart. */
function randomFrames(count: number, bytesMax = 1514): WrittenFrame[] {
  const random = seededRandom(`a capture of ${count}`);
  let atNs = START_NS;
  return Array.from({ length: count }, () => {
    atNs += BigInt(1 + Math.floor(random() * 2000)) * 1000n;
    const bytes = Buffer.alloc(60 + Math.floor(random() * (bytesMax - 59)));
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(random() * 256);
    return { atNs, bytes, wireBytes: bytes.length };
  });
}

const ORDERS: readonly (readonly [string, Order])[] = [
  ['little endian', { isLittle: true }],
  ['big endian', { isLittle: false }],
];

for (const [name, order] of ORDERS) {
  for (const isNano of [false, true]) {
    test(`pcap, ${name}, ${isNano ? 'nano' : 'micro'}seconds`, () => {
      // More than one piece of the file.
      const frames = randomFrames(2000);
      if (isNano) frames.push({ atNs: START_NS + 10_000_000_007n, bytes: Buffer.alloc(60), wireBytes: 90 });
      assert.equal(read(pcap(frames, { ...order, isNano })), frames);
    });
  }

  test(`pcapng, ${name}: sections, interfaces and all kinds of packets`, () => {
    const [a, b, c] = randomFrames(3).map(({ bytes }) => bytes);
    const other = { isLittle: !order.isLittle };
    const file = Buffer.concat([
      section(order),
      interfaceBlock(order, { snap: 60 }),
      // 2^-20 s from 2020 on, and 10^-9 s.
      interfaceBlock(order, { tsresol: 0x80 | 20, tsoffset: 1_577_836_800n }),
      interfaceBlock(order, { tsresol: 9 }),
      enhanced(order, 0, START_NS / 1000n, a!),
      simple(order, b!.subarray(0, 60), 1000),
      block(order, 0xbad, Buffer.alloc(8)),
      enhanced(order, 1, 3n << 19n, b!, 9000),
      enhanced(order, 2, START_NS + 1n, c!),
      block(order, 2, new Writer(order).u16(2, 99).u32(0, 7, c!.length, c!.length).bytes(c!, 4).buffer),
      // The next section has the other byte order, and interfaces of its own.
      section(other),
      interfaceBlock(other),
      enhanced(other, 0, 5n, a!),
    ]);
    assert.equal(read(file), [
      { atNs: START_NS, bytes: a, wireBytes: a!.length },
      { atNs: START_NS, bytes: b!.subarray(0, 60), wireBytes: 1000 },
      { atNs: 1_577_836_801_500_000_000n, bytes: b, wireBytes: 9000 },
      { atNs: START_NS + 1n, bytes: c, wireBytes: c!.length },
      { atNs: 7n, bytes: c, wireBytes: c!.length },
      { atNs: 5000n, bytes: a, wireBytes: a!.length },
    ]);
  });
}

test('a check sequence behind the frames is left out', () => {
  const order = { isLittle: true };
  const bytes = Buffer.alloc(64, 1);
  const link = (0x24000000 | 1) >>> 0;
  const [frame] = read(pcap([{ atNs: 0n, bytes }], { ...order, isNano: false, link }));
  assert.equal([frame!.bytes.length, frame!.wireBytes], [60, 60]);
});

test('frames for sending begin at 0 and never go back', () => {
  const at = (ns: bigint, wireBytes = 60): WrittenFrame => ({
    atNs: START_NS + ns,
    bytes: Buffer.alloc(60),
    wireBytes,
  });
  const path = fileOf(pcap([at(5n), at(3n), at(9n, 99)], { isLittle: true, isNano: true }));
  const out = join(folder, 'frames');
  assert.equal(writeFrames(path, out), { frames: 3, cutFrames: 1, backwardFrames: 1 });
  assert.equal(
    recordsIn(out).map(({ atNs }) => atNs),
    [0, 0, 4],
  );
});

/** What was written for sending, or recorded. */
function recordsIn(path: string): { atNs: number; bytes: Buffer }[] {
  const file = readFileSync(path);
  const records: { atNs: number; bytes: Buffer }[] = [];
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32LE(at + 8);
    const start = at + RECORD_BYTES;
    records.push({ atNs: Number(file.readBigUInt64LE(at)), bytes: file.subarray(start, start + length) });
    at = start + ((length + 7) & ~7);
  }
  return records;
}

// ---- broken files -----------------------------------------------------------------------------------------

const LITTLE = { isLittle: true };
const WHOLE = pcap(randomFrames(2, 60), { ...LITTLE, isNano: false });
const NEXT = Buffer.concat([
  section(LITTLE),
  interfaceBlock(LITTLE),
  enhanced(LITTLE, 0, 0n, Buffer.alloc(60)),
]);
const INTERFACE_AT = section(LITTLE).length;
const PACKET_AT = INTERFACE_AT + interfaceBlock(LITTLE).length;

function changed(file: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(file);
  copy.writeUInt32LE(value >>> 0, at);
  return copy;
}

const BROKEN: readonly (readonly [string, Buffer, RegExp])[] = [
  ['an empty file', Buffer.alloc(0), /offset 0: the file ends within the first bytes/],
  [
    'a compressed file',
    Buffer.from('1f8b08000000', 'hex'),
    /offset 0: neither pcap nor pcapng: it begins with 1f8b0800/,
  ],
  ['half a header', WHOLE.subarray(0, 10), /offset 0: the file ends within the header/],
  ['version 3', changed(WHOLE, 4, 3), /offset 0: pcap of version 3\.0/],
  ['Wi-Fi', changed(WHOLE, 20, 105), /offset 0: frames of link type 105; only Ethernet/],
  ['half a record header', WHOLE.subarray(0, 110), /offset 100: the file ends within a record's header/],
  ['half a frame', WHOLE.subarray(0, -1), /offset 100: the file ends within a frame/],
  [
    'a second of 2 million microseconds',
    changed(WHOLE, 28, 2_000_000),
    /offset 24: 2000000 is no part of a second/,
  ],
  ['a huge record', changed(WHOLE, 32, 0xffffffff), /offset 24: a record of 4294967295 bytes/],
  ['no frames', WHOLE.subarray(0, 24), /: no frames/],
  ['no byte order', changed(NEXT, 8, 7), /offset 0: 07000000 is not the mark of a byte order/],
  ['a short section', changed(NEXT, 4, 12), /offset 0: a section header of 12 bytes/],
  ['pcapng of version 2', changed(NEXT, 12, 2), /offset 0: pcapng of version 2\.0/],
  ['half a block', NEXT.subarray(0, -8), new RegExp(`offset ${PACKET_AT}: the file ends within a block`)],
  [
    'a crooked block',
    changed(NEXT, PACKET_AT + 4, 13),
    new RegExp(`offset ${PACKET_AT}: a block of 13 bytes`),
  ],
  [
    'two lengths',
    changed(NEXT, NEXT.length - 4, 8),
    new RegExp(`offset ${PACKET_AT}: a block of 104 bytes ends with the length 8`),
  ],
  ['a stranger', changed(NEXT, PACKET_AT + 8, 1), new RegExp(`offset ${PACKET_AT}: a packet of interface 1`)],
  [
    'too much captured',
    changed(NEXT, PACKET_AT + 20, 99),
    new RegExp(`offset ${PACKET_AT}: 99 bytes captured in a block with room for 72`),
  ],
  [
    'a bad option',
    changed(NEXT, INTERFACE_AT + 16, 0xffff0002),
    new RegExp(`offset ${INTERFACE_AT}: option 2 of an interface has 65535 bytes`),
  ],
  [
    'a packet without room',
    Buffer.concat([NEXT, block(LITTLE, 6, Buffer.alloc(8))]),
    new RegExp(`offset ${NEXT.length}: a block too short for what it is, by 12 bytes`),
  ],
  [
    'a time out of all bounds',
    Buffer.concat([
      section(LITTLE),
      interfaceBlock(LITTLE, { tsresol: 0 }),
      enhanced(LITTLE, 0, 1n << 60n, Buffer.alloc(60)),
    ]),
    /offset \d+: a time of 1152921504606846976 s/,
  ],
];

for (const [name, file, message] of BROKEN) {
  test(`${name} is refused`, () => {
    try {
      writeFrames(fileOf(file), join(folder, 'frames'));
      assert.unreachable();
    } catch (error) {
      assert.ok(error instanceof WeirError, String(error));
      assert.equal([error.code, error.exitCode], ['E_CAPTURE', 2]);
      assert.match(error.message, message);
    }
  });
}

test('any file that was cut or changed is refused or read, and nothing else', () => {
  const random = seededRandom('broken captures');
  const files = [WHOLE, NEXT, pcap(randomFrames(3, 80), { isLittle: false, isNano: true })];
  for (let round = 0; round < 3000; round++) {
    const copy = Buffer.from(files[round % files.length]!);
    for (let i = 0; i < 3; i++) copy[Math.floor(random() * copy.length)] = Math.floor(random() * 256);
    const cut = copy.subarray(0, Math.ceil(random() * 1.5 * copy.length));
    try {
      read(cut);
    } catch (error) {
      assert.ok(error instanceof WeirError && error.code === 'E_CAPTURE', String(error));
    }
  }
});

// ---- on the wire ------------------------------------------------------------------------------------------

const why = whyNoPeers();
if (why !== null) {
  console.log(`skipped: captures on the wire: ${why}`);
  test.skip(`captures on the wire: ${why}`, () => {});
} else {
  test.before(() => buildPeers());
  for (const [speed, loop] of [
    [1, 1],
    [4, 3],
  ] as const) {
    test(`the bytes and the spacing of a capture come out, speed ${speed}, ${loop} times`, async () => {
      const cable = makeCable('pcap');
      try {
        // What would merge frames of one flow is not part of a wire.
        inNamespace(cable.far, 'ethtool', ['-K', 'far0', 'gro', 'off']);
        const frames = randomFrames(300);
        const path = fileOf(pcap(frames, { isLittle: true, isNano: true }));
        const out = join(folder, 'recorded');
        const record = new Program(cable.far, 'record', ['far0', out, '--count', String(300 * loop)]);
        await record.ready();
        const options = { device: 'near0', namespace: cable.near, force: false, seconds: 10, count: 1e9 };
        const result = await replay({ ...options, pcap: path, speed, loop });
        assert.equal(await record.result(), { frames: 300 * loop, dropped: 0 });
        const { sent, failed, loops, isWhole } = result;
        assert.equal([sent, failed, loops, isWhole], [300 * loop, 0, loop, true]);
        const recorded = recordsIn(out);
        const spanNs = Number(frames.at(-1)!.atNs - frames[0]!.atNs);
        const periodNs = spanNs + Math.floor(spanNs / 299);
        const offsMs = recorded.map(({ atNs, bytes }, i) => {
          const frame = frames[i % 300]!;
          assert.ok(bytes.equals(frame.bytes), `the bytes of frame ${i}`);
          const dueNs = (Number(frame.atNs - frames[0]!.atNs) + Math.floor(i / 300) * periodNs) / speed;
          return (atNs - dueNs) / 1e6;
        });
        // All are counted from the first, which may have been late itself.
        const earliestMs = Math.min(...offsMs);
        const offMs = offsMs.reduce((sum, ms) => sum + ms - earliestMs, 0) / offsMs.length;
        const lateMs = result.lateUs.mean / 1000;
        console.log(
          `speed ${speed}: off by ${offMs.toFixed(3)} ms, of which the sender's ${lateMs.toFixed(3)}`,
        );
        assert.ok(Math.abs(offMs - lateMs) < OFF_MAX_MS, `${offMs} ms`);
      } finally {
        for (const namespace of [cable.near, cable.far]) deleteNamespace(namespace);
      }
    });
  }

  test('a count ends it, and frames that are too long are told of', async () => {
    const cable = makeCable('pcapc');
    try {
      const frames = [...randomFrames(9), { atNs: START_NS + 1_000_000_000n, bytes: Buffer.alloc(1515) }];
      const path = fileOf(pcap(frames, { isLittle: true, isNano: true }));
      const options = { device: 'near0', namespace: cable.near, force: false, seconds: 10, speed: 100 };
      const all = await replay({ ...options, pcap: path, loop: 2, count: 1e9 });
      assert.equal([all.frames, all.sent, all.failed, all.isWhole], [10, 18, 2, true]);
      const some = await replay({ ...options, pcap: path, loop: 2, count: 13 });
      assert.equal([some.sent, some.failed, some.loops, some.isWhole], [12, 1, 1, false]);
    } finally {
      for (const namespace of [cable.near, cable.far]) deleteNamespace(namespace);
    }
  });
}

test.after(() => rmSync(folder, { recursive: true }));
test.run();
