import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UsageError } from '../../base/errors.ts';
import { parseKeyValue, parseOptionText } from './key-value.ts';

const PARSED: readonly (readonly [text: string, tree: object])[] = [
  ['driver=file,node-name=disk', { driver: 'file', 'node-name': 'disk' }],
  ['file,node-name=disk', { driver: 'file', 'node-name': 'disk' }],
  ['filename=/a,,b,,,,c.img', { filename: '/a,b,,c.img' }],
  ['filename=a=b', { filename: 'a=b' }],
  ['filename=', { filename: '' }],
  ['', {}],
  ['a=1,', { a: '1' }],
  ['a=1,a=2', { a: '2' }],
  ['addr.type=unix,addr.path=/x', { addr: { type: 'unix', path: '/x' } }],
  ['children.0.driver=memory,children.1=disk', { children: [{ driver: 'memory' }, 'disk'] }],
  ['children.1=b,children.0=a', { children: ['a', 'b'] }],
  ['a.b.c.0.d=1', { a: { b: { c: [{ d: '1' }] } } }],
  ['constructor=1,a.toString=2', { constructor: '1', a: { toString: '2' } }],
];

const REFUSED: readonly (readonly [text: string, reason: string])[] = [
  ['driver=file,foo', "Expected '=' after parameter 'foo'"],
  ['=1', "Invalid parameter ''"],
  ['a..b=1', "Invalid parameter 'a..b'"],
  ['a b=1', "Invalid parameter 'a b'"],
  ['__proto__=1', "Invalid parameter '__proto__'"],
  ['a=1,a.b=2', "Parameters 'a.*' used inconsistently"],
  ['a.b=2,a=1', "Parameters 'a.*' used inconsistently"],
  ['a.0=1,a.b=2', "Parameters 'a.*' used inconsistently"],
  ['children.0=a,children.2=b', "Parameter 'children.1' is missing"],
  ['children.00=a,children.1=b', "Parameters 'children.*' used inconsistently"],
];

describe('the key=value syntax', () => {
  for (const [text, tree] of PARSED) {
    it(`reads '${text}'`, () => assert.deepEqual(parseKeyValue(text, 'driver'), tree));
  }
  for (const [text, reason] of REFUSED) {
    it(`refuses '${text}'`, () => assert.throws(() => parseKeyValue(text, 'driver'), new UsageError(reason)));
  }

  it('wants a key for the first value where none is implied', () => {
    assert.throws(() => parseKeyValue('file', null), new UsageError("Expected '=' after parameter 'file'"));
  });

  it('gives way to JSON, whose types are as written', () => {
    assert.deepEqual(parseOptionText(' {"driver":"null","size":5}', 'driver'), { driver: 'null', size: 5 });
    assert.throws(() => parseOptionText('{"driver"', 'driver'), new UsageError('JSON parse error, premature EOI'));
  });
});
