/** All commands of the monitor, in the order of the documentation. `qmp_capabilities` is each session's own. */

import type { Command } from '../command.ts';

import { makeNegotiation } from '../negotiation.ts';

import { blockCommit } from './block-commit.ts';

import { blockDirtyBitmapAdd } from './block-dirty-bitmap-add.ts';
import { blockDirtyBitmapClear } from './block-dirty-bitmap-clear.ts';
import { blockDirtyBitmapDisable } from './block-dirty-bitmap-disable.ts';
import { blockDirtyBitmapEnable } from './block-dirty-bitmap-enable.ts';
import { blockDirtyBitmapMerge } from './block-dirty-bitmap-merge.ts';
import { blockDirtyBitmapRemove } from './block-dirty-bitmap-remove.ts';
import { blockExportAdd } from './block-export-add.ts';
import { blockExportDel } from './block-export-del.ts';
import { blockJobCancel } from './block-job-cancel.ts';
import { blockJobComplete } from './block-job-complete.ts';
import { blockJobDismiss } from './block-job-dismiss.ts';
import { blockJobFinalize } from './block-job-finalize.ts';
import { blockJobPause } from './block-job-pause.ts';
import { blockJobResume } from './block-job-resume.ts';
import { blockJobSetSpeed } from './block-job-set-speed.ts';
import { blockResize } from './block-resize.ts';
import { blockdevAdd } from './blockdev-add.ts';
import { blockdevBackup } from './blockdev-backup.ts';
import { blockdevDel } from './blockdev-del.ts';
import { blockdevMirror } from './blockdev-mirror.ts';
import { blockdevReopen } from './blockdev-reopen.ts';
import { jobCancel } from './job-cancel.ts';
import { jobComplete } from './job-complete.ts';
import { jobDismiss } from './job-dismiss.ts';
import { jobFinalize } from './job-finalize.ts';
import { jobPause } from './job-pause.ts';
import { jobResume } from './job-resume.ts';
import { nbdServerAdd } from './nbd-server-add.ts';
import { nbdServerRemove } from './nbd-server-remove.ts';
import { nbdServerStart } from './nbd-server-start.ts';
import { nbdServerStop } from './nbd-server-stop.ts';
import { objectAdd } from './object-add.ts';
import { objectDel } from './object-del.ts';
import { qomGet } from './qom-get.ts';
import { qomSet } from './qom-set.ts';
import { queryBlock } from './query-block.ts';
import { queryBlockExports } from './query-block-exports.ts';
import { queryBlockJobs } from './query-block-jobs.ts';
import { queryBlockstats } from './query-blockstats.ts';
import { queryChardev } from './query-chardev.ts';
import { makeQueryCommands } from './query-commands.ts';
import { queryJobs } from './query-jobs.ts';
import { queryNamedBlockNodes } from './query-named-block-nodes.ts';
import { queryProcessStats } from './query-process-stats.ts';
import { makeQueryQmpSchema } from './query-qmp-schema.ts';
import { queryReplication } from './query-replication.ts';
import { queryVersion } from './query-version.ts';
import { queryXenReplicationStatus } from './query-xen-replication-status.ts';
import { queryYank } from './query-yank.ts';
import { quit } from './quit.ts';
import { replicationCheckpointAbort } from './replication-checkpoint-abort.ts';
import { replicationCheckpointDo } from './replication-checkpoint-do.ts';
import { replicationCheckpointPrepare } from './replication-checkpoint-prepare.ts';
import { replicationResume } from './replication-resume.ts';
import { replicationStart } from './replication-start.ts';
import { replicationStop } from './replication-stop.ts';
import { xBlockdevChange } from './x-blockdev-change.ts';
import { xDebugQueryBlockGraph } from './x-debug-query-block-graph.ts';
import { xenColoDoCheckpoint } from './xen-colo-do-checkpoint.ts';
import { xenSetReplication } from './xen-set-replication.ts';
import { yank } from './yank.ts';

const WORKING: readonly Command[] = [
  queryVersion,
  blockdevAdd,
  blockdevDel,
  blockdevReopen,
  xBlockdevChange,
  blockResize,
  queryNamedBlockNodes,
  queryBlock,
  queryBlockstats,
  xDebugQueryBlockGraph,
  objectAdd,
  objectDel,
  blockDirtyBitmapAdd,
  blockDirtyBitmapRemove,
  blockDirtyBitmapClear,
  blockDirtyBitmapEnable,
  blockDirtyBitmapDisable,
  blockDirtyBitmapMerge,
  nbdServerStart,
  nbdServerStop,
  blockExportAdd,
  blockExportDel,
  qomGet,
  qomSet,
  queryBlockExports,
  blockdevMirror,
  blockdevBackup,
  blockCommit,
  nbdServerAdd,
  nbdServerRemove,
  queryJobs,
  jobPause,
  jobResume,
  jobCancel,
  jobComplete,
  jobDismiss,
  jobFinalize,
  queryBlockJobs,
  blockJobPause,
  blockJobResume,
  blockJobSetSpeed,
  blockJobComplete,
  blockJobCancel,
  blockJobFinalize,
  blockJobDismiss,
  replicationStart,
  replicationCheckpointPrepare,
  replicationResume,
  replicationCheckpointDo,
  replicationCheckpointAbort,
  replicationStop,
  queryReplication,
  queryProcessStats,
  xenSetReplication,
  queryChardev,
  xenColoDoCheckpoint,
  queryXenReplicationStatus,
  queryYank,
  yank,
  quit,
];

const negotiation = makeNegotiation(() => {});
const queryCommands = makeQueryCommands([...WORKING.map(command => command.name), 'query-qmp-schema']);

export const commands: readonly Command[] = [
  ...WORKING,
  queryCommands,
  makeQueryQmpSchema([negotiation, ...WORKING, queryCommands]),
];

/** Those and the one that is each session's own. */
export const documentedCommands: readonly Command[] = [negotiation, ...commands];
