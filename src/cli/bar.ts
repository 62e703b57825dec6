/**
 * A bar of progress. Our own: the libraries for it that are kept well have left Node 20 behind (docs/dependencies.md).
 */

/** `fraction` of `columns` filled. */
export function bar(fraction: number, columns: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, fraction)) * columns);
  return '█'.repeat(filled) + '░'.repeat(columns - filled);
}
