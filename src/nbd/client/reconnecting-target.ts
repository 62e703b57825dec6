/**
 * ReconnectingTarget: connects again when the connection below it is lost.
 *
 *   connected ──loss──► waiting ──connected again──────► connected
 *       │                  └── holdMs ──► down ──connected again──► connected
 *       │                  └── another export was found ──► ended
 *       └── close ──► ended
 *
 * While waiting, new requests wait too; while down they fail at once. Attempts go on in both, with growing pauses. What
 * becomes of the requests that were with the server when the connection was lost, and whose effect is unknown:
 *
 *   fail     all fail with ECONNRESET. So does, once, the first flush after it if the server had acknowledged writes that
 *            no flush covers: a server that started anew may have lost them.
 *   replay   they are sent again, once, except a change whose range was touched by a request issued later: that would
 *            undo what came after it, and fails with ECONNRESET. The server is trusted to have kept what it acknowledged.
 *
 * A request that timed out fails and is not sent again. One that the server refused because it shuts down was not carried
 * out; it is sent again, once, under both policies.
 */

import { type Clock, systemClock, type Timer } from '../../base/clock.ts';
import { type Deferred, deferred } from '../../base/deadline.ts';
import { ECONNRESET, ESHUTDOWN } from '../../base/errno.ts';
import { ColobusError, ProtocolError } from '../../base/errors.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeChildRequest } from '../../block/block-request.ts';
import { ExtentList } from '../../block/extent-list.ts';
import type { ExportInfo } from './export-info.ts';
import { MetadataExtents } from './metadata-extents.ts';
import type { RequestTarget } from './request-target.ts';
import type { SessionFeatures } from './session-features.ts';

export type ReconnectOptions = {
  /** How long requests wait for the connection from its loss on, in milliseconds; 10000 unless given. */
  readonly holdMs?: number;
  /** What becomes of requests in flight; `fail` unless given. */
  readonly inFlight?: 'fail' | 'replay';
  /** The pause before the second attempt; each further one is twice as long. 100 unless given. */
  readonly firstPauseMs?: number;
  /** The longest pause; 5000 unless given. */
  readonly maxPauseMs?: number;
  /** Told of each loss, with the reason, and of each return, with null. */
  readonly onChange?: (failure: ColobusError | null) => void;
};

/** Makes a connection, until the signal says that it is no longer wanted. */
type Opener = (signal: AbortSignal) => Promise<RequestTarget>;

export const DEFAULT_HOLD_MS = 10_000;
export const DEFAULT_FIRST_PAUSE_MS = 100;
export const DEFAULT_MAX_PAUSE_MS = 5000;

/** The `tag` of a request that changes data, once a later request has touched its range. */
const OVERTAKEN = 1;
/** Keeps Node.js running, which timers of a Clock do not; the longest interval it takes. */
const KEEP_ALIVE_MS = 2 ** 31 - 1;

export class ReconnectingTarget implements RequestTarget, RequestOwner {
  readonly export: ExportInfo;
  readonly features: SessionFeatures;
  onClose: (error: ColobusError | null) => void = () => {};
  readonly #open: Opener;
  readonly #abandonAttempt = new AbortController();
  readonly #clock: Clock;
  readonly #replays: boolean;
  readonly #holdMs: number;
  readonly #firstPauseMs: number;
  readonly #maxPauseMs: number;
  readonly #onChange: (failure: ColobusError | null) => void;
  #target: RequestTarget;
  #state: 'connected' | 'waiting' | 'down' | 'ended' = 'connected';
  #isClosing = false;
  /** The present connection is the last. */
  #isLast = false;
  #failure: ColobusError | null = null;
  /** Requests that are with the server. */
  readonly #sent = new Set<BlockRequest>();
  /** Requests that wait for a connection, in the order in which they will be sent. */
  #held: BlockRequest[] = [];
  /** Those of them, and of `#sent`, that have been sent before. */
  readonly #replayed = new Set<BlockRequest>();
  /** Counts acknowledged writes, and how many of them a flush covers. */
  #acknowledged = 0;
  #covered = 0;
  /** The connection was lost with acknowledged writes that no flush covers; the next flush says so. */
  #mayLackWrites = false;
  #connectedAtMs: number;
  #pauseMs = 0;
  #holdTimer: Timer | null = null;
  #attemptTimer: Timer | null = null;
  #keepAlive: NodeJS.Timeout | null = null;
  readonly #idle: Deferred<void> = deferred();

