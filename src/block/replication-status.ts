/** Where a node stands in replication; what `query-replication` shows (docs/qmp.md). */

export type ReplicationRole = 'primary' | 'secondary';

/**
 * none → running → degraded → done      (primary; degraded when forwarding has ended)
 * none → running → failover → done      (secondary; failover while the buffer is being committed)
 *                     └──────→ failed
 */
export type ReplicationState = 'none' | 'running' | 'degraded' | 'failover' | 'done' | 'failed';

/** The two images a secondary host holds: `latest` is the raw disk, `checkpoint` is the buffer over the disk. */
export type TakeOverImage = 'latest' | 'checkpoint';

export type ImageAvailability = { readonly available: boolean; readonly reason?: string };

export type ChildStatus = {
  readonly nodeName: string;
  readonly state: 'ok' | 'failed' | 'closed';
  readonly error?: string;
};

export type BufferStatus = {
  /** Bytes of the view that come from originals, and from the standby's own writes. */
  readonly originalBytes: number;
  readonly ownBytes: number;
  readonly limit: number;
  /** Chunks with an entry, those that read as zeroes included. */
  readonly chunks: number;
  /** Memory that all generations take, against `limit`. */
  readonly memoryBytes: number;
  readonly spilledBytes: number;
};

export type ReplicationStatus = {
  readonly nodeName: string;
  readonly role: ReplicationRole;
  readonly state: ReplicationState;
  /** The last checkpoint done; 0 after the start. */
  readonly checkpoint: number;
  readonly prepared: number | null;
  readonly dirtyBytes: number;
  /** Primary: writes forwarded. Secondary: writes received on the replica export's present connection. */
  readonly writes: number;
  readonly children: readonly ChildStatus[];
  readonly buffer?: BufferStatus;
  readonly images: Readonly<Record<TakeOverImage, ImageAvailability>>;
};
