/** QEMU's two sides of COLO replication, set up by QMP as its docs/block-replication.txt has it. */

import { execFileSync } from 'node:child_process';
import type { QmpClient } from '../../src/monitor/index.ts';

const ROOT = 'root';

export type QemuPrimaryOptions = {
  readonly image: string;
  /** Unix socket and name of the secondary's export. */
  readonly link: { readonly path: string; readonly export: string };
  /** Where the replicated disk is exported, as `root`. */
  readonly socket: string;
};

/** A quorum of the local disk and of a forwarding replication node, not started. */
export async function setUpQemuPrimary(qmp: QmpClient, { image, link, socket }: QemuPrimaryOptions): Promise<void> {
  await qmp.execute('blockdev-add', { driver: 'raw', 'node-name': 'local', file: fileNode(image) });
  const server = { type: 'unix', path: link.path };
  await qmp.execute('blockdev-add', { driver: 'nbd', 'node-name': 'link', server, export: link.export });
  await qmp.execute('blockdev-add', { driver: 'replication', 'node-name': 'remote', mode: 'primary', file: 'link' });
  await qmp.execute('blockdev-add', quorum(['local', 'remote']));
  await qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path: socket } } });
  await exportNode(qmp, ROOT, ROOT);
}

export type QemuSecondaryOptions = {
  readonly image: string;
  /** Paths for the two overlays, which are made here. */
  readonly active: string;
  readonly hidden: string;
  readonly sizeBytes: number;
  /** Where the disk is exported as `replica`, and the standby's view as `root`. */
  readonly socket: string;
};

/** The disk, exported for the primary, below the hidden and the active overlay and the replication node; not started. */
export async function setUpQemuSecondary(qmp: QmpClient, options: QemuSecondaryOptions): Promise<void> {
  const { image, active, hidden, sizeBytes, socket } = options;
  for (const path of [active, hidden]) {
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, String(sizeBytes)]);
  }
  await qmp.execute('blockdev-add', { driver: 'raw', 'node-name': 'disk', file: fileNode(image) });
  await qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path: socket } } });
  await exportNode(qmp, 'disk', 'replica');
  await qmp.execute('blockdev-add', {
    driver: 'replication',
    'node-name': 'standby',
    mode: 'secondary',
    'top-id': ROOT,
    file: {
      driver: 'qcow2',
      file: fileNode(active),
      backing: { driver: 'qcow2', file: fileNode(hidden), backing: 'disk' },
    },
  });
  await qmp.execute('blockdev-add', quorum(['standby']));
  await exportNode(qmp, ROOT, ROOT);
}

/** Resolves when QEMU has no job any more: the take-over is complete. */
export async function qemuJobsEnded(qmp: QmpClient): Promise<void> {
  for (const query of ['query-block-jobs', 'query-jobs']) {
    while ((await qmp.execute<unknown[]>(query)).length > 0);
  }
}

function fileNode(filename: string): object {
  return { driver: 'file', filename };
}

/** A quorum called `root` as COLO has it. */
export function quorum(children: readonly string[]): object {
  return { driver: 'quorum', 'node-name': ROOT, children, 'read-pattern': 'fifo', 'vote-threshold': 1 };
}

/** Exports a node, writable; `name` is its id too. */
export async function exportNode(qmp: QmpClient, node: string, name: string): Promise<void> {
  await qmp.execute('block-export-add', { type: 'nbd', id: name, 'node-name': node, name, writable: true });
}
