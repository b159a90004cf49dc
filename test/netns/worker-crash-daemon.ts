/**
 * A daemon on real rings whose workers can be made to fail from outside. It is what an operator starts, but for the
 * opener of the rings, which is wrapped.
 *
 *   node worker-crash-daemon.js CONFIG        then a line on stdin, such as `throw 1`: the fault, and the queue
 */
import { createInterface } from 'node:readline';
import { openSource } from '../../classes/source/open.js';
import { sourceSpec } from '../../src/config/config.js';
import { loadConfig } from '../../src/config/load.js';
import { type Candidate, candidatesFor } from '../../src/control/backends.js';
import { Daemon } from '../../src/control/daemon.js';
import { createLogger } from '../../src/control/log.js';
import { planMachine } from '../../src/control/machine.js';
import { FAULTS } from './worker-crash-io.js';

const MODULE = new URL('./worker-crash-io.js', import.meta.url).href;

function faulty(candidate: Candidate, faults: readonly Int32Array[]): Candidate {
  return {
    ...candidate,
    attach(log) {
      const attachment = candidate.attach(log);
      return {
        ...attachment,
        opener: (queue) => ({
          module: MODULE,
          name: 'openFaultyIo',
          options: { ...attachment.opener(queue).options, fault: faults[queue]! },
        }),
      };
    },
  };
}

const { config } = loadConfig(process.argv[2]);
if (config === null) throw new Error('the configuration is not right');
const plan = planMachine(config);
const faults = Array.from({ length: plan.queues }, () => new Int32Array(new SharedArrayBuffer(4)));
const source = openSource(sourceSpec(config));
const daemon = new Daemon({
  config,
  source,
  loaded: await source.load(Date.now()),
  plan,
  log: createLogger('info'),
  candidates: candidatesFor(config, plan.queues, []).map((candidate) => faulty(candidate, faults)),
});
await daemon.start();
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [fault, queue] = line.split(' ');
  Atomics.store(faults[Number(queue)]!, 0, FAULTS.indexOf(fault as (typeof FAULTS)[number]));
});
process.once('SIGTERM', () => {
  lines.close();
  void daemon.stop();
});
