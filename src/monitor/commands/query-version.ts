/** query-version: which QEMU's monitor is spoken, and the version of Colobus. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const queryVersion: Command = defineCommand({
  name: 'query-version',
  summary: 'The version of the monitor protocol and of Colobus',
  arguments: z.strictObject({}),
  returns: z.strictObject({
    qemu: z
      .strictObject({
        major: z.int().describe('7'),
        minor: z.int().describe('2'),
        micro: z.int().describe('0'),
      })
      .describe('the QEMU whose monitor is spoken'),
    package: z.string().describe('`colobus` and its version'),
  }),
  run: (_args, daemon) => daemon.version,
});
