/**
 * The hot path makes next to no garbage: bytes of heap a request, with the collector held off, against a stored figure.
 *
 * What is left is what Node.js itself allocates for reads and writes of sockets, shared by the requests of a batch, and
 * so differs somewhat from run to run. A promise with its closures for every request doubles it.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { ColobusPair } from '../support/colobus-pair.ts';
import type { Daemon } from '../support/daemon.ts';
import { fetchProcessStats } from '../support/process-stats.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;
const SIZE = 256 * MIB;
const BLOCK = 4096;
const DEPTH = 32;
const REQUESTS = 40_000;
/** Room for all that a run allocates, so that nothing is collected while it lasts. */
const COLLECTOR_HELD_OFF = ['--min-semi-space-size=256', '--max-semi-space-size=256'];

/** Bytes of heap a request that were measured when this was written; twice as much fails. */
const STORED = { readPrimary: 200, writePrimary: 300, writeSecondary: 90 };

async function heapOf({ qmp }: Daemon): Promise<number> {
  return (await fetchProcessStats(qmp)).heapBytes;
}

/** `REQUESTS` requests with `DEPTH` in flight, each to another block. */
async function run(client: NbdClient, kind: 'read' | 'write'): Promise<void> {
  const block = Buffer.alloc(BLOCK, 1);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < REQUESTS) {
      const offset = ((next++ * 7919) % (SIZE / BLOCK)) * BLOCK;
      if (kind === 'read') await client.read(offset, BLOCK);
      else await client.write(offset, block);
    }
  };
  await Promise.all(Array.from({ length: DEPTH }, work));
}

test('a read and a replicated write allocate no more than they did', async t => {
  await using folder = await TemporaryFolder.create('memory');
  await using pair = await ColobusPair.start({
    directory: folder.path,
    sizeBytes: SIZE,
    nodeFlags: COLLECTOR_HELD_OFF,
  });
  await using client = await NbdClient.connect(pair.disks[0].rootUri);
  const { primary, secondary } = pair;
  for (const kind of ['write', 'read'] as const) await run(client, kind);

  const grown = async (kind: 'read' | 'write'): Promise<readonly [primary: number, secondary: number]> => {
    const before = [await heapOf(primary), await heapOf(secondary)] as const;
    await run(client, kind);
    const after = [await heapOf(primary), await heapOf(secondary)] as const;
    return [(after[0] - before[0]) / REQUESTS, (after[1] - before[1]) / REQUESTS];
  };
  const [writePrimary, writeSecondary] = await grown('write');
  const [readPrimary] = await grown('read');
  for (const [what, bytes] of Object.entries({ writePrimary, writeSecondary, readPrimary })) {
    const stored = STORED[what as keyof typeof STORED];
    t.diagnostic(`${what}: ${bytes.toFixed(0)} bytes a request, ${stored} stored`);
    assert.ok(bytes > 0, `${what}: something was collected in between`);
    assert.ok(bytes < 2 * stored, `${what}: ${bytes.toFixed(0)} bytes a request, over twice the ${stored} stored`);
  }
});
