/** SocketAddress: where a server of the daemon listens, in QEMU's flat form and in the older one with `data`. */

import * as z from 'zod';
import { describedAs } from '../block/qapi-types.ts';

export type SocketAddress = { readonly path: string } | { readonly host: string; readonly port: number };

const path = z.string().describe('path of a unix socket, of at most 107 bytes');
const host = z.string().describe('name or address to listen on');
const port = z.string().refine(text => portOf(text) !== null, {
  error: issue => `'${issue.input}' is not a port from 0 to 65535`,
});
/** Digits, as QEMU has it; a number is accepted too. */
const lenientPort = z.union([port, z.int()], { error: 'expected: string' }).refine(given => portOf(given) !== null, {
  error: issue => `'${issue.input}' is not a port from 0 to 65535`,
});

/** The form of QEMU's nbd-server-start. */
const LEGACY = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('unix').describe('kind of socket'), data: z.strictObject({ path }) }),
  z.strictObject({
    type: z.literal('inet'),
    data: z.strictObject({ host, port: port.describe('digits; 0 leaves the choice to the system') }),
  }),
]);

/** The form of QEMU's options and of its newer commands. */
const FLAT = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('unix'), path }),
  z.strictObject({ type: z.literal('inet'), host, port: lenientPort }),
]);

/** Accepts `{type, path}`, `{type, host, port}` and the same inside `data`. */
export const SOCKET_ADDRESS: z.ZodType<SocketAddress> = describedAs(
  LEGACY,
  z.unknown().transform((given, context): SocketAddress => {
    const form = typeof given === 'object' && given !== null && 'data' in given ? LEGACY : FLAT;
    const checked = form.safeParse(given, { reportInput: true });
    if (!checked.success) {
      for (const issue of checked.error.issues) context.issues.push({ ...issue } as z.core.$ZodRawIssue);
      return z.NEVER;
    }
    const address = 'data' in checked.data ? checked.data.data : checked.data;
    return 'path' in address ? { path: address.path } : { host: address.host, port: portOf(address.port) ?? 0 };
  }),
);

/** For people: a path, or `host:port`. */
export function formatAddress(address: SocketAddress): string {
  if ('path' in address) return address.path;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** The port that `text` spells, or null. */
export function portOf(text: string | number): number | null {
  const port = /^\d{1,5}$/.test(String(text)) ? Number(text) : Number.NaN;
  return port <= 65535 ? port : null;
}
