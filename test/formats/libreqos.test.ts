/** LibreQoS's files read and written: the real example, every fault of a bad one, and round trips of random trees. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeLibreqos } from '../../classes/formats/libreqos-export.js';
import { type LibreqosOptions, readLibreqos } from '../../classes/formats/libreqos-import.js';
import { formatMbps, parseMbps } from '../../classes/formats/libreqos-network.js';
import { type FormatResult, placed } from '../../classes/formats/result.js';
import { type ClassTree, formatProblem } from '../../classes/model.js';
import type { QueueSettings } from '../../classes/queue.js';
import { parseClassTree } from '../../classes/validate.js';
import { documentOf, treeOf } from '../classes/documents.js';
import { below, seededRandom } from '../classes/random.js';
import { packageRoot } from '../netns/namespaces.js';
import { expectSameTree, randomTree } from './random-tree.js';

const test = suite('LibreQoS');
/** LibreQoS's own example files are not part of this package; the tests of them run where they lie. */
const EXAMPLES =
  process.env.WEIR_LIBREQOS_EXAMPLES ?? join(packageRoot(), '..', 'shared', 'data', 'libreqos');
const OLD_HEADER =
  'Circuit ID,Circuit Name,Device ID,Device Name,Parent Node,MAC,IPv4,IPv6,' +
  'Download Min Mbps,Upload Min Mbps,Download Max Mbps,Upload Max Mbps,Comment';
const HEADER = OLD_HEADER.replace('Parent Node,', 'Parent Node,Parent Node ID,Anchor Node ID,');
const NETWORK = '{"Site": {"id": "s:1", "downloadBandwidthMbps": 1000, "uploadBandwidthMbps": "100"}}';

function read(csv: string, network: string | null = NETWORK, options: LibreqosOptions = {}): FormatResult {
  return readLibreqos({ csv, csvName: 'S.csv', network, networkName: 'network.json' }, options);
}

function rows(...lines: string[]): string {
  return `${[OLD_HEADER, ...lines].join('\n')}\n`;
}

function lines(result: FormatResult): string[] {
  return result.problems.map((problem) => `${problem.severity}: ${formatProblem(problem)}`);
}

function errors(result: FormatResult): string[] {
  assert.is(
    result.document === null,
    result.problems.some(({ severity }) => severity === 'error'),
  );
  return lines(result)
    .filter((line) => line.startsWith('error: '))
    .map((line) => line.slice('error: '.length));
}

function tree(result: FormatResult): ClassTree {
  assert.is.not(result.document, null, lines(result).join('\n'));
  return treeOf(result.document);
}

/** `id < parent: addresses, down, up` of every class. */
function shapes(result: FormatResult): string[] {
  const direction = (spec: { rateBps: number; ceilBps: number } | null): string =>
    spec === null ? '-' : `${spec.rateBps}/${spec.ceilBps}`;
  return tree(result).classes.map(({ id, parent, match, queue, down, up }) => {
    const addresses = match.map(({ text }) => text).join(' ');
    return `${id} < ${parent}: ${addresses} ${direction(down)} ${direction(up)} ${queue.leaf ?? ''}`.trim();
  });
}

function anExample(name: string): string {
  return readFileSync(`${EXAMPLES}/${name}`, 'utf8');
}

