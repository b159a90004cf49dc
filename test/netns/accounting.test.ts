/**
 * Accounting on the wire: what the receivers at both ends have seen is what the table `usage` says at the end, whoever
 * was killed meanwhile, daemon or database.
 */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openStore } from '../../classes/stores/open.js';
import { ask } from '../../src/control/client.js';
import { ScratchPostgres, whyNoPostgres } from '../../src/lab/scratch-postgres.js';
import type { StatsDocument } from '../../src/metrics/report.js';
import { DaemonProcess, INTERNET, type Lab, makeLab, removeLab, writeConfig } from './daemon-lab.js';
import { inNamespace, startInNamespace, whyNoXdp } from './namespaces.js';

const test = suite('accounting on the wire');
const SUBSCRIBERS = ['10.77.0.5', '10.77.0.6', '10.77.0.7'];
/** Ethernet, IPv4 and UDP. */
const HEADERS_BYTES = 42;
const CHECKPOINT_SECONDS = 0.2;
const INTERVAL_SECONDS = 1;
/** More than 1.5 checkpoints, on a busy machine too. */
const QUIET_MS = 700;
const RANDOM_KILLS = 3;
const COMMIT_KILLS = 2;
const DATABASE_KILLS = 3;
const PACKETS_MAX = 120;
const PAYLOAD_MAX = 1400;
const LOOK_MS = 20;
const UNTIL_MS = 30_000;
/** Were anything to be counted twice, it would be there by then. */
const AFTER_MS = 2500;

/**
 * Lets each batch sleep in its COMMIT. A server whose client has died meanwhile commits all the same: the batch is
 * taken, and nobody has heard of it.
 */
const SLOW_COMMITS = `
  CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END $$;
  CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON usage_batches DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION slowly();`;

/** Numbers from 0 to below 1. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A process at one end of the wire: `accounting-agent.ts`. */
class Agent {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(namespace: string, addresses: readonly string[]) {
    const script = new URL('./accounting-agent.js', import.meta.url).pathname;
    this.#child = startInNamespace(namespace, process.execPath, [script, ...addresses]);
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async answer(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('an end of the wire has died');
    return value as string;
  }

  ask(line: string): Promise<string> {
    this.#child.stdin!.write(`${line}\n`);
    return this.answer();
  }

  end(): void {
    this.#child.stdin!.end();
  }
}

class Rig {
  readonly #config: string;
  daemon: DaemonProcess;

  constructor(
    readonly lab: Lab,
    readonly server: ScratchPostgres,
    readonly inside: Agent,
    readonly outside: Agent,
    readonly random: () => number,
  ) {
    this.#config = writeConfig(lab, {
      rings: { backend: 'xdp', frames: 8192, ringSize: 1024 },
      classes: { source: server.url },
      accounting: {
        spool: join(lab.folder, 'usage.db'),
        intervalSeconds: INTERVAL_SECONDS,
        checkpointSeconds: CHECKPOINT_SECONDS,
      },
    });
    this.daemon = new DaemonProcess(lab, this.#config);
  }

  async kill(): Promise<void> {
    this.daemon.signal('SIGKILL');
    await this.daemon.stop();
  }

