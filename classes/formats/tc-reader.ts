/** Reads tc commands, one after the other, into the devices they build. */
import type { LinkLayer } from '../model.js';
import { parseRateBps, quoted } from '../units.js';
import type { DocumentDirection, FormatProblems } from './result.js';
import { type TcClass, TcDevice } from './tc-device.js';
import { readFilter } from './tc-filter.js';
import { splitTc, type TcCommand, type TcNote } from './tc-lines.js';
import { readQueue } from './tc-queue.js';
import { formatHandle, parseHandle, TcFault, TcWords } from './tc-words.js';

/** The least rate tc takes, in bit/s: one byte a second. It stands for "nothing assured", which tc cannot say. */
export const TC_LEAST_BPS = 8;

const ADDING: ReadonlySet<string> = new Set(['add', 'replace', 'change']);
const PRIO_MAX = 7;

/** sch_htb's bounds of a quantum that it derives itself. */
const QUANTUM_MIN_BYTES = 1000;
const QUANTUM_MAX_BYTES = 200_000;
const R2Q_DEFAULT = 10;

/** In tc's words; adsl is another one for atm. */
const LINK_LAYERS: ReadonlyMap<string, LinkLayer> = new Map([
  ['ethernet', 'ethernet'],
  ['atm', 'atm'],
  ['adsl', 'atm'],
]);

export class TcReader {
  readonly devices = new Map<string, TcDevice>();
  readonly #problems: FormatProblems;
  #place = '';

  constructor(problems: FormatProblems) {
    this.#problems = problems;
  }

  read(name: string, text: string): void {
    const { commands, others, notes } = splitTc(text);
    for (const other of others) {
      const message = `${quoted(other.text)} is not a tc command of a qdisc, class or filter; left out`;
      this.#problems.warning({ place: `${name} line ${other.line}` }, '', message);
    }
    let note = 0;
    for (const command of commands) {
      this.#place = `${name} line ${command.line}`;
      while (note + 1 < notes.length && notes[note + 1]!.line < command.line) note++;
      this.#command(command, notes[note] ?? null);
    }
  }

