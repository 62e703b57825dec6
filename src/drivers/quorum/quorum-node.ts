/**
 * QuorumNode: a disk kept on several children. What is read is voted on, what is written goes to all of them.
 *
 * A change or flush is a `Ballot`, a read a `QuorumRead` or `FifoRead`. Overlapping changes have the same order on every
 * child. A change is acknowledged when all children have answered and as many as the threshold says have stored it.
 */

import { EIO, ENOTSUP } from '../../base/errno.ts';
import { UsageError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { BlockEdge } from '../../block/block-edge.ts';
import { BlockNode, type ChildLink } from '../../block/block-node.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import { OverlapTracker } from '../../block/overlap-tracker.ts';
import { Ballot, type BallotSupervisor } from './ballot.ts';
import { FifoRead } from './fifo-read.ts';
import { MAX_CHILDREN, type ReadPattern } from './options.ts';
import { commonLimits, QuorumChildren, quorumPermissions, requireFit } from './quorum-children.ts';
import { QuorumRead } from './quorum-read.ts';
import type { QuorumReports } from './quorum-reports.ts';
import { StatusVote } from './status-vote.ts';
import { UnflushedMisses } from './unflushed-misses.ts';
import { mostFrequentErrno } from './vote.ts';

const MAX_POOLED = 1024;

export type QuorumRules = {
  readonly threshold: number;
  readonly readPattern: ReadPattern;
  readonly blkverify: boolean;
  readonly rewriteCorrupted: boolean;
};

export type QuorumNodeOptions = {
  readonly name: string;
  readonly readOnly: boolean;
  readonly edges: readonly BlockEdge[];
  readonly rules: QuorumRules;
  readonly reports: QuorumReports;
  readonly logger: Logger;
};

export class QuorumNode extends BlockNode implements BallotSupervisor {
  readonly rules: QuorumRules;
  readonly reports: QuorumReports;
  /** Changes in flight, and reads that must not see half of one. */
  readonly changes: OverlapTracker<Ballot | QuorumRead> = new OverlapTracker();
  readonly #logger: Logger;
  readonly #children: QuorumChildren;
  readonly #misses = new UnflushedMisses();
  readonly #fifo = new FifoRead(this);
  readonly #ballots: Ballot[] = [];
  readonly #reads: QuorumRead[] = [];

  constructor(options: QuorumNodeOptions) {
    const { edges } = options;
    super({
      name: options.name,
      driver: 'quorum',
      lengthBytes: (edges[0] as BlockEdge).node.lengthBytes,
      readOnly: options.readOnly,
      children: edges,
      limits: commonLimits(edges),
    });
    this.rules = options.rules;
    this.reports = options.reports;
    this.#logger = options.logger;
    this.#children = new QuorumChildren(edges);
  }

  nameOf(index: number): string {
    return this.#children.nameOf(index);
  }

  /** The children, in their order. */
  get edges(): readonly BlockEdge[] {
    return this.#children.edges;
  }

  protected override perform(request: BlockRequest): void {
    switch (request.kind) {
      case 'read':
        if (this.rules.readPattern === 'fifo') this.#fifo.start(request);
        else (this.#reads.pop() ?? new QuorumRead(this)).start(request);
        break;
      case 'block-status':
        new StatusVote(this, request).start();
        break;
      default: {
        const ballot = this.#ballots.pop() ?? new Ballot(this);
        ballot.begin(request);
        if (!request.changesData) {
          ballot.position = this.#misses.position;
          ballot.proceed();
        } else if (this.changes.enter(ballot)) {
          ballot.proceed();
        }
      }
    }
  }

  childFailed(ballot: Ballot, child: BlockRequest): void {
    if (child.kind === 'cache' || isNotFast(child)) return;
    const name = this.#children.nameOf(child.tag);
    if (child.kind === 'flush') this.reports.bad('flush', name, 0, 0, child.errno);
    else this.reports.bad('write', name, ballot.offset, ballot.length, child.errno);
  }

  ballotEnded(ballot: Ballot): void {
    const request = ballot.request as BlockRequest;
    const errno = this.#verdict(ballot, request);
    ballot.request = null;
    request.complete(errno);
    if (ballot.length > 0) this.#letGo(ballot);
    if (this.#ballots.length < MAX_POOLED) this.#ballots.push(ballot);
  }

  /** A read has answered its request. */
  readEnded(read: QuorumRead, wasLocked: boolean): void {
    if (wasLocked) this.#letGo(read);
    if (this.#reads.length < MAX_POOLED) this.#reads.push(read);
  }

  /** QEMU prints this text and exits; a daemon with other disks fails the read and goes on. */
  mismatchFound(offset: number, length: number, at: number): void {
    this.#logger.error(
      { node: this.name, children: this.edges.map(edge => edge.node.name) },
      `quorum: offset=${offset} bytes=${length} contents mismatch at offset ${at}`,
    );
  }

  // --- changes of the graph ---------------------------------------------------------------------------------------

  override linkForNewChild(child: BlockNode): ChildLink {
    if (this.rules.blkverify) throw new UsageError('Cannot add a child to a quorum in blkverify mode');
    if (this.edges.length >= MAX_CHILDREN) {
      throw new UsageError(`Quorum '${this.name}' has ${MAX_CHILDREN} children, which is the most; remove one first`);
    }
    requireFit(this, child);
    return { role: this.#children.nextRole, permissions: quorumPermissions(this.readOnly, this.rules) };
  }

  override checkChildRemoval(): void {
    if (this.edges.length > this.rules.threshold) return;
    throw new UsageError(`The number of children cannot be lower than the vote threshold ${this.rules.threshold}`);
  }

  override async setReadOnly(readOnly: boolean): Promise<void> {
    if (readOnly) this.checkNoWriters();
    const permissions = quorumPermissions(readOnly, this.rules);
    for (const edge of this.edges) edge.checkPermissions(permissions);
    for (const edge of this.edges) edge.setPermissions(permissions);
    this.readOnlyChanged(readOnly);
  }

  protected override childrenChanged(): void {
    this.#children.update([...this.children.values()], this.#misses);
  }

  #letGo(range: Ballot | QuorumRead): void {
    for (const admitted of this.changes.leave(range)) admitted.proceed();
  }

  #verdict(ballot: Ballot, request: BlockRequest): number {
    const { errnos } = ballot;
    if (request.kind === 'flush') return this.#flushVerdict(ballot);
    if (request.fastOnly && errnos.includes(ENOTSUP)) return ENOTSUP;
    if (ballot.successes < this.rules.threshold) {
      if (request.changesData) this.reports.failure(ballot.offset, ballot.length);
      return mostFrequentErrno(errnos);
    }
    if (request.changesData && ballot.successes < errnos.length && !request.fua)
      this.#misses.add(this.#children.failed(errnos));
    return 0;
  }

  #flushVerdict(ballot: Ballot): number {
    const { present } = this.#children;
    const flushed = present & ~this.#children.failed(ballot.errnos);
    if (!this.#misses.areCoveredBy(flushed, present, this.rules.threshold)) {
      return mostFrequentErrno(ballot.errnos) || EIO;
    }
    this.#misses.forget(ballot.position);
    return 0;
  }
}

/** A write-zeroes that could not be fast says nothing against the child. */
function isNotFast(child: BlockRequest): boolean {
  return child.fastOnly && child.errno === ENOTSUP;
}