if (existsSync(EXAMPLES)) {
  const csv = anExample('ShapedDevices.example.csv');
  const network = anExample('network.example.json');

  test('reads the example that LibreQoS ships', () => {
    const result = read(csv, network);
    assert.equal(lines(result), [
      'warning: S.csv row 2: the row lacks Parent Node ID and Anchor Node ID; read in the older layout (here and in 9 more)',
    ]);
    const found = shapes(result);
    assert.is(found.length, 21);
    assert.is(found[0], 'Site_1 < null:  1000000000/1000000000 1000000000/1000000000');
    assert.is(
      found.find((shape) => shape.startsWith('10001 ')),
      '10001 < AP_A: 100.64.0.1 100.64.0.2 fdd7:b724:0:100::/56 1000000/155000000 1000000/20000000',
    );
    assert.is(
      found.find((shape) => shape.startsWith('10003 ')),
      '10003 < AP_9: 100.64.0.4 fdd7:b724:0:300::/56 1250000/10500000 750000/5250000',
    );
    assert.is(result.placeOf('10003'), 'S.csv row 4');
    assert.is(result.placeOf('AP_9'), 'network.json node "AP_9"');
    assert.is(result.placeOf('nobody'), null);
  });

  test('writes that example back, row by row', () => {
    const written = writeLibreqos(tree(read(csv, network)));
    assert.equal(written.problems, []);
    const columns = (text: string, at: number[]): string[] =>
      (parse(text, { relax_column_count: true }) as string[][])
        .slice(1)
        .map((row) => at.map((i) => row[i]).join('|'));
    // Circuit ID, Parent Node, addresses and rates: the rows of the example have the older layout.
    assert.equal(
      columns(written.csv!, [0, 4, 8, 9, 10, 11, 12, 13]),
      columns(csv, [0, 4, 6, 7, 8, 9, 10, 11]),
    );
    const bare = (value: unknown): unknown => JSON.parse(JSON.stringify(value).replaceAll('"ap"', '"site"'));
    assert.equal(JSON.parse(written.network!), bare(JSON.parse(network)));
  });
} else {
  console.log(`skipped: ${EXAMPLES} is not there`);
  test.skip('the example that LibreQoS ships', () => undefined);
}

test('reads both layouts, also with a byte order mark, CRLF, comments and blank lines', () => {
  const older = rows('7,,,,Site,,10.0.0.7,,1,2,3,4,');
  const expected = [
    'Site < null:  1000000000/1000000000 100000000/100000000',
    '7 < Site: 10.0.0.7 1000000/3000000 2000000/4000000',
  ];
  const newer = `${HEADER}\n7,,,,Site,,,,10.0.0.7,,1,2,3,4,\n`;
  const lenient = older
    .replace('Circuit ID', 'circuit_id')
    .replace('Download Min Mbps', 'DownloadMin')
    .replace('Comment', 'Radius Username');
  const byId = `${HEADER}\n7,,,,elsewhere,s:1,,,10.0.0.7,,1,2,3,4,\n`;
  const decorated = `\ufeff# ours\r\n\r\n${older.replaceAll('\n', '\r\n')}#7,left\r\n`;
  for (const csv of [older, newer, lenient, byId, decorated, ` ${older.replaceAll(',', ' , ')}`]) {
    assert.equal(shapes(read(csv)), expected);
    assert.equal(lines(read(csv)), []);
  }
});

test('merges the devices of a circuit, and asks that they agree', () => {
  const first = '7,,,,Site,,"10.0.0.7, 10.0.1.0/24",,1,1,3,3,';
  const merged = read(rows(first, '7,,,,Site,,,2001:DB8::/56,1.0,1,3,3,'));
  assert.is(
    shapes(merged)[1],
    '7 < Site: 10.0.0.7 10.0.1.0/24 2001:db8::/56 1000000/3000000 1000000/3000000',
  );
  assert.equal(errors(read(rows(first, '8,,,,Site,,10.0.0.8,,1,1,3,3,', '7,,,,,,10.0.0.9,,1,1,4,3,'))), [
    'S.csv row 4: Download Max Mbps: 4 differs from that of circuit "7" in row 2',
    'S.csv row 4: Parent Node: differs from that of circuit "7" in row 2',
  ]);
});

test('keeps fractions exact, to the bit', () => {
  for (const [text, bps] of [
    ['0.5', 500_000],
    ['1.25', 1_250_000],
    ['.000001', 1],
    ['1e3', 1e9],
    ['+2.', 2e6],
    ['155.123456', 155_123_456],
  ] as const) {
    assert.is(parseMbps(text), bps);
  }
  const random = seededRandom('rates in Mbit/s');
  for (let i = 0; i < 20_000; i++) {
    const bps = below(random, 10 ** (1 + below(random, 13)));
    assert.is(parseMbps(formatMbps(bps)), bps, `${bps} as ${formatMbps(bps)}`);
  }
});

