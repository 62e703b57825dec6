/** block-commit: merges an overlay into its backing while it is written to. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import type { BlockGraph } from '../../block/block-graph.ts';
import type { BlockNode } from '../../block/block-node.ts';
import { nodesBelow } from '../../block/nodes-below.ts';
import { ColoBufferNode } from '../../drivers/colo-buffer/colo-buffer-node.ts';
import { CHUNK_BYTES } from '../../drivers/overlay/chunks.ts';
import { OverlayNode } from '../../drivers/overlay/overlay-node.ts';
import { MirrorWork } from '../../jobs/mirror-work.ts';
import { OverlayCommit, openBacking } from '../../jobs/overlay-commit.ts';
import { type Command, defineCommand } from '../command.ts';
import { jobArguments, newJobFrom, onErrorOf } from '../job-arguments.ts';
import { requireRoot, requireTarget } from '../job-nodes.ts';
import { QmpError } from '../protocol/qmp-error.ts';
import { startJob } from '../start-job.ts';

const BUFFER_BYTES = 16 * 1024 * 1024;

const commitArguments = z.strictObject({
  ...jobArguments,
  device: z.string().describe('the overlay'),
  'base-node': z.string().optional().describe('the image that is written to: the backing of `device`, and no other'),
  base: z.string().optional().describe('the same by its file name'),
  'top-node': z.string().optional().describe('the image that is merged: `device` itself, and no other'),
  top: z.string().optional().describe('the same by its file name'),
  'backing-file': z.string().optional().describe('refused: no image here names its backing'),
  'on-error': onErrorOf('a read or write that fails'),
});

type CommitArguments = z.output<typeof commitArguments>;

export const blockCommit: Command = defineCommand({
  name: 'block-commit',
  summary:
    'Starts a job that merges an overlay into its backing while it is written to; when it is ready, job-complete lets ' +
    'its users go over to the backing. The buffer of a standby is committed by replication-stop',
  arguments: commitArguments,
  run: async (args, daemon) => {
    const { graph, jobs, clock } = daemon;
    const overlay = checkedOverlay(args, graph);
    const base = overlay.backing.node;
    requireTarget(base, overlay);
    const job = { ...newJobFrom(args, graph), type: 'commit', node: overlay, finishAtEnd: true };
    jobs.checkId(job.id);
    const closeBacking = await openBacking(overlay);
    const makeMirror = (): MirrorWork =>
      new MirrorWork({
        graph,
        clock,
        holder: `job '${job.id}'`,
        source: overlay,
        target: base,
        replaces: overlay,
        checkReplacement: () => {},
        sync: 'top',
        copyMode: 'background',
        granularityBytes: Math.max(CHUNK_BYTES, base.limits.requestAlignment),
        bufferBytes: BUFFER_BYTES,
        onSourceError: args['on-error'],
        onTargetError: args['on-error'],
      });
    try {
      await startJob(jobs, job, () => new OverlayCommit(makeMirror(), closeBacking));
    } catch (error) {
      await closeBacking();
      throw error;
    }
  },
});

/** The overlay that is to be committed. Throws in QEMU's classes and words. */
function checkedOverlay(args: CommitArguments, graph: BlockGraph): OverlayNode {
  const device = graph.find(args.device);
  if (device === undefined) throw new QmpError(`Device '${args.device}' not found`, 'DeviceNotFound');
  requireRoot(device);
  checkTop(args, device, graph);
  const base = findBase(args, device, graph);
  if (base === device) throw new UsageError('cannot commit an image into itself');
  if (device instanceof ColoBufferNode) {
    throw new UsageError(
      `Node '${device.name}' is a standby's buffer; replication-stop with failover and image checkpoint commits it`,
    );
  }
  if (!(device instanceof OverlayNode)) {
    throw new UsageError(
      `cannot commit an image into itself: node '${device.name}' has no backing image; an overlay has one`,
    );
  }
  const backing = device.backing.node;
  if (base !== null && base !== backing) {
    throw new UsageError(
      `Node '${device.name}' can be committed into its backing '${backing.name}' alone, not into '${base.name}' below that`,
    );
  }
  if (args['backing-file'] !== undefined) {
    throw new UsageError(`'backing-file' specified, but 'top' is the active layer`);
  }
  return device;
}

/** Only the topmost image is merged. */
function checkTop(args: CommitArguments, device: BlockNode, graph: BlockGraph): void {
  const name = args['top-node'];
  if (name !== undefined && args.top !== undefined) {
    throw new UsageError("'top-node' and 'top' are mutually exclusive");
  }
  if (args.top !== undefined && args.top !== device.filename) {
    throw new UsageError(`Top image file ${args.top} not found`);
  }
  if (name === undefined) return;
  const top = graph.node(name);
  if (!nodesBelow(device).has(top)) throw new UsageError(`'${name}' is not in this backing file chain`);
  if (top === device) return;
  if (!top.children.has('backing')) throw new UsageError('cannot commit an image into itself');
  throw new UsageError(
    `Node '${name}' lies below '${device.name}', and only the topmost image of a chain is committed; leave out top-node`,
  );
}

/** The node that `base-node` or `base` names, or null where neither is given. */
function findBase(args: CommitArguments, device: BlockNode, graph: BlockGraph): BlockNode | null {
  const name = args['base-node'];
  if (name !== undefined && args.base !== undefined) {
    throw new UsageError("'base-node' and 'base' are mutually exclusive");
  }
  const chain = nodesBelow(device);
  if (name !== undefined) {
    const base = graph.node(name);
    if (!chain.has(base)) throw new UsageError(`'${name}' is not in this backing file chain`);
    return base;
  }
  if (args.base === undefined) return null;
  const named = [...chain].find(node => node !== device && node.filename === args.base);
  if (named === undefined) throw new UsageError(`Can't find '${args.base}' in the backing chain`);
  return named;
}
