/**
 * tc scripts of HTB classes and filters, one device a direction, read into a class tree document.
 *
 * The device toward the subscribers shapes what goes down and its filters look at destinations; the other one shapes what goes
 * up and looks at sources. See README.md for what is paired with what.
 */

import {
  type DocumentClass,
  type DocumentDirection,
  type DocumentQueue,
  FormatProblems,
  type FormatResult,
  type TreeDocument,
} from './result.js';
import { addressesOf } from './tc-addresses.js';
import type { TcClass, TcDevice } from './tc-device.js';
import { type Pair, pairClasses, type Side } from './tc-pairs.js';
import { areEqualQueues, saidQueue } from './tc-queue.js';
import { TcReader } from './tc-reader.js';
import { formatHandle } from './tc-words.js';

export interface TcScript {
  /** As people know the file; stands in messages. */
  readonly name: string;
  readonly text: string;
}

/** Which device shapes which direction; 'auto': the one whose filters look at destinations is that of `down`. */
export type TcDevices = { readonly downDevice: string; readonly upDevice: string } | 'auto';

/** Reads the scripts one after the other, as they would be run. Never throws; reads no file. */
export function readTc(scripts: readonly TcScript[], devices: TcDevices = 'auto'): FormatResult {
  const problems = new FormatProblems();
  const reader = new TcReader(problems);
  for (const { name, text } of scripts) reader.read(name, text);
  const roles = findRoles(reader.devices, devices, problems);
  warnOfOneWay(roles, problems);
  const down = roles.down === null ? null : sideOf(roles.down, 'dst', problems);
  const up = roles.up === null ? null : sideOf(roles.up, 'src', problems);
  const assembly = new Assembly(pairClasses(down, up), down, up, problems);
  const document = assembly.document();
  return {
    document: problems.errorCount === 0 ? document : null,
    problems: problems.all(),
    placeOf: (id) => assembly.places.get(id) ?? null,
  };
}

interface Roles {
  readonly down: TcDevice | null;
  readonly up: TcDevice | null;
}

const NO_ROLES: Roles = { down: null, up: null };

function sideOf(device: TcDevice, side: 'dst' | 'src', problems: FormatProblems): Side {
  return { device, addresses: addressesOf(device, side, problems) };
}

function findRoles(
  byName: ReadonlyMap<string, TcDevice>,
  devices: TcDevices,
  problems: FormatProblems,
): Roles {
  const shaped = [...byName.values()].filter((device) => device.root !== null);
  if (shaped.length === 0) {
    if (problems.errorCount === 0)
      problems.error(null, '', 'the scripts put no htb at the root of any device');
    return NO_ROLES;
  }
  if (devices === 'auto') return guessRoles(shaped, problems);
  const { downDevice, upDevice } = devices;
  if (downDevice === upDevice) {
    problems.error(null, 'device', `${downDevice} cannot be the device of both directions`);
    return NO_ROLES;
  }
  const find = (name: string): TcDevice | null => shaped.find((device) => device.name === name) ?? null;
  for (const name of [downDevice, upDevice]) {
    if (find(name) === null) problems.error(null, 'device', `the scripts put no htb at the root of ${name}`);
  }
  for (const { name, root } of shaped) {
    if (name === downDevice || name === upDevice) continue;
    problems.warning(
      { place: root!.place },
      'device',
      `${name} is neither ${downDevice} nor ${upDevice}; left out`,
    );
  }
  return { down: find(downDevice), up: find(upDevice) };
}

function guessRoles(shaped: readonly TcDevice[], problems: FormatProblems): Roles {
  const looksAt = (device: TcDevice, side: 'dst' | 'src'): boolean =>
    device.matches.some((match) => match.side === side);
  const downs = shaped.filter((device) => looksAt(device, 'dst') && !looksAt(device, 'src'));
  const ups = shaped.filter((device) => looksAt(device, 'src') && !looksAt(device, 'dst'));
  const rest = shaped.filter((device) => !downs.includes(device) && !ups.includes(device));
  if (shaped.length <= 2 && downs.length <= 1 && ups.length <= 1 && downs.length + ups.length > 0) {
    // With one of two known, the other is the other one, unless it looks both ways.
    const other = rest.length === 1 && rest[0]!.matches.length === 0 ? rest[0]! : null;
    if (other !== null || rest.length === 0) return { down: downs[0] ?? other, up: ups[0] ?? other };
  }
  const names = shaped.map((device) => device.name).join(', ');
  const message = `the filters do not tell which of ${names} goes toward the subscribers; name the devices of both directions`;
  problems.error(null, 'device', message);
  return NO_ROLES;
}

