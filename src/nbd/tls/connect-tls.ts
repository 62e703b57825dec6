/** The client's side of a TLS handshake on a connection that has agreed to it. */

import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import { ColobusError } from '../../base/errors.ts';
import { secureContextOptions } from './secure-context.ts';
import { expectEndpoint, type TlsCredentials, type X509Credentials } from './tls-credentials.ts';

/**
 * Makes `socket` a TLS connection. Resolves when the server has proved who it is; rejects where it has not, and the
 * socket is destroyed then. Its certificate must be that of `hostname`; null accepts any that an authority signed,
 * for unix sockets. It has no deadline: destroying the socket ends it.
 */
export function connectTls(socket: Duplex, credentials: TlsCredentials, hostname: string | null): Promise<TLSSocket> {
  expectEndpoint(credentials, 'client');
  return new Promise((resolve, reject) => {
    const client = connect({ socket, ...clientOptions(credentials, hostname) });
    const fail = (cause: Error): void => {
      socket.destroy();
      reject(new ColobusError(`The TLS handshake with the server failed: ${cause.message}`, { cause }));
    };
    client.once('error', fail);
    client.once('secureConnect', () => {
      client.removeListener('error', fail);
      resolve(client);
    });
  });
}

function clientOptions(credentials: TlsCredentials, hostname: string | null): ConnectionOptions {
  const common = secureContextOptions(credentials);
  if (credentials.kind === 'x509') return { ...common, ...identityCheck(credentials, hostname) };
  const { keys, username } = credentials;
  return {
    ...common,
    pskCallback: () => ({ identity: username, psk: keys.get(username) ?? Buffer.alloc(0) }),
    // There is no certificate to look at: who has the key is the server.
    checkServerIdentity: () => undefined,
  };
}

function identityCheck({ verifyPeer }: X509Credentials, hostname: string | null): ConnectionOptions {
  return {
    rejectUnauthorized: verifyPeer,
    ...(hostname === null || isIP(hostname) !== 0 ? {} : { servername: hostname }),
    checkServerIdentity: (_name, certificate) =>
      hostname === null ? undefined : checkServerIdentity(hostname, certificate),
  };
}
