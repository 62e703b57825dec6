/** `--chardev`: where the clients of a monitor come from, in the words of QEMU's option. */

import { connect } from 'node:net';
import * as z from 'zod';
import { errnoOf } from '../../base/errno.ts';
import { UsageError } from '../../base/errors.ts';
import { explainOptions } from '../../block/explain-options.ts';
import { CharacterDevice } from '../../monitor/character-device.ts';
import { formatAddress, portOf, type SocketAddress, toInet, toUnix } from '../../monitor/socket-address.ts';
import { strerror } from '../../os/libc.ts';
import { openStdio } from '../stdio-stream.ts';
import { coerceStrings } from './coerce-strings.ts';
import { parseKeyValue } from './key-value.ts';
import { spellOutFlags } from './option-flags.ts';

export const CHARDEV_BACKENDS = ['null', 'socket', 'stdio'] as const;

/** What other backends of QEMU have; each is refused in words of its own. */
const OTHER_BACKENDS = ['file', 'memory', 'mux', 'parallel', 'pipe', 'pty', 'ringbuf', 'serial', 'udp', 'vc'];

const COMMON = { id: z.string(), mux: z.boolean().optional() };

const SOCKET = z.strictObject({
  ...COMMON,
  path: z.string().optional(),
  abstract: z.boolean().optional(),
  tight: z.boolean().optional(),
  host: z.string().optional(),
  port: z.string().optional(),
  to: z.int().min(0).max(65535).optional(),
  ipv4: z.boolean().optional(),
  ipv6: z.boolean().optional(),
  fd: z.string().optional(),
  server: z.boolean().optional(),
  /** Nothing waits for a client here, whatever it says: it is greeted when it comes. */
  wait: z.boolean().optional(),
  /** Small messages are never delayed. */
  delay: z.boolean().optional(),
  nodelay: z.boolean().optional(),
  reconnect: z.int().min(0).optional(),
});

const OTHER = z.strictObject({ ...COMMON, signal: z.boolean().optional() });

/** What a client would have to know of or could rely on, so that leaving it out in silence would harm. */
const NOT_THERE = ['telnet', 'tn3270', 'websocket', 'tls-creds', 'tls-authz', 'logfile', 'logappend'];

type SocketOptions = z.infer<typeof SOCKET>;

export type ChardevOption = { readonly id: string; open(): Promise<CharacterDevice> };

/** Throws UsageError where the options are wrong or ask for what is not there. */
export function parseChardev(text: string): ChardevOption {
  const { backend = 'socket', ...options } = parseKeyValue(spellOutFlags(text), 'backend');
  if (options.id === undefined) throw new UsageError('chardev: no id specified; give it an id=NAME');
  switch (backend) {
    case 'socket':
      return socketDevice(checked(SOCKET, options));
    case 'stdio': {
      const { id } = checked(OTHER, options);
      return { id, open: async () => CharacterDevice.ofStream(id, 'stdio', openStdio()) };
    }
    case 'null': {
      const { id } = checked(OTHER, options);
      return { id, open: async () => CharacterDevice.empty(id) };
    }
    default:
      throw new UsageError(
        OTHER_BACKENDS.includes(String(backend))
          ? `Chardev backend '${backend}' is not supported; a monitor speaks on a socket or stdio`
          : `'${backend}' is not a valid char driver name; it takes ${CHARDEV_BACKENDS.join(', ')}`,
      );
  }
}

function checked<Options>(schema: z.ZodType<Options>, options: object): Options {
  const missing = NOT_THERE.find(name => name in options);
  if (missing !== undefined) {
    throw new UsageError(`Parameter '${missing}' is not supported: monitors are plain sockets; leave it out`);
  }
  const result = schema.safeParse(coerceStrings(schema, options), { reportInput: true });
  if (!result.success) {
    throw new UsageError(
      explainOptions(result.error).replace(/^Parameter ('[^']*') is unexpected/, 'Invalid parameter $1'),
    );
  }
  return result.data;
}

function socketDevice(options: SocketOptions): ChardevOption {
  const { id, server = false, wait, reconnect = 0 } = options;
  const address = addressOf(options);
  if (server) {
    if (reconnect > 0) throw new UsageError("'reconnect' option is incompatible with socket in server listen mode");
    return { id, open: () => CharacterDevice.listen(id, address) };
  }
  if (wait !== undefined) {
    throw new UsageError("'wait' option is incompatible with socket in client connect mode; add server=on");
  }
  if (reconnect > 0) {
    throw new UsageError("Parameter 'reconnect' is not supported; let the other end connect to server=on");
  }
  return { id, open: () => connectTo(id, address) };
}

function addressOf({ id, path, host, port, fd, ...options }: SocketOptions): SocketAddress {
  if ([path, host, fd].filter(given => given !== undefined).length > 1) {
    throw new UsageError("None or one of 'path', 'fd' or 'host' option required.");
  }
  if (path !== undefined) return toUnix({ path, ...options });
  if (fd !== undefined) {
    if (!/^\d{1,9}$/.test(fd)) throw new UsageError(`Unable to parse FD number ${fd}`);
    return { fd: Number(fd) };
  }
  if (port === undefined) {
    throw new UsageError(
      host === undefined
        ? `Chardev '${id}' has no address; add path=PATH or host=HOST,port=PORT`
        : 'chardev: socket: no port given; add port=PORT',
    );
  }
  if (portOf(port) === null) throw new UsageError(`Port '${port}' of chardev '${id}' is not a number from 0 to 65535`);
  return toInet({ host: host ?? '', port, ...options });
}

/** The device whose one client is what listens on `address`. */
async function connectTo(id: string, address: SocketAddress): Promise<CharacterDevice> {
  if ('fd' in address) throw new UsageError(`Chardev '${id}': a descriptor is taken with server=on only`);
  const socket = connect({ ...address, allowHalfOpen: true });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject)).catch(cause => {
    const where = formatAddress(address);
    throw new UsageError(`Failed to connect to '${where}': ${strerror(errnoOf(cause))}; start what listens there`, {
      cause,
    });
  });
  socket.pause();
  return CharacterDevice.ofStream(id, `${'path' in address ? 'unix' : 'tcp'}:${formatAddress(address)}`, socket);
}
