/**
 * UserObjects: what an operator keeps under a name for servers and nodes to use: TLS credentials,
 * secrets and throttle groups.
 *
 * Options and their meaning are those of QEMU's object-add. A secret opens the encrypted key of a certificate.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { Clock } from '../base/clock.ts';
import { ENOENT, errnoOf } from '../base/errno.ts';
import { messageOf, UsageError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { ThrottleGroup } from '../drivers/throttle/throttle-group.ts';
import {
  limitProperties,
  limitsOfProperties,
  type ThrottleLimits,
  throttleLimits,
} from '../drivers/throttle/throttle-limits.ts';
import { loadPskFile } from '../nbd/tls/psk-file.ts';
import { expectEndpoint, type TlsCredentials, type TlsEndpoint } from '../nbd/tls/tls-credentials.ts';
import { loadX509Directory } from '../nbd/tls/x509-directory.ts';

const OBJECT_ID = /^[A-Za-z][A-Za-z0-9._-]*$/;
const MAX_OBJECTS = 256;
/** QEMU's name of the key file in the directory of tls-creds-psk. */
const PSK_FILE = 'keys.psk';

export type X509Definition = {
  readonly 'qom-type': 'tls-creds-x509';
  readonly id: string;
  /** Directory with the files that x509-directory.ts names. */
  readonly dir: string;
  readonly endpoint: TlsEndpoint;
  readonly 'verify-peer': boolean;
  /** Id of a secret that opens the key. */
  readonly passwordid?: string | undefined;
  /** Accepted as QEMU's scripts give it: certificates are always checked for what TLS itself needs of them. */
  readonly 'sanity-check'?: boolean | undefined;
};

export type PskDefinition = {
  readonly 'qom-type': 'tls-creds-psk';
  readonly id: string;
  /** Directory with the file keys.psk. */
  readonly dir: string;
  readonly endpoint: TlsEndpoint;
  /** Whose key a client uses. */
  readonly username?: string | undefined;
};

export type SecretDefinition = {
  readonly 'qom-type': 'secret';
  readonly id: string;
  readonly data?: string | undefined;
  readonly file?: string | undefined;
  readonly format: 'raw' | 'base64';
};

export type ThrottleGroupDefinition = {
  readonly 'qom-type': 'throttle-group';
  readonly id: string;
  /** Counts more than a property of its own, such as `x-iops-total`, of the same limit. */
  readonly limits?: ThrottleLimits | undefined;
};

/** Accepted for QEMU's scripts: I/O is spread over threads without it. */
export type ThreadDefinition = { readonly 'qom-type': 'iothread' | 'main-loop'; readonly id: string };

export type ObjectDefinition =
  | X509Definition
  | PskDefinition
  | SecretDefinition
  | ThrottleGroupDefinition
  | ThreadDefinition;

const id = z.string().describe('name of the object: a letter, then letters, digits, `.`, `_` and `-`');
const endpoint = z.enum(['client', 'server']).default('client').describe('which end of connections it is for');

const withoutEffect = 'accepted for scripts, without effect';
const THREAD_OPTIONS = {
  'aio-max-batch': z.int().min(0).optional().describe(withoutEffect),
  'thread-pool-min': z.int().min(0).optional().describe(withoutEffect),
  'thread-pool-max': z.int().min(0).optional().describe(withoutEffect),
  'poll-max-ns': z.int().min(0).optional().describe(withoutEffect),
  'poll-grow': z.int().min(0).optional().describe(withoutEffect),
  'poll-shrink': z.int().min(0).optional().describe(withoutEffect),
};

export const OBJECT_DEFINITION: z.ZodType<ObjectDefinition> = z.discriminatedUnion('qom-type', [
  z.strictObject({
    'qom-type': z.literal('tls-creds-x509').describe('what it is'),
    id,
    dir: z.string().describe('folder with ca-cert.pem and the certificate and key of this end'),
    endpoint,
    'verify-peer': z.boolean().default(true).describe('whether the other end must have a certificate of the same CA'),
    passwordid: z.string().optional().describe('id of the secret that opens the key'),
    'sanity-check': z.boolean().optional().describe("accepted as QEMU's scripts give it"),
  }),
  z.strictObject({
    'qom-type': z.literal('tls-creds-psk'),
    id,
    dir: z.string().describe('folder with keys.psk'),
    endpoint,
    username: z.string().optional().describe('whose key a client uses'),
  }),
  z.strictObject({
    'qom-type': z.literal('secret'),
    id,
    data: z.string().optional().describe('the secret itself'),
    file: z.string().optional().describe('a file that holds it'),
    format: z.enum(['raw', 'base64']).default('raw').describe('how it is written'),
  }),
  z.strictObject({
    'qom-type': z.literal('throttle-group'),
    id,
    limits: throttleLimits.optional().describe('what nodes of the group may do together'),
    ...limitProperties,
  }),
  z.strictObject({ 'qom-type': z.literal('iothread'), id, ...THREAD_OPTIONS }),
  z.strictObject({ 'qom-type': z.literal('main-loop'), id, ...THREAD_OPTIONS }),
]);

