/** `weir bench generate DEVICE`: sends made-up traffic or a capture into a device, or counts what arrives there. */
import {
  flag,
  number,
  numberOrNull,
  type RawOptions,
  readSettings,
  seconds,
  text,
  textOrNull,
  whole,
  wholeOrNull,
  wholes,
  word,
} from './bench-options.js';
import { printJson, printText } from './output.js';

const COUNT_MAX = 1e12;
const PPS_MAX = 100_000_000;
const CPU_MAX = 1023;

export const GENERATE_OPTIONS = {
  pcap: textOrNull('<file>', 'send this capture with its timing instead'),
  receive: flag('count what arrives at the device instead, and take it'),
  seconds: seconds('time at most', 600, { fallback: 10 }),
  count: whole('frames at most', 1, COUNT_MAX, { fallback: COUNT_MAX }),
  direction: word(
    'which side the subscribers are on: down sends to them, up comes from them',
    ['down', 'up'],
    {
      fallback: 'down',
    },
  ),
  subscribers: whole('subscribers', 1, 16_777_216, { fallback: 24_000 }),
  base: text('<address>', 'IPv4 address of the first subscriber', { fallback: '10.0.0.0' }),
  method: word('who makes the frames', ['auto', 'xdp', 'packet'], { fallback: 'auto' }),
  zipf: numberOrNull('subscribers by this power of their rank, not all alike', 0, 10),
  inTurn: flag('subscribers one after the other'),
  size: text('<bytes|imix>', 'layer-2 bytes of a frame, or the mix', { fallback: 64 }),
  pps: wholeOrNull('packets a second, evenly spaced; as fast as it goes when left out', 1, PPS_MAX),
  rate: textOrNull('<rate>', 'the same as a rate of layer 2, such as 100mbit'),
  numbered: flag('numbers and times in the frames, for the receiver'),
  cpus: wholes('CPUs that send', 0, CPU_MAX, { fallback: 0 }),
  train: whole('frames in a row that are of one flow', 1, 65_535, { fallback: 1 }),
  ports: whole("UDP ports of the servers' side", 1, 65_535, { fallback: 1 }),
  to: textOrNull('<mac>', 'destination MAC address'),
  speed: number('of the capture: 2 sends it twice as fast', 0.001, 1000, { fallback: 1 }),
  loop: whole('how often to send the capture', 1, 1_000_000, { fallback: 1 }),
  skb: flag("receive in the kernel's generic mode"),
  force: flag('also with a device that carries the default route'),
};

export async function runGenerate(device: string, raw: RawOptions): Promise<number> {
  const settings = readSettings(GENERATE_OPTIONS, raw, false);
  const { generate } = await import('../../bench/generate-verb.js');
  const { generateText } = await import('../../bench/generate.js');
  const result = await generate(device, { ...settings, tell: (line) => process.stderr.write(`${line}\n`) });
  await (raw.json === true ? printJson(result) : printText(generateText(result)));
  return 0;
}
