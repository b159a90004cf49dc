/**
 * A model checker for the real code: it runs two or three parties, ordinary synchronous functions, in every order
 * that their accesses to shared memory can take.
 *
 * A synchronous function cannot be stopped and resumed, so it is replayed: it runs from its start with the
 * results that its accesses had so far, and at the first access beyond them an exception takes it away. The
 * scheduler then chooses whose access is performed next. A party's next access depends on nothing but
 * the results it has seen, so every history of results is replayed once and kept in a tree:
 *
 *     load → 0 ── compareExchange → 0 ── done
 *                                 → 7 ── load → 7 ── …
 *
 * A state is the shared memory and one place in each party's tree. Equal states are explored once; as histories
 * only grow, the graph of states has no cycle and the number of interleavings is its number of paths. The set
 * of visited states keeps 64 bits of the memory's hash beside the exact histories.
 *
 * Beside the scenario's own checks it proves two things in every state: each party, running alone, ends
 * within a bound (lock-freedom, whoever else has stopped wherever); and no two accesses that could come next
 * conflict while one of them is plain (by which a program without such a pair behaves under JavaScript's
 * memory model as it does here; Adve and Hill, "Weak ordering", 1990).
 */
import { type Access, type Value, World } from './world.js';

export interface Ending {
  /** What each party returned. */
  readonly results: readonly unknown[];
  /** A word of shared memory as it was left. */
  readonly read: (array: object, index: number) => number;
}

export interface Scenario {
  /** Makes the shared memory and says what the parties do; local objects are made inside the parties. */
  readonly build: (world: World) => {
    readonly parties: readonly (() => unknown)[];
    /** What is wrong with an ending; null if nothing. */
    readonly check?: (ending: Ending) => string | null;
    /** The ending in short, to be one of `acceptable`. */
    readonly outcome?: (ending: Ending) => string;
    /** What is wrong with the memory after any step; null if nothing. */
    readonly invariant?: (read: Ending['read']) => string | null;
  };
  /** All outcomes that are right; each must occur. */
  readonly acceptable?: readonly string[];
  /** Most steps a party may take from any state on when it runs alone; not looked at where left out. */
  readonly soloStepsMax?: number;
  /**
   * Accesses that the code does not look at the result of. They give NaN, which would spoil whatever did use it, and
   * so histories that differ only there are one.
   */
  readonly ignoresResult?: (access: Access) => boolean;
  /** Names of arrays whose every access happens at once with the step before it, to make a scenario smaller. */
  readonly atOnce?: readonly string[];
  /** Names of arrays whose plain accesses may race by design. */
  readonly racy?: readonly string[];
}

export interface Report {
  /** The first thing found wrong, with the schedule that leads there; null if nothing is. */
  readonly failure: string | null;
  readonly interleavings: number;
  readonly states: number;
  /** Histories replayed. */
  readonly replays: number;
  readonly soloSteps: number;
  readonly outcomes: readonly string[];
}

const STEPS_MAX = 3000;
/** Steps of a failing schedule that are printed, the last ones. */
const TRAIL_SHOWN = 60;

/** A party's history: the accesses it has made and what they gave. */
interface History {
  readonly id: number;
  readonly before: History | null;
  /** What the access before gave. */
  readonly gave: Value;
  readonly length: number;
  readonly after: Map<Value, History>;
  /** The next access; null when the party has ended. */
  readonly next: Access | null;
  readonly result: unknown;
}

interface State {
  readonly memory: Value[];
  hashLow: number;
  hashHigh: number;
  readonly histories: History[];
}

/** Takes a party away at its next step. Not an Error, which would record a stack each time. */
const SUSPENDED = Symbol('suspended');

class Wrong extends Error {}

/** Explores all interleavings of a scenario. */
export function explore(scenario: Scenario): Report {
  return new Explorer(scenario).run();
}

/** Explores, prints the figures, and throws when the scenario fails. */
export function exploreAll(name: string, scenario: Scenario): Report {
  const report = explore(scenario);
  const { interleavings, states, replays, soloSteps } = report;
  const count = interleavings < 1e9 ? String(interleavings) : interleavings.toExponential(2);
  const alone = scenario.soloStepsMax === undefined ? '' : `, alone ≤ ${soloSteps} steps`;
  console.log(`  ${name}: ${count} interleavings, ${states} states, ${replays} replays${alone}`);
  if (report.failure !== null) throw new Error(`${name}: ${report.failure}`);
  return report;
}

/** Explores a protocol that was broken on purpose, and throws unless that is noticed, for the reason given. */
export function catchCanary(name: string, scenario: Scenario, reason: RegExp): void {
  const { failure } = explore(scenario);
  if (failure === null || !reason.test(failure)) {
    throw new Error(`${name}: the broken protocol was not caught, found: ${failure ?? 'nothing'}`);
  }
}

