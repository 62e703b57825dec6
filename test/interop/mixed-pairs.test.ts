/** Pairs of which one side is QEMU: its guest's writes reach Colobus, and Colobus's reach it; either takes over. */

import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { TakeOverImage } from '../../src/block/replication-status.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { Daemon } from '../support/daemon.ts';
import { exportNode, qemuJobsEnded, quorum, setUpQemuPrimary, setUpQemuSecondary } from '../support/qemu-replica.ts';
import { QemuSystem } from '../support/qemu-system.ts';
import { Relay } from '../support/relay.ts';
import { ReplicatedModel } from '../support/replicated-model.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const SIZE = 2 * 1024 * 1024;
/** A busy machine may keep QEMU waiting for long. */
const requestTimeoutMs = 60_000;
const SEED = Date.now() % 2 ** 32;

/** One side of each kind, their images and sockets; which is the primary is the test's. */
class MixedPair implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly colobus: Daemon;
  readonly qemu: QemuSystem;
  readonly model = new ReplicatedModel(SIZE, new SeededRandom(SEED));

  private constructor(folder: TemporaryFolder, colobus: Daemon, qemu: QemuSystem) {
    this.folder = folder;
    this.colobus = colobus;
    this.qemu = qemu;
  }

  static async start(): Promise<MixedPair> {
    const folder = await TemporaryFolder.create('memory');
    for (const name of ['colobus.img', 'qemu.img']) {
      await writeFile(folder.file(name), '');
      await truncate(folder.file(name), SIZE);
    }
    const disk = { driver: 'file', 'node-name': 'disk', filename: folder.file('colobus.img') };
    const args = ['--blockdev', JSON.stringify(disk)];
    args.push('--nbd-server', `addr.type=unix,addr.path=${folder.file('colobus.nbd')}`);
    const colobus = await Daemon.start({ directory: folder.path, name: 'colobus', args });
    return new MixedPair(folder, colobus, await QemuSystem.start(folder.file('qemu')));
  }

  /** A client of an export of that side; it goes with its server. */
  connect(side: 'colobus' | 'qemu', name: string): Promise<NbdClient> {
    return NbdClient.connect(`nbd+unix:///${name}?socket=${this.folder.file(`${side}.nbd`)}`, { requestTimeoutMs });
  }

  image(side: 'colobus' | 'qemu'): string {
    return this.folder.file(`${side}.img`);
  }

  /**
   * Colobus as the secondary of a QEMU that reaches it at `path`, running; gives a guest and a standby. The standby uses
   * the buffer, or a quorum above it as QEMU's has.
   */
  async qemuToColobus(
    path = this.folder.file('colobus.nbd'),
    hasQuorum = false,
  ): Promise<{ readonly guest: NbdClient; readonly standby: NbdClient }> {
    const { qmp } = this.colobus;
    await exportNode(qmp, 'disk', 'replica');
    await qmp.execute('blockdev-add', { driver: 'colo-buffer', 'node-name': 'buffer', backing: 'disk' });
    if (hasQuorum) {
      const standby = { driver: 'replication', mode: 'secondary', 'top-id': 'root', file: 'buffer' };
      await qmp.execute('blockdev-add', { 'node-name': 'standby', ...standby });
      await qmp.execute('blockdev-add', quorum(['standby']));
    }
    await exportNode(qmp, hasQuorum ? 'root' : 'buffer', 'view');
    const link = { path, export: 'replica' };
    await setUpQemuPrimary(this.qemu.qmp, { image: this.image('qemu'), link, socket: this.folder.file('qemu.nbd') });
    await qmp.execute('xen-set-replication', { enable: true, primary: false });
    await this.qemu.qmp.execute('xen-set-replication', { enable: true, primary: true });
    return { guest: await this.connect('qemu', 'root'), standby: await this.connect('colobus', 'view') };
  }

  /** QEMU as the secondary of Colobus, running; `node` is the one that replicates, of Colobus's own form or of QEMU's. */
  async colobusToQemu(
    node: 'root' | 'forward' = 'root',
  ): Promise<{ readonly guest: NbdClient; readonly standby: NbdClient }> {
    const { qmp } = this.colobus;
    await setUpQemuSecondary(this.qemu.qmp, {
      image: this.image('qemu'),
      active: this.folder.file('active.qcow2'),
      hidden: this.folder.file('hidden.qcow2'),
      sizeBytes: SIZE,
      socket: this.folder.file('qemu.nbd'),
    });
    await this.qemu.qmp.execute('xen-set-replication', { enable: true, primary: false });
    const server = { type: 'unix', path: this.folder.file('qemu.nbd') };
    await qmp.execute('blockdev-add', { driver: 'nbd', 'node-name': 'link', server, export: 'replica' });
    const own = node === 'root';
    const options = own ? { children: ['disk', 'link'] } : { mode: 'primary', file: 'link' };
    await qmp.execute('blockdev-add', { driver: 'replication', 'node-name': node, ...options });
    if (!own) await qmp.execute('blockdev-add', quorum(['disk', node]));
    await exportNode(qmp, 'root', 'root');
    await qmp.execute('replication-start', { nodes: [node] });
    return { guest: await this.connect('colobus', 'root'), standby: await this.connect('qemu', 'root') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.qemu[Symbol.asyncDispose]();
    await this.colobus[Symbol.asyncDispose]();
    await this.folder[Symbol.asyncDispose]();
  }
}

