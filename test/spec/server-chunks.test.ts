/** The server's duties with structured replies (NBD proto.md); a title names the rules it shows. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EIO } from '../../src/base/errno.ts';
import { BlockGraph } from '../../src/block/block-graph.ts';
import { drivers } from '../../src/drivers/index.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { NbdExport, NbdServer } from '../../src/nbd/server/index.ts';
import {
  type Chunk,
  CMD,
  counted,
  infoRequest,
  OPT,
  option,
  RawNbdClient,
  REP,
  request,
  u32,
} from '../support/raw-nbd-client.ts';
import { ServedDisk, type ServedDiskOptions } from '../support/served-disk.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;
const DONE = 1;
const DF = 4;
const REQ_ONE = 8;
const NONE = 0;
const OFFSET_DATA = 1;
const OFFSET_HOLE = 2;
const BLOCK_STATUS = 5;
const ERROR = 0x8001;
const ERROR_OFFSET = 0x8002;
/** A bad sector, 24 KiB into the disk below. */
const INJECTED = { event: 'read_aio', iotype: 'read', errno: EIO, sector: 48 };
const STATUS = { structured: true, contexts: ['base:allocation'] };

async function chunksOf(client: RawNbdClient): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  do chunks.push(await client.chunk());
  while (((chunks.at(-1) as Chunk).flags & DONE) === 0);
  return chunks;
}

type Content = { readonly offset: number; readonly length: number; readonly data: Buffer | null };

function contentOf({ type, payload }: Chunk): Content {
  const offset = Number(payload.readBigUInt64BE(0));
  if (type === OFFSET_HOLE) return { offset, length: payload.readUInt32BE(8), data: null };
  return { offset, length: payload.length - 8, data: payload.subarray(8) };
}

/** A disk with data and holes of every size in it. */
async function spotted(options: ServedDiskOptions = {}): Promise<ServedDisk> {
  const disk = await ServedDisk.open(options);
  for (const [start, end] of [
    [0, 5000],
    [100_000, 100_001],
    [262_144, 300_000],
    [MIB - 1, MIB],
  ] as const) {
    for (let at = start; at < end; at++) disk.node.content[at] = (at % 251) + 1;
  }
  return disk;
}

const RANGES = [
  [0, MIB],
  [0, 1],
  [4999, 1],
  [4000, 200_000],
  [99_999, 3],
  [200_000, 65_536],
  [300_000, MIB - 300_000],
  [511, 100_003],
] as const;

test('a READ is answered by chunks that cover it once, in whole sectors, the last with DONE [read.9] [read.10] [read.11] [read.12] [read.13] [read.16] [structured-reply.2] [structured-reply.5] [structured-reply.6] [structured-reply-option.3] [reply-flags.1] [reply-flags.2] [reply-flags.4] [reply-types.4] [reply-types.5] [reply-types.6] [reply-types.7] [reply-types.8] [reply-types.9] [reply-types.10]', async () => {
  await using disk = await spotted();
  const client = await disk.attach({ structured: true });
  for (const [offset, length] of RANGES) {
    client.send(request({ type: CMD.READ, cookie: 5, offset, length }));
    const chunks = await chunksOf(client);
    assert.ok(chunks.every(({ cookie, flags }) => cookie === 5 && (flags & ~DONE) === 0));
    assert.ok(chunks.length <= 2 + length / 4096, 'few chunks');
    const read = Buffer.alloc(length, 0xee);
    const covered = new Set<number>();
    for (const chunk of chunks.filter(({ type }) => type !== NONE)) {
      assert.ok(chunk.type === OFFSET_DATA || (chunk.type === OFFSET_HOLE && chunk.payload.length === 12));
      const { offset: start, length: bytes, data } = contentOf(chunk);
      assert.ok(bytes > 0 && start >= offset && start + bytes <= offset + length);
      assert.ok(start === offset || start % 512 === 0);
      for (let at = start; at < start + bytes; at += 1) covered.add(at);
      if (data === null) read.fill(0, start - offset, start - offset + bytes);
      else data.copy(read, start - offset);
    }
    const total = chunks.filter(({ type }) => type !== NONE).reduce((sum, chunk) => sum + contentOf(chunk).length, 0);
    assert.ok(covered.size === length && total === length, 'every byte once');
    assert.ok(read.equals(disk.node.content.subarray(offset, offset + length)));
  }
});

