/** From the address of a source to the source. */
import { usageError } from '../../src/errors.js';
import { openStore } from '../stores/open.js';
import { isStoreUrl } from '../stores/url.js';
import { quoted } from '../units.js';
import type { ReadOptions } from './file-formats.js';
import { FileSource } from './file-source.js';
import type { FileWatchOptions } from './file-watch.js';
import type { ClassSource, SourceSpec } from './source.js';
import { StoreSource } from './store-source.js';

export interface OpenOptions extends ReadOptions {
  /** For files. */
  readonly watch?: FileWatchOptions;
}

/**
 * Opens `file:PATH`, `sqlite:PATH` or a URL of PostgreSQL; paths are relative to the working directory. Nothing is read yet.
 * A database is always checked strictly, a file where the options say so.
 * @throws WeirError, exit code 2: E_SOURCE for another scheme, E_CLASSES_FORMAT for a file with another ending, E_STORE_URL
 */
export function openSource(spec: SourceSpec, options: OpenOptions = {}): ClassSource {
  const { url, queries } = spec;
  if (/^file:/i.test(url)) return new FileSource(url.slice('file:'.length), options, options.watch);
  if (isStoreUrl(url)) return new StoreSource(openStore(url, queries));
  // What is not a scheme may hold a password, so no more than the scheme is repeated.
  const scheme = /^[a-z][a-z0-9+.-]{0,20}:/i.exec(url)?.[0] ?? null;
  const nameless = url === '' ? 'is empty' : 'has no scheme';
  const fault = scheme === null ? nameless : `begins with ${quoted(scheme)}`;
  throw usageError(
    'E_SOURCE',
    `the source of the classes ${fault}; known are file:PATH, sqlite:PATH and postgres://USER@HOST/DATABASE`,
  );
}
