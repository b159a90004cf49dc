/** Keeps verbs that fill a database from wiping one that is in use. */
import type { Store } from '../../../classes/stores/store.js';
import { WeirError } from '../../errors.js';

/** Throws E_EXISTS when the database has anything that filling it would replace. */
export async function assertReplaceable(store: Store): Promise<void> {
  const { settings, plans, sites, subscribers } = await store.readAll();
  if (settings.length + plans.length + sites.length + subscribers.length === 0) return;
  const counts = `${plans.length} plans, ${sites.length} sites and ${subscribers.length} subscribers`;
  throw new WeirError('E_EXISTS', `${store.label}: has ${counts} already; --force replaces everything`);
}
