/** `colobus serve`: an NBD server for one image. */

import { Command, Option } from 'commander';
import { UsageError } from '../base/errors.ts';
import { ColobusDaemon } from '../daemon/colobus-daemon.ts';
import { drivers } from '../drivers/index.ts';
import { portOf } from '../monitor/socket-address.ts';
import type { NbdPlace } from '../nbd/server/nbd-server.ts';
import type { LogLevel } from './log-level.ts';
import { createLogger } from './logging.ts';
import { CliError } from './report-error.ts';
import { runDaemon } from './run-daemon.ts';
import { type ServeTlsOptions, tlsPolicyOf } from './serve-tls.ts';
import { takeActivatedSocket } from './socket-activation.ts';
import { openStdio } from './stdio-stream.ts';

const DEFAULT_PORT = '10809';
const DEFAULT_HOST = '127.0.0.1';
const SEE_HELP = "see 'colobus serve --help'";

type ServeOptions = ServeTlsOptions & {
  readonly socket?: string;
  readonly port?: string;
  readonly host?: string;
  readonly export: string;
  readonly description?: string;
  readonly readOnly?: true;
  readonly forceShare?: true;
  readonly maxConnections?: string;
  readonly allow?: readonly string[];
  readonly stdio?: true;
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
    .option('--stdio', 'serve the client at standard input and output, and end with it')
    .option('--export <name>', 'name that clients ask for', '')
    .option('--description <text>', 'description that clients are shown')
    .option('--read-only', 'refuse writes')
    .option('--force-share', 'read the image even while another process uses it; implies --read-only')
    .option('--max-connections <n>', 'most clients at once')
    .addOption(
      new Option(
        '--allow <networks>',
        'where TCP clients may come from, such as 192.0.2.0/24,::1; may be repeated',
      ).argParser(appendNetworks),
    )
    .addOption(
      new Option('--tls <mode>', 'encryption; require unless given with credentials').choices([
        'off',
        'allow',
        'require',
      ]),
    )
    .option('--tls-certificates <dir>', 'directory with server-cert.pem, server-key.pem, ca-cert.pem, ca-crl.pem')
    .option('--tls-psk <file>', 'file of pre-shared keys, NAME:HEXKEY lines as psktool writes them')
    .option('--tls-verify-peer', 'ask clients for certificates that ca-cert.pem has signed')
    .addHelpText('after', '\nA socket that systemd passes (LISTEN_PID, LISTEN_FDS=1) is used in place of any of these.')
    .action(async (image: string, _options: unknown, command: Command) => {
      await serve(image, command.optsWithGlobals<ServeOptions>());
    });
}

async function serve(image: string, options: ServeOptions): Promise<void> {
  const daemon = new ColobusDaemon({ drivers, logger: createLogger(options.logLevel) });
  await runDaemon(daemon, async () => {
    await start(daemon, image, options).catch(cause => {
      throw new CliError(cause, `colobus serve ${image}`, SEE_HELP);
    });
  });
}

/** Opens the image, and only then listens and says where, or turns to the client that is there. */
async function start(daemon: ColobusDaemon, image: string, options: ServeOptions): Promise<void> {
  const place = takeActivatedSocket(process.env, process.pid) ?? placeOf(options);
  const tls = await tlsPolicyOf(options, daemon.logger);
  const maxConnections = maxConnectionsOf(options);
  const readOnly = options.readOnly === true || options.forceShare === true;
  await daemon.graph.add({
    driver: 'file',
    'node-name': 'image',
    filename: image,
    'read-only': readOnly,
    'force-share': options.forceShare === true,
  });
  const server = await daemon.exports.startServer(null, {
    maxConnections,
    ...(tls === null ? {} : { tls }),
    ...(options.allow === undefined ? {} : { allow: options.allow }),
    receiveMode: place === null ? 'copy' : 'in-place',
  });
  daemon.exports.add({
    id: 'serve',
    nodeName: 'image',
    name: options.export,
    writable: !readOnly,
    ...(options.description === undefined ? {} : { description: options.description }),
  });
  if (place === null) {
    void server.attach(openStdio()).then(() => daemon.quit());
  } else {
    await server.listenAt(place);
    // Who asked for standard output gets nothing else there, even where systemd's socket is used in its place.
    if (options.stdio !== true) process.stdout.write(`${server.uri(options.export)}\n`);
  }
}

function appendNetworks(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...text.split(',')];
}

/** Where the options say to listen; null for the client at standard input and output. */
function placeOf(options: ServeOptions): NbdPlace | null {
  if (options.stdio === true) {
    if (options.socket !== undefined || options.port !== undefined || options.host !== undefined) {
      throw new UsageError('--stdio excludes --socket, --port and --host; give one of them');
    }
    return null;
  }
  if (options.socket !== undefined) {
    if (options.port !== undefined || options.host !== undefined) {
      throw new UsageError('--socket excludes --port and --host; give one of them');
    }
    if (options.allow !== undefined) {
      throw new UsageError('--allow is about TCP clients and a unix socket has none; leave one of them out');
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
    throw new UsageError(`--max-connections '${maxConnections}' is not a number from 1 to 999999; give one`);
  }
  return Number(maxConnections);
}
