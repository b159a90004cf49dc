/** The files of classes/schema, which are not compiled and so stay where the package has them. */
import { readFileSync } from 'node:fs';

/** `-from-1` brings a schema of version 1 up to SCHEMA_VERSION. */
export function schemaText(name: `${'sqlite' | 'postgres'}${'' | '-usage' | '-from-1'}`): string {
  return readFileSync(new URL(`../../../classes/schema/${name}.sql`, import.meta.url), 'utf8');
}

/** Tables of the reference schema that are of no use to weir where the schema is somebody else's. */
export const REFERENCE_TABLES = ['settings', 'plans', 'sites', 'subscribers', 'addresses'] as const;

/** Columns by which weir knows its own tables of usage. */
export const USAGE_COLUMNS = {
  usage: ['subscriber', 'direction', 'interval_start', 'interval_end', 'bytes', 'packets'],
  usage_batches: ['id', 'taken_at'],
} as const;
