/** OddInput: what a monitor should never be sent, made from a seed: bytes, near-JSON, and requests that are none. */

import { SeededRandom } from './seeded-random.ts';

/**
 * No number here is beyond a double by itself; tokens that come together may be (see RawMonitor).
 *
 * Pieces that a lexer or parser may stumble over, alone and in any order. */
// biome-ignore format: a list
const PIECES = [
  '{', '}', '[', ']', ',', ':', '{}', '[]', '"', "'", '"a"', "'b'", '"a":', '"execute"', "'execute':", '"id"', '"id":1',
  'true', 'false', 'null', 'nul', 'True', 'a', 'E', 'e', '0', '00', '01', '-', '-0', '-1', '1.', '.5', '1.5', '1e', '1e5', '1E+2', 
  '9223372036854775807', '9223372036854775808', '-9223372036854775808', '-9223372036854775809', '18446744073709551615',
  '18446744073709551616', '0x10', '+1', '\\', '\\"', '"\\"', '"\\u00e9"', '"\\u"', '"\\u12"', '"\\ud800"', '"\\udc00"', '"\\ud83d\\ude00"',
  '"\\ud83d\\u0041"', '"\\u0000"', '"\\uffff"', '"\\ufdd0"', '"\\x"', '"\\\'"', "'\\\"'", '"\xc3\xa9"', '"\xc3"', '"\xe2\x82\xac"', '"\xed\xa0\x80"',
  '"\xf0\x9f\x98\x80"', '"\xf8"', '"\xc0\x80"', '"\x7f"', '\xc3\xa9', '\x7f', '\x80', '\x00', '\x01', '\x1f', '\x0b', '\x0c', '\xfe', '\xff', '"\x01"',
  '"\t"', ' ', '\t', '\r', '\n', '%', '%d', '%s', '"%s"', '"%%"', '#', '/', '//', '_', '$', '@', '~', '`', '!', '&', '(', ')', ';', '<', '=', '>', '?', '^', '|', '*',
] as const;

// biome-ignore format: a list
const VALUES = [
  'null', 'true', '0', '-1', '1.5', '12345678901234567890', '""', '"x"', '"query-jobs"', '"nope"', '"qmp_capabilities"', '[]', '[1]', '{}', '{"x":1}', '{"id":{}}',
  '"\\u00e9 \\ud83d\\ude00 \\u007f \\u0001"', '"/ \\/ < > & \'"',
] as const;

/** A member that is wrong, or may be. */
// biome-ignore format: a list
const ODDITIES = [
  '', '"execute":5', '"execute":null', '"execute":{}', '"execute":"nope"', '"execute":""', '"execute":"query\\u002djobs"',
  '"execute":"qmp_capabilities"', '"execute":"query-jobs","execute":"query-jobs"', '"arguments":5', '"arguments":null', '"arguments":[]',
  '"arguments":"x"', '"arguments":{"x":1}', '"arguments":{"x":null}', '"arguments":{"\\u00e9":1}', '"arguments":{"__proto__":1}',
  '"exec-oob":"query-jobs"', '"exec-oob":5', '"control":{}', '"foo":1', '"__proto__":1', '"toString":1', '"Execute":"query-jobs"', '"":1',
  '"id":{"a":{"b":[[[{}]]]}}', '"id":{"__proto__":5}', '"id":"\\u0000"', '"id":"\xc0\x80"', '"id":-0.0', '"id":1e21', '"id":0.1',
] as const;

export class OddInput {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  /** The next input; a byte 255 belongs behind it, so that the next one is read from its start. */
  next(): Buffer {
    const kind = this.#random.below(10);
    if (kind < 5) return this.#pieces();
    if (kind < 8) return this.#request();
    if (kind < 9) return this.#damaged();
    return this.#random.bytes(this.#random.between(1, 30));
  }

  #pieces(): Buffer {
    const count = this.#random.between(1, 7);
    const pieces = Array.from({ length: count }, () => this.#random.pick(PIECES));
    return Buffer.from(this.#random.below(2) === 0 ? pieces.join('') : `{${pieces.join('')}}`, 'latin1');
  }

  /** A request with at most one thing wrong: of several, QEMU names the one its hash table has first. */
  #request(): Buffer {
    const oddity = this.#random.pick(ODDITIES);
    const members = [oddity === '' ? '"execute":"query-jobs"' : oddity];
    if (!oddity.includes('execute"') && this.#random.below(4) > 0) members.push('"execute":"query-jobs"');
    if (!oddity.includes('"id"') && this.#random.below(2) === 0) members.push(`"id":${this.#random.pick(VALUES)}`);
    if (!oddity.includes('arguments') && this.#random.below(2) === 0) members.push('"arguments":{}');
    if (this.#random.below(2) === 0) members.reverse();
    return Buffer.from(`{${members.join(',')}}`, 'latin1');
  }

  /** A request with a byte changed, left out or doubled, and up to two more in its id. */
  #damaged(): Buffer {
    let bytes = Buffer.from('{"execute": "query-jobs", "id": {"a": [1, 2.5, null, "\\u00e9", \'x\', true]}}');
    let from = 0;
    for (let damage = this.#random.between(1, 3); damage > 0; damage -= 1) {
      const at = this.#random.between(from, bytes.length - 1);
      const same = bytes.subarray(at, at + 1);
      const instead = this.#random.pick([Buffer.alloc(0), this.#random.bytes(1), Buffer.concat([same, same])]);
      bytes = Buffer.concat([bytes.subarray(0, at), instead, bytes.subarray(at + 1)]);
      from = bytes.indexOf('[');
    }
    return bytes;
  }
}
