/** NbdNode: an export of an NBD server as a node of the block graph. */

import type { Clock } from '../../base/clock.ts';
import { EROFS } from '../../base/errno.ts';
import { ColobusError, messageOf, UsageError } from '../../base/errors.ts';
import { BlockNode } from '../../block/block-node.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { Driver, OpenContext } from '../../block/driver.ts';
import { connectTarget } from '../../nbd/client/open-target.ts';
import type { ReconnectOptions } from '../../nbd/client/reconnecting-target.ts';
import { RequestAdapter } from '../../nbd/client/request-adapter.ts';
import type { RequestTarget } from '../../nbd/client/request-target.ts';
import type { TlsSession } from '../../nbd/client/tls-session.ts';
import { expectEndpoint, isTlsCredentials } from '../../nbd/tls/tls-credentials.ts';
import { formatNbdUri } from '../../nbd/uri.ts';
import { type NbdOptions, nbdOptions } from './options.ts';

/** What connecting and the handshake may take where the options do not say. */
const ATTEMPT_MS = 10_000;
/** From one attempt to connect to the next. */
const RETRY_MS = 250;

export class NbdNode extends BlockNode {
  readonly #target: RequestTarget;
  readonly #adapter: RequestAdapter;

  private constructor(target: RequestTarget, options: NbdOptions, context: OpenContext) {
    const adapter = new RequestAdapter(target);
    const reconnects = options['reconnect-delay'] > 0;
    super({
      name: context.nodeName,
      driver: 'nbd',
      lengthBytes: target.export.sizeBytes,
      readOnly: context.readOnly,
      limits: {
        requestAlignment: target.export.minBlockBytes,
        maxTransferBytes: adapter.maxTransferBytes,
        fastZeroes: target.export.canFastZero,
        requestTimeoutMs: longestRequestMs(options),
        ...(reconnects ? { reconnects } : {}),
        ...(target.connections > 1 ? { isParallel: true } : {}),
      },
      filename: formatNbdUri({ address: options.server, exportName: options.export, tls: target.features.tls }),
    });
    this.#target = target;
    this.#adapter = adapter;
    target.onClose = error => {
      if (error === null) return;
      context.logger.warn({ node: this.name, error: error.message }, 'An NBD connection was lost');
      this.fail(error.message);
    };
  }

  /** Connects to the export. Throws, with nothing left open, where it cannot be had as the node is meant to be. */
  static async open(options: NbdOptions, context: OpenContext): Promise<NbdNode> {
    const target = await connect(options, context);
    if (target.export.readOnly && !context.readOnly) {
      await target.close();
      throw new UsageError(
        `Node '${context.nodeName}': export '${options.export}' is read-only on its server; open the node with read-only=on`,
        { errno: EROFS },
      );
    }
    return new NbdNode(target, options, context);
  }

  override stopWaiting(): void {
    this.#target.stopWaiting();
  }

  /** Cuts the connection: requests in flight fail, and so do all later ones. */
  override abandon(reason: string): void {
    this.#target.abort(new ColobusError(`Node '${this.name}': ${reason}`));
  }

  protected override perform(request: BlockRequest): void {
    this.#adapter.submit(request);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.#target.close();
  }
}

async function connect(options: NbdOptions, context: OpenContext): Promise<RequestTarget> {
  try {
    const tls = tlsSessionOf(options, context);
    const patienceMs = options['open-timeout'] * 1000;
    const connection = {
      address: options.server,
      exportName: options.export,
      openTimeoutMs: patienceMs || ATTEMPT_MS,
      requestTimeoutMs: options['request-timeout'],
      flushTimeoutMs: options['flush-timeout'],
      clock: context.clock,
      ...(tls === null ? {} : { tls }),
    };
    const reconnects = options['reconnect-delay'] > 0;
    const reconnect = reconnects ? reconnectOptionsOf(options, context) : undefined;
    return await tryAgain(() => connectTarget(connection, options.connections, reconnect), patienceMs, context.clock);
  } catch (cause) {
    const message = `Node '${context.nodeName}': ${messageOf(cause)}`;
    throw cause instanceof UsageError ? new UsageError(message, { cause }) : new ColobusError(message, { cause });
  }
}

/** Calls `connect` until it succeeds, for `patienceMs`. What the server refuses for good is not tried again. */
async function tryAgain(
  connect: () => Promise<RequestTarget>,
  patienceMs: number,
  clock: Clock,
): Promise<RequestTarget> {
  const endMs = clock.nowMs() + patienceMs;
  for (;;) {
    try {
      return await connect();
    } catch (error) {
      if (error instanceof UsageError || clock.nowMs() + RETRY_MS > endMs) throw error;
      await new Promise<void>(resolve => clock.after(RETRY_MS, resolve));
    }
  }
}

function tlsSessionOf(options: NbdOptions, context: OpenContext): TlsSession | null {
  const { server, 'tls-creds': id, 'tls-hostname': hostname } = options;
  if (id === undefined) {
    if (hostname === undefined) return null;
    throw new UsageError("'tls-hostname' is of use with 'tls-creds' only; name the credentials");
  }
  const credentials = context.findObject(id);
  if (!isTlsCredentials(credentials)) {
    throw new UsageError(`No TLS credentials with id '${id}'; add them with object-add first`);
  }
  expectEndpoint(credentials, 'client');
  return { credentials, hostname: hostname ?? (server.kind === 'inet' ? server.host : null) };
}

/** As QEMU does it: requests wait for the delay, what was in flight is sent again, and attempts never end. */
function reconnectOptionsOf(options: NbdOptions, context: OpenContext): ReconnectOptions {
  return {
    holdMs: options['reconnect-delay'] * 1000,
    inFlight: 'replay',
    onChange: failure => {
      const node = context.nodeName;
      if (failure === null) context.logger.info({ node }, 'An NBD connection is back');
      else context.logger.warn({ node, error: failure.message }, 'An NBD connection was lost; connecting again');
    },
  };
}

/** From submit to completion: until the loss is noticed, until the connection is back, and until the second answer. */
function longestRequestMs(options: NbdOptions): number {
  const { 'request-timeout': requestMs, 'reconnect-delay': delaySeconds } = options;
  return delaySeconds === 0 ? requestMs : 2 * requestMs + delaySeconds * 1000;
}

export const nbdDriver: Driver<NbdOptions> = {
  name: 'nbd',
  summary: 'An export of an NBD server, over TCP or a unix socket',
  options: nbdOptions,
  open: (options, context) => NbdNode.open(options, context),
};
