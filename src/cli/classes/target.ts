/** Which source a verb of `weir classes` means. */
import { existsSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { RECORD_TABLES } from '../../../classes/records.js';
import type { SourceSpec } from '../../../classes/source/source.js';
import { sourceSpec } from '../../config/config.js';
import { formatFault, loadConfig } from '../../config/load.js';
import { usageError } from '../../errors.js';

const DATABASE_EXTENSIONS = new Set(['.db', '.sqlite', '.sqlite3']);

/**
 * The source named on the command line, or else the configuration's, or else that of WEIR_CLASSES_SOURCE, or else
 * `fallback`. Throws the usage
 * errors E_SOURCE when there is none, and E_CONFIG for a configuration that is wrong.
 */
export function targetOf(
  source: string | undefined,
  configPath: string | undefined,
  fallback?: string,
): SourceSpec {
  if (source !== undefined) return { url: urlOf(source), queries: queriesOf(configPath) };
  if (configPath === undefined) {
    const url = process.env.WEIR_CLASSES_SOURCE ?? fallback;
    if (url === undefined)
      throw usageError('E_SOURCE', 'no source is named; for example: file:tree.yaml, sqlite:users.db');
    return { url: urlOf(url), queries: queriesOfEnvironment() };
  }
  return specOf(configPath);
}

/** A path without a scheme is a file of the kind its name says; paths are made absolute, for the daemon has its own folder. */
export function urlOf(text: string): string {
  const [, scheme, path] = /^(file|sqlite):(?:\/\/(?=\/))?(.*)$/is.exec(text) ?? [];
  // What names nothing is refused by whoever opens it.
  if (scheme !== undefined) return path === '' ? text : `${scheme.toLowerCase()}:${resolve(path!)}`;
  if (text === '' || (/^[a-z]+:/i.test(text) && !existsSync(text))) return text;
  return `${DATABASE_EXTENSIONS.has(extname(text).toLowerCase()) ? 'sqlite' : 'file'}:${resolve(text)}`;
}

function queriesOf(configPath: string | undefined): SourceSpec['queries'] {
  return configPath === undefined ? queriesOfEnvironment() : specOf(configPath).queries;
}

function queriesOfEnvironment(): SourceSpec['queries'] {
  const given = RECORD_TABLES.flatMap((table) => {
    const sql = process.env[`WEIR_CLASSES_QUERIES_${table.toUpperCase()}`];
    return sql === undefined ? [] : [[table, sql] as const];
  });
  return Object.fromEntries(given);
}

function specOf(configPath: string): SourceSpec {
  const { config, faults } = loadConfig(configPath);
  if (config !== null) return sourceSpec(config);
  const [first] = faults;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  throw usageError('E_CONFIG', `${formatFault(first!)}${more}`);
}
