/**
 * A class tree as one `tc -batch` script for the two devices of a shaper: qdisc, classes, leaf queues, filters.
 *
 * What the kernel's HTB cannot do is an error at its class; what only tc's words cannot say is a warning with a count, or stands
 * in a comment that readTc() understands.
 */
import {
  type ClassSpec,
  type ClassTree,
  type DirectionSpec,
  defaultBurstBytes,
  defaultQuantumBytes,
  type Problem,
} from '../model.js';
import { NO_SETTINGS, type QueueSettings } from '../queue.js';
import { writtenQueue } from '../queue-keys.js';
import { areEqualSettings } from '../queue-table.js';
import { RATE_MAX_BPS } from '../units.js';
import { Ancestry } from './ancestry.js';
import { FormatProblems } from './result.js';
import { BUCKET_MAX, type FilterKind, filterLines, type Target } from './tc-filter-export.js';
import { queueText, type TcQueueText } from './tc-queue.js';
import { TC_LEAST_BPS } from './tc-reader.js';

export interface TcExportOptions {
  /** Toward the subscribers; its filters look at destinations. */
  readonly downDevice: string;
  /** Toward the uplink; its filters look at sources. */
  readonly upDevice: string;
  /** u32 unless given: every kernel with HTB has it. */
  readonly filter?: FilterKind;
}

export interface TcExport {
  /** For `tc -batch`. Null exactly when `problems` holds an error. */
  readonly script: string | null;
  readonly problems: readonly Problem[];
}

/** Minor numbers of classes: 1 to this; 0 is the qdisc itself and ffff stands for the root. */
export const TC_CLASSES_MAX = 0xfffe;
/** TC_HTB_MAXDEPTH */
export const TC_DEPTH_MAX = 8;
/** The kernel keeps a burst as a time, in ticks of 64 ns, in 32 bits: some 274 seconds at the class's rate. */
const BURST_MAX_US = Math.floor((2 ** 32 - 1) / 15.625);

export function writeTc(tree: ClassTree, options: TcExportOptions): TcExport {
  const problems = new FormatProblems();
  checkDevices(options, problems);
  if (tree.classes.length > TC_CLASSES_MAX) {
    const beyond = { classId: tree.classes[TC_CLASSES_MAX]!.id };
    const message = `is class ${TC_CLASSES_MAX + 1} of ${tree.classes.length}; an htb has numbers for ${TC_CLASSES_MAX}`;
    problems.error(beyond, 'id', message);
    return { script: null, problems: problems.all() };
  }
  if (tree.overheadBytes < 0)
    problems.error(null, 'overhead', `is ${tree.overheadBytes}; tc takes none below 0`);
  const writer = new TcWriter(tree, problems);
  const filter = options.filter ?? 'u32';
  const lines = [
    `# weir classes for tc -batch: ${options.downDevice} toward the subscribers, ${options.upDevice} toward the uplink`,
    ...writer.device(options.downDevice, 'down', filter),
    ...writer.device(options.upDevice, 'up', filter),
  ];
  const script = problems.errorCount === 0 ? `${lines.join('\n')}\n` : null;
  return { script, problems: problems.all() };
}

