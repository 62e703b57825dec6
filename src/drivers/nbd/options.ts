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

const accepted =
  "accepted as QEMU's scripts give it: a name is looked up in both versions of IP, and connections are kept alive";

const socketAddress = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('inet').describe('kind of socket'),
    host: z.string().min(1).describe('name or address'),
    port: port.describe('TCP port'),
    numeric: z.boolean().optional().describe(accepted),
    to: z.int().optional().describe(accepted),
    ipv4: z.boolean().optional().describe(accepted),
    ipv6: z.boolean().optional().describe(accepted),
    'keep-alive': z.boolean().optional().describe(accepted),
    mptcp: z.boolean().optional().describe(accepted),
  }),
  z.strictObject({
    type: z.literal('unix'),
    path: z.string().min(1).describe('path of the socket'),
    abstract: z.literal(false).optional().describe('must be false: the path is one of the file system'),
    tight: z.boolean().optional().describe("accepted as QEMU's scripts give it"),
  }),
]);

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
  server: server.describe('where the server is; the address may also stand below `data`'),
  export: z.string().max(NBD_MAX_STRING_BYTES).default('').describe('name of the export'),
  'tls-creds': z.string().min(1).optional().describe('id of TLS credentials of a client: encrypts the connection'),
  'tls-hostname': z
    .string()
    .min(1)
    .optional()
    .describe("whom the server's certificate must name; the host of `server` if left out"),
  connections: z
    .int()
    .min(1)
    .max(MAX_CONNECTIONS)
    .default(1)
    .describe('how many to open where the server allows several, 1 to 16'),
  'reconnect-delay': seconds
    .min(0)
    .default(0)
    .describe('seconds for which requests wait for a lost connection to come back; 0 never connects again'),
  'open-timeout': seconds
    .min(0)
    .default(0)
    .describe('seconds for which it tries to connect; 0 tries once, for at most 10 seconds'),
  'request-timeout': timeoutMs.default(5000).describe('milliseconds for every request but a flush'),
  'flush-timeout': timeoutMs.default(30_000).describe('milliseconds for a flush'),
});
