/** Folders for a test's files that go when the test ends. */

import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** On a disk, or in memory (tmpfs). Both paths are short: a unix socket's path has at most 107 bytes. */
export type FolderPlace = 'disk' | 'memory';

const PARENT: Readonly<Record<FolderPlace, string>> = { disk: '/var/tmp', memory: '/dev/shm' };

export class TemporaryFolder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(place: FolderPlace = 'disk'): Promise<TemporaryFolder> {
    return new TemporaryFolder(await mkdtemp(join(PARENT[place], 'colobus-test-')));
  }

  /** The path of a file in it. */
  file(name: string): string {
    return join(this.path, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}