test('with DF a READ is answered by one chunk of data, zeroes too [read.25] [read.26] [read.28]', async () => {
  await using disk = await spotted();
  const client = await disk.attach({ structured: true });
  for (const [offset, length] of [...RANGES, [400_000, 65_536] as const]) {
    client.send(request({ type: CMD.READ, flags: DF, offset, length }));
    const content = (await chunksOf(client)).filter(({ type }) => type !== NONE);
    assert.deepEqual(
      content.map(({ type }) => type),
      [OFFSET_DATA],
    );
    assert.ok(content[0]?.payload.subarray(8).equals(disk.node.content.subarray(offset, offset + length)));
  }
});

test('errors come in chunks with a text, and for a READ never simply [structured-reply.3] [structured-reply.4] [read.21] [read.22] [reply-types.17] [reply-types.18] [reply-types.19] [reply-types.20] [block-status.12] [structured-reply.7]', async () => {
  await using disk = await spotted();
  const client = await disk.attach(STATUS);
  disk.node.errno = EIO;
  for (const fields of [
    { type: CMD.READ, length: 4096 },
    { type: CMD.READ, length: 4096, flags: 0x4000 },
    { type: CMD.READ, offset: MIB, length: 1 },
    { type: CMD.WRITE, payload: Buffer.alloc(8) },
    { type: CMD.BLOCK_STATUS, length: 512 },
    { type: 99 },
  ]) {
    client.send(request(fields));
    const chunks = await chunksOf(client);
    assert.deepEqual(
      chunks.map(({ type }) => type),
      [ERROR],
    );
    const payload = (chunks[0] as Chunk).payload;
    assert.ok([5, 22].includes(payload.readUInt32BE(0)));
    assert.equal(payload.length, 6 + payload.readUInt16BE(4));
    assert.ok(payload.length > 6 && payload.length < 4096 + 6);
  }
});

test('a READ or BLOCK_STATUS of no length is answered by NONE [block-status.2] [reply-flags.3] [reply-types.2] [reply-types.3]', async () => {
  await using disk = await spotted();
  const client = await disk.attach(STATUS);
  for (const type of [CMD.READ, CMD.BLOCK_STATUS]) {
    client.send(request({ type }));
    const chunks = await chunksOf(client);
    assert.deepEqual(
      chunks.map(({ type, flags, payload }) => [type, flags, payload.length]),
      [[NONE, DONE, 0]],
    );
  }
});

type Extent = readonly [length: number, flags: number];

function extentsOf({ type, payload }: Chunk): Extent[] {
  assert.equal(type, BLOCK_STATUS);
  assert.ok(payload.length > 4 && (payload.length - 4) % 8 === 0);
  const count = (payload.length - 4) / 8;
  return Array.from({ length: count }, (_, i) => [payload.readUInt32BE(4 + 8 * i), payload.readUInt32BE(8 + 8 * i)]);
}

test('a BLOCK_STATUS tells extents in order, joined, in whole sectors, of known flags, that start within the request [metadata.2] [metadata.5] [metadata.11] [base-allocation.2] [block-status.4] [block-status.6] [block-status.7] [block-status.9] [block-status.11] [reply-types.11] [reply-types.12] [reply-types.13] [reply-types.16]', async () => {
  await using disk = await spotted();
  const client = await disk.attach(STATUS);
  for (const [offset, length] of RANGES) {
    client.send(request({ type: CMD.BLOCK_STATUS, offset, length }));
    const chunks = await chunksOf(client);
    assert.equal(chunks.length, 1, 'one chunk for the one context');
    const extents = extentsOf(chunks[0] as Chunk);
    let at = offset;
    for (const [index, [bytes, flags]] of extents.entries()) {
      assert.ok(bytes > 0 && at < offset + length);
      assert.ok(flags <= 3 && flags !== extents[index + 1]?.[1]);
      const isZero = disk.node.content.subarray(at, Math.min(at + bytes, MIB)).every(byte => byte === 0);
      if ((flags & 2) !== 0) assert.ok(isZero);
      at += bytes;
      assert.ok(at % 512 === 0 || index === extents.length - 1);
    }
    assert.ok(extents.length < 2 || at >= offset + length, 'all of it is told, so few are the extents');
  }
});

