/** Reads the daemon's configuration from a file and the environment, and finds everything that is wrong with it. */
import { readFileSync } from 'node:fs';
import { dirname, extname, isAbsolute, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { placeOf, scanJson } from '../../classes/json-text.js';
import { printableKey, unknownKeyMessage } from '../../classes/problems.js';
import { usageError } from '../errors.js';
import { type ConfigFault, crossFaults, type DaemonConfig } from './config.js';
import { createConvict, isLeaf, SCHEMA, schemaKeys } from './schema.js';

export interface LoadedConfig {
  /** Null exactly when there are faults. */
  readonly config: DaemonConfig | null;
  readonly faults: readonly ConfigFault[];
}

type Branch = typeof SCHEMA;
type Document = Record<string, unknown>;

/**
 * Reads `path` (.json, .yaml or .yml; without one the environment says all). A key's environment variable goes before the file, the file before the default.
 * Paths in the file are taken from the folder the file lies in. Throws the usage errors E_CONFIG_READ and
 * E_CONFIG_SYNTAX; whatever else is wrong is in `faults`, all of it.
 */
export function loadConfig(path: string | undefined, env: NodeJS.ProcessEnv = process.env): LoadedConfig {
  if (path === undefined) return readConfig({}, 'environment', env);
  return readConfig(readDocument(path), path, env);
}

/** The same for a document that has been read; `place` names it in the faults. */
export function readConfig(document: unknown, place: string, env: NodeJS.ProcessEnv): LoadedConfig {
  const faults: ConfigFault[] = [];
  const known = pruned(document, SCHEMA, '', (key, message) => faults.push({ place, key, message }));
  for (const name of unknownVariables(env))
    faults.push({ place: 'environment', key: name, message: 'is not a known variable' });
  const store = createConvict(env);
  // convict lays the environment over what it has loaded.
  store.load(known);
  for (const { key, message } of formatFaults(() => store.validate({ allowed: 'strict' }))) {
    // What is wrong with a map has been said of the whole map.
    if (faults.some((fault) => fault.key === key || fault.key === '' || key.startsWith(`${fault.key}.`)))
      continue;
    const variable = schemaKeys().find((entry) => entry.key === key)?.env;
    const isFromEnv = variable !== undefined && env[variable] !== undefined;
    faults.push({ place: isFromEnv ? `${place}: ${variable}` : place, key, message });
  }
  const config = absolute(store.getProperties(), dirname(resolve(place)));
  // What holds between keys can only be asked of keys that are right.
  if (faults.length === 0) faults.push(...crossFaults(config).map((fault) => ({ place, ...fault })));
  return faults.length === 0 ? { config, faults } : { config: null, faults };
}

/** `FILE: KEY: what is wrong`. */
export function formatFault({ place, key, message }: ConfigFault): string {
  return key === '' ? `${place}: ${message}` : `${place}: ${key}: ${message}`;
}

/** The document without what the schema does not know, which is reported. */
function pruned(
  value: unknown,
  branch: Branch,
  prefix: string,
  report: (key: string, message: string) => void,
): Document {
  const result: Document = {};
  if (value === null && prefix === '') return result;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    report(prefix.replace(/\.$/, ''), 'must be a map');
    return result;
  }
  const known = new Set(Object.keys(branch));
  for (const [name, item] of Object.entries(value)) {
    const node = Object.hasOwn(branch, name) ? branch[name] : undefined;
    const key = prefix + printableKey(name);
    if (node === undefined) report(key, unknownKeyMessage(name, known));
    else if (!isLeaf(node)) result[name] = pruned(item, node, `${key}.`, report);
    else if (typeof item === 'object' && item !== null && !Array.isArray(item))
      report(key, 'must not be a map');
    else result[name] = item;
  }
  return result;
}

/** Variables that look like weir's and are not: a misspelt one would be ignored silently. */
function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = new Set(schemaKeys().map((entry) => entry.env));
  const groups = [...Object.keys(SCHEMA)].map((key) => `WEIR_${key.toUpperCase()}`);
  return Object.keys(env).filter(
    (name) => !known.has(name) && groups.some((group) => name === group || name.startsWith(`${group}_`)),
  );
}

/** convict throws all faults in one message, a line each: `key: what is wrong: value was "x"`. */
function formatFaults(validate: () => void): { key: string; message: string }[] {
  try {
    validate();
    return [];
  } catch (error) {
    const lines = (error as Error).message.split('\n').filter((line) => line.trim() !== '');
    return lines.map((line) => {
      const [, key, message] = /^\s*([\w.]+): (.*)$/.exec(line) ?? [null, '', line];
      // "is missing: value was null" says less than "is missing".
      return {
        key: key!,
        message: message!.replace(/: value was null$/, '').replace(/: value was (.*)$/, ', not $1'),
      };
    });
  }
}

function absolute(config: DaemonConfig, folder: string): DaemonConfig {
  const { classes, accounting, control } = config;
  const at = (path: string): string => (isAbsolute(path) ? path : resolve(folder, path));
  const [, scheme, file] = /^(file|sqlite):(.*)$/.exec(classes.source ?? '') ?? [];
  const source = file === undefined ? classes.source : `${scheme}:${at(file)}`;
  const { spool } = accounting;
  const { stateFolder } = classes;
  return {
    ...config,
    classes: {
      ...classes,
      source,
      stateFolder: typeof stateFolder === 'string' ? at(stateFolder) : stateFolder,
    },
    accounting: { ...accounting, spool: typeof spool === 'string' ? at(spool) : spool },
    control: { socket: typeof control.socket === 'string' ? at(control.socket) : control.socket },
  };
}

function readDocument(path: string): unknown {
  const extension = extname(path).toLowerCase();
  let text: string;
  try {
    text = readFileSync(path, 'utf8').replace(/^\ufeff/, '');
  } catch (cause) {
    throw usageError('E_CONFIG_READ', `${path}: ${(cause as Error).message}`, cause);
  }
  if (extension === '.json') return readJson(path, text);
  if (extension === '.yaml' || extension === '.yml') return readYaml(path, text);
  throw usageError('E_CONFIG_READ', `${path}: a configuration file ends in .json, .yaml or .yml`);
}

function readJson(path: string, text: string): unknown {
  const { fault, duplicates } = scanJson(text);
  if (fault !== null) throw syntaxError(path, placeOf(text, fault.offset), fault.message);
  const twice = duplicates[0];
  if (twice !== undefined)
    throw syntaxError(
      path,
      placeOf(text, twice.offset),
      `${printableKey(twice.key)} stands twice in one map`,
    );
  return JSON.parse(text);
}

function readYaml(path: string, text: string): unknown {
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'error' });
  const [error] = document.errors;
  if (error !== undefined) throw syntaxError(path, placeOf(text, error.pos[0]), error.message);
  return document.toJS();
}

function syntaxError(path: string, place: string, message: string): Error {
  return usageError('E_CONFIG_SYNTAX', `${path}: ${place}: ${message}`);
}
