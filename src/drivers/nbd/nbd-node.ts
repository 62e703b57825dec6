/** NbdNode: an export of an NBD server as a node of the block graph. */

import { ColobusError, messageOf, UsageError } from '../../base/errors.ts';
import { BlockNode } from '../../block/block-node.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { Driver, OpenContext } from '../../block/driver.ts';
import { NbdConnection } from '../../nbd/client/nbd-connection.ts';
import { RequestAdapter } from '../../nbd/client/request-adapter.ts';
import { formatNbdUri } from '../../nbd/uri.ts';
import { type NbdOptions, nbdOptions } from './options.ts';

export class NbdNode extends BlockNode {
  readonly #connection: NbdConnection;
  readonly #adapter: RequestAdapter;

  private constructor(connection: NbdConnection, adapter: RequestAdapter, options: NbdOptions, context: OpenContext) {
    super({
      name: context.nodeName,
      driver: 'nbd',
      lengthBytes: connection.export.sizeBytes,
      readOnly: context.readOnly,
      limits: {
        requestAlignment: connection.export.minBlockBytes,
        maxTransferBytes: adapter.maxTransferBytes,
        fastZeroes: connection.export.canFastZero,
        requestTimeoutMs: options['request-timeout'],
      },
      filename: formatNbdUri({ address: options.server, exportName: options.export, tls: false }),
    });
    this.#connection = connection;
    this.#adapter = adapter;
    connection.onClose = error => {
      if (error === null) return;
      context.logger.warn({ node: this.name, error: error.message }, 'An NBD connection was lost');
      this.fail(error.message);
    };
  }

  /** Connects to the export. Throws, with nothing left open, where it cannot be had as the node is meant to be. */
  static async open(options: NbdOptions, context: OpenContext): Promise<NbdNode> {
    const connection = await connect(options, context);
    if (connection.export.readOnly && !context.readOnly) {
      await connection.close();
      throw new UsageError(
        `Node '${context.nodeName}': export '${options.export}' is read-only on its server; open the node with read-only=on`,
      );
    }
    return new NbdNode(connection, new RequestAdapter(connection), options, context);
  }

  /** Cuts the connection: requests in flight fail, and so do all later ones. */
  override abandon(reason: string): void {
    this.#connection.abort(new ColobusError(`Node '${this.name}': ${reason}`));
  }

  protected override perform(request: BlockRequest): void {
    this.#adapter.submit(request);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }
}

async function connect(options: NbdOptions, context: OpenContext): Promise<NbdConnection> {
  try {
    return await NbdConnection.open({
      address: options.server,
      exportName: options.export,
      openTimeoutMs: options['open-timeout'] * 1000,
      requestTimeoutMs: options['request-timeout'],
      flushTimeoutMs: options['flush-timeout'],
      clock: context.clock,
    });
  } catch (cause) {
    const message = `Node '${context.nodeName}': ${messageOf(cause)}`;
    throw cause instanceof UsageError ? new UsageError(message, { cause }) : new ColobusError(message, { cause });
  }
}

export const nbdDriver: Driver<NbdOptions> = {
  name: 'nbd',
  summary: 'An export of an NBD server, over TCP or a unix socket',
  options: nbdOptions,
  open: (options, context) => NbdNode.open(options, context),
};
