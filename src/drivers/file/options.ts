/** Options of the `file` driver. */

import * as z from 'zod';

export type FileOptions = {
  readonly filename: string;
  readonly aio: 'auto' | 'sync' | 'threads';
  readonly locking: 'auto' | 'on' | 'off';
  /** Read while others write; the node must be read-only. */
  readonly 'force-share': boolean;
};

export const fileOptions: z.ZodType<FileOptions> = z.strictObject({
  filename: z.string().min(1, 'is empty; give a path').describe('Path of an image file or block device'),
  aio: z
    .enum(['auto', 'sync', 'threads'])
    .default('auto')
    .describe('Where I/O is done: auto on the event loop where it will not wait for a disk, else in threads'),
  locking: z.enum(['auto', 'on', 'off']).default('auto').describe('Keep other processes from writing to the image'),
  'force-share': z.boolean().default(false).describe('Read the image even while another process writes to it'),
});
