/** nbd-server-start: starts the daemon's NBD server. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { uint32 } from '../../block/qapi-types.ts';
import { type Command, defineCommand } from '../command.ts';
import type { MonitoredDaemon } from '../monitored-daemon.ts';
import { FLAT_SOCKET_ADDRESS, SOCKET_ADDRESS, type SocketAddress } from '../socket-address.ts';

const OPTIONS = {
  'tls-creds': z.string().optional().describe('id of TLS credentials: clients must encrypt then'),
  'tls-authz': z.string().optional().describe('refused: everybody whom the credentials trust may connect'),
  'max-connections': uint32().default(0).describe('most clients at a time; 0 leaves it to the server'),
};
const SUMMARY =
  'Starts the NBD server; a daemon has one. max-connections 0 is no limit; with tls-creds clients must encrypt';

type Options = {
  readonly addr: SocketAddress;
  readonly 'max-connections': number;
  readonly 'tls-creds'?: string | undefined;
  readonly 'tls-authz'?: string | undefined;
};

export const nbdServerStart: Command = defineCommand({
  name: 'nbd-server-start',
  summary: SUMMARY,
  arguments: z.strictObject({
    addr: SOCKET_ADDRESS.describe('where it listens; the members of `data` may also stand beside `type`'),
    ...OPTIONS,
  }),
  errors: ['`NBD server already running`', "`No TLS credentials with id 'ID'`", '`Failed to bind socket to PATH: …`'],
  run: async (options, daemon) => {
    // A monitor's client does not know the daemon's descriptors and has none of its own here.
    if ('fd' in options.addr) throw new UsageError('only QEMU supports file descriptor passing');
    await startServer(options, daemon);
  },
});

/** The same on the command line, where a descriptor is one that the daemon was started with. */
export const nbdServerOption: Command = defineCommand({
  name: 'nbd-server',
  summary: SUMMARY,
  arguments: z.strictObject({ addr: FLAT_SOCKET_ADDRESS, ...OPTIONS }),
  run: startServer,
});

async function startServer(options: Options, daemon: MonitoredDaemon): Promise<void> {
  if (daemon.exports.server !== null) throw new UsageError('NBD server already running');
  const { addr, 'max-connections': maxConnections, 'tls-creds': id } = options;
  if (options['tls-authz'] !== undefined) {
    throw new UsageError(
      "Parameter 'tls-authz' is not supported: everybody whom tls-creds trusts may connect; leave it out",
    );
  }
  const tls =
    id === undefined
      ? {}
      : { tls: { mode: 'require', credentials: daemon.objects.tlsCredentials(id, 'server') } as const, tlsObject: id };
  await daemon.exports.startServer(addr, { maxConnections, ...tls });
}
