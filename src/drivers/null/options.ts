/** Options of the `null` driver. */

import * as z from 'zod';
import { sizeOption } from '../size-option.ts';

const DEFAULT_SIZE = 1024 ** 3;

export type NullOptions = {
  readonly size: number;
  /** For QEMU's scripts: reads are zeroes either way, since other memory is nobody's business. */
  readonly 'read-zeroes': boolean;
  /** How long each request takes at least, rounded up to milliseconds. */
  readonly 'latency-ns': number;
};

export const nullOptions: z.ZodType<NullOptions> = z.strictObject({
  size: sizeOption.default(DEFAULT_SIZE).describe('Size of the disk'),
  'latency-ns': z.int().min(0).default(0).describe('How long each request takes at least'),
  'read-zeroes': z.boolean().default(true).describe("Accepted for QEMU's scripts; reads are zeroes either way"),
});
