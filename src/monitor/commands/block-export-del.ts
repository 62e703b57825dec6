/** block-export-del: closes an export. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const blockExportDel: Command = defineCommand({
  name: 'block-export-del',
  summary:
    'Closes an export: safe refuses while a client is connected, hard disconnects it. BLOCK_EXPORT_DELETED follows',
  arguments: z.strictObject({ id: z.string(), mode: z.enum(['safe', 'hard']).optional() }),
  run: async ({ id, mode }, daemon) => {
    await daemon.exports.delete(id, mode ?? 'safe');
  },
});