test('REQ_ONE is answered by one extent within the request [command-flags.9] [block-status.5] [reply-types.14] [reply-types.15]', async () => {
  await using disk = await spotted();
  const client = await disk.attach(STATUS);
  for (const [offset, length] of RANGES) {
    client.send(request({ type: CMD.BLOCK_STATUS, flags: REQ_ONE, offset, length }));
    const extents = extentsOf((await chunksOf(client))[0] as Chunk);
    assert.equal(extents.length, 1);
    assert.ok((extents[0] as Extent)[0] <= length);
  }
});

test('extents are multiples of the minimum block size [block-status.10]', async () => {
  await using disk = await spotted({ limits: { requestAlignment: 512 } });
  const client = await disk.connect();
  await client.read(18);
  client.send(u32(3));
  await client.haggle(OPT.STRUCTURED_REPLY);
  await client.haggle(OPT.SET_META_CONTEXT, counted('disk'), u32(1), counted('base:allocation'));
  assert.equal((await client.haggle(OPT.GO, infoRequest('disk', 3))).at(-1)?.type, REP.ACK);
  client.send(request({ type: CMD.BLOCK_STATUS, length: MIB }));
  const extents = extentsOf((await chunksOf(client))[0] as Chunk);
  assert.ok(extents.length > 3 && extents.every(([bytes]) => bytes % 512 === 0));
});

test('a BLOCK_STATUS past the end, or without a context for the export, fails with EINVAL [block-status.13] [metadata.4]', async () => {
  await using disk = await spotted();
  const chosen = await disk.attach(STATUS);
  chosen.send(request({ type: CMD.BLOCK_STATUS, offset: MIB - 512, length: 1024 }));
  assert.equal((await chosen.chunk()).payload.readUInt32BE(0), 22);
  for (const queries of [[], ['base:']]) {
    const unchosen = await disk.attach({ structured: true, contexts: queries });
    unchosen.send(request({ type: CMD.BLOCK_STATUS, length: 512 }));
    assert.equal((await unchosen.chunk()).payload.readUInt32BE(0), 22);
  }
});

test('EXPORT_NAME keeps the contexts that were selected for it', async () => {
  await using disk = await spotted();
  const client = await disk.connect();
  await client.read(18);
  client.send(u32(3));
  await client.haggle(OPT.STRUCTURED_REPLY);
  await client.haggle(OPT.SET_META_CONTEXT, counted('disk'), u32(1), counted('base:allocation'));
  client.send(option(OPT.EXPORT_NAME, Buffer.from('disk')));
  assert.equal((await client.read(10)).readUInt16BE(8) & 0x80, 0x80);
  client.send(request({ type: CMD.BLOCK_STATUS, length: 512 }));
  assert.equal((await client.chunk()).type, BLOCK_STATUS);
});

test('a READ that fails at a known place names it in an ERROR_OFFSET [structured-reply.3]', async () => {
  await using folder = await TemporaryFolder.create('memory');
  await using graph = new BlockGraph({ drivers });
  const failing = { driver: 'blkdebug', image: { driver: 'memory', size: MIB }, 'inject-error': [INJECTED] };
  const node = await graph.add({ driver: 'raw', 'node-name': 'disk', offset: 8192, file: failing });
  await using server = await NbdServer.listen({ path: folder.file('socket') });
  await using nbdExport = NbdExport.open({ id: 'disk', name: 'disk', node, writable: true });
  server.addExport(nbdExport);
  using client = await RawNbdClient.attach(folder.file('socket'), 'disk', { structured: true });
  client.send(request({ type: CMD.READ, offset: 4096, length: 65536 }));
  const [chunk, ...others] = await chunksOf(client);
  assert.ok(chunk !== undefined && others.length === 0);
  assert.equal(chunk.type, ERROR_OFFSET);
  assert.equal(chunk.payload.readUInt32BE(0), EIO);
  assert.equal(Number(chunk.payload.readBigUInt64BE(chunk.payload.length - 8)), INJECTED.sector * 512 - 8192);

  await using other = await NbdClient.connect(server.uri('disk'));
  await assert.rejects(other.read(0, 65536), { errno: EIO });
  assert.equal((await other.read(0, 4096)).length, 4096);
});
