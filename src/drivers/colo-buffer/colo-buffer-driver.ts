/** The `colo-buffer` driver: opens the standby's view over a disk that the primary writes. */

import { READ_SHARED } from '../../block/block-edge.ts';
import type { Driver } from '../../block/driver.ts';
import { refuseReconnecting } from '../refuse-reconnecting.ts';
import { ColoBufferNode } from './colo-buffer-node.ts';
import { type ColoBufferOptions, coloBufferOptions } from './options.ts';
import { SpillFile } from './spill-file.ts';

export const coloBufferDriver: Driver<ColoBufferOptions> = {
  name: 'colo-buffer',
  summary: 'shows the last checkpoint of a disk that runs ahead of it: the standby of a replicated disk',
  options: coloBufferOptions,
  async open(options, context) {
    const backing = await context.attach('backing', options.backing, READ_SHARED);
    refuseReconnecting(backing.node, 'the disk of a standby');
    const spill = options.spill === undefined ? null : await SpillFile.open(options.spill, options.granularity);
    return new ColoBufferNode({
      name: context.nodeName,
      readOnly: context.readOnly,
      backing,
      spill,
      policies: options,
      emit: context.emit,
    });
  },
};
