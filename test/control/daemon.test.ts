import { spawn } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WeirError } from '../../src/errors.js';
import { Sabotage } from './memory-io.js';
import { carry, down, RunningDaemon, TREE, until, withDaemon } from './running-daemon.js';

const test = suite('daemon');
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'none';
  } catch (error) {
    return error instanceof WeirError ? error.code : String(error);
  }
}

test('carries frames and tells what it did with them', () =>
  withDaemon({ queues: 2 }, async (running) => {
    await carry(running, 0, '10.0.0.1', 100);
    await carry(running, 1, '10.0.0.1', 50);
    await carry(running, 1, '10.0.0.77', 7);
    const { status, body } = await running.call('/stats');
    assert.is(status, 200);
    assert.equal([body.epoch, body.backend, body.queues.length], [1, 'memory', 2]);
    const [uplink, u1, slow] = body.classes;
    assert.equal(
      [uplink.id, uplink.parent, u1.id, u1.parent, slow.id],
      ['uplink', null, 'u1', 'uplink', 'slow'],
    );
    assert.equal([u1.down.packets, u1.down.bytes, u1.up.packets], [150, 150_000, 0]);
    assert.equal([uplink.down.packets, uplink.down.bytes], [150, 150_000]);
    assert.equal([slow.down.packets, u1.down.marks, u1.down.backlogPackets], [0, 0, 0]);
    const fields = ['backlogBytes', 'lends', 'borrows', 'overlimits', 'drops', 'rateBps'];
    for (const field of fields) assert.type(u1.down[field], 'number', field);
    const [queue0, queue1] = body.queues;
    assert.equal([queue0.queue, queue0.rxPackets, queue0.txPackets, queue0.unknownPackets], [0, 100, 100, 0]);
    assert.equal([queue1.rxPackets, queue1.txPackets, queue1.unknownPackets], [57, 57, 7]);
    assert.equal(queue1.drops, {
      parse: 0,
      queue: 0,
      codel: 0,
      evicted: 0,
      txFull: 0,
      unknown: 0,
      restart: 0,
    });
    assert.type(queue1.busy, 'number');
  }));

test('a rate is what left in the last second', () =>
  withDaemon({}, async (running) => {
    const rateOf = async (): Promise<number> =>
      (await running.call('/stats?class=u1')).body.classes[0].down.rateBps;
    await until('a rate', async () => {
      await carry(running, 0, '10.0.0.1', 10);
      return (await rateOf()) > 0;
    });
    await until('no rate', async () => (await rateOf()) === 0);
  }));

test('answers about one class, about its health, and with errors as JSON', () =>
  withDaemon({}, async (running) => {
    const one = await running.call('/stats?class=u1');
    assert.equal(
      one.body.classes.map(({ id }: { id: string }) => id),
      ['u1'],
    );
    const none = await running.call('/stats?class=u2');
    assert.equal(
      [none.status, none.body],
      [404, { error: { code: 'E_CLASS', message: "there is no class 'u2'" } }],
    );
    const health = await running.call('/health');
    assert.equal([health.status, health.body.state, health.body.workers], [200, 'running', ['running']]);
    assert.equal((await running.call('/reload')).body.error, {
      code: 'E_METHOD',
      message: '/reload takes POST',
    });
    assert.is((await running.call('/nothing')).body.error.code, 'E_PATH');
  }));

test('re-reads the classes; a bad file changes nothing', () =>
  withDaemon({}, async (running) => {
    running.writeTree({
      ...TREE,
      classes: [
        ...TREE.classes,
        { id: 'u2', parent: 'uplink', match: ['10.0.0.2'], down: { rate: '1mbit' } },
      ],
    });
    const { status, body } = await running.call('/reload', 'POST');
    assert.equal([status, body], [200, { epoch: 2, added: 1, changed: 0, removed: 0, warnings: [] }]);
    await carry(running, 0, '10.0.0.2', 3);
    running.writeTree('{');
    const bad = await running.call('/reload', 'POST');
    assert.equal([bad.status, bad.body.error.code], [422, 'E_CLASSES']);
    const stats = (await running.call('/stats?class=u2')).body;
    assert.equal([stats.epoch, stats.classes[0].down.packets], [2, 3]);
  }));

