/**
 * What follows from a class tree's shape: who is inner, how deep each class lies, and whose assured rates compete.
 *
 * A new tree mostly holds the very objects of the one before, so both are walked side by side and only what differs is
 * looked up by id: a change of one class among 24,000 must not cost a look at 24,000 strings.
 */
import type { ClassSpec, ClassTree } from '../../classes/model.js';
import { Change } from '../shm/shared-shaper.js';
import { Limit } from '../shm/tree-layout.js';

export const DIRECTION_KEYS = ['down', 'up'] as const;
export const CLAIM_FLAGS = [Change.FLAG_CLAIM_DOWN, Change.FLAG_CLAIM_UP] as const;

const NONE = -1;

/** Per class, in the tree's order. */
export interface TreeLayout {
  readonly classes: readonly ClassSpec[];
  /** Place of the class in the tree before; -1 for a new id. */
  readonly before: Int32Array;
  /** Place of the parent; -1 for a root. */
  readonly parent: Int32Array;
  readonly isInner: Uint8Array;
  readonly level: Uint8Array;
  /** In which directions the class takes part in claims. */
  readonly claims: Uint8Array;
  /** Places, in the tree before, of the classes that are no more; parents before their children. */
  readonly gone: readonly number[];
  /** By direction; 0 without a limit of its own. */
  readonly rateBps: readonly [Float64Array, Float64Array];
  /** Places of the classes about which something is new; null where classes came, went, moved or stand elsewhere. */
  readonly changed: readonly number[] | null;
}

/** `previous` is the layout of the tree before, and `placeOf` a class's place there, or -1. */
export function layOut(
  tree: ClassTree,
  previous: TreeLayout | null,
  placeOf: (id: string) => number,
): TreeLayout {
  const { classes } = tree;
  const renewed = previous === null ? null : renewedPlaces(classes, previous.classes);
  if (previous !== null && renewed !== null) return renew(classes, previous, renewed);
  const count = classes.length;
  const { before, after } = match(classes, previous?.classes ?? [], placeOf);
  const parent = parents(classes, before, after, previous, placeOf);
  const isInner = new Uint8Array(count);
  const depth = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const above = parent[i]!;
    if (above === NONE) continue;
    isInner[above] = 1;
    depth[i] = depth[above]! + 1;
  }
  const level = depth.map((d, i) => (isInner[i] === 1 ? Limit.LEVELS - 1 - d : 0));
  const gone: number[] = [];
  for (let j = 0; j < after.length; j++) if (after[j] === NONE) gone.push(j);
  const rateBps = [new Float64Array(count), new Float64Array(count)] as const;
  for (let i = 0; i < count; i++) readRates(classes, i, rateBps);
  const claims = claimsOf(parent, rateBps);
  return { classes, before, parent, isInner, level, claims, gone, rateBps, changed: null };
}

/** Places of the classes that are other objects; null if the trees differ in more than what is said of each class. */
function renewedPlaces(classes: readonly ClassSpec[], old: readonly ClassSpec[]): number[] | null {
  if (classes.length !== old.length) return null;
  const places: number[] = [];
  for (let i = 0; i < classes.length; i++) {
    const spec = classes[i]!;
    const known = old[i]!;
    if (spec === known) continue;
    if (spec.id !== known.id || spec.parent !== known.parent) return null;
    places.push(i);
  }
  return places;
}

/** The layout of the same classes in the same places, of which those at `renewed` say something new. */
function renew(classes: readonly ClassSpec[], previous: TreeLayout, renewed: readonly number[]): TreeLayout {
  const { parent, isInner, level } = previous;
  const rateBps = [previous.rateBps[0].slice(), previous.rateBps[1].slice()] as const;
  for (const place of renewed) readRates(classes, place, rateBps);
  const claims = claimsOf(parent, rateBps);
  const isRenewed = new Uint8Array(classes.length);
  for (const place of renewed) isRenewed[place] = 1;
  const before = new Int32Array(classes.length);
  const changed: number[] = [];
  for (let i = 0; i < classes.length; i++) {
    before[i] = i;
    if (isRenewed[i] === 1 || claims[i] !== previous.claims[i]) changed.push(i);
  }
  return { classes, before, parent, isInner, level, claims, gone: [], rateBps, changed };
}

function readRates(
  classes: readonly ClassSpec[],
  place: number,
  rateBps: readonly [Float64Array, Float64Array],
): void {
  for (let d = 0; d < Limit.DIRECTIONS; d++)
    rateBps[d]![place] = classes[place]![DIRECTION_KEYS[d]!]?.rateBps ?? 0;
}

/** For each class its place before, and for each class before its place now. */
function match(
  classes: readonly ClassSpec[],
  old: readonly ClassSpec[],
  placeOf: (id: string) => number,
): { before: Int32Array; after: Int32Array } {
  const before = new Int32Array(classes.length).fill(NONE);
  const after = new Int32Array(old.length).fill(NONE);
  let j = 0;
  for (let i = 0; i < classes.length; i++) {
    const spec = classes[i]!;
    if (old[j] !== spec) {
      const place = placeOf(spec.id);
      if (place === NONE) continue;
      j = place;
    }
    before[i] = j;
    after[j] = i;
    j++;
  }
  return { before, after };
}

function parents(
  classes: readonly ClassSpec[],
  before: Int32Array,
  after: Int32Array,
  previous: TreeLayout | null,
  placeOf: (id: string) => number,
): Int32Array {
  const parent = new Int32Array(classes.length).fill(NONE);
  const wanted = new Set<string>();
  for (let i = 0; i < classes.length; i++) if (before[i] === NONE) wanted.add(classes[i]!.parent ?? '');
  const added = new Map<string, number>();
  for (let i = 0; i < classes.length; i++) {
    const { id, parent: above } = classes[i]!;
    const place = before[i]!;
    if (place === NONE && wanted.has(id)) added.set(id, i);
    if (above === null) continue;
    if (place !== NONE && previous!.classes[place] === classes[i]) {
      parent[i] = after[previous!.parent[place]!]!;
      continue;
    }
    const old = placeOf(above);
    parent[i] = old === NONE || after[old] === NONE ? added.get(above)! : after[old]!;
  }
  return parent;
}

/**
 * Marks the classes below an ancestor whose children have more assured than itself. A class without a limit of
 * its own passes the claims of its children on to the nearest ancestor that has one.
 */
function claimsOf(parent: Int32Array, rateBps: readonly [Float64Array, Float64Array]): Uint8Array {
  const claims = new Uint8Array(parent.length);
  for (let d = 0; d < Limit.DIRECTIONS; d++) markClaims(parent, rateBps[d]!, CLAIM_FLAGS[d]!, claims);
  return claims;
}

function markClaims(parent: Int32Array, rateBps: Float64Array, flag: number, claims: Uint8Array): void {
  const count = parent.length;
  const sumBps = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let holder = parent[i]!;
    while (holder >= 0 && rateBps[holder] === 0) holder = parent[holder]!;
    if (holder >= 0) sumBps[holder]! += rateBps[i]!;
  }
  for (let i = 0; i < count; i++) {
    const above = parent[i]!;
    if (above < 0) continue;
    const isOver = rateBps[above]! > 0 && sumBps[above]! > rateBps[above]!;
    if (isOver || (claims[above]! & flag) !== 0) claims[i]! |= flag;
  }
}
