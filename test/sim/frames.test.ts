/** The simulation's headers: what the worker will read in them. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildHeaders, HEADER_STRIDE_SHIFT, Subscribers } from '../../src/sim/frames.js';
import type { FlowSpec } from '../../src/sim/scenario.js';
import { readScenario } from '../../src/sim/scenario.js';
import { twoBorrowers } from './scenarios.js';

const test = suite('simulated frames');

function flowsOf(...flows: object[]): readonly FlowSpec[] {
  const { scenario, problems } = readScenario({
    classes: twoBorrowers(),
    flows: flows.map((flow) => ({ class: 'a', direction: 'down', offered: '1mbit', ...flow })),
  });
  if (scenario === null) throw new Error(JSON.stringify(problems));
  return scenario.flows;
}

const NUMBERS = new Map([
  ['a', 0],
  ['b', 1],
]);

/** Traffic class byte, source, destination and ports of each header of a source. */
function tuplesOf(flows: readonly FlowSpec[], source: number, queue = 0): { tos: number; key: string }[] {
  const subscribers = new Subscribers(flows, NUMBERS);
  const { words, first } = buildHeaders(flows, Int32Array.from(flows.keys()), NUMBERS, subscribers, queue);
  const tuples: { tos: number; key: string }[] = [];
  for (let header = first[source]!; header < first[source + 1]!; header++) {
    const bytes = new Uint8Array(words.buffer, (header << HEADER_STRIDE_SHIFT) * 4, 64);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const address = (at: number): string => bytes.slice(at, at + 4).join('.');
    const key = `${address(26)}:${view.getUint16(34)} ${address(30)}:${view.getUint16(36)}`;
    tuples.push({ tos: bytes[15]!, key });
  }
  return tuples;
}

test('a flow has as many 5-tuples as it says, others on every queue', () => {
  const flows = flowsOf({ flows: 200 }, { flows: 200 }, { flows: 200, class: 'b' });
  const keys = [0, 1, 2].flatMap((source) =>
    [0, 1, 255].flatMap((queue) => tuplesOf(flows, source, queue).map(({ key }) => key)),
  );
  assert.is(keys.length, 1800);
  assert.is(new Set(keys).size, 1800);
});

test("devices are the subscriber's addresses, at the end where he is", () => {
  const flows = flowsOf({ flows: 4, device: 1, devices: 2 }, { flows: 2, devices: 2, direction: 'up' });
  assert.equal(
    tuplesOf(flows, 0).map(({ key }) => key.split(' ')[1]!.split(':')[0]),
    ['10.0.0.1', '10.0.0.2', '10.0.0.1', '10.0.0.2'],
  );
  assert.equal(
    tuplesOf(flows, 1).map(({ key }) => key.split(':')[0]),
    ['10.0.0.0', '10.0.0.1'],
  );
});

test("a class has a prefix that holds its devices and no other class's", () => {
  const flows = flowsOf({ device: 4 }, { class: 'b', devices: 300 });
  const subscribers = new Subscribers(flows, NUMBERS);
  assert.equal(
    [0, 1].map((number) => subscribers.prefix(number).text),
    ['10.0.0.0/29', '10.0.2.0/23'],
  );
  assert.is(subscribers.address(1, 299), 0x0a000200 + 299);
  const plain = new Subscribers(flowsOf({}, { class: 'b' }), NUMBERS);
  assert.equal(
    [0, 1].map((number) => plain.prefix(number).text),
    ['10.0.0.0', '10.0.0.1'],
  );
});

test('DSCP and ECT(0) stand in the header', () => {
  const flows = flowsOf({ dscp: 46 }, { ecn: true }, { dscp: 8, ecn: true }, {});
  assert.equal(
    [0, 1, 2, 3].map((source) => tuplesOf(flows, source)[0]!.tos),
    [46 << 2, 2, (8 << 2) | 2, 0],
  );
});

test.run();
