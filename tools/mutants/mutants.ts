/** All mutants, in the order of the rules. */

import { blockMutants } from './block-mutants.ts';
import { bufferMutants } from './buffer-mutants.ts';
import { checkpointMutants } from './checkpoint-mutants.ts';
import { commandLineMutants } from './command-line-mutants.ts';
import { copyMutants } from './copy-mutants.ts';
import { guestMutants } from './guest-mutants.ts';
import { jobMutants } from './job-mutants.ts';
import { monitorMutants } from './monitor-mutants.ts';
import type { Mutant } from './mutant.ts';
import { nbdMutants } from './nbd-mutants.ts';
import { qemuFormMutants } from './qemu-form-mutants.ts';
import { quorumMutants } from './quorum-mutants.ts';
import { replicationMutants } from './replication-mutants.ts';
import { throttleMutants } from './throttle-mutants.ts';

export const mutants: readonly Mutant[] = [
  ...blockMutants,
  ...bufferMutants,
  ...replicationMutants,
  ...qemuFormMutants,
  ...checkpointMutants,
  ...nbdMutants,
  ...monitorMutants,
  ...copyMutants,
  ...jobMutants,
  ...quorumMutants,
  ...throttleMutants,
  ...commandLineMutants,
  ...guestMutants,
];
