/**
 * The thirteen cases of QEMU's tests/unit/test-replication.c over QMP and NBD, and those it lacks.
 *
 * Every byte is compared, which QEMU's do not do; where they expect 0x22 after a take-over, image checkpoint has 0x11.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { EIO } from '../../src/base/errno.ts';
import type { NodeDefinition } from '../../src/block/driver.ts';
import type { NbdClient } from '../../src/nbd/client/index.ts';
import { CommandedDaemon } from '../support/commanded-daemon.ts';

const SIZE = 4 * 1024 * 1024;
const HALF = SIZE / 2;
const CHUNK = 4096;

let host: CommandedDaemon;

before(async () => {
  host = await CommandedDaemon.start();
});
afterEach(() => host.clear());
after(() => host[Symbol.asyncDispose]());

const start = (primary: boolean): Promise<unknown> =>
  host.qmp.execute('xen-set-replication', { enable: true, primary });
const checkpoint = (): Promise<unknown> => host.qmp.execute('xen-colo-do-checkpoint');
const status = (): Promise<{ error: boolean; desc?: string }> => host.qmp.execute('query-xen-replication-status');

async function stop(primary: boolean, failover: boolean): Promise<void> {
  await host.qmp.execute('xen-set-replication', { enable: false, primary, failover });
}

/** The secondary takes over; resolves when its commits have ended. */
async function failOver(...buffers: readonly string[]): Promise<void> {
  await stop(false, true);
  for (const buffer of buffers) {
    const matches = (data: unknown): boolean =>
      JSON.stringify(data) === JSON.stringify({ id: `commit-${buffer}`, status: 'null' });
    await host.qmp.event('JOB_STATUS_CHANGE', { matches });
  }
}

async function holds(client: NbdClient, offset: number, length: number, byte: number): Promise<void> {
  const data = await client.read(offset, length);
  assert.ok(data.equals(Buffer.alloc(length, byte)), `${length} bytes at ${offset} are not all ${byte.toString(16)}`);
}

const refuses = (answer: Promise<unknown>, says: RegExp): Promise<void> => assert.rejects(answer, { message: says });

/** A quorum as COLO has it: it reads from the first child, and a write that one child has is acknowledged. */
function quorum(children: readonly string[]): NodeDefinition {
  return { driver: 'quorum', children, 'read-pattern': 'fifo', 'vote-threshold': 1 };
}

/** QEMU's primary, which forwards to a disk that starts as zeroes; `remote` reads what arrives there. */
async function primaryDisk(): Promise<{ readonly disk: NbdClient; readonly remote: NbdClient }> {
  await host.add('remote', { driver: 'memory', size: SIZE });
  await host.add('primary', { driver: 'replication', mode: 'primary', file: 'remote' });
  return { disk: await host.open('primary'), remote: await host.open('remote', { writable: false }) };
}

type SecondaryDisk = { readonly local: NbdClient; readonly top: NbdClient };

/** QEMU's secondary with a disk full of 0x11, written by the primary through the client; its top is to come. */
async function standbyDisk(n: string): Promise<NbdClient> {
  await host.add(`disk${n}`, { driver: 'memory', size: SIZE });
  const local = await host.open(`disk${n}`);
  await local.write(0, Buffer.alloc(SIZE, 0x11));
  await host.add(`buffer${n}`, { driver: 'colo-buffer', backing: `disk${n}` });
  const standby = { driver: 'replication', mode: 'secondary', 'top-id': `top${n}`, file: `buffer${n}` };
  await host.add(`standby${n}`, standby);
  return local;
}

/** The top of a secondary's disk, through which the standby uses it. */
async function topOf(n: string): Promise<NbdClient> {
  await host.add(`top${n}`, quorum([`standby${n}`]));
  return await host.open(`top${n}`);
}

async function secondaryDisk(): Promise<SecondaryDisk> {
  return { local: await standbyDisk(''), top: await topOf('') };
}

/** The same, running: the primary has written 0x22 to the upper half and the standby 0x33 to the lower. */
async function dividedDisk(): Promise<SecondaryDisk> {
  const disk = await secondaryDisk();
  await start(false);
  await holds(disk.top, 0, SIZE, 0x11);
  await disk.local.write(HALF, Buffer.alloc(HALF, 0x22));
  await holds(disk.top, 0, SIZE, 0x11);
  await disk.top.write(0, Buffer.alloc(HALF, 0x33));
  await holds(disk.top, 0, HALF, 0x33);
  await holds(disk.local, 0, HALF, 0x11);
  return disk;
}

/** What is on the disk itself after a take-over, which has closed its export. */
async function diskHolds(name: string, parts: readonly (readonly [number, number, number])[]): Promise<void> {
  const reader = await host.open(name, { writable: false });
  for (const part of parts) await holds(reader, ...part);
}

