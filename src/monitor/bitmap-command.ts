/** What the commands about one dirty bitmap have in common: how it is named, and that nothing is written meanwhile. */

import * as z from 'zod';
import { whileDrained } from '../block/drain.ts';
import type { NodeBitmap } from '../block/node-bitmaps.ts';
import { findNode } from './find-node.ts';
import type { MonitoredDaemon } from './monitored-daemon.ts';

export type BitmapArguments = { readonly node: string; readonly name: string };

export const BITMAP_ARGUMENTS: z.ZodType<BitmapArguments> = z.strictObject({
  node: z.string().describe('the node'),
  name: z.string().describe('its bitmap'),
});

export const BITMAP_ERRORS: readonly string[] = [
  "`Bitmap 'NAME' is currently in use by another operation and cannot be used`: it is exported",
];

/** Calls `change` while nothing is written to the node. Throws UsageError where there is no such bitmap or it is exported. */
export async function changeBitmap(
  { node: nodeName, name }: BitmapArguments,
  { graph, clock }: MonitoredDaemon,
  change: (bitmap: NodeBitmap) => void,
): Promise<void> {
  const node = findNode(graph, nodeName);
  await whileDrained(node, clock, () => change(node.bitmaps.checkUnused(name)));
}
