/** PairLayout: names, paths and command lines of a ColobusPair. */

import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeDefinition } from '../../src/block/driver.ts';
import { formatNbdUri, type NbdAddress } from '../../src/nbd/uri.ts';
import type { ColobusPairOptions } from './colobus-pair.ts';
import { escapeCommas } from './daemon.ts';

const LOOPBACK = '127.0.0.1';

export type PairDisk = {
  /** The replicated disk, for the guest. */
  readonly rootUri: string;
  /** The standby's stable view, writable. */
  readonly viewUri: string;
  readonly primaryImage: string;
  readonly secondaryImage: string;
};

export class PairLayout {
  readonly #options: ColobusPairOptions;
  readonly #indexes: readonly number[];

  constructor(options: ColobusPairOptions) {
    this.#options = options;
    this.#indexes = Array.from({ length: options.disks ?? 1 }, (_, index) => index);
  }

  /** The disks of a pair whose secondary listens on `port` where its link is TCP. */
  disks(port: number | null): readonly PairDisk[] {
    const primary: NbdAddress = { kind: 'unix', path: this.#primarySocket };
    const secondary = this.#secondaryAddress(port);
    const tls = this.#options.tlsDirectory !== undefined;
    return this.#indexes.map(index => ({
      rootUri: formatNbdUri({ address: primary, exportName: `root${index}`, tls: false }),
      viewUri: formatNbdUri({ address: secondary, exportName: `view${index}`, tls }),
      primaryImage: this.#image('primary', index),
      secondaryImage: this.#image('secondary', index),
    }));
  }

  async createImages(): Promise<void> {
    const { sizeBytes } = this.#options;
    for (const index of this.#indexes) {
      await createImage(this.#image('primary', index), sizeBytes);
      await createImage(this.#image('secondary', index), sizeBytes);
    }
  }

  secondaryArgs(): string[] {
    const args = [...this.#credentials('server'), '--nbd-server', this.#secondaryListens()];
    for (const index of this.#indexes) {
      const file = { driver: 'file', filename: this.#image('secondary', index) };
      args.push(...blockdev({ ...(this.#options.secondaryDisk?.(file, index) ?? file), 'node-name': `disk${index}` }));
      const buffer = { driver: 'colo-buffer', 'node-name': `buffer${index}`, backing: `disk${index}` };
      args.push(...blockdev({ ...buffer, ...this.#options.buffer }));
      args.push('--export', `nbd,id=replica${index},node-name=disk${index},name=replica${index},writable=on`);
      args.push('--export', `nbd,id=view${index},node-name=buffer${index},name=view${index},writable=on`);
    }
    return args;
  }

  primaryArgs(port: number | null): string[] {
    const { tlsDirectory } = this.#options;
    const args = [...this.#credentials('client'), '--nbd-server', `addr.type=unix,addr.path=${this.#primarySocket}`];
    const { kind, ...place } = this.#secondaryAddress(port);
    const tls = tlsDirectory === undefined ? {} : { 'tls-creds': 'tls0' };
    for (const index of this.#indexes) {
      const file = { driver: 'file', filename: this.#image('primary', index) };
      args.push(...blockdev({ ...(this.#options.primaryDisk?.(file, index) ?? file), 'node-name': `disk${index}` }));
      const server = { type: kind, ...place };
      const link = { driver: 'nbd', 'node-name': `link${index}`, server, export: `replica${index}`, ...tls };
      args.push(...blockdev({ ...link, ...this.#options.linkOptions }));
      const children = [`disk${index}`, `link${index}`];
      const root = { driver: 'replication', 'node-name': `root${index}`, children };
      args.push(...blockdev({ ...root, ...this.#options.replication }));
      args.push('--export', `nbd,id=root${index},node-name=root${index},name=root${index},writable=on`);
    }
    return args;
  }

  get #primarySocket(): string {
    return join(this.#options.directory, 'primary.nbd');
  }

  get #secondarySocket(): string {
    return join(this.#options.directory, 'secondary.nbd');
  }

  #secondaryAddress(port: number | null): NbdAddress {
    return port === null ? { kind: 'unix', path: this.#secondarySocket } : { kind: 'inet', host: LOOPBACK, port };
  }

  #secondaryListens(): string {
    const { link = 'unix', tlsDirectory } = this.#options;
    const address =
      link === 'unix'
        ? `addr.type=unix,addr.path=${this.#secondarySocket}`
        : `addr.type=inet,addr.host=${LOOPBACK},addr.port=0`;
    return tlsDirectory === undefined ? address : `${address},tls-creds=tls0`;
  }

  #credentials(endpoint: 'server' | 'client'): string[] {
    const { tlsDirectory } = this.#options;
    if (tlsDirectory === undefined) return [];
    return ['--object', `tls-creds-x509,id=tls0,dir=${escapeCommas(tlsDirectory)},endpoint=${endpoint}`];
  }

  #image(side: 'primary' | 'secondary', index: number): string {
    return join(this.#options.disksDirectory ?? this.#options.directory, `${side}${index}.img`);
  }
}

async function createImage(path: string, sizeBytes: number): Promise<void> {
  await rm(path, { force: true });
  await using file = await open(path, 'wx');
  await file.truncate(sizeBytes);
}

function blockdev(definition: NodeDefinition): [string, string] {
  return ['--blockdev', JSON.stringify(definition)];
}
