/** `weir bench generate DEVICE`: from the options of the command line to one of the three things that it does. */
import { parseRateBps } from '../classes/units.js';
import { usageError } from '../src/errors.js';
import {
  type ReceiveResult,
  type ReplayResult,
  receive,
  replay,
  type SendOptions,
  type SendResult,
  send,
} from './generate.js';

/** As the options are spelt; what is left out is null or false. */
export interface GenerateOptions {
  readonly direction: 'down' | 'up';
  readonly subscribers: number;
  /** IPv4 address of the first subscriber. */
  readonly base: string;
  /** Exponent. */
  readonly zipf: number | null;
  readonly inTurn: boolean;
  /** Layer-2 bytes, or `imix`. */
  readonly size: string;
  readonly pps: number | null;
  /** In tc's grammar. */
  readonly rate: string | null;
  readonly seconds: number;
  /** Frames at most. */
  readonly count: number;
  readonly numbered: boolean;
  readonly method: SendOptions['method'];
  readonly cpus: readonly number[];
  readonly train: number;
  readonly ports: number;
  /** MAC address. */
  readonly to: string | null;
  /** A capture to send instead. */
  readonly pcap: string | null;
  readonly speed: number;
  readonly loop: number;
  /** Count what arrives instead. */
  readonly receive: boolean;
  readonly skb: boolean;
  readonly force: boolean;
  /** Hears when a receiver counts. */
  readonly tell?: (line: string) => void;
}

const FRAME_BYTES_MIN = 60;
const FRAME_BYTES_MAX = 1514;

/** Throws what `send`, `replay` and `receive` throw, and E_USAGE for options that do not go together. */
export async function generate(
  device: string,
  options: GenerateOptions,
): Promise<SendResult | ReplayResult | ReceiveResult> {
  const { pcap, tell, zipf, inTurn } = options;
  const common = { ...options, device, namespace: null };
  if (options.receive && pcap !== null)
    throw usageError('E_USAGE', '--receive and --pcap: a device either counts or sends');
  if (zipf !== null && inTurn) throw usageError('E_USAGE', '--zipf and --in-turn: give one of them');
  if (options.receive) return receive({ ...common, onReady: () => tell?.('ready') });
  if (pcap !== null) return replay({ ...common, pcap });
  return send({
    ...common,
    choice: zipf !== null ? { zipf } : inTurn ? 'in turn' : 'uniform',
    size: sizeOf(options.size),
    rateBps: options.rate === null ? null : rateOf(options.rate),
  });
}

function sizeOf(text: string): number | 'imix' {
  if (text === 'imix') return text;
  const bytes = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (bytes >= FRAME_BYTES_MIN && bytes <= FRAME_BYTES_MAX) return bytes;
  throw usageError(
    'E_USAGE',
    `--size: '${text}' is neither imix nor a number from ${FRAME_BYTES_MIN} to ${FRAME_BYTES_MAX}`,
  );
}

function rateOf(text: string): number {
  const bps = parseRateBps(text);
  if (typeof bps === 'string' || bps === 0) throw usageError('E_USAGE', `--rate: ${bps}`);
  return bps;
}
