/** Waiting until a server listens. */

import type { ListenOptions, Server } from 'node:net';

/** Resolves when `server` listens as `options` say; rejects with the system's error where it cannot. */
export function listening(server: Server, options: ListenOptions | { readonly fd: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

/** Listens on `port` of `host` or, where that is in use, on the next free one up to `lastPort`. */
export async function listeningOnPort(
  server: Server,
  { host, port, lastPort = port }: { readonly host: string; readonly port: number; readonly lastPort?: number },
): Promise<void> {
  for (let tried = port; ; tried++) {
    try {
      await listening(server, { host, port: tried });
      return;
    } catch (error) {
      const isInUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!isInUse || tried === 0 || tried >= lastPort) throw error;
    }
  }
}
