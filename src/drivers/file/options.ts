/** Options of the `file` driver. */

import * as z from 'zod';

export type FileOptions = {
  readonly filename: string;
  readonly aio: 'auto' | 'sync' | 'threads';
  readonly locking: 'auto' | 'on' | 'off';
};

export const fileOptions: z.ZodType<FileOptions> = z.strictObject({
  filename: z.string().min(1, 'is empty; give a path').describe('Path of an image file or block device'),
  aio: z
    .enum(['auto', 'sync', 'threads'])
    .default('auto')
    .describe('Where I/O is done: on the event loop if the image is in memory, or in threads'),
  locking: z.enum(['auto', 'on', 'off']).default('auto').describe('Keep other processes from writing to the image'),
});
