/** The `file` driver: a disk image in a file or on a block device. */

import type { Driver } from '../../block/driver.ts';
import { FileNode } from './file-node.ts';
import { type FileOptions, fileOptions } from './options.ts';

export const fileDriver: Driver<FileOptions> = {
  name: 'file',
  aliases: ['host_device'],
  sharedOptions: ['force-share', 'cache'],
  summary: 'A disk image in a file or on a block device',
  options: fileOptions,
  open: FileNode.open,
};
