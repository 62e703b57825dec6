/** x-blockdev-change: gives a node another child, or takes one away. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { type Command, defineCommand } from '../command.ts';

export const xBlockdevChange: Command = defineCommand({
  name: 'x-blockdev-change',
  summary: 'Adds `node` to the children of a quorum, or takes its child `child` away; nothing is copied to a new child',
  arguments: z.strictObject({
    parent: z.string().describe('the node whose children change'),
    child: z.string().optional().describe('role of the child to take away, such as `children.1`'),
    node: z.string().optional().describe('the node to add'),
  }),
  errors: [
    '`The node NODE does not support adding a child`, `… removing a child`',
    '`The node NODE already has a parent`',
  ],
  run: async ({ parent: parentName, child, node }, daemon) => {
    const parent = daemon.graph.find(parentName);
    if (parent === undefined) {
      throw new UsageError(`Cannot find device='${parentName}' nor node-name='${parentName}'`);
    }
    if (child !== undefined && node !== undefined)
      throw new UsageError('The parameters child and node are in conflict');
    if (child !== undefined) return daemon.graph.removeChild(parent, child);
    if (node === undefined) throw new UsageError('Either child or node must be specified');
    const added = daemon.graph.find(node);
    if (added === undefined) throw new UsageError(`Node '${node}' not found`);
    return daemon.graph.addChild(parent, added);
  },
});
