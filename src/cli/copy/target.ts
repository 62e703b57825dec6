/** The target of a copy: opened as it is, or created with the size of the source. */

import { stat, unlink } from 'node:fs/promises';
import { ENOENT, errnoOf } from '../../base/errno.ts';
import { WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import { createImage, syncFolderOf } from './created-image.ts';
import { End, type EndOptions, type Place } from './end.ts';

export class Target implements AsyncDisposable {
  readonly end: End;
  /** It was created for this copy, and reads as zeroes until that begins. */
  readonly isNew: boolean;
  readonly #place: Place;
  #hasBegun = false;

  private constructor(place: Place, end: End, isNew: boolean) {
    this.#place = place;
    this.end = end;
    this.isNew = isNew;
  }

  /** Throws, having changed and left nothing, where `place` cannot be written to. */
  static async open(place: Place, lengthBytes: number, options: EndOptions): Promise<Target> {
    const isNew = place.kind === 'file' && (await isMissing(place.path));
    if (isNew) await createImage(place.path, lengthBytes);
    try {
      const end = await End.open(place, 'target', WRITE_EXCLUSIVE, { ...options, forceShare: false });
      return new Target(place, end, isNew);
    } catch (error) {
      if (isNew) await unlink(place.path);
      throw error;
    }
  }

  /** From now on the target stays, whatever becomes of the copy. */
  begin(): void {
    this.#hasBegun = true;
  }

  /** Makes a created file durable as such; its content is the copy's to flush. */
  async syncName(): Promise<void> {
    if (this.isNew && this.#place.kind === 'file') await syncFolderOf(this.#place.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end[Symbol.asyncDispose]();
    if (this.isNew && !this.#hasBegun && this.#place.kind === 'file') await unlink(this.#place.path);
  }
}

/** What else may be wrong with the path is told when it is opened. */
async function isMissing(path: string): Promise<boolean> {
  try {
    await stat(path);
    return false;
  } catch (error) {
    return errnoOf(error) === ENOENT;
  }
}
