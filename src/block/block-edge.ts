/**
 * BlockEdge: the link from a parent to a child node, with permissions and the guard.
 *
 * The guard checks every request for bounds, alignment, size, permission and read-only before the driver behind it
 * sees it, so that drivers may assume all of that.
 */

import { EBUSY, EINVAL, ENOSPC, ENOTSUP, EPERM, EROFS } from '../base/errno.ts';
import { UsageError } from '../base/errors.ts';
import type { BlockBackend } from './block-backend.ts';
import type { BlockNode } from './block-node.ts';
import type { BlockRequest } from './block-request.ts';

export type EdgePermissions = {
  /** This parent may change the child's data. */
  readonly write: boolean;
  /** This parent bears that others change the child's data. */
  readonly shareWrite: boolean;
  /** This parent changes the child's size: nobody else may use it, nor come to use it meanwhile. */
  readonly resize?: boolean;
};

export const READ_STABLE: EdgePermissions = { write: false, shareWrite: false };
export const READ_SHARED: EdgePermissions = { write: false, shareWrite: true };
export const WRITE_EXCLUSIVE: EdgePermissions = { write: true, shareWrite: false };
export const RESIZE: EdgePermissions = { ...WRITE_EXCLUSIVE, resize: true };

export class BlockEdge {
  readonly role: string;
  /** The node above, once it is made; null where the holder is a root. */
  parent: BlockNode | null = null;
  /** The root above: an export or a job. */
  readonly backend: BlockBackend | null;
  readonly #holder: string;
  #node: BlockNode;
  #permissions: EdgePermissions;

  /** Links `holder` to `node`. Throws UsageError where the permissions conflict with those of another parent. */
  constructor(
    holder: string,
    role: string,
    node: BlockNode,
    permissions: EdgePermissions,
    backend: BlockBackend | null = null,
  ) {
    this.#holder = holder;
    this.backend = backend;
    this.role = role;
    this.#node = node;
    this.#permissions = permissions;
    this.checkPermissions(permissions);
    node.parents.add(this);
  }

  /** Who holds the edge, for people: `node 'top'` or `export 'disk'`, or what somebody who is gone has left behind. */
  get holder(): string {
    return this.isLeftBehind ? `requests of ${this.#holder} that have not returned` : this.#holder;
  }

  /** The root above is closed, and is here for the sake of requests that have not returned. */
  get isLeftBehind(): boolean {
    return this.backend?.isLeftBehind ?? false;
  }

  /** The child. */
  get node(): BlockNode {
    return this.#node;
  }

  get permissions(): EdgePermissions {
    return this.#permissions;
  }

  /** Changes what this parent may do. Throws UsageError, and changes nothing, where another parent is in the way. */
  setPermissions(permissions: EdgePermissions): void {
    this.checkPermissions(permissions);
    this.#permissions = permissions;
  }

  /** Throws UsageError where `permissions` conflict with those of another parent of `node`, the child unless given. */
  checkPermissions(permissions: EdgePermissions, node: BlockNode = this.#node): void {
    if (permissions.write && node.readOnly) {
      throw new UsageError(`Node '${node.name}' is read-only; ${this.holder} cannot write to it`, { errno: EROFS });
    }
    for (const other of node.parents) {
      if (other === this) continue;
      if (other.permissions.resize) throw beingResized(node);
      if (permissions.resize) {
        throw new UsageError(
          `Permission conflict on node '${node.name}': permissions 'resize' are unshared by ${other.holder}; remove that first`,
        );
      }
      if (permissions.write && !other.permissions.shareWrite) {
        throw new UsageError(
          `Node '${node.name}' is in use by ${other.holder}, which does not share writing; ` +
            `${this.holder} cannot write to it`,
        );
      }
      if (other.permissions.write && !permissions.shareWrite) {
        throw new UsageError(`Node '${node.name}' is written by ${other.holder}; ${this.holder} needs it for itself`);
      }
    }
  }

  /**
   * Leads to `node` from now on. Whoever calls it has drained what is above. Throws UsageError, and changes nothing,
   * where `node` cannot stand in for the present child.
   */
  retarget(node: BlockNode): void {
    this.checkRetarget(node);
    this.#node.parents.delete(this);
    this.#node = node;
    node.parents.add(this);
  }

  /** Throws UsageError where `node` cannot stand in for the child: what is above relies on its size and limits. */
  checkRetarget(node: BlockNode): void {
    const { lengthBytes, limits } = this.#node;
    if (this.#permissions.resize) throw beingResized(this.#node);
    if (node.lengthBytes !== lengthBytes) {
      throw new UsageError(
        `Node '${node.name}' has ${node.lengthBytes} bytes and node '${this.#node.name}', which ${this.holder} uses, ` +
          `has ${lengthBytes}; give one of the same size`,
      );
    }
    const isAligned = limits.requestAlignment % node.limits.requestAlignment === 0;
    if (!isAligned || node.limits.maxTransferBytes < limits.maxTransferBytes) {
      throw new UsageError(
        `Node '${node.name}' takes requests of ${node.limits.requestAlignment} to ${node.limits.maxTransferBytes} bytes, ` +
          `and ${this.holder} may send others; export it under another name`,
      );
    }
    this.parent?.checkRelink(this);
    this.checkPermissions(this.#permissions, node);
  }

  detach(): void {
    this.#node.parents.delete(this);
  }

  /** Sends `request` to the child, or completes it at once with the errno of the rule it breaks. */
  submit(request: BlockRequest): void {
    request.markSubmitted();
    const errno = this.#check(request);
    const { policy } = this.#node;
    if (errno !== 0) request.complete(errno);
    else if (request.length === 0 && request.kind !== 'flush') request.complete(0);
    else if (policy === null || !policy.take(request)) this.#node.receive(request);
  }

  #check(request: BlockRequest): number {
    const node = this.#node;
    const changes = request.changesData;
    if (changes && (!this.#permissions.write || node.readOnly)) return EPERM;
    if (request.kind === 'flush') return 0;
    if (request.offset < 0 || request.length < 0 || request.length > node.lengthBytes - request.offset) {
      return changes && request.kind !== 'discard' ? ENOSPC : EINVAL;
    }
    const { requestAlignment } = node.limits;
    if (requestAlignment > 1 && (request.offset % requestAlignment !== 0 || request.length % requestAlignment !== 0)) {
      return EINVAL;
    }
    if ((request.kind === 'read' || request.kind === 'write') && request.length > node.limits.maxTransferBytes) {
      return EINVAL;
    }
    if (request.fastOnly && !node.limits.fastZeroes) return ENOTSUP;
    return 0;
  }
}

function beingResized(node: BlockNode): UsageError {
  return new UsageError(`Node '${node.name}' is being resized; try again when that is done`, { errno: EBUSY });
}
