/**
 * Answers to commands that break a rule, one a row: the connection ends with a ProtocolError that names the rule, the
 * call fails with it, and what is called later fails too. Nothing hangs, and nothing wrong is returned.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../src/base/errors.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { CMD, u16, u32 } from '../support/raw-nbd-client.ts';
import { CONTEXT_ID, chunk, type RecordedCommand, RecordingServer, simpleReply, u64 } from './recording-server.ts';

const START = 4096;
const LENGTH = 1024;
const NONE = 0;
const DATA = 1;
const HOLE = 2;
const STATUS = 5;
const STATUS_EXT = 6;
const ERROR = 0x8001;
const ERROR_OFFSET = 0x8002;
const MORE = 0;

type Replies = 'simple' | 'structured' | 'extended';
type Call = 'read' | 'write' | 'status';
type Answer = (command: RecordedCommand) => Buffer;

const nothing = Buffer.alloc(0);
const content = Buffer.alloc(LENGTH, 7);
const join = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts);
const data = (offset: number | bigint, bytes: Buffer): Buffer => join(u64(offset), bytes);
const hole = (offset: number | bigint, length: number): Buffer => join(u64(offset), u32(length));
const error = (errno: number, text: Buffer, announced = text.length): Buffer => join(u32(errno), u16(announced), text);
const status = (id: number, ...extents: readonly number[]): Buffer =>
  join(u32(id), ...extents.flatMap(length => [u32(length), u32(0)]));
const wide = (count: number, ...extents: readonly (number | bigint)[]): Buffer =>
  join(u32(CONTEXT_ID), u32(count), ...extents.flatMap(length => [u64(length), u64(0)]));
/** A chunk of `type` with `payload`, the last of its reply. */
const only =
  (type: number, payload: Buffer): Answer =>
  command =>
    chunk(command, type, payload);
/** Two chunks in reply to one command. */
const both =
  (type: number, first: Buffer, second: Buffer): Answer =>
  command =>
    join(chunk(command, type, first, MORE), chunk(command, type, second));
/** `message` with the bytes at `at` replaced. */
function patched(message: Buffer, at: number, bytes: Buffer): Buffer {
  bytes.copy(message, at);
  return message;
}
/** A whole chunk whose header says that `length` bytes follow. */
const announcing =
  (type: number, length: number): Answer =>
  command =>
    patched(
      chunk(command, type, nothing),
      command.isExtended ? 24 : 16,
      command.isExtended ? u64(length) : u32(length),
    );

