import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as z from 'zod';
import { explainOptions, refuseProto } from './explain-options.ts';
import { alternate, nonNegative, uint32 } from './qapi-types.ts';

const reference = alternate('BlockdevRef', [z.string(), z.strictObject({ driver: z.string() })]);

const SCHEMA = z.strictObject({
  name: z.string(),
  size: z.int().optional(),
  amount: z.int().min(0).max(100).optional(),
  port: z.int().min(1).optional(),
  pattern: z.string().max(3).optional(),
  pair: z.array(z.int()).min(2).optional(),
  count: uint32().optional(),
  delay: nonNegative().optional(),
  mode: z.enum(['safe', 'hard']).optional(),
  modes: z.array(z.enum(['safe', 'hard'])).optional(),
  names: z.array(z.string()).optional(),
  file: reference.optional(),
  files: z.array(reference).optional(),
  server: z
    .strictObject({ file: reference.optional(), path: z.string(), type: z.enum(['unix']).optional() })
    .optional(),
  object: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('a'), x: z.int() }),
      z.strictObject({ type: z.literal('b') }),
    ])
    .optional(),
});

/** The texts are those of qemu-storage-daemon 7.2, up to a semicolon. */
const CASES: readonly (readonly [options: unknown, explanation: string])[] = [
  [{}, "Parameter 'name' is missing"],
  [{ name: null }, "Invalid parameter type for 'name', expected: string"],
  [{ name: 'n', x: 1 }, "Parameter 'x' is unexpected"],
  [{ name: 'n', size: '1' }, "Invalid parameter type for 'size', expected: integer"],
  [{ name: 'n', size: Symbol('1e6') }, "Invalid parameter type for 'size', expected: integer"],
  [{ name: 'n', count: Symbol('1e2') }, "Parameter 'count' expects uint64"],
  [{ name: 'n', delay: -1.5 }, "Parameter 'delay' expects a non-negative value"],
  [{ name: 'n', size: 1.5 }, "Invalid parameter type for 'size', expected: integer"],
  [{ name: 'n', size: 2 ** 60 }, "Invalid parameter type for 'size', expected: integer"],
  [{ name: 'n', amount: 2 ** 60 }, "Invalid parameter type for 'amount', expected: integer"],
  [{ name: 'n', amount: -5 }, "Parameter 'amount' expects a non-negative value"],
  [{ name: 'n', amount: 101 }, "Parameter 'amount' expects at most 100"],
  [{ name: 'n', port: 0 }, "Parameter 'port' expects at least 1"],
  [{ name: 'n', pattern: 'abcd' }, "Parameter 'pattern' expects at most 3 characters"],
  [{ name: 'n', pair: [1] }, "Parameter 'pair' expects at least 2 elements"],
  [{ name: 'n', count: '1' }, "Parameter 'count' expects uint64"],
  [{ name: 'n', count: 1.5 }, "Parameter 'count' expects uint64"],
  [{ name: 'n', count: -1 }, "Parameter 'count' expects uint32_t"],
  [{ name: 'n', count: 2 ** 32 }, "Parameter 'count' expects uint32_t"],
  [{ name: 'n', mode: 'soft' }, "Parameter 'mode' does not accept value 'soft'; it takes safe, hard"],
  [{ name: 'n', mode: 5 }, "Invalid parameter type for 'mode', expected: string"],
  [{ name: 'n', modes: ['safe', 'soft'] }, "Parameter 'null' does not accept value 'soft'; it takes safe, hard"],
  [{ name: 'n', names: ['a', 5] }, "Invalid parameter type for 'names[1]', expected: string"],
  [{ name: 'n', names: 'a' }, "Invalid parameter type for 'names', expected: array"],
  [{ name: 'n', file: 5 }, "Invalid parameter type for 'file', expected: BlockdevRef"],
  [{ name: 'n', file: {} }, "Parameter 'file.driver' is missing"],
  [{ name: 'n', file: { driver: 'raw', x: 1 } }, "Parameter 'file.x' is unexpected"],
  [{ name: 'n', files: ['a', 5] }, "Invalid parameter type for 'null', expected: BlockdevRef"],
  [{ name: 'n', files: ['a', { driver: 5 }] }, "Invalid parameter type for 'files[1].driver', expected: string"],
  [{ name: 'n', server: {} }, "Parameter 'server.path' is missing"],
  [{ name: 'n', server: { path: 'p', type: 'fd' } }, "Parameter 'type' does not accept value 'fd'; it takes unix"],
  [{ name: 'n', server: { file: 5 } }, "Invalid parameter type for 'file', expected: BlockdevRef"],
  [{ name: 'n', object: {} }, "Parameter 'object.type' is missing"],
  [{ name: 'n', object: { type: 5 } }, "Invalid parameter type for 'object.type', expected: string"],
  [{ name: 'n', object: { type: 'c' } }, "Parameter 'type' does not accept value 'c'; it takes a, b"],
  [{ name: 'n', object: { type: 'a' } }, "Parameter 'object.x' is missing"],
];

describe('explainOptions', () => {
  for (const [options, explanation] of CASES) {
    it(`explains ${JSON.stringify(options)}`, () => {
      const { error } = SCHEMA.safeParse(options, { reportInput: true });
      assert.equal(explainOptions(error ?? assert.fail('It was accepted')), explanation);
    });
  }
});

describe('nonNegative', () => {
  it('takes a number however it is written', () => {
    for (const [given, number] of [
      [20, 20],
      [0.5, 0.5],
      [Symbol('20.0'), 20],
    ] as const) {
      assert.equal(nonNegative().parse(given), number);
    }
  });
});

describe('refuseProto', () => {
  for (const [json, name] of [
    ['{"__proto__":1}', '__proto__'],
    ['{"a":[1,{"b":{"__proto__":{}}}]}', 'a[1].b.__proto__'],
  ] as const) {
    it(`refuses ${json}, of which a schema sees nothing`, () => {
      assert.throws(() => refuseProto(JSON.parse(json)), { message: `Parameter '${name}' is unexpected` });
    });
  }

  it('takes what has no such member', () => {
    refuseProto({ a: [null, { b: '__proto__' }], c: 5n });
  });
});