  #command({ words: [object, verb, ...rest], line }: TcCommand, note: TcNote | null): void {
    try {
      if (verb === 'del' || verb === 'delete') {
        this.#delete(object!, rest);
        return;
      }
      if (verb === undefined || !ADDING.has(verb)) {
        this.#problems.warning(this.#spot(), '', `tc ${object} ${verb ?? ''} builds nothing; left out`);
        return;
      }
      const words = new TcWords(rest);
      if (words.next() !== 'dev')
        throw new TcFault('dev', `stands first after "${object} ${verb}" in what is read here`);
      const device = this.#device(words.value('dev'));
      if (object === 'qdisc') this.#qdisc(device, words);
      else if (object === 'class')
        this.#class(device, verb, words, note !== null && note.line < line ? note : null);
      else this.#filter(device, words);
    } catch (error) {
      if (!(error instanceof TcFault)) throw error;
      this.#problems.error(this.#spot(), error.key, error.message);
    }
  }

  #device(name: string): TcDevice {
    let device = this.devices.get(name);
    if (device === undefined) {
      device = new TcDevice(name);
      this.devices.set(name, device);
    }
    return device;
  }

  /** Scripts start by deleting what was there before. */
  #delete(object: string, rest: readonly string[]): void {
    const at = rest.indexOf('dev');
    const device = at < 0 ? undefined : this.devices.get(rest[at + 1] ?? '');
    if (object === 'qdisc' && rest.includes('root')) device?.clear();
    else if (object !== 'qdisc' || !(rest.includes('ingress') || rest.includes('clsact'))) {
      this.#problems.warning(this.#spot(), '', `a deleted ${object} is not taken out again; left out`);
    }
  }

  #qdisc(device: TcDevice, words: TcWords): void {
    let handle: number | null = null;
    let parent: number | 'root' | null = null;
    for (let word = words.next(); word !== undefined; word = words.next()) {
      if (word === 'root') parent = 'root';
      else if (word === 'parent') parent = words.parsed(word, parseHandle);
      else if (word === 'handle') handle = words.parsed(word, parseHandle);
      else if (parent === 'root' && word === 'htb') {
        this.#root(device, handle, words);
        return;
      } else if (parent === 'root' || word === 'ingress' || word === 'clsact') {
        this.#problems.warning(
          this.#spot(),
          '',
          `only an htb at the root is read, not ${quoted(word)}; left out`,
        );
        return;
      } else if (parent !== null) {
        const said = readQueue(word, words, this.#problems, this.#spot());
        device.queues.set(parent, { said, place: this.#place });
        return;
      } else throw new TcFault('', `${quoted(word)} is not an option of tc qdisc`);
    }
    throw new TcFault('', 'the qdisc has no kind such as htb');
  }

  #root(device: TcDevice, handle: number | null, words: TcWords): void {
    if (handle === null) throw new TcFault('handle', 'is missing; the classes name it');
    let defaultMinor = 0;
    let r2q = R2Q_DEFAULT;
    for (let word = words.next(); word !== undefined; word = words.next()) {
      if (word === 'default') {
        defaultMinor = words.parsed(word, (text) =>
          /^(0x)?[\da-f]{1,4}$/i.test(text)
            ? Number.parseInt(text, 16)
            : `${quoted(text)} is not hexadecimal`,
        );
      } else if (word === 'r2q') r2q = words.whole(word);
      else if (word === 'direct_qlen' || word === 'debug') words.value(word);
      else if (word !== 'offload') throw new TcFault('', `${quoted(word)} is not an option of htb`);
    }
    if (r2q === 0) throw new TcFault('r2q', 'is 0');
    device.root = { handle, defaultMinor, r2q, place: this.#place };
  }

  #class(device: TcDevice, verb: string, words: TcWords, note: TcNote | null): void {
    let parent: number | 'root' | null = null;
    let classid: number | null = null;
    for (let word = words.next(); word !== undefined; word = words.next()) {
      if (word === 'parent') parent = words.peek() === 'root' ? 'root' : words.parsed(word, parseHandle);
      else if (word === 'root') parent = 'root';
      else if (word === 'classid') classid = words.parsed(word, parseHandle);
      else if (word === 'htb') {
        if (classid === null) throw new TcFault('classid', 'is missing');
        this.#htbClass(device, verb, parent, classid, words, note);
        return;
      } else if (word === 'est' || word === 'estimator') {
        words.value(word);
        words.value(word);
      } else if (/^[a-z_]+$/.test(word) && classid !== null) {
        this.#problems.warning(
          this.#spot(),
          '',
          `only classes of htb are read, not of ${quoted(word)}; left out`,
        );
        return;
      } else throw new TcFault('', `${quoted(word)} is not an option of tc class`);
    }
    throw new TcFault('', 'the class has no kind such as htb');
  }

  #htbClass(
    device: TcDevice,
    verb: string,
    parent: number | 'root' | null,
    classid: number,
    words: TcWords,
    note: TcNote | null,
  ): void {
    const root = device.root;
    if (root === null) throw new TcFault('parent', `${device.name} has no htb at its root before this line`);
    const known = device.classes.get(classid);
    if (verb === 'add' && known !== undefined) {
      throw new TcFault('classid', `${formatHandle(classid)} is there already, from ${known.place}`);
    }
    if (parent === null && known === undefined) throw new TcFault('parent', 'is missing');
    const above =
      parent === null ? known!.parent : parent === 'root' || parent === root.handle ? null : parent;
    if (above !== null && !device.classes.has(above)) {
      throw new TcFault('parent', `${formatHandle(above)} is not a class of ${device.name} before this line`);
    }
    if (Math.floor(classid / 0x10000) !== Math.floor(root.handle / 0x10000) || classid % 0x10000 === 0) {
      throw new TcFault('classid', `${formatHandle(classid)} is not a class of ${formatHandle(root.handle)}`);
    }
    const parameters = this.#parameters(words, root.r2q);
    const ours = note !== null && note.classid === formatHandle(classid) ? note : null;
    device.classes.set(classid, {
      classid,
      parent: above,
      ...parameters,
      place: this.#place,
      note: ours ?? known?.note ?? null,
    });
  }

  #parameters(words: TcWords, r2q: number): Pick<TcClass, 'direction' | 'mpu' | 'overhead' | 'linklayer'> {
    const direction: DocumentDirection = {};
    let mpu = 0;
    let overhead = 0;
    let linklayer: LinkLayer = 'ethernet';
    for (let word = words.next(); word !== undefined; word = words.next()) {
      if (word === 'rate' || word === 'ceil') direction[word] = words.parsed(word, parseRateBps);
      else if (word === 'burst' || word === 'buffer' || word === 'maxburst')
        direction.burst = words.size(word);
      else if (word === 'cburst' || word === 'cbuffer' || word === 'cmaxburst')
        direction.cburst = words.size(word);
      else if (word === 'quantum') direction.quantum = words.size(word);
      else if (word === 'prio') direction.prio = this.#prio(words.whole(word));
      else if (word === 'mpu') mpu = words.size(word);
      else if (word === 'overhead') overhead = words.size(word);
      else if (word === 'mtu' || word === 'slot' || word === 'pslot') words.value(word);
      else if (word === 'linklayer') linklayer = readLinkLayer(words);
      else throw new TcFault('', `${quoted(word)} is not an option of an htb class`);
    }
    const rateBps = direction.rate;
    if (rateBps === undefined) throw new TcFault('rate', 'is missing');
    if (direction.quantum === undefined && r2q !== R2Q_DEFAULT) {
      const derived = Math.floor(rateBps / 8 / r2q);
      direction.quantum = Math.min(Math.max(derived, QUANTUM_MIN_BYTES), QUANTUM_MAX_BYTES);
    }
    return {
      direction: rateBps > TC_LEAST_BPS ? direction : withoutRate(direction),
      mpu,
      overhead,
      linklayer,
    };
  }

  #prio(prio: number): number {
    if (prio <= PRIO_MAX) return prio;
    this.#problems.tally(
      'prio',
      this.#spot(),
      'prio',
      `is above ${PRIO_MAX}, the last; read as that, as the kernel does`,
    );
    return PRIO_MAX;
  }

  #filter(device: TcDevice, words: TcWords): void {
    const reading = readFilter(words);
    if (reading === 'table') return;
    if ('unsaid' in reading) {
      const message = `the filter is left out: ${reading.unsaid}`;
      this.#problems.tally(`${device.name} ${reading.unsaid}`, this.#spot(), 'filter', message);
      return;
    }
    const { side, prefix, length, classid: target } = reading;
    const pref = reading.pref ?? device.nextPref--;
    device.matches.push({ side, prefix, length, target, pref, place: this.#place });
  }

  #spot(): { readonly place: string } {
    return { place: this.#place };
  }
}

function readLinkLayer(words: TcWords): LinkLayer {
  const text = words.value('linklayer');
  const known = LINK_LAYERS.get(text);
  if (known === undefined) throw new TcFault('linklayer', `${quoted(text)} is not ethernet, atm or adsl`);
  return known;
}

/** A rate that assures nothing: its burst means nothing either. */
function withoutRate(direction: DocumentDirection): DocumentDirection {
  const { rate = 0, ceil = rate, burst: _, ...others } = direction;
  return { ...others, ceil };
}
