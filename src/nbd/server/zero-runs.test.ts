import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CMD, type RawNbdClient, request } from '../../../test/support/raw-nbd-client.ts';
import { ServedDisk } from '../../../test/support/served-disk.ts';
import { endOfRun, GRAIN_BYTES, isZeroGrain } from '../../base/zero-runs.ts';

const DF = 4;
const OFFSET_DATA = 1;

test('runs cover the data without a gap, and a hole is exactly what whole grains of zeroes are', () => {
  const grains = fc.array(fc.constantFrom('zeroes', 'data', 'last byte'), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(grains, fc.nat(GRAIN_BYTES), fc.nat(GRAIN_BYTES), fc.nat(100), (kinds, cutHead, cutTail, room) => {
      const content = Buffer.alloc(kinds.length * GRAIN_BYTES);
      for (const [index, kind] of kinds.entries()) {
        if (kind === 'data') content.fill(7, index * GRAIN_BYTES, (index + 1) * GRAIN_BYTES);
        if (kind === 'last byte') content[(index + 1) * GRAIN_BYTES - 1] = 1;
      }
      const end = Math.max(cutHead + 1, content.length - cutTail);
      const bytes = Buffer.concat([Buffer.alloc(room, 9), content.subarray(cutHead, end), Buffer.alloc(50, 9)]);
      const last = room + end - cutHead;
      for (let at = room; at < last; ) {
        const offset = cutHead + at - room;
        const to = endOfRun(bytes, at, last, offset);
        assert.ok(to > at && to <= last);
        if (isZeroGrain(bytes, at, last, offset)) {
          assert.ok(bytes.subarray(at, to).every(byte => byte === 0));
          assert.equal((to - at) % GRAIN_BYTES, 0);
        } else {
          const whole = kinds.findIndex(
            (kind, index) =>
              kind === 'zeroes' && index * GRAIN_BYTES >= offset && (index + 1) * GRAIN_BYTES <= cutHead + to - room,
          );
          assert.equal(whole, -1);
        }
        at = to;
      }
    }),
    { numRuns: 60 },
  );
});

/** Reads the chunks of one reply into a disk of 0xff; gives their types. */
async function gather(client: RawNbdClient, target: Buffer): Promise<number[]> {
  const types: number[] = [];
  for (;;) {
    const { flags, type, payload } = await client.chunk();
    types.push(type);
    const offset = Number(payload.readBigUInt64BE(0));
    if (type === OFFSET_DATA) payload.copy(target, offset, 8);
    else target.fill(0, offset, offset + payload.readUInt32BE(8));
    if (flags === 1) return types;
  }
}

test('a structured read tells of zeroes, unless it must not be in fragments', async () => {
  await using disk = await ServedDisk.open();
  const { content } = disk.node;
  content.fill('data', 0, GRAIN_BYTES + 10);
  content.fill('data', 4 * GRAIN_BYTES, 5 * GRAIN_BYTES);
  const client = await disk.attach({ structured: true });
  for (const [offset, length, types] of [
    [0, content.length, [1, 2, 1, 2]],
    [100, content.length - 200, [1, 2, 1, 2, 1]],
    [2 * GRAIN_BYTES, GRAIN_BYTES, [2]],
    [2 * GRAIN_BYTES, GRAIN_BYTES - 1, [1]],
    [2 * GRAIN_BYTES + 1, GRAIN_BYTES, [1]],
    [4 * GRAIN_BYTES, GRAIN_BYTES, [1]],
  ] as const) {
    for (const flags of [0, DF]) {
      const target = Buffer.alloc(content.length, 0xff);
      client.send(request({ type: CMD.READ, flags, offset, length }));
      assert.deepEqual(await gather(client, target), flags === DF ? [OFFSET_DATA] : types, `${offset} ${length}`);
      const end = offset + length;
      assert.deepEqual(target.subarray(offset, end), content.subarray(offset, end));
      assert.ok(target.subarray(0, offset).every(byte => byte === 0xff));
    }
  }
});

test('many reads with holes at once come out right and give their memory back', async () => {
  await using disk = await ServedDisk.open();
  const { content } = disk.node;
  for (let at = 0; at < content.length; at += 3 * GRAIN_BYTES) content.fill(at / GRAIN_BYTES + 1, at, at + GRAIN_BYTES);
  const client = await disk.attach({ structured: true });
  const reads = 40;
  const read = request({ type: CMD.READ, length: content.length });
  client.send(...Array.from({ length: reads }, () => read));
  for (let i = 0; i < reads; i++) {
    const target = Buffer.alloc(content.length, 0xff);
    await gather(client, target);
    assert.ok(target.equals(content));
  }
});
