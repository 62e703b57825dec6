/** The TLS options of commands that are clients: what the NBD URIs they are given leave open. */

import type { Command } from 'commander';
import { UsageError } from '../base/errors.ts';
import { type NbdUri, parseNbdUri, type TlsParameters } from '../nbd/uri.ts';

export type ClientTlsOptions = {
  readonly tlsCertificates?: string;
  readonly tlsPsk?: string;
  readonly tlsHostname?: string;
};

export function addClientTlsOptions(command: Command): Command {
  return command
    .option('--tls-certificates <dir>', 'directory with ca-cert.pem, client-cert.pem, client-key.pem, for nbds URIs')
    .option('--tls-psk <file>', 'file of pre-shared keys, NAME:HEXKEY lines; nbds://NAME@… says whose is used')
    .option('--tls-hostname <name>', "whom the server's certificate must name (default: the host of the URI)");
}

/** True for what is meant as an NBD URI, well written or not, and not as the path of a file. */
export function looksLikeNbdUri(text: string): boolean {
  return /^nbds?(\+[a-z]+)?:/i.test(text);
}

/**
 * The NBD URIs that `texts` are, with the TLS `options` for those that ask for TLS and do not say themselves how.
 * Throws UsageError where a URI is wrong or the options serve none of them.
 */
export function parseUris(texts: readonly string[], options: ClientTlsOptions): readonly NbdUri[] {
  const { tlsCertificates: certificates, tlsPsk: pskFile, tlsHostname: hostname } = options;
  if (certificates !== undefined && pskFile !== undefined) {
    throw new UsageError('--tls-certificates excludes --tls-psk; give one of them');
  }
  const uris = texts.map(parseNbdUri);
  const isGiven = certificates !== undefined || pskFile !== undefined || hostname !== undefined;
  if (!isGiven) return uris;
  if (!uris.some(uri => uri.tls)) {
    throw new UsageError('The --tls options are for URIs that ask for TLS; write nbds:// or nbds+unix:// to use it');
  }
  return uris.map(uri => (uri.tls ? { ...uri, tlsParameters: completed(uri.tlsParameters ?? {}) } : uri));

  function completed(own: TlsParameters): TlsParameters {
    const hasCredentials = own.certificates !== undefined || own.pskFile !== undefined;
    return {
      ...(certificates === undefined || hasCredentials ? {} : { certificates }),
      ...(pskFile === undefined || hasCredentials ? {} : { pskFile }),
      ...(hostname === undefined ? {} : { hostname }),
      ...own,
    };
  }
}
