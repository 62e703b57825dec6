/** `colobus serve`: an NBD server for one image. */

import { Command } from 'commander';
import { UsageError } from '../base/errors.ts';
import { ColobusDaemon } from '../daemon/colobus-daemon.ts';
import { drivers } from '../drivers/index.ts';
import { portOf, type SocketAddress } from '../monitor/socket-address.ts';
import { createLogger, type LogLevel } from './logging.ts';
import { CliError } from './report-error.ts';
import { runDaemon } from './run-daemon.ts';

const DEFAULT_PORT = '10809';
const DEFAULT_HOST = '127.0.0.1';
const SEE_HELP = "see 'colobus serve --help'";

type ServeOptions = {
  readonly socket?: string;
  readonly port?: string;
  readonly host?: string;
  readonly export: string;
  readonly description?: string;
  readonly readOnly?: true;
  readonly forceShare?: true;
  readonly maxConnections?: string;
  readonly logLevel: LogLevel;
};

export function serveCommand(): Command {
  return new Command('serve')
    .summary('serve one image over NBD')
    .description('Serves IMAGE, a raw image file or block device, over NBD and prints its URI once it listens.')
    .argument('<image>', 'raw image file or block device')
    .option('--socket <path>', 'listen on a unix socket')
    .option('--port <n>', `listen on a TCP port, 0 for any free one (default: ${DEFAULT_PORT} without --socket)`)
    .option('--host <address>', `address of the port (default: ${DEFAULT_HOST})`)
    .option('--export <name>', 'name that clients ask for', '')
    .option('--description <text>', 'description that clients are shown')
    .option('--read-only', 'refuse writes')
    .option('--force-share', 'read the image even while another process uses it; implies --read-only')
    .option('--max-connections <n>', 'most clients at once')
    .action(async (image: string, _options: unknown, command: Command) => {
      await serve(image, command.optsWithGlobals<ServeOptions>());
    });
}

async function serve(image: string, options: ServeOptions): Promise<void> {
  const daemon = new ColobusDaemon({ drivers, logger: createLogger(options.logLevel) });
  await runDaemon(daemon, async () => {
    const uri = await start(daemon, image, options).catch(cause => {
      throw new CliError(cause, `colobus serve ${image}`, SEE_HELP);
    });
    process.stdout.write(`${uri}\n`);
  });
}

/** Opens the image, listens, and returns the URI of the export. */
async function start(daemon: ColobusDaemon, image: string, options: ServeOptions): Promise<string> {
  const address = addressOf(options);
  const maxConnections = maxConnectionsOf(options);
  const readOnly = options.readOnly === true || options.forceShare === true;
  await daemon.graph.add({
    driver: 'file',
    'node-name': 'image',
    filename: image,
    'read-only': readOnly,
    'force-share': options.forceShare === true,
  });
  const server = await daemon.exports.startServer(address, { maxConnections });
  await daemon.exports.add({
    id: 'serve',
    nodeName: 'image',
    name: options.export,
    writable: !readOnly,
    ...(options.description === undefined ? {} : { description: options.description }),
  });
  return server.uri(options.export);
}

function addressOf(options: ServeOptions): SocketAddress {
  if (options.socket !== undefined) {
    if (options.port !== undefined || options.host !== undefined) {
      throw new UsageError('--socket excludes --port and --host; give one of them');
    }
    return { path: options.socket };
  }
  const port = portOf(options.port ?? DEFAULT_PORT);
  if (port === null) throw new UsageError(`Port '${options.port}' is not a number from 0 to 65535; choose one`);
  return { host: options.host ?? DEFAULT_HOST, port };
}

function maxConnectionsOf({ maxConnections }: ServeOptions): number {
  if (maxConnections === undefined) return 0;
  if (!/^[1-9]\d{0,5}$/.test(maxConnections)) {
    throw new UsageError(`--max-connections '${maxConnections}' is not a number; give one from 1 to 999999`);
  }
  return Number(maxConnections);
}
