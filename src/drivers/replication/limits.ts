/** Limits that both forms of a primary have. */

/** Zeroes and discards travel in pieces of at most this many bytes, so that each can be stored within the deadline. */
export const MAX_PIECE_BYTES: number = 64 * 1024 * 1024;
/** Deadline of a write where no link states its own. */
export const DEFAULT_WRITE_TIMEOUT_MS = 5000;
export const FLUSH_TIMEOUT_MS = 30_000;
/** How often deadlines and the remote flush are looked after. */
export const TICK_MS = 100;
