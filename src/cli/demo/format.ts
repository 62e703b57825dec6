/** Numbers as the demo shows them. */

const COUNT = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** A count with its thousands apart, such as `1,234,567`. */
export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** Milliseconds with a digit behind the point while they are few, such as `1.2 ms` and `180 ms`. */
export function formatMs(ms: number): string {
  return `${ms < 100 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}
