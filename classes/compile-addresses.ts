/** Reads rows of addresses, and says what is wrong with them. */
import { idFault } from './class-reader.js';
import type { RowProblems } from './compile-rows.js';
import type { PrefixSpec } from './model.js';
import { parsePrefix } from './prefix.js';
import type { RecordRow } from './records.js';
import { quoted } from './units.js';

/** The prefix of a row of addresses, or null after an error. `id` is the subscriber's. */
export function readAddress(row: RecordRow, id: string, problems: RowProblems): PrefixSpec | null {
  const value = row.address;
  if (typeof value !== 'string') {
    const fault = value === null || value === undefined ? 'is missing' : `must be text, not ${quoted(value)}`;
    problems.placeError(addressPlace(id, ''), 'address', fault);
    return null;
  }
  const parsed = parsePrefix(value);
  if (typeof parsed === 'string') {
    problems.placeError(addressPlace(id, value), 'address', parsed);
    return null;
  }
  if (parsed.normalised) {
    const message = `has bits set after its length; read as ${parsed.prefix.text}`;
    problems.placeWarning(addressPlace(id, value), id, 'address', message);
  }
  return parsed.prefix;
}

/** `addresses row 'u42' 10.0.0.5`; text that is no address is quoted. */
export function addressPlace(id: unknown, address: unknown): string {
  const isPlain = typeof address === 'string' && /^[\da-f.:/]{0,45}$/i.test(address);
  const subscriber = idFault(id) === null ? `'${id}'` : quoted(id);
  return `addresses row ${subscriber} ${isPlain ? address : quoted(address)}`.trimEnd();
}

export function unknownSubscriber(id: unknown): string {
  return id === undefined ? 'is missing' : `${quoted(id)} is not the id of a subscriber`;
}

export function takenBy(prefix: PrefixSpec, owner: string, id: string): string {
  return owner === id
    ? `${prefix.text} stands twice for this subscriber`
    : `${prefix.text} is an address of subscriber '${owner}' already`;
}
