/**
 * The memory of an explored scenario: arrays that parties share, as proxies that report every access, and queues
 * of objects. Values live in the explorer's states, not in the arrays, so that a state can be left and resumed.
 */

/** What a plain access to an array means: a bug, a step of its own, or nothing worth interleaving. */
export type PlainRule = (
  party: number,
  isWrite: boolean,
  name: string,
  index: number,
) => 'never' | 'step' | 'quiet';

/** Only Atomics may touch the array. */
export const NEVER: PlainRule = () => 'never';
/** Plain accesses are steps like atomic ones, and two that conflict are reported as a race. */
export const STEP: PlainRule = () => 'step';
/** Plain accesses happen at once with the step before them; right only where they cannot race. */
export const QUIET: PlainRule = () => 'quiet';

/** A word, or the numbers of the objects in a queue, oldest first. */
export type Value = number | string;

export type Op = 'load' | 'store' | 'add' | 'sub' | 'and' | 'exchange' | 'compareExchange' | 'push' | 'take';

export interface Access {
  readonly op: Op;
  /** Number of the word or queue. */
  readonly place: number;
  readonly a: number;
  /** The replacement of a compareExchange. */
  readonly b: number;
  readonly isPlain: boolean;
  /** Whether others may run between the access before and this one. */
  readonly isQuiet: boolean;
}

export interface SharedQueue<T> {
  push(item: T): void;
  take(): T | null;
}

/** Says how an access of the running party ends: its result, or a thrown suspension. */
export type Performer = (access: Access) => Value;

interface Region {
  readonly name: string;
  readonly base: number;
  readonly offset: number;
  readonly length: number;
  readonly isFloat: boolean;
  readonly rule: PlainRule;
}

/** Stands for a SharedArrayBuffer that a party has made. */
class TrackedBuffer {
  readonly byteLength: number;
  readonly name: string;
  constructor(byteLength: number, name: string) {
    this.byteLength = byteLength;
    this.name = name;
  }
}

type Words = Int32Array | Float64Array;
const INDEX = /^\d+$/;

