/**
 * The error classes of Colobus. Callers branch on the class or on `errno`, never on the text.
 *
 * Texts are in sentence case without a final period; they name the thing and say what to do about it.
 */

import { EINVAL, EIO, errnoOf } from './errno.ts';

export type ColobusErrorOptions = {
  /** Positive Linux errno; EIO unless given, or taken from `cause`. */
  readonly errno?: number;
  readonly cause?: unknown;
};

/** Something failed: a file, a peer, a request. The base of all errors Colobus throws on purpose. */
export class ColobusError extends Error {
  override readonly name: string = 'ColobusError';
  readonly errno: number;

  constructor(message: string, options: ColobusErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.errno = options.errno ?? (options.cause === undefined ? EIO : errnoOf(options.cause));
  }
}

/** The caller asked for something that cannot be: a bad option, an unknown name, a conflict. Nothing was changed. */
export class UsageError extends ColobusError {
  override readonly name = 'UsageError';

  constructor(message: string, options: ColobusErrorOptions = {}) {
    super(message, { errno: EINVAL, ...options });
  }
}

/** A peer broke a rule of the protocol. It ends that connection and nothing else. */
export class ProtocolError extends ColobusError {
  override readonly name = 'ProtocolError';
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
