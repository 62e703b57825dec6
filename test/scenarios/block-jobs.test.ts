/** Jobs of a real daemon while a guest keeps 32 writes in flight on the NBD export of the node they copy. */

import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { QmpClient } from '../../src/monitor/index.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { Daemon } from '../support/daemon.ts';
import { assertHolds, assertImageHolds, BLOCK_BYTES } from '../support/stamped-image.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';
import { WriteLoad } from '../support/write-load.ts';

const BLOCKS = 1024;
const SIZE = BLOCKS * BLOCK_BYTES;
const SLOW = { speed: 1024 * 1024 };

let folder: TemporaryFolder;
let daemon: Daemon;
let qmp: QmpClient;
let load: WriteLoad;

const image = (name: string): string => folder.file(`${name}.img`);
const imageOf = (name: string): object => ({ driver: 'file', filename: image(name) });
const fileOf = (name: string): object => ({ ...imageOf(name), 'node-name': name });

/** A daemon with images `source` and `target`, and the nodes of `nodesOf`; `exported` is served and written to. */
async function startDaemon(nodesOf: () => readonly object[], exported: string): Promise<void> {
  folder = await TemporaryFolder.create('memory');
  for (const name of ['source', 'target']) {
    writeFileSync(image(name), '');
    truncateSync(image(name), SIZE);
  }
  const args = nodesOf().flatMap(node => ['--blockdev', JSON.stringify(node)]);
  args.push('--nbd-server', `addr.type=unix,addr.path=${folder.file('nbd.sock')}`);
  args.push('--export', `nbd,id=guest,node-name=${exported},name=guest,writable=on`);
  daemon = await Daemon.start({ directory: folder.path, name: 'daemon', args });
  qmp = daemon.qmp;
  load = await WriteLoad.start(`nbd+unix:///guest?socket=${folder.file('nbd.sock')}`, { blocks: BLOCKS });
  await load.acknowledges(200);
}

