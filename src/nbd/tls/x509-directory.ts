/**
 * X.509 credentials from a directory with the file names of QEMU, libvirt and nbdkit:
 *
 *   ca-cert.pem                          authorities that signed the peer's certificate
 *   ca-crl.pem                           certificates they took back (optional)
 *   server-cert.pem, server-key.pem      for a server
 *   client-cert.pem, client-key.pem      for a client (optional)
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { ENOENT, errnoOf } from '../../base/errno.ts';
import { messageOf, UsageError } from '../../base/errors.ts';
import { secureContextOptions } from './secure-context.ts';
import type { TlsEndpoint, X509Credentials } from './tls-credentials.ts';

export type X509Options = {
  readonly endpoint: TlsEndpoint;
  /** See X509Credentials. */
  readonly verifyPeer: boolean;
  /** Opens an encrypted key. */
  readonly passphrase?: string;
};

/**
 * Reads the credentials of `directory`. Throws UsageError naming the file where one that is needed is missing or does
 * not fit: a server needs certificate and key, who verifies the peer needs the authorities.
 */
export async function loadX509Directory(directory: string, options: X509Options): Promise<X509Credentials> {
  const { endpoint, verifyPeer, passphrase } = options;
  const authorities = await readPem(directory, 'ca-cert.pem', verifyPeer);
  const certificate = await readPem(directory, `${endpoint}-cert.pem`, endpoint === 'server');
  const key = await readPem(directory, `${endpoint}-key.pem`, certificate !== null);
  const revoked = await readPem(directory, 'ca-crl.pem', false);
  const credentials: X509Credentials = {
    kind: 'x509',
    endpoint,
    verifyPeer,
    ...(authorities === null ? {} : { authorities }),
    ...(certificate === null || key === null ? {} : { certificate, key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(revoked === null ? {} : { revoked }),
  };
  try {
    createSecureContext(secureContextOptions(credentials));
  } catch (cause) {
    throw new UsageError(
      `The TLS certificates in '${directory}' cannot be used: ${messageOf(cause)}; ` +
        `check that ${endpoint}-cert.pem and ${endpoint}-key.pem belong together`,
      { cause },
    );
  }
  return credentials;
}

/** The file's content; null where it is not there and not `needed`. */
async function readPem(directory: string, name: string, needed: boolean): Promise<Buffer | null> {
  const path = join(directory, name);
  try {
    return await readFile(path);
  } catch (cause) {
    if (!needed && cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    const why = errnoOf(cause) === ENOENT ? 'No such file or directory' : messageOf(cause);
    throw new UsageError(`Unable to access credentials ${path}: ${why}; create it, for instance with certtool`, {
      cause,
    });
  }
}