const COMMON: readonly (readonly [what: string, call: Call, answer: Answer, rule: RegExp])[] = [
  ['an unknown magic', 'write', () => Buffer.alloc(32, 0x12), /unknown magic/],
  ['a request', 'write', command => patched(chunk(command, NONE, nothing), 0, u32(0x25609513)), /unknown magic/],
  ['a cookie of no request', 'write', command => patched(chunk(command, NONE, nothing), 8, u32(0x777)), /cookie/],
  ['a second reply', 'write', command => join(chunk(command, NONE, nothing), chunk(command, NONE, nothing)), /cookie/],
  ['an unknown type that is no error [reply-types.1] [reply-types.27]', 'write', only(3, nothing), /unknown type 3/],
  ['an empty chunk that is not the last', 'write', command => chunk(command, NONE, nothing, MORE), /not the last/],
  ['an empty chunk with a payload', 'write', only(NONE, content), /length 1024 of an empty chunk/],
  ['data for a write', 'write', only(DATA, data(START, content)), /data chunk in reply to a write/],
  ['a status for a read', 'read', only(STATUS, status(CONTEXT_ID, LENGTH)), /status chunk in reply to a read/],
  ['data for a status', 'status', only(DATA, data(START, content)), /data chunk in reply to a block-status/],
  ['a data chunk without data [reply-types.27]', 'read', only(DATA, data(START, nothing)), /length 8 of a data chunk/],
  ['more data than asked for', 'read', only(DATA, data(START, Buffer.alloc(LENGTH + 1))), /length 1033 of a data/],
  ['data of 4 GiB', 'read', announcing(DATA, 0xffffffff), /length 4294967295 of a data chunk/],
  [
    'data before the request (libnbd, October 2019)',
    'read',
    only(DATA, data(START - 1, content)),
    /outside its request/,
  ],
  ['data past the request', 'read', only(DATA, data(START + 1, content)), /outside its request/],
  ['data at 2^64 - 1', 'read', only(DATA, data(2n ** 64n - 1n, content)), /outside its request/],
  ['a hole past the request', 'read', only(HOLE, hole(START, LENGTH + 1)), /outside its request/],
  ['a hole without length', 'read', only(HOLE, hole(START, 0)), /length of 0/],
  ['a hole chunk with data', 'read', only(HOLE, data(START, content)), /length 1032 of a hole chunk/],
  ['the same data twice', 'read', both(DATA, data(START, content), data(START, content)), /overlaps/],
  ['a hole over data', 'read', both(HOLE, hole(START, 8), hole(START + 7, LENGTH - 7)), /overlaps/],
  ['an end before all data', 'read', only(DATA, data(START, content.subarray(1))), /without all of its data/],
  ['an end without data', 'read', only(NONE, nothing), /without all of its data/],
  ['an end without a status', 'status', only(NONE, nothing), /without a status/],
  ['a status without extents', 'status', only(STATUS, status(CONTEXT_ID)), /length 4 of a status chunk/],
  ['half an extent', 'status', only(STATUS, join(u32(CONTEXT_ID), u64(1), u32(0))), /length 16 of a status chunk/],
  ['a status of 4 GiB', 'status', announcing(STATUS, 0xfffffffc), /length 4294967292 of a status chunk/],
  ['a context that was not selected', 'status', only(STATUS, status(1, LENGTH)), /context 1, which was not selected/],
  [
    'two statuses of one context',
    'status',
    both(STATUS, status(CONTEXT_ID, LENGTH), status(CONTEXT_ID, LENGTH)),
    /Two status chunks/,
  ],
  ['an extent of length 0 (libnbd, July 2023)', 'status', only(STATUS, status(CONTEXT_ID, 0, LENGTH)), /length of 0/],
  ['an extent behind the request', 'status', only(STATUS, status(CONTEXT_ID, LENGTH, 512)), /beyond the end/],
  [
    'an extent of half a block',
    'status',
    only(STATUS, status(CONTEXT_ID, 256)),
    /no multiple of the minimum block 512/,
  ],
  ['an error without a number', 'write', only(ERROR, Buffer.alloc(5)), /length 5 of an error chunk/],
  ['an error chunk of 1 MiB', 'write', announcing(ERROR, 2 ** 20), /length 1048576 of an error chunk/],
  ['the error 0', 'write', only(ERROR, error(0, nothing)), /an error other than 0/],
  ['an error text that is cut off', 'write', only(ERROR, error(5, nothing, 1)), /needs 7 bytes, it has 6/],
  ['an error text of 4097 bytes', 'write', only(ERROR, error(5, Buffer.alloc(4097, 'x'))), /4097 bytes is longer than/],
  ['an error text that is no UTF-8', 'write', only(ERROR, error(5, Buffer.from('ff', 'hex'))), /is not UTF-8/],
  ['an error text with a NUL', 'write', only(ERROR, error(5, Buffer.from('a\0b'))), /contains a NUL/],
  ['an unknown error chunk with the error 0', 'write', only(0x8777, error(0, nothing)), /an error other than 0/],
  [
    'an error at an offset, of 13 bytes [reply-types.21]',
    'read',
    only(ERROR_OFFSET, join(error(5, nothing), Buffer.alloc(7))),
    /needs 14 bytes, it has 13/,
  ],
  [
    'an error at an offset before the request [reply-types.22]',
    'read',
    only(ERROR_OFFSET, join(error(5, nothing), u64(START - 1))),
    /offset 4095, outside its request/,
  ],
  [
    'an error at an offset behind the request [reply-types.22]',
    'read',
    only(ERROR_OFFSET, join(error(5, nothing), u64(START + LENGTH))),
    /offset 5120, outside its request/,
  ],
  [
    'the error 0 at an offset [reply-types.25]',
    'read',
    only(ERROR_OFFSET, join(error(0, nothing), u64(START))),
    /an error other than 0/,
  ],
];

