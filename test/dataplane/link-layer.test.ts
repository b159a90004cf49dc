/** What a packet is charged for, by the link it goes over: seen from how many pass at once and from the rate that results. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WorkerRig } from './worker-rig.js';

const test = suite('link layer');
const MS = 1_000_000;
const RATE_BPS = 2_000_000;
/** A bucket is shallower by this than its burst says, for it may be overdrawn by a packet. */
const OVERDRAFT_BYTES = 1600;
const DEPTH_BYTES = 16_000;

/** `chargedBytes` worked out by hand from tc-stab(8) and tc-cake(8). */
const CASES = [
  { link: {}, lenBytes: 1000, chargedBytes: 1000 },
  // Preamble, FCS and gap; the shortest frame of Ethernet takes 84 bytes of wire.
  { link: { overhead: 38, mpu: 84 }, lenBytes: 1000, chargedBytes: 1038 },
  { link: { overhead: 24, mpu: 84 }, lenBytes: 42, chargedBytes: 84 },
  { link: { overhead: -14 }, lenBytes: 1000, chargedBytes: 986 },
  // 21 cells of 48 hold 1008, and one byte more takes another.
  { link: { linklayer: 'atm' }, lenBytes: 1008, chargedBytes: 21 * 53 },
  { link: { linklayer: 'atm' }, lenBytes: 1009, chargedBytes: 22 * 53 },
  // The overhead goes into the cells.
  { link: { linklayer: 'atm', overhead: 10 }, lenBytes: 1000, chargedBytes: 22 * 53 },
  { link: { linklayer: 'atm', mpu: 96 }, lenBytes: 42, chargedBytes: 2 * 53 },
  // A byte for each 64 begun.
  { link: { linklayer: 'ptm' }, lenBytes: 1024, chargedBytes: 1024 + 16 },
  { link: { linklayer: 'ptm', overhead: 30 }, lenBytes: 1000, chargedBytes: 1030 + 17 },
  { link: { linklayer: 'ethernet' }, lenBytes: 1500, chargedBytes: 1500 },
];

const frame = { src: '192.0.2.1', dst: '10.0.0.1' };

for (const { link, lenBytes, chargedBytes } of CASES) {
  test(`${JSON.stringify(link)}: ${lenBytes} bytes count as ${chargedBytes}`, () => {
    const burst = DEPTH_BYTES + OVERDRAFT_BYTES;
    const down = { rate: RATE_BPS, burst, cburst: burst };
    const rig = new WorkerRig(
      { ...link, classes: [{ id: 'u', match: '10.0.0.1', leaf: 'pfifo', down }] },
      { frames: 8192, ringSize: 1024 },
    );
    rig.step(1000 * MS);
    // As many as the bucket pays for, and the one that overdraws it.
    const wanted = Math.floor(DEPTH_BYTES / chargedBytes) + 1;
    for (let i = 0; i <= wanted; i++) rig.receive(i, lenBytes, frame);
    assert.is(rig.step().length, wanted, 'at once');
    let sent = 0;
    // Below the rate of the shortest packets the leaf would be idle now and then.
    for (let ms = 0; ms < 4000; ms += 4) {
      for (let i = 0; i < 14; i++) rig.receive(i, lenBytes, frame);
      const count = rig.step(4 * MS).length;
      if (ms >= 2000) sent += count;
    }
    const expected = (RATE_BPS * 2) / 8 / chargedBytes;
    assert.ok(Math.abs(sent - expected) <= 2, `${sent} packets in two seconds, not ${expected.toFixed(1)}`);
  });
}

test.run();
