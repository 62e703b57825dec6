/** The contract of every node, as one test per behaviour. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { EINVAL, ENOSPC, ENOTSUP, EPERM } from '../../src/base/errno.ts';
import { READ_SHARED } from '../../src/block/block-edge.ts';
import type { RequestKind } from '../../src/block/block-request.ts';
import { EXTENT_ZERO } from '../../src/block/extent-list.ts';
import { DiskClient } from '../support/disk-client.ts';
import type { Subject } from './subject.ts';

const MIB = 1024 * 1024;
/** Larger than the largest transfer, and neither whole sectors nor whole pages. */
const LENGTH = 66 * MIB + 1234;
const MAX_TRANSFER = 64 * MIB;
const QUEUE_DEPTH = 32;
const KINDS: readonly RequestKind[] = ['read', 'write', 'write-zeroes', 'discard', 'block-status', 'cache', 'flush'];

export function nodeContract(subject: Subject): void {
  const behaviour = (name: string, body: (disk: DiskClient) => Promise<void>): void => {
    test(name, async () => {
      await using opened = await subject.open(LENGTH, false);
      using disk = new DiskClient(opened.node);
      await body(disk);
    });
  };
  describe(subject.name, () => {
    contractOfBounds(behaviour);
    contractOfStatus(behaviour);
    contractOfReadOnly(subject);
    if (subject.keepsData) contractOfData(behaviour);
  });
}

type Behaviour = (name: string, body: (disk: DiskClient) => Promise<void>) => void;

function contractOfBounds(behaviour: Behaviour): void {
  behaviour('the length is the one asked for, to the byte', async disk => {
    assert.equal(disk.backend.node.lengthBytes, LENGTH);
  });

  behaviour('a new disk reads as zeroes, up to its last byte', async disk => {
    assert.deepEqual(await disk.read(0, MIB), Buffer.alloc(MIB));
    assert.deepEqual(await disk.read(LENGTH - 700, 700), Buffer.alloc(700));
  });

  behaviour('a request past the end fails with the errno of its kind', async disk => {
    const outcomes = new Map<RequestKind, number>();
    for (const kind of ['read', 'write', 'write-zeroes', 'discard', 'block-status'] as const) {
      outcomes.set(kind, await disk.submit(kind, LENGTH - 4, 5, { buffer: Buffer.alloc(5) }));
    }
    assert.deepEqual(Object.fromEntries(outcomes), {
      read: EINVAL,
      write: ENOSPC,
      'write-zeroes': ENOSPC,
      discard: EINVAL,
      'block-status': EINVAL,
    });
  });

  behaviour('a request of length 0 succeeds, even at the end', async disk => {
    for (const kind of KINDS) {
      assert.equal(await disk.submit(kind, 0, 0), 0, kind);
      assert.equal(await disk.submit(kind, LENGTH, 0), 0, kind);
    }
  });

  behaviour('the largest transfer works, and one byte more is refused', async disk => {
    const largest = disk.backend.node.limits.maxTransferBytes;
    assert.ok(largest <= MAX_TRANSFER);
    const buffer = Buffer.alloc(largest + 1, 0xee);
    assert.equal(await disk.submit('read', 0, largest, { buffer }), 0);
    assert.equal(buffer[largest - 1], 0);
    assert.equal(buffer[largest], 0xee);
    assert.equal(await disk.submit('read', 0, largest + 1, { buffer }), EINVAL);
    assert.equal(await disk.submit('write', 0, largest + 1, { buffer }), EINVAL);
  });

  behaviour('a read-ahead and a flush succeed', async disk => {
    assert.equal(await disk.submit('cache', 0, LENGTH), 0);
    await disk.flush();
  });
}

function contractOfStatus(behaviour: Behaviour): void {
  behaviour('a block-status answers from its offset on, and no more than was asked', async disk => {
    for (const [offset, length] of [
      [0, LENGTH],
      [777, 1],
      [LENGTH - 10, 10],
      [4096, 8192],
    ] as const) {
      const extents = await disk.blockStatus(offset, length);
      assert.ok(extents.totalBytes >= 1 && extents.totalBytes <= length, `${extents.totalBytes} of ${length}`);
    }
  });

  behaviour('what a block-status calls zero reads as zeroes', async disk => {
    await disk.write(2 * MIB + 5, Buffer.alloc(300_000, 7));
    await disk.write(5 * MIB, Buffer.alloc(4096, 8));
    let zeroBytes = 0;
    for (let at = 0; at < 8 * MIB; ) {
      const extents = await disk.blockStatus(at, 8 * MIB - at);
      for (let i = 0; i < extents.lengths.length; i++) {
        const length = extents.lengths[i] as number;
        if (((extents.flags[i] as number) & EXTENT_ZERO) !== 0) {
          assert.ok((await disk.read(at, length)).equals(Buffer.alloc(length)), `${length} bytes at ${at}`);
          zeroBytes += length;
        }
        at += length;
      }
    }
    assert.ok(zeroBytes >= MIB, 'Most of a new disk is known to be zero');
  });
}

function contractOfReadOnly(subject: Subject): void {
  test('a read-only disk reads, and refuses a parent that writes', async () => {
    await using opened = await subject.open(LENGTH, true);
    assert.equal(opened.node.readOnly, true);
    using disk = new DiskClient(opened.node, READ_SHARED);
    assert.deepEqual(await disk.read(0, 4096), Buffer.alloc(4096));
    await disk.flush();
    for (const kind of ['write', 'write-zeroes', 'discard'] as const) {
      assert.equal(await disk.submit(kind, 0, 512, { buffer: Buffer.alloc(512) }), EPERM, kind);
    }
    assert.throws(() => new DiskClient(opened.node), /read-only/);
  });
}

