import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../test/support/disk-client.ts';
import { EINVAL, ENOSPC, ENOTSUP, EPERM } from '../base/errno.ts';
import { READ_SHARED, READ_STABLE, WRITE_EXCLUSIVE } from './block-edge.ts';
import { BlockNode, DEFAULT_LIMITS, type NodeLimits } from './block-node.ts';
import type { BlockRequest, RequestKind } from './block-request.ts';

/** A disk of 1 MiB that notes which requests reach it. */
class NotingNode extends BlockNode {
  readonly reached: RequestKind[] = [];

  constructor(limits: Partial<NodeLimits> = {}, readOnly = false) {
    super({
      name: 'disk',
      driver: 'noting',
      lengthBytes: 1024 * 1024,
      readOnly,
      limits: { ...DEFAULT_LIMITS, ...limits },
    });
  }

  protected override perform(request: BlockRequest): void {
    this.reached.push(request.kind);
    request.complete(0);
  }
}

const LENGTH = 1024 * 1024;

test('what the guard refuses never reaches the node', async () => {
  for (const [kind, offset, length, errno] of [
    ['read', LENGTH, 1, EINVAL],
    ['read', LENGTH - 511, 512, EINVAL],
    ['read', -1, 1, EINVAL],
    ['read', 0, -1, EINVAL],
    ['read', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, EINVAL],
    ['write', LENGTH, 1, ENOSPC],
    ['write', Number.MAX_SAFE_INTEGER, 512, ENOSPC],
    ['write-zeroes', 1, LENGTH, ENOSPC],
    ['discard', 1, LENGTH, EINVAL],
    ['block-status', LENGTH, 1, EINVAL],
  ] as const) {
    const node = new NotingNode();
    using disk = new DiskClient(node);
    assert.equal(await disk.submit(kind, offset, length), errno, `${kind} ${offset}+${length}`);
    assert.deepEqual(node.reached, []);
  }
});

test('a request must be aligned as the node says', async () => {
  const node = new NotingNode({ requestAlignment: 512 });
  using disk = new DiskClient(node);
  assert.equal(await disk.submit('read', 100, 512), EINVAL);
  assert.equal(await disk.submit('write', 512, 100), EINVAL);
  assert.equal(await disk.submit('read', 512, 1024), 0);
  assert.deepEqual(node.reached, ['read']);
});

test('only reads and writes are bound by the largest transfer', async () => {
  const node = new NotingNode({ maxTransferBytes: 4096 });
  using disk = new DiskClient(node);
  assert.equal(await disk.submit('read', 0, 4097), EINVAL);
  assert.equal(await disk.submit('write', 0, 4097), EINVAL);
  assert.equal(await disk.submit('write-zeroes', 0, LENGTH), 0);
  assert.equal(await disk.submit('discard', 0, LENGTH), 0);
  assert.deepEqual(node.reached, ['write-zeroes', 'discard']);
});

test('a write-zeroes that must be fast is ENOTSUP where the node has none', async () => {
  const slow = new NotingNode();
  using disk = new DiskClient(slow);
  assert.equal(await disk.submit('write-zeroes', 0, 512, { fastOnly: true }), ENOTSUP);
  assert.deepEqual(slow.reached, []);
});

test('a request of length 0 succeeds without reaching the node; a flush reaches it', async () => {
  const node = new NotingNode();
  using disk = new DiskClient(node);
  assert.equal(await disk.submit('write', LENGTH, 0), 0);
  assert.equal(await disk.submit('flush', 0, 0), 0);
  assert.deepEqual(node.reached, ['flush']);
});

test('who may not write gets EPERM for everything that changes data', async () => {
  const node = new NotingNode();
  using disk = new DiskClient(node, READ_SHARED);
  for (const kind of ['write', 'write-zeroes', 'discard'] as const) {
    assert.equal(await disk.submit(kind, 0, 512), EPERM, kind);
  }
  assert.deepEqual(node.reached, []);
});

test('parents whose permissions conflict are refused by name, and the others let in', () => {
  for (const [first, second, refusal] of [
    [WRITE_EXCLUSIVE, WRITE_EXCLUSIVE, /in use by first, which does not share writing; second cannot write/],
    [READ_STABLE, WRITE_EXCLUSIVE, /in use by first, which does not share writing/],
    [WRITE_EXCLUSIVE, READ_STABLE, /is written by first; second needs it for itself/],
    [WRITE_EXCLUSIVE, READ_SHARED, null],
    [READ_SHARED, WRITE_EXCLUSIVE, null],
    [READ_STABLE, READ_STABLE, null],
  ] as const) {
    const node = new NotingNode();
    using _first = new DiskClient(node, first, 'first');
    const attach = (): void => new DiskClient(node, second, 'second')[Symbol.dispose]();
    if (refusal === null) attach();
    else assert.throws(attach, refusal);
    assert.equal(node.parents.size, 1);
  }
});

test('a writer of a read-only node is refused', () => {
  assert.throws(() => new DiskClient(new NotingNode({}, true)), /Node 'disk' is read-only; test cannot write to it/);
});

test('permissions that conflict cannot be had later either, and those held stay', async () => {
  const node = new NotingNode();
  using _first = new DiskClient(node, WRITE_EXCLUSIVE, 'first');
  using second = new DiskClient(node, READ_SHARED, 'second');
  assert.throws(() => second.backend.edge.setPermissions(WRITE_EXCLUSIVE), /in use by first/);
  assert.equal(second.backend.edge.permissions, READ_SHARED);
  assert.equal(await second.submit('write', 0, 512), EPERM);
});
