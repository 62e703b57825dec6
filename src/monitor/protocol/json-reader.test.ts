import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MAX_TOKEN_BYTES } from './json-lexer.ts';
import { JsonReader, MAX_DEPTH, MAX_TOKENS } from './json-reader.ts';
import { encodeExactly, encodeJson, type JsonValue } from './json-value.ts';

type Outcome = { readonly value: JsonValue } | { readonly error: string };

/** What a reader makes of `chunks`. */
function read(...chunks: readonly (string | Buffer)[]): readonly Outcome[] {
  const outcomes: Outcome[] = [];
  const reader = new JsonReader({
    onValue: value => outcomes.push({ value }),
    onError: error => outcomes.push({ error }),
  });
  for (const chunk of chunks) reader.feed(Buffer.from(chunk as string));
  return outcomes;
}

const VALUES: readonly (readonly [text: string, value: JsonValue])[] = [
  ['{}', {}],
  ['[]', []],
  ['{"a":[1,{"b":null}],"c":true}', { a: [1, { b: null }], c: true }],
  ["{'execute':'query-version','id':'it\\'s'}", { execute: 'query-version', id: "it's" }],
  ['"\\u00e9\\ud83d\\ude00 \\/ \\b"', 'é😀 / \b'],
  ['"é"', 'é'],
  ['"\\u0000"', '\0'],
  ['{"__proto__":1}', Object.fromEntries([['__proto__', 1]])],
  ['[12345678901234567890,-9223372036854775807]', [12345678901234567890n, -9223372036854775807n]],
  [
    '[9007199254740991,1.5e3,-0.25,123456789012345678901234567890]',
    [9007199254740991, 1500, -0.25, 1.2345678901234568e29],
  ],
  ['"a }] , : {["', 'a }] , : {['],
  ['[-0,-0.0]', [0, -0]],
];

/** As qemu-storage-daemon 7.2 answers them. */
const ERRORS: readonly (readonly [text: string, error: string])[] = [
  ['abc', "JSON parse error, invalid keyword 'abc'"],
  ['{]', 'JSON parse error, expecting value'],
  ['}', 'JSON parse error, expecting value'],
  ['{"a":}', 'JSON parse error, expecting value'],
  ['{"a" 1}', 'JSON parse error, missing : in object pair'],
  ['{"a":1 "b":2}', 'JSON parse error, expected separator in dict'],
  ['{"a":1,}', 'JSON parse error, expecting value'],
  ['{"a":1,"a":2}', 'JSON parse error, duplicate key'],
  ['{1:2}', 'JSON parse error, key is not a string in object'],
  ['[1 2]', 'JSON parse error, expected separator in list'],
  ['"\\q"', 'JSON parse error, invalid escape sequence in string'],
  ['"\\ud800"', 'JSON parse error, \\ud800 is not a valid Unicode character'],
  ['"\\ude00\\ud83d"', 'JSON parse error, \\ude00 is not a valid Unicode character'],
  ['01', "JSON parse error, stray '01'"],
  ['1.x', "JSON parse error, stray '1.x'"],
  ['1e+ ', "JSON parse error, stray '1e+ '"],
  ['-a', "JSON parse error, stray '-a'"],
  ['+1', "JSON parse error, stray '+'"],
  ['"\\u12"', 'JSON parse error, \\u12" is not a valid Unicode character'],
  ['"\\uffff"', 'JSON parse error, \\uffff is not a valid Unicode character'],
  ['"\\ud83d\\u0041"', 'JSON parse error, \\ud83d is not a valid Unicode character'],
  ['%', "JSON parse error, stray '%'"],
];