describe("QEMU's replication on the primary", () => {
  it('1 read: fails before the start', async () => {
    const { disk } = await primaryDisk();
    await assert.rejects(disk.read(0, SIZE), { errno: EIO });
  });

  it('2 write: fails before the start', async () => {
    const { disk, remote } = await primaryDisk();
    await assert.rejects(disk.write(0, Buffer.alloc(SIZE, 0x22)), { errno: EIO });
    await holds(remote, 0, SIZE, 0);
  });

  it('3 start: reads fail still, writes are forwarded', async () => {
    const { disk, remote } = await primaryDisk();
    await start(true);
    await assert.rejects(disk.read(0, SIZE), { errno: EIO });
    await disk.write(0, Buffer.alloc(SIZE, 0x22));
    await holds(remote, 0, SIZE, 0x22);
  });

  it('4 stop', async () => {
    const { disk } = await primaryDisk();
    await start(true);
    await stop(true, true);
    await stop(true, true);
    await assert.rejects(disk.write(0, Buffer.alloc(CHUNK)), { errno: EIO });
  });

  it('5 do_checkpoint', async () => {
    await primaryDisk();
    await start(true);
    assert.deepEqual(await checkpoint(), {});
  });

  it('6 get_error_all', async () => {
    await primaryDisk();
    await start(true);
    assert.deepEqual(await status(), { error: false });
  });
});

describe("QEMU's replication on the secondary", () => {
  it('7 read: fails before the start', async () => {
    const { top } = await secondaryDisk();
    await assert.rejects(top.read(0, SIZE), { errno: EIO });
  });

  it('8 write: fails before the start', async () => {
    const { local, top } = await secondaryDisk();
    await assert.rejects(top.write(0, Buffer.alloc(SIZE, 0x22)), { errno: EIO });
    await holds(local, 0, SIZE, 0x11);
  });

  it('9 start: the view stays, and the standby writes to itself', async () => {
    await dividedDisk();
    await stop(false, true);
  });

  it('10 stop: rolls back what the primary wrote, and keeps what the standby did', async () => {
    const { top } = await dividedDisk();
    await failOver('buffer');
    for (const reader of [top, await host.open('disk', { writable: false })]) {
      await holds(reader, 0, HALF, 0x33);
      await holds(reader, HALF, HALF, 0x11);
    }
  });

  it('11 continuous replication: a promoted node ignores what it is told as a primary', async () => {
    const { top } = await dividedDisk();
    await failOver('buffer');
    assert.deepEqual(await start(true), {});
    assert.deepEqual(await checkpoint(), {});
    await stop(true, false);
    assert.deepEqual(await status(), { error: false });
    await holds(top, 0, HALF, 0x33);
    await holds(top, HALF, HALF, 0x11);
    await top.write(HALF, Buffer.alloc(HALF, 0x44));
    await diskHolds('disk', [
      [0, HALF, 0x33],
      [HALF, HALF, 0x44],
    ]);
  });

  it('12 do_checkpoint: the view becomes the disk', async () => {
    const { local, top } = await secondaryDisk();
    await start(false);
    await local.write(HALF, Buffer.alloc(HALF, 0x22));
    await holds(top, 0, SIZE, 0x11);
    assert.deepEqual(await checkpoint(), {});
    await holds(top, 0, HALF, 0x11);
    await holds(top, HALF, HALF, 0x22);
  });

  it('13 get_error_all', async () => {
    await secondaryDisk();
    await start(false);
    assert.deepEqual(await status(), { error: false });
  });
});

