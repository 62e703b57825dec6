/** qcow2 images as the disks of a pair, by way of qemu-storage-daemon: docs/qemu.md, "Other image formats". */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EIO } from '../../src/base/errno.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { DISK_BYTES, LOAD_BLOCKS, LoadedPair } from '../support/loaded-pair.ts';
import { Qcow2Neighbour } from '../support/qcow2-neighbour.ts';
import { assertImageHolds, BLOCK_BYTES } from '../support/stamped-image.ts';

const MIB = 1024 * 1024;
/** Where nothing is to be late. */
const PATIENT_MS = 10_000;
/** Where something will be. */
const SHORT_MS = 2000;

/** A pair of one disk, on two qcow2 images. */
class Qcow2Pair implements AsyncDisposable {
  readonly loaded: LoadedPair;
  readonly alpha: Qcow2Neighbour;
  readonly beta: Qcow2Neighbour;

  private constructor(loaded: LoadedPair, alpha: Qcow2Neighbour, beta: Qcow2Neighbour) {
    this.loaded = loaded;
    this.alpha = alpha;
    this.beta = beta;
  }

  /** `requestTimeoutMs` is that of the link. */
  static async start(requestTimeoutMs: number): Promise<Qcow2Pair> {
    const [alpha, beta] = await Promise.all([Qcow2Neighbour.start(DISK_BYTES), Qcow2Neighbour.start(DISK_BYTES)]);
    const disks = { primaryDisk: () => alpha.definition, secondaryDisk: () => beta.definition };
    const linkOptions = { 'request-timeout': requestTimeoutMs };
    try {
      return new Qcow2Pair(await LoadedPair.start({ disks: 1, linkOptions, ...disks }), alpha, beta);
    } catch (error) {
      await Promise.all([alpha[Symbol.asyncDispose](), beta[Symbol.asyncDispose]()]);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.loaded[Symbol.asyncDispose]();
    await Promise.all([this.alpha[Symbol.asyncDispose](), this.beta[Symbol.asyncDispose]()]);
  }
}

test('two qcow2 images are replicated, and image latest of the second is the first', async () => {
  await using qcow2 = await Qcow2Pair.start(PATIENT_MS);
  const { loaded, alpha, beta } = qcow2;
  await loaded.pair.checkpoint();
  await using guest = await NbdClient.connect(loaded.pair.disks[0].rootUri);
  const beyond = LOAD_BLOCKS * BLOCK_BYTES;
  await guest.write(beyond, Buffer.alloc(MIB, 'x'));
  await guest.write(beyond + MIB + 1, Buffer.alloc(1000, 'y'), { fua: true });
  await guest.trim(beyond + 100_000, MIB / 2);
  await guest.writeZeroes(beyond + (MIB * 3) / 4 + 7, 100_001);
  await loaded.pair.checkpoint();
  await loaded.acknowledges(200);
  await guest.flush();
  await loaded.stopLoads();
  await loaded.pair.killPrimary();
  await loaded.pair.failOver('latest');
  await loaded.pair.secondary.quit();
  const [first, second] = [await alpha.content(), await beta.content()];
  assert.ok(first.equals(second));
  assert.ok(loaded.loads[0].records.every(({ errno }) => errno === 0));
  assertImageHolds(second, loaded.loads[0].records, LOAD_BLOCKS);
  const model = Buffer.alloc(DISK_BYTES - beyond);
  model.fill('x', 0, MIB).fill('y', MIB + 1, MIB + 1001);
  model.fill(0, 100_000, 100_000 + MIB / 2).fill(0, (MIB * 3) / 4 + 7, (MIB * 3) / 4 + 100_008);
  assert.ok(second.subarray(beyond).equals(model));
});

test('a neighbour that freezes is a local disk that fails, and image checkpoint is committed into the other', async () => {
  await using qcow2 = await Qcow2Pair.start(SHORT_MS);
  const { loaded, alpha, beta } = qcow2;
  const startMs = performance.now();
  await loaded.pair.checkpoint();
  const endMs = performance.now();
  await loaded.acknowledges(300);
  await alpha.signal('SIGSTOP');
  await loaded.loads[0].fails(20);
  for (const { errno } of loaded.loads[0].records) assert.ok(errno === 0 || errno === EIO, `errno ${errno}`);
  const [report] = await loaded.pair.primaryReports();
  assert.deepEqual([report?.children[0]?.state, report?.children[1]?.state], ['failed', 'ok']);
  const view = await readView(loaded);
  await loaded.pair.failOver('checkpoint');
  await loaded.pair.secondary.quit();
  const content = await beta.content();
  assert.ok(content.equals(view));
  const { records } = loaded.loads[0];
  assertImageHolds(content, records, LOAD_BLOCKS, { acknowledgedBy: startMs, submittedBy: endMs });
});

test('beside a raw image, a neighbour of the secondary that dies ends forwarding, and both sides say so', async () => {
  await using beta = await Qcow2Neighbour.start(DISK_BYTES);
  const linkOptions = { 'request-timeout': PATIENT_MS };
  await using loaded = await LoadedPair.start({ disks: 1, linkOptions, secondaryDisk: () => beta.definition });
  await loaded.pair.checkpoint();
  await beta.signal('SIGKILL');
  await loaded.acknowledges(200);
  const { reasons } = await loaded.degraded();
  assert.match(reasons[0] ?? '', /EIO/);
  const [report] = await loaded.pair.secondaryReports();
  assert.equal(report?.children[0]?.state, 'failed');
  assert.match(report.images.latest.reason ?? '', /a write of export 'replica0' failed/);
  await loaded.stopLoads();
  assert.ok(loaded.loads[0].records.every(({ errno }) => errno === 0));
  await loaded.assertPrimaryHoldsAll();
});

async function readView(loaded: LoadedPair): Promise<Buffer> {
  await using standby = await NbdClient.connect(loaded.pair.disks[0].viewUri);
  return await standby.read(0, DISK_BYTES);
}
