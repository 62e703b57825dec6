/** Types of options and arguments that QEMU has and JSON does not, refused in QEMU's words (explain-options.ts). */

import * as z from 'zod';

const MAX_UINT32 = 2 ** 32 - 1;

/** A whole number from 0 to 4294967295. */
export function uint32(): z.ZodNumber {
  const range = { error: 'expects uint32_t' };
  return z
    .int({ error: issue => (issue.code === 'invalid_type' ? 'expects uint64' : range.error) })
    .min(0, range)
    .max(MAX_UINT32, range);
}

/** A number that is 0 or more and need not be whole. The monitor gives `20.0`, which is no integer, as a symbol. */
export function nonNegative(): z.ZodType<number> {
  const plain = (value: unknown): unknown => (typeof value === 'symbol' ? numberOf(value) : value);
  return describedAs(z.number().min(0), z.preprocess(plain, z.number().min(0)));
}

/** The number that a symbol among JSON values stands for. */
export function numberOf(written: symbol): number {
  return Number(written.description);
}

/** One of several types, told apart by its JSON type; `name` is QEMU's for it. */
export function alternate<const Options extends readonly [z.ZodType, ...z.ZodType[]]>(
  name: string,
  options: Options,
): z.ZodUnion<Options> {
  return z.union(options, { error: `expected: ${name}` });
}

/** By the part of a schema that its copies, such as `describe` makes, have in common. */
const descriptions = new WeakMap<object, z.ZodType>();

/** `schema`, which documentation describes as `description`: for one that is made of code. */
export function describedAs<Schema extends z.ZodType>(description: z.ZodType, schema: Schema): Schema {
  descriptions.set(schema._zod.def, description);
  return schema;
}

/** What describes `schema`: itself, unless `describedAs` says otherwise. */
export function descriptionOf(schema: z.ZodType): z.ZodType {
  return descriptions.get(schema._zod.def) ?? schema;
}
