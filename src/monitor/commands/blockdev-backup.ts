/** blockdev-backup: copies a node as it is now, while it is written to. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { BackupWork } from '../../jobs/backup-work.ts';
import type { SyncMode } from '../../jobs/initial-ranges.ts';
import { type Command, defineCommand } from '../command.ts';
import { jobArguments, newJobFrom, onErrorOf } from '../job-arguments.ts';
import { requireSteadySource, requireTarget } from '../job-nodes.ts';
import { startJob } from '../start-job.ts';

const SYNC_MODES = ['top', 'full', 'none', 'incremental', 'bitmap'] as const;

export const blockdevBackup: Command = defineCommand({
  name: 'blockdev-backup',
  summary:
    'Starts a job that copies a node as it is when the command returns; writes wait until what they overwrite is ' +
    'copied, and go on where it cannot be, which ends the job',
  arguments: z.strictObject({
    ...jobArguments,
    device: z.string().describe('the node that is copied'),
    target: z.string().describe('the node that is written, of the same size; nobody else may write to it'),
    sync: z
      .enum(SYNC_MODES)
      .describe(
        'full: all of it; top: what its topmost image holds; none: only what is overwritten, until the job is cancelled',
      ),
    compress: z.boolean().optional().describe('refused where it is true'),
    'on-source-error': onErrorOf('a read that fails and that no write waits for'),
    'on-target-error': onErrorOf('a write to the target that fails and that no write of the node waits for'),
  }),
  run: async (args, daemon) => {
    const { graph, jobs, clock } = daemon;
    const source = graph.node(args.device, args.device);
    const target = graph.node(args.target, args.target);
    const sync = checkedSync(args.sync);
    if (source === target) throw new UsageError('Source and target cannot be the same');
    if (source.lengthBytes !== target.lengthBytes) {
      throw new UsageError('Source and target image have different sizes');
    }
    if (args.compress === true) throw new UsageError('Compression is not supported for this drive ');
    requireSteadySource(source);
    requireTarget(target);
    const job = { ...newJobFrom(args, graph), type: 'backup', node: source };
    await startJob(
      jobs,
      job,
      () =>
        new BackupWork({
          clock,
          holder: `job '${job.id}'`,
          source,
          target,
          sync,
          onSourceError: args['on-source-error'],
          onTargetError: args['on-target-error'],
        }),
    );
  },
});

function checkedSync(sync: (typeof SYNC_MODES)[number]): SyncMode {
  if (sync === 'incremental' || sync === 'bitmap') {
    throw new UsageError(`must provide a valid bitmap name for '${sync}' sync mode`);
  }
  return sync;
}
