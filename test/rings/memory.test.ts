import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WeirError } from '../../src/errors.js';
import { countFrames, MemoryPort } from '../../src/rings/memory.js';
import { randomInts } from './random.js';

const FRAME_BYTES = 2048;

function giveFrames(port: MemoryPort, firstFrame: number, count: number): void {
  const fill = port.rings.fill;
  assert.is(fill.reserve(count), count);
  for (let i = 0; i < count; i++) fill.write(fill.cachedProd + i, (firstFrame + i) * FRAME_BYTES);
  fill.submit(count);
}

const port = suite('memory port');

port('a frame goes fill → RX → TX → completion', () => {
  const memoryPort = new MemoryPort({ ringSize: 4 });
  const { rings, nic } = memoryPort;
  assert.is(nic.nextFillAddr(), -1, 'no frame to receive into');
  giveFrames(memoryPort, 3, 1);
  assert.equal(countFrames(memoryPort), { rx: 0, tx: 0, fill: 1, completion: 0, nic: 0, total: 1 });

  const addr = nic.nextFillAddr();
  assert.is(addr, 3 * FRAME_BYTES);
  assert.is(nic.pushRx(addr + 256, 60), true);
  assert.is(nic.nextFillAddr(), -1);
  assert.equal(countFrames(memoryPort), { rx: 1, tx: 0, fill: 0, completion: 0, nic: 0, total: 1 });

  assert.is(rings.rx.peek(64), 1);
  assert.is(rings.rx.addrAt(rings.rx.cachedCons), addr + 256);
  assert.is(rings.rx.lenAt(rings.rx.cachedCons), 60);
  rings.rx.release(1);
  assert.is(nic.takeTx(), false, 'nothing to send');
  rings.tx.reserve(1);
  rings.tx.write(rings.tx.cachedProd, addr + 256, 60);
  rings.tx.submit(1);
  assert.equal(countFrames(memoryPort), { rx: 0, tx: 1, fill: 0, completion: 0, nic: 0, total: 1 });

  assert.is(nic.takeTx(), true);
  assert.is(nic.txAddr, addr + 256);
  assert.is(nic.txLen, 60);
  assert.equal(countFrames(memoryPort), { rx: 0, tx: 0, fill: 0, completion: 0, nic: 1, total: 1 });
  assert.is(nic.complete(nic.txAddr), true);
  assert.equal(countFrames(memoryPort), { rx: 0, tx: 0, fill: 0, completion: 1, nic: 0, total: 1 });
  assert.is(rings.completion.peek(64), 1);
  assert.is(rings.completion.addrAt(rings.completion.cachedCons), addr + 256);
});

port('a full RX ring refuses and the frame stays where it was', () => {
  const memoryPort = new MemoryPort({ ringSize: 2 });
  const { rings, nic } = memoryPort;
  giveFrames(memoryPort, 0, 2);
  while (nic.nextFillAddr() >= 0) assert.is(nic.pushRx(nic.nextFillAddr(), 64), true);
  giveFrames(memoryPort, 2, 2);
  assert.is(nic.nextFillAddr(), 2 * FRAME_BYTES);
  assert.is(nic.pushRx(2 * FRAME_BYTES, 64), false);
  assert.is(nic.nextFillAddr(), 2 * FRAME_BYTES);
  assert.equal(countFrames(memoryPort), { rx: 2, tx: 0, fill: 2, completion: 0, nic: 0, total: 4 });
  rings.rx.peek(1);
  rings.rx.release(1);
  assert.is(nic.pushRx(2 * FRAME_BYTES, 64), true);
});

port('a full completion ring refuses and the card holds the frame', () => {
  const memoryPort = new MemoryPort({ ringSize: 1 });
  const { rings, nic } = memoryPort;
  for (const addr of [0, FRAME_BYTES]) {
    assert.is(rings.tx.reserve(1), 1);
    rings.tx.write(rings.tx.cachedProd, addr, 64);
    rings.tx.submit(1);
    assert.is(nic.takeTx(), true);
    assert.is(nic.complete(addr), addr === 0);
  }
  assert.equal(countFrames(memoryPort), { rx: 0, tx: 0, fill: 0, completion: 1, nic: 1, total: 2 });
  rings.completion.peek(1);
  rings.completion.release(1);
  assert.is(nic.complete(FRAME_BYTES), true);
  assert.is(nic.framesHeld, 0);
});

