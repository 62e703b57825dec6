/** replication-stop: ends replication, or takes over with one of the standby's two images. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { type Command, defineCommand } from '../command.ts';
import { takeOver } from '../take-over.ts';

export const replicationStop: Command = defineCommand({
  name: 'replication-stop',
  summary:
    'Ends replication. With `failover` the standby takes over: `image` latest drops the buffer and is complete when ' +
    'this returns, checkpoint starts a commit job per node, called `job-id` or commit-NODE',
  arguments: z.strictObject({
    nodes: z.array(z.string()).describe('all nodes of the group'),
    failover: z.boolean().default(false).describe('takes over: only on a secondary'),
    image: z
      .enum(['latest', 'checkpoint'])
      .optional()
      .describe('what the disk becomes, needed to take over: see [Roles and images](replication.md#roles-and-images)'),
    'job-id': z.string().optional().describe('id of the commit job, where there is one; `commit-NODE` if left out'),
  }),
  run: async (args, daemon) => {
    const group = daemon.replication.groupOf(args.nodes);
    const jobId = args['job-id'];
    if (args.failover !== true) {
      if (args.image !== undefined) throw new UsageError("Parameter 'image' is only for a failover; add failover true");
      if (jobId !== undefined) throw new UsageError("Parameter 'job-id' is only for a failover; add failover true");
      group.stop(null);
    } else {
      if (args.image === undefined) throw new UsageError("Parameter 'image' is missing");
      await takeOver(group, args.image, jobId, daemon);
    }
  },
});
