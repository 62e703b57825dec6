/**
 * NBD URIs (NBD uri.md): `nbd://host[:port]/export` and `nbd+unix:///export?socket=/path`; `nbds` asks for TLS.
 *
 * The export name is the path without its first slash, percent-decoded, so it may itself start with a slash.
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
};

const URI = /^(nbds?)(\+unix)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i;
const AUTHORITY = /^(?:\[([0-9a-f:.]+)\]|([^:@[\]]*))(?::(\d{1,5}))?$/i;

/** Throws UsageError, saying what is wrong, where `text` is not an NBD URI. */
export function parseNbdUri(text: string): NbdUri {
  const match = URI.exec(text);
  if (match === null) {
    throw new UsageError(
      `'${text}' is not an NBD URI; write nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH`,
    );
  }
  const [, scheme = '', unix, authority = '', path = '', query = ''] = match;
  const parameters = parseQuery(query, text);
  const address =
    unix === undefined ? inetAddress(authority, parameters, text) : unixAddress(authority, parameters, text);
  return { address, exportName: exportNameOf(path, text), tls: scheme.toLowerCase() === 'nbds' };
}

/** The URI that `parseNbdUri` reads as `uri`. */
export function formatNbdUri(uri: NbdUri): string {
  const scheme = uri.tls ? 'nbds' : 'nbd';
  const name = uri.exportName.split('/').map(encodeURIComponent).join('/');
  if (uri.address.kind === 'unix') {
    return `${scheme}+unix:///${name}?socket=${uri.address.path.split('/').map(encodeURIComponent).join('/')}`;
  }
  const { host, port } = uri.address;
  const authority = host.includes(':') ? `[${host}]` : host;
  return `${scheme}://${authority}${port === NBD_DEFAULT_PORT ? '' : `:${port}`}/${name}`;
}

/** `address` for people. */
export function describeNbdAddress(address: NbdAddress): string {
  if (address.kind === 'unix') return address.path;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function inetAddress(authority: string, parameters: ReadonlyMap<string, string>, text: string): NbdAddress {
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

function unixAddress(authority: string, parameters: ReadonlyMap<string, string>, text: string): NbdAddress {
  const path = parameters.get('socket') ?? '';
  if (authority !== '' || path === '') {
    throw new UsageError(`'${text}' lacks the path of its socket; write nbd+unix:///EXPORT?socket=PATH`);
  }
  return { kind: 'unix', path };
}

function parseQuery(query: string, text: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split('&').filter(part => part !== '')) {
    const equals = part.indexOf('=');
    const key = equals < 0 ? part : part.slice(0, equals);
    if (key !== 'socket') throw new UsageError(`Parameter '${key}' in '${text}' is unknown; known is socket`);
    parameters.set(key, percentDecode(part.slice(equals + 1), text));
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

/** Unlike a form's query, a `+` stands for itself. */
function percentDecode(part: string, text: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new UsageError(`'${text}' has a % that is not followed by two digits of UTF-8`, { cause });
  }
}