  async start(): Promise<void> {
    this.daemon = new DaemonProcess(this.lab, this.#config);
    await this.daemon.logged('"shaping"');
  }

  /** Until a batch is in the COMMIT that SLOW_COMMITS makes long. */
  async untilCommitting(): Promise<void> {
    const endMs = performance.now() + UNTIL_MS;
    const asks = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    while ((await this.server.query(asks)).length === 0) {
      assert.ok(performance.now() < endMs, 'no batch came');
      await sleep(LOOK_MS);
    }
  }

  async stats(): Promise<StatsDocument> {
    return JSON.parse(await ask(join(this.lab.folder, 'weir.sock'), '/stats')) as StatsDocument;
  }

  async until(what: string, isTrue: (stats: StatsDocument) => boolean): Promise<StatsDocument> {
    const endMs = performance.now() + UNTIL_MS;
    for (;;) {
      const stats = await this.stats();
      if (isTrue(stats)) return stats;
      if (performance.now() > endMs)
        throw new Error(`never ${what}: ${JSON.stringify([stats.source, stats.accounting])}`);
      await sleep(LOOK_MS);
    }
  }

  /** Some datagrams to and from each subscriber, both ways at the same time; how many. */
  async traffic(): Promise<number> {
    let packets = 0;
    for (const subscriber of SUBSCRIBERS) {
      const [down, up] = [this.#upTo(PACKETS_MAX), this.#upTo(PACKETS_MAX)];
      await Promise.all([
        this.outside.ask(`send ${INTERNET} ${subscriber} ${down} ${this.#upTo(PAYLOAD_MAX)}`),
        this.inside.ask(`send ${subscriber} ${INTERNET} ${up} ${this.#upTo(PAYLOAD_MAX)}`),
      ]);
      packets += down + up;
    }
    return packets;
  }

  #upTo(most: number): number {
    return 1 + Math.floor(this.random() * most);
  }

  /** Packets that the classes of the subscribers have counted, both ways. */
  async counted(): Promise<number> {
    const { classes } = await this.stats();
    const leaves = classes.filter(({ id }) => SUBSCRIBERS.includes(id));
    return leaves.reduce((sum, { down, up }) => sum + down.packets + up.packets, 0);
  }

  /** What came out of the wire, as `usage` would have it. */
  async received(): Promise<Record<string, string>> {
    const [inside, outside] = await Promise.all([this.inside.ask('counts'), this.outside.ask('counts')]);
    const sums: Record<string, string> = {};
    for (const [direction, text] of [
      ['down', inside],
      ['up', outside],
    ] as const) {
      for (const [key, [packets, bytes]] of Object.entries(
        JSON.parse(text) as Record<string, [number, number]>,
      )) {
        const [to, from] = key.split('<');
        const address = direction === 'down' ? to! : from!;
        // The wire knows no frame below 60 bytes, but a veth pair does.
        sums[`${address} ${direction}`] = `${packets} packets, ${bytes + packets * HEADERS_BYTES} bytes`;
      }
    }
    return sums;
  }

  async used(): Promise<Record<string, string>> {
    const rows = await this.server.query(
      'SELECT subscriber, direction, sum(packets) AS packets, sum(bytes) AS bytes FROM usage GROUP BY 1, 2',
    );
    return Object.fromEntries(
      rows.map((row) => [`${row.subscriber} ${row.direction}`, `${row.packets} packets, ${row.bytes} bytes`]),
    );
  }
}

async function inRig(name: string, body: (rig: Rig) => Promise<void>): Promise<void> {
  const seed = Date.now() % 2 ** 31;
  process.stdout.write(`seed ${seed}\n`);
  const server = await ScratchPostgres.start();
  const lab = makeLab(name, 1);
  try {
    const store = openStore(server.url);
    await store.createSchema();
    await store.close();
    const rows = SUBSCRIBERS.map((address) => `('${address}', 'uplink', 'plan')`).join();
    const addresses = SUBSCRIBERS.map((address) => `('${address}', '${address}')`).join();
    await server.query(`
      INSERT INTO plans (id, down_rate, up_rate) VALUES ('plan', '100mbit', '100mbit');
      INSERT INTO sites (id, down_rate, up_rate) VALUES ('uplink', '500mbit', '500mbit');
      INSERT INTO subscribers (id, site, plan) VALUES ${rows};
      INSERT INTO addresses (address, subscriber) VALUES ${addresses};`);
    for (const address of SUBSCRIBERS.slice(1))
      inNamespace(lab.subscriber, 'ip', ['addr', 'add', `${address}/24`, 'dev', 'sub0']);
    const agents = [new Agent(lab.subscriber, SUBSCRIBERS), new Agent(lab.internet, [INTERNET])];
    for (const agent of agents) assert.is(await agent.answer(), 'ready');
    const rig = new Rig(lab, server, agents[0]!, agents[1]!, randomOf(seed));
    try {
      await rig.daemon.logged('"shaping"');
      await body(rig);
    } catch (error) {
      process.stdout.write(rig.daemon.log);
      throw error;
    } finally {
      await rig.daemon.stop();
      for (const agent of agents) agent.end();
    }
  } finally {
    removeLab(lab);
    await server.remove();
  }
}

const isOk = ({ source, accounting }: StatsDocument): boolean =>
  source.state === 'ok' && accounting.state === 'ok' && accounting.pendingBatches === 0;

const reason = whyNoXdp() ?? whyNoPostgres();
if (reason !== null) {
  process.stdout.write(`skipped: ${reason}\n`);
  test.skip(reason, () => {});
} else {
  test('daemon and database are killed, and usage is what passed the wire', () =>
    inRig('usage', async (rig) => {
      const { server } = rig;
      await rig.traffic();
      await rig.until('ok at the start', isOk);

      // The database goes while it is watched and written to, and the wire shapes on.
      await server.kill();
      const before = await rig.counted();
      const sent = await rig.traffic();
      await sleep(QUIET_MS);
      assert.is((await rig.counted()) - before, sent, 'the wire shapes on');
      await rig.until(
        'retrying',
        ({ source, accounting }) => source.state === 'retrying' && accounting.state === 'retrying',
      );
      await server.start();
      await rig.until('ok again', isOk);

      for (let kill = 0; kill < DATABASE_KILLS; kill++) {
        await rig.traffic();
        // About when an interval has ended, and its batch is on its way.
        const lateMs = rig.random() * 150;
        await sleep(INTERVAL_SECONDS * 1000 - (Date.now() % (INTERVAL_SECONDS * 1000)) + lateMs);
        await server.kill();
        await server.start();
      }

      for (let kill = 0; kill < RANDOM_KILLS; kill++) {
        await rig.traffic();
        const isAway = kill === 1;
        if (isAway) await server.kill();
        await sleep(QUIET_MS + rig.random() * INTERVAL_SECONDS * 1000);
        await rig.kill();
        if (isAway) await server.start();
        await rig.start();
      }

      await rig.until('ok before slow commits', isOk);
      await server.query(SLOW_COMMITS);
      for (let kill = 0; kill < COMMIT_KILLS; kill++) {
        await rig.traffic();
        await sleep(QUIET_MS);
        await rig.untilCommitting();
        await rig.kill();
        await rig.start();
      }
      // The database dies in a COMMIT too: that batch is not taken.
      await rig.traffic();
      await rig.untilCommitting();
      await server.kill();
      await server.start();
      await server.query('DROP TRIGGER slow ON usage_batches');
      await rig.traffic();

      await sleep(INTERVAL_SECONDS * 1000 + QUIET_MS);
      await rig.until('ok at the end', isOk);
      const received = await rig.received();
      assert.equal(await rig.used(), received);
      await sleep(AFTER_MS);
      assert.equal(await rig.used(), received, 'nothing is counted later');
      assert.is(Object.keys(received).length, 2 * SUBSCRIBERS.length);
      const [{ batches }] = (await server.query('SELECT count(*)::int AS batches FROM usage_batches')) as [
        { batches: number },
      ];
      process.stdout.write(`${batches} batches; ${JSON.stringify(received)}\n`);
    }));
}

test.run();