test('finds everything that is wrong with the rows at once', () => {
  const result = read(
    rows(
      'a,,,,Site,,10.0.0.1,,x,1,2,,',
      'b,,,,Nowhere,,10.0.0.1,,-1,1,2,0,',
      'c,,,,Site,,10.0.0.256,10.0.0.3,5,1,2,99999999,',
      'd,,,,Site',
      ',,,,Site,,10.0.0.4,,1,1,2,2,',
      'Site,,,,Site,,10.0.0.5,,1,1,2,2,',
      'e,,,,Site,,10.0.0.6,,1,1,2,2,,more',
      'f,,,,Site,,"10.0.0.7,10.0.0.7",,1,1,2,2,,',
    ),
  );
  assert.equal(errors(result), [
    'S.csv row 2: Download Min Mbps: "x" is not a number of Mbit/s',
    'S.csv row 2: Upload Max Mbps: is empty',
    'S.csv row 3: Download Min Mbps: "-1" is negative',
    'S.csv row 3: Upload Max Mbps: is 0, which lets nothing through',
    'S.csv row 3: Parent Node: "Nowhere" is not the name of a node',
    'S.csv row 3: IPv4: 10.0.0.1 stands in row 2 already',
    'S.csv row 4: Upload Max Mbps: "99999999" is above the highest rate, 10000000 Mbit/s',
    'S.csv row 4: Download Min Mbps: 5 is above Download Max Mbps, 2',
    'S.csv row 4: IPv4: "10.0.0.256" is not an IPv4 or IPv6 address or prefix',
    'S.csv row 4: IPv6: "10.0.0.3" is not IPv6',
    'S.csv row 5: the row has 5 columns, the header 13',
    'S.csv row 6: Circuit ID: is empty',
    'S.csv row 7: Circuit ID: "Site" is the name of a node, too; both would be one class',
    'S.csv row 8: the row has 14 columns, the header 13',
    'S.csv row 9: IPv4: 10.0.0.7 stands in this row already',
  ]);
});

test('says once which column is missing, and what is no device list', () => {
  const without = (name: string): string => rows('7,,,,,,10.0.0.7,,1,2,3,4,').replace(name, 'Something');
  assert.equal(errors(read(without('Download Min Mbps'))), [
    'S.csv row 1: Download Min Mbps: the column is missing in the header',
  ]);
  assert.equal(errors(read(without('IPv6'))), ['S.csv row 1: IPv6: the column is missing in the header']);
  assert.equal(errors(read(rows().replace('Comment', 'Circuit-ID'))), [
    'S.csv row 1: Circuit ID: stands twice in the header',
  ]);
  assert.equal(errors(read('')), ['S.csv: is empty; it needs a header row at least']);
  assert.equal(errors(read('\ufeff\r\n')), ['S.csv: is empty; it needs a header row at least']);
  assert.equal(errors(read('{"version": 1}\n')), [
    'S.csv row 1: is not the header of ShapedDevices.csv; it starts with "Circuit ID"',
  ]);
  assert.equal(errors(read(rows('7,"open,,,'))), ['S.csv row 2: a quote is opened and never closed']);
  const headerOnly = read(rows());
  assert.equal(lines(headerOnly), ['warning: S.csv: holds no circuit']);
  assert.equal(shapes(headerOnly), ['Site < null:  1000000000/1000000000 100000000/100000000']);
});

test('counts rows as an editor counts lines, also below a cell of several', () => {
  const result = read(rows('7,"two\nlines",,,Site,,10.0.0.7,,1,1,3,3,', '8,,,,Site,,10.0.0.8,,1,1,x,3,'));
  assert.equal(errors(result), ['S.csv row 4: Download Max Mbps: "x" is not a number of Mbit/s']);
  assert.is(result.placeOf('7'), 'S.csv row 2');
});

test('puts circuits without a node below the uplink', () => {
  const csv = rows(
    '7,,,,none,,10.0.0.7,,1,1,3,3,',
    '8,,,,,,10.0.0.8,,1,1,3,3,',
    'uplink,,,,Site,,10.0.0.9,,1,1,3,3,',
  );
  assert.equal(shapes(read(csv)).slice(1, 4), [
    'uplink-2 < null:  - -',
    '7 < uplink-2: 10.0.0.7 1000000/3000000 1000000/3000000',
    '8 < uplink-2: 10.0.0.8 1000000/3000000 1000000/3000000',
  ]);
  const uplink = { id: 'fibre', downBps: 1e9, upBps: 1e8 };
  assert.equal(
    shapes(read(csv, NETWORK, { uplink })).map((shape) => shape.split(':')[0]),
    ['fibre < null', 'Site < fibre', '7 < fibre', '8 < fibre', 'uplink < Site'],
  );
  const noneFree = rows('9,,,,Site,,10.0.0.9,,1,1,3,3,');
  assert.is(
    shapes(read(noneFree, NETWORK, { uplink }))[0],
    'fibre < null:  1000000000/1000000000 100000000/100000000',
    'also when every circuit has a node',
  );
  assert.equal(errors(read(csv, NETWORK, { uplink: { ...uplink, id: 'Site' } })), [
    "uplink: 'Site' is the name of a node or the id of a circuit already",
  ]);
});

