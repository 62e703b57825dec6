/** The steps of QEMU's docs/block-replication.txt on Colobus, with a colo-buffer in place of the two overlays. */

import assert from 'node:assert/strict';
import { copyFile, truncate, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { QmpClient } from '../../src/monitor/index.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { Daemon } from '../support/daemon.ts';
import { ReplicatedModel } from '../support/replicated-model.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const SIZE = 2 * 1024 * 1024;
const SEED = Date.now() % 2 ** 32;

/** Daemons with one disk each, in one folder. */
class Hosts implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly #daemons: Daemon[] = [];

  private constructor(folder: TemporaryFolder) {
    this.folder = folder;
  }

  static async create(): Promise<Hosts> {
    const folder = await TemporaryFolder.create('memory');
    for (const name of ['alpha', 'beta']) {
      await writeFile(folder.file(`${name}.img`), '');
      await truncate(folder.file(`${name}.img`), SIZE);
    }
    return new Hosts(folder);
  }

  image(name: string): string {
    return this.folder.file(`${name}.img`);
  }

  socket(name: string): string {
    return this.folder.file(`${name}.nbd`);
  }

  /** The primary: a quorum with one child, exported for the guest. */
  async primary(name: string): Promise<Daemon> {
    const quorum = 'driver=quorum,node-name=colo1,read-pattern=fifo,vote-threshold=1';
    const child = `children.0.driver=raw,children.0.file.driver=file,children.0.file.filename=${this.image(name)}`;
    const daemon = await this.#start(name, ['--blockdev', `${quorum},${child}`]);
    await serve(daemon.qmp, this.socket(name), 'colo1');
    return daemon;
  }

  /** The secondary: the disk, exported for the primary, below buffer, replication node and quorum, which the standby has. */
  async secondary(name: string): Promise<Daemon> {
    const file = `file.driver=colo-buffer,file.node-name=buffer1,file.backing=colo1`;
    const daemon = await this.#start(name, [
      ...['--blockdev', `driver=raw,node-name=colo1,file.driver=file,file.filename=${this.image(name)}`],
      ...['--blockdev', `driver=replication,node-name=childs1,mode=secondary,top-id=top-disk1,${file}`],
      ...['--blockdev', `driver=quorum,node-name=top-disk1,read-pattern=fifo,vote-threshold=1,children.0=childs1`],
    ]);
    await serve(daemon.qmp, this.socket(name), 'colo1', 'top-disk1');
    return daemon;
  }

  connect(name: string, node: string): Promise<NbdClient> {
    return NbdClient.connect(`nbd+unix:///${node}?socket=${this.socket(name)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const daemon of this.#daemons) await daemon[Symbol.asyncDispose]();
    await this.folder[Symbol.asyncDispose]();
  }

  async #start(name: string, args: readonly string[]): Promise<Daemon> {
    const daemon = await Daemon.start({ directory: this.folder.path, name, args });
    this.#daemons.push(daemon);
    return daemon;
  }
}

/** Starts the NBD server and exports `nodes` under their names. */
async function serve(qmp: QmpClient, path: string, ...nodes: readonly string[]): Promise<void> {
  await qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } });
  for (const node of nodes) {
    await qmp.execute('block-export-add', { type: 'nbd', id: node, 'node-name': node, writable: true });
  }
}

/** Adds the secondary at `path` to a primary's quorum, and starts replication on both. */
async function replicate(primary: QmpClient, parent: string, secondary: QmpClient, path: string): Promise<void> {
  const link = { driver: 'nbd', server: { type: 'unix', path }, export: 'colo1' };
  const forward = { driver: 'replication', mode: 'primary', 'node-name': 'nbd_client1', file: link };
  await primary.execute('blockdev-add', forward);
  await primary.execute('x-blockdev-change', { parent, node: 'nbd_client1' });
  await secondary.execute('xen-set-replication', { enable: true, primary: false });
  await primary.execute('xen-set-replication', { enable: true, primary: true });
}

async function checkpoint(primary: QmpClient, secondary: QmpClient): Promise<void> {
  await primary.execute('xen-colo-do-checkpoint');
  await secondary.execute('xen-colo-do-checkpoint');
}

/** The four steps of Colobus's own, by the names of the nodes that QEMU's form has. */
async function countedCheckpoint(primary: QmpClient, secondary: QmpClient, number: number): Promise<void> {
  const onPrimary = { nodes: ['nbd_client1'], checkpoint: number + 1 };
  const onSecondary = { nodes: ['childs1'], checkpoint: number + 1 };
  const { writes } = await primary.execute<{ writes: object }>('replication-checkpoint-prepare', onPrimary);
  await secondary.execute('replication-checkpoint-prepare', { ...onSecondary, writes });
  await primary.execute('replication-resume', onPrimary);
  await secondary.execute('replication-checkpoint-do', onSecondary);
}

test('set up, replicate, lose the primary, promote the secondary, and replicate to a third host', async t => {
  t.diagnostic(`seed ${SEED}`);
  await using hosts = await Hosts.create();
  const model = new ReplicatedModel(SIZE, new SeededRandom(SEED));
  const [alpha, beta] = [await hosts.primary('alpha'), await hosts.secondary('beta')];
  await replicate(alpha.qmp, 'colo1', beta.qmp, hosts.socket('beta'));
  const guest = await hosts.connect('alpha', 'colo1');
  const standby = await hosts.connect('beta', 'top-disk1');
  for (const round of [1, 2]) {
    await model.writePrimary(guest);
    await model.assertReads(standby, 'view');
    await (round === 1 ? checkpoint(alpha.qmp, beta.qmp) : countedCheckpoint(alpha.qmp, beta.qmp, round));
    model.checkpoint();
    await model.assertReads(standby, 'view');
    await model.writeStandby(standby);
  }
  await model.writePrimary(guest);
  await model.assertReads(guest, 'latest');
  assert.deepEqual(await alpha.qmp.execute('query-xen-replication-status'), { error: false });

  await alpha.kill('SIGKILL');
  await beta.qmp.execute('nbd-server-stop');
  await beta.qmp.execute('xen-set-replication', { enable: false, primary: false, failover: true });
  await beta.qmp.event('JOB_STATUS_CHANGE', { matches: data => JSON.stringify(data).includes('"null"') });
  await model.assertFile(hosts.image('alpha'), 'latest');
  await model.assertFile(hosts.image('beta'), 'view');

  await copyFile(hosts.image('beta'), hosts.image('gamma'));
  const gamma = await hosts.secondary('gamma');
  await replicate(beta.qmp, 'top-disk1', gamma.qmp, hosts.socket('gamma'));
  await serve(beta.qmp, hosts.socket('beta'), 'top-disk1');
  const promoted = await hosts.connect('beta', 'top-disk1');
  await model.writeStandby(promoted);
  await checkpoint(beta.qmp, gamma.qmp);
  await model.assertReads(promoted, 'view');
  await model.assertReads(await hosts.connect('gamma', 'top-disk1'), 'view');
  await model.assertFile(hosts.image('gamma'), 'view');
});

test('lose the secondary, remove it from the quorum, and the guest goes on', async t => {
  t.diagnostic(`seed ${SEED}`);
  await using hosts = await Hosts.create();
  const model = new ReplicatedModel(SIZE, new SeededRandom(SEED));
  const [alpha, beta] = [await hosts.primary('alpha'), await hosts.secondary('beta')];
  await replicate(alpha.qmp, 'colo1', beta.qmp, hosts.socket('beta'));
  const guest = await hosts.connect('alpha', 'colo1');
  await model.writePrimary(guest);
  await model.assertFile(hosts.image('beta'), 'latest');

  await beta.kill('SIGKILL');
  await model.writePrimary(guest);
  const { error } = await alpha.qmp.execute<{ error: boolean }>('query-xen-replication-status');
  assert.equal(error, true);
  await assert.rejects(alpha.qmp.execute('xen-colo-do-checkpoint'), { message: /'nbd_client1' is degraded/ });
  await alpha.qmp.event('QUORUM_REPORT_BAD', { matches: data => JSON.stringify(data).includes('nbd_client1') });
  await alpha.qmp.execute('x-blockdev-change', { parent: 'colo1', child: 'children.1' });
  await alpha.qmp.execute('blockdev-del', { 'node-name': 'nbd_client1' });
  await model.writePrimary(guest);
  await model.assertReads(guest, 'latest');
  await model.assertFile(hosts.image('alpha'), 'latest');
});
