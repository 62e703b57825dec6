/**
 * TlsCredentials: by what one side of a connection proves who it is and knows who the other is.
 *
 * Two kinds, as with the other NBD programs: X.509 certificates (x509-directory.ts) and keys that both sides have
 * (psk-file.ts). TLS 1.2 is the oldest version either side takes.
 */

import { UsageError } from '../../base/errors.ts';

export type TlsEndpoint = 'server' | 'client';

export type X509Credentials = {
  readonly kind: 'x509';
  readonly endpoint: TlsEndpoint;
  /** PEM of the authorities that may have signed the peer's certificate; a client without them takes the system's. */
  readonly authorities?: Buffer;
  /** PEM of the own certificate and its key; a client may have none. */
  readonly certificate?: Buffer;
  readonly key?: Buffer;
  readonly passphrase?: string;
  /** PEM of certificates that the authorities took back. */
  readonly revoked?: Buffer;
  /** A server asks clients for certificates, a client checks the server's. Without it the peer may be anybody. */
  readonly verifyPeer: boolean;
};

export type PskCredentials = {
  readonly kind: 'psk';
  readonly endpoint: TlsEndpoint;
  /** Keys by the name of who has them. */
  readonly keys: ReadonlyMap<string, Buffer>;
  /** Whose key a client uses. */
  readonly username: string;
};

export type TlsCredentials = X509Credentials | PskCredentials;

/** True for what one of the loaders of this folder gave. */
export function isTlsCredentials(value: unknown): value is TlsCredentials {
  return (
    typeof value === 'object' && value !== null && 'kind' in value && (value.kind === 'x509' || value.kind === 'psk')
  );
}

export const MIN_TLS_VERSION = 'TLSv1.2';

/**
 * Suites for keys that both sides have: a key of TLS 1.3 goes with SHA-256, and those of TLS 1.2 are the ones where a
 * key that leaks later does not open what was recorded before.
 */
export const PSK_CIPHERS: string = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-PSK-CHACHA20-POLY1305',
  'ECDHE-PSK-AES256-CBC-SHA384',
  'ECDHE-PSK-AES128-CBC-SHA256',
].join(':');

/** Throws UsageError where `credentials` are for the other side of connections. */
export function expectEndpoint(credentials: TlsCredentials, endpoint: TlsEndpoint): void {
  if (credentials.endpoint !== endpoint) {
    throw new UsageError(`Expected TLS credentials for a ${endpoint} endpoint`);
  }
}
