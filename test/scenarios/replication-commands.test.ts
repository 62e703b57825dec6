import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { QmpClient } from '../../src/monitor/index.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { Daemon } from '../support/daemon.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const SIZE = 1024 * 1024;

/** Two disks with a buffer above each; `a` is exported as the replica and as the standby's view. */
let folder: TemporaryFolder;
let daemon: Daemon;
let qmp: QmpClient;

/** A definition of the disk called `name`, on the image of its name. */
type DiskDefinition = (name: string) => object;

const fileDisk: DiskDefinition = name => ({ driver: 'file', 'node-name': name, filename: folder.file(`${name}.img`) });

async function startSecondary(disk: DiskDefinition): Promise<void> {
  folder = await TemporaryFolder.create('memory');
  const args: string[] = [];
  for (const name of ['a', 'b']) {
    writeFileSync(folder.file(`${name}.img`), '');
    truncateSync(folder.file(`${name}.img`), SIZE);
    args.push('--blockdev', JSON.stringify(disk(name)));
    args.push('--blockdev', `driver=colo-buffer,node-name=buffer-${name},backing=${name}`);
  }
  args.push('--nbd-server', `addr.type=unix,addr.path=${folder.file('nbd.sock')}`);
  args.push(
    '--export',
    'nbd,id=replica,node-name=a,writable=on',
    '--export',
    'nbd,id=view,node-name=buffer-a,name=view',
  );
  daemon = await Daemon.start({ directory: folder.path, name: 'secondary', args });
  qmp = daemon.qmp;
}

function connect(exportName: string): Promise<NbdClient> {
  return NbdClient.connect(`nbd+unix:///${exportName}?socket=${folder.file('nbd.sock')}`);
}

async function exportIds(): Promise<readonly string[]> {
  return (await qmp.execute<{ id: string }[]>('query-block-exports')).map(({ id }) => id).sort();
}

async function stateOf(name: string): Promise<string | undefined> {
  const reports = await qmp.execute<{ 'node-name': string; state: string }[]>('query-replication');
  return reports.find(report => report['node-name'] === name)?.state;
}

function refuses(name: string, args: object, says: RegExp): Promise<void> {
  return assert.rejects(qmp.execute(name, args), (error: Error) => {
    assert.match(error.message, says);
    return true;
  });
}

