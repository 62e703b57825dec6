/** SocketAddress: where a server of the daemon listens, as QEMU's SocketAddress and SocketAddressLegacy describe it. */

import * as z from 'zod';
import { describedAs } from '../block/qapi-types.ts';

/** A path that begins with NUL is an abstract name, without a file. */
export type SocketAddress = { readonly path: string } | InetAddress | { readonly fd: number };

export type InetAddress = {
  readonly host: string;
  readonly port: number;
  /** Where `port` is in use, the next ones up to this are tried. */
  readonly lastPort?: number;
};

/** What sockaddr_un has room for. */
const MAX_NAME_BYTES = 108;
const EVERY_ADDRESS = { 4: '0.0.0.0', 6: '::' } as const;
const LOCALHOST = { 4: '127.0.0.1', 6: '::1' } as const;

const port = z.string().refine(text => portOf(text) !== null, {
  error: issue => `'${issue.input}' is not a port from 0 to 65535`,
});
/** Digits, as QEMU has it; a number is accepted too. */
const lenientPort = z.union([port, z.int()], { error: 'expected: string' }).refine(given => portOf(given) !== null, {
  error: issue => `'${issue.input}' is not a port from 0 to 65535`,
});

const withoutEffect = 'accepted for scripts, without effect';
const INET = {
  host: z.string().describe('name or address to listen on; empty for all of this host'),
  to: z.int().min(0).max(65535).optional().describe('last port to try where `port` is in use'),
  ipv4: z.boolean().optional().describe('true: IPv4 alone, unless ipv6 is true too'),
  ipv6: z.boolean().optional().describe('true: IPv6 alone, unless ipv4 is true too'),
  numeric: z.boolean().optional().describe(withoutEffect),
  'keep-alive': z.boolean().optional().describe(withoutEffect),
  mptcp: z.boolean().optional().describe(withoutEffect),
};
const UNIX = {
  path: z.string().describe('path of a unix socket, of at most 107 bytes'),
  abstract: z.boolean().optional().describe('the path is a name in the abstract namespace'),
  tight: z.boolean().optional().describe('false: the abstract name is filled up with zero bytes'),
};
const FD = {
  str: z
    .string()
    .regex(/^\d{1,9}$/, 'is not the number of a file descriptor')
    .describe('number of a descriptor that listens; on the command line only'),
};

/** The form of QEMU's nbd-server-start. */
const LEGACY = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('unix').describe('kind of socket'), data: z.strictObject(UNIX) }),
  z.strictObject({
    type: z.literal('inet'),
    data: z.strictObject({ ...INET, port: port.describe('digits; 0 leaves the choice to the system') }),
  }),
  z.strictObject({ type: z.literal('fd'), data: z.strictObject(FD) }),
]);

/** The form of QEMU's options and of its newer commands. */
const FLAT = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('unix'), ...UNIX }),
  z.strictObject({ type: z.literal('inet'), ...INET, port: lenientPort }),
  z.strictObject({ type: z.literal('fd'), ...FD }),
]);

/** As the command line has it: `{type, path}`, `{type, host, port}` or `{type, str}`. */
export const FLAT_SOCKET_ADDRESS: z.ZodType<SocketAddress> = FLAT.transform(toAddress);

/** As QMP has it, with all but the type inside `data`; without `data` it is accepted too. */
export const SOCKET_ADDRESS: z.ZodType<SocketAddress> = describedAs(
  LEGACY,
  z.unknown().transform((given, context): SocketAddress => {
    const form = isLegacy(given) ? LEGACY : FLAT;
    const checked = form.safeParse(given, { reportInput: true });
    if (!checked.success) {
      for (const issue of checked.error.issues) context.issues.push({ ...issue } as z.core.$ZodRawIssue);
      return z.NEVER;
    }
    return toAddress('data' in checked.data ? checked.data.data : checked.data);
  }),
);

/** True for what has `data`, and for what has nothing but a type, since QEMU misses `data` there. */
function isLegacy(given: unknown): boolean {
  if (typeof given !== 'object' || given === null) return false;
  return 'data' in given || Object.keys(given).every(member => member === 'type');
}

/** For people: a path, `host:port`, or the number of a descriptor. */
export function formatAddress(address: SocketAddress): string {
  if ('fd' in address) return `descriptor ${address.fd}`;
  if ('path' in address) return address.path.startsWith('\0') ? `@${address.path.slice(1)}` : address.path;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** The port that `text` spells, or null. */
export function portOf(text: string | number): number | null {
  const number = /^\d{1,5}$/.test(String(text)) ? Number(text) : Number.NaN;
  return number <= 65535 ? number : null;
}

type Inet = {
  readonly host: string;
  readonly port: string | number;
  readonly to?: number | undefined;
  readonly ipv4?: boolean | undefined;
  readonly ipv6?: boolean | undefined;
};

type Unix = { readonly path: string; readonly abstract?: boolean | undefined; readonly tight?: boolean | undefined };

function toAddress(given: Inet | Unix | { readonly str: string }): SocketAddress {
  if ('str' in given) return { fd: Number(given.str) };
  return 'path' in given ? toUnix(given) : toInet(given);
}

/** The address of these options; no host means every address of this host. */
export function toInet({ host, port: given, to, ipv4, ipv6 }: Inet): InetAddress {
  const version = ipv4 === ipv6 ? null : ipv4 === true || ipv6 === false ? 4 : 6;
  let address = host === '' ? EVERY_ADDRESS[version ?? 6] : host;
  if (host === 'localhost' && version !== null) address = LOCALHOST[version];
  return { host: address, port: portOf(given) ?? 0, ...(to === undefined ? {} : { lastPort: to }) };
}

/** The path, or the abstract name, which is filled up with NULs where it is not `tight`. */
export function toUnix({ path, abstract = false, tight = true }: Unix): { readonly path: string } {
  if (!abstract) return { path };
  return { path: tight ? `\0${path}` : `\0${path}`.padEnd(MAX_NAME_BYTES, '\0') };
}
