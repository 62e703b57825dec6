/** qom-get: a property of a user object. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';
import { readProperty } from '../object-properties.ts';

export const qomGet: Command = defineCommand({
  name: 'qom-get',
  summary: 'A property of a throttle-group, such as `limits`',
  arguments: z.strictObject({
    path: z.string().describe('id of the object, also behind `/objects/`'),
    property: z.string().describe('name of the property'),
  }),
  returns: z.unknown().describe('the value of the property'),
  run: ({ path, property }, daemon) => readProperty(daemon.objects, path, property),
});
