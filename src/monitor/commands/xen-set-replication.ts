/** xen-set-replication: QEMU's start and stop of everything that replicates in the process. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { type Command, defineCommand } from '../command.ts';
import { startRole, stopRole } from '../role-replication.ts';

export const xenSetReplication: Command = defineCommand({
  name: 'xen-set-replication',
  summary:
    'Starts or stops replication of all nodes of one role, as one group. Stopping a secondary with `failover` takes ' +
    'over with image checkpoint, by a job for each node called commit-NODE',
  arguments: z.strictObject({
    enable: z.boolean().describe('starts; false stops'),
    primary: z.boolean().describe('the role: of `replication` nodes that write to copies, or of `colo-buffer` nodes'),
    failover: z.boolean().optional().describe('only to stop: a secondary takes over with image checkpoint'),
  }),
  run: async ({ enable, primary, failover }, daemon) => {
    const role = primary ? 'primary' : 'secondary';
    if (!enable) await stopRole(daemon, role, failover ?? false);
    else if (failover === undefined) startRole(daemon, role);
    else throw new UsageError("Parameter 'failover' is only for stopping replication");
  },
});
