/** The limits of a throttle group: QEMU's ThrottleLimits, and what they must fulfil. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import type { Rate } from './leaky-bucket.ts';

/** In QEMU's order, in which faults are looked for. */
const RATE_NAMES = ['bps-total', 'bps-read', 'bps-write', 'iops-total', 'iops-read', 'iops-write'] as const;
const COUNTED: Readonly<Record<RateName, string>> = {
  'bps-total': 'bytes',
  'bps-read': 'bytes read',
  'bps-write': 'bytes written',
  'iops-total': 'requests',
  'iops-read': 'reads',
  'iops-write': 'writes',
};
const MAX_RATE = 1e15;
const MAX_BURST_LENGTH_S = 2 ** 32 - 1;

export type RateName = (typeof RATE_NAMES)[number];
export type LimitName = RateName | `${RateName}-max` | `${RateName}-max-length` | 'iops-size';
/** By name; what is left out is 0, and 1 for the length of a burst. */
export type ThrottleLimits = { readonly [name in LimitName]?: number | undefined };

export type CompleteLimits = Readonly<Record<LimitName, number>>;

/** What the limits come to. */
export type ThrottleConfig = {
  readonly rates: Readonly<Record<RateName, Rate>>;
  /** A request of more bytes counts as several operations; 0 for never. */
  readonly operationBytes: number;
};

const LIMIT_NAMES: readonly LimitName[] = [
  ...RATE_NAMES.flatMap(name => [name, `${name}-max`, `${name}-max-length`] as const),
  'iops-size',
];

const fieldsOf = (prefix: string): Record<string, z.ZodOptional<z.ZodInt>> =>
  Object.fromEntries(LIMIT_NAMES.map(name => [`${prefix}${name}`, z.int().optional().describe(explain(name))]));

function explain(name: LimitName): string {
  if (name === 'iops-size') return 'a request of more bytes counts as several; 0 for never';
  const what = COUNTED[name.split('-').slice(0, 2).join('-') as RateName];
  if (name.endsWith('-max-length')) return `seconds that a burst of ${what} may last`;
  return `${what} a second${name.endsWith('-max') ? ' during a burst' : ''}; 0 for no limit`;
}

export const throttleLimits: z.ZodType<ThrottleLimits> = z.strictObject(fieldsOf(''));

/** The same as properties of their own, `x-iops-total` and so on, as they are given on a command line. */
export const limitProperties: Readonly<Record<string, z.ZodOptional<z.ZodInt>>> = fieldsOf('x-');

/** `limits`, with those that were left out. */
export function completeLimits(limits: ThrottleLimits): CompleteLimits {
  const complete = LIMIT_NAMES.map(name => [name, limits[name] ?? (name.endsWith('-length') ? 1 : 0)]);
  return Object.fromEntries(complete) as CompleteLimits;
}

/** The limits among the properties of an object. Throws UsageError in QEMU's words. */
export function limitsOfProperties(properties: Readonly<Record<string, unknown>>): ThrottleLimits {
  const limits: { [name in LimitName]?: number } = {};
  for (const name of LIMIT_NAMES) {
    const value = properties[`x-${name}`];
    if (typeof value !== 'number') continue;
    if (value < 0) throw new UsageError('Property values cannot be negative');
    if (name.endsWith('-length') && value > MAX_BURST_LENGTH_S) refuseLength(`x-${name}`);
    limits[name] = value;
  }
  return limits;
}

/** Throws UsageError in QEMU's words where the limits do not fit together. */
export function throttleConfig(limits: ThrottleLimits): ThrottleConfig {
  for (const name of RATE_NAMES) {
    const length = limits[`${name}-max-length`] ?? 1;
    if (length < 0 || length > MAX_BURST_LENGTH_S) refuseLength(`${name}-max-length`);
  }
  const rateOf = (name: RateName): Rate => ({
    avg: limits[name] ?? 0,
    max: limits[`${name}-max`] ?? 0,
    burstLengthS: limits[`${name}-max-length`] ?? 1,
  });
  const rates = Object.fromEntries(RATE_NAMES.map(name => [name, rateOf(name)])) as Record<RateName, Rate>;
  refuseConflicts(rates);
  const operationBytes = limits['iops-size'] ?? 0;
  const hasOperationRate = (['iops-total', 'iops-read', 'iops-write'] as const).some(name => rates[name].avg > 0);
  if (operationBytes !== 0 && !hasOperationRate) throw new UsageError('iops size requires an iops value to be set');
  if (operationBytes < 0) throw new UsageError(`iops-size value must be in the range [0, ${Number.MAX_SAFE_INTEGER}]`);
  for (const name of RATE_NAMES) checkRate(rates[name]);
  return { rates, operationBytes };
}

function refuseConflicts(rates: Readonly<Record<RateName, Rate>>): void {
  for (const kind of ['bps', 'iops'] as const) {
    for (const value of ['avg', 'max'] as const) {
      const isSplit = rates[`${kind}-read`][value] !== 0 || rates[`${kind}-write`][value] !== 0;
      if (rates[`${kind}-total`][value] !== 0 && isSplit) {
        throw new UsageError('bps/iops/max total values and read/write values cannot be used at the same time');
      }
    }
  }
}

function checkRate({ avg, max, burstLengthS }: Rate): void {
  if (avg < 0 || max < 0 || avg > MAX_RATE || max > MAX_RATE) {
    throw new UsageError(`bps/iops/max values must be within [0, ${MAX_RATE}]`);
  }
  if (burstLengthS === 0) throw new UsageError('the burst length cannot be 0');
  if (burstLengthS > 1 && max === 0) throw new UsageError('burst length set without burst rate');
  if (max > 0 && burstLengthS > Math.floor(MAX_RATE / max)) {
    throw new UsageError('burst length too high for this burst rate');
  }
  if (max > 0 && avg === 0) throw new UsageError('bps_max/iops_max require corresponding bps/iops values');
  if (max > 0 && max < avg) throw new UsageError('bps_max/iops_max cannot be lower than bps/iops');
}

function refuseLength(name: string): never {
  throw new UsageError(`${name} value must be in the range [0, ${MAX_BURST_LENGTH_S}]`);
}