type UserObject =
  | { readonly kind: 'tls-credentials'; readonly credentials: TlsCredentials }
  | { readonly kind: 'secret'; readonly secret: string }
  | { readonly kind: 'throttle-group'; readonly group: ThrottleGroup }
  | { readonly kind: 'iothread' | 'main-loop' };

export class UserObjects {
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** What uses the object of an id, for people; null where nothing does. */
  readonly #userOf: (id: string) => string | null;
  readonly #objects = new Map<string, UserObject>();

  constructor(logger: Logger, clock: Clock, userOf: (id: string) => string | null = () => null) {
    this.#logger = logger;
    this.#clock = clock;
    this.#userOf = userOf;
  }

  /** Adds an object. Throws UsageError, having changed nothing, where the id is taken or its files cannot be used. */
  async add(definition: ObjectDefinition): Promise<void> {
    const { id } = definition;
    if (!OBJECT_ID.test(id)) throw new UsageError("Parameter 'id' expects an identifier");
    if (this.#objects.size >= MAX_OBJECTS) throw new UsageError(`There are ${MAX_OBJECTS} objects; delete some`);
    this.#checkFree(id);
    const object = await this.#make(definition);
    this.#checkFree(id);
    this.#objects.set(id, object);
  }

  /** Throws UsageError where there is none, or where something uses it. */
  remove(id: string): void {
    const object = this.#objects.get(id);
    if (object === undefined) throw new UsageError(`object '${id}' not found`);
    const inUse = `object '${id}' is in use, can not be deleted`;
    if (object.kind === 'throttle-group') {
      // Nodes join and leave it by being reopened.
      if (object.group.isInUse) throw new UsageError(inUse);
    } else {
      const user = this.#userOf(id);
      if (user !== null) throw new UsageError(`${inUse}; ${user} uses it`);
    }
    this.#objects.delete(id);
  }

  /** For drivers, which know their kind: the TLS credentials, secret or throttle group called `id`, or undefined. */
  find(id: string): unknown {
    const object = this.#objects.get(id);
    switch (object?.kind) {
      case 'tls-credentials':
        return object.credentials;
      case 'secret':
        return object.secret;
      case 'throttle-group':
        return object.group;
      default:
        return undefined;
    }
  }

  /** Throws UsageError in QEMU's words where there is no iothread called `id`. */
  checkIothread(id: string): void {
    if (this.#objects.get(id)?.kind !== 'iothread') throw new UsageError(`iothread "${id}" not found`);
  }

  /** Throws UsageError in QEMU's words where `id` is not that of TLS credentials for this end of connections. */
  tlsCredentials(id: string, end: TlsEndpoint): TlsCredentials {
    const object = this.#objects.get(id);
    if (object === undefined) throw new UsageError(`No TLS credentials with id '${id}'`);
    if (object.kind !== 'tls-credentials') throw new UsageError(`Object with id '${id}' is not TLS credentials`);
    expectEndpoint(object.credentials, end);
    return object.credentials;
  }

  async #make(definition: ObjectDefinition): Promise<UserObject> {
    switch (definition['qom-type']) {
      case 'iothread':
      case 'main-loop':
        return { kind: definition['qom-type'] };
      case 'secret':
        return { kind: 'secret', secret: await readSecret(definition) };
      case 'throttle-group': {
        const limits = { ...limitsOfProperties(definition), ...definition.limits };
        return { kind: 'throttle-group', group: new ThrottleGroup(definition.id, limits, this.#clock) };
      }
      case 'tls-creds-psk': {
        const { dir, username } = definition;
        const options = { endpoint: definition.endpoint, logger: this.#logger };
        const named = username === undefined ? options : { ...options, username };
        return { kind: 'tls-credentials', credentials: await loadPskFile(join(dir, PSK_FILE), named) };
      }
      case 'tls-creds-x509': {
        const { dir, passwordid } = definition;
        const options = { endpoint: definition.endpoint, verifyPeer: definition['verify-peer'] };
        const opened = passwordid === undefined ? options : { ...options, passphrase: this.#secret(passwordid) };
        return { kind: 'tls-credentials', credentials: await loadX509Directory(dir, opened) };
      }
    }
  }

  #secret(id: string): string {
    const object = this.#objects.get(id);
    if (object === undefined) throw new UsageError(`No secret with id '${id}'`);
    if (object.kind !== 'secret') throw new UsageError(`Object with id '${id}' is not a secret`);
    return object.secret;
  }

  #checkFree(id: string): void {
    if (this.#objects.has(id))
      throw new UsageError(`attempt to add duplicate property '${id}' to object (type 'container')`);
  }
}

async function readSecretFile(file: string | undefined): Promise<string> {
  if (file === undefined) throw new UsageError("Either 'file' or 'data' must be provided");
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const why = errnoOf(cause) === ENOENT ? 'No such file or directory' : messageOf(cause);
    throw new UsageError(`Unable to read ${file}: Failed to open file “${file}”: ${why}`, { cause });
  }
}

async function readSecret({ data, file, format }: SecretDefinition): Promise<string> {
  if (data !== undefined && file !== undefined) throw new UsageError("'file' and 'data' are mutually exclusive");
  const text = data ?? (await readSecretFile(file));
  return format === 'base64' ? Buffer.from(text, 'base64').toString() : text;
}
