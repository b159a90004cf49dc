/**
 * Finds out which class of the one device is which class of the other: a subscriber has one for each direction, and scripts
 * are free to number and to arrange them differently.
 */
import type { Addresses } from './tc-addresses.js';
import type { TcClass, TcDevice } from './tc-device.js';

export interface Side {
  readonly device: TcDevice;
  readonly addresses: Addresses;
}

/** A class of the tree: what the devices have of it, one of them at least. */
export interface Pair {
  readonly down: TcClass | null;
  readonly up: TcClass | null;
}

/**
 * Pairs by the id of weir's comment, then by equal addresses, then inner classes by the classes below them, and what is left by
 * its classid. In the order of the down device; what only the up device has stands last.
 */
export function pairClasses(down: Side | null, up: Side | null): Pair[] {
  const pairing = new Pairing(down, up);
  if (down !== null && up !== null) {
    pairing.byNote();
    pairing.byAddresses();
    pairing.byChildren();
    pairing.byClassid();
  }
  return pairing.pairs();
}

class Pairing {
  readonly #down: Side | null;
  readonly #up: Side | null;
  /** Both ways. */
  readonly #upOf = new Map<TcClass, TcClass>();
  readonly #downOf = new Map<TcClass, TcClass>();

  constructor(down: Side | null, up: Side | null) {
    this.#down = down;
    this.#up = up;
  }

  byNote(): void {
    const ups = new Map<string, TcClass>();
    for (const spec of this.#freeUps()) if (spec.note !== null) ups.set(spec.note.id, spec);
    for (const spec of this.#freeDowns()) {
      const other = spec.note === null ? undefined : ups.get(spec.note.id);
      if (other !== undefined) this.#pair(spec, other);
    }
  }

  byAddresses(): void {
    const ups = new Map<string, TcClass>();
    for (const spec of this.#freeUps()) {
      const key = keyOf(this.#up!, spec);
      if (key !== '') ups.set(key, spec);
    }
    for (const spec of this.#freeDowns()) {
      const key = keyOf(this.#down!, spec);
      const other = key === '' ? undefined : ups.get(key);
      if (other !== undefined) this.#pair(spec, other);
    }
  }

  /** Two inner classes are one if all paired classes below the one have their partners below the other, and the reverse. */
  byChildren(): void {
    const below = [childrenOf(this.#down!.device), childrenOf(this.#up!.device)] as const;
    // Classes stand after their parents, so that this goes from the leaves to the roots.
    for (const spec of this.#freeDowns().reverse()) {
      const parent = soleParent(below[0].get(spec.classid) ?? [], this.#upOf);
      const other = parent === null ? undefined : this.#up!.device.classes.get(parent);
      if (other === undefined || this.#downOf.has(other)) continue;
      if (soleParent(below[1].get(other.classid) ?? [], this.#downOf) === spec.classid)
        this.#pair(spec, other);
    }
  }

  byClassid(): void {
    for (const spec of this.#freeDowns()) {
      const other = this.#up!.device.classes.get(spec.classid);
      if (other === undefined || this.#downOf.has(other)) continue;
      const [here, there] = [this.#down!, this.#up!];
      const prefixes = new Set(here.addresses.get(spec.classid));
      const others = there.addresses.get(spec.classid) ?? [];
      const differ = prefixes.size > 0 && others.length > 0 && !others.some((prefix) => prefixes.has(prefix));
      if (!differ) this.#pair(spec, other);
    }
  }

  pairs(): Pair[] {
    const pairs: Pair[] = [];
    for (const down of this.#down?.device.classes.values() ?? []) {
      pairs.push({ down, up: this.#upOf.get(down) ?? null });
    }
    for (const up of this.#freeUps()) pairs.push({ down: null, up });
    return pairs;
  }

  #pair(down: TcClass, up: TcClass): void {
    if (this.#upOf.has(down) || this.#downOf.has(up)) return;
    this.#upOf.set(down, up);
    this.#downOf.set(up, down);
  }

  #freeDowns(): TcClass[] {
    return [...(this.#down?.device.classes.values() ?? [])].filter((spec) => !this.#upOf.has(spec));
  }

  #freeUps(): TcClass[] {
    return [...(this.#up?.device.classes.values() ?? [])].filter((spec) => !this.#downOf.has(spec));
  }
}

function keyOf({ addresses }: Side, { classid }: TcClass): string {
  return [...(addresses.get(classid) ?? [])].sort().join(' ');
}

function childrenOf(device: TcDevice): Map<number, TcClass[]> {
  const children = new Map<number, TcClass[]>();
  for (const spec of device.classes.values()) {
    if (spec.parent === null) continue;
    const siblings = children.get(spec.parent);
    if (siblings === undefined) children.set(spec.parent, [spec]);
    else siblings.push(spec);
  }
  return children;
}

/** The parent that the partners of these classes share; null if there are none, or several. */
function soleParent(classes: readonly TcClass[], partnerOf: ReadonlyMap<TcClass, TcClass>): number | null {
  let sole: number | null = null;
  for (const spec of classes) {
    const partner = partnerOf.get(spec);
    if (partner === undefined) continue;
    if (partner.parent === null || (sole !== null && sole !== partner.parent)) return null;
    sole = partner.parent;
  }
  return sole;
}
