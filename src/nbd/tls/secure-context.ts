/** What Node.js needs to know of credentials, for either side. */

import type { SecureContextOptions } from 'node:tls';
import { MIN_TLS_VERSION, PSK_CIPHERS, type TlsCredentials } from './tls-credentials.ts';

export function secureContextOptions(credentials: TlsCredentials): SecureContextOptions {
  if (credentials.kind === 'psk') return { minVersion: MIN_TLS_VERSION, ciphers: PSK_CIPHERS };
  const { authorities, certificate, key, passphrase, revoked } = credentials;
  return {
    minVersion: MIN_TLS_VERSION,
    ...(authorities === undefined ? {} : { ca: authorities }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(revoked === undefined ? {} : { crl: revoked }),
  };
}
