/**
 * The schema of the daemon's configuration: default, format and environment variable of every key.
 *
 * A text, as it comes from an environment variable, is turned into what the key wants by the format's `coerce`; what
 * cannot be turned stays a text, and then `validate` says what is wrong with it.
 */
import convict from 'convict';
import { parsePrefix } from '../../classes/prefix.js';
import { type DaemonConfig, LOG_LEVELS } from './config.js';

export const QUEUES_MAX = 256;
const CLASSES_MAX = 2 ** 20;
const CPU_MAX = 4095;
/** Linux device names: IFNAMSIZ is 16 with the final zero. */
const DEVICE_LENGTH_MAX = 15;
/** Bytes of `sun_path` with the final zero. */
const SOCKET_PATH_MAX = 107;

interface Leaf {
  readonly doc: string;
  readonly format: string | readonly string[];
  readonly default: unknown;
  readonly env: string;
  readonly nullable?: boolean;
}

interface Branch {
  readonly [key: string]: Leaf | Branch;
}

function leaf(doc: string, format: string | readonly string[], fallback: unknown, env: string): Leaf {
  return { doc, format, default: fallback, env: `WEIR_${env}` };
}

/** SQL for one canonical table, where the database has another schema than weir's. */
function query(table: string): Leaf {
  const name = `CLASSES_QUERIES_${table.toUpperCase()}`;
  return { ...leaf(`SQL that returns the ${table}`, 'weir-text', null, name), nullable: true };
}

export const SCHEMA: Branch = {
  ports: {
    inside: { device: leaf('device toward the subscribers', 'weir-device', null, 'PORTS_INSIDE_DEVICE') },
    outside: { device: leaf('device toward the uplink', 'weir-device', null, 'PORTS_OUTSIDE_DEVICE') },
  },
  queues: leaf('workers, one a NIC queue of each port', `weir-auto-1-${QUEUES_MAX}`, 'auto', 'QUEUES'),
  rings: {
    backend: leaf('how frames reach the daemon', ['auto', 'xdp', 'packet'], 'auto', 'RINGS_BACKEND'),
    mode: leaf('mode of the backend xdp', ['auto', 'zerocopy', 'copy', 'skb'], 'auto', 'RINGS_MODE'),
    frames: leaf('frames of each worker', 'weir-int-256-1048576', 65536, 'RINGS_FRAMES'),
    frameBytes: leaf('bytes of a frame, 2048 or 4096', 'weir-frame-bytes', 2048, 'RINGS_FRAME_BYTES'),
    ringSize: leaf('entries of a ring, a power of two', 'weir-power-64-32768', 2048, 'RINGS_RING_SIZE'),
  },
  classes: {
    source: leaf('where the class tree comes from', 'weir-source', null, 'CLASSES_SOURCE'),
    capacity: leaf('room for classes', `weir-auto-1-${CLASSES_MAX}`, 'auto', 'CLASSES_CAPACITY'),
    watch: leaf('follow the source while shaping', 'weir-boolean', true, 'CLASSES_WATCH'),
    guardPercent: leaf(
      'most of the classes that may go at once without --force',
      'weir-number-0-100',
      10,
      'CLASSES_GUARD_PERCENT',
    ),
    stateFolder: leaf(
      "folder for a database's last good classes, for a start without it",
      'weir-text',
      '/var/lib/weir',
      'CLASSES_STATE_FOLDER',
    ),
    queries: {
      settings: query('settings'),
      plans: query('plans'),
      sites: query('sites'),
      subscribers: query('subscribers'),
      addresses: query('addresses'),
    },
  },
  accounting: {
    mode: leaf(
      "usage into the source's tables; auto: with weir's own schema",
      ['auto', 'on', 'off'],
      'auto',
      'ACCOUNTING_MODE',
    ),
    intervalSeconds: leaf('length of an interval', 'weir-int-1-86400', 60, 'ACCOUNTING_INTERVAL_SECONDS'),
    checkpointSeconds: leaf(
      'how often what was counted is saved',
      'weir-number-0.1-3600',
      1,
      'ACCOUNTING_CHECKPOINT_SECONDS',
    ),
    spool: leaf(
      'file for usage that the database has not taken',
      'weir-text',
      '/var/lib/weir/usage.db',
      'ACCOUNTING_SPOOL',
    ),
  },
  unknown: {
    policy: leaf('IP traffic of no class', ['pass', 'drop', 'class'], 'pass', 'UNKNOWN_POLICY'),
    class: {
      ...leaf("the leaf for it under policy 'class'", 'weir-text', null, 'UNKNOWN_CLASS'),
      nullable: true,
    },
  },
  bypass: leaf('prefixes that are not shaped', 'weir-prefixes', [], 'BYPASS'),
  failure: leaf('what the wire does without the daemon', ['open', 'closed'], 'open', 'FAILURE'),
  exit: leaf('what SIGTERM does with the XDP program', ['detach', 'keep'], 'detach', 'EXIT'),
  drain: {
    seconds: leaf('how long SIGTERM waits for queued packets', 'weir-number-0-60', 2, 'DRAIN_SECONDS'),
  },
  flows: {
    capacity: leaf('flows each worker remembers', 'weir-int-1024-50000000', 1_048_576, 'FLOWS_CAPACITY'),
    idleSeconds: leaf('when a silent flow is forgotten', 'weir-int-1-86400', 30, 'FLOWS_IDLE_SECONDS'),
  },
  cpus: leaf('CPUs of the workers, in the order of the queues', 'weir-cpus', 'auto', 'CPUS'),
  log: { level: leaf('least severity that is logged', LOG_LEVELS, 'info', 'LOG_LEVEL') },
  control: {
    socket: leaf('path of the control socket', 'weir-socket', '/run/weir/weir.sock', 'CONTROL_SOCKET'),
  },
};

