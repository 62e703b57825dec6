import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type * as z from 'zod';
import { explainOptions } from '../block/explain-options.ts';
import { FLAT_SOCKET_ADDRESS, formatAddress, SOCKET_ADDRESS } from './socket-address.ts';

/** Without their `data`, as the command line has them; QMP has all but the type in it. */
const TAKEN: readonly (readonly [Readonly<Record<string, unknown>>, object])[] = [
  [{ type: 'unix', path: '/run/x' }, { path: '/run/x' }],
  [{ type: 'unix', path: 'x', abstract: true }, { path: '\0x' }],
  [{ type: 'unix', path: 'x', abstract: true, tight: false }, { path: `\0x${'\0'.repeat(106)}` }],
  [
    { type: 'inet', host: '::1', port: '10809' },
    { host: '::1', port: 10809 },
  ],
  [
    { type: 'inet', host: 'a', port: '0', numeric: true, 'keep-alive': false },
    { host: 'a', port: 0 },
  ],
  [
    { type: 'inet', host: 'a', port: 5, to: 9 },
    { host: 'a', port: 5, lastPort: 9 },
  ],
  [
    { type: 'inet', host: '', port: '5' },
    { host: '::', port: 5 },
  ],
  [
    { type: 'inet', host: '', port: '5', ipv6: false },
    { host: '0.0.0.0', port: 5 },
  ],
  [
    { type: 'inet', host: 'localhost', port: '5', ipv4: true },
    { host: '127.0.0.1', port: 5 },
  ],
  [
    { type: 'inet', host: 'localhost', port: '5', ipv4: true, ipv6: true },
    { host: 'localhost', port: 5 },
  ],
  [{ type: 'fd', str: '3' }, { fd: 3 }],
];

/** In QEMU's words where it refuses the same. */
const REFUSED: readonly (readonly [schema: z.ZodType, input: unknown, says: string])[] = [
  [SOCKET_ADDRESS, { type: 'zz' }, "Parameter 'type' does not accept value 'zz'; it takes unix, inet, fd"],
  [SOCKET_ADDRESS, { type: 5 }, "Invalid parameter type for 'type', expected: string"],
  [SOCKET_ADDRESS, { path: '/run/x' }, "Parameter 'type' is missing"],
  [SOCKET_ADDRESS, { type: 'unix' }, "Parameter 'data' is missing"],
  [SOCKET_ADDRESS, 5, "Invalid parameter type for '', expected: object"],
  [SOCKET_ADDRESS, { type: 'inet', data: '' }, "Invalid parameter type for 'data', expected: object"],
  [
    SOCKET_ADDRESS,
    { type: 'inet', data: { host: 'a', port: 5 } },
    "Invalid parameter type for 'data.port', expected: string",
  ],
  [SOCKET_ADDRESS, { type: 'unix', data: {} }, "Parameter 'data.path' is missing"],
  [SOCKET_ADDRESS, { type: 'inet', data: { host: 'a' } }, "Parameter 'data.port' is missing"],
  [SOCKET_ADDRESS, { type: 'unix', data: { path: 5 } }, "Invalid parameter type for 'data.path', expected: string"],
  [FLAT_SOCKET_ADDRESS, { type: 'zz' }, "Parameter 'type' does not accept value 'zz'; it takes unix, inet, fd"],
  [FLAT_SOCKET_ADDRESS, { type: 'unix' }, "Parameter 'path' is missing"],
  [FLAT_SOCKET_ADDRESS, { type: 'inet', host: 'a' }, "Parameter 'port' is missing"],
  [FLAT_SOCKET_ADDRESS, { type: 'unix', path: '/x', foo: 1 }, "Parameter 'foo' is unexpected"],
  [
    FLAT_SOCKET_ADDRESS,
    { type: 'inet', host: 'a', port: '65536' },
    "Parameter 'port': '65536' is not a port from 0 to 65535",
  ],
  [
    FLAT_SOCKET_ADDRESS,
    { type: 'inet', host: 'a', port: '-1' },
    "Parameter 'port': '-1' is not a port from 0 to 65535",
  ],
  [FLAT_SOCKET_ADDRESS, { type: 'fd', str: 'x' }, "Parameter 'str': is not the number of a file descriptor"],
];

describe('a socket address', () => {
  for (const [{ type, ...data }, address] of TAKEN) {
    it(`is taken from ${JSON.stringify({ type, ...data })} and from the same in data`, () => {
      assert.deepEqual(FLAT_SOCKET_ADDRESS.parse({ type, ...data }), address);
      assert.deepEqual(SOCKET_ADDRESS.parse({ type, ...data }), address);
      if (data.port !== 5) assert.deepEqual(SOCKET_ADDRESS.parse({ type, data }), address);
    });
  }
  for (const [schema, input, says] of REFUSED) {
    it(`${schema === SOCKET_ADDRESS ? 'of QMP' : 'of the command line'} is not ${JSON.stringify(input)}`, () => {
      const { error } = schema.safeParse(input, { reportInput: true });
      assert.ok(error);
      assert.equal(explainOptions(error), says);
    });
  }
});

describe('formatAddress', () => {
  it('puts an IPv6 address into brackets and an @ before an abstract name', () => {
    assert.equal(formatAddress({ host: '::1', port: 1 }), '[::1]:1');
    assert.equal(formatAddress({ host: 'a', port: 1 }), 'a:1');
    assert.equal(formatAddress({ path: '/run/x' }), '/run/x');
    assert.equal(formatAddress({ path: '\0x' }), '@x');
    assert.equal(formatAddress({ fd: 3 }), 'descriptor 3');
  });
});