  /** Takes over `first`, a fresh connection; `open` makes the later ones. */
  constructor(first: RequestTarget, open: Opener, options: ReconnectOptions, clock: Clock = systemClock) {
    this.#open = open;
    this.#clock = clock;
    this.#replays = options.inFlight === 'replay';
    this.#holdMs = options.holdMs ?? DEFAULT_HOLD_MS;
    this.#firstPauseMs = options.firstPauseMs ?? DEFAULT_FIRST_PAUSE_MS;
    this.#maxPauseMs = options.maxPauseMs ?? DEFAULT_MAX_PAUSE_MS;
    this.#onChange = options.onChange ?? (() => {});
    this.#target = first;
    this.export = first.export;
    this.features = first.features;
    this.#connectedAtMs = this.#clock.nowMs();
    this.#adopt(first);
  }

  get connections(): number {
    return this.#target.connections;
  }

  get failure(): ColobusError | null {
    return this.#state === 'connected' ? null : this.#failure;
  }

  submit(request: BlockRequest): void {
    if (this.#isClosing || this.#state === 'ended') {
      request.complete(ESHUTDOWN);
    } else if (this.#state === 'down') {
      request.complete(ECONNRESET);
    } else {
      const child = takeChildRequest(request, this);
      child.context = request.context;
      if (child.extents !== null) child.extents = new ExtentList();
      if (this.#state === 'connected') this.#send(child);
      else this.#hold(child);
    }
  }

  requestDone(child: BlockRequest): void {
    this.#sent.delete(child);
    const { errno } = child;
    if (errno === 0) this.#noteSuccess(child);
    if (!this.#mayReplay(child, errno)) {
      this.#finish(child, errno);
      return;
    }
    this.#replayed.add(child);
    forgetAnswer(child);
    this.#hold(child);
    if (errno === ESHUTDOWN) this.#leave();
  }

  abort(reason: ColobusError): void {
    this.#end(reason);
  }

  stopReconnecting(): void {
    this.#isLast = true;
  }

  stopWaiting(): void {
    if (this.#state === 'waiting') this.#giveUpWaiting();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#state === 'waiting' || this.#state === 'down') this.#end(null);
    if (this.#state === 'connected' && this.#sent.size > 0) await this.#idle.promise;
    this.#end(null);
    await this.#target.close();
  }

  // --- requests -----------------------------------------------------------------------------------------------------

  #send(child: BlockRequest): void {
    if (child.kind === 'flush') {
      if (this.#mayLackWrites && !this.#replays) {
        this.#mayLackWrites = false;
        this.#finish(child, ECONNRESET);
        return;
      }
      child.tag = this.#acknowledged;
    } else {
      this.#markOvertaken(child);
    }
    this.#sent.add(child);
    child.markSubmitted();
    this.#target.submit(child);
  }

  /** Marks the changes under way whose range `child` touches. */
  #markOvertaken(child: BlockRequest): void {
    const end = child.offset + child.length;
    for (const earlier of this.#sent) {
      if (earlier.changesData && earlier.offset < end && child.offset < earlier.offset + earlier.length) {
        earlier.tag = OVERTAKEN;
      }
    }
  }

  #mayReplay(child: BlockRequest, errno: number): boolean {
    if (errno !== ECONNRESET && errno !== ESHUTDOWN) return false;
    if (this.#isClosing || this.#isLast || this.#replayed.has(child)) return false;
    if (this.#state !== 'connected' && this.#state !== 'waiting') return false;
    return errno === ESHUTDOWN || (this.#replays && !(child.changesData && child.tag === OVERTAKEN));
  }

  #hold(child: BlockRequest): void {
    this.#held.push(child);
    this.#keepAlive ??= setInterval(() => {}, KEEP_ALIVE_MS);
  }

  #noteSuccess(child: BlockRequest): void {
    if (child.kind === 'flush') this.#covered = Math.max(this.#covered, child.tag);
    else if (child.changesData && !child.fua) this.#acknowledged += 1;
  }

  #finish(child: BlockRequest, errno: number): void {
    const request = child.parent as BlockRequest;
    if (errno === 0 && child.extents !== null) request.extents?.appendAll(child.extents);
    request.errorAt = child.errorAt;
    this.#replayed.delete(child);
    releaseRequest(child);
    request.complete(errno);
    if (this.#isClosing && this.#sent.size === 0) this.#idle.resolve();
  }

  /** The requests that waited, which do so no longer. */
  #takeHeld(): readonly BlockRequest[] {
    const held = this.#held;
    this.#held = [];
    if (this.#keepAlive !== null) clearInterval(this.#keepAlive);
    this.#keepAlive = null;
    return held;
  }

  #failHeld(errno: number): void {
    for (const child of this.#takeHeld()) this.#finish(child, errno);
  }

  // --- connections --------------------------------------------------------------------------------------------------

  #adopt(target: RequestTarget): void {
    this.#target = target;
    target.onClose = error => {
      if (error !== null && target === this.#target) this.#lost(error);
    };
  }

  /** The server wants to be left: what it has got it may still answer. */
  #leave(): void {
    this.#lost(new ColobusError('The NBD server is shutting down', { errno: ESHUTDOWN }));
    void this.#target.close();
  }

