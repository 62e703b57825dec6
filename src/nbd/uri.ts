/**
 * NBD URIs (NBD uri.md): `nbd://host[:port]/export` and `nbd+unix:///export?socket=/path`; `nbds` asks for TLS.
 *
 * The export name is the path without its first slash, percent-decoded, so it may itself start with a slash. How TLS is
 * done is said by libnbd's parameters: tls-certificates, tls-psk-file, tls-username (or `username@` before the host),
 * tls-hostname, tls-verify-peer.
 */

import { ProtocolError, UsageError } from '../base/errors.ts';
import { NBD_DEFAULT_PORT } from './protocol/constants.ts';
import { encodeString } from './protocol/protocol-string.ts';

/** Where a server listens. */
export type NbdAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'inet'; readonly host: string; readonly port: number };

export type NbdUri = {
  readonly address: NbdAddress;
  readonly exportName: string;
  readonly tls: boolean;
  /** What an nbds URI says about its TLS; absent where it says nothing. */
  readonly tlsParameters?: TlsParameters;
};

/** How a client does TLS: with certificates unless a key file is named. */
export type TlsParameters = {
  /** Directory with ca-cert.pem and perhaps client-cert.pem and client-key.pem; the system's authorities without it. */
  readonly certificates?: string;
  /** File with pre-shared keys, a line `name:key` for each user. */
  readonly pskFile?: string;
  /** Whose key of that file is used. */
  readonly username?: string;
  /** Whom the server's certificate must name; the host of the address unless given. */
  readonly hostname?: string;
  /** False to take any certificate, even a forged one; true unless given. */
  readonly verifyPeer?: boolean;
};

const URI = /^(nbds?)(\+unix)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i;
const AUTHORITY = /^(?:\[([0-9a-f:.]+)\]|([^:@[\]]*))(?::(\d{1,5}))?$/i;
const PARAMETERS = [
  'socket',
  'tls-certificates',
  'tls-psk-file',
  'tls-username',
  'tls-hostname',
  'tls-verify-peer',
] as const;
type Parameter = (typeof PARAMETERS)[number];
type Parameters = ReadonlyMap<Parameter, string>;

/** Throws UsageError, saying what is wrong, where `text` is not an NBD URI. */
export function parseNbdUri(text: string): NbdUri {
  const match = URI.exec(text);
  if (match === null) {
    throw new UsageError(
      `'${text}' is not an NBD URI; write nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH`,
    );
  }
  const [, scheme = '', unix, authority = '', path = '', query = ''] = match;
  const at = authority.lastIndexOf('@');
  const host = authority.slice(at + 1);
  const parameters = parseQuery(query, text);
  if (at >= 0 && !parameters.has('tls-username'))
    parameters.set('tls-username', percentDecode(authority.slice(0, at), text));
  const address = unix === undefined ? inetAddress(host, parameters, text) : unixAddress(host, parameters, text);
  const tls = scheme.toLowerCase() === 'nbds';
  const tlsParameters = tlsParametersOf(parameters, text);
  if (tlsParameters === null) return { address, exportName: exportNameOf(path, text), tls };
  if (!tls) throw new UsageError(`'${text}' says how to use TLS and does not ask for it; write nbds instead of nbd`);
  return { address, exportName: exportNameOf(path, text), tls, tlsParameters };
}

/** The URI that `parseNbdUri` reads as `uri`. */
export function formatNbdUri(uri: NbdUri): string {
  const scheme = uri.tls ? 'nbds' : 'nbd';
  const name = encodePath(uri.exportName);
  const { certificates, pskFile, username, hostname, verifyPeer } = uri.tlsParameters ?? {};
  const query = [
    uri.address.kind === 'unix' ? `socket=${encodePath(uri.address.path)}` : null,
    certificates === undefined ? null : `tls-certificates=${encodePath(certificates)}`,
    pskFile === undefined ? null : `tls-psk-file=${encodePath(pskFile)}`,
    username === undefined ? null : `tls-username=${encodeURIComponent(username)}`,
    hostname === undefined ? null : `tls-hostname=${encodeURIComponent(hostname)}`,
    verifyPeer === undefined ? null : `tls-verify-peer=${verifyPeer}`,
  ].filter(parameter => parameter !== null);
  const suffix = query.length === 0 ? '' : `?${query.join('&')}`;
  if (uri.address.kind === 'unix') return `${scheme}+unix:///${name}${suffix}`;
  const { host, port } = uri.address;
  const authority = host.includes(':') ? `[${host}]` : host;
  return `${scheme}://${authority}${port === NBD_DEFAULT_PORT ? '' : `:${port}`}/${name}${suffix}`;
}

