/** The address of a user database. */
import { usageError } from '../../src/errors.js';
import { quoted } from '../units.js';

export type StoreUrl =
  | { readonly kind: 'sqlite'; readonly path: string; readonly label: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly label: string };

/** The schemes that a store has, without the colon. */
export const STORE_SCHEMES = ['sqlite', 'postgres', 'postgresql'] as const;

/** Whether `url` is of a database, judged by its scheme alone. */
export function isStoreUrl(url: string): boolean {
  return STORE_SCHEMES.some((scheme) => url.startsWith(`${scheme}:`));
}

/**
 * Reads `sqlite:PATH` (relative to the working directory) or a URL of PostgreSQL as libpq takes it.
 * @throws WeirError E_STORE_URL, exit code 2
 */
export function parseStoreUrl(url: string): StoreUrl {
  const label = redactUrl(url);
  const fail = (message: string) => usageError('E_STORE_URL', `${quoted(label)}: ${message}`);
  if (url.startsWith('sqlite:')) {
    const path = url.slice('sqlite:'.length);
    if (path === '' || path === ':memory:') throw fail("needs a file: 'sqlite:users.db'");
    if (path.startsWith('//')) throw fail("takes no host: 'sqlite:users.db' or 'sqlite:/var/lib/users.db'");
    return { kind: 'sqlite', path, label };
  }
  if (!/^postgres(ql)?:\/\//.test(url)) {
    throw fail("is no database; known are 'sqlite:users.db' and 'postgres://user@host/database'");
  }
  // The driver's own parser would put the password into its message.
  if (!isWellFormed(url)) throw fail("does not read as 'postgres://user:password@host:5432/database'");
  return { kind: 'postgres', url, label };
}

/** `postgres://user:secret@host/db` becomes `postgres://user:***@host/db`; parameters named password are hidden too. */
export function redactUrl(text: string): string {
  return text
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#@]*?):[^/?#]*@/i, '$1:***@')
    .replace(/([?&](?:password|passwd|pwd|sslpassword)=)[^&#]*/gi, '$1***');
}

/** A socket's folder may stand in the host's place with its slashes escaped, or be left out: then it is a parameter. */
function isWellFormed(url: string): boolean {
  const host = /^(\w+:\/\/(?:[^/?#]*@)?)(?:%2f[^/?#:]*|(?=[/?#:]|$))/i;
  try {
    const { pathname } = new URL(url.replace(host, '$1localhost'));
    decodeURIComponent(pathname);
    return true;
  } catch {
    return false;
  }
}