test('takes {} for a flat network, and a network.json that is missing for a mistake', () => {
  const csv = rows('7,,,,Site,,10.0.0.7,,1,1,3,3,', '8,,,,Site,,10.0.0.8,,1,1,3,3,');
  const flat = read(csv, '{}');
  assert.is(shapes(flat)[1], '7 < uplink: 10.0.0.7 1000000/3000000 1000000/3000000');
  assert.equal(lines(flat), [
    'warning: S.csv row 2: Parent Node: network.json has no node; the circuit goes below the uplink (here and in 1 more)',
  ]);
  assert.equal(errors(read(csv, null)), [
    'S.csv row 2: Parent Node: names a node, but there is no network.json (here and in 1 more rows)',
  ]);
  assert.is(shapes(read(rows('7,,,,,,10.0.0.7,,1,1,3,3,'), null)).length, 2);
});

test('reads sqm, and says where one queue cannot do it', () => {
  const sqm = (token: string): FormatResult =>
    read(`${OLD_HEADER},sqm\n7,,,,Site,,10.0.0.7,,1,1,3,3,,${token}\n`);
  const queue = (token: string): QueueSettings => tree(sqm(token)).classes[1]!.queue;
  const cake = { leaf: 'fq_codel', isolate: 'dual' };
  for (const [token, expected] of [
    ['', {}],
    ['fq_codel', { leaf: 'fq_codel' }],
    ['none', { leaf: 'pfifo' }],
    ['cake', cake],
    ['cake  diffserv4', { ...cake, diffserv: 'diffserv4' }],
    ['CAKE diffserv3 / none', { ...cake, diffserv: 'diffserv3' }],
    ['none/cake besteffort', { leaf: 'pfifo' }],
    ['cake besteffort', { ...cake, diffserv: 'besteffort' }],
    ['NONE / none', { leaf: 'pfifo' }],
    ['cake/fq_codel', cake],
    ['/none', {}],
  ] as const)
    assert.equal(queue(token), expected, token);
  assert.equal(lines(sqm('fq_codel')), []);
  assert.equal(lines(sqm('cake')), [
    'warning: S.csv row 2: sqm: weir has no cake; read as fq_codel that is fair by device',
  ]);
  assert.equal(lines(sqm('none/fq_codel')), [
    'warning: S.csv row 2: sqm: "none/fq_codel" differs by direction; a class has one queue, the download\'s',
  ]);
  assert.equal(errors(sqm('red')), [
    'S.csv row 2: sqm: "red" is not cake, cake with besteffort, diffserv3 or diffserv4, fq_codel, none, or two of them as "cake/none"',
  ]);
});

test('passes by virtual nodes, and keeps nodes below the one above as LibreQoS does', () => {
  const node = (more: object): object => ({ downloadBandwidthMbps: 100, uploadBandwidthMbps: 100, ...more });
  const network = JSON.stringify({
    Region: node({
      children: { Town: node({ virtual: true, children: { AP: node({ downloadBandwidthMbps: 500 }) } }) },
    }),
    Cloud: node({ type: 'virtual' }),
  });
  const result = read(rows('7,,,,Town,,10.0.0.7,,1,1,3,3,', '8,,,,Cloud,,10.0.0.8,,1,1,3,3,'), network);
  assert.equal(
    shapes(result).map((shape) => shape.split(':')[0]),
    ['Region < null', 'AP < Region', 'uplink < null', '7 < Region', '8 < uplink'],
  );
  assert.is(tree(result).classes[1]!.down!.rateBps, 1e8);
  assert.equal(lines(result), [
    'warning: network.json node "AP": downloadBandwidthMbps: is above that of the node above it; taken as that, as LibreQoS does',
  ]);
});