  /** Called before the requests complete that this fails, so that they find the state in which they wait. */
  #lost(error: ColobusError): void {
    if (this.#state !== 'connected') return;
    this.#failure = error;
    if (this.#isClosing) return;
    if (this.#isLast) {
      this.#state = 'down';
      return;
    }
    this.#mayLackWrites ||= this.#acknowledged > this.#covered;
    this.#state = 'waiting';
    this.#holdTimer = this.#clock.after(this.#holdMs, () => this.#giveUpWaiting());
    // A server that takes connections and drops them is not asked again and again without a pause.
    const hasLasted = this.#clock.nowMs() - this.#connectedAtMs > this.#maxPauseMs;
    if (hasLasted) this.#pauseMs = 0;
    this.#attemptLater();
    this.#onChange(error);
  }

  #giveUpWaiting(): void {
    this.#holdTimer?.cancel();
    this.#state = 'down';
    this.#failHeld(ECONNRESET);
  }

  #attemptLater(): void {
    this.#attemptTimer = this.#clock.after(this.#pauseMs, this.#attempt);
    this.#pauseMs = Math.min(Math.max(this.#firstPauseMs, this.#pauseMs * 2), this.#maxPauseMs);
  }

  readonly #attempt = (): void => {
    this.#open(this.#abandonAttempt.signal).then(
      target => this.#connected(target),
      error => this.#attemptFailed(error),
    );
  };

  #attemptFailed(error: unknown): void {
    if (this.#state === 'ended') return;
    if (error instanceof ColobusError) this.#failure = error;
    this.#attemptLater();
  }

  #connected(target: RequestTarget): void {
    if (this.#state === 'ended') {
      void target.close();
      return;
    }
    const difference = differenceOf(this, target);
    if (difference !== null) {
      void target.close();
      this.#end(new ProtocolError(`The export is not the one that was connected to before: ${difference}`));
      return;
    }
    this.#holdTimer?.cancel();
    this.#connectedAtMs = this.#clock.nowMs();
    this.#state = 'connected';
    this.#adopt(target);
    this.#onChange(null);
    for (const child of this.#takeHeld()) this.#send(child);
  }

  #end(error: ColobusError | null): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#failure = error;
    this.#holdTimer?.cancel();
    this.#attemptTimer?.cancel();
    this.#abandonAttempt.abort();
    this.onClose(error);
    this.#failHeld(error === null ? ESHUTDOWN : ECONNRESET);
    if (error !== null) this.#target.abort(error);
  }
}

/** Takes back what has come of the answer to a status, which will come again from the start. */
function forgetAnswer(child: BlockRequest): void {
  child.errorAt = -1;
  if (child.extents !== null) child.extents = new ExtentList();
  if (child.context instanceof MetadataExtents) child.context.continueAt(child.offset);
}

/** What `now` lacks that `before` had and requests may rely on, in words; null where it will do. */
function differenceOf(before: RequestTarget, now: RequestTarget): string | null {
  const [old, present] = [before.export, now.export];
  if (present.sizeBytes !== old.sizeBytes) return `it has ${present.sizeBytes} bytes, no longer ${old.sizeBytes}`;
  if (present.readOnly && !old.readOnly) return 'it has become read-only';
  if ((old.flags & ~present.flags) !== 0) return 'the server can do less with it';
  if (present.minBlockBytes > old.minBlockBytes || present.maxBlockBytes < old.maxBlockBytes) {
    return 'its block sizes are stricter';
  }
  const names = new Set(now.features.contexts.values());
  for (const name of before.features.contexts.values()) {
    if (!names.has(name)) return `it no longer has the metadata context ${name}`;
  }
  return before.features.replies === 'extended' && now.features.replies !== 'extended'
    ? 'the server no longer takes lengths of 64 bits'
    : null;
}
