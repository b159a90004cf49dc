/**
 * Subscriber prefixes: IPv4 and IPv6 addresses with an optional length.
 *
 * IPv4 is read by hand, strictly as four decimal octets: a million of them take a tenth of the time that a general
 * address library needs, and the library's shorthands (`10.1`, octal `010.0.0.1`) would hide typing errors.
 * IPv6 goes through ipaddr.js.
 */
import ipaddr from 'ipaddr.js';
import { quoted } from './units.js';

/**
 * A prefix with its host bits cleared. `words` holds the address in network order as int32 values, one for IPv4
 * and four for IPv6. `text` is canonical (RFC 5952 for IPv6; the length left out for a single host), so two
 * prefixes are equal exactly when their texts are.
 */
export interface PrefixSpec {
  readonly family: 4 | 6;
  readonly words: readonly number[];
  readonly length: number;
  readonly text: string;
}

/** `normalised` tells that host bits were set in the text and have been cleared in `prefix`. */
export interface ParsedPrefix {
  readonly prefix: PrefixSpec;
  readonly normalised: boolean;
}

const SLASH = 47;
const DOT = 46;
const ZERO = 48;

/**
 * Reads `10.0.0.5`, `10.0.0.0/24`, `2001:db8::1` or `2001:db8:42::/56`.
 * @returns the prefix, or a message that says what is wrong with `text`; never throws
 */
export function parsePrefix(text: string): ParsedPrefix | string {
  return text.includes(':') ? parsePrefix6(text) : parsePrefix4(text);
}

function parsePrefix4(text: string): ParsedPrefix | string {
  let at = 0;
  let address = 0;
  for (let octetIndex = 0; octetIndex < 4; octetIndex++) {
    if (octetIndex > 0 && text.charCodeAt(at++) !== DOT) return notAPrefix(text);
    const start = at;
    let octet = 0;
    for (let digit = digitAt(text, at); digit >= 0 && at < start + 3; digit = digitAt(text, at)) {
      octet = octet * 10 + digit;
      at++;
    }
    if (at === start || octet > 255) return notAPrefix(text);
    if (at > start + 1 && text.charCodeAt(start) === ZERO) {
      return `${quoted(text)} has an octet with a leading zero, which some programs read as octal`;
    }
    address = (address << 8) | octet;
  }
  if (at === text.length) return { prefix: prefix4(address, 32, text), normalised: false };
  if (text.charCodeAt(at) !== SLASH) return notAPrefix(text);
  const length = parseLength(text, at + 1, 32);
  if (length < 0) return badLength(text, 32);
  const masked = address & maskOf(length);
  const normalised = masked !== address;
  if (length === 32) return { prefix: prefix4(address, 32, text.slice(0, at)), normalised };
  return {
    prefix: prefix4(masked, length, normalised ? `${formatIpv4(masked)}/${length}` : text),
    normalised,
  };
}

function parsePrefix6(text: string): ParsedPrefix | string {
  if (text.includes('%')) return `${quoted(text)} has a zone, which means nothing in a packet`;
  const slash = text.indexOf('/');
  const parts = ipv6Parts(slash < 0 ? text : text.slice(0, slash));
  if (parts === null) return notAPrefix(text);
  const length = slash < 0 ? 128 : parseLength(text, slash + 1, 128);
  if (length < 0) return badLength(text, 128);
  const words: number[] = [];
  let normalised = false;
  for (let i = 0; i < 4; i++) {
    const word = (parts[2 * i]! << 16) | parts[2 * i + 1]!;
    const masked = word & maskOf(Math.min(Math.max(length - 32 * i, 0), 32));
    if (masked !== word) normalised = true;
    words.push(masked);
  }
  if (length >= 96 && words[0] === 0 && words[1] === 0 && words[2] === 0xffff) {
    return `${quoted(text)} is an IPv4 address mapped into IPv6; packets carry it as IPv4, so write it as IPv4`;
  }
  const canonical = formatIpv6(words, length);
  // The file's own string is kept where it is canonical already, so that the copy can be collected.
  return { prefix: { family: 6, words, length, text: canonical === text ? text : canonical }, normalised };
}

function prefix4(address: number, length: number, text: string): PrefixSpec {
  return { family: 4, words: [address], length, text };
}

function ipv6Parts(address: string): readonly number[] | null {
  try {
    return ipaddr.IPv6.parse(address).parts;
  } catch {
    return null;
  }
}

/** The length after a slash, or -1: one to three digits, no leading zero, at most `max`, nothing after them. */
function parseLength(text: string, start: number, max: number): number {
  const digits = text.length - start;
  if (digits < 1 || digits > 3 || (digits > 1 && text.charCodeAt(start) === ZERO)) return -1;
  let length = 0;
  for (let at = start; at < text.length; at++) {
    const digit = digitAt(text, at);
    if (digit < 0) return -1;
    length = length * 10 + digit;
  }
  return length <= max ? length : -1;
}

function digitAt(text: string, at: number): number {
  const digit = text.charCodeAt(at) - ZERO; // NaN past the end fails the comparison below
  return digit >= 0 && digit <= 9 ? digit : -1;
}

/** An int32 mask of `length` leading ones; a shift by 32 would be a shift by 0, hence the special case. */
function maskOf(length: number): number {
  return length === 0 ? 0 : -1 << (32 - length);
}

/** Dotted quad of an address as an integer of 32 bits, of either sign. */
export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

function formatIpv6(words: readonly number[], length: number): string {
  const parts: number[] = [];
  for (const word of words) parts.push(word >>> 16, word & 0xffff);
  const address = new ipaddr.IPv6(parts).toRFC5952String();
  return length === 128 ? address : `${address}/${length}`;
}

function notAPrefix(text: string): string {
  return `${quoted(text)} is not an IPv4 or IPv6 address or prefix`;
}

function badLength(text: string, max: number): string {
  return `${quoted(text)} has a prefix length that is not a number from 0 to ${max}`;
}
