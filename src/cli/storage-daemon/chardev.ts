/** `--chardev`: a socket that a monitor listens on. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { explainOptions } from '../../block/explain-options.ts';
import { portOf, type SocketAddress } from '../../monitor/socket-address.ts';
import { coerceStrings } from './coerce-strings.ts';

const OPTIONS = z.strictObject({
  backend: z.enum(['socket']),
  id: z.string(),
  path: z.string().optional(),
  host: z.string().optional(),
  port: z.string().optional(),
  server: z.boolean().optional(),
  /** Nothing waits for a client here, whatever it says. */
  wait: z.boolean().optional(),
});

export type Chardev = { readonly id: string; readonly address: SocketAddress };

/** The chardev that `options`, strings from the command line, describe. Throws UsageError. */
export function parseChardev(options: object): Chardev {
  const checked = OPTIONS.safeParse(coerceStrings(OPTIONS, options), { reportInput: true });
  if (!checked.success) throw new UsageError(explainOptions(checked.error));
  const { id, path, host, port, server } = checked.data;
  if (server !== true)
    throw new UsageError(`Chardev '${id}' would connect to somebody; a monitor listens, so add server=on`);
  if (path !== undefined) return { id, address: { path } };
  if (port === undefined) throw new UsageError(`Chardev '${id}' has no address; add path=PATH or host=HOST,port=PORT`);
  const number = portOf(port);
  if (number === null) throw new UsageError(`Port '${port}' of chardev '${id}' is not a number from 0 to 65535`);
  return { id, address: { host: host ?? '127.0.0.1', port: number } };
}
