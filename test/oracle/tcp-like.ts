/**
 * A bottleneck in front of which senders behave as TCP does: slow start, additive increase, and half the window when a
 * packet of theirs was dropped or marked. In virtual time; the queue is whatever is to be looked at.
 */
import type { FqEvent, FqPacket } from './fq-reference.js';
import type { Rng } from './random-tree.js';

export interface BottleneckQueue {
  readonly backlogPackets: number;
  beginStep(nowUs: number): void;
  enqueue(nowUs: number, packet: FqPacket): void;
  dequeue(nowUs: number): number;
  takeEvents(): FqEvent[];
}

/** A sender of the simulation, as one wants it. */
export interface SenderSpec {
  device: number;
  dscp: number;
  canMark: boolean;
  bytes: number;
  /** Without the queue. */
  rttUs: number;
  startUs: number;
  /** For one that does not listen: sends at this rate, whatever happens. */
  fixedBps?: number;
}

export interface BottleneckRun {
  senders: readonly SenderSpec[];
  rateBps: number;
  untilUs: number;
  onArrival?: (nowUs: number, packet: FqPacket) => void;
  onDeparture?: (nowUs: number, packet: FqPacket, sojournUs: number) => void;
  /** Called at each event's time, before anything arrives or leaves. */
  onStep?: (nowUs: number) => void;
}

interface Sender extends SenderSpec {
  flow: number;
  window: number;
  threshold: number;
  inFlight: number;
  /** Until then a loss is part of one that was answered already. */
  deafUntilUs: number;
}

interface Sent {
  packet: FqPacket;
  sender: Sender;
  queuedUs: number;
}

const FIRST_WINDOW = 4;

/** Plays the run and returns how many packets were sent. */
export function runBottleneck(queue: BottleneckQueue, run: BottleneckRun, rng: Rng): number {
  const agenda = new Agenda();
  const sent = new Map<number, Sent>();
  let tags = 0;
  let isBusy = false;

  const send = (nowUs: number, sender: Sender): void => {
    const { flow, device, dscp, canMark, bytes } = sender;
    const packet = { tag: tags++, flow, device, dscp, canMark, bytes };
    sent.set(packet.tag, { packet, sender, queuedUs: nowUs });
    sender.inFlight++;
    run.onArrival?.(nowUs, packet);
    queue.enqueue(nowUs, packet);
    heed(nowUs);
    if (!isBusy) serve(nowUs);
  };
  const fill = (nowUs: number, sender: Sender): void => {
    while (sender.fixedBps === undefined && sender.inFlight < Math.floor(sender.window)) send(nowUs, sender);
  };
  const serve = (nowUs: number): void => {
    isBusy = queue.backlogPackets > 0;
    if (!isBusy) return;
    const { packet, sender, queuedUs } = sent.get(queue.dequeue(nowUs))!;
    heed(nowUs);
    sent.delete(packet.tag);
    run.onDeparture?.(nowUs, packet, nowUs - queuedUs);
    agenda.add(nowUs + Math.ceil((packet.bytes * 8e6) / run.rateBps), serve);
    agenda.add(nowUs + sender.rttUs, (ackUs) => {
      sender.inFlight--;
      sender.window += sender.window < sender.threshold ? 1 : 1 / sender.window;
      fill(ackUs, sender);
    });
  };
  /** Senders hear of drops and marks a round trip later. */
  const heed = (nowUs: number): void => {
    for (const { what, tag } of queue.takeEvents()) {
      const { sender } = sent.get(tag)!;
      if (what !== 'mark') sent.delete(tag);
      agenda.add(nowUs + sender.rttUs, (heardUs) => {
        if (what !== 'mark') sender.inFlight--;
        if (heardUs >= sender.deafUntilUs) {
          sender.window = Math.max(2, sender.window / 2);
          sender.threshold = sender.window;
          sender.deafUntilUs = heardUs + sender.rttUs;
        }
        fill(heardUs, sender);
      });
    }
  };
  const tick = (nowUs: number, sender: Sender, fixedBps: number): void => {
    send(nowUs, sender);
    const gapUs = (sender.bytes * 8e6) / fixedBps;
    agenda.add(nowUs + Math.max(1, Math.round(gapUs * (0.9 + 0.2 * rng.next()))), (at) =>
      tick(at, sender, fixedBps),
    );
  };

  run.senders.forEach((spec, flow) => {
    const idle = { window: FIRST_WINDOW, threshold: 1e9, inFlight: 0, deafUntilUs: 0 };
    const sender: Sender = { ...spec, ...idle, flow };
    agenda.add(spec.startUs, (nowUs) => {
      if (spec.fixedBps === undefined) fill(nowUs, sender);
      else tick(nowUs, sender, spec.fixedBps);
    });
  });
  for (let next = agenda.take(); next !== null && next.atUs < run.untilUs; next = agenda.take()) {
    queue.beginStep(next.atUs);
    run.onStep?.(next.atUs);
    next.act(next.atUs);
  }
  return tags;
}

interface Appointment {
  atUs: number;
  act: (nowUs: number) => void;
}

/** What happens when, in order of time and then of entry. */
class Agenda {
  #entries: Appointment[] = [];

  add(atUs: number, act: (nowUs: number) => void): void {
    let at = this.#entries.length;
    while (at > 0 && this.#entries[at - 1]!.atUs > atUs) at--;
    this.#entries.splice(at, 0, { atUs, act });
  }

  take(): Appointment | null {
    return this.#entries.shift() ?? null;
  }
}
