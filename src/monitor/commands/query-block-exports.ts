/** query-block-exports: the exports of the daemon. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const queryBlockExports: Command = defineCommand({
  name: 'query-block-exports',
  summary: 'The exports, also those that are closing',
  arguments: z.strictObject({}),
  run: (_args, daemon) =>
    daemon.exports.infos().map(info => ({
      id: info.id,
      type: 'nbd',
      'node-name': info.nodeName,
      'shutting-down': info.shuttingDown,
    })),
});
