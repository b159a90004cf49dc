/**
 * Counts the compare-exchanges of this thread, and how many failed because another thread had changed the word. They
 * are counted in a run of their own: counting costs more than what is counted.
 */
export interface Exchanges {
  readonly attempts: number;
  readonly failures: number;
  /** Attempts on a word that another queue has changed in the same step; what a thread could at worst run into. */
  readonly meetings: number;
}

type CompareExchange = (words: Int32Array, index: number, expected: number, replacement: number) => number;

/** Who touched each word of one memory last, and in which step. */
interface Track {
  readonly queues: Uint8Array;
  readonly steps: Int32Array;
}

export class ExchangeCounter {
  private readonly original = Atomics.compareExchange as CompareExchange;
  private readonly tracks = new Map<object, Track>();
  private attempts = 0;
  private failures = 0;
  private meetings = 0;
  private queue = 0;
  private step = 1;

  /** Counts what `body` does. */
  during(body: () => void): Exchanges {
    const counting: CompareExchange = (words, index, expected, replacement) => {
      const found = this.original.call(Atomics, words, index, expected, replacement);
      this.attempts++;
      if (found !== expected) this.failures++;
      this.note(words, index);
      return found;
    };
    Atomics.compareExchange = counting as typeof Atomics.compareExchange;
    try {
      body();
    } finally {
      Atomics.compareExchange = this.original as typeof Atomics.compareExchange;
    }
    const { attempts, failures, meetings } = this;
    return { attempts, failures, meetings };
  }

  /** What follows is done by this queue, in this step; steps count from 1. */
  enter(queue: number, step: number): void {
    this.queue = queue;
    this.step = step;
  }

  private note(words: Int32Array, index: number): void {
    let track = this.tracks.get(words.buffer);
    if (track === undefined) {
      const count = words.buffer.byteLength >> 2;
      track = { queues: new Uint8Array(count), steps: new Int32Array(count) };
      this.tracks.set(words.buffer, track);
    }
    const at = index + (words.byteOffset >> 2);
    if (track.steps[at] === this.step && track.queues[at] !== this.queue) this.meetings++;
    track.steps[at] = this.step;
    track.queues[at] = this.queue;
  }
}
