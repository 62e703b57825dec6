import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exactSize } from './export-json.ts';
import { describeFlags, mapJson } from './extent-map.ts';

test('a size is told in the largest unit that loses nothing, as nbdinfo tells it', () => {
  for (const [bytes, told] of [
    [0, '0'],
    [1, '1'],
    [1023, '1023'],
    [1024, '1K'],
    [1536, '1536'],
    [1048577, '1048577'],
    [1000 * 1024 ** 2, '1000M'],
    [3 * 1024 ** 3, '3G'],
    [1024 ** 4, '1T'],
    [2125119488, '2075312K'],
  ] as const) {
    assert.equal(exactSize(bytes), told);
  }
});

test('flags have the words of their context, and none where it is unknown', () => {
  for (const [context, flags, word] of [
    ['base:allocation', 0, 'data'],
    ['base:allocation', 3, 'hole,zero'],
    ['base:allocation', 4, null],
    ['qemu:dirty-bitmap:x', 1, 'dirty'],
    ['qemu:allocation-depth', 0, 'absent'],
    ['qemu:allocation-depth', 2, 'backing depth 2'],
    ['colobus:buffer', 2, 'own'],
    ['x:y', 0, null],
  ] as const) {
    assert.equal(describeFlags(context, flags), word);
  }
  assert.deepEqual(mapJson('x:y', [{ offset: 0, length: 512, flags: 7 }]), [{ offset: 0, length: 512, type: 7 }]);
});