/** With one device alone nothing is said of the other direction, and a class without a direction has no limit there. */
function warnOfOneWay({ down, up }: Roles, problems: FormatProblems): void {
  const only = down ?? up;
  if (only === null || (down !== null && up !== null) || problems.errorCount > 0) return;
  const [shaped, free] = down === null ? ['up', 'down'] : ['down', 'up'];
  const message = `only ${only.name} has an htb, and that is for ${shaped}: in the direction ${free} nothing is limited`;
  problems.warning({ place: only.root!.place }, 'device', message);
}

class Assembly {
  readonly places = new Map<string, string>();
  readonly #pairs: readonly Pair[];
  readonly #down: Side | null;
  readonly #up: Side | null;
  readonly #problems: FormatProblems;
  readonly #pairOf = new Map<TcClass, Pair>();
  readonly #idOf = new Map<Pair, string>();

  constructor(pairs: readonly Pair[], down: Side | null, up: Side | null, problems: FormatProblems) {
    this.#pairs = pairs;
    this.#down = down;
    this.#up = up;
    this.#problems = problems;
    for (const pair of pairs) {
      if (pair.down !== null) this.#pairOf.set(pair.down, pair);
      if (pair.up !== null) this.#pairOf.set(pair.up, pair);
      this.#name(pair);
    }
  }

  document(): TreeDocument {
    const fallback = this.#default();
    return {
      version: 1,
      ...(fallback === null ? {} : { default: fallback }),
      ...this.#common('overhead', 0),
      ...this.#common('mpu', 0),
      ...this.#common('linklayer', 'ethernet'),
      classes: this.#pairs.map((pair) => this.#class(pair)),
    };
  }

  /** The id of weir's comment; else the classid, with the device where that alone is taken. */
  #name(pair: Pair): void {
    const spec = (pair.down ?? pair.up)!;
    const device = (pair.down === null ? this.#up : this.#down)!.device;
    const classid = formatHandle(spec.classid);
    let id = spec.note?.id ?? classid;
    for (let number = 1; this.places.has(id); number++) {
      id = `${classid}@${device.name}${number === 1 ? '' : `-${number}`}`;
    }
    this.#idOf.set(pair, id);
    this.places.set(id, spec.place);
  }

  #class(pair: Pair): DocumentClass {
    const parent = this.#parent(pair);
    const match = this.#match(pair);
    const down = directionOf(pair.down);
    const up = directionOf(pair.up);
    return {
      id: this.#idOf.get(pair)!,
      ...(parent === null ? {} : { parent: this.#idOf.get(parent)! }),
      ...(match.length === 0 ? {} : { match }),
      ...this.#queue(pair),
      ...(down === null ? {} : { down }),
      ...(up === null ? {} : { up }),
    };
  }

  /**
   * The devices may differ in classes that the one has and the other has not: these put no limit into the other direction. So of two
   * parents the lower one is taken, if all between it and the upper one are of its device alone.
   */
  #parent(pair: Pair): Pair | null {
    const down = this.#above(pair, 'down');
    const up = this.#above(pair, 'up');
    if (pair.up === null || down === up) return down;
    if (pair.down === null) return up;
    if (this.#leadsTo(down, up, 'down')) return down;
    if (this.#leadsTo(up, down, 'up')) return up;
    const message = `lies below other classes than its partner from ${pair.up.place}; in weir a class has one place in the tree`;
    this.#problems.error({ place: pair.down.place }, 'parent', message);
    return down;
  }

  #above(pair: Pair, name: 'down' | 'up'): Pair | null {
    const parent = pair[name]?.parent ?? null;
    if (parent === null) return null;
    const side = name === 'down' ? this.#down : this.#up;
    return this.#pairOf.get(side!.device.classes.get(parent)!)!;
  }

  #leadsTo(from: Pair | null, to: Pair | null, name: 'down' | 'up'): boolean {
    const other = name === 'down' ? 'up' : 'down';
    let pair = from;
    while (pair !== to && pair !== null && pair[other] === null) pair = this.#above(pair, name);
    return pair === to;
  }

