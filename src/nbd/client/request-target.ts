/**
 * RequestTarget: what carries requests to an export as commands: one connection, several, or one that comes back.
 *
 *   NbdClient, NbdNode ──► RequestAdapter ──► RequestTarget = NbdConnection
 *                                                           | ConnectionGroup of several
 *                                                           | ReconnectingTarget over either
 */

import type { ColobusError } from '../../base/errors.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { ExportInfo } from './export-info.ts';
import type { SessionFeatures } from './session-features.ts';

export interface RequestTarget {
  /** What the server said about the export. */
  readonly export: ExportInfo;
  /** What client and server agreed upon. */
  readonly features: SessionFeatures;
  /** Connections that carry requests. */
  readonly connections: number;
  /** Why requests fail now; null while they are carried, and after `close`. */
  readonly failure: ColobusError | null;
  /**
   * Called once, when nothing is carried any more: with the reason, or with null after `close`. The requests that this
   * fails complete afterwards. Set it in the tick in which the target was opened.
   */
  onClose: (error: ColobusError | null) => void;
  /** Sends the command for a submitted `request` and completes it with the server's answer. */
  submit(request: BlockRequest): void;
  /** Cuts off: the server gets no more than it has got. `reason` is what `onClose` is told. */
  abort(reason: ColobusError): void;
  /**
   * A connection that is lost from now on is not replaced: what was in flight fails. Requests are carried as long as it
   * lasts.
   */
  stopReconnecting(): void;
  /** Requests that wait for a lost connection to come back fail now; it is still tried to get it back. */
  stopWaiting(): void;
  /** Refuses new requests, waits for those in flight (which end by their deadline), and says goodbye to the server. */
  close(): Promise<void>;
}