function contractOfData(behaviour: Behaviour): void {
  behaviour('bytes written anywhere, aligned or not, read back', async disk => {
    for (const [offset, length] of [
      [0, 1],
      [4095, 2],
      [10_000, 12_289],
      [MIB - 1, 2 * MIB + 3],
      [LENGTH - 999, 999],
    ] as const) {
      const bytes = pattern(offset, length);
      await disk.write(offset, bytes);
      assert.ok((await disk.read(offset, length)).equals(bytes), `${length} bytes at ${offset}`);
    }
  });

  behaviour('a write with FUA and a write-zeroes with FUA take effect', async disk => {
    await disk.write(8192, Buffer.alloc(8192, 1), { fua: true });
    await disk.writeZeroes(8192, 4096, { fua: true });
    assert.ok((await disk.read(8192, 8192)).equals(Buffer.concat([Buffer.alloc(4096), Buffer.alloc(4096, 1)])));
  });

  for (const mayUnmap of [false, true]) {
    behaviour(
      `a write-zeroes ${mayUnmap ? 'that may unmap' : 'that may not'} zeroes its range and no more`,
      async disk => {
        const whole = pattern(0, 3 * MIB);
        await disk.write(0, whole);
        for (const [offset, length] of [
          [5000, 100],
          [8192, 4096],
          [20_000, MIB],
        ] as const) {
          await disk.writeZeroes(offset, length, { mayUnmap });
          whole.fill(0, offset, offset + length);
        }
        assert.ok((await disk.read(0, whole.length)).equals(whole));
      },
    );
  }

  behaviour('a write-zeroes of the whole disk zeroes it up to the last byte', async disk => {
    await disk.write(LENGTH - 5000, Buffer.alloc(5000, 3));
    await disk.writeZeroes(0, LENGTH, { mayUnmap: true });
    assert.deepEqual(await disk.read(LENGTH - 5000, 5000), Buffer.alloc(5000));
  });

  behaviour('a write-zeroes that must be fast zeroes its range or says ENOTSUP', async disk => {
    await disk.write(0, Buffer.alloc(8192, 9));
    const errno = await disk.submit('write-zeroes', 0, 8192, { fastOnly: true });
    assert.ok(errno === 0 || errno === ENOTSUP, `errno ${errno}`);
    assert.ok((await disk.read(0, 8192)).equals(Buffer.alloc(8192, errno === 0 ? 0 : 9)));
  });

  behaviour('a discard leaves old bytes or zeroes in its range, and its neighbours alone', async disk => {
    const before = pattern(0, 64 * 1024);
    await disk.write(0, before);
    await disk.discard(5000, 20_000);
    const after = await disk.read(0, before.length);
    after.forEach((byte, at) => {
      const touched = at >= 5000 && at < 25_000;
      assert.ok(byte === before[at] || (touched && byte === 0), `byte ${at}`);
    });
  });

  behaviour('32 writes and reads at once all take effect', async disk => {
    const slices = Array.from({ length: QUEUE_DEPTH }, (_, i) => pattern(i, 10_000 + i));
    await Promise.all(slices.map((bytes, i) => disk.write(i * 11_000, bytes)));
    const read = await Promise.all(slices.map((bytes, i) => disk.read(i * 11_000, bytes.length)));
    read.forEach((bytes, i) => {
      assert.ok(bytes.equals(slices[i] as Buffer), `slice ${i}`);
    });
  });

  behaviour('of overlapping writes at once, each byte comes from one of them', async disk => {
    await Promise.all([disk.write(1000, Buffer.alloc(9000, 1)), disk.write(5000, Buffer.alloc(9000, 2))]);
    const after = await disk.read(1000, 13_000);
    assert.ok(after.subarray(0, 4000).every(byte => byte === 1));
    assert.ok(after.subarray(4000, 9000).every(byte => byte === 1 || byte === 2));
    assert.ok(after.subarray(9000).every(byte => byte === 2));
  });

  behaviour('any sequence of writes and write-zeroes reads like an array of bytes', async disk => {
    const size = 40_000;
    const model = Buffer.alloc(size);
    const change = fc.record({
      offset: fc.nat(size - 1),
      length: fc.integer({ min: 1, max: 9000 }),
      value: fc.nat(255),
      zeroes: fc.boolean(),
      flag: fc.boolean(),
    });
    const property = fc.asyncProperty(fc.array(change, { maxLength: 12 }), async changes => {
      for (const { offset, length: wanted, value, zeroes, flag } of changes) {
        const length = Math.min(wanted, size - offset);
        if (zeroes) await disk.writeZeroes(offset, length, { mayUnmap: flag });
        else await disk.write(offset, Buffer.alloc(length, value), { fua: flag && value === 0 });
        model.fill(zeroes ? 0 : value, offset, offset + length);
      }
      assert.ok((await disk.read(0, size)).equals(model));
    });
    await fc.assert(property, { numRuns: 30 });
  });
}

/** Bytes that differ from place to place and are never zero. */
function pattern(seed: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = 1 + ((seed + i * 7 + (i >>> 8)) % 255);
  return bytes;
}
