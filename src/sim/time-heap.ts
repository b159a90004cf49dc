/**
 * A binary heap of (time, id) pairs in typed arrays: which of many things happens next. Both the arrivals of a
 * queue and the queues themselves are kept in one. What stands on top is mostly put back with a later time, so
 * that is one operation.
 */
export class TimeHeap {
  private readonly times: Float64Array;
  private readonly ids: Int32Array;
  private count = 0;

  constructor(capacity: number) {
    this.times = new Float64Array(capacity);
    this.ids = new Int32Array(capacity);
  }

  get size(): number {
    return this.count;
  }

  /** The earliest time; Infinity when nothing is left. */
  get topTime(): number {
    return this.count === 0 ? Number.POSITIVE_INFINITY : this.times[0]!;
  }

  /** What the earliest time belongs to; only with something left. */
  get topId(): number {
    return this.ids[0]!;
  }

  push(time: number, id: number): void {
    const { times, ids } = this;
    let at = this.count++;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (times[above]! <= time) break;
      times[at] = times[above]!;
      ids[at] = ids[above]!;
      at = above;
    }
    times[at] = time;
    ids[at] = id;
  }

  /** Gives what stands on top another time; with Infinity it is taken out. */
  replaceTop(time: number): void {
    if (time === Number.POSITIVE_INFINITY) {
      this.count--;
      if (this.count > 0) this.sift(this.times[this.count]!, this.ids[this.count]!);
      return;
    }
    this.sift(time, this.ids[0]!);
  }

  clear(): void {
    this.count = 0;
  }

  private sift(time: number, id: number): void {
    const times = this.times;
    const ids = this.ids;
    const count = this.count;
    let at = 0;
    for (let child = 1; child < count; child = 2 * at + 1) {
      if (child + 1 < count && times[child + 1]! < times[child]!) child++;
      if (times[child]! >= time) break;
      times[at] = times[child]!;
      ids[at] = ids[child]!;
      at = child;
    }
    times[at] = time;
    ids[at] = id;
  }
}
