/** The `replication` driver: opens a primary's disk over all its copies, or one side of QEMU's form. */

import type { BlockNode } from '../../block/block-node.ts';
import type { Driver } from '../../block/driver.ts';
import { ForwardingNode } from './forwarding-node.ts';
import { openMirror } from './open-mirror.ts';
import { formOf, type ReplicationOptions, replicationOptions } from './options.ts';
import { StandbyNode } from './standby-node.ts';

export const replicationDriver: Driver<ReplicationOptions> = {
  name: 'replication',
  summary: "a replicated disk: on the primary, all its copies or QEMU's forwarding child; the standby's view else",
  options: replicationOptions,
  async open(options, context): Promise<BlockNode> {
    const form = formOf(options);
    switch (form.kind) {
      case 'mirror':
        return await openMirror(form.children, form.onRemoteError, context);
      case 'forward':
        return await ForwardingNode.open(form.file, context);
      case 'standby':
        return await StandbyNode.open(form.file, form.topId, context);
    }
  },
};
