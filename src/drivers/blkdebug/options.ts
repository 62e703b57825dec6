/** Options of the `blkdebug` driver. */

import * as z from 'zod';
import { EIO } from '../../base/errno.ts';
import type { NodeReference } from '../../block/driver.ts';
import { nonNegative } from '../../block/qapi-types.ts';
import { nodeReference } from '../node-reference.ts';

/** QEMU's events that a node without an image format has; `none` is any request. */
const EVENTS = ['none', 'read_aio', 'write_aio', 'pwritev', 'pwritev_zero', 'flush_to_os', 'flush_to_disk'] as const;
const IO_TYPES = ['read', 'write', 'write-zeroes', 'discard', 'flush', 'block-status'] as const;

export type DebugEvent = (typeof EVENTS)[number];
export type IoType = (typeof IO_TYPES)[number];

export type InjectError = {
  readonly event: DebugEvent;
  readonly iotype?: IoType | undefined;
  /** Linux errno of the failure; 0 lets the request succeed, for a delay alone. */
  readonly errno: number;
  /** Only requests that contain this sector of 512 bytes. */
  readonly sector?: number | undefined;
  /** The rule ends with the first request it hits. */
  readonly once: boolean;
  /** Fails before the submit returns, without any delay. */
  readonly immediately: boolean;
  readonly 'delay-ms'?: number | undefined;
  readonly torn?: number | undefined;
};

export type BlkdebugOptions = {
  readonly image: NodeReference;
  readonly 'inject-error': readonly InjectError[];
  /** Delay of every request that no rule gives another one. */
  readonly 'delay-ms': number;
  /** Bytes of a failing write that reach the image all the same, where its rule does not say. */
  readonly torn: number;
};

const injectError = z.strictObject({
  event: z.enum(EVENTS).describe('the requests it is for; `none` is any'),
  iotype: z.enum(IO_TYPES).optional().describe('only requests of this kind'),
  errno: z.int().min(0).max(4095).default(EIO).describe('number of the error, as Linux has it; 0 only delays'),
  sector: z.int().min(0).optional().describe('only requests that contain this sector of 512 bytes'),
  once: z.boolean().default(false).describe('the rule ends with the first request it hits'),
  immediately: z.boolean().default(false).describe('fails before anything else happens, without a delay'),
  'delay-ms': nonNegative().optional().describe('milliseconds before the request goes on'),
  torn: z.int().min(0).optional().describe('bytes of a failing write that reach the image all the same'),
});

export const blkdebugOptions: z.ZodType<BlkdebugOptions> = z.strictObject({
  image: nodeReference.describe('The node that requests are passed on to'),
  'inject-error': z.array(injectError).default([]).describe('Rules; the first that hits a request counts'),
  'delay-ms': nonNegative().default(0).describe('Delay of requests no rule gives another one'),
  torn: z.int().min(0).default(0).describe('Bytes of a failing write that reach the image'),
});
