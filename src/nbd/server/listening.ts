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