test('a class that becomes an inner one keeps what it has counted', () =>
  withDaemon({}, async (running) => {
    await carry(running, 0, '10.0.0.1', 5);
    const [uplink, u1] = TREE.classes;
    const { match, ...inner } = u1!;
    const leaf = { id: 'flat', parent: 'u1', match, down: { rate: '100mbit' } };
    running.writeTree({ version: 1, classes: [uplink, inner, leaf] });
    await running.call('/reload', 'POST');
    await carry(running, 0, '10.0.0.1', 4);
    const packets = async (id: string): Promise<number> =>
      (await running.call(`/stats?class=${id}`)).body.classes[0].down.packets;
    assert.equal([await packets('u1'), await packets('flat')], [9, 4]);
  }));

for (const [name, sabotage] of [
  ['throws', Sabotage.THROW],
  ['hangs', Sabotage.HANG],
] as const) {
  test(`a worker that ${name} is replaced, and what it counted stays`, () =>
    withDaemon({ queues: 2 }, async (running) => {
      await carry(running, 0, '10.0.0.1', 20);
      await carry(running, 1, '10.0.0.1', 10);
      const dead = running.wire.cards[0]!;
      Atomics.store(dead.sabotage, 0, sabotage);
      await until('the worker is replaced', async () => {
        const { body } = await running.call('/stats');
        return body.queues[0].restarts > 0 && body.queues[0].state === 'running';
      });
      assert.equal([running.wire.released.includes(0), running.wire.closedIos > 0], [true, true]);
      await carry(running, 0, '10.0.0.1', 5);
      const { body } = await running.call('/stats');
      assert.equal(body.classes[1].down.packets, 35);
      assert.equal(
        [body.queues[0].rxPackets, body.queues[1].rxPackets, body.queues[1].restarts],
        [25, 10, 0],
      );
      assert.is((await running.call('/health')).body.state, 'running');
    }));
}

test('stopping sends what is queued, releases first, and detaches', async () => {
  const running = await RunningDaemon.create({ config: { drain: { seconds: 20 } } });
  try {
    await running.daemon.start();
    const card = running.wire.cards[0]!;
    for (let i = 0; i < 6; i++) assert.ok(card.receive(1, down('10.0.0.9', 200)));
    let packets = 0;
    await until('some are queued', async () => {
      packets += card.send(0).packets;
      return (await running.call('/stats?class=slow')).body.classes[0].down.backlogPackets > 0;
    });
    const stopped = running.daemon.stop();
    assert.equal(running.wire.released, [0]);
    let isStopped = false;
    stopped.finally(() => (isStopped = true));
    await until('all have left', () => {
      packets += card.send(0).packets;
      return isStopped;
    });
    packets += card.send(0).packets;
    assert.is(packets, 6);
    assert.equal(running.wire.closings, [true]);
    assert.not(existsSync(running.socket));
  } finally {
    running.remove();
  }
});

test('draining has an end, and exit keep leaves the program', async () => {
  const running = await RunningDaemon.create({ config: { drain: { seconds: 0 }, exit: 'keep' } });
  try {
    await running.daemon.start();
    for (let i = 0; i < 50; i++) running.wire.cards[0]!.receive(1, down('10.0.0.9'));
    await running.daemon.stop();
    assert.equal(running.wire.closings, [false]);
  } finally {
    running.remove();
  }
});

test('the socket is private; a stale one is replaced, a live one or a file is left alone', () =>
  withDaemon({}, async (running) => {
    assert.is(statSync(running.socket).mode & 0o777, 0o600);
    assert.is(await codeOf(running.daemon.start()), 'E_SOCKET_IN_USE');
    assert.is((await running.call('/health')).status, 200);
    const other = await RunningDaemon.create();
    try {
      // What a killed daemon leaves: a socket file that nobody listens at.
      const script = `require('net').createServer().listen(${JSON.stringify(other.socket)}, () => process.kill(process.pid, 'SIGKILL'))`;
      await new Promise((resolve) => spawn(process.execPath, ['-e', script]).on('exit', resolve));
      assert.ok(existsSync(other.socket));
      await other.daemon.start();
      assert.is((await other.call('/health')).status, 200);
      await other.daemon.stop();
      writeFileSync(other.socket, 'a file');
      assert.is(
        await codeOf(new Promise((resolve, reject) => other.daemon.start().then(resolve, reject))),
        'E_SOCKET',
      );
    } finally {
      other.remove();
    }
  }));