class Explorer {
  readonly #scenario: Scenario;
  readonly #world = new World();
  readonly #built: ReturnType<Scenario['build']>;
  readonly #visited = new Map<string, number>();
  readonly #outcomes = new Set<string>();
  readonly #valueIds = new Map<Value, number>();
  readonly #trail: string[] = [];
  #histories = 0;
  #soloSteps = 0;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#built = scenario.build(this.#world);
  }

  run(): Report {
    let failure: string | null = null;
    let interleavings = 0;
    try {
      const start: State = { memory: [], hashLow: 0, hashHigh: 0, histories: [] };
      for (let party = 0; party < this.#built.parties.length; party++) {
        start.histories.push(this.#replay(start, party, null, 0));
      }
      interleavings = this.#visit(start);
      for (const outcome of this.#scenario.acceptable ?? []) {
        if (!this.#outcomes.has(outcome)) throw new Wrong(`outcome ${outcome} never occurs`);
      }
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      failure = `${error.message}\n    ${this.#trail.slice(-TRAIL_SHOWN).join('\n    ')}`;
    }
    const outcomes = [...this.#outcomes];
    const states = this.#visited.size;
    return { failure, interleavings, states, replays: this.#histories, soloSteps: this.#soloSteps, outcomes };
  }

  /** Explores everything from a state on; returns the number of interleavings. */
  #visit(state: State): number {
    const key = `${state.hashLow} ${state.hashHigh} ${state.histories.map(({ id }) => id).join(' ')}`;
    const seen = this.#visited.get(key);
    if (seen !== undefined) return seen;
    if (this.#trail.length > STEPS_MAX) throw new Wrong(`no end after ${STEPS_MAX} steps`);
    const problem = this.#built.invariant?.((array, index) => this.#read(state, array, index)) ?? null;
    if (problem !== null) throw new Wrong(problem);
    this.#findRaces(state);
    let interleavings = 0;
    for (let party = 0; party < state.histories.length; party++) {
      if (state.histories[party]!.next === null) continue;
      this.#runAlone(state, party);
      this.#trail.push(this.#describe(party, state.histories[party]!.next!));
      interleavings += this.#visit(this.#step(state, party));
      this.#trail.pop();
    }
    if (interleavings === 0) {
      this.#end(state);
      interleavings = 1;
    }
    this.#visited.set(key, interleavings);
    return interleavings;
  }

  #end(state: State): void {
    const ending: Ending = {
      results: state.histories.map(({ result }) => result),
      read: (array, index) => this.#read(state, array, index),
    };
    const problem = this.#built.check?.(ending) ?? null;
    if (problem !== null) throw new Wrong(problem);
    if (this.#built.outcome === undefined) return;
    const outcome = this.#built.outcome(ending);
    this.#outcomes.add(outcome);
    const { acceptable } = this.#scenario;
    if (acceptable !== undefined && !acceptable.includes(outcome)) {
      throw new Wrong(`outcome ${outcome} is not acceptable`);
    }
  }

  /** Whether a party ends soon when all others have stopped where they are. */
  #runAlone(from: State, party: number): void {
    const bound = this.#scenario.soloStepsMax;
    if (bound === undefined) return;
    let state = from;
    let steps = 0;
    for (; state.histories[party]!.next !== null; steps++) {
      if (steps === bound) throw new Wrong(`party ${party} alone does not end in ${bound} steps`);
      state = this.#step(state, party, steps > 0);
    }
    if (steps > this.#soloSteps) this.#soloSteps = steps;
  }

  /** The state after a party's next step; may overwrite `from` if told so. */
  #step(from: State, party: number, inPlace = false): State {
    const { memory, hashLow, hashHigh, histories } = from;
    const state = inPlace
      ? from
      : { memory: memory.slice(), hashLow, hashHigh, histories: histories.slice() };
    let history = state.histories[party]!;
    for (;;) {
      const gave = this.#apply(state, history.next!);
      const next = history.after.get(gave) ?? this.#replay(state, party, history, gave);
      history = next;
      if (history.next === null || !history.next.isQuiet) break;
      this.#findRacesWith(state, party, history.next);
    }
    state.histories[party] = history;
    return state;
  }

  /**
   * Runs a party through `before`, whose last access gave `gave`, to its next access that is a step, performing
   * what quiet accesses come first; returns the history of the first access.
   */
  #replay(state: State, party: number, before: History | null, gave: Value): History {
    const log: Value[] = before === null ? [] : [gave];
    for (let h = before; h?.before; h = h.before) log.push(h.gave);
    log.reverse();
    let cursor = 0;
    let beyond = null as Access | null;
    let result: unknown;
    try {
      result = this.#world.runParty(
        party,
        (access) => {
          if (cursor < log.length) return log[cursor++]!;
          const isQuiet = access.isQuiet || this.#isNamed(access, this.#scenario.atOnce);
          beyond = { ...access, isQuiet };
          throw SUSPENDED;
        },
        this.#built.parties[party]!,
      );
    } catch (error) {
      if (error !== SUSPENDED) throw new Wrong(`party ${party}: ${(error as Error).message}`);
    }
    const history: History = {
      id: this.#histories++,
      before,
      gave,
      length: before === null ? 0 : before.length + 1,
      after: new Map(),
      next: beyond,
      result,
    };
    before?.after.set(gave, history);
    if (before !== null || beyond === null || !beyond.isQuiet) return history;
    // Quiet accesses at the very start belong to no step; they happen before everything.
    const first = this.#apply(state, beyond);
    let at = this.#replay(state, party, history, first);
    while (at.next?.isQuiet) at = this.#replay(state, party, at, this.#apply(state, at.next));
    return at;
  }

  #apply(state: State, access: Access): Value {
    const old = this.#valueAt(state, access.place);
    if (access.op === 'push') {
      this.#write(state, access.place, old === '' ? `${access.a}` : `${old},${access.a}`);
      return 0;
    }
    if (access.op === 'take') {
      const [first, ...rest] = String(old).split(',');
      if (first === '') return -1;
      this.#write(state, access.place, rest.join(','));
      return Number(first);
    }
    const word = old as number;
    if (access.op === 'store' || access.op === 'exchange') this.#write(state, access.place, access.a);
    else if (access.op === 'add') this.#write(state, access.place, (word + access.a) | 0);
    else if (access.op === 'sub') this.#write(state, access.place, (word - access.a) | 0);
    else if (access.op === 'and') this.#write(state, access.place, word & access.a);
    else if (access.op === 'compareExchange' && word === access.a) this.#write(state, access.place, access.b);
    return this.#scenario.ignoresResult?.(access) || access.op === 'store' ? Number.NaN : word;
  }

  #valueAt(state: State, place: number): Value {
    return state.memory[place] ?? this.#world.initial[place]!;
  }

  #read(state: State, array: object, index: number): number {
    return this.#valueAt(state, this.#world.placeOf(array, index)) as number;
  }

  #write(state: State, place: number, value: Value): void {
    const old = this.#valueAt(state, place);
    // Holes would make the array a dictionary.
    for (let i = state.memory.length; i <= place; i++) state.memory.push(this.#world.initial[i]!);
    state.memory[place] = value;
    const before = this.#idOf(old);
    const after = this.#idOf(value);
    state.hashLow ^= mix(place, before, 0x9e3779b1) ^ mix(place, after, 0x9e3779b1);
    state.hashHigh ^= mix(place, before, 0x85ebca6b) ^ mix(place, after, 0x85ebca6b);
  }

  #idOf(value: Value): number {
    let id = this.#valueIds.get(value);
    if (id === undefined) {
      id = this.#valueIds.size;
      this.#valueIds.set(value, id);
    }
    return id;
  }

  #findRaces(state: State): void {
    for (let party = 1; party < state.histories.length; party++) {
      const { next } = state.histories[party]!;
      if (next !== null) this.#findRacesWith(state, party, next, party);
    }
  }

  /** Looks among the next accesses of parties below `below` for one that races with `access` of `party`. */
  #findRacesWith(state: State, party: number, access: Access, below = state.histories.length): void {
    for (let other = 0; other < below; other++) {
      const { next } = state.histories[other]!;
      if (other === party || next === null || next.place !== access.place) continue;
      if (!next.isPlain && !access.isPlain) continue;
      if (next.op === 'load' && access.op === 'load') continue;
      if (this.#isNamed(access, this.#scenario.racy)) continue;
      this.#trail.push(this.#describe(party, access), this.#describe(other, next));
      throw new Wrong(
        `race on ${this.#world.placeNames[access.place]} between parties ${other} and ${party}`,
      );
    }
  }

  #isNamed({ place }: Access, names: readonly string[] = []): boolean {
    return names.some((name) => this.#world.placeNames[place]!.startsWith(name));
  }

  #describe(party: number, { op, place, a, b, isPlain }: Access): string {
    const values = op === 'load' || op === 'take' ? '' : op === 'compareExchange' ? ` ${a} ${b}` : ` ${a}`;
    return `party ${party}: ${isPlain ? 'plain ' : ''}${op} ${this.#world.placeNames[place]}${values}`;
  }
}

function mix(place: number, valueId: number, salt: number): number {
  let h = Math.imul(place + 1, salt) ^ Math.imul(valueId + 1, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 13), salt);
  return h ^ (h >>> 16);
}