  #match(pair: Pair): string[] {
    const down = pair.down === null ? [] : (this.#down!.addresses.get(pair.down.classid) ?? []);
    const up = pair.up === null ? [] : (this.#up!.addresses.get(pair.up.classid) ?? []);
    const both = new Set([...down, ...up]);
    if (down.length > 0 && up.length > 0 && (both.size > down.length || both.size > up.length)) {
      const message = `its filters match other addresses than those of its partner from ${pair.up!.place}; weir matches all of them`;
      this.#problems.tally('addresses', { place: pair.down!.place }, 'match', message);
    }
    return [...both];
  }

  #queue(pair: Pair): DocumentQueue {
    const down = pair.down === null ? undefined : this.#down!.device.queues.get(pair.down.classid);
    const up = pair.up === null ? undefined : this.#up!.device.queues.get(pair.up.classid);
    if (down !== undefined && up !== undefined && !areEqualQueues(down.said, up.said)) {
      const message = `differs from the queue of its partner, ${up.place}; a class has one queue, the download's`;
      this.#problems.tally('queues', { place: down.place }, 'leaf', message);
    }
    const queue = down ?? up;
    if (queue === undefined) return {};
    const note = pair.down?.note ?? pair.up?.note ?? null;
    return note === null ? queue.said : saidQueue(queue.said, note.words);
  }

  #default(): string | null {
    const down = this.#defaultOf(this.#down);
    const up = this.#defaultOf(this.#up);
    if (down !== up && this.#down !== null && this.#up !== null) {
      const place = this.#down.device.root!.place;
      const message = `the devices send what no filter matches to different classes; weir has one, that of ${this.#down.device.name}`;
      this.#problems.warning({ place }, 'default', message);
    }
    const pair = this.#down === null ? up : down;
    return pair === null ? null : this.#idOf.get(pair)!;
  }

  /** A default that is no leaf makes the kernel pass such packets by the shaper, which is what weir does without one. */
  #defaultOf(side: Side | null): Pair | null {
    if (side === null || side.device.root!.defaultMinor === 0) return null;
    const { handle, defaultMinor, place } = side.device.root!;
    const spec = side.device.classes.get(handle + defaultMinor);
    const isInner = [...side.device.classes.values()].some((other) => other.parent === spec?.classid);
    if (spec !== undefined && !isInner) return this.#pairOf.get(spec)!;
    const message = `${formatHandle(handle + defaultMinor)} is not a leaf; what no filter matches passes unshaped`;
    this.#problems.warning({ place }, 'default', message);
    return null;
  }

  /** weir has one overhead, mpu and link layer for the whole tree; classes that differ are told of. */
  #common(key: 'overhead' | 'mpu' | 'linklayer', unsaid: number | string): Partial<TreeDocument> {
    const counts = new Map<number | string, number>();
    const specs = [
      ...(this.#down?.device.classes.values() ?? []),
      ...(this.#up?.device.classes.values() ?? []),
    ];
    for (const spec of specs) counts.set(spec[key], (counts.get(spec[key]) ?? 0) + 1);
    const common = [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? unsaid;
    for (const spec of specs) {
      if (spec[key] === common) continue;
      const message = `is ${spec[key]} here; weir has one for all classes, ${common}, as most have it`;
      this.#problems.tally(key, { place: spec.place }, key, message);
    }
    return common === unsaid ? {} : { [key]: common };
  }
}

/** Null where the class puts no limit, which only weir's own comment can say. */
function directionOf(spec: TcClass | null): DocumentDirection | null {
  return spec === null || spec.note?.words.includes('unlimited') === true ? null : spec.direction;
}
