import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, ENOSPC, EPERM, errnoName } from '../../base/errno.ts';
import { blankRequestHeader } from '../protocol/request.ts';
import { type Agreement, RequestCheck } from './request-check.ts';

const MIB = 1024 * 1024;
const COMMANDS = { READ: 0, WRITE: 1, FLUSH: 3, TRIM: 4, CACHE: 5, WRITE_ZEROES: 6, BLOCK_STATUS: 7 };
const FLAGS = { FUA: 1, NO_HOLE: 2, DF: 4, REQ_ONE: 8, FAST_ZERO: 16, PAYLOAD_LEN: 32 };

const everything: Agreement = {
  sizeBytes: 256 * MIB,
  writable: true,
  fastZeroes: true,
  structuredReplies: true,
  extendedHeaders: false,
  metaContexts: true,
};

function errnoOf(agreement: Agreement, command: number, flags: number, offset: number, length: number): number {
  const header = { ...blankRequestHeader(), type: command, flags, offset, length };
  return new RequestCheck(agreement).refusalOf(header)?.errno ?? 0;
}

const bounds: readonly [keyof typeof COMMANDS, number, number, number][] = [
  ['READ', 0, 0, 0],
  ['READ', 256 * MIB, 0, 0],
  ['READ', 256 * MIB + 1, 0, EINVAL],
  ['READ', 256 * MIB - 1, 1, 0],
  ['READ', 256 * MIB - 1, 2, EINVAL],
  ['READ', Number.POSITIVE_INFINITY, 512, EINVAL],
  ['READ', 0, 32 * MIB, 0],
  ['READ', 0, 32 * MIB + 1, EINVAL],
  ['WRITE', 256 * MIB - 1, 2, ENOSPC],
  ['WRITE', Number.POSITIVE_INFINITY, 1, ENOSPC],
  ['WRITE', 0, 32 * MIB, 0],
  ['WRITE', 0, 32 * MIB + 1, EINVAL],
  ['WRITE', 256 * MIB, 0, 0],
  ['WRITE_ZEROES', 0, 256 * MIB, 0],
  ['WRITE_ZEROES', 1, 256 * MIB, ENOSPC],
  ['TRIM', 0, 256 * MIB, 0],
  ['TRIM', 1, 256 * MIB, EINVAL],
  ['CACHE', 0, 256 * MIB, 0],
  ['CACHE', 1, 256 * MIB, EINVAL],
  ['BLOCK_STATUS', 0, 256 * MIB, 0],
  ['BLOCK_STATUS', 0, 0xffff_ffff, EINVAL],
  ['FLUSH', 0, 0, 0],
];
for (const [command, offset, length, errno] of bounds) {
  test(`${command} of ${length} bytes at ${offset} of 256 MiB gives ${errno === 0 ? 'success' : errnoName(errno)}`, () => {
    assert.equal(errnoOf(everything, COMMANDS[command], 0, offset, length), errno);
  });
}

/** Which flags each command takes where everything was negotiated. */
const allowed: Readonly<Record<keyof typeof COMMANDS, readonly (keyof typeof FLAGS)[]>> = {
  READ: ['FUA', 'DF'],
  WRITE: ['FUA'],
  FLUSH: ['FUA'],
  TRIM: ['FUA'],
  CACHE: ['FUA'],
  WRITE_ZEROES: ['FUA', 'NO_HOLE', 'FAST_ZERO'],
  BLOCK_STATUS: ['FUA', 'REQ_ONE'],
};

test('each command takes exactly its flags, and no unknown one', () => {
  for (const [command, number] of Object.entries(COMMANDS)) {
    const ofCommand: readonly string[] = allowed[command as keyof typeof COMMANDS];
    for (const [flag, bit] of Object.entries(FLAGS)) {
      const expected = ofCommand.includes(flag) ? 0 : EINVAL;
      assert.equal(errnoOf(everything, number, bit, 0, 512), expected, `${command} with ${flag}`);
    }
    for (let bit = 6; bit < 16; bit++) {
      assert.equal(errnoOf(everything, number, 1 << bit, 0, 512), EINVAL, `${command} with bit ${bit}`);
    }
  }
});

test('a flag of something that was not negotiated or advertised is refused', () => {
  assert.equal(errnoOf({ ...everything, structuredReplies: false }, COMMANDS.READ, FLAGS.DF, 0, 512), EINVAL);
  const slow = { ...everything, fastZeroes: false };
  assert.equal(errnoOf(slow, COMMANDS.WRITE_ZEROES, FLAGS.FAST_ZERO, 0, 512), EINVAL);
  assert.equal(errnoOf({ ...everything, metaContexts: false }, COMMANDS.BLOCK_STATUS, 0, 0, 512), EINVAL);
});

test('unknown commands are refused', () => {
  for (const command of [8, 99, 0xffff]) assert.equal(errnoOf(everything, command, 0, 0, 512), EINVAL);
});

test('what changes data is not permitted on a read-only export, and the rest is', () => {
  const readOnly = { ...everything, writable: false };
  for (const [command, number] of Object.entries(COMMANDS)) {
    const expected = ['WRITE', 'WRITE_ZEROES', 'TRIM'].includes(command) ? EPERM : 0;
    assert.equal(errnoOf(readOnly, number, 0, 0, 512), expected, command);
    assert.equal(errnoOf(readOnly, number, 0, 0, 0), expected, `${command} of length 0`);
  }
});
