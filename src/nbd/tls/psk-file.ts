/**
 * Pre-shared keys from a file as psktool (GnuTLS) writes it: a line `name:key` for each user, the key in hexadecimal.
 * A name that starts with # is hexadecimal too.
 */

import { readFile, stat } from 'node:fs/promises';
import { messageOf, UsageError } from '../../base/errors.ts';
import { type Logger, silentLogger } from '../../base/logger.ts';
import type { PskCredentials, TlsEndpoint } from './tls-credentials.ts';

export type PskOptions = {
  readonly endpoint: TlsEndpoint;
  /** Whose key a client uses; a server knows all. */
  readonly username?: string;
  /** Is warned where others than the owner may read the keys; they work all the same, as with the peers. */
  readonly logger?: Logger;
};

/** QEMU's name for a client that gives none. */
export const DEFAULT_PSK_USERNAME = 'qemu';

/** Limits of OpenSSL. */
const MAX_KEY_BYTES = 512;
const MAX_NAME_BYTES = 256;
const PRIVATE_TO_OWNER = 0o077;
const LINE = /^(#(?:[0-9a-f]{2})+|[^#:][^:]*):((?:[0-9a-f]{2})+)$/i;

/** Reads the keys of `path`. Throws UsageError naming file and line where one is not a key, or the user has none. */
export async function loadPskFile(path: string, options: PskOptions): Promise<PskCredentials> {
  const { endpoint, username = DEFAULT_PSK_USERNAME, logger = silentLogger } = options;
  const text = await readFile(path, 'utf8').catch(cause => {
    throw new UsageError(`Cannot read TLS keys '${path}': ${messageOf(cause)}; create them with psktool`, { cause });
  });
  const { mode } = await stat(path);
  if ((mode & PRIVATE_TO_OWNER) !== 0) {
    logger.warn({ path, mode: (mode & 0o777).toString(8) }, 'Others may read these TLS keys: chmod 600 the file');
  }
  const keys = parsePskFile(text, path);
  if (endpoint === 'client' && !keys.has(username)) {
    throw new UsageError(`There is no key of '${username}' in '${path}'; add one with psktool or name another user`);
  }
  return { kind: 'psk', endpoint, keys, username };
}

/** The keys by name. `path` is for error texts, which never repeat a key. */
export function parsePskFile(text: string, path: string): ReadonlyMap<string, Buffer> {
  const keys = new Map<string, Buffer>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === '') continue;
    const [, name = '', hex = ''] = LINE.exec(line) ?? [];
    const username = name.startsWith('#') ? Buffer.from(name.slice(1), 'hex').toString() : name;
    const key = Buffer.from(hex, 'hex');
    if (key.length === 0 || key.length > MAX_KEY_BYTES || Buffer.byteLength(username) > MAX_NAME_BYTES) {
      throw new UsageError(`Line ${index + 1} of '${path}' is not NAME:KEY with a key in hexadecimal; use psktool`);
    }
    keys.set(username, key);
  }
  if (keys.size === 0) throw new UsageError(`There is no key in '${path}'; create one with psktool`);
  return keys;
}
