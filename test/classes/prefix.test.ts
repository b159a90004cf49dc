import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ParsedPrefix, parsePrefix } from '../../classes/prefix.js';
import { below, seededRandom } from './random.js';

function good(text: string): ParsedPrefix {
  const parsed = parsePrefix(text);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

const test = suite('prefix');

test('IPv4 addresses and prefixes', () => {
  assert.equal(good('10.0.0.5').prefix, { family: 4, words: [0x0a000005], length: 32, text: '10.0.0.5' });
  assert.equal(good('10.0.0.5/32').prefix, good('10.0.0.5').prefix);
  assert.equal(good('192.168.0.0/16').prefix.words, [0xc0a80000 | 0]);
  assert.equal(good('0.0.0.0/0').prefix, { family: 4, words: [0], length: 0, text: '0.0.0.0/0' });
  assert.equal(good('255.255.255.255').prefix.words, [-1]);
});

test('IPv6 addresses and prefixes', () => {
  const prefix = good('2001:db8:42::/56').prefix;
  assert.equal(prefix, {
    family: 6,
    words: [0x20010db8, 0x00420000, 0, 0],
    length: 56,
    text: '2001:db8:42::/56',
  });
  assert.is(good('2001:DB8:0:0::1').prefix.text, '2001:db8::1');
  assert.equal(good('ffff::8000:0').prefix.words, [0xffff0000 | 0, 0, 0, 0x80000000 | 0]);
  assert.equal(good('::/0').prefix, { family: 6, words: [0, 0, 0, 0], length: 0, text: '::/0' });
  assert.is(good('::1').prefix.length, 128);
});

test('host bits are cleared and told', () => {
  assert.is(good('10.0.0.0/24').normalised, false);
  assert.is(good('10.0.0.5/24').normalised, true);
  assert.is(good('10.0.0.5/24').prefix.text, '10.0.0.0/24');
  assert.is(good('10.0.0.5/31').prefix.text, '10.0.0.4/31');
  assert.is(good('2001:db8::1/64').normalised, true);
  assert.is(good('2001:db8::1/64').prefix.text, '2001:db8::/64');
  assert.is(good('2001:db8:0:1::/63').prefix.text, '2001:db8::/63');
});

test('what is no prefix is refused with a reason', () => {
  const bad = `| |x|10|10.0|10.0.0|10.0.0.|10.0.0.0.|10.0.0.256|10.0.0.1000|1.2.3.4.5|10.0.0.5 | 10.0.0.5|0x0a.0.0.1
|010.0.0.1|10.0.0.01|10.0.0.0/|10.0.0.0/33|10.0.0.0/08|10.0.0.0/-1|10.0.0.0/8/8|10.0.0.0/8x|10.0.0.0/255.0.0.0|-1.0.0.0
|:|:::|1::2::3|12345::|g::|::1/129|::1/|::1/x|fe80::1%eth0|::ffff:10.0.0.5|::ffff:a00:5/120|1:2:3:4:5:6:7:8:9`;
  for (const text of bad.replaceAll('\n', '').split('|')) {
    const message = parsePrefix(text);
    assert.type(message, 'string', text);
  }
  assert.match(parsePrefix('010.0.0.1') as string, /leading zero/);
  assert.match(parsePrefix('10.0.0.0/33') as string, /from 0 to 32/);
  assert.match(parsePrefix('::/129') as string, /from 0 to 128/);
  assert.match(parsePrefix('fe80::1%eth0') as string, /zone/);
  assert.match(parsePrefix('::ffff:10.0.0.5') as string, /write it as IPv4/);
});

test('random prefixes: the canonical text reads back as the same prefix, without host bits', () => {
  const random = seededRandom('prefix');
  for (let i = 0; i < 20_000; i++) {
    const groups = Array.from({ length: 8 }, () => (random() < 0.4 ? 0 : below(random, 65536)));
    const text =
      random() < 0.5
        ? `${[0, 1, 2, 3].map(() => below(random, 256)).join('.')}/${below(random, 33)}`
        : `${groups.map((group) => group.toString(16)).join(':')}/${below(random, 129)}`;
    const parsed = parsePrefix(text);
    if (typeof parsed === 'string') {
      assert.match(parsed, /mapped into IPv6/, text);
      continue;
    }
    const again = good(parsed.prefix.text);
    assert.is(again.normalised, false, text);
    assert.equal(again.prefix, parsed.prefix, text);
    const bits = parsed.prefix.words.map((word) => (word >>> 0).toString(2).padStart(32, '0')).join('');
    assert.not.match(bits.slice(parsed.prefix.length), /1/, text);
  }
});

test.run();
