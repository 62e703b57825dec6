/** block-export-del: closes an export. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const blockExportDel: Command = defineCommand({
  name: 'block-export-del',
  summary:
    'Closes an export: safe refuses while a client is connected, hard disconnects it. BLOCK_EXPORT_DELETED follows',
  arguments: z.strictObject({
    id: z.string().describe('the export'),
    mode: z
      .enum(['safe', 'hard'])
      .default('safe')
      .describe('`safe` refuses while a client is connected, `hard` disconnects it'),
  }),
  errors: ["`export 'ID' still in use`: a client is connected", "`Export 'ID' is already shutting down`"],
  run: async ({ id, mode }, daemon) => {
    await daemon.exports.delete(id, mode);
  },
});
