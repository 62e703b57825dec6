/**
 * ConnectionGroup: several connections to one export that carry requests as if they were one.
 *
 * A server allows this with NBD_FLAG_CAN_MULTI_CONN: what it answered on one connection is seen on all, and a flush on
 * one covers it. Each request goes down the connection that has least to do. The loss of one connection ends all.
 */

import { ColobusError, ProtocolError, UsageError } from '../../base/errors.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { ExportInfo } from './export-info.ts';
import { NbdConnection, type NbdConnectionOptions } from './nbd-connection.ts';
import type { RequestTarget } from './request-target.ts';
import type { SessionFeatures } from './session-features.ts';

/** More connections gain nothing: a client is one thread. */
export const MAX_CONNECTIONS = 16;

export class ConnectionGroup implements RequestTarget {
  readonly export: ExportInfo;
  readonly features: SessionFeatures;
  onClose: (error: ColobusError | null) => void = () => {};
  readonly #connections: readonly NbdConnection[];
  #failure: ColobusError | null = null;
  #hasEnded = false;

  private constructor(connections: readonly NbdConnection[]) {
    const [first] = connections as readonly [NbdConnection];
    this.export = first.export;
    this.features = first.features;
    this.#connections = connections;
    for (const connection of connections) connection.onClose = error => this.#ended(error);
  }

  /**
   * Opens up to `wanted` connections: one where the server does not allow several, fewer where it refuses some. Throws,
   * with nothing left open, where the first cannot be had or the others are to a different export.
   */
  static async open(options: NbdConnectionOptions, wanted: number): Promise<RequestTarget> {
    if (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX_CONNECTIONS) {
      throw new UsageError(`A client has from 1 to ${MAX_CONNECTIONS} connections, not ${wanted}`);
    }
    const first = await NbdConnection.open(options);
    if (wanted === 1 || !first.export.canMultiConn) return first;
    const all = [first, ...(await openOthers(options, wanted - 1))];
    if (options.signal?.aborted === true) {
      for (const connection of all) connection.abort(new ColobusError('No longer wanted'));
      throw options.signal.reason;
    }
    const lost = all.find(connection => connection.failure !== null)?.failure ?? null;
    if (lost === null && all.every(connection => isSameExport(first, connection))) return new ConnectionGroup(all);
    const reason =
      lost ?? new ProtocolError('The server showed different exports under one name on several connections');
    for (const connection of all) connection.abort(reason);
    throw reason;
  }

  get connections(): number {
    return this.#connections.length;
  }

  get failure(): ColobusError | null {
    return this.#failure;
  }

  submit(request: BlockRequest): void {
    let idlest = this.#connections[0] as NbdConnection;
    for (let i = 1; i < this.#connections.length; i++) {
      const connection = this.#connections[i] as NbdConnection;
      if (connection.inFlight < idlest.inFlight) idlest = connection;
    }
    idlest.submit(request);
  }

  abort(reason: ColobusError): void {
    for (const connection of this.#connections) connection.abort(reason);
  }

  stopReconnecting(): void {}

  stopWaiting(): void {}

  async close(): Promise<void> {
    await Promise.all(this.#connections.map(connection => connection.close()));
  }

  /** One connection has ended: in peace, as the others will, or lost, and the others with it. */
  #ended(error: ColobusError | null): void {
    if (this.#hasEnded) return;
    this.#hasEnded = error !== null || this.#connections.every(connection => connection.isClosed);
    if (!this.#hasEnded) return;
    this.#failure = error;
    this.onClose(error);
    if (error !== null) this.abort(error);
  }
}

/** As many further connections as the server gives; it may have a limit that others have used up. */
async function openOthers(options: NbdConnectionOptions, wanted: number): Promise<readonly NbdConnection[]> {
  const opening = Array.from({ length: wanted }, () => NbdConnection.open(options));
  const outcomes = await Promise.allSettled(opening);
  return outcomes.filter(outcome => outcome.status === 'fulfilled').map(outcome => outcome.value);
}

function isSameExport(one: NbdConnection, other: NbdConnection): boolean {
  return (
    one.export.sizeBytes === other.export.sizeBytes &&
    one.export.flags === other.export.flags &&
    one.export.minBlockBytes === other.export.minBlockBytes &&
    one.export.maxBlockBytes === other.export.maxBlockBytes &&
    one.features.replies === other.features.replies &&
    [...one.features.contexts.values()].join() === [...other.features.contexts.values()].join()
  );
}
