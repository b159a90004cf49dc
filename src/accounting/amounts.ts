/**
 * What subscribers used in some time: in memory, between threads, and as the bytes that the spool keeps.
 *
 *     record  =  length of the id, id in UTF-8, down bytes, down packets, up bytes, up packets
 *
 * All numbers are whole, up to 2^53, in base 128 with the lowest digit first and 128 added to all but the last one.
 * Records follow each other; an id stands at most once.
 */
import type { UsageRow } from '../../classes/stores/usage.js';

/** Down bytes, down packets, up bytes, up packets. */
export const VALUES_PER_ID = 4;

/** `values[VALUES_PER_ID * i]` and the following are those of `ids[i]`. */
export interface Amounts {
  readonly ids: readonly string[];
  readonly values: Float64Array;
}

const DIGITS_MAX = 8;
const BASE = 128;
/** More than any class id has. */
const ID_BYTES_MAX = 65_536;

/** Adds amounts up by id. */
export class AmountSum {
  readonly #placeOf = new Map<string, number>();
  readonly #ids: string[] = [];
  #values = new Float64Array(64 * VALUES_PER_ID);

  get isEmpty(): boolean {
    return this.#ids.length === 0;
  }

  add(id: string, downBytes: number, downPackets: number, upBytes: number, upPackets: number): void {
    let place = this.#placeOf.get(id);
    if (place === undefined) {
      place = this.#ids.length;
      this.#placeOf.set(id, place);
      this.#ids.push(id);
      if (this.#values.length < this.#ids.length * VALUES_PER_ID) this.#grow();
    }
    const values = this.#values;
    const at = place * VALUES_PER_ID;
    values[at]! += downBytes;
    values[at + 1]! += downPackets;
    values[at + 2]! += upBytes;
    values[at + 3]! += upPackets;
  }

  addAll({ ids, values }: Amounts): void {
    for (let i = 0, at = 0; i < ids.length; i++, at += VALUES_PER_ID)
      this.add(ids[i]!, values[at]!, values[at + 1]!, values[at + 2]!, values[at + 3]!);
  }

  /** Adds what `encodeAmounts` made. Throws RangeError when the bytes are something else; some may have been added then. */
  addEncoded(bytes: Uint8Array): void {
    const reader = new Reader(bytes);
    while (!reader.isAtEnd) {
      const id = reader.text();
      this.add(id, reader.number(), reader.number(), reader.number(), reader.number());
    }
  }

  /** A view of what is here, until the next addition. */
  amounts(): Amounts {
    return { ids: this.#ids, values: this.#values.subarray(0, this.#ids.length * VALUES_PER_ID) };
  }

  #grow(): void {
    const larger = new Float64Array(this.#values.length * 2);
    larger.set(this.#values);
    this.#values = larger;
  }
}

export function encodeAmounts({ ids, values }: Amounts): Uint8Array {
  let room = 0;
  for (const id of ids) room += Buffer.byteLength(id) + (1 + VALUES_PER_ID) * DIGITS_MAX;
  const bytes = Buffer.allocUnsafe(room);
  let end = 0;
  for (let i = 0, at = 0; i < ids.length; i++, at += VALUES_PER_ID) {
    const id = ids[i]!;
    end = writeNumber(bytes, end, Buffer.byteLength(id));
    end += bytes.write(id, end);
    for (let k = 0; k < VALUES_PER_ID; k++) end = writeNumber(bytes, end, values[at + k]!);
  }
  return bytes.subarray(0, end);
}

/** One row for each id and direction that has something. */
export function usageRows({ ids, values }: Amounts): UsageRow[] {
  const rows: UsageRow[] = [];
  const add = (subscriber: string, direction: UsageRow['direction'], at: number): void => {
    const bytes = values[at]!;
    const packets = values[at + 1]!;
    if (bytes > 0 || packets > 0) rows.push({ subscriber, direction, bytes, packets });
  };
  for (const [i, id] of ids.entries()) {
    add(id, 'down', i * VALUES_PER_ID);
    add(id, 'up', i * VALUES_PER_ID + 2);
  }
  return rows;
}

function writeNumber(bytes: Uint8Array, at: number, number: number): number {
  let rest = number;
  let end = at;
  while (rest >= BASE) {
    bytes[end++] = (rest % BASE) + BASE;
    rest = Math.floor(rest / BASE);
  }
  bytes[end++] = rest;
  return end;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(): number {
    let number = 0;
    for (let scale = 1, digits = 0; digits < DIGITS_MAX; digits++, scale *= BASE) {
      const digit = this.#bytes[this.#at++];
      if (digit === undefined) break;
      if (digit < BASE) return this.#checked(number + digit * scale);
      number += (digit - BASE) * scale;
    }
    throw new RangeError('a number has no end');
  }

  text(): string {
    const length = this.number();
    const end = this.#at + length;
    if (length > ID_BYTES_MAX || end > this.#bytes.length) throw new RangeError('an id has no end');
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end;
    return text;
  }

  #checked(number: number): number {
    if (!Number.isSafeInteger(number)) throw new RangeError('a number is too large');
    return number;
  }
}