test('finds everything that is wrong with network.json at once', () => {
  const faults = (network: string): string[] => errors(read(rows('7,,,,A,,10.0.0.7,,1,1,3,3,'), network));
  assert.match(faults('{"A": ')[0]!, /^network\.json: line 1, column \d+: /);
  assert.equal(faults('[]'), ['network.json: must be a map of nodes, not a list']);
  assert.equal(
    faults(
      '{"A": {"id": 1, "downloadBandwidthMbps": 0, "children": {"B": {"id": "1", "downloadBandwidthMbps": "fast", "uploadBandwidthMbps": -1}}},' +
        ' "B": {"downloadBandwidthMbps": 1, "uploadBandwidthMbps": 1, "children": 3}}',
    ),
    [
      'network.json node "A": downloadBandwidthMbps: is 0, which lets nothing through',
      'network.json node "A": uploadBandwidthMbps: is missing',
      'network.json node "B": id: "1" is the id of node "A" already',
      'network.json node "B": downloadBandwidthMbps: "fast" is not a number of Mbit/s',
      'network.json node "B": uploadBandwidthMbps: "-1" is negative',
      'network.json node "B": is the name of two nodes; circuits name their node by it',
      'network.json node "B": children: must be a map, not 3',
    ],
  );
  assert.ok(
    faults(
      `{"A": {"downloadBandwidthMbps": 1, "uploadBandwidthMbps": 1}, "A": {"downloadBandwidthMbps": 1, "uploadBandwidthMbps": 1}}`,
    )[0]!.includes('"A" stands twice'),
  );
});

test('lends its places to what the tree finds', () => {
  const result = read(rows(`${'x'.repeat(129)},,,,Site,,10.0.0.7,,1,1,3,3,`));
  const found = parseClassTree(result.document).problems.filter(({ severity }) => severity === 'error');
  assert.is(found.length, 1);
  const capped = read(rows('7,,,,Site,,10.0.0.7,,1,1,3000,3,'));
  const [warning] = placed(parseClassTree(capped.document).problems, capped).map(formatProblem);
  assert.is(warning, "S.csv row 2, class '7': down.ceil: 3gbit is above 1gbit, the ceil of class 'Site'");
});

test('writes what it reads: random trees there and back', () => {
  const random = seededRandom('trees through LibreQoS');
  for (let round = 0; round < 60; round++) {
    const before = randomTree(random, {
      rich: false,
      inner: 1 + below(random, 8),
      leaves: 8 + below(random, 30),
      depthMax: 5,
    });
    const written = writeLibreqos(before);
    assert.is.not(written.csv, null, written.problems.map(formatProblem).join('\n'));
    const after = tree(read(written.csv!, written.network!));
    expectSameTree(sorted(after), sorted(before));
    const again = writeLibreqos(after);
    assert.is(again.csv, written.csv);
    // A map of JavaScript puts names that look like numbers first.
    assert.equal(JSON.parse(again.network!), JSON.parse(written.network!));
  }
});

