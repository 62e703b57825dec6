/** blockdev-mirror: copies a node to another while it is written to, and puts the copy in its place. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import type { BlockGraph } from '../../block/block-graph.ts';
import type { BlockNode } from '../../block/block-node.ts';
import { DIRTY_GRANULARITY_BYTES } from '../../block/dirty-bitmap.ts';
import { nodesBelow } from '../../block/nodes-below.ts';
import { uint32 } from '../../block/qapi-types.ts';
import type { SyncMode } from '../../jobs/initial-ranges.ts';
import { MirrorWork } from '../../jobs/mirror-work.ts';
import { type Command, defineCommand } from '../command.ts';
import { jobArguments, newJobFrom, onErrorOf } from '../job-arguments.ts';
import { requireReplaceable, requireRoot, requireTarget } from '../job-nodes.ts';
import { startJob } from '../start-job.ts';

const MIN_GRANULARITY = 512;
const MAX_GRANULARITY = 64 * 1024 * 1024;
const DEFAULT_BUFFER_BYTES = 16 * 1024 * 1024;

const mirrorArguments = z.strictObject({
  ...jobArguments,
  device: z.string().describe('the node that is copied; no other node may be above it'),
  target: z.string().describe('the node that is written, of the same size; nobody else may write to it'),
  replaces: z
    .string()
    .optional()
    .describe('a child of the quorum `device` whose place the target takes, rather than that of all of `device`'),
  sync: z
    .enum(['top', 'full', 'none', 'incremental', 'bitmap'])
    .describe('full: all of it; top: what its topmost image holds; none: only what is written from now on'),
  granularity: uint32()
    .optional()
    .describe(
      'a write makes blocks of so many bytes be copied again: a power of 2 from 512 to 64 MiB; 65536 if left out',
    ),
  'buf-size': z.int().optional().describe('bytes of all copies in flight; 16 MiB if left out'),
  'on-source-error': onErrorOf('a read that fails'),
  'on-target-error': onErrorOf('a write that fails'),
  'copy-mode': z
    .enum(['background', 'write-blocking'])
    .default('background')
    .describe(
      'write-blocking: a write is acknowledged when it is copied, too. background: it is copied later; a job that has ' +
        'not caught up after copying everything three times over lets writes wait until it has',
    ),
});

type MirrorArguments = z.output<typeof mirrorArguments>;

export const blockdevMirror: Command = defineCommand({
  name: 'blockdev-mirror',
  summary:
    'Starts a job that copies a node to another while it is written to; when it is ready, job-complete lets its users ' +
    'go over to the copy, and block-job-cancel keeps the copy',
  arguments: mirrorArguments,
  run: async (args, daemon) => {
    const { graph, jobs, clock } = daemon;
    const source = graph.node(args.device, args.device);
    const target = graph.node(args.target, args.target);
    const sync = checkedSync(args.sync);
    const granularityBytes = checkedGranularity(args.granularity, source, target);
    const bufferBytes = checkedBuffer(args['buf-size']);
    if (source === target) throw new UsageError("Can't mirror node into itself");
    requireRoot(source);
    requireReplaceable(source);
    requireTarget(target);
    const replaces = checkedReplaced(args, source, graph);
    const job = { ...newJobFrom(args, graph), type: 'mirror', node: source };
    await startJob(
      jobs,
      job,
      () =>
        new MirrorWork({
          graph,
          clock,
          holder: `job '${job.id}'`,
          source,
          target,
          replaces,
          checkReplacement: () => requireReplaceable(source),
          sync,
          copyMode: args['copy-mode'],
          granularityBytes,
          bufferBytes,
          onSourceError: args['on-source-error'],
          onTargetError: args['on-target-error'],
        }),
    );
  },
});

function checkedSync(sync: MirrorArguments['sync']): SyncMode {
  if (sync === 'incremental' || sync === 'bitmap') throw new UsageError(`Sync mode '${sync}' not supported`);
  return sync;
}

function checkedGranularity(given: number | undefined, source: BlockNode, target: BlockNode): number {
  if (given === undefined || given === 0) {
    return Math.max(DIRTY_GRANULARITY_BYTES, source.limits.requestAlignment, target.limits.requestAlignment);
  }
  if (given < MIN_GRANULARITY || given > MAX_GRANULARITY) {
    throw new UsageError("Parameter 'granularity' expects a value in range [512B, 64MB]");
  }
  if (!Number.isInteger(Math.log2(given))) throw new UsageError("Parameter 'granularity' expects a power of 2");
  return given;
}

function checkedBuffer(given: number | undefined): number {
  if (given !== undefined && given < 0) throw new UsageError("Invalid parameter 'buf-size'");
  return given || DEFAULT_BUFFER_BYTES;
}

/** A node below the source may be replaced where all that is above it reads the same of it as of the source. */
function checkedReplaced({ replaces }: MirrorArguments, source: BlockNode, graph: BlockGraph): BlockNode {
  if (replaces === undefined) return source;
  const replaced = graph.find(replaces);
  if (replaced === undefined) throw new UsageError(`Failed to find node with node-name='${replaces}'`);
  const isCopy = [...replaced.parents].every(({ parent }) => parent === source && parent.driver === 'quorum');
  if (replaced !== source && !(isCopy && nodesBelow(source).has(replaced))) {
    throw new UsageError(
      `Cannot replace '${replaces}' by a node mirrored from '${source.name}', because it cannot be guaranteed that ` +
        'doing so would not lead to an abrupt change of visible data; only a child of a quorum can be',
    );
  }
  return replaced;
}