/** Whether a node of the schema is a key and not a map of keys. */
export function isLeaf(node: Leaf | Branch): node is Leaf {
  return typeof node.env === 'string';
}

/** Every key with its environment variable. */
export function schemaKeys(branch: Branch = SCHEMA, prefix = ''): { key: string; env: string }[] {
  return Object.entries(branch).flatMap(([name, node]) =>
    isLeaf(node) ? [{ key: prefix + name, env: node.env }] : schemaKeys(node, `${prefix}${name}.`),
  );
}

/** A fresh configuration with the defaults and what `env` says. */
export function createConvict(env: NodeJS.ProcessEnv): convict.Config<DaemonConfig> {
  registerFormats();
  return convict<DaemonConfig>(SCHEMA as unknown as convict.Schema<DaemonConfig>, { env, args: [] });
}

// ---- formats --------------------------------------------------------------------------------------------

let areRegistered = false;

function registerFormats(): void {
  if (areRegistered) return;
  areRegistered = true;
  convict.addFormat({ name: 'weir-device', validate: checkDevice });
  convict.addFormat({ name: 'weir-source', validate: checkSource });
  convict.addFormat({ name: 'weir-text', validate: (value: unknown) => checkText(value) });
  convict.addFormat({ name: 'weir-socket', validate: checkSocket });
  convict.addFormat({
    name: 'weir-boolean',
    validate: (value: unknown) => must(typeof value === 'boolean', 'must be true or false'),
    coerce: (text: string) => (text === 'true' ? true : text === 'false' ? false : text),
  });
  convict.addFormat({ name: 'weir-prefixes', validate: checkPrefixes, coerce: listOf });
  convict.addFormat({ name: 'weir-cpus', validate: checkCpus, coerce: cpusOf });
  convict.addFormat({
    name: 'weir-frame-bytes',
    validate: (value: unknown) => must(value === 2048 || value === 4096, 'must be 2048 or 4096'),
    coerce: numberOf,
  });
  // Formats with a range carry it in their names, so that the schema reads as one table.
  for (const format of formatsIn(SCHEMA)) {
    const range = /^weir-(auto|int|number|power)-([\d.]+)-(\d+)$/.exec(format);
    if (range === null) continue;
    const [, kind, min, max] = range;
    convict.addFormat({
      name: format,
      validate: rangeCheck(kind!, Number(min), Number(max)),
      coerce: numberOf,
    });
  }
}