const OF_ONE_KIND: readonly (readonly [what: string, replies: Replies, call: Call, answer: Answer, rule: RegExp])[] = [
  [
    'a simple reply with a wrong cookie',
    'simple',
    'read',
    command => simpleReply({ ...command, cookie: Buffer.alloc(8, 1) }, 0, content),
    /cookie/,
  ],
  [
    'a second simple reply',
    'simple',
    'write',
    command => join(simpleReply(command, 0), simpleReply(command, 0)),
    /cookie/,
  ],
  ['a chunk that was not negotiated', 'simple', 'read', only(DATA, data(START, content)), /not negotiated/],
  [
    'a simple reply to a structured read',
    'structured',
    'read',
    command => simpleReply(command, 0, content),
    /simple reply to a read/,
  ],
  [
    'a simple error to a structured read',
    'structured',
    'read',
    command => simpleReply(command, 5),
    /simple reply to a read/,
  ],
  [
    'a simple reply to a status',
    'structured',
    'status',
    command => simpleReply(command, 5),
    /simple reply to a block-status/,
  ],
  [
    'extents of 64 bits that were not negotiated',
    'structured',
    'status',
    only(STATUS_EXT, wide(1, LENGTH)),
    /type 6, which was not negotiated/,
  ],
  [
    'an extended reply that was not negotiated',
    'structured',
    'write',
    command => chunk({ ...command, isExtended: true }, NONE, nothing),
    /not negotiated/,
  ],
  ['a simple reply', 'extended', 'write', command => simpleReply(command, 0), /simple reply after extended headers/],
  [
    'a structured reply',
    'extended',
    'write',
    command => chunk({ ...command, isExtended: false }, NONE, nothing),
    /structured reply that was not/,
  ],
  [
    'the offset of another request',
    'extended',
    'write',
    command => chunk({ ...command, offset: START + 1 }, NONE, nothing),
    /names the offset 4097/,
  ],
  [
    'data of 2^64 - 1 bytes',
    'extended',
    'read',
    command => patched(chunk(command, DATA, nothing), 24, Buffer.alloc(8, 0xff)),
    /of a data chunk is wrong/,
  ],
  [
    'a wrong count of extents (CVE-2023-5871)',
    'extended',
    'status',
    only(STATUS_EXT, wide(2, LENGTH)),
    /announces 2 extents and has 1/,
  ],
  ['a wide status without extents', 'extended', 'status', only(STATUS_EXT, wide(0)), /length 8 of a status chunk/],
  ['a wide extent of length 0', 'extended', 'status', only(STATUS_EXT, wide(0, 0, LENGTH)), /length of 0/],
  [
    'a wide extent behind the request',
    'extended',
    'status',
    only(STATUS_EXT, wide(2, 2n ** 63n, 512)),
    /beyond the end/,
  ],
];

for (const replies of ['structured', 'extended'] as const) {
  for (const [what, call, answer, rule] of COMMON) {
    test(`${what}, in ${replies} replies, ends the connection with a protocol error`, () => {
      return refused(replies, call, answer, rule);
    });
  }
}
for (const [what, replies, call, answer, rule] of OF_ONE_KIND) {
  test(`${what} to a client with ${replies} replies ends the connection with a protocol error`, () => {
    return refused(replies, call, answer, rule);
  });
}

async function refused(replies: Replies, call: Call, answer: Answer, rule: RegExp): Promise<void> {
  const isProtocolError = (thrown: unknown): boolean => thrown instanceof ProtocolError && rule.test(thrown.message);
  await using server = await RecordingServer.start({
    replies,
    blockSizes: [512, 4096, 64 * 1024],
    answer: (peer, command) => {
      if (command.type === CMD.DISC || command.type === CMD.FLUSH) return false;
      peer.write(answer(command));
      return true;
    },
  });
  await using client = await NbdClient.connect({ address: server.address, exportName: 'disk' });
  // What answers twice is found out at the second answer, before the flush has one.
  const [called, flushed] = await Promise.allSettled([perform(client, call), client.flush()]);
  const failed = called.status === 'rejected' ? called : flushed;
  assert.ok(failed.status === 'rejected' && isProtocolError(failed.reason), String(failed));
  assert.ok(isProtocolError(client.failure));
  await assert.rejects(client.read(0, 512), isProtocolError);
}

async function perform(client: NbdClient, call: Call): Promise<unknown> {
  if (call === 'read') return await client.read(START, LENGTH);
  if (call === 'write') return await client.write(START, content);
  return await client.blockStatus(START, LENGTH);
}
