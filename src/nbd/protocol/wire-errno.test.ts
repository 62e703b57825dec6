import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EACCES, ECONNRESET, EDQUOT, EFBIG, EINVAL, EIO, ENOSPC, EPERM, EROFS, ETIMEDOUT } from '../../base/errno.ts';
import { errnoOfWire, wireErrorOf } from './wire-errno.ts';

const DEFINED = [0, 1, 5, 12, 22, 28, 75, 95, 108];

test('the errors that NBD defines go over the wire as they are, in both directions', () => {
  assert.deepEqual(DEFINED.map(wireErrorOf), DEFINED);
  assert.deepEqual(DEFINED.map(errnoOfWire), DEFINED);
});

test('other errors are told in the nearest word that NBD has', () => {
  const told = [EROFS, EACCES, EFBIG, EDQUOT, ETIMEDOUT, ECONNRESET].map(wireErrorOf);
  assert.deepEqual(told, [EPERM, EPERM, ENOSPC, ENOSPC, EIO, EIO]);
});

test('an error that NBD does not define counts as EINVAL', () => {
  assert.deepEqual([2, 110, 0xffffffff].map(errnoOfWire), [EINVAL, EINVAL, EINVAL]);
});