/** `address` for people. */
export function describeNbdAddress(address: NbdAddress): string {
  if (address.kind === 'unix') return address.path;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function inetAddress(authority: string, parameters: Parameters, text: string): NbdAddress {
  const match = AUTHORITY.exec(authority);
  const port = match?.[3] === undefined ? NBD_DEFAULT_PORT : Number(match[3]);
  if (match === null || port < 1 || port > 65535) {
    throw new UsageError(`'${authority}' in '${text}' is not HOST or HOST:PORT with a port from 1 to 65535`);
  }
  if (parameters.has('socket')) {
    throw new UsageError(`'${text}' names a host and a socket; write nbd+unix:///EXPORT?socket=PATH for a socket`);
  }
  return { kind: 'inet', host: match[1] ?? (match[2] || 'localhost'), port };
}

function unixAddress(authority: string, parameters: Parameters, text: string): NbdAddress {
  const path = parameters.get('socket') ?? '';
  if (authority !== '' || path === '') {
    throw new UsageError(`'${text}' lacks the path of its socket; write nbd+unix:///EXPORT?socket=PATH`);
  }
  return { kind: 'unix', path };
}

function tlsParametersOf(parameters: Parameters, text: string): TlsParameters | null {
  const certificates = parameters.get('tls-certificates');
  const pskFile = parameters.get('tls-psk-file');
  const username = parameters.get('tls-username');
  const hostname = parameters.get('tls-hostname');
  const verifyPeer = parameters.get('tls-verify-peer');
  const given: TlsParameters = {
    ...(certificates === undefined ? {} : { certificates }),
    ...(pskFile === undefined ? {} : { pskFile }),
    ...(username === undefined ? {} : { username }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(verifyPeer === undefined ? {} : { verifyPeer: parseBoolean(verifyPeer, text) }),
  };
  if (certificates !== undefined && pskFile !== undefined) {
    throw new UsageError(`'${text}' names certificates and pre-shared keys; TLS uses one of them`);
  }
  return Object.keys(given).length === 0 ? null : given;
}

function parseBoolean(value: string, text: string): boolean {
  if (/^(?:true|t|yes|y|on|1)$/i.test(value)) return true;
  if (/^(?:false|f|no|n|off|0)$/i.test(value)) return false;
  throw new UsageError(`tls-verify-peer in '${text}' is true or false, not '${value}'`);
}

function parseQuery(query: string, text: string): Map<Parameter, string> {
  const parameters = new Map<Parameter, string>();
  for (const part of query.split('&').filter(part => part !== '')) {
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    const key = PARAMETERS.find(known => known === name);
    if (key === undefined) {
      throw new UsageError(`Parameter '${name}' in '${text}' is unknown; known are ${PARAMETERS.join(', ')}`);
    }
    parameters.set(key, equals < 0 ? '' : percentDecode(part.slice(equals + 1), text));
  }
  return parameters;
}

function exportNameOf(path: string, text: string): string {
  const name = percentDecode(path, text);
  try {
    encodeString(name, 'export name');
  } catch (error) {
    if (error instanceof ProtocolError) throw new UsageError(`'${text}': ${error.message}`, { cause: error });
    throw error;
  }
  return name;
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** Unlike a form's query, a `+` stands for itself. */
function percentDecode(part: string, text: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new UsageError(`'${text}' has a % that is not followed by two digits of UTF-8`, { cause });
  }
}