describe('beyond the cases of QEMU', () => {
  it("the standby's write wins over an original of the same chunk, whichever came first", async () => {
    const { local, top } = await secondaryDisk();
    await start(false);
    for (const [at, standbyFirst] of [
      [0, true],
      [CHUNK, false],
    ] as const) {
      const standbyWrites = (): Promise<void> => top.write(at + 512, Buffer.alloc(512, 0x33));
      if (standbyFirst) await standbyWrites();
      await local.write(at, Buffer.alloc(1024, 0x22));
      if (!standbyFirst) await standbyWrites();
      for (const _round of [1, 2]) {
        await holds(top, at, 512, 0x11);
        await holds(top, at + 512, 512, 0x33);
        await holds(top, at + 1024, CHUNK - 1024, 0x11);
        await local.write(at, Buffer.alloc(CHUNK, 0x44));
      }
    }
    await failOver('buffer');
    await diskHolds('disk', [
      [0, 512, 0x11],
      [512, 512, 0x33],
      [1024, CHUNK - 512, 0x11],
      [CHUNK + 512, 512, 0x33],
      [CHUNK + 1024, SIZE - CHUNK - 1024, 0x11],
    ]);
  });

  it('discards and zeroes of either side are kept apart, and flushed, as writes are', async () => {
    const { local, top } = await secondaryDisk();
    await start(false);
    await local.writeZeroes(100, 3 * CHUNK);
    await local.trim(HALF, HALF);
    await local.flush();
    await holds(top, 0, SIZE, 0x11);
    await top.writeZeroes(HALF + 700, 2 * CHUNK);
    await top.trim(SIZE - CHUNK, CHUNK);
    await top.flush();
    await holds(local, 0, 100, 0x11);
    await holds(local, 100, 3 * CHUNK, 0);
    await holds(top, HALF + 700, 2 * CHUNK, 0);
    await failOver('buffer');
    await diskHolds('disk', [
      [0, HALF + 700, 0x11],
      [HALF + 700, 2 * CHUNK, 0],
      [HALF + 700 + 2 * CHUNK, HALF - 700 - 3 * CHUNK, 0x11],
    ]);
  });

  it('each further checkpoint drops what both wrote before it, and rolls back to no earlier one', async () => {
    const { local, top } = await secondaryDisk();
    await start(false);
    for (const byte of [0x21, 0x22, 0x23]) {
      await local.write(0, Buffer.alloc(HALF, byte));
      await top.write(HALF, Buffer.alloc(HALF, 0x33));
      await checkpoint();
      await holds(top, 0, HALF, byte);
      await holds(top, HALF, HALF, 0x11);
    }
    await local.write(0, Buffer.alloc(HALF, 0x24));
    await failOver('buffer');
    await diskHolds('disk', [
      [0, HALF, 0x23],
      [HALF, HALF, 0x11],
    ]);
  });

  it('writes of the primary that a take-over meets change nothing of the image', async () => {
    const { local, top } = await dividedDisk();
    const outcomes = Array.from({ length: 64 }, (_, i) =>
      local.write(i * 2 * CHUNK, Buffer.alloc(CHUNK, 0x55)).then(
        () => null,
        (error: Error) => error,
      ),
    );
    await failOver('buffer');
    await Promise.all(outcomes);
    await assert.rejects(local.write(0, Buffer.alloc(CHUNK, 0x66)), 'the old primary writes no more');
    await holds(top, 0, HALF, 0x33);
    await diskHolds('disk', [
      [0, HALF, 0x33],
      [HALF, HALF, 0x11],
    ]);
  });

  it('all disks of a role start, are checkpointed and are taken over as one', async () => {
    const one = { local: await standbyDisk('1'), top: await topOf('1') };
    const two = { local: await standbyDisk('2') };
    await refuses(start(false), /^No top_bs or it is invalid$/);
    await assert.rejects(one.top.read(0, CHUNK), { errno: EIO }, 'nor did the first disk start');
    await topOf('2');
    await start(false);
    await one.local.write(0, Buffer.alloc(SIZE, 0x22));
    await two.local.write(0, Buffer.alloc(SIZE, 0x23));
    await checkpoint();
    const both = JSON.stringify(['buffer1', 'buffer2']);
    const matches = (data: unknown): boolean =>
      JSON.stringify((data as Record<string, unknown>)['node-names']) === both;
    await host.qmp.event('REPLICATION_CHECKPOINT', { matches });
    await one.local.write(0, Buffer.alloc(SIZE, 0x44));
    await two.local.write(0, Buffer.alloc(SIZE, 0x45));
    await failOver('buffer1', 'buffer2');
    await diskHolds('disk1', [[0, SIZE, 0x22]]);
    await diskHolds('disk2', [[0, SIZE, 0x23]]);
  });

  it('a primary whose forward failed tells so, and refuses the checkpoint that QEMU would take', async () => {
    const flaky = { driver: 'blkdebug', image: { driver: 'memory', size: SIZE } };
    const rules = [{ event: 'pwritev', errno: EIO, once: true }];
    await host.add('sound', { driver: 'memory', size: SIZE });
    await host.add('flaky', { ...flaky, 'inject-error': rules });
    await host.add('one', { driver: 'replication', mode: 'primary', file: 'flaky' });
    await host.add('two', { driver: 'replication', mode: 'primary', file: 'sound' });
    const [one, two] = [await host.open('one'), await host.open('two')];
    await start(true);
    await two.write(0, Buffer.alloc(CHUNK, 1));
    await checkpoint();
    await assert.rejects(one.write(0, Buffer.alloc(CHUNK, 1)), { errno: EIO });
    await assert.rejects(two.write(0, Buffer.alloc(CHUNK, 1)), { errno: EIO }, 'all disks stop together');
    const failed = /write of 4096 bytes at 0 on 'flaky' failed: EIO/;
    await refuses(checkpoint(), failed);
    const { error, desc } = await status();
    assert.equal(error, true);
    assert.match(desc ?? '', /^I\/O error occurred: node 'one' is degraded/);
    assert.match(desc ?? '', failed);
    const event = await host.qmp.event('REPLICATION_ERROR', { matches: data => isAbout(data, 'one') });
    assert.equal((event.data as { errno: number }).errno, EIO);
    await refuses(start(true), /^Block replication is running or done: node 'one' is degraded/);
    await stop(true, false);
    assert.deepEqual(await status(), { error: false });
    await refuses(start(true), /^Block replication is running or done: node 'one' is done/);
  });

  it('a quorum over the forwarding node acknowledges no write that landed nowhere, as that of QEMU does', async () => {
    const image = { driver: 'memory', size: SIZE };
    await host.add('link', {
      driver: 'blkdebug',
      image,
      'inject-error': [{ event: 'pwritev', errno: EIO, sector: 8 }],
    });
    await host.add('local', {
      driver: 'blkdebug',
      image,
      'inject-error': [{ event: 'pwritev', errno: EIO, sector: 16 }],
    });
    await host.add('forward', { driver: 'replication', mode: 'primary', file: 'link' });
    await host.add('root', quorum(['local', 'forward']));
    const guest = await host.open('root');
    await guest.write(0, Buffer.alloc(512, 1));
    await host.qmp.event('QUORUM_REPORT_BAD', { matches: data => isAbout(data, 'forward') });
    await start(true);
    const started = await host.qmp.event('REPLICATION_STATE_CHANGE', { matches: data => isAbout(data, 'forward') });
    assert.match((started.data as { reason: string }).reason, /^started without 65536 bytes that were written before$/);
    await guest.write(16 * 512, Buffer.alloc(512, 2));
    await guest.write(8 * 512, Buffer.alloc(512, 3));
    await assert.rejects(guest.write(16 * 512, Buffer.alloc(512, 4)), { errno: EIO });
    await holds(guest, 8 * 512, 512, 3);
    await refuses(checkpoint(), /write of 512 bytes at 4096 on 'link' failed: EIO/);
  });

  it('a link to a disk of another size joins no quorum, and replicates nothing', async () => {
    await host.add('local', { driver: 'memory', size: SIZE });
    await host.add('larger', { driver: 'memory', size: 2 * SIZE });
    await host.add('forward', { driver: 'replication', mode: 'primary', file: 'larger' });
    await host.add('root', quorum(['local']));
    const added = host.qmp.execute('x-blockdev-change', { parent: 'root', node: 'forward' });
    await refuses(added, /^Node 'forward' has 8388608 bytes and quorum 'root' has 4194304/);
  });

  it('nothing that replicates is not replication that runs, though QEMU answers as if all were well', async () => {
    const refused = /^Block replication is not running: there is no replication and no colo-buffer node/;
    await refuses(start(true), refused);
    await refuses(stop(true, false), refused);
    await refuses(stop(false, true), refused);
    await refuses(checkpoint(), refused);
    assert.deepEqual(await status(), { error: true, desc: 'Block replication is not running' });
  });

  it('a take-over whose commit fails says so, and can be repeated', async () => {
    const rules = [{ event: 'pwritev', errno: EIO, once: true }];
    await host.add('disk', { driver: 'blkdebug', image: { driver: 'memory', size: SIZE }, 'inject-error': rules });
    await host.add('buffer', { driver: 'colo-buffer', backing: 'disk' });
    const top = await host.open('buffer');
    await start(false);
    await top.write(0, Buffer.alloc(CHUNK, 0x33));
    await stop(false, true);
    await host.qmp.event('REPLICATION_STATE_CHANGE', {
      matches: data => isAbout(data, 'buffer') && (data as { state: string }).state === 'failed',
    });
    const { error, desc } = await status();
    assert.equal(error, true);
    assert.match(desc ?? '', /^I\/O error occurred: node 'buffer' is failed/);
    await refuses(checkpoint(), /^Block replication is not running/);
    await refuses(stop(false, false), /^Block replication is not running: node 'buffer' is failed/);
    await refuses(stop(false, true), /'commit-buffer' already in use; job-dismiss it if it has concluded/);
    await host.qmp.execute('job-dismiss', { id: 'commit-buffer' });
    await host.qmp.event('JOB_STATUS_CHANGE', { matches: data => JSON.stringify(data).includes('"null"') });
    await failOver('buffer');
    await diskHolds('disk', [
      [0, CHUNK, 0x33],
      [CHUNK, SIZE - CHUNK, 0],
    ]);
  });
});

function isAbout(data: unknown, name: string): boolean {
  return (data as { 'node-name': string })['node-name'] === name;
}
