/**
 * Every combination of flags on every command, in every surrounding that advertises a flag or not: what the
 * specification allows is done, and what it does not is an error that disturbs nobody (mistake 2 of other servers).
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CMD, counted, infoRequest, OPT, type RawNbdClient, REP, u16, u32 } from '../support/raw-nbd-client.ts';
import { ServedDisk } from '../support/served-disk.ts';
import { u64 } from './recording-server.ts';

const FUA = 1;
const NO_HOLE = 2;
const DF = 4;
const REQ_ONE = 8;
const FAST_ZERO = 16;
const PAYLOAD_LEN = 32;
/** All combinations of the flags there are, and each flag of tomorrow. */
const COMBINATIONS = [...Array(64).keys(), ...Array.from({ length: 10 }, (_, bit) => 1 << (bit + 6))];
const COMMANDS = [...Object.values(CMD).filter(type => type !== CMD.DISC), 8, 9, 0xffff];
const LENGTH = 512;
const EPERM = 1;
const EINVAL = 22;

type Surrounding = {
  readonly replies: 'simple' | 'structured' | 'extended';
  readonly contexts: boolean;
  readonly writable: boolean;
  readonly fastZeroes: boolean;
};

const SURROUNDINGS = (['simple', 'structured', 'extended'] as const).flatMap(replies =>
  [true, false].flatMap(writable =>
    [true, false].flatMap(fastZeroes =>
      (replies === 'simple' ? [false] : [true, false]).map(
        (contexts): Surrounding => ({ replies, contexts, writable, fastZeroes }),
      ),
    ),
  ),
);

/** The flags that a command may have (NBD proto.md, Command flags), or null for one that is none. */
function allowedFlags(type: number, { replies, contexts, fastZeroes, writable }: Surrounding): number | null {
  const isExtended = replies === 'extended';
  switch (type) {
    case CMD.READ:
      return FUA | (replies === 'simple' ? 0 : DF);
    case CMD.WRITE:
      return FUA | (isExtended ? PAYLOAD_LEN : 0);
    case CMD.FLUSH:
    case CMD.TRIM:
    case CMD.CACHE:
      return FUA;
    case CMD.WRITE_ZEROES:
      return FUA | NO_HOLE | (fastZeroes && writable ? FAST_ZERO : 0);
    case CMD.BLOCK_STATUS:
      return contexts ? FUA | REQ_ONE | (isExtended ? PAYLOAD_LEN : 0) : null;
    default:
      return null;
  }
}

/** The errors that may answer a command: one, or two where it is wrong in two ways. */
function errorsOf(type: number, flags: number, surrounding: Surrounding): readonly number[] {
  const allowed = allowedFlags(type, surrounding);
  const lacksPayload = surrounding.replies === 'extended' && type === CMD.WRITE && (flags & PAYLOAD_LEN) === 0;
  const isWrong = allowed === null || (flags & ~allowed) !== 0 || lacksPayload;
  const writes = type === CMD.WRITE || type === CMD.TRIM || type === CMD.WRITE_ZEROES;
  if (writes && !surrounding.writable) return isWrong ? [EPERM, EINVAL] : [EPERM];
  return [isWrong ? EINVAL : 0];
}

function message(type: number, flags: number, cookie: number, replies: string, contextId: number): Buffer {
  const head = [u16(flags), u16(type), u64(cookie), u64(0)];
  if (replies !== 'extended') {
    const payload = Buffer.alloc(type === CMD.WRITE ? LENGTH : 0, 1);
    return Buffer.concat([u32(0x25609513), ...head, u32(type === CMD.FLUSH ? 0 : LENGTH), payload]);
  }
  const query = type === CMD.BLOCK_STATUS ? Buffer.concat([u64(LENGTH), u32(contextId)]) : Buffer.alloc(LENGTH, 1);
  const payload = (flags & PAYLOAD_LEN) === 0 ? Buffer.alloc(0) : query;
  const length = payload.length > 0 ? payload.length : type === CMD.FLUSH ? 0 : LENGTH;
  return Buffer.concat([u32(0x21e41c71), ...head, u64(length), payload]);
}

/** Reads a simple reply or one chunk: the cookie, the error, and whether the reply ends with it. */
async function readReply(client: RawNbdClient, typeOf: (cookie: number) => number): Promise<[number, number, boolean]> {
  const magic = (await client.read(4)).readUInt32BE(0);
  if (magic === 0x67446698) {
    const header = await client.read(12);
    const cookie = Number(header.readBigUInt64BE(4));
    const error = header.readUInt32BE(0);
    if (error === 0 && typeOf(cookie) === CMD.READ) await client.read(LENGTH);
    return [cookie, error, true];
  }
  const isExtended = magic === 0x6e8a278c;
  assert.ok(isExtended || magic === 0x668e33ef, magic.toString(16));
  const header = await client.read(isExtended ? 28 : 16);
  const payload = await client.read(isExtended ? Number(header.readBigUInt64BE(20)) : header.readUInt32BE(12));
  const isError = header.readUInt16BE(2) >= 0x8000;
  return [Number(header.readBigUInt64BE(4)), isError ? payload.readUInt32BE(0) : 0, (header.readUInt16BE(0) & 1) !== 0];
}

async function negotiate(disk: ServedDisk, { replies, contexts }: Surrounding): Promise<[RawNbdClient, number]> {
  const client = await disk.connect();
  await client.read(18);
  client.send(u32(3));
  if (replies !== 'simple') {
    await client.haggle(replies === 'extended' ? OPT.EXTENDED_HEADERS : OPT.STRUCTURED_REPLY);
  }
  const selected = contexts
    ? await client.haggle(OPT.SET_META_CONTEXT, counted('disk'), u32(1), counted('base:allocation'))
    : [];
  assert.equal((await client.haggle(OPT.GO, infoRequest('disk'))).at(-1)?.type, REP.ACK);
  return [client, selected[0]?.data.readUInt32BE(0) ?? 0];
}

for (const surrounding of SURROUNDINGS) {
  const { replies, contexts, writable, fastZeroes } = surrounding;
  const what = [
    `${replies} replies`,
    contexts ? 'a context' : 'no context',
    fastZeroes ? 'fast zeroes' : 'no fast zeroes',
    writable ? 'writable' : 'read-only',
  ].join(', ');
  test(`all flags on all commands are done or refused as the specification says (${what})`, async () => {
    await using disk = await ServedDisk.open({ writable, limits: { fastZeroes } });
    const [client, contextId] = await negotiate(disk, surrounding);
    const said = COMMANDS.flatMap(type => COMBINATIONS.map(flags => ({ type, flags })));
    client.send(...said.map(({ type, flags }, cookie) => message(type, flags, cookie, replies, contextId)));
    const heard = new Map<number, number>();
    for (const errors = new Map<number, number>(); heard.size < said.length; ) {
      const [cookie, error, isLast] = await readReply(client, at => said[at]?.type ?? -1);
      errors.set(cookie, (errors.get(cookie) ?? 0) || error);
      assert.ok(!heard.has(cookie), 'one reply each');
      if (isLast) heard.set(cookie, errors.get(cookie) ?? 0);
    }
    for (const [cookie, { type, flags }] of said.entries()) {
      const wanted = errorsOf(type, flags, surrounding);
      assert.ok(wanted.includes(heard.get(cookie) ?? -1), `command ${type}, flags ${flags}: ${heard.get(cookie)}`);
    }
  });
}