test('the best backend that works is taken, unless it would hide what is wrong', async () => {
  const failing = (code: string) => ({
    backend: 'xdp',
    mode: 'copy',
    attach(): never {
      throw new WeirError(code, 'as the test wants it');
    },
  });
  await withDaemon({ candidates: (wire) => [failing('E_XDP'), wire.candidate] }, async (running) => {
    assert.is((await running.call('/stats')).body.backend, 'memory');
  });
  for (const code of ['E_BUSY', 'E_QUEUES']) {
    const running = await RunningDaemon.create({ candidates: (wire) => [failing(code), wire.candidate] });
    assert.is(await codeOf(running.daemon.start()), code);
    assert.not(existsSync(running.socket), 'nothing is left behind');
    running.remove();
  }
});

test('a worker that cannot open its rings ends the attempt', async () => {
  const broken = {
    module: 'data:text/javascript,export function open() { throw new Error("no rings") }',
    name: 'open',
  };
  const running = await RunningDaemon.create({
    candidates: (wire) => [
      {
        ...wire.candidate,
        attach: (log) => ({ ...wire.candidate.attach(log), opener: () => ({ ...broken, options: {} }) }),
      },
    ],
  });
  assert.is(await codeOf(running.daemon.start()), 'E_INTERNAL');
  assert.equal(running.wire.closings, [true]);
  running.remove();
});

test('a worker that is starting when another has failed ends by itself', async () => {
  const flags = new Int32Array(new SharedArrayBuffer(8));
  const opener = (script: string) => ({
    module: `data:text/javascript,export function open({ flags }) { ${script} }`,
    name: 'open',
    options: { flags },
  });
  const openers = [
    opener('throw new Error("no rings")'),
    // Cut short in the midst of this, a thread that loads a native library would take the process with it.
    opener('Atomics.wait(flags, 0, 0, 500); Atomics.store(flags, 1, 1); throw new Error("late")'),
  ];
  const running = await RunningDaemon.create({
    queues: 2,
    candidates: (wire) => [
      {
        ...wire.candidate,
        attach: (log) => ({ ...wire.candidate.attach(log), opener: (queue) => openers[queue]! }),
      },
    ],
  });
  assert.is(await codeOf(running.daemon.start()), 'E_INTERNAL');
  assert.is(Atomics.load(flags, 1), 1, 'it came to the end of its opening');
  running.remove();
});

test('weir stats prints a table, one document, or what is wrong', () =>
  withDaemon({}, async (running) => {
    await carry(running, 0, '10.0.0.1', 12);
    const weir = (...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> =>
      new Promise((resolve) => {
        const child = spawn(process.execPath, [MAIN, 'stats', '--socket', running.socket, ...args]);
        let stdout = '';
        let stderr = '';
        child.stdout.on('data', (part) => (stdout += part));
        child.stderr.on('data', (part) => (stderr += part));
        child.on('close', (code) => resolve({ code, stdout, stderr }));
      });
    const table = await weir();
    assert.equal([table.code, table.stderr], [0, '']);
    assert.match(table.stdout, /^memory copy, 1 queue, failure open, up /);
    assert.match(table.stdout, /\n {2}u1 +down .* 12000 +12 +0 /);
    const json = await weir('--json', '--class', 'u1');
    const document = JSON.parse(json.stdout);
    assert.equal([document.classes.length, document.classes[0].down.packets], [1, 12]);
    assert.is(json.stdout.trimEnd().includes('\n'), false);
    const unknown = await weir('--class', 'u2');
    assert.equal(
      [unknown.code, unknown.stdout, unknown.stderr],
      [1, '', "weir: E_CLASS: there is no class 'u2'\n"],
    );
  }));

test('a server that is no daemon is told from none', async () => {
  const running = await RunningDaemon.create();
  const server = createServer().listen(running.socket);
  try {
    assert.is(await codeOf(running.daemon.start()), 'E_SOCKET_IN_USE');
  } finally {
    server.close();
    running.remove();
  }
});

test.run();
