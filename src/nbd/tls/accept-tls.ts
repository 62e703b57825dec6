/** The server's side of a TLS handshake on a connection that has agreed to it. */

import type { Duplex } from 'node:stream';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { ColobusError } from '../../base/errors.ts';
import { secureContextOptions } from './secure-context.ts';
import { expectEndpoint, type TlsCredentials } from './tls-credentials.ts';

/**
 * Makes `socket` a TLS connection. Resolves when the client has proved who it is, as far as `credentials` ask for it;
 * rejects where it has not, and the socket is destroyed then. It has no deadline: destroying the socket ends it.
 */
export function acceptTls(socket: Duplex, credentials: TlsCredentials): Promise<TLSSocket> {
  expectEndpoint(credentials, 'server');
  return new Promise((resolve, reject) => {
    // It never listens: the documented way to have the checks of Node.js applied to a socket of one's own.
    const server = createServer(serverOptions(credentials), resolve);
    server.on('tlsClientError', (cause, client) => {
      const reason = client.authorizationError ?? cause.message;
      reject(new ColobusError(`The TLS handshake with a client failed: ${reason}`, { cause }));
      client.destroy();
      socket.destroy();
    });
    server.emit('connection', socket);
  });
}

function serverOptions(credentials: TlsCredentials): TlsOptions {
  const common = { ...secureContextOptions(credentials), allowHalfOpen: true };
  if (credentials.kind === 'psk') {
    // The types have no null, by which Node.js is told that the user is unknown.
    const keyOf = (_socket: TLSSocket, name: string): Buffer => (credentials.keys.get(name) ?? null) as Buffer;
    return { ...common, pskCallback: keyOf };
  }
  return { ...common, requestCert: credentials.verifyPeer, rejectUnauthorized: credentials.verifyPeer };
}
