import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { UsageError } from '../base/errors.ts';
import { formatNbdUri, type NbdUri, parseNbdUri } from './uri.ts';

const inet = (host: string, port: number, exportName: string, tls = false): NbdUri => ({
  address: { kind: 'inet', host, port },
  exportName,
  tls,
});
const unix = (path: string, exportName: string): NbdUri => ({
  address: { kind: 'unix', path },
  exportName,
  tls: false,
});

for (const [text, uri] of [
  ['nbd://example.com', inet('example.com', 10809, '')],
  ['nbd://example.com/', inet('example.com', 10809, '')],
  ['nbd:///disk', inet('localhost', 10809, 'disk')],
  ['nbd://10.0.0.1:1234/disk', inet('10.0.0.1', 1234, 'disk')],
  ['nbd://[::1]:1234/disk', inet('::1', 1234, 'disk')],
  ['NBDS://example.com/a', inet('example.com', 10809, 'a', true)],
  ['nbd://example.com//absolute/../x', inet('example.com', 10809, '/absolute/../x')],
  ['nbd://example.com/a%20b%2Fc', inet('example.com', 10809, 'a b/c')],
  ['nbd+unix:///?socket=/run/a.sock', unix('/run/a.sock', '')],
  ['nbd+unix:///disk?socket=/run/a+b%20c', unix('/run/a+b c', 'disk')],
] as const) {
  test(`${text} is understood`, () => assert.deepEqual(parseNbdUri(text), uri));
}

for (const text of [
  '',
  'disk.img',
  'http://example.com/',
  'nbd:example.com',
  'nbd://example.com:0/',
  'nbd://example.com:65536/',
  'nbd://user@example.com/',
  'nbd://example.com/%zz',
  'nbd://example.com/%00',
  `nbd://example.com/${'x'.repeat(4097)}`,
  'nbd://example.com/?socket=/run/a',
  'nbd://example.com/?colour=red',
  'nbd+unix:///disk',
  'nbd+unix://host/disk?socket=/run/a',
]) {
  test(`'${text.slice(0, 60)}' is refused as an NBD URI`, () => assert.throws(() => parseNbdUri(text), UsageError));
}

test('every address and export name survives being written as a URI', () => {
  const name = fc.string({ unit: 'grapheme', maxLength: 50 }).filter(text => !text.includes('\0'));
  const address = fc.oneof(
    fc.record({ kind: fc.constant('unix' as const), path: name.filter(text => text !== '') }),
    fc.record({
      kind: fc.constant('inet' as const),
      host: fc.constantFrom('localhost', '10.0.0.1', '::1'),
      port: fc.integer({ min: 1, max: 65535 }),
    }),
  );
  fc.assert(
    fc.property(address, name, fc.boolean(), (at, exportName, tls) => {
      const uri = { address: { ...at }, exportName, tls };
      assert.deepEqual(parseNbdUri(formatNbdUri(uri)), uri);
    }),
  );
});
