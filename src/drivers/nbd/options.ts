/** Options of the `nbd` driver, as QEMU's blockdev-add takes them. */

import * as z from 'zod';
import { MAX_CONNECTIONS } from '../../nbd/client/connection-group.ts';
import { NBD_MAX_STRING_BYTES } from '../../nbd/protocol/constants.ts';
import type { NbdAddress } from '../../nbd/uri.ts';

/** QEMU writes ports as strings. */
const port = z
  .union([z.int(), z.string()])
  .refine(given => /^\d{1,5}$/.test(String(given)) && Number(given) >= 1 && Number(given) <= 65535, {
    error: 'a port is a number from 1 to 65535',
  })
  .transform(Number);

/** QEMU's older form has the address below `data`. */
const unnested = (given: unknown): unknown => {
  const nested = z.strictObject({ type: z.string(), data: z.looseObject({}) }).safeParse(given);
  return nested.success ? { ...nested.data.data, type: nested.data.type } : given;
};

const socketAddress = z.discriminatedUnion(
  'type',
  [
    z.strictObject({
      type: z.literal('inet'),
      host: z.string().min(1),
      port,
      /** As QEMU's scripts give them: a name is looked up in both versions of IP, and connections are kept alive. */
      numeric: z.boolean().optional(),
      to: z.int().optional(),
      ipv4: z.boolean().optional(),
      ipv6: z.boolean().optional(),
      'keep-alive': z.boolean().optional(),
      mptcp: z.boolean().optional(),
    }),
    z.strictObject({
      type: z.literal('unix'),
      path: z.string().min(1),
      abstract: z.literal(false).optional(),
      tight: z.boolean().optional(),
    }),
  ],
  { error: issue => (issue.code === 'invalid_union' ? 'an address is of type inet or unix' : undefined) },
);

const server = z
  .preprocess(unnested, socketAddress)
  .transform(
    (given): NbdAddress =>
      given.type === 'inet' ? { kind: 'inet', host: given.host, port: given.port } : { kind: 'unix', path: given.path },
  );

export type NbdOptions = {
  readonly server: NbdAddress;
  readonly export: string;
  /** An object of kind tls-creds-x509 or tls-creds-psk for a client. */
  readonly 'tls-creds'?: string | undefined;
  /** Whom the server's certificate must name; the host of `server` unless given. */
  readonly 'tls-hostname'?: string | undefined;
  /** Connections to open, 1 to 16, where the server allows several. */
  readonly connections: number;
  /** Seconds for which requests wait for a lost connection to come back; 0 never connects again. */
  readonly 'reconnect-delay': number;
  /** Seconds for which connecting is tried again; 0 tries once, for 10 seconds at most. */
  readonly 'open-timeout': number;
  /** Milliseconds for every request but a flush. */
  readonly 'request-timeout': number;
  /** Milliseconds for a flush. */
  readonly 'flush-timeout': number;
};

const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const seconds = z.int().max(MAX_TIMEOUT_MS / 1000);
const timeoutMs = z.int().min(1).max(MAX_TIMEOUT_MS);

export const nbdOptions: z.ZodType<NbdOptions> = z.strictObject({
  server,
  export: z.string().max(NBD_MAX_STRING_BYTES).default(''),
  'tls-creds': z.string().min(1).optional(),
  'tls-hostname': z.string().min(1).optional(),
  connections: z.int().min(1).max(MAX_CONNECTIONS).default(1),
  'reconnect-delay': seconds.min(0).default(0),
  'open-timeout': seconds.min(0).default(0),
  'request-timeout': timeoutMs.default(5000),
  'flush-timeout': timeoutMs.default(30_000),
});
