/** Options of the `file` driver. */

import * as z from 'zod';

export type FileOptions = {
  readonly filename: string;
  readonly aio: 'auto' | 'sync' | 'threads';
  readonly locking: 'auto' | 'on' | 'off';
  /** Read while others write; the node must be read-only. */
  readonly 'force-share': boolean;
  /** Accepted, and the page cache is used all the same. */
  readonly cache?: { readonly direct?: boolean | undefined } | undefined;
};

type Aio = FileOptions['aio'] | 'native' | 'io_uring';

export const fileOptions: z.ZodType<FileOptions> = z
  .strictObject({
    filename: z.string().min(1, 'is empty; give a path').describe('Path of an image file or block device'),
    aio: z
      .enum(['auto', 'sync', 'threads', 'native', 'io_uring'])
      .default('auto')
      .describe('Where I/O is done: auto on the event loop where it will not wait for a disk, else in threads'),
    locking: z.enum(['auto', 'on', 'off']).default('auto').describe('Keep other processes from writing to the image'),
    'force-share': z.boolean().default(false).describe('Read the image even while another process writes to it'),
    cache: z
      .looseObject({
        direct: z.boolean().optional().describe('needed for aio=native; the page cache is used all the same'),
      })
      .optional()
      .describe("accepted for QEMU's scripts"),
    'aio-max-batch': z.int().min(0).optional().describe("Accepted for QEMU's scripts; nothing is batched"),
    'drop-cache': z.boolean().optional().describe("Accepted for QEMU's scripts; it is about migration"),
    'x-check-cache-dropped': z.literal(false).optional().describe('must be false'),
    'pr-manager': z.string().optional().describe('refused: there are no persistent reservation managers'),
  })
  .superRefine(({ aio, cache, 'pr-manager': manager }, context) => {
    if (manager !== undefined) {
      const message = `No persistent reservation manager with id '${manager}'; leave it out`;
      context.addIssue({ code: 'custom', path: ['pr-manager'], message });
    }
    if (aio !== 'native' || cache?.direct === true) return;
    context.addIssue({
      code: 'custom',
      path: ['aio'],
      message: 'aio=native was specified, but it requires cache.direct=on, which was not specified.',
    });
  })
  .transform(({ aio, filename, locking, 'force-share': forceShare, cache }) => ({
    filename,
    aio: kindOf(aio),
    locking,
    'force-share': forceShare,
    ...(cache === undefined ? {} : { cache }),
  }));

/** QEMU's fast ways are what `auto` does. */
function kindOf(aio: Aio): FileOptions['aio'] {
  return aio === 'native' || aio === 'io_uring' ? 'auto' : aio;
}
