/** What C and TypeScript must agree on, and the loading of the library. Takes no root. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WeirError } from '../../src/errors.js';
import { FRAME_HEADROOM_BYTES, STATISTIC_NAMES, Statistic } from '../../src/rings/io.js';
import { checkIoSizes, loadNative, nativeDirectory } from '../../src/rings/native.js';
import { openXdpIo, WIRE_COUNTER_NAMES, Wire } from '../../src/rings/xdp.js';

const test = suite('native');
const source = join(nativeDirectory(), '..');

/** The names of a C enum, as they would be in TypeScript: WEIR_STAT_RX_DROPPED is rxDropped. */
function enumNames(file: string, name: string, prefix: string): string[] {
  const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(readFileSync(join(source, file), 'utf8'))![1]!;
  const constants = body.replace(/\/\*.*?\*\//gs, '').match(/\b[A-Z][A-Z0-9_]*\b/g)!;
  return constants
    .filter((constant) => constant.startsWith(prefix))
    .map((constant) =>
      constant
        .slice(prefix.length)
        .toLowerCase()
        .replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
    );
}

function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    assert.instance(error, WeirError);
    return `${(error as WeirError).code} ${(error as WeirError).exitCode}: ${(error as WeirError).message}`;
  }
  return 'nothing was thrown';
}

test('counters have the same names in the same order', () => {
  const names = enumNames('xdp_layout.h', 'weir_counter', 'WEIR_');
  assert.is(names.pop(), 'counters');
  assert.equal(names, [...WIRE_COUNTER_NAMES]);
});

test('statistics have the same names in the same order', () => {
  const names = enumNames('weir.h', 'weir_statistic', 'WEIR_STAT_');
  assert.is(names.pop(), 'reserved');
  assert.equal(names, [...STATISTIC_NAMES]);
  assert.is(Statistic.COUNT, STATISTIC_NAMES.length + 1);
  assert.is(STATISTIC_NAMES[Statistic.RX_TOO_LONG], 'rxTooLong');
});

test('the headroom is the kernel’s', () => assert.is(FRAME_HEADROOM_BYTES, 256));

test('sizes that no UMEM can have are refused', () => {
  const sizes = { frames: 4096, frameBytes: 2048, ringSize: 1024 };
  checkIoSizes(sizes);
  assert.match(
    codeOf(() => checkIoSizes({ ...sizes, frames: 0 })),
    /^E_FRAMES 2/,
  );
  assert.match(
    codeOf(() => checkIoSizes({ ...sizes, frameBytes: 1500 })),
    /^E_FRAMES 2/,
  );
  assert.match(
    codeOf(() => checkIoSizes({ ...sizes, frames: 524_288 })),
    /^E_FRAMES 2/,
  );
  assert.match(
    codeOf(() => checkIoSizes({ ...sizes, ringSize: 1000 })),
    /^E_RING_SIZE 2/,
  );
  assert.match(
    codeOf(() => openXdpIo({ ...sizes, ringSize: 0, wireHandle: 0n, queue: 0, zeroCopy: 'auto' })),
    /^E_R/,
  );
});

test('a library that is not built is an error with the command that builds it', () => {
  assert.match(
    codeOf(() => loadNative('/nonexistent/build')),
    /^E_NATIVE 1: .* run \/nonexistent\/setup$/,
  );
});

if (!existsSync(join(nativeDirectory(), 'libweir.so'))) {
  console.log('skipped: native/build/libweir.so is not there; run native/setup');
  test.skip('the library loads', () => undefined);
} else {
  test('threads can be pinned, to CPUs that are there', () => {
    const native = loadNative();
    assert.match(
      codeOf(() => native.pinThread(100_000)),
      /^E_PIN 1: CPU 100000: EINVAL$/,
    );
    assert.is(loadNative(), native, 'loaded once');
  });

  test('a device that is not there is a usage error', () => {
    const options = { outside: 'none-out', queues: 1, mode: 'auto', failureOpen: true } as const;
    const missing = /^E_DEVICE 2: none-in: there is no such device$/;
    assert.match(
      codeOf(() => Wire.open({ ...options, inside: 'none-in' })),
      missing,
    );
    assert.match(
      codeOf(() => Wire.open({ ...options, inside: 'much-too-long-a-name' })),
      /^E_DEVICE 2/,
    );
    assert.match(
      codeOf(() => Wire.open({ ...options, inside: 'lo', queues: 0 })),
      /^E_QUEUES 2/,
    );
  });

  test('a prepared call keeps its arguments', () => {
    const prepared = loadNative().prepare('weir_pin_thread', 'int', ['int']);
    for (let i = 1; i <= 1000; i++) {
      assert.is(prepared.callInt(-i), -22);
      if (i % 100 === 0) global.gc?.();
    }
    assert.match(
      codeOf(() => prepared.callInt()),
      /^E_NATIVE 1: a native call got 0 arguments, not 1$/,
    );
  });

  test('it loads in worker threads too', async () => {
    const module = JSON.stringify(new URL('../../src/rings/native.js', import.meta.url).href);
    const code = `import(${module}).then(({ loadNative }) => {
      try { loadNative().pinThread(100000); } catch (error) { require('node:worker_threads').parentPort.postMessage(error.code); }
    });`;
    const answers = await Promise.all(
      [0, 1].map(
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(code, { eval: true });
            worker.once('message', resolve);
            worker.once('error', reject);
          }),
      ),
    );
    assert.equal(answers, ['E_PIN', 'E_PIN']);
  });
}

test.run();
