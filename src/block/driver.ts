/**
 * Driver: how nodes of one kind are described and opened.
 *
 * A driver declares its options once, as a zod schema; QMP validation, the command line and help derive from it.
 */

import type * as z from 'zod';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { BlockEdge, EdgePermissions } from './block-edge.ts';
import type { BlockEventSink } from './block-event.ts';
import type { BlockNode } from './block-node.ts';

/** A node-name, or the definition of a node that lives and dies with its parent. */
export type NodeReference = string | NodeDefinition;

/** Options as blockdev-add takes them. */
export type NodeDefinition = {
  readonly driver: string;
  readonly 'node-name'?: string;
  readonly [option: string]: unknown;
};

export type Driver<Options = unknown> = {
  /** QEMU's name of the driver. */
  readonly name: string;
  readonly aliases?: readonly string[];
  /** One line for help. */
  readonly summary: string;
  /** The driver's own options, without the ones every node has. Unknown keys are refused. */
  readonly options: z.ZodType<Options>;
  /** Options of every node that the driver sees among its own. */
  readonly sharedOptions?: readonly string[];
  /** A node over a read-only child is read-only too, where nothing says that it must not be. */
  readonly isReadOnlyWithChild?: boolean;
  /** Opens a node; throws, leaving nothing behind, where that fails. */
  open(options: Options, context: OpenContext): Promise<BlockNode>;
};

/** What a driver is given to open a node with. */
export interface OpenContext {
  readonly nodeName: string;
  readonly readOnly: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly emit: BlockEventSink;
  /** What the daemon keeps under `id` for drivers, such as TLS credentials; undefined where there is nothing. */
  findObject(id: string): unknown;
  /**
   * Opens or finds a child and links it under `role`. The graph undoes it where the open fails. Pass the edges to the
   * node's constructor.
   */
  attach(role: string, reference: NodeReference, permissions: EdgePermissions): Promise<BlockEdge>;
}
