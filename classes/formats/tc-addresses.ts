/** Which addresses each class of a device gets, as far as its filters agree with "the longest prefix wins". */
import { type PrefixSpec, parsePrefix } from '../prefix.js';
import type { FormatProblems } from './result.js';
import type { TcDevice, TcMatch } from './tc-device.js';
import { formatHandle } from './tc-words.js';

/** classid → its prefixes, canonical, in the script's order. */
export type Addresses = ReadonlyMap<number, readonly string[]>;

/**
 * Goes through the filters of one side in the order in which the kernel asks them. One that comes too late, or points at what
 * holds no packets, is reported and left out.
 */
export function addressesOf(device: TcDevice, side: 'dst' | 'src', problems: FormatProblems): Addresses {
  const inner = new Set(Array.from(device.classes.values(), (spec) => spec.parent));
  const winners = new Map<string, TcMatch>();
  const lengths: Record<4 | 6, Set<number>> = { 4: new Set(), 6: new Set() };
  const inKernelOrder = [...device.matches].sort((a, b) => a.pref - b.pref);
  for (const match of inKernelOrder) {
    if (match.side !== side) {
      const message = `the filter is left out: it looks at ${match.side}, the subscribers of ${device.name} are ${side}`;
      problems.tally(`side ${device.name}`, { place: match.place }, 'filter', message);
    } else if (!device.classes.has(match.target)) {
      const message = `the filter is left out: ${formatHandle(match.target)} is no class of ${device.name}`;
      problems.tally(`target ${device.name}`, { place: match.place }, 'flowid', message);
    } else if (inner.has(match.target)) {
      const message = `the filter is left out: ${formatHandle(match.target)} has children, only a leaf holds packets`;
      problems.tally(`inner ${device.name}`, { place: match.place }, 'flowid', message);
    } else {
      const { prefix } = parsePrefix(match.prefix) as { readonly prefix: PrefixSpec };
      const first = winners.get(match.prefix);
      if (first === undefined) {
        warnOfShadow(match, prefix, winners, lengths[prefix.family], problems);
        winners.set(match.prefix, match);
        lengths[prefix.family].add(prefix.length);
      } else if (first.target !== match.target) {
        const message = `the filter is left out: ${match.prefix} goes to ${formatHandle(first.target)} before, from ${first.place}`;
        problems.warning({ place: match.place }, 'filter', message);
      }
    }
  }
  return byTarget(device, winners);
}

function byTarget(device: TcDevice, winners: ReadonlyMap<string, TcMatch>): Addresses {
  const addresses = new Map<number, string[]>();
  for (const match of device.matches) {
    if (winners.get(match.prefix) !== match) continue;
    const prefixes = addresses.get(match.target);
    if (prefixes === undefined) addresses.set(match.target, [match.prefix]);
    else prefixes.push(match.prefix);
  }
  return addresses;
}

/** A shorter prefix that is asked first takes all its packets in the kernel, but not in weir. */
function warnOfShadow(
  match: TcMatch,
  prefix: PrefixSpec,
  winners: ReadonlyMap<string, TcMatch>,
  lengths: ReadonlySet<number>,
  problems: FormatProblems,
): void {
  for (const length of lengths) {
    if (length >= prefix.length) continue;
    const address = match.prefix.replace(/\/\d+$/, '');
    const shorter = parsePrefix(`${address}/${length}`);
    if (typeof shorter === 'string') continue;
    const covering = winners.get(shorter.prefix.text);
    if (covering === undefined || covering.target === match.target) continue;
    const message = `${covering.prefix} is asked first and takes ${match.prefix}; in weir the longer prefix wins`;
    problems.tally('shadow', { place: match.place }, 'prio', message);
    return;
  }
}
