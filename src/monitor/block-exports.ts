/** BlockExports: the NBD server of a daemon, of which there is at most one, and the exports on it by id. */

import type { Clock } from '../base/clock.ts';
import { EINVAL, ENOSPC, ENOTSUP, EPERM, ESHUTDOWN, ETIMEDOUT, errnoOf } from '../base/errno.ts';
import { UsageError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { BlockGraph } from '../block/block-graph.ts';
import type { BlockNode } from '../block/block-node.ts';
import { changesData, type RequestKind } from '../block/block-request.ts';
import { rootsAbove } from '../block/drain.ts';
import type { NodeBitmap } from '../block/node-bitmaps.ts';
import type { ReceiveMode } from '../nbd/server/accepted-socket.ts';
import type { TlsPolicy } from '../nbd/server/nbd-connection.ts';
import { NbdExport } from '../nbd/server/nbd-export.ts';
import { type NbdPlace, NbdServer } from '../nbd/server/nbd-server.ts';
import { strerror } from '../os/libc.ts';
import type { BitmapReference } from './bitmap-reference.ts';
import { findNode } from './find-node.ts';
import type { QmpEvent } from './protocol/qmp-message.ts';

/** An export that is deleted asks again after so long for its requests to return. */
const CLOSE_ROUND_MS = 5000;
const MAX_EXPORTS = 1024;
/** A request that breaks a rule, or wants what the node does not have, or comes too late, is no failure of the disk. */
const CLIENTS_FAULTS: ReadonlySet<number> = new Set([EINVAL, EPERM, ENOTSUP, ESHUTDOWN]);
const EXPORT_ID = /^[A-Za-z][A-Za-z0-9._-]*$/;

export type BlockExportsOptions = {
  readonly graph: BlockGraph;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly emit: (event: QmpEvent) => void;
};

export type NewExport = {
  readonly id: string;
  readonly nodeName: string;
  /** What clients ask for. */
  readonly name: string;
  readonly description?: string;
  readonly writable: boolean;
  /** Every write is durable before it is answered. */
  readonly writethrough?: boolean;
  /** Dirty bitmaps that clients may read. */
  readonly bitmaps?: readonly BitmapReference[];
  readonly allocationDepth?: boolean;
};

export type ServerOptions = {
  /** 0 leaves the number to the server. */
  readonly maxConnections: number;
  readonly tls?: TlsPolicy;
  /** The object that `tls` has its credentials from. */
  readonly tlsObject?: string;
  /** Addresses that TCP clients may come from; all where it is left out. */
  readonly allow?: readonly string[];
  readonly receiveMode?: ReceiveMode;
};

export type ExportInfo = { readonly id: string; readonly nodeName: string; readonly shuttingDown: boolean };

/** A disk, and the buffer above it whose users do not count as users of the disk. */
export type BufferedDisk = { readonly backing: BlockNode; readonly buffer: BlockNode };

export class BlockExports {
  readonly #options: BlockExportsOptions;
  readonly #exports = new Map<string, NbdExport>();
  #server: NbdServer | null = null;
  #tlsObject: string | null = null;
  #serverChanging = false;

  constructor(options: BlockExportsOptions) {
    this.#options = options;
  }

  /** The NBD server, or null while there is none. */
  get server(): NbdServer | null {
    return this.#server;
  }

  /** The exports, the newest first, also those that are closing. */
  infos(): readonly ExportInfo[] {
    return [...this.#exports.values()].reverse().map(nbdExport => ({
      id: nbdExport.id,
      nodeName: nbdExport.node.name,
      shuttingDown: !nbdExport.isOpen,
    }));
  }

  /** True where the server has its credentials from the object called `id`. */
  usesObject(id: string): boolean {
    return this.#server !== null && this.#tlsObject === id;
  }

  /** Starts the NBD server; without an address, for streams that are attached to it or to listen later. Throws UsageError. */
  async startServer(address: NbdPlace | null, options: ServerOptions): Promise<NbdServer> {
    if (this.#server !== null || this.#serverChanging) throw new UsageError('NBD server already running');
    const { clock, logger } = this.#options;
    const { maxConnections, tlsObject = null, ...rest } = options;
    const limit = maxConnections === 0 ? {} : { maxConnections };
    this.#serverChanging = true;
    try {
      const server = new NbdServer({ clock, logger, ...rest, ...limit });
      if (address !== null) await server.listenAt(address);
      this.#server = server;
      this.#tlsObject = tlsObject;
      return server;
    } finally {
      this.#serverChanging = false;
    }
  }

  /** Closes all exports and the server. Throws ETIMEDOUT where requests do not return; it can be tried again. */
  async stopServer(deadlineMs: number = CLOSE_ROUND_MS): Promise<void> {
    const server = this.#server;
    if (server === null || this.#serverChanging) throw new UsageError('NBD server not running');
    this.#serverChanging = true;
    try {
      await this.#closeAll([...this.#exports.values()], deadlineMs);
      await server[Symbol.asyncDispose]();
      this.#server = null;
    } finally {
      this.#serverChanging = false;
    }
  }

  /** For the end of the daemon: stops the server even where requests do not return; throws ETIMEDOUT then. */
  async close(deadlineMs: number): Promise<void> {
    try {
      await this.#closeAll([...this.#exports.values()], deadlineMs);
    } finally {
      await this.#server?.[Symbol.asyncDispose]();
      this.#server = null;
    }
  }

  /** Exports a node: at once, so that no other comes between. Throws UsageError, having changed nothing, where that cannot be. */
  add(wanted: NewExport): void {
    const { id, name } = wanted;
    if (!EXPORT_ID.test(id)) throw new UsageError('Invalid block export id');
    if (this.#exports.has(id)) throw new UsageError(`Block export id '${id}' is already in use`);
    if (this.#exports.size >= MAX_EXPORTS) throw new UsageError(`There are ${MAX_EXPORTS} exports; delete some`);
    const node = this.#options.graph.node(wanted.nodeName);
    const server = this.#server;
    if (server === null || this.#serverChanging) throw new UsageError('NBD server not running');
    if (server.find(name) !== undefined) {
      throw new UsageError(`NBD server already has export named '${name}'`);
    }
    if (wanted.writable && node.readOnly) throw new UsageError('Cannot export read-only node as writable');
    const bitmaps = (wanted.bitmaps ?? []).map(reference => this.#bitmap(node, reference));
    const nbdExport = NbdExport.open({ ...wanted, node, bitmaps, clock: this.#options.clock });
    nbdExport.backend.onFailure = (kind, errno) => this.#tellFailure(nbdExport.node, kind, errno);
    server.addExport(nbdExport);
    this.#exports.set(id, nbdExport);
  }

  /**
   * Deletes an export; BLOCK_EXPORT_DELETED tells when it is gone, which it is on return if nobody uses it. `safe`
   * throws UsageError while a client is connected.
   */
  async delete(id: string, mode: 'safe' | 'hard'): Promise<void> {
    const nbdExport = this.#exports.get(id);
    if (nbdExport === undefined) throw new UsageError(`Export '${id}' is not found`);
    if (!nbdExport.isOpen) throw new UsageError(`Export '${id}' is already shutting down`);
    if (mode === 'safe' && nbdExport.connections > 0) {
      throw new UsageError(`export '${id}' still in use; mode hard disconnects its clients`);
    }
    const unused = nbdExport.connections === 0 && nbdExport.backend.inFlight === 0;
    const gone = this.#closeForGood(nbdExport);
    if (unused) await gone;
  }

  /**
   * Closes the writable exports through which clients reach the disks other than through their buffers, and waits for
   * the requests in flight. Throws ETIMEDOUT where one does not return; it can be tried again.
   */
  async closeWriters(disks: readonly BufferedDisk[], deadlineMs: number): Promise<void> {
    // Where one disk takes its time, somebody may have exported another anew.
    for (;;) {
      const roots = new Set(disks.flatMap(({ backing, buffer }) => [...rootsAbove(backing, buffer)]));
      const writers = [...this.#exports.values()].filter(({ writable, backend }) => writable && roots.has(backend));
      if (writers.length === 0) return;
      await this.#closeAll(writers, deadlineMs);
    }
  }

  #tellFailure(node: BlockNode, kind: RequestKind, errno: number): void {
    if (CLIENTS_FAULTS.has(errno)) return;
    this.#options.emit({
      name: 'BLOCK_IO_ERROR',
      data: {
        device: '',
        'node-name': node.name,
        operation: changesData(kind) || kind === 'flush' ? 'write' : 'read',
        action: 'report',
        nospace: errno === ENOSPC,
        reason: strerror(errno),
      },
    });
  }

  #bitmap(node: BlockNode, reference: BitmapReference): NodeBitmap {
    const found =
      typeof reference === 'string'
        ? findBitmap(node, reference)
        : findNode(this.#options.graph, reference.node).bitmaps.get(reference.name);
    if (found === undefined) throw new UsageError(`Bitmap '${reference}' is not found`);
    if (found.bitmap.lengthBytes !== node.lengthBytes) {
      throw new UsageError(`Bitmap '${found.name}' is not of the size of node '${node.name}'; export it elsewhere`);
    }
    return found;
  }

  async #closeAll(exports: readonly NbdExport[], deadlineMs: number): Promise<void> {
    const results = await Promise.allSettled(exports.map(nbdExport => this.#close(nbdExport, deadlineMs)));
    const failure = results.find(result => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  async #close(nbdExport: NbdExport, deadlineMs: number): Promise<void> {
    await nbdExport.close({ mode: 'hard', deadlineMs });
    if (this.#exports.get(nbdExport.id) !== nbdExport) return;
    this.#exports.delete(nbdExport.id);
    this.#server?.removeExport(nbdExport);
    this.#options.emit({ name: 'BLOCK_EXPORT_DELETED', data: { id: nbdExport.id } });
  }

  async #closeForGood(nbdExport: NbdExport): Promise<void> {
    for (;;) {
      try {
        return await this.#close(nbdExport, CLOSE_ROUND_MS);
      } catch (error) {
        this.#options.logger.warn({ export: nbdExport.id, err: error }, 'A deleted export could not be closed yet');
        if (errnoOf(error) !== ETIMEDOUT) return;
      }
    }
  }
}

/** The bitmap called `name` of `node`, or of the first node below that has one. */
function findBitmap(node: BlockNode, name: string): NodeBitmap | undefined {
  const own = node.bitmaps.find(name);
  if (own !== undefined) return own;
  for (const edge of node.children.values()) {
    const below = findBitmap(edge.node, name);
    if (below !== undefined) return below;
  }
  return undefined;
}
