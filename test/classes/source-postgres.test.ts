import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { difference, formatDifference } from '../../classes/difference.js';
import { sampleTree } from '../../classes/sample.js';
import { openSource } from '../../classes/source/open.js';
import { openStore } from '../../classes/stores/open.js';
import { parseClassTree } from '../../classes/validate.js';
import { WeirError } from '../../src/errors.js';
import { ScratchPostgres, whyNoPostgres } from '../../src/lab/scratch-postgres.js';
import { changedSince, Follower } from './follower.js';

/** When a test begins; the accounts below expire an hour after. */
const START_MS = Date.UTC(2040, 0, 1);

const test = suite('source-postgres');
const why = whyNoPostgres();
if (why !== null) console.log(`skipped: ${why}`);
const run = why === null ? test : test.skip;

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.instance(error, WeirError);
  return (error as WeirError).code;
}

run('a tree written and followed, past the death of the server', async () => {
  const server = await ScratchPostgres.start();
  const source = openSource({ url: server.url, queries: {} });
  try {
    const { tree, problems } = parseClassTree(sampleTree({ users: 500, seed: 1 }), { strict: true });
    assert.equal(problems, []);
    const store = openStore(server.url);
    await store.createSchema();
    await store.writeTree(tree!);
    await store.close();

    const follower = new Follower(source);
    await follower.until(1);
    const first = await source.load(START_MS);
    assert.equal([first.errors, first.warnings], [[], []]);
    assert.match(formatDifference(difference(tree, first.tree!)), /^0 added, 0 removed, 0 moved, 0 changed/);

    const id = first.tree!.classes.at(-1)!.id;
    const seen = follower.count;
    await server.query(
      `UPDATE subscribers SET limit_packets = 7, expires_at = '2040-01-01 03:00+02' WHERE id = '${id}'`,
    );
    await follower.until(seen + 1);
    const second = await source.load(START_MS);
    assert.equal(changedSince(first, second), [id]);
    assert.is(second.nextExpiryMs, START_MS + 3_600_000);
    assert.equal([...(await source.load(START_MS + 3_600_000)).expired], [id]);

    await server.kill();
    assert.is(await codeOf(Promise.reject(await follower.loss())), 'E_STORE_CONNECT');
    assert.is(await codeOf(source.load(START_MS)), 'E_STORE_CONNECT');
    await server.start();
    await server.query(`UPDATE subscribers SET limit_packets = 8, expires_at = NULL WHERE id = '${id}'`);
    const again = new Follower(source);
    await again.until(1);
    const third = await source.load(START_MS);
    assert.equal(changedSince(second, third), [id]);
    assert.is(third.tree!.classes.find((spec) => spec.id === id)!.queue.limitPackets, 8);
    again.stop();
  } finally {
    await source.close();
    await server.remove();
  }
});

test.run();
