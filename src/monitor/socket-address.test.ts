import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { explainOptions } from '../block/explain-options.ts';
import { formatAddress, SOCKET_ADDRESS } from './socket-address.ts';

const TAKEN: readonly (readonly [unknown, object])[] = [
  [{ type: 'unix', path: '/run/x' }, { path: '/run/x' }],
  [{ type: 'unix', data: { path: '/run/x' } }, { path: '/run/x' }],
  [
    { type: 'inet', host: '::1', port: '10809' },
    { host: '::1', port: 10809 },
  ],
  [
    { type: 'inet', data: { host: 'a', port: '0' } },
    { host: 'a', port: 0 },
  ],
  [
    { type: 'inet', host: 'a', port: 5 },
    { host: 'a', port: 5 },
  ],
];

const REFUSED: readonly (readonly [unknown, string])[] = [
  [{ type: 'zz' }, "Parameter 'type' does not accept value 'zz'; it takes unix, inet"],
  [{ path: '/run/x' }, "Parameter 'type' is missing"],
  [{ type: 'unix' }, "Parameter 'path' is missing"],
  [{ type: 'inet', host: 'a' }, "Parameter 'port' is missing"],
  [{ type: 'unix', path: 5 }, "Invalid parameter type for 'path', expected: string"],
  [5, "Invalid parameter type for '', expected: object"],
  [{ type: 5 }, "Invalid parameter type for 'type', expected: string"],
  [{ type: 'inet', data: '' }, "Invalid parameter type for 'data', expected: object"],
  [{ type: 'inet', data: { host: 'a' } }, "Parameter 'data.port' is missing"],
  [{ type: 'inet', data: { host: 'a', port: 5 } }, "Invalid parameter type for 'data.port', expected: string"],
  [{ type: 'unix', data: { path: '/x', foo: 1 } }, "Parameter 'data.foo' is unexpected"],
  [{ type: 'unix', path: '/x', foo: 1 }, "Parameter 'foo' is unexpected"],
  [{ type: 'inet', host: 'a', port: '65536' }, "Parameter 'port': '65536' is not a port from 0 to 65535"],
  [{ type: 'inet', host: 'a', port: '-1' }, "Parameter 'port': '-1' is not a port from 0 to 65535"],
];

describe('SOCKET_ADDRESS', () => {
  for (const [input, address] of TAKEN) {
    it(`takes ${JSON.stringify(input)}`, () => assert.deepEqual(SOCKET_ADDRESS.parse(input), address));
  }
  for (const [input, reason] of REFUSED) {
    it(`refuses ${JSON.stringify(input)}`, () => {
      const { error } = SOCKET_ADDRESS.safeParse(input, { reportInput: true });
      assert.ok(error);
      assert.equal(explainOptions(error), reason);
    });
  }
});

describe('formatAddress', () => {
  it('puts an IPv6 address into brackets', () => {
    assert.equal(formatAddress({ host: '::1', port: 1 }), '[::1]:1');
    assert.equal(formatAddress({ host: 'a', port: 1 }), 'a:1');
    assert.equal(formatAddress({ path: '/run/x' }), '/run/x');
  });
});