port('a reception without a fill entry is a broken card', () => {
  const memoryPort = new MemoryPort({ ringSize: 2 });
  let code = 'nothing thrown';
  try {
    memoryPort.nic.pushRx(0, 64);
  } catch (error) {
    code = (error as WeirError).code;
  }
  assert.is(code, 'E_RING_OVERRUN');
  assert.is(memoryPort.rings.rx.peek(1), 0);
});

port('index words of different writers are 128 bytes apart, rings do not overlap', () => {
  const ringSize = 8;
  const memoryPort = new MemoryPort({ ringSize, firstIndex: 0x01020304 });
  const words = new Int32Array(memoryPort.memory);
  const indexBytes: number[] = [];
  for (const [i, word] of words.entries()) if (word === 0x01020304) indexBytes.push(4 * i);
  assert.is(indexBytes.length, 8);
  for (let i = 1; i < indexBytes.length; i++) assert.ok(indexBytes[i]! - indexBytes[i - 1]! >= 128);

  const { rings, nic } = memoryPort;
  const rubbish = -2;
  for (const end of [nic.rx, rings.tx]) {
    for (let i = 0; i < ringSize; i++) end.write(i, rubbish, rubbish);
  }
  for (const end of [rings.fill, nic.completion]) {
    for (let i = 0; i < ringSize; i++) end.write(i, rubbish);
  }
  const nearEntries = words.filter(
    (word, i) => word === rubbish && indexBytes.some((b) => Math.abs(b - 4 * i) < 128),
  );
  assert.is(nearEntries.length, 0, 'no entry within 128 bytes of an index word');
  assert.is(
    words.filter((word) => word === rubbish).length,
    2 * ringSize * 2 + 2 * ringSize,
    'each entry has its own place',
  );
  assert.is(words.filter((word) => word === 0x01020304).length, 8, 'and no entry lies over an index word');
});

port('a second port over the same memory sees the first', () => {
  const made = new MemoryPort({ ringSize: 4, shared: true, firstIndex: 0xffffffff });
  assert.instance(made.memory, SharedArrayBuffer);
  giveFrames(made, 0, 3);
  const attached = new MemoryPort({ ringSize: 4, memory: made.memory });
  assert.is(attached.nic.nextFillAddr(), 0);
  assert.is(attached.nic.pushRx(0, 99), true);
  assert.is(made.rings.rx.peek(4), 1);
  assert.is(made.rings.rx.lenAt(made.rings.rx.cachedCons), 99);
  assert.is(countFrames(made).total, 3);
});

port('bad sizes and short memory are refused', () => {
  const code = (run: () => unknown): string => {
    try {
      run();
    } catch (error) {
      return error instanceof WeirError ? `${error.code} ${error.exitCode}` : String(error);
    }
    return 'nothing thrown';
  };
  assert.is(
    code(() => new MemoryPort({ ringSize: 3 })),
    'E_RING_SIZE 2',
  );
  const { memory } = new MemoryPort({ ringSize: 4 });
  assert.is(
    code(() => new MemoryPort({ ringSize: 64, memory })),
    'E_RING_VIEWS 1',
  );
});

