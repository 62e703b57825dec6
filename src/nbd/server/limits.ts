/** What one client may ask of the server. Full means backpressure or disconnection, never growth. */

/** From the connection to the end of the handshake. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
/** One more option is a disconnection. */
export const MAX_OPTIONS = 32;
/** Data of all options of a connection together. */
export const MAX_OPTION_BYTES = 65_536;
/** Requests of one connection on their way; then the server stops reading from it. */
export const MAX_REQUESTS = 256;
/** Payload of one connection's requests on their way; then the server stops reading. A single request may be larger. */
export const MAX_BYTES_IN_FLIGHT: number = 16 * 1024 * 1024;
/** Replies that one connection has not taken yet; then the server stops reading. More would only leave the caches. */
export const MAX_UNSENT_BYTES: number = 2 * 1024 * 1024;
/** Payload of a refused write is read and dropped up to here; above, the connection ends. */
export const MAX_DRAINED_BYTES: number = 64 * 1024 * 1024;
/** Extents in one reply; the client asks on from where they end. */
export const MAX_EXTENTS = 8192;
/** Replies gathered in one tick go out when they reach this size. */
export const FLUSH_BYTES: number = 512 * 1024;
/** The same by number, so that the client goes on with the first while the rest is worked off. */
export const FLUSH_REPLIES = 16;
/** A connection that ends gets this long to take its last replies. */
export const CLOSE_GRACE_MS = 1000;
/** A server that stops waits this long for the requests of its clients. */
export const STOP_DEADLINE_MS = 5000;
/** Connections at once, unless the caller says otherwise. */
export const DEFAULT_MAX_CONNECTIONS = 1024;
