/** Keeps verbs that fill a database from wiping one that is in use. */
import type { Store } from '../../../classes/stores/store.js';
import { WeirError } from '../../errors.js';

/** Throws E_EXISTS when the database has classes already. */
export async function assertReplaceable(store: Store): Promise<void> {
  const { sites, subscribers } = await store.readAll();
  const count = sites.length + subscribers.length;
  if (count > 0)
    throw new WeirError(
      'E_EXISTS',
      `${store.label}: has ${sites.length} sites and ${subscribers.length} subscribers already; --force replaces them`,
    );
}