/** Random steps of both sides; every frame is in exactly one place and every ring is first in, first out. */
function runConservation(seed: number, ringSize: number, frames: number, steps: number): void {
  const random = randomInts(seed);
  const memoryPort = new MemoryPort({ ringSize, firstIndex: 0xfffffff0 });
  const { rings, nic } = memoryPort;
  const free = Array.from({ length: frames }, (_, i) => i * FRAME_BYTES);
  const expected = {
    fill: [] as number[],
    rx: [] as number[],
    tx: [] as number[],
    completion: [] as number[],
  };
  const queued: number[] = [];
  const held: number[] = [];
  const actions = [
    () => {
      if (free.length === 0 || rings.fill.reserve(1) === 0) return;
      const addr = free.pop()!;
      rings.fill.write(rings.fill.cachedProd, addr);
      rings.fill.submit(1);
      expected.fill.push(addr);
    },
    () => {
      const addr = nic.nextFillAddr();
      assert.is(addr, expected.fill[0] ?? -1);
      if (addr < 0) return;
      const hasRoom = expected.rx.length < ringSize;
      assert.is(nic.pushRx(addr, addr / FRAME_BYTES), hasRoom);
      if (hasRoom) expected.rx.push(expected.fill.shift()!);
    },
    () => {
      const count = rings.rx.peek(1 + random(4));
      for (let i = 0; i < count; i++) {
        const addr = rings.rx.addrAt(rings.rx.cachedCons + i);
        assert.is(addr, expected.rx.shift());
        assert.is(rings.rx.lenAt(rings.rx.cachedCons + i), addr / FRAME_BYTES);
        queued.push(addr);
      }
      rings.rx.release(count);
    },
    () => {
      const granted = rings.tx.reserve(Math.min(queued.length, 1 + random(4)));
      for (let i = 0; i < granted; i++) {
        const addr = queued.splice(random(queued.length), 1)[0]!;
        rings.tx.write(rings.tx.cachedProd + i, addr, 64);
        expected.tx.push(addr);
      }
      rings.tx.submit(granted);
    },
    () => {
      const addr = expected.tx.shift();
      assert.is(nic.takeTx(), addr !== undefined);
      if (addr === undefined) return;
      assert.is(nic.txAddr, addr);
      held.push(addr);
    },
    () => {
      const addr = held[0];
      if (addr === undefined) return;
      const hasRoom = expected.completion.length < ringSize;
      assert.is(nic.complete(addr), hasRoom);
      if (hasRoom) expected.completion.push(held.shift()!);
    },
    () => {
      const count = rings.completion.peek(1 + random(4));
      for (let i = 0; i < count; i++) {
        const addr = rings.completion.addrAt(rings.completion.cachedCons + i);
        assert.is(addr, expected.completion.shift());
        free.push(addr);
      }
      rings.completion.release(count);
    },
  ];
  for (let step = 0; step < steps; step++) {
    actions[random(actions.length)]!();
    const counts = countFrames(memoryPort);
    assert.is(counts.fill, expected.fill.length);
    assert.is(counts.rx, expected.rx.length);
    assert.is(counts.tx, expected.tx.length);
    assert.is(counts.completion, expected.completion.length);
    assert.is(counts.nic, held.length);
    assert.is(free.length + queued.length + counts.total, frames);
  }
}

port('random steps of both sides conserve every frame', () => {
  const seed = Number(process.env.WEIR_SEED ?? Date.now() % 2 ** 31);
  console.log(`seed ${seed} (set WEIR_SEED to repeat)`);
  runConservation(seed, 1, 3, 5000);
  runConservation(seed + 1, 4, 10, 10000);
  runConservation(seed + 2, 16, 24, 10000);
});

/** Moves one frame after the other around all four rings. */
function circulate(memoryPort: MemoryPort, rounds: number): void {
  const { rings, nic } = memoryPort;
  for (let round = 0; round < rounds; round++) {
    const addr = nic.nextFillAddr();
    nic.pushRx(addr, 64);
    rings.rx.peek(1);
    rings.tx.reserve(1);
    rings.tx.write(
      rings.tx.cachedProd,
      rings.rx.addrAt(rings.rx.cachedCons),
      rings.rx.lenAt(rings.rx.cachedCons),
    );
    rings.rx.release(1);
    rings.tx.submit(1);
    nic.takeTx();
    nic.complete(nic.txAddr);
    rings.completion.peek(1);
    rings.fill.reserve(1);
    rings.fill.write(rings.fill.cachedProd, rings.completion.addrAt(rings.completion.cachedCons));
    rings.completion.release(1);
    rings.fill.submit(1);
  }
}

port('moving frames allocates nothing, also beyond index 2^31', () => {
  const memoryPort = new MemoryPort({ ringSize: 64, firstIndex: 0x7fffffff });
  giveFrames(memoryPort, 0, 32);
  circulate(memoryPort, 200_000);
  let leastBytes = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 5; attempt++) {
    const beforeBytes = process.memoryUsage().heapUsed;
    circulate(memoryPort, 20_000);
    leastBytes = Math.min(leastBytes, Math.abs(process.memoryUsage().heapUsed - beforeBytes));
  }
  // One boxed number per frame would be 320,000 bytes, far from the next collection and so visible.
  assert.ok(leastBytes < 32_000, `${leastBytes} bytes in 20,000 rounds`);
});

port.run();
