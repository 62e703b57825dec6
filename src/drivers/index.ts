/** `colobus/drivers`: all drivers, for a BlockGraph. */

import type { Driver } from '../block/driver.ts';
import { blkdebugDriver } from './blkdebug/blkdebug-node.ts';
import { coloBufferDriver } from './colo-buffer/colo-buffer-driver.ts';
import { fileDriver } from './file/file-driver.ts';
import { memoryDriver } from './memory/memory-node.ts';
import { nbdDriver } from './nbd/nbd-node.ts';
import { nullDriver } from './null/null-node.ts';
import { overlayDriver } from './overlay/overlay-node.ts';
import { quorumDriver } from './quorum/quorum-driver.ts';
import { rawDriver } from './raw/raw-node.ts';
import { replicationDriver } from './replication/replication-driver.ts';
import { throttleDriver } from './throttle/throttle-node.ts';

export const drivers: readonly Driver[] = [
  fileDriver,
  memoryDriver,
  nullDriver,
  nbdDriver,
  rawDriver,
  overlayDriver,
  replicationDriver,
  quorumDriver,
  throttleDriver,
  coloBufferDriver,
  blkdebugDriver,
];
