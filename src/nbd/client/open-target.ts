/** Opens what carries a client's requests: one connection or several, that come back or not, encrypted or not. */

import { UsageError } from '../../base/errors.ts';
import { type NbdUri, parseNbdUri, type TlsParameters } from '../uri.ts';
import { ConnectionGroup } from './connection-group.ts';
import type { NbdConnectionOptions } from './nbd-connection.ts';
import { ReconnectingTarget, type ReconnectOptions } from './reconnecting-target.ts';
import type { RequestTarget } from './request-target.ts';
import { loadTlsSession } from './tls-session.ts';

/** How a client uses a server, wherever that is. */
export type NbdClientSettings = Omit<NbdConnectionOptions, 'address' | 'exportName' | 'tls'> & {
  /** Connections to open, 1 to 16, if the server allows several (`info.canMultiConn`); 1 unless given. */
  readonly connections?: number;
  /** Connect again when the connection is lost; a lost connection stays lost unless given. */
  readonly reconnect?: ReconnectOptions;
};

export type NbdClientOptions = NbdClientSettings &
  Pick<NbdConnectionOptions, 'address' | 'exportName'> & {
    /** Encrypt the connection, and fail where the server cannot; `{}` uses the authorities that the system trusts. */
    readonly tls?: TlsParameters;
  };

/** The options that a URI or `target` and `settings` come to. Throws UsageError where the URI is wrong. */
export function clientOptions(target: string | NbdClientOptions, settings: NbdClientSettings = {}): NbdClientOptions {
  if (typeof target !== 'string') return { ...target, ...settings };
  const { address, exportName, tls, tlsParameters }: NbdUri = parseNbdUri(target);
  return { address, exportName, ...(tls ? { tls: tlsParameters ?? {} } : {}), ...settings };
}

/** `options` with the files for TLS loaded. */
export async function connectionOptions(options: NbdClientOptions): Promise<NbdConnectionOptions> {
  const { tls, connections: _connections, reconnect: _reconnect, ...rest } = options;
  return tls === undefined ? rest : { ...rest, tls: await loadTlsSession(tls, options.address) };
}

/** Throws, with nothing left open, where the server cannot be reached or does not give the export. */
export async function openTarget(options: NbdClientOptions): Promise<RequestTarget> {
  return await connectTarget(await connectionOptions(options), options.connections, options.reconnect);
}

/** `openTarget` with the files for TLS loaded: up to `connections` connections, which come back as `reconnect` says. */
export async function connectTarget(
  options: NbdConnectionOptions,
  connections = 1,
  reconnect?: ReconnectOptions,
): Promise<RequestTarget> {
  if (reconnect === undefined) return await ConnectionGroup.open(options, connections);
  checkReconnect(reconnect);
  const first = await ConnectionGroup.open(options, connections);
  const open = (signal: AbortSignal): Promise<RequestTarget> =>
    ConnectionGroup.open({ ...options, signal }, connections);
  return new ReconnectingTarget(first, open, reconnect, options.clock);
}

function checkReconnect(options: ReconnectOptions): void {
  for (const key of ['holdMs', 'firstPauseMs', 'maxPauseMs'] as const) {
    const value = options[key];
    if (value !== undefined && !(value >= 0 && value < 2 ** 31)) {
      throw new UsageError(`reconnect.${key} is a number of milliseconds from 0 to 2^31 - 1, not ${value}`);
    }
  }
}
