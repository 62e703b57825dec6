/** blockdev-del: closes a node that nobody uses. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockdevDel: Command = defineCommand({
  name: 'blockdev-del',
  summary: 'Closes a node that nobody uses, and the children that were defined with it',
  arguments: z.strictObject({ 'node-name': z.string().describe('the node') }),
  errors: ['`Node NODE is in use`, with who uses it', "`Failed to find node with node-name='NODE'`"],
  run: async ({ 'node-name': name }, daemon) => {
    const node = daemon.graph.find(name);
    if (node !== undefined) {
      daemon.replication.refuseRemoval(node);
      const job = daemon.jobs.workingOn(node);
      if (job !== undefined) {
        throw new UsageError(`Node '${name}' is busy: block device is in use by block job: ${job.type}`);
      }
    }
    await daemon.graph.remove(name);
  },
});