function formatsIn(branch: Branch): string[] {
  return Object.values(branch).flatMap((node) => {
    if (!isLeaf(node)) return formatsIn(node);
    return typeof node.format === 'string' ? [node.format] : [];
  });
}

function must(isRight: boolean, message: string): void {
  if (!isRight) throw new Error(message);
}

function rangeCheck(kind: string, min: number, max: number): (value: unknown) => void {
  const noun = kind === 'number' ? 'a number' : kind === 'power' ? 'a power of two' : 'a whole number';
  const auto = kind === 'auto' ? "'auto' or " : '';
  return (value) => {
    if (kind === 'auto' && value === 'auto') return;
    const isNumber = typeof value === 'number' && value >= min && value <= max;
    const isRight = isNumber && (kind === 'number' || Number.isInteger(value));
    must(
      isRight && (kind !== 'power' || Number.isInteger(Math.log2(value))),
      `must be ${auto}${noun} from ${min} to ${max}`,
    );
  };
}

function checkDevice(value: unknown): void {
  if (value === null) throw new Error('is missing; it names a network device such as "eth1"');
  const isName = typeof value === 'string' && /^[^\s/:]+$/.test(value) && value.length <= DEVICE_LENGTH_MAX;
  must(isName && value !== '.' && value !== '..', 'must be the name of a network device');
}

function checkSource(value: unknown): void {
  if (value === null) throw new Error('is missing; it names a class tree such as "file:tree.yaml"');
  must(typeof value === 'string' && /^[a-z]+:./.test(value), 'must be a source such as "file:tree.yaml"');
}

function checkText(value: unknown): void {
  must(typeof value === 'string' && value !== '', 'must be a text');
}

function checkSocket(value: unknown): void {
  checkText(value);
  must(
    Buffer.byteLength(value as string) <= SOCKET_PATH_MAX,
    `must be a path of at most ${SOCKET_PATH_MAX} bytes`,
  );
}

function checkPrefixes(value: unknown): void {
  must(Array.isArray(value), 'must be a list of prefixes');
  for (const item of value as unknown[]) {
    must(typeof item === 'string', 'must be a list of prefixes in quotes');
    const parsed = parsePrefix(item as string);
    if (typeof parsed === 'string') throw new Error(parsed);
  }
}

function checkCpus(value: unknown): void {
  if (value === 'auto') return;
  const message = 'must be \'auto\' or a list of CPU numbers such as [2, 3] or "2-5,8"';
  must(Array.isArray(value) && value.length > 0, message);
  const list = value as unknown[];
  must(
    list.every((cpu) => typeof cpu === 'number' && Number.isInteger(cpu) && cpu >= 0 && cpu <= CPU_MAX),
    message,
  );
  must(new Set(list).size === list.length, 'names a CPU twice');
}

// ---- from text ------------------------------------------------------------------------------------------

function numberOf(text: string): number | string {
  return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text;
}

function listOf(text: string): string[] {
  return text.split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]));
}

/** The kernel's list format: `0-3,8`. */
export function cpusOf(text: string): number[] | string {
  const cpus: number[] = [];
  for (const part of listOf(text)) {
    const range = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part);
    if (range === null) return text;
    const last = Number(range[2] ?? range[1]);
    for (let cpu = Number(range[1]); cpu <= last; cpu++) cpus.push(cpu);
  }
  return cpus.length === 0 ? text : cpus;
}
