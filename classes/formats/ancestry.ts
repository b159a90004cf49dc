/** Who stands above whom in a class tree, by id. */
import type { ClassSpec, ClassTree } from '../model.js';

export class Ancestry {
  readonly #byId = new Map<string, ClassSpec>();
  readonly #parents = new Set<string>();

  constructor(tree: ClassTree) {
    for (const spec of tree.classes) {
      this.#byId.set(spec.id, spec);
      if (spec.parent !== null) this.#parents.add(spec.parent);
    }
  }

  isInner(id: string): boolean {
    return this.#parents.has(id);
  }

  parent(spec: ClassSpec): ClassSpec | null {
    return spec.parent === null ? null : this.#byId.get(spec.parent)!;
  }

  /** The ceil of the nearest ancestor with a limit in this direction, in bit/s; null if none has one. */
  ceilAbove(spec: ClassSpec, name: 'down' | 'up'): number | null {
    for (let above = this.parent(spec); above !== null; above = this.parent(above)) {
      const direction = above[name];
      if (direction !== null) return direction.ceilBps;
    }
    return null;
  }

  /** 1 for a root. */
  level(spec: ClassSpec): number {
    let level = 1;
    for (let above = this.parent(spec); above !== null; above = this.parent(above)) level++;
    return level;
  }
}
