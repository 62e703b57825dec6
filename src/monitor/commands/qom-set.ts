/** qom-set: changes a property of a user object. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { type Command, defineCommand } from '../command.ts';
import { writeProperty } from '../object-properties.ts';

export const qomSet: Command = defineCommand({
  name: 'qom-set',
  summary: 'Changes the `limits` of a throttle-group; those that are left out stay as they are',
  arguments: z.strictObject({
    path: z.string().describe('id of the object, also behind `/objects/`'),
    property: z.string().describe('name of the property'),
    value: z.unknown().describe('what it is to be'),
  }),
  run: ({ path, property, value }, daemon) => {
    if (value === undefined) throw new UsageError("Parameter 'value' is missing");
    writeProperty(daemon.objects, path, property, value);
  },
});
