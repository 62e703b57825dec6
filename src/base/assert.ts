/** Assertions that stay in production: a broken invariant ends the process rather than a disk's content. */

export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws InvariantError unless `condition` holds. Never for a peer's bytes or a user's options. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new InvariantError(invariant);
}

/** For the default branch of a switch over a closed union. */
export function unreachable(value: never): never {
  throw new InvariantError(`Unexpected value ${String(value)}`);
}