/** Nodes come first in what is read, and IPv4 before IPv6, as the columns stand. */
function sorted(of: ClassTree): ClassTree {
  const classes = of.classes
    .map((spec) => ({ ...spec, match: [...spec.match].sort((a, b) => a.family - b.family) }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  return { ...of, classes };
}

test('counts what LibreQoS cannot say', () => {
  const written = writeLibreqos(
    treeOf({
      version: 1,
      default: 'guests',
      mpu: 64,
      overhead: 24,
      classes: [
        { id: 'root' },
        { id: 'site', parent: 'root', down: { rate: '10.5mbit', ceil: '20.5mbit' } },
        {
          id: 'u1',
          parent: 'site',
          match: '10.0.0.1',
          leaf: 'codel',
          limit: 10,
          limitBytes: '1mb',
          down: { ceil: '5mbit', prio: 2, burst: 9, cburst: 9, quantum: 99 },
        },
        {
          id: 'u2',
          parent: 'site',
          match: '10.0.0.2',
          down: { rate: 5000, ceil: 6000, prio: 1 },
          up: { rate: '1mbit' },
        },
        { id: 'guests', parent: 'site', down: { rate: '1mbit' }, up: { rate: '1mbit' } },
        { id: 'alone', match: '10.0.0.3', down: { rate: '1mbit' }, up: { rate: '1mbit' } },
      ],
    }),
  );
  const found = written.problems.map(formatProblem);
  const keys = written.problems.map(({ key }) => key);
  assert.equal(
    [...keys].sort(),
    [
      ...[
        'default',
        'overhead',
        'mpu',
        'down',
        'down',
        'up',
        'leaf',
        'limit',
        'limitBytes',
        'match',
        'parent',
      ],
      ...['down.prio', 'down.burst', 'down.cburst', 'down.quantum', 'down.rate', 'up'].filter(
        (key) => key !== 'up',
      ),
    ].sort(),
  );
  assert.ok(
    found.includes("class 'u1': down.prio: LibreQoS cannot say a prio; left out (here and in 1 more)"),
  );
  const u1 = written.csv!.split('\n')[1]!;
  assert.is(u1, 'u1,u1,u1,u1,site,,,,10.0.0.1,,0.01,0.01,5,10000000,,fq_codel');
  assert.equal(JSON.parse(written.network!), {
    site: {
      downloadBandwidthMbps: 20.5,
      uploadBandwidthMbps: 10_000_000,
      type: 'site',
      children: { guests: { downloadBandwidthMbps: 1, uploadBandwidthMbps: 1, type: 'site' } },
    },
  });
});

test('writes sqm for what it can say, and tells of the rest', () => {
  const rates = { down: { rate: 1e6 }, up: { rate: 1e6 } };
  const said: Record<string, unknown>[] = [
    {},
    { leaf: 'pfifo' },
    { leaf: 'fq_codel', isolate: 'dual' },
    { isolate: 'dual', diffserv: 'diffserv4' },
    { leaf: 'fq_codel', isolate: 'host', diffserv: 'diffserv3' },
    { leaf: 'codel', target: '9ms', ecn: true, wash: true },
  ];
  const leaves = said.map((queue, i) => ({
    id: `u${i}`,
    parent: 'up',
    match: `10.0.0.${i}`,
    ...queue,
    ...rates,
  }));
  const classes = [{ id: 'up', limit: 5, ...rates }, ...leaves];
  const tokens = ({ csv }: { csv: string | null }): string[] =>
    csv!
      .trim()
      .split('\n')
      .slice(1)
      .map((row) => row.split(',').at(-1)!);
  const alone = writeLibreqos(treeOf({ version: 1, linklayer: 'atm', classes }));
  assert.equal(tokens(alone), ['', 'none', 'cake', 'cake diffserv4', 'fq_codel', 'fq_codel']);
  assert.equal(
    alone.problems.map(({ classId, key }) => `${classId} ${key}`).filter((line) => !line.endsWith('rate')),
    ['null linklayer', 'up leaf', 'u5 target', 'u5 ecn', 'u5 wash', 'u4 isolate', 'u4 diffserv', 'u5 leaf'],
  );
  const all = writeLibreqos(treeOf({ version: 1, leaf: 'pfifo', classes }));
  assert.equal(tokens(all), ['none', 'none', 'cake', 'none', 'fq_codel', 'fq_codel']);
  assert.match(formatProblem(all.problems[0]!), /^leaf: .* all circuits; written at each of them$/);
});

test('reads the least Min as nothing assured, and writes that as the least', () => {
  const result = read(rows('7,,,,Site,,10.0.0.7,,0.01,0,3,3,'));
  assert.is(shapes(result)[1], '7 < Site: 10.0.0.7 0/3000000 0/3000000');
  assert.match(writeLibreqos(tree(result)).csv!, /,0\.01,0\.01,3,3,/);
});

test('refuses ids that LibreQoS would not read back', () => {
  const ids = ['a#b', ' a', 'none'];
  const written = writeLibreqos(treeOf(documentOf(...ids.map((id) => ({ id, down: { rate: 1e6 } })))));
  assert.is(written.csv, null);
  assert.equal(
    written.problems.filter(({ severity }) => severity === 'error').map(({ classId }) => classId),
    ids,
  );
});

test.run();
