/** Sizes as people write them: digits with an optional binary suffix K, M, G, T. */

import { UsageError } from './errors.ts';

const FACTORS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

/** Bytes of `text` such as `512`, `64K`, `1G`. Throws UsageError naming `what` for anything else. */
export function parseSize(text: string, what: string): number {
  const match = /^(\d+)([KMGT]?)$/i.exec(text.trim());
  const bytes =
    match === null ? Number.NaN : Number(match[1]) * (FACTORS[(match[2] ?? '').toUpperCase()] ?? Number.NaN);
  if (!Number.isSafeInteger(bytes)) {
    throw new UsageError(`${what} '${text}' is not a size; write bytes or a number with K, M, G or T, such as 256M`);
  }
  return bytes;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `bytes` for people, such as `1.5 MiB`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || Number.isInteger(value) ? value : value.toFixed(1)} ${UNITS[unit]}`;
}
