import { suite } from 'uvu';
import { Mailbox, MailboxReceiver, MailboxSender } from '../../src/shm/mailbox.js';
import { catchCanary, exploreAll, type Scenario } from './explorer.js';
import { STEP } from './world.js';

const test = suite('interleavings of the mailbox');

const SLOTS = 2;
const WORDS = Mailbox.SLOTS + SLOTS * Mailbox.SLOT_WORDS;

/** Sends commands 1, 2, … with an argument that follows from the code; says for each whether it was taken. */
function sendAll(sender: MailboxSender, commands: number): boolean[] {
  const taken: boolean[] = [];
  for (let code = 1; code <= commands; code++) taken.push(sender.send(code, code * 100));
  return taken;
}

/** A worker's steps: poll, carry out, acknowledge. */
function stepAll(receiver: MailboxReceiver, steps: number): string[] {
  const carriedOut: string[] = [];
  for (let step = 0; step < steps; step++) {
    const waiting = receiver.poll();
    for (let i = 0; i < waiting; i++) carriedOut.push(`${receiver.codeAt(i)} ${receiver.argumentAt(i, 0)}`);
    receiver.acknowledge(waiting);
  }
  return carriedOut;
}

type Send = (words: Int32Array, commands: number) => boolean[];
type Step = (words: Int32Array, steps: number) => string[];
const send: Send = (words, commands) => sendAll(new MailboxSender(words), commands);
const step: Step = (words, steps) => stepAll(new MailboxReceiver(words), steps);

function mail(commands: number, steps: number, sendWith: Send = send, stepWith: Step = step): Scenario {
  return {
    soloStepsMax: 8 * (commands + steps),
    build: (world) => {
      const start = 0x7fffffff;
      const words = world.int32('mailbox', WORDS, STEP);
      world.initial[Mailbox.SENT] = start;
      world.initial[Mailbox.DONE] = start;
      return {
        parties: [() => sendWith(words, commands), () => stepWith(words, steps)],
        invariant: (read) => {
          const waiting = (read(words, Mailbox.SENT) - read(words, Mailbox.DONE)) | 0;
          return waiting >= 0 && waiting <= SLOTS ? null : `${waiting} commands wait in ${SLOTS} slots`;
        },
        check: ({ results, read }) => {
          const [taken, carriedOut] = results as [boolean[], string[]];
          const sent = taken.flatMap((isTaken, i) => (isTaken ? [`${i + 1} ${(i + 1) * 100}`] : []));
          const expected = sent.slice(0, carriedOut.length).join();
          if (carriedOut.join() !== expected) return `sent ${sent}, carried out ${carriedOut}`;
          const isCounted = ((read(words, Mailbox.DONE) - start) | 0) === carriedOut.length;
          return isCounted ? null : 'not acknowledged as carried out';
        },
      };
    },
  };
}

test('commands are carried out once, in order and whole, and a full mailbox refuses', () => {
  exploreAll('3 commands, 2 slots, 3 steps', mail(3, 3));
  exploreAll('5 commands, 2 slots, 4 steps', mail(5, 4));
});

test('a sender that looks in between knows what is done', () => {
  exploreAll('isDone', {
    soloStepsMax: 20,
    // 0: not yet done, the effect may or may not be there; 1: done, and the effect is seen.
    acceptable: ['false 0', 'false 1', 'true 1'],
    build: (world) => {
      const words = world.int32('mailbox', WORDS, STEP);
      const effect = world.int32('effect', 1);
      return {
        parties: [
          () => {
            const sender = new MailboxSender(words);
            sender.send(1);
            return `${sender.isDone(sender.lastSent)} ${Atomics.load(effect, 0)}`;
          },
          () => {
            const receiver = new MailboxReceiver(words);
            const waiting = receiver.poll();
            if (waiting > 0) Atomics.store(effect, 0, 1);
            receiver.acknowledge(waiting);
          },
        ],
        outcome: ({ results }) => String(results[0]),
      };
    },
  });
});

test('broken mailboxes are caught', () => {
  const sendTooEarly: Send = (words) => {
    Atomics.store(words, Mailbox.SENT, (Atomics.load(words, Mailbox.SENT) + 1) | 0);
    words[Mailbox.SLOTS + Mailbox.SLOT_WORDS] = 1;
    return [true];
  };
  catchCanary(
    'published before it is written',
    mail(1, 1, sendTooEarly),
    /race on mailbox|carried out 0 0|carried out 1 0/,
  );
  const sendAnyway: Send = (words, commands) =>
    Array.from({ length: commands }, (_, i) => new MailboxSender(words).send(i + 1) || force(words));
  const force = (words: Int32Array): boolean => {
    Atomics.add(words, Mailbox.SENT, 1);
    return true;
  };
  catchCanary('sent when full', mail(3, 1, sendAnyway), /3 commands wait/);
  const acknowledgeTooEarly: Step = (words) => {
    const receiver = new MailboxReceiver(words);
    const waiting = receiver.poll();
    new MailboxReceiver(words).acknowledge(waiting);
    return Array.from({ length: waiting }, (_, i) => `${receiver.codeAt(i)} ${receiver.argumentAt(i, 0)}`);
  };
  catchCanary('given back before it is read', mail(3, 1, send, acknowledgeTooEarly), /race on mailbox/);
});

test.run();
