/** MonitoredDaemon: what the commands of a monitor act on. */

import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { BlockGraph } from '../block/block-graph.ts';
import type { JobList } from '../jobs/job-list.ts';
import type { BlockExports } from './block-exports.ts';
import type { CharacterDevices } from './character-devices.ts';
import type { ProcessStats } from './process-stats.ts';
import type { QmpEvent, QmpVersion } from './protocol/qmp-message.ts';
import type { ReplicationGroups } from './replication-groups.ts';
import type { UserObjects } from './user-objects.ts';

export interface MonitoredDaemon {
  readonly version: QmpVersion;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly graph: BlockGraph;
  readonly objects: UserObjects;
  readonly exports: BlockExports;
  readonly chardevs: CharacterDevices;
  readonly jobs: JobList;
  readonly replication: ReplicationGroups;
  readonly processStats: ProcessStats;
  /** Sends an event to every negotiated client of every monitor. */
  emit(event: QmpEvent): void;
  /** Begins an orderly shutdown; returns at once. */
  quit(): void;
}
