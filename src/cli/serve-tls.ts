/** The TLS options of `colobus serve`. */

import { UsageError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { TlsPolicy } from '../nbd/server/nbd-connection.ts';
import { loadPskFile } from '../nbd/tls/psk-file.ts';
import { loadX509Directory } from '../nbd/tls/x509-directory.ts';

export type ServeTlsOptions = {
  readonly tls?: 'off' | 'allow' | 'require';
  readonly tlsCertificates?: string;
  readonly tlsPsk?: string;
  readonly tlsVerifyPeer?: true;
};

/** What the options ask for; null for no TLS. Who gives credentials and no mode wants every client to use them. */
export async function tlsPolicyOf(options: ServeTlsOptions, logger: Logger): Promise<TlsPolicy | null> {
  const { tlsCertificates: directory, tlsPsk: keys } = options;
  const hasCredentials = directory !== undefined || keys !== undefined;
  const mode = options.tls ?? (hasCredentials ? 'require' : 'off');
  const verifyPeer = options.tlsVerifyPeer === true;
  if (directory !== undefined && keys !== undefined) {
    throw new UsageError('--tls-certificates excludes --tls-psk; give one of them');
  }
  if (verifyPeer && directory === undefined) {
    throw new UsageError('--tls-verify-peer asks clients for certificates; give --tls-certificates too');
  }
  if (mode === 'off') return null;
  if (directory !== undefined) {
    return { mode, credentials: await loadX509Directory(directory, { endpoint: 'server', verifyPeer }) };
  }
  if (keys !== undefined) return { mode, credentials: await loadPskFile(keys, { endpoint: 'server', logger }) };
  throw new UsageError(`--tls ${mode} needs credentials; give --tls-certificates DIR or --tls-psk FILE`);
}
