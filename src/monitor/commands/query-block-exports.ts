/** query-block-exports: the exports of the daemon. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const queryBlockExports: Command = defineCommand({
  name: 'query-block-exports',
  summary: 'The exports, also those that are closing',
  arguments: z.strictObject({}),
  returns: z.array(
    z.strictObject({
      id: z.string().describe('the export'),
      type: z.enum(['nbd']).describe('how it is exported'),
      'node-name': z.string().describe('the node that is exported'),
      'shutting-down': z.boolean().describe('true once it is being deleted'),
    }),
  ),
  run: (_args, daemon) =>
    daemon.exports.infos().map(info => ({
      id: info.id,
      type: 'nbd',
      'node-name': info.nodeName,
      'shutting-down': info.shuttingDown,
    })),
});
