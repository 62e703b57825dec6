/**
 * QuorumChildren: the children of a quorum in their order, the role of each and its bit in masks of children.
 *
 * A child that is added gets the next number in its role, `children.N`; the number of one that is removed is given again
 * only where that was the last to come, as with QEMU.
 */

import { UsageError } from '../../base/errors.ts';
import { type BlockEdge, type EdgePermissions, READ_STABLE, WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import type { BlockNode, NodeLimits } from '../../block/block-node.ts';
import type { QuorumNode, QuorumRules } from './quorum-node.ts';
import type { UnflushedMisses } from './unflushed-misses.ts';

export class QuorumChildren {
  /** By the index that answers are kept under. */
  edges: readonly BlockEdge[];
  #bits: readonly number[];
  #nextNumber: number;

  constructor(edges: readonly BlockEdge[]) {
    this.edges = edges;
    this.#bits = edges.map((_edge, i) => 1 << i);
    this.#nextNumber = edges.length;
  }

  /** The role of a child that is added now. */
  get nextRole(): string {
    return roleOf(this.#nextNumber);
  }

  /** The mask of all children. */
  get present(): number {
    return this.#bits.reduce((mask, bit) => mask | bit, 0);
  }

  /** The mask of the children that did not succeed, by what each answered. */
  failed(errnos: readonly number[]): number {
    let mask = 0;
    for (let i = 0; i < errnos.length; i++) if (errnos[i] !== 0) mask |= this.#bits[i] as number;
    return mask;
  }

  nameOf(index: number): string {
    return (this.edges[index] as BlockEdge).node.name;
  }

  /** From now on the children are `edges`. Nothing is in flight. */
  update(edges: readonly BlockEdge[], misses: UnflushedMisses): void {
    const bits = new Map(this.edges.map((edge, i) => [edge, this.#bits[i] as number]));
    for (const [edge, bit] of [...bits]) {
      if (edges.includes(edge)) continue;
      misses.childRemoved(bit);
      bits.delete(edge);
      if (edge.role === roleOf(this.#nextNumber - 1)) this.#nextNumber -= 1;
    }
    for (const edge of edges) {
      if (bits.has(edge)) continue;
      const bit = lowestFreeBit([...bits.values()]);
      bits.set(edge, bit);
      misses.childAdded(bit);
      this.#nextNumber += 1;
    }
    this.edges = edges;
    this.#bits = edges.map(edge => bits.get(edge) as number);
  }
}

/** What the quorum does to its children. Rewriting is a write also where nobody may write to the quorum. */
export function quorumPermissions(readOnly: boolean, rules: QuorumRules): EdgePermissions {
  return readOnly && !rules.rewriteCorrupted ? READ_STABLE : WRITE_EXCLUSIVE;
}

/** The role of a child, by its number. */
export function roleOf(number: number): string {
  return `children.${number}`;
}

/** QEMU takes a child of another size, and can tell the length of the quorum no more. */
export function requireFit(quorum: QuorumNode, child: BlockNode): void {
  if (child.lengthBytes !== quorum.lengthBytes) {
    throw new UsageError(
      `Node '${child.name}' has ${child.lengthBytes} bytes and quorum '${quorum.name}' has ${quorum.lengthBytes}; ` +
        'add a child of the same size',
    );
  }
  const { requestAlignment, maxTransferBytes } = quorum.limits;
  if (requestAlignment % child.limits.requestAlignment === 0 && child.limits.maxTransferBytes >= maxTransferBytes)
    return;
  throw new UsageError(
    `Node '${child.name}' takes requests of ${child.limits.requestAlignment} to ${child.limits.maxTransferBytes} bytes, ` +
      `and quorum '${quorum.name}' may send others`,
  );
}

/** What all children bear. */
export function commonLimits(edges: readonly BlockEdge[]): NodeLimits {
  const limits = edges.map(edge => edge.node.limits);
  const timeouts = limits.map(({ requestTimeoutMs }) => requestTimeoutMs);
  return {
    requestAlignment: Math.max(...limits.map(({ requestAlignment }) => requestAlignment)),
    maxTransferBytes: Math.min(...limits.map(({ maxTransferBytes }) => maxTransferBytes)),
    fastZeroes: limits.every(({ fastZeroes }) => fastZeroes),
    ...(timeouts.every(timeout => timeout !== undefined) ? { requestTimeoutMs: Math.max(...timeouts) } : {}),
  };
}

function lowestFreeBit(bits: readonly number[]): number {
  let bit = 1;
  while (bits.includes(bit)) bit *= 2;
  return bit;
}
