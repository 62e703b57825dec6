/** TlsSession: how a client encrypts its connections, and how that is loaded from the parameters of an NBD URI. */

import { UsageError } from '../../base/errors.ts';
import { loadPskFile } from '../tls/psk-file.ts';
import type { TlsCredentials } from '../tls/tls-credentials.ts';
import { loadX509Directory } from '../tls/x509-directory.ts';
import type { NbdAddress, TlsParameters } from '../uri.ts';

export type TlsSession = {
  readonly credentials: TlsCredentials;
  /** Whom the server's certificate must name; null for anybody with a certificate of a trusted authority. */
  readonly hostname: string | null;
};

/**
 * Loads the files that `parameters` name, for connections to `address`. Without a hostname among them, a certificate
 * must name the host that is connected to; on a unix socket there is none. Throws UsageError where a file is no use.
 */
export async function loadTlsSession(parameters: TlsParameters, address: NbdAddress): Promise<TlsSession> {
  const hostname = parameters.hostname ?? (address.kind === 'inet' ? address.host : null);
  return { credentials: await loadCredentials(parameters), hostname };
}

async function loadCredentials(parameters: TlsParameters): Promise<TlsCredentials> {
  const { certificates, pskFile, username, verifyPeer = true } = parameters;
  if (pskFile !== undefined) {
    if (certificates !== undefined) {
      throw new UsageError('TLS uses certificates or pre-shared keys; name a directory or a key file, not both');
    }
    return await loadPskFile(pskFile, { endpoint: 'client', ...(username === undefined ? {} : { username }) });
  }
  if (certificates !== undefined) return await loadX509Directory(certificates, { endpoint: 'client', verifyPeer });
  return { kind: 'x509', endpoint: 'client', verifyPeer };
}
