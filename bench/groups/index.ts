/** The groups that `npm run bench` knows, in the order it runs them. */

import type { BenchmarkGroup } from '../benchmark-group.ts';
import { bufferGroup } from './buffer.ts';
import { checkpointGroup } from './checkpoint.ts';
import { latencyGroup } from './latency.ts';
import { replicationGroup } from './replication.ts';
import { serveGroup } from './serve.ts';
import { slowDiskGroup } from './slow-disk.ts';

export const groups: readonly BenchmarkGroup[] = [
  serveGroup,
  replicationGroup,
  checkpointGroup,
  bufferGroup,
  latencyGroup,
  slowDiskGroup,
];
