import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../base/errors.ts';
import { parseJson } from './parse-json.ts';

/** As qemu-storage-daemon 7.2 answers those of them that begin with a brace on its command line. */
const REFUSED: readonly (readonly [text: string, error: string])[] = [
  ['', 'Expecting a JSON value'],
  ['{"driver":', 'JSON parse error, premature EOI'],
  ['{"driver":"null"', 'JSON parse error, premature EOI'],
  ['{"driver":null-co}', "JSON parse error, stray '-c'"],
  ['{"driver" "x"}', 'JSON parse error, missing : in object pair'],
  ['{"a":1,"a":2}', 'JSON parse error, duplicate key'],
  ['{"a":tru', "JSON parse error, invalid keyword 'tru'"],
  ['{"a":"x', "JSON parse error, stray '\"x'"],
  ['{"a":1e', "JSON parse error, stray '1e'"],
  ['{"a":xx}{', "JSON parse error, invalid keyword 'xx'"],
  ['{"a":True,"b":"c"}', "JSON parse error, stray 'T'"],
  ['{"a":1,"a":2} 5', 'JSON parse error, duplicate key'],
  ['{}{}', 'Expecting at most one JSON value'],
  ['{} x', 'Expecting at most one JSON value'],
  ['{}1', 'Expecting at most one JSON value'],
  ['{} {', 'Expecting at most one JSON value'],
  ['{} }', 'Expecting at most one JSON value'],
  ['{} "abc', 'Expecting at most one JSON value'],
];

for (const [text, error] of REFUSED) {
  test(`'${text}' is refused in QEMU's words`, () => assert.throws(() => parseJson(text), new UsageError(error)));
}

test('one value is read, whatever space is around it, and a whole number that is written as none is no integer', () => {
  assert.deepEqual(parseJson(' {"a":[1,"é",null]}\n'), { a: [1, 'é', null] });
  assert.deepEqual(parseJson('12'), 12);
  assert.equal(typeof parseJson('1e6'), 'symbol');
});
