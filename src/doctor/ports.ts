/**
 * The names of the two ports in a configuration file, JSON or YAML. The rest of the file is left unread: the doctor
 * is called for also where the daemon refuses its configuration.
 */
import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { usageError } from '../errors.js';
import type { PortNames } from './gather.js';

/** @throws WeirError, exit code 2: E_CONFIG_READ, or E_CONFIG where the ports are not named as they must be */
export function readPorts(path: string): PortNames {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw usageError('E_CONFIG_READ', `${path}: ${(cause as Error).message}`, cause);
  }
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'silent' });
  const fault = document.errors[0];
  if (fault !== undefined) throw usageError('E_CONFIG', `${path}: ${fault.message}`);
  return { inside: device(path, document, 'inside'), outside: device(path, document, 'outside') };
}

function device(
  path: string,
  document: ReturnType<typeof parseDocument>,
  port: 'inside' | 'outside',
): string {
  const name = document.getIn(['ports', port, 'device']);
  if (typeof name === 'string' && name !== '') return name;
  throw usageError('E_CONFIG', `${path}: ports.${port}.device: must be the name of a network device`);
}