function checkDevices({ downDevice, upDevice }: TcExportOptions, problems: FormatProblems): void {
  for (const name of [downDevice, upDevice]) {
    if (/^[^\s/"'#;&|$\\]{1,15}$/.test(name)) continue;
    problems.error(null, 'device', `${JSON.stringify(name)} is not the name of a network device`);
  }
  if (downDevice === upDevice) problems.error(null, 'device', 'the two directions need two devices');
}

class TcWriter {
  readonly #tree: ClassTree;
  readonly #problems: FormatProblems;
  readonly #ancestry: Ancestry;
  /** hexadecimal, by class id */
  readonly #minors: ReadonlyMap<string, string>;
  /** Equal ones are mostly one object. */
  readonly #queueTexts = new Map<QueueSettings, TcQueueText>();

  constructor(tree: ClassTree, problems: FormatProblems) {
    this.#tree = tree;
    this.#problems = problems;
    this.#ancestry = new Ancestry(tree);
    this.#minors = numberClasses(tree);
    this.#checkTree(tree);
    for (const spec of tree.classes) this.#check(spec);
  }

  device(device: string, name: 'down' | 'up', kind: FilterKind): string[] {
    const { defaultClass, classes } = this.#tree;
    const fallback = defaultClass === null ? '' : ` default 0x${this.#minors.get(defaultClass)!}`;
    const lines = [`qdisc add dev ${device} root handle 1: htb${fallback}`];
    for (const spec of classes) lines.push(...this.#class(device, name, spec));
    const leaves = classes.filter((spec) => !this.#ancestry.isInner(spec.id));
    const spare = this.#spareHandle(leaves);
    for (const spec of leaves) lines.push(...this.#queue(device, spec, spare));
    const targets: Target[] = classes.flatMap(({ id, match }) =>
      match.map((prefix) => ({ prefix, minor: this.#minors.get(id)!, classId: id })),
    );
    const filters = filterLines(device, name === 'down' ? 'dst' : 'src', kind, targets);
    // What does not fit on the one device does not fit on the other; that is one fault.
    if (filters.overfull !== null && name === 'down') {
      const { prefix, classId } = filters.overfull;
      const message = `${prefix.text} is one prefix more than the ${BUCKET_MAX} that u32 keeps in a bucket, on ${device}; use --filter flower`;
      this.#problems.error({ classId }, 'match', message);
    }
    for (const line of filters.lines) lines.push(line);
    return lines;
  }

  #class(device: string, name: 'down' | 'up', spec: ClassSpec): string[] {
    const minor = this.#minors.get(spec.id)!;
    const parent = spec.parent === null ? '' : this.#minors.get(spec.parent)!;
    const direction = spec[name];
    const { overheadBytes, mpuBytes, linkLayer } = this.#tree;
    const words = [
      `class add dev ${device} parent 1:${parent} classid 1:${minor} htb`,
      ...this.#rates(spec, name, direction ?? this.#noLimit(spec, name)),
      ...(mpuBytes === 0 ? [] : [`mpu ${mpuBytes}`]),
      ...(overheadBytes === 0 ? [] : [`overhead ${overheadBytes}`]),
      ...(linkLayer === 'atm' ? ['linklayer atm'] : []),
    ];
    const note = [`# weir class 1:${minor} ${JSON.stringify(spec.id)}`];
    if (direction === null) note.push('unlimited');
    if (!this.#ancestry.isInner(spec.id)) note.push(...this.#queueText(spec).note);
    return [note.join(' '), words.join(' ')];
  }

  /** Nothing assured, ceil as above; a root without a limit lends as much as weir ever takes a rate for. */
  #noLimit(spec: ClassSpec, name: 'down' | 'up'): DirectionSpec {
    const ceilBps = this.#ancestry.ceilAbove(spec, name) ?? RATE_MAX_BPS;
    const rateBps = spec.parent === null ? ceilBps : 0;
    return {
      rateBps,
      ceilBps,
      burstBytes: defaultBurstBytes(rateBps),
      cburstBytes: defaultBurstBytes(ceilBps),
      quantumBytes: defaultQuantumBytes(rateBps),
      prio: 0,
    };
  }

  #rates(spec: ClassSpec, name: 'down' | 'up', direction: DirectionSpec): string[] {
    const { rateBps, ceilBps, burstBytes, cburstBytes, quantumBytes, prio } = direction;
    const rate = Math.max(rateBps, TC_LEAST_BPS);
    const ceil = Math.max(ceilBps, TC_LEAST_BPS);
    if ((rateBps > 0 && rateBps <= TC_LEAST_BPS) || ceilBps < TC_LEAST_BPS) {
      const message = 'tc takes no rate below 8bit, and 8bit stands for nothing assured';
      this.#problems.tally('least', { classId: spec.id }, `${name}.rate`, message);
    }
    if (rateBps === 0 && burstBytes !== defaultBurstBytes(0)) {
      const message = 'a burst where nothing is assured means nothing to tc; left out';
      this.#problems.tally('burst of 0', { classId: spec.id }, `${name}.burst`, message);
    }
    const burst = this.#burst(spec, `${name}.burst`, burstBytes, rate, rateBps > 0);
    const cburst = this.#burst(spec, `${name}.cburst`, cburstBytes, ceil, true);
    return [
      `rate ${rate}bit ceil ${ceil}bit burst ${burst}b cburst ${cburst}b`,
      `quantum ${quantumBytes} prio ${prio}`,
    ];
  }

  /** tc takes a burst of 0 for one to be computed, and one that lasts too long comes out as something arbitrary. */
  #burst(spec: ClassSpec, key: string, bytes: number, rateBps: number, warns: boolean): number {
    const max = Math.floor((BURST_MAX_US / 1e6) * Math.floor(rateBps / 8));
    const written = Math.max(Math.min(bytes, max), 1);
    if (written !== bytes && warns) {
      const fault =
        bytes === 0 ? 'of 0 is written as 1' : `is more than ${max} bytes, which last 274 s; cut to that`;
      this.#problems.tally(`${key.replace(/^\w+\./, '')} ${bytes === 0}`, { classId: spec.id }, key, fault);
    }
    return written;
  }

  /** A leaf's queue has the handle of its class's number; 1 is the htb's own. */
  #queue(device: string, spec: ClassSpec, spare: string | null): string[] {
    const minor = this.#minors.get(spec.id)!;
    const handle = minor === '1' ? spare : minor;
    // With every number taken the one leaf gets the kernel's default queue, which is a pfifo.
    if (handle === null) return [];
    return [`qdisc add dev ${device} parent 1:${minor} handle ${handle}: ${this.#queueText(spec).words}`];
  }

  #queueText({ queue }: ClassSpec): TcQueueText {
    let text = this.#queueTexts.get(queue);
    if (text === undefined) {
      text = queueText(this.#tree.queue, queue);
      this.#queueTexts.set(queue, text);
    }
    return text;
  }

  #spareHandle(leaves: readonly ClassSpec[]): string | null {
    const taken = new Set(leaves.map((spec) => this.#minors.get(spec.id)!));
    for (let handle = 2; handle <= TC_CLASSES_MAX; handle++) {
      if (!taken.has(handle.toString(16))) return handle.toString(16);
    }
    return null;
  }

  #check(spec: ClassSpec): void {
    const isInner = this.#ancestry.isInner(spec.id);
    const level = this.#ancestry.level(spec);
    if (level === TC_DEPTH_MAX + 1) {
      const message = `puts the class on level ${level}; an htb has ${TC_DEPTH_MAX}`;
      this.#problems.error({ classId: spec.id }, 'parent', message);
    }
    if (!isInner) for (const [key, what] of this.#queueText(spec).unsaid) this.#cannotSay(spec, key, what);
    else if (!areEqualSettings(spec.queue, NO_SETTINGS))
      this.#cannotSay(spec, 'leaf', 'the queue of a class with children');
  }

  #checkTree({ linkLayer, queue }: ClassTree): void {
    if (linkLayer === 'ptm') this.#problems.warning(null, 'linklayer', 'tc cannot say ptm; left out');
    if (areEqualSettings(queue, NO_SETTINGS)) return;
    const message = 'tc cannot say what holds of the queues of all classes; written at each of them';
    this.#problems.warning(null, Object.keys(writtenQueue(queue))[0]!, message);
  }

  #cannotSay(spec: ClassSpec, key: string, what: string): void {
    this.#problems.tally(`${key} ${what}`, { classId: spec.id }, key, `tc cannot say ${what}; left out`);
  }
}

/** Minor numbers, hexadecimal: those that ids such as "1:2a" ask for, and the lowest free ones in the tree's order. */
function numberClasses(tree: ClassTree): Map<string, string> {
  const minors = new Map<string, string>();
  const taken = new Set<number>();
  for (const { id } of tree.classes) {
    const wanted = Number.parseInt(/^1:([1-9a-f][\da-f]{0,3})$/.exec(id)?.[1] ?? '0', 16);
    if (wanted < 1 || wanted > TC_CLASSES_MAX) continue;
    taken.add(wanted);
    minors.set(id, wanted.toString(16));
  }
  let next = 1;
  for (const { id } of tree.classes) {
    if (minors.has(id)) continue;
    while (taken.has(next)) next++;
    minors.set(id, (next++).toString(16));
  }
  return minors;
}
