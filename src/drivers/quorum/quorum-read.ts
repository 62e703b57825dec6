/**
 * QuorumRead: a read that all children answer, and that has to be agreed on.
 *
 *   reading ──► all equal ─────────────────────────────────────────────► done
 *      └──────► some differ ──► locked: reading once more ──► all equal ──► done
 *                                    └──► vote ──► rewriting those that differ ──► done
 *
 * Children differ in passing while a write is on its way to them. So a read that finds a difference looks again with
 * overlapping writes held off, and they stay so while it rewrites: what it writes is never older than what it replaces.
 */

import type { Slab } from '../../base/buffer-pool.ts';
import { EIO } from '../../base/errno.ts';
import type { BlockEdge } from '../../block/block-edge.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../../block/block-request.ts';
import type { ByteRange } from '../../block/overlap-tracker.ts';
import type { QuorumNode } from './quorum-node.ts';
import { takeVersionSlab } from './version-slabs.ts';
import { mostFrequentErrno, voteOnVersions } from './vote.ts';

export class QuorumRead implements RequestOwner, ByteRange {
  offset = 0;
  length = 0;
  readonly #node: QuorumNode;
  #request: BlockRequest | null = null;
  /** What each child answered, by its index. */
  readonly #errnos: number[] = [];
  /** What each child but the first said; the first one reads into the guest's own memory. */
  readonly #slabs: Slab[] = [];
  #outstanding = 0;
  #isLocked = false;
  /** Bit i is set where the failure of child i has been told. */
  #told = 0;

  constructor(node: QuorumNode) {
    this.#node = node;
  }

  start(request: BlockRequest): void {
    this.#request = request;
    this.offset = request.offset;
    this.length = request.length;
    const children = this.#node.edges.length;
    this.#errnos.length = children;
    for (let i = 1; i < children; i++) this.#slabs.push(takeVersionSlab(request.length));
    this.proceed();
  }

  /** Reads from all children. */
  proceed(): void {
    const { edges } = this.#node;
    this.#outstanding = edges.length;
    for (let i = 0; i < edges.length; i++) {
      const child = takeRequest('read', this);
      child.tag = i;
      this.#point(child, i);
      (edges[i] as BlockEdge).submit(child);
    }
  }

  requestDone(child: BlockRequest): void {
    const { kind, tag, errno } = child;
    releaseRequest(child);
    this.#outstanding -= 1;
    if (kind === 'write') {
      // What cannot be put right on a child is found again by the next read.
      if (this.#outstanding === 0) this.#finish(0);
      return;
    }
    this.#errnos[tag] = errno;
    if (errno !== 0 && (this.#told & (1 << tag)) === 0) {
      this.#told |= 1 << tag;
      this.#node.reports.bad('read', this.#node.nameOf(tag), this.offset, this.length, errno);
    }
    if (this.#outstanding === 0) this.#allAnswered();
  }

  #allAnswered(): void {
    const { threshold } = this.#node.rules;
    let first = -1;
    let successes = 0;
    let isUnanimous = true;
    for (let i = 0; i < this.#errnos.length; i++) {
      if (this.#errnos[i] !== 0) continue;
      successes += 1;
      if (first < 0) first = i;
      else if (isUnanimous) isUnanimous = this.#areEqual(first, i);
    }
    if (successes < threshold) this.#fail(mostFrequentErrno(this.#errnos));
    else if (isUnanimous) this.#deliver(first);
    else if (this.#isLocked) this.#vote();
    else this.#lookAgain();
  }

  #lookAgain(): void {
    this.#isLocked = true;
    if (this.#node.changes.enter(this)) this.proceed();
  }

  #vote(): void {
    const copies = this.#errnos.map((errno, i) => (errno === 0 ? this.#copy(i) : null));
    const { threshold, blkverify } = this.#node.rules;
    if (blkverify) {
      this.#node.mismatchFound(this.offset, this.length, this.offset + firstDifference(this.#copy(0), this.#copy(1)));
      this.#fail(EIO);
      return;
    }
    const { winner, votes, losers } = voteOnVersions(copies);
    if (votes < threshold) {
      this.#fail(EIO);
      return;
    }
    for (const loser of losers) this.#node.reports.bad('read', this.#node.nameOf(loser), this.offset, this.length, 0);
    if (this.#node.rules.rewriteCorrupted) this.#rewrite(winner, losers);
    else this.#deliver(winner);
  }

  /** Writes the winner's version to the others; the guest is answered when that has ended, well or not. */
  #rewrite(winner: number, losers: readonly number[]): void {
    const { edges } = this.#node;
    if (winner !== 0) this.#copy(winner).copy(this.#copy(0));
    this.#outstanding = losers.length;
    for (const loser of losers) {
      const child = takeRequest('write', this);
      child.tag = loser;
      this.#point(child, 0);
      (edges[loser] as BlockEdge).submit(child);
    }
  }

  #deliver(index: number): void {
    if (index !== 0) this.#copy(index).copy(this.#copy(0));
    this.#finish(0);
  }

  #fail(errno: number): void {
    this.#node.reports.failure(this.offset, this.length);
    this.#finish(errno);
  }

  #finish(errno: number): void {
    const request = this.#request as BlockRequest;
    this.#request = null;
    // Popped: an array whose length is set to 0 allocates anew for the next request.
    while (this.#slabs.length > 0) this.#slabs.pop()?.release();
    this.#told = 0;
    const wasLocked = this.#isLocked;
    this.#isLocked = false;
    request.complete(errno);
    this.#node.readEnded(this, wasLocked);
  }

  /** Gives `child` the range and the memory for what child `index` says. */
  #point(child: BlockRequest, index: number): void {
    const request = this.#request as BlockRequest;
    const slab = index === 0 ? request.slab : (this.#slabs[index - 1] as Slab);
    child.offset = this.offset;
    child.length = this.length;
    child.slab = slab;
    child.buffer = index === 0 ? request.buffer : (slab as Slab).bytes;
    child.at = index === 0 ? request.at : 0;
  }

  /** Compares in place: a read that all agree on makes no object. */
  #areEqual(one: number, other: number): boolean {
    const { buffer, at } = this.#request as BlockRequest;
    const source = one === 0 ? buffer : (this.#slabs[one - 1] as Slab).bytes;
    const from = one === 0 ? at : 0;
    const target = (this.#slabs[other - 1] as Slab).bytes;
    return source.compare(target, 0, this.length, from, from + this.length) === 0;
  }

  /** What child `index` said. */
  #copy(index: number): Buffer {
    if (index > 0) return (this.#slabs[index - 1] as Slab).bytes.subarray(0, this.length);
    const { buffer, at } = this.#request as BlockRequest;
    return buffer.subarray(at, at + this.length);
  }
}

function firstDifference(one: Buffer, other: Buffer): number {
  return one.findIndex((byte, at) => byte !== other[at]);
}
