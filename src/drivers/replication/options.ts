/**
 * Options of the `replication` driver, in two forms: Colobus's own, a primary's disk with all its copies (`children`),
 * and QEMU's, one side of the replication below a `quorum` (`mode`, `file`, `top-id`).
 */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import type { NodeReference } from '../../block/driver.ts';
import { nodeReference } from '../node-reference.ts';

export type OnRemoteError = 'degrade' | 'report';

export type ReplicationOptions = {
  readonly children?: readonly NodeReference[] | undefined;
  readonly 'on-remote-error'?: OnRemoteError | undefined;
  readonly mode?: 'primary' | 'secondary' | undefined;
  readonly file?: NodeReference | undefined;
  readonly 'top-id'?: string | undefined;
};

/** What the options ask for. */
export type ReplicationForm =
  | { readonly kind: 'mirror'; readonly children: readonly NodeReference[]; readonly onRemoteError: OnRemoteError }
  | { readonly kind: 'forward'; readonly file: NodeReference }
  | { readonly kind: 'standby'; readonly file: NodeReference; readonly topId: string };

export const replicationOptions: z.ZodType<ReplicationOptions> = z.strictObject({
  children: z
    .array(nodeReference)
    .min(2, 'a replication node has a local child and at least one remote child')
    .max(16, 'a replication node has at most 16 children')
    .optional()
    .describe('The copies: the first is the local disk and serves all reads, the others are on other hosts'),
  'on-remote-error': z
    .enum(['degrade', 'report'])
    .optional()
    .describe(
      'After a failed forward: acknowledge what is stored locally and recorded dirty (degrade), or fail writes',
    ),
  mode: z
    .enum(['primary', 'secondary'])
    .optional()
    .describe("QEMU's form: primary forwards writes, as a child of a quorum; secondary is the standby's view"),
  file: nodeReference.optional().describe("QEMU's form: the link to the secondary, or the standby's colo-buffer"),
  'top-id': z.string().optional().describe('For mode=secondary: the node at the top, which the standby uses'),
});

/** Which form `options` have; throws UsageError, where QEMU has words for it in those, where they have none. */
export function formOf(options: ReplicationOptions): ReplicationForm {
  const { children, 'on-remote-error': onRemoteError, mode, file, 'top-id': topId } = options;
  if (mode === undefined && file === undefined && topId === undefined) {
    if (children === undefined) throw missing('children');
    return { kind: 'mirror', children, onRemoteError: onRemoteError ?? 'degrade' };
  }
  if (children !== undefined) throw unexpected('children');
  if (onRemoteError !== undefined) throw unexpected('on-remote-error');
  if (file === undefined) throw missing('file');
  if (mode === undefined) throw missing('mode');
  if (mode === 'primary') {
    if (topId !== undefined) throw new UsageError('The primary side does not support option top-id');
    return { kind: 'forward', file };
  }
  if (topId === undefined) throw new UsageError('Missing the option top-id');
  return { kind: 'standby', file, topId };
}

function missing(option: string): UsageError {
  return new UsageError(`Parameter '${option}' is missing`);
}

function unexpected(option: string): UsageError {
  return new UsageError(`Parameter '${option}' is unexpected: with mode, the disks are the children of a quorum`);
}
