import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../base/errors.ts';
import { limitsOfProperties, type ThrottleLimits, throttleConfig } from './throttle-limits.ts';

const CONFLICT = 'bps/iops/max total values and read/write values cannot be used at the same time';
const RANGE = 'bps/iops/max values must be within [0, 1000000000000000]';

test("limits that do not fit together are refused in QEMU's words", () => {
  const refusals: readonly (readonly [ThrottleLimits, string])[] = [
    [{ 'iops-total': 100, 'iops-read': 5 }, CONFLICT],
    [{ 'bps-total': 100, 'bps-write': 5 }, CONFLICT],
    [{ 'iops-total-max': 100, 'iops-read-max': 5 }, CONFLICT],
    [{ 'iops-size': 4096, 'bps-total': 5 }, 'iops size requires an iops value to be set'],
    [{ 'iops-total': -1 }, RANGE],
    [{ 'bps-read': 1e15 + 1 }, RANGE],
    [{ 'bps-read': 1, 'bps-read-max': 1e15 + 1 }, RANGE],
    [{ 'iops-total': 100, 'iops-total-max': 200, 'iops-total-max-length': 0 }, 'the burst length cannot be 0'],
    [{ 'iops-total': 100, 'iops-total-max-length': 10 }, 'burst length set without burst rate'],
    [{ 'bps-read': 1e15, 'bps-read-max': 1e15, 'bps-read-max-length': 2 }, 'burst length too high for this burst rate'],
    [{ 'iops-total-max': 50 }, 'bps_max/iops_max require corresponding bps/iops values'],
    [{ 'bps-read': 1000, 'bps-read-max': 999 }, 'bps_max/iops_max cannot be lower than bps/iops'],
    [
      { 'iops-total': 1, 'iops-total-max': 2, 'iops-total-max-length': 1e10 },
      'iops-total-max-length value must be in the range [0, 4294967295]',
    ],
  ];
  for (const [limits, message] of refusals) {
    assert.throws(
      () => throttleConfig(limits),
      error => error instanceof UsageError && error.message === message,
      JSON.stringify(limits),
    );
  }
});

test('limits that fit together are taken', () => {
  for (const limits of [
    {},
    { 'iops-total': 1e15 },
    { 'iops-total': 0, 'iops-read': 5 },
    { 'iops-total': 5, 'iops-total-max': 5 },
    { 'iops-total': 5, 'iops-read': 0, 'iops-size': 4096 },
    { 'bps-read': 5, 'bps-write': 6, 'iops-total': 7, 'iops-total-max': 20, 'iops-total-max-length': 3 },
  ]) {
    assert.doesNotThrow(() => throttleConfig(limits), JSON.stringify(limits));
  }
});

test('a limit can be a property of its own, which is not negative', () => {
  const limits = limitsOfProperties({ id: 'g', 'x-iops-total': 100, 'x-bps-read-max-length': 3, limits: {} });
  assert.deepEqual(limits, { 'iops-total': 100, 'bps-read-max-length': 3 });
  assert.throws(() => limitsOfProperties({ 'x-iops-size': -1 }), { message: 'Property values cannot be negative' });
  assert.throws(() => limitsOfProperties({ 'x-bps-read-max-length': 2 ** 32 }), {
    message: 'x-bps-read-max-length value must be in the range [0, 4294967295]',
  });
});
