/** What the tests of accounting share. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { UsageRow } from '../../classes/stores/usage.js';
import { type Amounts, VALUES_PER_ID } from '../../src/accounting/amounts.js';
import type { UsageMeter, VisitTotal } from '../../src/accounting/ledger.js';

export type Four = [number, number, number, number];

/** Seed of a random test: `WEIR_SEED` or the time; printed, so that a failure can be repeated. */
export function seedOf(name: string): number {
  const seed = Number(process.env.WEIR_SEED ?? Date.now() % 2 ** 31) | 0;
  console.log(`${name}: WEIR_SEED=${seed}`);
  return seed;
}

export function withFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'weir-usage-'));
  const clean = (): void => rmSync(folder, { recursive: true, force: true });
  let result: T;
  try {
    result = work(folder);
  } catch (error) {
    clean();
    throw error;
  }
  if (result instanceof Promise) return result.finally(clean) as T;
  clean();
  return result;
}

export function amountsOf(entries: Readonly<Record<string, Four>>): Amounts {
  return { ids: Object.keys(entries), values: Float64Array.from(Object.values(entries).flat()) };
}

/** Sums by id, the slow way. */
export class Sums {
  readonly of = new Map<string, Four>();

  add(id: string, amounts: readonly number[]): void {
    const sum = this.of.get(id) ?? [0, 0, 0, 0];
    this.of.set(id, sum.map((value, k) => value + amounts[k]!) as Four);
  }

  addAmounts({ ids, values }: Amounts): void {
    for (const [i, id] of ids.entries())
      this.add(id, [...values.slice(i * VALUES_PER_ID, (i + 1) * VALUES_PER_ID)]);
  }

  addRows(rows: readonly UsageRow[]): void {
    for (const { subscriber, direction, bytes, packets } of rows)
      this.add(subscriber, direction === 'down' ? [bytes, packets, 0, 0] : [0, 0, bytes, packets]);
  }

  /** What is not all zero, sorted. */
  plain(): [string, Four][] {
    return [...this.of].filter(([, four]) => four.some((value) => value > 0)).sort();
  }
}

/** Counts by hand; accounts of classes that are gone are numbered anew. */
export class HandMeter implements UsageMeter {
  readonly #living = new Map<string, { account: number; totals: Four }>();
  readonly #gone: { account: number; id: string; totals: Four }[] = [];
  readonly #free: number[] = [];
  #accounts = 0;

  open(id: string): void {
    if (!this.#living.has(id))
      this.#living.set(id, { account: this.#free.pop() ?? this.#accounts++, totals: [0, 0, 0, 0] });
  }

  count(id: string, amounts: readonly number[]): void {
    const { totals } = this.#living.get(id)!;
    for (const [k, amount] of amounts.entries()) totals[k]! += amount;
  }

  remove(id: string): void {
    this.#gone.push({ id, ...this.#living.get(id)! });
    this.#living.delete(id);
  }

  get ids(): string[] {
    return [...this.#living.keys()];
  }

  forEachTotal(visit: VisitTotal): void {
    for (const [id, { account, totals }] of this.#living) visit(account, id, ...totals);
  }

  takeGone(visit: VisitTotal): void {
    for (const { account, id, totals } of this.#gone.splice(0)) {
      visit(account, id, ...totals);
      this.#free.push(account);
    }
  }
}
