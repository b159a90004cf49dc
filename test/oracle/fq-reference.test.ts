/**
 * The FQ-CoDel reference against expectations worked out by hand from RFC 8290 and sch_cake.c.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type FqEvent, type FqPacket, FqReference } from './fq-reference.js';
import { tinOf } from './tin-reference.js';

/** A packet of the flow, whose tag tells flow and number. */
function packet(flow: number, number: number, bytes = 1514, more: Partial<FqPacket> = {}): FqPacket {
  return { tag: flow * 100 + number, bytes, flow, device: 0, dscp: 0, canMark: false, ...more };
}

function fill(fq: FqReference, flow: number, count: number, bytes = 1514, more = {}): void {
  for (let i = 0; i < count; i++) fq.enqueue(0, packet(flow, i, bytes, more));
}

function tagsOf(events: readonly FqEvent[]): number[] {
  return events.map(({ tag }) => tag);
}

/** Tags in the order in which they leave. */
function drain(fq: FqReference, count: number, nowUs = 0): number[] {
  return Array.from({ length: count }, () => fq.dequeue(nowUs));
}

const rounds = suite('fq reference: rounds');

rounds('flows take turns by bytes', () => {
  const fq = new FqReference();
  fill(fq, 1, 3);
  fill(fq, 2, 6, 757);
  assert.equal(drain(fq, 9), [100, 200, 201, 101, 202, 203, 102, 204, 205]);
});

rounds('a new flow goes before old ones, for one quantum', () => {
  const fq = new FqReference();
  fill(fq, 1, 4);
  fill(fq, 2, 4);
  // Both have had their first quantum, and 1 has begun its second turn.
  assert.equal(drain(fq, 3), [100, 200, 101]);
  fill(fq, 3, 3, 800);
  assert.equal(drain(fq, 6), [300, 301, 201, 302, 102, 202]);
});

rounds('a new flow that has been emptied waits among the old ones and is not new again', () => {
  const fq = new FqReference();
  fill(fq, 1, 5);
  assert.equal(drain(fq, 1), [100]);
  fill(fq, 2, 1, 100);
  assert.equal(drain(fq, 2), [200, 101]);
  // 2 was found empty and put behind 1; were it new, it would go first.
  fq.enqueue(0, packet(2, 1, 100));
  fq.enqueue(0, packet(1, 9));
  assert.equal(drain(fq, 2), [201, 102]);
});

rounds('an old flow that is found empty is forgotten', () => {
  const fq = new FqReference();
  fill(fq, 1, 9);
  assert.equal(drain(fq, 1), [100]);
  fill(fq, 2, 1, 100);
  // 2 is served, found empty among the new, then among the old.
  assert.equal(drain(fq, 4), [200, 101, 102, 103]);
  fq.enqueue(0, packet(2, 1, 100));
  assert.equal(drain(fq, 2), [201, 104]);
});

rounds('flows share the queue of their bucket when there is none left for another', () => {
  const fq = new FqReference({ flows: 3 });
  for (const flow of [1, 2, 4, 7]) fill(fq, flow, 2);
  // 1 and 2 have a queue each; 4 and 7 are of one bucket.
  assert.equal(drain(fq, 8), [100, 200, 400, 101, 201, 401, 700, 701]);
});

rounds.run();

const limits = suite('fq reference: limits');

limits('half of the fattest flow goes, from its head', () => {
  const fq = new FqReference({ limitPackets: 12 });
  fill(fq, 1, 10, 1000);
  fill(fq, 2, 2, 1500);
  assert.equal(fq.takeEvents(), []);
  fq.enqueue(0, packet(3, 0, 60));
  assert.equal(tagsOf(fq.takeEvents()), [100, 101, 102, 103, 104]);
  assert.is(fq.backlogPackets, 8);
});

limits('no more than 64 at once, and bytes are limited as packets are', () => {
  const fq = new FqReference({ limitBytes: 20_000 });
  fill(fq, 1, 200, 100);
  assert.equal(fq.takeEvents(), []);
  fq.enqueue(0, packet(2, 0, 1));
  assert.is(fq.takeEvents().length, 64);
  assert.is(fq.backlogBytes, 13_601);
});

limits('the last packet stays', () => {
  const fq = new FqReference({ limitPackets: 1, limitBytes: 1000 });
  fill(fq, 1, 1, 1500);
  assert.is(fq.backlogPackets, 1);
  fq.enqueue(0, packet(1, 1, 2000));
  assert.equal(fq.takeEvents(), [{ what: 'limit', tag: 100 }]);
  assert.is(fq.evict(5), 0);
  assert.equal(drain(fq, 1), [101]);
});