export class World {
  /** Value of every place before the first step. */
  readonly initial: Value[] = [];
  readonly placeNames: string[] = [];
  readonly payloads: unknown[] = [];
  /** Rule for memory that parties allocate while they run. */
  allocationRule: PlainRule = STEP;
  #regionOf = new WeakMap<object, Region>();
  #allocated = new Map<string, number>();
  #party = 0;
  #allocations = 0;
  #perform: Performer = () => {
    throw new Error('shared memory was touched outside a party');
  };

  int32(name: string, length: number, rule: PlainRule = NEVER, initial: ArrayLike<number> = []): Int32Array {
    return this.#track(new Int32Array(0), this.#region(name, length, false, rule, initial));
  }

  float64(name: string, length: number, rule: PlainRule = NEVER): Float64Array {
    return this.#track(new Float64Array(0), this.#region(name, length, true, rule, []));
  }

  /** A queue whose push and take are one step each, as a message port's are. */
  queue<T>(name: string): SharedQueue<T> {
    const place = this.initial.length;
    this.initial.push('');
    this.placeNames.push(name);
    const access = { place, b: 0, isPlain: false, isQuiet: false };
    return {
      push: (item) => {
        // The explorer keeps the first object that a party with this history has pushed.
        this.payloads.push(item);
        this.#perform({ ...access, op: 'push', a: this.payloads.length - 1 });
      },
      take: () => {
        const number = this.#perform({ ...access, op: 'take', a: 0 }) as number;
        return number < 0 ? null : (this.payloads[number] as T);
      },
    };
  }

  /** The number of a word, to look it up in a state. */
  placeOf(array: object, index: number): number {
    const region = this.#regionOf.get(array);
    if (region === undefined) throw new Error('not an array of this world');
    if (!(index >= 0 && index < region.length)) throw new Error(`${region.name}[${index}] is out of bounds`);
    return region.base + region.offset + index;
  }

  /** Runs party code with every access to shared memory going to `perform`. */
  runParty(party: number, perform: Performer, code: () => unknown): unknown {
    const outer = {
      Atomics: globalThis.Atomics,
      Int32Array: globalThis.Int32Array,
      Float64Array: globalThis.Float64Array,
      SharedArrayBuffer: globalThis.SharedArrayBuffer,
    };
    this.#party = party;
    this.#allocations = 0;
    this.#perform = perform;
    Object.assign(globalThis, {
      Atomics: this.#atomics,
      Int32Array: this.#arrayType(outer.Int32Array, false),
      Float64Array: this.#arrayType(outer.Float64Array, true),
    });
    try {
      return code();
    } finally {
      Object.assign(globalThis, outer);
    }
  }

  /** Runs code whose `new SharedArrayBuffer` others will see; elsewhere such buffers are a party's own. */
  allocating<T>(code: () => T): T {
    const outer = globalThis.SharedArrayBuffer;
    const allocate = (bytes: number): TrackedBuffer =>
      new TrackedBuffer(bytes, `buffer ${this.#party}.${this.#allocations++}`);
    const hook = new Proxy(outer, { construct: (_target, [bytes]) => allocate(bytes as number) });
    globalThis.SharedArrayBuffer = hook;
    try {
      return code();
    } finally {
      globalThis.SharedArrayBuffer = outer;
    }
  }

  #region(
    name: string,
    length: number,
    isFloat: boolean,
    rule: PlainRule,
    initial: ArrayLike<number>,
  ): Region {
    const base = this.initial.length;
    for (let i = 0; i < length; i++) {
      this.initial.push(initial[i] ?? 0);
      this.placeNames.push(`${name}[${i}]`);
    }
    return { name, base, offset: 0, length, isFloat, rule };
  }

  /** An array type that makes tracked views of tracked buffers, and ordinary arrays otherwise. */
  #arrayType<T extends Int32ArrayConstructor | Float64ArrayConstructor>(type: T, isFloat: boolean): T {
    return new Proxy(type, {
      construct: (target, parameters) => {
        const [buffer] = parameters;
        if (!(buffer instanceof TrackedBuffer)) return Reflect.construct(target, parameters);
        const length = buffer.byteLength / (isFloat ? 8 : 4);
        let base = this.#allocated.get(buffer.name);
        if (base === undefined) {
          base = this.#region(buffer.name, length, isFloat, this.allocationRule, []).base;
          this.#allocated.set(buffer.name, base);
        }
        const rule = this.allocationRule;
        return this.#track(new target(0), { name: buffer.name, base, offset: 0, length, isFloat, rule });
      },
    });
  }

  #track<T extends Words>(target: T, region: Region): T {
    const tracked: T = new Proxy(target, {
      get: (_target, key) => {
        if (typeof key === 'symbol') throw new Error(`${region.name}: no ${String(key)} on a tracked array`);
        if (INDEX.test(key)) return this.#plain(region, Number(key), null);
        return this.#method(tracked, region, key);
      },
      set: (_target, key, value) => {
        this.#plain(region, Number(key), value as number);
        return true;
      },
    });
    this.#regionOf.set(tracked, region);
    return tracked;
  }

  #method(tracked: Words, region: Region, key: string): unknown {
    const { length } = region;
    if (key === 'length') return length;
    if (key === 'fill') {
      return (value: number, from = 0, to = length) => {
        for (let i = from; i < to; i++) tracked[i] = value;
        return tracked;
      };
    }
    if (key === 'set') {
      return (source: ArrayLike<number>, at = 0) => {
        for (let i = 0; i < source.length; i++) tracked[at + i] = source[i]!;
      };
    }
    if (key === 'subarray') {
      return (from: number, to: number) =>
        this.#track(region.isFloat ? new Float64Array(0) : new Int32Array(0), {
          ...region,
          offset: region.offset + from,
          length: to - from,
        });
    }
    throw new Error(`${region.name}: no ${key} on a tracked array`);
  }

  #plain(region: Region, index: number, value: number | null): Value {
    const isWrite = value !== null;
    const rule = region.rule(this.#party, isWrite, region.name, index);
    const at = `${region.name}[${index}]`;
    if (rule === 'never')
      throw new Error(`party ${this.#party}: plain ${isWrite ? 'write to' : 'read of'} ${at}`);
    if (!(index < region.length)) throw new Error(`party ${this.#party}: ${at} is out of bounds`);
    const isQuiet = rule === 'quiet';
    const place = region.base + region.offset + index;
    const a = isWrite ? this.#coerce(region, value) : 0;
    return this.#perform({ op: isWrite ? 'store' : 'load', place, a, b: 0, isPlain: true, isQuiet });
  }

  #coerce(region: Region, value: number): number {
    return region.isFloat ? value : value | 0;
  }

  readonly #atomics = this.#atomicsOf();

  #atomicsOf(): Record<string, unknown> {
    const at = (op: Op, array: object, index: number, a: number, b = 0): number => {
      const access = {
        op,
        place: this.placeOf(array, index),
        a: a | 0,
        b: b | 0,
        isPlain: false,
        isQuiet: false,
      };
      return this.#perform(access) as number;
    };
    return {
      load: (array: object, index: number) => at('load', array, index, 0),
      store: (array: object, index: number, value: number) => at('store', array, index, value),
      add: (array: object, index: number, value: number) => at('add', array, index, value),
      sub: (array: object, index: number, value: number) => at('sub', array, index, value),
      and: (array: object, index: number, value: number) => at('and', array, index, value),
      exchange: (array: object, index: number, value: number) => at('exchange', array, index, value),
      compareExchange: (array: object, index: number, expected: number, replacement: number) =>
        at('compareExchange', array, index, expected, replacement),
    };
  }
}
