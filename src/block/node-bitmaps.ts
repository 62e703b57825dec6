/**
 * NodeBitmaps: the dirty bitmaps of one node, each recording what was written since it was added or cleared.
 *
 * A write is recorded before it begins. Whoever adds or clears a bitmap drains the node meanwhile, or a write in flight
 * could land unrecorded.
 */

import { EBUSY, ENOENT } from '../base/errno.ts';
import { UsageError } from '../base/errors.ts';
import type { BeforeWriteNotifier } from './before-write-notifier.ts';
import type { BlockNode } from './block-node.ts';
import type { BlockRequest } from './block-request.ts';
import { DirtyBitmap } from './dirty-bitmap.ts';

export type NodeBitmap = {
  readonly name: string;
  readonly bitmap: DirtyBitmap;
  /** False while writes are not recorded. */
  enabled: boolean;
  /** Exports that show the bitmap; it cannot be removed or cleared while there are any. */
  users: number;
};

const MAX_BITMAPS = 256;
const MAX_NAME_BYTES = 1023;

export class NodeBitmaps implements BeforeWriteNotifier {
  readonly #node: BlockNode;
  readonly #bitmaps = new Map<string, NodeBitmap>();

  constructor(node: BlockNode) {
    this.#node = node;
  }

  list(): readonly NodeBitmap[] {
    return [...this.#bitmaps.values()];
  }

  find(name: string): NodeBitmap | undefined {
    return this.#bitmaps.get(name);
  }

  /** The bitmap called `name`; throws UsageError in QEMU's words where there is none. */
  get(name: string): NodeBitmap {
    const found = this.#bitmaps.get(name);
    if (found === undefined) throw new UsageError(`Dirty bitmap '${name}' not found`, { errno: ENOENT });
    return found;
  }

  /** Adds an empty bitmap. Throws UsageError where the name is taken or none. */
  add(name: string, granularityBytes: number, enabled = true): NodeBitmap {
    if (name === '') throw new UsageError('Bitmap name cannot be empty');
    if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw new UsageError(`Bitmap name too long: ${name}`);
    if (this.#bitmaps.has(name)) throw new UsageError(`Bitmap already exists: ${name}`);
    if (this.#bitmaps.size >= MAX_BITMAPS) {
      throw new UsageError(`Node '${this.#node.name}' has ${MAX_BITMAPS} bitmaps; remove some`);
    }
    const added = { name, bitmap: new DirtyBitmap(this.#node.lengthBytes, granularityBytes), enabled, users: 0 };
    if (this.#bitmaps.size === 0) this.#node.addBeforeWriteNotifier(this);
    this.#bitmaps.set(name, added);
    return added;
  }

  /** Throws UsageError where there is no such bitmap or an export shows it. */
  remove(name: string): void {
    this.checkUnused(name);
    this.#bitmaps.delete(name);
    if (this.#bitmaps.size === 0) this.#node.removeBeforeWriteNotifier(this);
  }

  /** The bitmap called `name`; throws UsageError where there is none or an export shows it. */
  checkUnused(name: string): NodeBitmap {
    const found = this.get(name);
    if (found.users > 0) {
      throw new UsageError(`Bitmap '${name}' is currently in use by another operation and cannot be used`, {
        errno: EBUSY,
      });
    }
    return found;
  }

  /** The node has become larger: what is new of it is not dirty. */
  grow(lengthBytes: number): void {
    for (const { bitmap } of this.#bitmaps.values()) bitmap.grow(lengthBytes);
  }

  beforeWrite(request: BlockRequest): boolean {
    for (const { enabled, bitmap } of this.#bitmaps.values()) {
      if (enabled) bitmap.add(request.offset, request.length);
    }
    return true;
  }
}
