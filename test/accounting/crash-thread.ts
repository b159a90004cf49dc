/**
 * The accounting thread with a store between it and the database that stands still where WEIR_TEST_PAUSE says: before
 * or after the batch of that number is in the database, as `before:3` or `after:3`.
 */
import { writeSync } from 'node:fs';
import { openStore } from '../../classes/stores/open.js';
import { runAccountingThread } from '../../src/accounting/thread.js';

const [point, count] = (process.env.WEIR_TEST_PAUSE ?? 'never:0').split(':');
let taken = 0;

function pause(): Promise<never> {
  writeSync(1, 'paused\n');
  return new Promise<never>(() => {});
}

await runAccountingThread(async ({ store }) => {
  const inner = openStore(store.url, store.queries);
  return {
    async takeUsage(batch) {
      const isHere = taken++ === Number(count);
      if (isHere && point === 'before') await pause();
      await inner.takeUsage(batch);
      if (isHere && point === 'after') await pause();
    },
    close: () => inner.close(),
  };
});
