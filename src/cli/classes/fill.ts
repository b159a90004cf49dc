/** The verbs `weir classes init` and `weir classes sample`. */
import { fillStore } from '../../../classes/sample.js';
import { isStoreUrl, openStore } from '../../../classes/stores/open.js';
import type { Store } from '../../../classes/stores/store.js';
import { usageError } from '../../errors.js';
import { printText } from '../output.js';
import { assertReplaceable } from './replaceable.js';
import { targetOf } from './target.js';

export interface FillArguments {
  readonly config?: string;
  readonly users?: string;
  readonly seed?: string;
  readonly force?: boolean;
}

/** Where nothing names a database: an embedded one, in the working directory. */
const SOURCE_DEFAULT = 'sqlite:users.db';
const USERS_MAX = 1_000_000;
const SEED_MAX = 2 ** 31 - 1;

/** Returns the exit code; throws WeirError. */
export async function runInit(source: string | undefined, options: FillArguments): Promise<number> {
  return withStore(source, options, async (store, isMapped) => {
    await store.createSchema();
    await printText(`${store.label}: ${isMapped ? 'the tables for usage' : "weir's tables"} are there\n`);
  });
}

/** Returns the exit code; throws WeirError. */
export async function runSample(source: string | undefined, options: FillArguments): Promise<number> {
  const users = wholeOf('users', options.users ?? '24000', 1, USERS_MAX);
  const seed = wholeOf('seed', options.seed ?? '1', 0, SEED_MAX);
  return withStore(source, options, async (store, isMapped) => {
    if (isMapped)
      throw usageError(
        'E_SOURCE',
        `${store.label}: is mapped by classes.queries; a sample is for a database with weir's own tables`,
      );
    await store.createSchema();
    if (options.force !== true) await assertReplaceable(store);
    await fillStore(store, { users, seed });
    await printText(`${store.label}: ${users} subscribers, seed ${seed}\n`);
  });
}

async function withStore(
  source: string | undefined,
  options: FillArguments,
  work: (store: Store, isMapped: boolean) => Promise<void>,
): Promise<number> {
  const { url, queries } = targetOf(source, options.config, SOURCE_DEFAULT);
  if (!isStoreUrl(url)) throw usageError('E_SOURCE', 'a database is needed, such as sqlite:users.db');
  const store = openStore(url, queries);
  try {
    await work(store, Object.keys(queries).length > 0);
    return 0;
  } finally {
    await store.close();
  }
}

function wholeOf(name: string, text: string, min: number, max: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw usageError('E_USAGE', `--${name} must be a whole number from ${min} to ${max}, not '${text}'`);
}
