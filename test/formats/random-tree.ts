/** Random class trees, as documents, that a foreign format can say in full. */
import * as assert from 'uvu/assert';
import type { ClassTree } from '../../classes/model.js';
import { DIFFSERVS } from '../../classes/queue.js';
import { treeOf } from '../classes/documents.js';
import { below } from '../classes/random.js';
import { randomQueue } from '../classes/random-queue.js';

type Document = Record<string, unknown>;

export interface Profile {
  /** What the format can say beyond addresses, rates and ceils of leaves, and one rate of an inner class. */
  readonly rich: boolean;
  readonly inner: number;
  readonly leaves: number;
  readonly depthMax: number;
}

export function randomTree(random: () => number, profile: Profile): ClassTree {
  return treeOf(new Maker(random, profile).document());
}

/** Names the first class that differs; a whole tree in a message helps nobody. */
export function expectSameTree(actual: ClassTree, expected: ClassTree): void {
  const { classes: here, ...settings } = actual;
  const { classes: there, ...others } = expected;
  assert.equal(settings, others);
  assert.is(here.length, there.length);
  for (const [index, spec] of there.entries()) assert.equal(here[index], spec);
}

class Maker {
  readonly #random: () => number;
  readonly #profile: Profile;
  readonly #classes: Document[] = [];
  readonly #addresses = new Set<string>();
  readonly #ids = new Set<string>();

  constructor(random: () => number, profile: Profile) {
    this.#random = random;
    this.#profile = profile;
  }

  document(): Document {
    const { rich, inner, leaves, depthMax } = this.#profile;
    const levels: { readonly id: string; readonly level: number; readonly rate: number }[] = [];
    for (let i = 0; i < inner; i++) {
      const above = levels[below(this.#random, levels.length + 1)];
      const isRoot = above === undefined || above.level >= depthMax - 1;
      const spec = this.#class(isRoot ? null : above.id);
      // A format with one rate for an inner class may want it no higher than that of the class above.
      const rate = (isRoot ? 1e9 : above.rate) - 1e6 * below(this.#random, 50);
      Object.assign(spec, rich ? this.#directions() : { down: { rate }, up: { rate } });
      levels.push({ id: spec.id as string, level: isRoot ? 1 : above.level + 1, rate });
    }
    for (let i = 0; i < leaves; i++) {
      // The first leaves go one below each inner class, so that none of these is a leaf.
      const above = levels[i < levels.length ? i : below(this.#random, levels.length)]!;
      const spec = this.#class(above.id);
      if (!rich || this.#chance(0.9)) spec.match = this.#matches();
      if (this.#chance(0.5)) Object.assign(spec, rich ? this.#queueOfTc() : this.#queueOfLibreqos());
      Object.assign(spec, this.#directions());
    }
    const settings = rich
      ? {
          overhead: below(this.#random, 30),
          mpu: below(this.#random, 2) * 64,
          linklayer: ['ethernet', 'atm'][below(this.#random, 2)],
          default: this.#classes.at(-1)!.id,
        }
      : {};
    return { version: 1, ...settings, classes: this.#classes };
  }

  #class(parent: string | null): Document {
    let id: string;
    do {
      const number = 1 + below(this.#random, 60_000);
      id = [`u${number}`, `${number}`, `Haus ${number}, "Süd"`, `1:${number.toString(16)}`][
        below(this.#random, 4)
      ]!;
    } while (this.#ids.has(id));
    this.#ids.add(id);
    const spec: Document = parent === null ? { id } : { id, parent };
    this.#classes.push(spec);
    return spec;
  }

  /** tc has one word for a limit, and of what only weir has none but what holds anyway. */
  #queueOfTc(): Document {
    const only = { isolate: 'none', diffserv: 'besteffort', wash: false };
    const { leaf, ...said } = randomQueue(this.#random);
    for (const [key, value] of Object.entries(only)) if (key in said) said[key] = value;
    if (said.limitBytes !== 0 && (leaf === 'codel' || (leaf === 'pfifo' && 'limit' in said)))
      delete said.limitBytes;
    if ('limitBytes' in said) delete said.memory;
    return leaf === undefined ? said : { leaf, ...said };
  }

  #queueOfLibreqos(): Document {
    const cake = { leaf: 'fq_codel', isolate: 'dual' };
    const queues = [
      { leaf: 'pfifo' },
      { leaf: 'fq_codel' },
      cake,
      ...DIFFSERVS.map((diffserv) => ({ ...cake, diffserv })),
    ];
    return queues[below(this.#random, queues.length)]!;
  }

  #directions(): Document {
    const leavesOut = (): boolean => this.#profile.rich && this.#chance(0.15);
    return {
      ...(leavesOut() ? {} : { down: this.#direction() }),
      ...(leavesOut() ? {} : { up: this.#direction() }),
    };
  }

  #direction(): Document {
    const { rich } = this.#profile;
    const rate = 100_000 + below(this.#random, 10 ** (5 + below(this.#random, 6)));
    const ceil = rate + below(this.#random, 1e9);
    if (this.#chance(0.2)) return { ceil };
    if (!rich) return this.#chance(0.2) ? { rate } : { rate, ceil };
    return {
      rate,
      ...(this.#chance(0.8) ? { ceil } : {}),
      ...(this.#chance(0.3) ? { burst: 1600 + below(this.#random, 1e6) } : {}),
      ...(this.#chance(0.3) ? { cburst: 1600 + below(this.#random, 1e6) } : {}),
      ...(this.#chance(0.3) ? { quantum: 60 + below(this.#random, 100_000) } : {}),
      ...(this.#chance(0.5) ? { prio: below(this.#random, 8) } : {}),
    };
  }

  /** One address at least; in one tree some prefixes hold others. */
  #matches(): string[] {
    const wanted = 1 + below(this.#random, 3);
    const matches: string[] = [];
    while (matches.length < wanted) {
      const byte = (): number => below(this.#random, 256);
      const text = [
        () => `10.${byte() & 3}.${byte()}.${byte()}`,
        () => `10.${byte() & 3}.${byte()}.0/24`,
        () => `10.${byte() & 3}.${byte()}.${byte() & 0xf0}/28`,
        () => `2001:db8:${(byte() + 1).toString(16)}:${byte().toString(16)}00::/56`,
        () => `2001:db8:${(byte() + 1).toString(16)}::1`,
        () => `10.${byte() & 3}.0.0/16`,
      ][below(this.#random, 6)]!();
      if (this.#addresses.has(text)) continue;
      this.#addresses.add(text);
      matches.push(text.replace(/:000?::/, '::').replace(':0::', '::'));
    }
    return matches;
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }
}