for (const image of ['latest', 'checkpoint'] as const) {
  test(`Colobus takes over from a QEMU that was killed, with image ${image}`, async t => {
    t.diagnostic(`seed ${SEED}`);
    await using pair = await MixedPair.start();
    const { model } = pair;
    const { guest, standby } = await pair.qemuToColobus(undefined, image === 'checkpoint');
    await model.writePrimary(guest);
    await model.assertReads(standby, 'view');
    for (const _checkpoint of [1, 2]) {
      await pair.qemu.qmp.execute('xen-colo-do-checkpoint');
      await pair.colobus.qmp.execute('xen-colo-do-checkpoint');
      model.checkpoint();
      await model.assertReads(standby, 'view');
      await model.writeStandby(standby);
      await model.writePrimary(guest);
      await model.assertReads(standby, 'view');
    }
    await model.assertReads(guest, 'latest');
    await pair.qemu.kill('SIGKILL');
    await takeOver(pair, image);
    const taken = image === 'latest' ? 'latest' : 'view';
    await model.assertReads(standby, taken);
    await model.assertFile(pair.image('colobus'), taken);
    await model.assertFile(pair.image('qemu'), 'latest');
  });
}

async function takeOver({ colobus: { qmp } }: MixedPair, image: TakeOverImage): Promise<void> {
  if (image === 'latest') {
    await qmp.execute('replication-stop', { nodes: ['buffer'], failover: true, image });
  } else {
    await qmp.execute('xen-set-replication', { enable: false, primary: false, failover: true });
    const matches = (data: unknown): boolean => (data as { status: string }).status === 'null';
    await qmp.event('JOB_STATUS_CHANGE', { matches });
  }
}

for (const node of ['root', 'forward'] as const) {
  test(`QEMU takes over from a Colobus that was killed, whose node '${node}' was checkpointed under writes`, async t => {
    t.diagnostic(`seed ${SEED}`);
    await using pair = await MixedPair.start();
    const { model, colobus, qemu } = pair;
    const { guest, standby } = await pair.colobusToQemu(node);
    await model.writePrimary(guest);
    await model.assertReads(standby, 'view');
    for (const checkpoint of [1, 2]) {
      await colobus.qmp.execute('replication-checkpoint-prepare', { nodes: [node], checkpoint, 'timeout-ms': 10_000 });
      model.checkpoint();
      const held = model.writePrimary(guest, 1);
      await qemu.qmp.execute('xen-colo-do-checkpoint');
      await colobus.qmp.execute('replication-resume', { nodes: [node], checkpoint });
      await held;
      await model.assertReads(standby, 'view');
      await model.writeStandby(standby);
      await model.writePrimary(guest);
      await model.assertReads(standby, 'view');
    }
    await model.assertFile(pair.image('colobus'), 'latest');
    await model.assertFile(pair.image('qemu'), 'latest');
    await colobus.kill('SIGKILL');
    await qemu.qmp.execute('block-export-del', { id: 'replica', mode: 'hard' });
    await qemu.qmp.execute('xen-set-replication', { enable: false, primary: false, failover: true });
    await qemuJobsEnded(qemu.qmp);
    await model.assertReads(standby, 'view');
    await standby.flush();
    await model.assertFile(pair.image('qemu'), 'view');
  });
}

