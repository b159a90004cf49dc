import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WeirError } from '../../src/errors.js';
import { Command, createMailbox, Mailbox, MailboxReceiver, MailboxSender } from '../../src/shm/mailbox.js';

const test = suite('mailbox');

const hasCode = (code: string) => (error: Error) => error instanceof WeirError && error.code === code;

function pair(slots: number): { words: Int32Array; sender: MailboxSender; receiver: MailboxReceiver } {
  const words = createMailbox(slots);
  return { words, sender: new MailboxSender(words), receiver: new MailboxReceiver(words) };
}

test('commands arrive in order with their arguments', () => {
  const { sender, receiver } = pair(4);
  assert.is(receiver.poll(), 0);
  assert.ok(sender.send(Command.PORT_DOWN, 1));
  assert.ok(sender.send(Command.PORT_UP, 0, -7));
  assert.ok(sender.send(Command.STOP));
  assert.is(receiver.poll(), 3);
  assert.is(receiver.codeAt(0), Command.PORT_DOWN);
  assert.is(receiver.argumentAt(0, 0), 1);
  assert.is(receiver.codeAt(1), Command.PORT_UP);
  assert.is(receiver.argumentAt(1, 1), -7);
  assert.is(receiver.codeAt(2), Command.STOP);
});

test('an argument that was not given is 0, whatever the slot held before', () => {
  const { sender, receiver } = pair(1);
  sender.send(Command.PORT_DOWN, 5, 6);
  receiver.acknowledge(receiver.poll());
  sender.send(Command.DRAIN, 9);
  assert.is(receiver.argumentAt(0, 0), 9);
  assert.is(receiver.argumentAt(0, 1), 0);
});

test('a full mailbox refuses and keeps what it has', () => {
  const { sender, receiver } = pair(2);
  assert.ok(sender.send(1, 10));
  assert.ok(sender.send(2, 20));
  assert.not(sender.send(3, 30));
  assert.is(sender.waiting, 2);
  assert.is(receiver.poll(), 2);
  receiver.acknowledge(1);
  assert.is(sender.waiting, 1);
  assert.ok(sender.send(3, 30));
  assert.not(sender.send(4));
  assert.equal([receiver.codeAt(0), receiver.codeAt(1)], [2, 3]);
  assert.is(receiver.argumentAt(1, 0), 30);
});

test('the sender sees which commands are done', () => {
  const { sender, receiver } = pair(4);
  sender.send(Command.DRAIN);
  const drain = sender.lastSent;
  sender.send(Command.STOP);
  const stop = sender.lastSent;
  assert.not(sender.isDone(drain));
  receiver.poll();
  receiver.acknowledge(1);
  assert.ok(sender.isDone(drain));
  assert.not(sender.isDone(stop));
  receiver.acknowledge(receiver.poll());
  assert.ok(sender.isDone(stop));
  assert.is(sender.waiting, 0);
});

test('counts wrap, and both ends go on from what is in memory', () => {
  const words = createMailbox(2);
  words[Mailbox.SENT] = 0x7fffffff;
  words[Mailbox.DONE] = 0x7fffffff;
  const sender = new MailboxSender(words);
  const receiver = new MailboxReceiver(words);
  for (let i = 1; i <= 6; i++) {
    assert.ok(sender.send(i, i * 11));
    const number = sender.lastSent;
    assert.is(receiver.poll(), 1);
    assert.is(receiver.codeAt(0), i);
    assert.is(receiver.argumentAt(0, 0), i * 11);
    assert.not(sender.isDone(number));
    receiver.acknowledge(1);
    assert.ok(sender.isDone(number));
  }
  sender.send(9);
  assert.is(new MailboxReceiver(words).poll(), 1);
  assert.is(new MailboxSender(words).waiting, 1);
});

test('what is no command or no mailbox is refused', () => {
  const { sender, receiver } = pair(2);
  const fifteen = Array.from({ length: 15 }, () => 0);
  for (const [code, args] of [
    [0, []],
    [-1, []],
    [1.5, []],
    [1, [2 ** 31]],
    [1, [0.5]],
    [1, fifteen],
  ] as const) {
    assert.throws(() => sender.send(code, ...args), hasCode('E_MAILBOX_COMMAND'));
  }
  assert.is(receiver.poll(), 0);
  assert.ok(sender.send(1, ...fifteen.slice(1)));
  for (const slots of [0, 3, -4, 1.5, 1 << 17]) {
    assert.throws(() => createMailbox(slots), hasCode('E_MAILBOX_SIZE'));
  }
  assert.throws(() => new MailboxSender(new Int32Array(Mailbox.SLOTS + 7)), hasCode('E_MAILBOX_SIZE'));
});

test.run();
