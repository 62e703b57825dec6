/** SocketAddress: where a server of the daemon listens, in QEMU's flat form and in the older one with `data`. */

import * as z from 'zod';

export type SocketAddress = { readonly path: string } | { readonly host: string; readonly port: number };

const FLAT = z.strictObject({
  type: z.enum(['unix', 'inet']),
  path: z.string().optional(),
  host: z.string().optional(),
  /** Digits, as QEMU has it; a number is accepted too. */
  port: z.union([z.string(), z.number()]).optional(),
});

/** Accepts `{type, path}`, `{type, host, port}` and the same inside `data`. */
export const SOCKET_ADDRESS: z.ZodType<SocketAddress> = z.preprocess(
  flatten,
  FLAT.superRefine((address, context) => {
    const needed = address.type === 'unix' ? (['path'] as const) : (['host', 'port'] as const);
    for (const member of needed) {
      if (address[member] === undefined) {
        context.addIssue({ code: 'invalid_type', expected: 'string', input: undefined, path: [member] });
      }
    }
    if (address.port !== undefined && portOf(address.port) === null) {
      context.addIssue({ code: 'custom', message: `'${address.port}' is not a port from 0 to 65535`, path: ['port'] });
    }
  }).transform(address =>
    address.type === 'unix'
      ? { path: address.path ?? '' }
      : { host: address.host ?? '', port: portOf(address.port ?? '') ?? 0 },
  ),
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

function flatten(address: unknown): unknown {
  if (typeof address !== 'object' || address === null || !('data' in address)) return address;
  const { data, ...rest } = address;
  return typeof data === 'object' && data !== null ? { ...rest, ...data } : address;
}
