/** What the commands of a script make of one device: its HTB, the classes, their queues, and which address goes where. */
import type { LinkLayer } from '../model.js';
import type { DocumentDirection, DocumentQueue } from './result.js';
import type { TcNote } from './tc-lines.js';

export interface TcRoot {
  readonly handle: number;
  /** Minor number; 0: none. */
  readonly defaultMinor: number;
  readonly r2q: number;
  readonly place: string;
}

export interface TcClass {
  readonly classid: number;
  /** Null at a root. */
  readonly parent: number | null;
  readonly direction: DocumentDirection;
  readonly mpu: number;
  readonly overhead: number;
  readonly linklayer: LinkLayer;
  readonly place: string;
  readonly note: TcNote | null;
}

export interface TcQueue {
  /** Without a leaf where it is none that weir knows. */
  readonly said: DocumentQueue;
  readonly place: string;
}

export interface TcMatch {
  readonly side: 'dst' | 'src';
  readonly prefix: string;
  readonly length: number;
  /** classid */
  readonly target: number;
  /** The kernel asks the lowest first. */
  readonly pref: number;
  readonly place: string;
}

export class TcDevice {
  readonly name: string;
  root: TcRoot | null = null;
  readonly classes = new Map<number, TcClass>();
  readonly queues = new Map<number, TcQueue>();
  readonly matches: TcMatch[] = [];
  /** Of the filters without a pref: each goes before the one before. */
  nextPref = 0xc000;

  constructor(name: string) {
    this.name = name;
  }

  /** After `qdisc del … root`. */
  clear(): void {
    this.root = null;
    this.classes.clear();
    this.queues.clear();
    this.matches.length = 0;
  }
}