test('a QEMU primary goes on when Colobus is killed, and only its status tells', async () => {
  await using pair = await MixedPair.start();
  const { model, qemu } = pair;
  const { guest } = await pair.qemuToColobus();
  await model.writePrimary(guest);
  await pair.colobus.kill('SIGKILL');
  await model.writePrimary(guest);
  await model.assertReads(guest, 'latest');
  await model.assertFile(pair.image('qemu'), 'latest');
  const { error } = await qemu.qmp.execute<{ error: boolean }>('query-xen-replication-status');
  assert.equal(error, true);
  assert.deepEqual(await qemu.qmp.execute('xen-colo-do-checkpoint'), {}, 'which it takes all the same');
  await qemu.qmp.execute('x-blockdev-change', { parent: 'root', child: 'children.1' });
  await model.writePrimary(guest);
  await model.assertFile(pair.image('qemu'), 'latest');
});

test('a Colobus primary goes on alone when QEMU is killed, tells what differs, and takes no checkpoint', async () => {
  await using pair = await MixedPair.start();
  const { model, colobus } = pair;
  const { guest } = await pair.colobusToQemu();
  await model.writePrimary(guest);
  await pair.qemu.kill('SIGKILL');
  await model.writePrimary(guest);
  await model.assertReads(guest, 'latest');
  await model.assertFile(pair.image('colobus'), 'latest');
  const [report] = await colobus.qmp.execute<{ state: string; 'dirty-bytes': number }[]>('query-replication');
  assert.equal(report?.state, 'degraded');
  assert.ok((report?.['dirty-bytes'] ?? 0) > 0);
  const refused = { message: /^The checkpoint is refused: node 'root' is degraded, 'link': / };
  await assert.rejects(colobus.qmp.execute('xen-colo-do-checkpoint'), refused);
});

test('a QEMU primary that lost its link and came back has missed writes: Colobus says so, QEMU does not', async () => {
  await using pair = await MixedPair.start();
  const path = pair.folder.file('relay');
  await using relay = await Relay.listen(path, pair.folder.file('colobus.nbd'));
  const { model, colobus } = pair;
  const { guest, standby } = await pair.qemuToColobus(path);
  await model.writePrimary(guest);
  assert.deepEqual(await colobus.qmp.execute('query-xen-replication-status'), { error: false });
  const { writes } = await received(pair);
  relay.cutAfter(100);
  await model.writePrimary(guest);
  relay.mend();
  // Each connection is counted from 0.
  while ((await received(pair)).writes >= writes) await model.writePrimary(guest, 1);
  await assert.rejects(model.assertFile(pair.image('colobus'), 'latest'));
  const { desc } = await colobus.qmp.execute<{ desc?: string }>('query-xen-replication-status');
  assert.match(desc ?? '', /^I\/O error occurred: .*export 'replica' and came back: what it acknowledged meanwhile/);
  assert.match((await received(pair)).images.latest.reason ?? '', /came back/);
  await model.assertReads(standby, 'view');
});

test('a QEMU primary that a frozen Colobus holds up is freed by a yank', async () => {
  await using pair = await MixedPair.start();
  const { model, qemu } = pair;
  const { guest } = await pair.qemuToColobus();
  await pair.colobus.kill('SIGSTOP');
  const writing = model.writePrimary(guest);
  await qemu.qmp.execute('yank', { instances: [{ type: 'block-node', 'node-name': 'link' }] });
  await writing;
  await qemu.qmp.execute('x-blockdev-change', { parent: 'root', child: 'children.1' });
  await model.writePrimary(guest);
  await model.assertReads(guest, 'latest');
});

type SecondaryReport = { readonly writes: number; readonly images: { readonly latest: { readonly reason?: string } } };

async function received(pair: MixedPair): Promise<SecondaryReport> {
  const [report] = await pair.colobus.qmp.execute<SecondaryReport[]>('query-replication');
  return report ?? assert.fail('nothing replicates');
}
