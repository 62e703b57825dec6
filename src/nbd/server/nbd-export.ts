/**
 * NbdExport: a node of the block graph under a name that NBD clients ask for.
 *
 * It holds the node through a backend of its own: a writable export excludes other writers of the node, a read-only
 * one bears them. Any node can be exported, also one that backs another.
 *
 *   open ──close──► closing (no new client, no new request) ──requests returned, clients gone──► closed
 */

import { type Clock, systemClock } from '../../base/clock.ts';
import { EBUSY } from '../../base/errno.ts';
import { messageOf, UsageError } from '../../base/errors.ts';
import { BlockBackend } from '../../block/block-backend.ts';
import { READ_SHARED, WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import type { BlockNode } from '../../block/block-node.ts';
import { idleInTime } from '../../block/drain.ts';
import type { NodeBitmap } from '../../block/node-bitmaps.ts';
import {
  NBD_FLAG_BLOCK_STATUS_PAYLOAD,
  NBD_FLAG_CAN_MULTI_CONN,
  NBD_FLAG_HAS_FLAGS,
  NBD_FLAG_READ_ONLY,
  NBD_FLAG_SEND_CACHE,
  NBD_FLAG_SEND_DF,
  NBD_FLAG_SEND_FAST_ZERO,
  NBD_FLAG_SEND_FLUSH,
  NBD_FLAG_SEND_FUA,
  NBD_FLAG_SEND_TRIM,
  NBD_FLAG_SEND_WRITE_ZEROES,
  NBD_MAX_PAYLOAD_BYTES,
} from '../protocol/constants.ts';
import { encodeString } from '../protocol/protocol-string.ts';
import { contextsOf, type ExportContext } from './export-context.ts';
import type { Session } from './handshake-state.ts';
import { STOP_DEADLINE_MS } from './limits.ts';

/** The usual page and file system block: what clients do best to align to. */
const PREFERRED_BLOCK_BYTES = 4096;

export type NbdExportOptions = {
  /** For the operator's commands and error texts; not seen by clients. */
  readonly id: string;
  /** What clients ask for; at most 4096 bytes of UTF-8, may be empty. */
  readonly name: string;
  readonly description?: string;
  readonly node: BlockNode;
  readonly writable: boolean;
  /** Every write is durable before it is answered, as if the client had asked for it. */
  readonly writethrough?: boolean;
  /** Clients may ask in which node of a chain of backings the data lie (`qemu:allocation-depth`). */
  readonly allocationDepth?: boolean;
  /** Bitmaps of the node, or of one below, that clients may read (`qemu:dirty-bitmap:NAME`). */
  readonly bitmaps?: readonly NodeBitmap[];
  readonly clock?: Clock;
};

export type CloseOptions = {
  /** `safe` refuses while clients are connected, `hard` disconnects them. */
  readonly mode: 'safe' | 'hard';
  /** How long requests in flight may take to return. */
  readonly deadlineMs: number;
};

/** A client's connection, as its export sees it. */
export interface ExportClient {
  /** Sends what is complete and ends the connection; resolves when it is gone. */
  close(): Promise<void>;
}

export class NbdExport implements AsyncDisposable {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly writable: boolean;
  readonly writethrough: boolean;
  readonly backend: BlockBackend;
  /** Metadata contexts that clients can select; a context's id is its position plus 1. */
  readonly metaContexts: readonly ExportContext[];
  readonly #bitmaps: readonly NodeBitmap[];
  readonly #clock: Clock;
  readonly #clients = new Set<ExportClient>();
  #state: 'open' | 'closing' | 'closed' = 'open';

  private constructor(options: NbdExportOptions, backend: BlockBackend) {
    this.id = options.id;
    this.name = options.name;
    this.description = options.description ?? '';
    this.writable = options.writable;
    this.writethrough = options.writethrough ?? false;
    this.backend = backend;
    this.#bitmaps = options.bitmaps ?? [];
    this.metaContexts = contextsOf(options.node, {
      allocationDepth: options.allocationDepth ?? false,
      bitmaps: this.#bitmaps,
    });
    for (const bitmap of this.#bitmaps) bitmap.users += 1;
    this.#clock = options.clock ?? systemClock;
  }

  /** Attaches to the node, at once. Throws UsageError, having changed nothing, where the node has a writer in the way. */
  static open(options: NbdExportOptions): NbdExport {
    try {
      encodeString(options.name, `name of export '${options.id}'`);
      encodeString(options.description ?? '', `description of export '${options.id}'`);
    } catch (cause) {
      throw new UsageError(
        `Export '${options.id}' has a name or description that NBD cannot carry: ${messageOf(cause)}; choose a shorter one`,
        { cause },
      );
    }
    const permissions = options.writable ? WRITE_EXCLUSIVE : READ_SHARED;
    return new NbdExport(options, new BlockBackend(`export '${options.id}'`, options.node, permissions));
  }

  get node(): BlockNode {
    return this.backend.node;
  }

  get sizeBytes(): number {
    return this.node.lengthBytes;
  }

  /** False from the first step of closing on: clients no longer find the export. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** How many clients use the export now. */
  get connections(): number {
    return this.#clients.size;
  }

  /** The transmission flags for a client that negotiated this. */
  transmissionFlags({ replyStyle, contextIds }: Pick<Session, 'replyStyle' | 'contextIds'>): number {
    const common =
      NBD_FLAG_HAS_FLAGS |
      NBD_FLAG_SEND_FLUSH |
      NBD_FLAG_SEND_FUA |
      NBD_FLAG_SEND_CACHE |
      // All connections share one node, so that a flush covers what the others were told is written.
      NBD_FLAG_CAN_MULTI_CONN |
      (replyStyle === 'simple' ? 0 : NBD_FLAG_SEND_DF) |
      (replyStyle === 'extended' && contextIds.length > 0 ? NBD_FLAG_BLOCK_STATUS_PAYLOAD : 0);
    if (!this.writable) return common | NBD_FLAG_READ_ONLY;
    const fastZero = this.node.limits.fastZeroes ? NBD_FLAG_SEND_FAST_ZERO : 0;
    return common | NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES | fastZero;
  }

  /** Smallest, preferred and largest block in bytes. */
  get blockSize(): { readonly minimum: number; readonly preferred: number; readonly maximum: number } {
    const minimum = this.node.limits.requestAlignment;
    const most = Math.min(NBD_MAX_PAYLOAD_BYTES, this.node.limits.maxTransferBytes);
    const preferred = Math.max(minimum, PREFERRED_BLOCK_BYTES);
    return { minimum, preferred, maximum: Math.max(preferred, most - (most % minimum)) };
  }

  addClient(client: ExportClient): void {
    this.#clients.add(client);
  }

  removeClient(client: ExportClient): void {
    this.#clients.delete(client);
  }

  /**
   * Takes no new client and no new request (late ones fail with ESHUTDOWN), waits for those in flight, disconnects the
   * clients and leaves the node. Throws UsageError where `safe` and clients are connected, having changed nothing;
   * ETIMEDOUT where requests do not return, and may then be called again.
   */
  async close(options: CloseOptions): Promise<void> {
    if (this.#state === 'closed') return;
    if (options.mode === 'safe' && this.isOpen && this.#clients.size > 0) {
      throw new UsageError(`Export '${this.id}' is still in use; use mode 'hard' to disconnect its clients`, {
        errno: EBUSY,
      });
    }
    this.#state = 'closing';
    this.backend.close();
    const late = `Requests of export '${this.id}' on node '${this.node.name}' did not return within ${options.deadlineMs} ms; look at the disk or peer below it and try again`;
    await idleInTime(this.backend, options.deadlineMs, this.#clock, late);
    await Promise.all([...this.#clients].map(client => client.close()));
    if (this.#isClosed()) return;
    this.#state = 'closed';
    for (const bitmap of this.#bitmaps) bitmap.users -= 1;
    this.backend.detach();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ mode: 'hard', deadlineMs: STOP_DEADLINE_MS });
  }

  /** Another call may have finished while this one waited. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }
}