describe('JsonReader', () => {
  for (const [text, value] of VALUES) {
    it(`reads ${text}`, () => assert.deepEqual(read(`${text}\n`), [{ value }]));

    it(`reads ${text} however it is cut`, () => {
      const bytes = Buffer.from(`${text}\n`);
      for (let at = 0; at <= bytes.length; at++) {
        assert.deepEqual(read(bytes.subarray(0, at), bytes.subarray(at)), [{ value }], `cut at ${at}`);
      }
      assert.deepEqual(read(...[...bytes].map(byte => Buffer.of(byte))), [{ value }], 'byte by byte');
    });
  }

  for (const [text, error] of ERRORS) {
    it(`refuses ${text} and reads what follows on the next line`, () => {
      assert.deepEqual(read(`${text}\n{"id":1}\n`), [{ error }, { value: { id: 1 } }]);
    });
  }

  it('frames by value, not by line', () => {
    assert.deepEqual(read('{"a"\n:1}{"b":2} [3'), [{ value: { a: 1 } }, { value: { b: 2 } }]);
  });

  it('is reset by a control character in the middle of anything', () => {
    for (const control of [0x00, 0x01, 0x1f, 0xfe, 0xff]) {
      for (const unfinished of ['{"a":', '"text', '"esc\\', '[[[']) {
        const outcomes = read(unfinished, Buffer.of(control), '\n{"id":1}');
        assert.ok(outcomes.length >= 2 && 'error' in (outcomes[0] as Outcome), `${unfinished} and ${control}`);
        assert.deepEqual(outcomes.at(-1), { value: { id: 1 } });
      }
    }
  });

  it('takes each control character for a mistake of its own, and what is between them for none', () => {
    const strays = read('\x01abc\x02{"a":1}').map(outcome => ('error' in outcome ? outcome.error : outcome.value));
    assert.deepEqual(strays, ["JSON parse error, stray '\x01'", "JSON parse error, stray '\x02'", { a: 1 }]);
  });

  it('reads a number that ends where another token begins', () => {
    assert.deepEqual(read('0e1 '), [{ value: 0 }, { error: "JSON parse error, invalid keyword 'e'" }, { value: 1 }]);
  });

  it('decodes UTF-8 as QEMU does: C0 80 is the character 0, and other long forms are wrong', () => {
    assert.deepEqual(read(Buffer.from('"\xc0\x80"', 'latin1')), [{ value: '\0' }]);
    for (const wrong of ['\xc1\x81', '\xe0\x80\x80', '\xed\xa0\x80', '\xf8\x88\x80\x80\x80', '\xef\xbf\xbf', '\x80']) {
      const [outcome] = read(Buffer.from(`"${wrong}"`, 'latin1'));
      assert.deepEqual(outcome, { error: 'JSON parse error, invalid UTF-8 sequence in string' }, JSON.stringify(wrong));
    }
  });

  it('shows stray bytes up to the first 0, with a replacement for each sequence that is wrong', () => {
    const shown = (text: string): Outcome | undefined => read(Buffer.from(text, 'latin1'))[0];
    assert.deepEqual(shown('\0x'), { error: "JSON parse error, stray ''" });
    assert.deepEqual(shown('"a\xe2\x82\x01'), { error: "JSON parse error, stray '\"a\ufffd\x01'" });
    assert.deepEqual(shown('\xff'), { error: "JSON parse error, stray '\ufffd'" });
  });

  it('refuses bytes in a string that are not UTF-8', () => {
    const [outcome] = read(Buffer.from([0x22, 0xc3, 0x28, 0x22]));
    assert.deepEqual(outcome, { error: 'JSON parse error, invalid UTF-8 sequence in string' });
  });

  it('takes the deepest value that is allowed and refuses a deeper one with its line', () => {
    const [deepest] = read('['.repeat(MAX_DEPTH) + ']'.repeat(MAX_DEPTH));
    assert.ok(deepest !== undefined && 'value' in deepest);
    assert.deepEqual(read(`${'['.repeat(100_000)}\n[1]`), [
      { error: 'JSON nesting depth limit exceeded' },
      { value: [1] },
    ]);
  });

  it('refuses a value of too many tokens with its line', () => {
    assert.deepEqual(read(`[${'1,'.repeat(MAX_TOKENS)}1]\n2\n`), [
      { error: 'JSON token count limit exceeded' },
      { value: 2 },
    ]);
  });

  it('keeps no more than one token of text without an end, and says so once', () => {
    const chunk = Buffer.alloc(65_536, 'x');
    const outcomes: Outcome[] = [];
    const reader = new JsonReader({
      onValue: value => outcomes.push({ value }),
      onError: error => outcomes.push({ error }),
    });
    reader.feed(Buffer.from('"'));
    for (let sent = 0; sent < 4 * MAX_TOKEN_BYTES; sent += chunk.length) reader.feed(chunk);
    reader.feed(Buffer.from('\n[1]'));
    assert.deepEqual(outcomes, [{ error: 'JSON token size limit exceeded' }, { value: [1] }]);
  });

  it('tells whole numbers that are written as none from integers where it is asked to, and writes them back', () => {
    const values: JsonValue[] = [];
    const onError = (): void => assert.fail();
    const reader = new JsonReader({ onValue: value => values.push(value), onError }, { tellsIntegers: true });
    reader.feed(Buffer.from('[1,1.5,-5][1e6,2147483648.0,-0.0]'));
    const [plain, told] = values as [JsonValue, readonly JsonValue[]];
    assert.deepEqual(plain, [1, 1.5, -5]);
    assert.ok(told.every(value => typeof value === 'symbol'));
    assert.equal(encodeExactly(told), '[1000000,2147483648,-0]');
  });

  it('reads what encodeJson writes, which then is written the same', () => {
    // The texts are compared: an integer beyond 2^53 is read as a bigint, to be given back to the digit.
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        const text = encodeJson(value);
        const [outcome, ...more] = read(`${text}\n`);
        assert.ok(outcome !== undefined && 'value' in outcome);
        assert.equal(encodeJson(outcome.value), text);
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
        assert.deepEqual(more, []);
      }),
    );
  });

  it('survives any bytes and goes on with the next line', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        // 0xff twice: the first may end a string or an escape, the newline ends what the second left.
        const outcomes = read(Buffer.from(bytes), Buffer.from([0xff, 0xff, 0x0a]), '{"id":1}');
        assert.deepEqual(outcomes.at(-1), { value: { id: 1 } });
      }),
    );
  });
});