afterEach(async () => {
  await load?.[Symbol.asyncDispose]();
  await daemon?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

type Completed = { readonly error?: string };

/** Waits for the end of job `j` and tells why it failed; undefined where it did not. */
async function completed(): Promise<string | undefined> {
  return ((await qmp.event('BLOCK_JOB_COMPLETED')).data as Completed).error;
}

function mirror(options: object = {}): Promise<unknown> {
  return qmp.execute('blockdev-mirror', {
    'job-id': 'j',
    device: 'source',
    target: 'target',
    sync: 'full',
    ...options,
  });
}

function backup(options: object = {}): Promise<unknown> {
  return qmp.execute('blockdev-backup', {
    'job-id': 'j',
    device: 'source',
    target: 'target',
    sync: 'full',
    ...options,
  });
}

async function noWriteFailed(): Promise<void> {
  await load.stop();
  assert.deepEqual(
    load.records.filter(record => record.errno !== 0),
    [],
  );
}

function refuses(name: string, args: object, says: RegExp): Promise<void> {
  return assert.rejects(qmp.execute(name, args), (error: Error) => {
    assert.match(error.message, says);
    return true;
  });
}

/** Completes job `j`: the guest is on the target then with all it wrote, and nobody is on the source. */
async function assertGoesOver(): Promise<void> {
  await load.acknowledges(200);
  await qmp.execute('job-complete', { id: 'j' });
  assert.equal(await completed(), undefined);
  const left = await readFile(image('source'));
  await load.acknowledges(200);
  await noWriteFailed();
  await assertHolds(image('target'), load.records, BLOCKS);
  assert.ok((await readFile(image('source'))).equals(left));
  const [guest] = await qmp.execute<{ 'node-name': string }[]>('query-block-exports');
  assert.equal(guest?.['node-name'], 'target');
  await qmp.execute('blockdev-del', { 'node-name': 'source' });
}

describe('a mirror', () => {
  beforeEach(() => startDaemon(() => [fileOf('source'), fileOf('target')], 'source'));

  it('that is cancelled when it is ready leaves the source of one moment, and one that is completed is gone over to', async () => {
    await mirror();
    await qmp.event('BLOCK_JOB_READY');
    await load.acknowledges(200);
    const before = performance.now();
    await qmp.execute('block-job-cancel', { device: 'j' });
    assert.equal(await completed(), undefined);
    const after = performance.now();
    await load.acknowledges(200);
    const records = load.records.map(record => ({ ...record }));
    await assertHolds(image('target'), records, BLOCKS, { acknowledgedBy: before, submittedBy: after });

    await mirror();
    await qmp.event('BLOCK_JOB_READY');
    await assertGoesOver();
  });

  it('whose writes wait for their copies is gone over to with every write', async () => {
    await mirror({ 'copy-mode': 'write-blocking' });
    await qmp.event('BLOCK_JOB_READY');
    await assertGoesOver();
  });

  it('that the daemon is killed in leaves the source as it was', async () => {
    await mirror(SLOW);
    await load.acknowledges(200);
    await daemon.kill('SIGKILL');
    await load.completesInFlight();
    await assertHolds(image('source'), load.records, BLOCKS);
  });
});

describe('a target that is slow', () => {
  const slow = (): object => ({
    driver: 'blkdebug',
    'node-name': 'target',
    image: imageOf('target'),
    'delay-ms': 10,
  });
  beforeEach(() => startDaemon(() => [fileOf('source'), slow()], 'source'));

  it('is caught up with under full load, in the background too', async () => {
    await mirror();
    await qmp.event('BLOCK_JOB_READY');
    await qmp.execute('job-complete', { id: 'j' });
    assert.equal(await completed(), undefined);
    await noWriteFailed();
    await assertHolds(image('target'), load.records, BLOCKS);
  });
});

describe('a backup', () => {
  const failing = (): object => ({
    driver: 'blkdebug',
    'node-name': 'failing',
    image: imageOf('target'),
    'inject-error': [{ event: 'none', iotype: 'write', errno: 28, sector: 4096 }],
  });
  const target = { driver: 'memory', 'node-name': 'target', size: SIZE };
  beforeEach(() => startDaemon(() => [fileOf('source'), failing(), target], 'source'));

  it('is the disk of the moment when it began', async () => {
    const before = performance.now();
    await backup();
    const after = performance.now();
    assert.equal(await completed(), undefined);
    const records = [...load.records];
    await noWriteFailed();
    const copy = { type: 'nbd', id: 'copy', 'node-name': 'target', name: 'copy' };
    await qmp.execute('block-export-add', copy);
    await using client = await NbdClient.connect(`nbd+unix:///copy?socket=${folder.file('nbd.sock')}`);
    const bytes = await client.read(0, SIZE);
    assertImageHolds(bytes, records, BLOCKS, { acknowledgedBy: before, submittedBy: after });
  });

  it('that cannot keep what a write overwrites ends, and the write does not fail', async () => {
    await backup({ target: 'failing', sync: 'none', 'on-target-error': 'ignore' });
    assert.match((await completed()) ?? '', /^No space left on device: Cannot write bytes .* on node 'failing'$/);
    await load.acknowledges(200);
    await noWriteFailed();
    await assertHolds(image('source'), load.records, BLOCKS);
  });
});

describe('a commit of an overlay', () => {
  const top = { driver: 'overlay', 'node-name': 'top', backing: 'source', storage: 'memory' };
  beforeEach(() => startDaemon(() => [fileOf('source'), top], 'top'));

  it('that is completed takes the guest to the backing with every write', async () => {
    await qmp.execute('block-commit', { 'job-id': 'j', device: 'top' });
    await qmp.event('BLOCK_JOB_READY');
    await load.acknowledges(200);
    await qmp.execute('job-complete', { id: 'j' });
    assert.equal(await completed(), undefined);
    await load.acknowledges(200);
    await noWriteFailed();
    await assertHolds(image('source'), load.records, BLOCKS);
    await qmp.execute('blockdev-del', { 'node-name': 'top' });
  });

  it('is finished by the end of the daemon, which cancels what need not be', async () => {
    await qmp.execute('blockdev-add', { driver: 'memory', 'node-name': 'copy', size: SIZE });
    await qmp.execute('blockdev-backup', { 'job-id': 'b', device: 'top', target: 'copy', sync: 'full', ...SLOW });
    await qmp.execute('block-commit', { 'job-id': 'j', device: 'top' });
    await qmp.event('BLOCK_JOB_READY');
    await noWriteFailed();
    const end = await daemon.quit();
    assert.equal(end.exitCode, 0, end.stderr);
    await assertHolds(image('source'), load.records, BLOCKS);
  });
});

describe('a node under replication', () => {
  const buffer = { driver: 'colo-buffer', 'node-name': 'buffer', backing: 'source' };
  beforeEach(() => startDaemon(() => [fileOf('source'), buffer, fileOf('target')], 'source'));

  it('is neither mirrored nor written to, nor is its changing view copied', async () => {
    await load.stop();
    await qmp.execute('replication-start', { nodes: ['buffer'] });
    await refuses(
      'blockdev-mirror',
      { 'job-id': 'j', device: 'source', target: 'target', sync: 'full' },
      /^Need a root block node: 'source' is used by node 'buffer'$/,
    );
    await refuses(
      'blockdev-mirror',
      { 'job-id': 'j', device: 'buffer', target: 'target', sync: 'full' },
      /^Node 'buffer' replicates: users that go over to a copy would pass it by; send replication-stop first/,
    );
    await refuses(
      'blockdev-backup',
      { 'job-id': 'j', device: 'target', target: 'source', sync: 'full' },
      /^Node 'source' belongs to 'buffer', which replicates: a job cannot write to it$/,
    );
    await refuses(
      'blockdev-backup',
      { 'job-id': 'j', device: 'buffer', target: 'target', sync: 'full' },
      /^Node 'buffer' replicates: its content changes with every checkpoint/,
    );
    await refuses(
      'block-commit',
      { 'job-id': 'j', device: 'buffer' },
      /'buffer' is a standby's buffer; replication-stop/,
    );
    await backup();
    assert.equal(await completed(), undefined);
    await assertHolds(image('target'), load.records, BLOCKS);
  });
});