limits(
  'evicts half of the flow with the most packets, then of all that have as many as are left there',
  () => {
    const fq = new FqReference();
    fill(fq, 1, 4, 1000);
    fill(fq, 2, 3, 1400);
    assert.is(fq.evict(3), 3);
    assert.equal(tagsOf(fq.takeEvents()), [100, 101, 200]);
    assert.is(fq.evict(9), 3);
    assert.is(fq.backlogPackets, 1);
  },
);

limits.run();

const active = suite('fq reference: CoDel');

active('judges each flow by its own packets and the backlog of all', () => {
  const fq = new FqReference();
  fill(fq, 1, 9);
  fill(fq, 2, 9);
  // Above the target at 6 ms; an interval later the first of each goes.
  assert.equal(drain(fq, 2, 6_000), [100, 200]);
  assert.equal(drain(fq, 2, 106_000), [102, 202]);
  assert.equal(
    fq.takeEvents(),
    [101, 201].map((tag) => ({ what: 'codel' as const, tag })),
  );
  assert.equal(drain(fq, 2, 205_999), [103, 203]);
  assert.equal(drain(fq, 1, 206_000), [105]);
});

active('marks what can be marked, if it is to', () => {
  for (const ecn of [true, false]) {
    const fq = new FqReference({ ecn });
    fill(fq, 1, 9, 1514, { canMark: true });
    assert.equal(drain(fq, 1, 6_000), [100]);
    assert.equal(drain(fq, 1, 106_000), [ecn ? 101 : 102]);
    assert.equal(fq.takeEvents(), [{ what: ecn ? 'mark' : 'codel', tag: 101 }]);
  }
});

active('forgets everything when it is empty', () => {
  const fq = new FqReference();
  fill(fq, 1, 9);
  drain(fq, 1, 6_000);
  drain(fq, 7, 106_000);
  assert.is(fq.backlogPackets, 0);
  fill(fq, 1, 9);
  assert.equal(drain(fq, 1, 107_000), [100]);
  assert.is(fq.takeEvents().length, 1);
});

active.run();

const cake = suite('fq reference: tins and devices');

cake('knows the codepoints', () => {
  const named = {
    cs0: 0,
    le: 1,
    cs1: 8,
    cs2: 16,
    af21: 18,
    af31: 26,
    af41: 34,
    cs4: 32,
    cs5: 40,
    ef: 46,
    cs6: 48,
  };
  const tins = (diffserv: 'diffserv3' | 'diffserv4'): number[] =>
    Object.values(named).map((dscp) => tinOf(diffserv, dscp));
  assert.equal(tins('diffserv3'), [0, 1, 1, 0, 0, 0, 0, 0, 0, 2, 2]);
  assert.equal(tins('diffserv4'), [0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
});

cake('a tin within its threshold goes first, one beyond it has its turn by time', () => {
  const fq = new FqReference({ diffserv: 'diffserv4' });
  fill(fq, 1, 20, 1000);
  fill(fq, 2, 20, 1000, { dscp: 46 });
  fill(fq, 3, 20, 1000, { dscp: 8 });
  // Voice may have a quarter and background a sixteenth.
  const sent = drain(fq, 30).map((tag) => Math.floor(tag / 100));
  assert.is(sent.join(''), '231121112111211123112111211121');
});

cake('devices share by device and then by flow', () => {
  const fq = new FqReference({ isolate: 'dual' });
  for (const flow of [1, 2, 3, 4]) fill(fq, flow, 99, 500, { device: 1 });
  fill(fq, 5, 99, 500, { device: 2 });
  // As new flows they have a quantum each.
  drain(fq, 20);
  const sent = drain(fq, 120).map((tag) => Math.floor(tag / 100));
  const ofLast = sent.filter((flow) => flow === 5).length;
  assert.ok(Math.abs(ofLast - 60) <= 4, `${ofLast} of 120`);
});

cake('devices alone are flows when they are all that counts', () => {
  const fq = new FqReference({ isolate: 'host' });
  for (const flow of [1, 2]) fill(fq, flow, 2, 1514, { device: 1 });
  fill(fq, 3, 2, 1514, { device: 2 });
  assert.equal(drain(fq, 6), [100, 300, 101, 301, 200, 201]);
});

cake.run();
