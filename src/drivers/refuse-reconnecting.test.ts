import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NbdPeer } from '../../test/support/nbd-peer.ts';
import { UsageError } from '../base/errors.ts';
import { BlockGraph } from '../block/block-graph.ts';
import { drivers } from './index.ts';

const MIB = 1024 * 1024;

test('a disk that connects again by itself is refused on both sides of a pair, also below another node', async () => {
  await using peer = await NbdPeer.nbdkit('memory', '1M');
  await using graph = new BlockGraph({ drivers });
  const server = { type: 'unix', path: peer.socket };
  await graph.add({ driver: 'nbd', 'node-name': 'disk', server, 'reconnect-delay': 5 });
  const refusal = (role: string) => (error: unknown) =>
    error instanceof UsageError &&
    error.message === `Node 'disk' connects again by itself, which ${role} must not; set its reconnect-delay to 0`;
  const memory = { driver: 'memory', size: MIB };
  for (const disk of ['disk', { driver: 'blkdebug', image: 'disk' }]) {
    const root = { driver: 'replication', 'node-name': 'root' };
    await assert.rejects(graph.add({ ...root, children: [disk, memory] }), refusal('a copy of a replicated disk'));
    await assert.rejects(graph.add({ ...root, children: [memory, disk] }), refusal('a copy of a replicated disk'));
    const buffer = { driver: 'colo-buffer', 'node-name': 'buffer', backing: disk };
    await assert.rejects(graph.add(buffer), refusal('the disk of a standby'));
  }
});
