/** Options of the `nbd` driver, as QEMU's blockdev-add takes them. */

import * as z from 'zod';
import { NBD_MAX_STRING_BYTES } from '../../nbd/protocol/constants.ts';
import type { NbdAddress } from '../../nbd/uri.ts';

/** QEMU writes ports as strings. */
const port = z.union([
  z.int().min(1).max(65535),
  z
    .string()
    .regex(/^\d{1,5}$/, 'a port is a number from 1 to 65535')
    .transform(Number)
    .pipe(z.int().min(1).max(65535)),
]);

const inet = { type: z.literal('inet'), host: z.string().min(1), port };
const unix = { type: z.literal('unix'), path: z.string().min(1) };
/** The older form, with the address below `data`. */
const nested = <Shape extends z.core.$ZodLooseShape>(type: string, shape: Shape) =>
  z.strictObject({ type: z.literal(type), data: z.strictObject(shape) });

const server = z.union([
  z.strictObject(inet).transform((given): NbdAddress => ({ kind: 'inet', host: given.host, port: given.port })),
  z.strictObject(unix).transform((given): NbdAddress => ({ kind: 'unix', path: given.path })),
  nested('inet', { host: inet.host, port }).transform(
    ({ data }): NbdAddress => ({ kind: 'inet', host: data.host, port: data.port }),
  ),
  nested('unix', { path: unix.path }).transform(({ data }): NbdAddress => ({ kind: 'unix', path: data.path })),
]);

export type NbdOptions = {
  readonly server: NbdAddress;
  readonly export: string;
  /** Seconds; only 0 is taken. */
  readonly 'reconnect-delay': number;
  /** Seconds for connecting and the handshake. */
  readonly 'open-timeout': number;
  /** Milliseconds for every request but a flush. */
  readonly 'request-timeout': number;
  /** Milliseconds for a flush. */
  readonly 'flush-timeout': number;
};

const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const timeoutMs = z.int().min(1).max(MAX_TIMEOUT_MS);

export const nbdOptions: z.ZodType<NbdOptions> = z.strictObject({
  server,
  export: z.string().max(NBD_MAX_STRING_BYTES).default(''),
  'reconnect-delay': z
    .int()
    .refine(
      seconds => seconds === 0,
      'only 0 is supported: a lost connection stays lost until the node is opened again',
    )
    .default(0),
  'open-timeout': z
    .int()
    .min(1)
    .max(MAX_TIMEOUT_MS / 1000)
    .default(10),
  'request-timeout': timeoutMs.default(5000),
  'flush-timeout': timeoutMs.default(30_000),
});