afterEach(async () => {
  await daemon[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

describe('the replication commands', () => {
  beforeEach(() => startSecondary(fileDisk));

  const both = { nodes: ['buffer-a', 'buffer-b'] };

  it('refuse nodes that cannot replicate, that do not exist, twice the same, and none', async () => {
    await refuses('replication-start', { nodes: ['a'] }, /Node 'a' does not replicate/);
    await refuses('replication-start', { nodes: ['zz'] }, /node-name='zz'/);
    await refuses('replication-start', { nodes: ['buffer-a', 'buffer-a'] }, /names a node twice/);
    await refuses('replication-start', { nodes: [] }, /names no node/);
    await refuses('replication-checkpoint-prepare', { ...both, checkpoint: 1 }, /'buffer-a' has not started/);
    assert.equal(await stateOf('buffer-a'), 'none');
  });

  it('refuse part of a group and name the rest of it', async () => {
    await qmp.execute('replication-start', both);
    const part = { nodes: ['buffer-a'] };
    for (const name of [
      'replication-checkpoint-prepare',
      'replication-checkpoint-do',
      'replication-checkpoint-abort',
    ]) {
      await refuses(name, { ...part, checkpoint: 1 }, /'buffer-a' replicates together with 'buffer-b'; name all/);
    }
    await refuses('replication-stop', { ...part, failover: true, image: 'latest' }, /together with 'buffer-b'/);
    await refuses('replication-start', part, /Replication of node 'buffer-a' is running/);
    await refuses('blockdev-del', { 'node-name': 'buffer-b' }, /in use by replication; send replication-stop first/);
  });

  it('refuse nodes of two groups together', async () => {
    await qmp.execute('replication-start', { nodes: ['buffer-a'] });
    await qmp.execute('replication-start', { nodes: ['buffer-b'] });
    await refuses('replication-checkpoint-prepare', { ...both, checkpoint: 1 }, /do not replicate together/);
  });

  it('compare the counts of writes before they prepare, by name or in the order of the nodes', async () => {
    await qmp.execute('replication-start', both);
    await using primary = await connect('a');
    await primary.write(0, Buffer.alloc(4096, 1));
    await primary.write(4096, Buffer.alloc(4096, 1));
    const checkpoint = 1;
    for (const [writes, says] of [
      [
        { 'buffer-a': 3, 'buffer-b': 0 },
        /Node 'buffer-a' received 2 writes on this connection and the primary forwarded 3/,
      ],
      [{ root0: 1, root1: 0 }, /Node 'buffer-a' received 2 writes .* forwarded 1/],
      [{ root0: 2, root1: 4 }, /Node 'buffer-b' received 0 writes .* forwarded 4/],
      [{ root0: 2 }, /'writes' has counts for root0; it takes one for each of buffer-a, buffer-b/],
      [{ 'buffer-a': 2, root1: 0 }, /'writes' has counts for buffer-a, root1/],
      [{}, /'writes' has counts for nothing/],
    ] as const) {
      await refuses('replication-checkpoint-prepare', { ...both, checkpoint, writes }, says);
    }
    await refuses('replication-checkpoint-do', { ...both, checkpoint }, /Checkpoint 1 of .* is not prepared/);
    const swapped = { nodes: ['buffer-b', 'buffer-a'], checkpoint };
    assert.deepEqual(await qmp.execute('replication-checkpoint-prepare', { ...swapped, writes: { r1: 0, r0: 2 } }), {});
    assert.deepEqual(await qmp.execute('replication-checkpoint-abort', { ...both, checkpoint }), {});
    const named = { ...both, checkpoint, writes: { 'buffer-b': 0, 'buffer-a': 2 } };
    assert.deepEqual(await qmp.execute('replication-checkpoint-prepare', named), {});
    assert.deepEqual(await qmp.execute('replication-checkpoint-do', { ...both, checkpoint }), {});
    assert.deepEqual(await qmp.execute('replication-checkpoint-do', { ...both, checkpoint }), {}, 'do is idempotent');
    const { data } = await qmp.event('REPLICATION_CHECKPOINT');
    assert.deepEqual((data as { 'node-names': unknown })['node-names'], ['buffer-a', 'buffer-b']);
  });

  it('count writes anew for each connection', async () => {
    await qmp.execute('replication-start', { nodes: ['buffer-a'] });
    const prepare = (checkpoint: number, count: number): Promise<unknown> =>
      qmp.execute('replication-checkpoint-prepare', { nodes: ['buffer-a'], checkpoint, writes: { root: count } });
    {
      await using first = await connect('a');
      await first.write(0, Buffer.alloc(512));
    }
    await using second = await connect('a');
    await second.write(0, Buffer.alloc(512));
    await second.writeZeroes(0, 512);
    await second.trim(0, 512);
    await assert.rejects(prepare(1, 4));
    await prepare(1, 3);
  });

  it('take a checkpoint of every running group with xen-colo-do-checkpoint', async () => {
    await refuses('xen-colo-do-checkpoint', {}, /Block replication is not running/);
    await qmp.execute('replication-start', both);
    await using primary = await connect('a');
    await using view = await connect('view');
    await primary.write(0, Buffer.alloc(4096, 7));
    assert.deepEqual(await view.read(0, 4096), Buffer.alloc(4096));
    await qmp.execute('xen-colo-do-checkpoint');
    assert.deepEqual(await view.read(0, 4096), Buffer.alloc(4096, 7));
  });

  it('refuse a failover that says too little or too much, before anything is closed', async () => {
    await qmp.execute('replication-start', both);
    await refuses('replication-stop', { ...both, failover: true }, /Parameter 'image' is missing/);
    await refuses('replication-stop', { ...both, image: 'latest' }, /only for a failover; add failover true/);
    await refuses('replication-stop', { ...both, failover: true, image: 'old' }, /does not accept value 'old'/);
    const checkpoint = { ...both, failover: true, image: 'checkpoint' };
    await refuses('replication-stop', { ...checkpoint, 'job-id': 'one' }, /names one job, and 2 nodes/);
    assert.deepEqual(await exportIds(), ['replica', 'view']);
    assert.equal(await stateOf('buffer-a'), 'running');
  });

  it('close the replica and drop the buffer for image latest, and the view goes on', async () => {
    await qmp.execute('replication-start', both);
    await using primary = await connect('a');
    await using view = await connect('view');
    await primary.write(0, Buffer.alloc(4096, 9));
    assert.deepEqual(await qmp.execute('replication-stop', { ...both, failover: true, image: 'latest' }), {});
    assert.deepEqual((await qmp.event('BLOCK_EXPORT_DELETED')).data, { id: 'replica' });
    assert.deepEqual(await exportIds(), ['view']);
    await assert.rejects(primary.write(0, Buffer.alloc(4096, 1)));
    assert.deepEqual(await view.read(0, 4096), Buffer.alloc(4096, 9));
    assert.equal(await stateOf('buffer-a'), 'done');
    await refuses('replication-stop', { ...both, failover: true, image: 'latest' }, /not available|has ended/);
  });

  it('start a commit job for each node for image checkpoint, and tell how it goes', async () => {
    await qmp.execute('replication-start', both);
    await using primary = await connect('a');
    await using view = await connect('view');
    await primary.write(0, Buffer.alloc(4096, 9));
    await qmp.execute('replication-stop', { ...both, failover: true, image: 'checkpoint' });
    for (const id of ['commit-buffer-a', 'commit-buffer-b']) {
      for (const status of ['created', 'running', 'concluded', 'null']) {
        await qmp.event('JOB_STATUS_CHANGE', {
          matches: data => JSON.stringify(data) === JSON.stringify({ id, status }),
        });
      }
    }
    assert.deepEqual(await qmp.execute('query-jobs'), []);
    assert.deepEqual(await view.read(0, 4096), Buffer.alloc(4096));
    assert.equal(await stateOf('buffer-a'), 'done');
  });
});

describe('a failover', () => {
  const slowDisk: DiskDefinition = name => ({
    driver: 'blkdebug',
    'node-name': name,
    image: { driver: 'file', filename: folder.file(`${name}.img`) },
    'inject-error': [{ event: 'none', iotype: 'write', errno: 0, once: true, 'delay-ms': 7000 }],
  });
  beforeEach(() => startSecondary(slowDisk));

  it('takes nothing over while a write of the old primary does not return, and can then be tried again', async () => {
    const failover = { nodes: ['buffer-a'], failover: true, image: 'latest' };
    await qmp.execute('replication-start', { nodes: ['buffer-a'] });
    await using primary = await connect('a');
    const stuck = primary.write(0, Buffer.alloc(4096, 5)).catch(() => {});
    await primary.read(8192, 512);
    await assert.rejects(
      qmp.execute('replication-stop', failover),
      /Requests of export 'replica' on node 'a' did not return within 5000 ms; look at the disk/,
    );
    assert.equal(await stateOf('buffer-a'), 'running');
    await qmp.execute('replication-stop', failover);
    assert.equal(await stateOf('buffer-a'), 'done');
    await stuck;
    assert.deepEqual(await exportIds(), ['view']);
  });
});

describe('a commit that fails on one of two disks', () => {
  const failingOnce: DiskDefinition = name => ({
    driver: 'blkdebug',
    'node-name': name,
    image: { driver: 'file', filename: folder.file(`${name}.img`) },
    'inject-error': name === 'a' ? [{ event: 'none', iotype: 'write', once: true }] : [],
  });
  beforeEach(() => startSecondary(failingOnce));

  it('says so, and can be tried again for that disk alone once its job is dismissed', async () => {
    const failover = { nodes: ['buffer-a', 'buffer-b'], failover: true, image: 'checkpoint' };
    const concluded = (data: unknown): boolean => (data as { status: string }).status === 'concluded';
    await qmp.execute('replication-start', { nodes: failover.nodes });
    await qmp.execute('block-export-add', { type: 'nbd', id: 'own', 'node-name': 'buffer-a', writable: true });
    await using standby = await connect('buffer-a');
    await standby.write(0, Buffer.alloc(4096, 3));
    await qmp.execute('replication-stop', failover);
    await qmp.event('JOB_STATUS_CHANGE', { matches: concluded });
    await qmp.event('JOB_STATUS_CHANGE', { matches: concluded });
    assert.deepEqual([await stateOf('buffer-a'), await stateOf('buffer-b')], ['failed', 'done']);
    const [job] = await qmp.execute<{ id: string; error?: string }[]>('query-jobs');
    assert.equal(job?.id, 'commit-buffer-a');
    assert.match(job?.error ?? '', /EIO/);
    assert.deepEqual(await standby.read(0, 4096), Buffer.alloc(4096, 3));
    await refuses('replication-stop', { ...failover, image: 'latest' }, /a commit of image checkpoint has begun/);
    await refuses('replication-stop', failover, /Job ID 'commit-buffer-a' already in use/);
    await qmp.execute('job-dismiss', { id: 'commit-buffer-a' });
    await qmp.execute('replication-stop', failover);
    await qmp.event('JOB_STATUS_CHANGE', { matches: concluded });
    assert.equal(await stateOf('buffer-a'), 'done');
    assert.deepEqual(await standby.read(0, 4096), Buffer.alloc(4096, 3));
    assert.deepEqual(await qmp.execute('query-jobs'), []);
  });
});
