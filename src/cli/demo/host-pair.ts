/**
 * HostPair: a replicated disk on two processes.
 *
 *   alpha: root (replication) → disk (file), link (nbd)            exports root
 *   beta:  buffer (colo-buffer) → disk (file)                      exports replica (disk) and view (buffer)
 */

import { join } from 'node:path';
import type { NodeDefinition } from '../../block/driver.ts';
import type { NbdAddress } from '../../nbd/client/index.ts';
import { HostProcess } from './host-process.ts';

export type HostPairOptions = {
  /** An existing folder for sockets, its path short enough for them; the caller removes it. */
  readonly folder: string;
  readonly primaryImage: string;
  readonly standbyImage: string;
  /** Aborting kills both. */
  readonly signal: AbortSignal;
};

/** The names of the nodes that the replication commands take. */
export const PRIMARY_NODES: readonly string[] = ['root'];
export const SECONDARY_NODES: readonly string[] = ['buffer'];

export class HostPair implements AsyncDisposable {
  readonly alpha: HostProcess;
  readonly beta: HostProcess;
  readonly alphaAddress: NbdAddress;
  readonly betaAddress: NbdAddress;

  private constructor(alpha: HostProcess, beta: HostProcess, folder: string) {
    this.alpha = alpha;
    this.beta = beta;
    this.alphaAddress = nbdAddress(folder, 'alpha');
    this.betaAddress = nbdAddress(folder, 'beta');
  }

  /** Starts both hosts and replication, the secondary first: it must miss no write. */
  static async start(options: HostPairOptions): Promise<HostPair> {
    const { folder, signal } = options;
    const beta = await HostProcess.start({ name: 'beta', folder, args: betaArgs(options), signal });
    try {
      const alpha = await HostProcess.start({ name: 'alpha', folder, args: alphaArgs(options), signal });
      const pair = new HostPair(alpha, beta, folder);
      try {
        await beta.execute('replication-start', { nodes: SECONDARY_NODES });
        await alpha.execute('replication-start', { nodes: PRIMARY_NODES });
        return pair;
      } catch (error) {
        await alpha[Symbol.asyncDispose]();
        throw error;
      }
    } catch (error) {
      await beta[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** `work`, or an error as soon as one of the hosts ends by itself. */
  whileAlive<T>(work: Promise<T>): Promise<T> {
    return this.alpha.whileAlive(this.beta.whileAlive(work));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.alpha[Symbol.asyncDispose]();
    await this.beta[Symbol.asyncDispose]();
  }
}

function betaArgs({ folder, standbyImage }: HostPairOptions): string[] {
  return [
    ...blockdev({ driver: 'file', 'node-name': 'disk', filename: standbyImage }),
    ...blockdev({ driver: 'colo-buffer', 'node-name': 'buffer', backing: 'disk' }),
    ...nbdServer(folder, 'beta'),
    ...['--export', 'nbd,id=replica,node-name=disk,name=replica,writable=on'],
    ...['--export', 'nbd,id=view,node-name=buffer,name=view'],
  ];
}

function alphaArgs({ folder, primaryImage }: HostPairOptions): string[] {
  const server = { type: 'unix', path: nbdPath(folder, 'beta') };
  return [
    ...blockdev({ driver: 'file', 'node-name': 'disk', filename: primaryImage }),
    ...blockdev({ driver: 'nbd', 'node-name': 'link', server, export: 'replica' }),
    // Without `report` a primary that has lost its standby would go on alone, and an acknowledgement would not mean
    // that both hosts have the write.
    ...blockdev({
      driver: 'replication',
      'node-name': 'root',
      children: ['disk', 'link'],
      'on-remote-error': 'report',
    }),
    ...nbdServer(folder, 'alpha'),
    ...['--export', 'nbd,id=root,node-name=root,name=root,writable=on'],
  ];
}

function blockdev(definition: NodeDefinition): [string, string] {
  return ['--blockdev', JSON.stringify(definition)];
}

function nbdServer(folder: string, host: string): [string, string] {
  return ['--nbd-server', `addr.type=unix,addr.path=${nbdPath(folder, host)}`];
}

function nbdPath(folder: string, host: string): string {
  return join(folder, `${host}.nbd`);
}

function nbdAddress(folder: string, host: string): NbdAddress {
  return { kind: 'unix', path: nbdPath(folder, host) };
}
