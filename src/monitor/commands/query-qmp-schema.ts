/** query-qmp-schema: what the commands of this monitor take and return, and what its events tell. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';
import { events } from '../events/index.ts';
import { makeQmpSchema, type SchemaInfo } from '../schema/qmp-schema.ts';

const common = { name: z.string().describe('its name; those of types are numbers that mean nothing') };

const INFO = z.discriminatedUnion('meta-type', [
  z.strictObject({
    ...common,
    'meta-type': z.literal('builtin').describe('what it is'),
    'json-type': z
      .enum(['string', 'number', 'int', 'boolean', 'null', 'object', 'array', 'value'])
      .describe('the type it is in JSON'),
  }),
  z.strictObject({
    ...common,
    'meta-type': z.literal('enum'),
    members: z.array(z.strictObject({ name: z.string().describe('the value') })).describe('its values'),
    values: z.array(z.string()).describe('the same'),
  }),
  z.strictObject({
    ...common,
    'meta-type': z.literal('array'),
    'element-type': z.string().describe('type of the elements'),
  }),
  z.strictObject({
    ...common,
    'meta-type': z.literal('object'),
    members: z
      .array(
        z.strictObject({
          name: z.string().describe('the member'),
          type: z.string().describe('its type'),
          default: z.unknown().optional().describe('there where the member may be left out'),
        }),
      )
      .describe('its members'),
    tag: z.string().optional().describe('the member whose value says which variant it is'),
    variants: z
      .array(
        z.strictObject({
          case: z.string().describe('the value of the tag'),
          type: z.string().describe('the type that has the further members'),
        }),
      )
      .optional()
      .describe('its variants'),
  }),
  z.strictObject({
    ...common,
    'meta-type': z.literal('alternate'),
    members: z.array(z.strictObject({ type: z.string().describe('one of them') })).describe('the types it may be of'),
  }),
  z.strictObject({
    ...common,
    'meta-type': z.literal('command'),
    'arg-type': z.string().describe('type of the arguments'),
    'ret-type': z.string().describe('type of what it returns'),
    'allow-oob': z.boolean().optional().describe('true where exec-oob may be used'),
  }),
  z.strictObject({
    ...common,
    'meta-type': z.literal('event'),
    'arg-type': z.string().describe('type of the data'),
  }),
]);

/** `others` are the commands beside this one. */
export function makeQueryQmpSchema(others: readonly Command[]): Command {
  let schema: readonly SchemaInfo[] | null = null;
  const command = defineCommand({
    name: 'query-qmp-schema',
    summary: 'What commands take and return and what events tell, in the shape that QEMU gives it',
    arguments: z.strictObject({}),
    returns: z.array(INFO),
    run: () => {
      schema ??= makeQmpSchema([...others, command], events);
      return schema;
    },
  });
  return command;
}
