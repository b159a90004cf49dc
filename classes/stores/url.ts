/** The address of a user database. */
import { usageError } from '../../src/errors.js';

export type StoreUrl =
  | { readonly kind: 'sqlite'; readonly path: string; readonly label: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly label: string };

/** The schemes that a store has, without the colon. */
export const STORE_SCHEMES = ['sqlite', 'postgres', 'postgresql'] as const;

/** Whether `url` is of a database, judged by its scheme alone. */
export function isStoreUrl(url: string): boolean {
  const scheme = schemeOf(url);
  return STORE_SCHEMES.some((known) => known === scheme);
}

/** In small letters, for its case means nothing; empty if there is none. */
function schemeOf(url: string): string {
  return /^([a-z][a-z0-9+.-]{0,20}):/i.exec(url)?.[1]?.toLowerCase() ?? '';
}

/**
 * Reads `sqlite:PATH` (relative to the working directory) or a URL of PostgreSQL as libpq takes it.
 * @throws WeirError E_STORE_URL, exit code 2
 */
export function parseStoreUrl(url: string): StoreUrl {
  const scheme = schemeOf(url);
  // A URL that does not read well may have its password anywhere, so no more than the scheme is repeated.
  const fail = (message: string) =>
    usageError('E_STORE_URL', `the URL of the database${scheme === '' ? '' : `, '${scheme}:…',`} ${message}`);
  const rest = url.slice(scheme.length + 1);
  if (scheme === 'sqlite') {
    const path = rest.replace(/^\/\/(?=\/)/, '');
    if (path === '' || path === ':memory:') throw fail("needs a file: 'sqlite:users.db'");
    if (path.startsWith('//')) throw fail("takes no host: 'sqlite:users.db' or 'sqlite:/var/lib/users.db'");
    return { kind: 'sqlite', path, label: `sqlite:${path}` };
  }
  const isPostgres = scheme === 'postgres' || scheme === 'postgresql';
  if (!isPostgres)
    throw fail("is of no known database; known are 'sqlite:users.db' and 'postgres://user@host/database'");
  const readable = `${scheme}:${rest}`;
  // The driver's own parser would put the password into its message.
  if (!isWellFormed(readable)) {
    throw fail(
      "does not read as 'postgres://user:password@host:5432/database'; in a password, '/' is written %2F, '#' %23, '?' %3F, '@' %40, ':' %3A and '%' %25",
    );
  }
  return { kind: 'postgres', url: readable, label: redactUrl(readable) };
}

/**
 * `postgres://user:secret@host/db` becomes `postgres://user:***@host/db`; parameters named password are hidden too. What does
 * not read as a URL hides all that may be a password.
 */
export function redactUrl(text: string): string {
  return text
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#@:]*):.*@/is, '$1:***@')
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#@:[]*):(?!\*|\d*(?:[/?#]|$)).*/is, '$1:***')
    .replace(/^(postgres(?:ql)?:)(?!\/\/).*@/is, '$1***@')
    .replace(/([?&](?:password|passwd|pwd|sslpassword)=)[^&#]*/gi, '$1***');
}

/** A socket's folder may stand in the host's place with its slashes escaped, or be left out: then it is a parameter. */
function isWellFormed(url: string): boolean {
  const host = /^(\w+:\/\/(?:[^/?#]*@)?)(?:%2f[^/?#:]*|(?=[/?#:]|$))/i;
  // Behind the host an @ can only be the one that ends a password with a slash or the like in it.
  if (/^\w+:\/\/[^/?#]*[/?#].*@/s.test(url) || !/^\w+:\/\//.test(url)) return false;
  try {
    const { pathname, username, password } = new URL(url.replace(host, '$1localhost'));
    for (const part of [pathname, username, password]) decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}
