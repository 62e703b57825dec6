import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as z from 'zod';
import type { Driver } from '../../block/driver.ts';
import { coerceDefinition, coerceStrings } from './coerce-strings.ts';

const SCHEMA = z.strictObject({
  name: z.string().optional(),
  count: z.int().optional(),
  flag: z.boolean().optional(),
  either: z.union([z.int(), z.strictObject({ deep: z.boolean() })]).optional(),
  list: z.array(z.strictObject({ size: z.number() })).optional(),
});

const COERCED: readonly (readonly [input: object, output: object])[] = [
  [{ count: '12' }, { count: 12 }],
  [{ count: '64K' }, { count: 65_536 }],
  [{ flag: 'on' }, { flag: true }],
  [{ flag: 'off' }, { flag: false }],
  [{ flag: 'true' }, { flag: true }],
  [{ name: '12' }, { name: '12' }],
  [
    { name: 'on', flag: 'no', count: '0' },
    { name: 'on', flag: false, count: 0 },
  ],
  [{ either: '5' }, { either: 5 }],
  [{ either: { deep: 'on' } }, { either: { deep: true } }],
  [{ list: [{ size: '1' }, { size: '2M' }] }, { list: [{ size: 1 }, { size: 2_097_152 }] }],
];

const LEFT_ALONE: readonly object[] = [{ flag: { deep: 'on' } }, { either: 'other' }];

/** In QEMU's words. */
const REFUSED: readonly (readonly [input: object, says: string])[] = [
  [{ count: 'many' }, "Parameter 'count' expects integer"],
  [{ count: '-1' }, "Parameter 'count' expects integer"],
  [{ count: '1.5' }, "Parameter 'count' expects integer"],
  [{ count: '' }, "Parameter 'count' expects integer"],
  [{ flag: 'maybe' }, "Parameter 'flag' expects 'on' or 'off'"],
  [{ list: [{ size: 'x' }] }, "Parameter 'list.0.size' expects integer"],
];

describe('coerceStrings', () => {
  for (const [input, output] of COERCED) {
    it(`makes ${JSON.stringify(output)} of ${JSON.stringify(input)}`, () => {
      assert.deepEqual(coerceStrings(SCHEMA, input), output);
    });
  }
  for (const input of LEFT_ALONE) {
    it(`leaves ${JSON.stringify(input)} to the schema's error`, () =>
      assert.deepEqual(coerceStrings(SCHEMA, input), input));
  }

  for (const [input, message] of REFUSED) {
    it(`refuses ${JSON.stringify(input)}`, () => assert.throws(() => coerceStrings(SCHEMA, input), { message }));
  }

  it('coerces beside a key that the schema does not know', () => {
    assert.deepEqual(coerceStrings(SCHEMA, { count: '1', unknown: '1' }), { count: 1, unknown: '1' });
  });
});

const neverOpened = (): never => assert.fail('A driver is only asked for its options here');

const DRIVERS: readonly Driver[] = [
  {
    name: 'window',
    summary: '',
    options: z.strictObject({ offset: z.int(), file: z.looseObject({ driver: z.string() }) }),
    open: neverOpened,
  },
  { name: 'disk', aliases: ['disk-co'], summary: '', options: z.strictObject({ size: z.int() }), open: neverOpened },
];

describe('coerceDefinition', () => {
  it("goes by the options of each node's own driver, and by those every node has", () => {
    const definition = {
      driver: 'window',
      'read-only': 'on',
      offset: '4K',
      cache: { direct: 'off' },
      file: { driver: 'disk-co', 'node-name': '123', size: '1G' },
    };
    assert.deepEqual(coerceDefinition(definition, DRIVERS), {
      driver: 'window',
      'read-only': true,
      offset: 4096,
      cache: { direct: false },
      file: { driver: 'disk-co', 'node-name': '123', size: 2 ** 30 },
    });
  });

  it('leaves the options of a driver that is not known as they are', () => {
    const definition = { driver: 'other', size: '1G' };
    assert.deepEqual(coerceDefinition(definition, DRIVERS), definition);
  });
});
