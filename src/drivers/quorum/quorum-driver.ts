/** The `quorum` driver: opens a disk that is kept on several children. */

import { UsageError } from '../../base/errors.ts';
import type { BlockEdge } from '../../block/block-edge.ts';
import type { Driver } from '../../block/driver.ts';
import { checkQuorumOptions, type QuorumOptions, quorumOptions } from './options.ts';
import { quorumPermissions, roleOf } from './quorum-children.ts';
import { QuorumNode } from './quorum-node.ts';
import { QuorumReports } from './quorum-reports.ts';

export const quorumDriver: Driver<QuorumOptions> = {
  name: 'quorum',
  summary: 'A disk kept on several children: reads are voted on, writes go to all',
  options: quorumOptions,
  async open(options, context) {
    checkQuorumOptions(options);
    const { readOnly } = context;
    const isFifo = options['read-pattern'] === 'fifo';
    const rules = {
      threshold: options['vote-threshold'],
      readPattern: options['read-pattern'],
      blkverify: options.blkverify && !isFifo,
      rewriteCorrupted: options['rewrite-corrupted'] && !isFifo,
    };
    const permissions = quorumPermissions(readOnly, rules);
    const edges: BlockEdge[] = [];
    for (const [index, reference] of options.children.entries()) {
      edges.push(await context.attach(roleOf(index), reference, permissions));
    }
    for (const edge of edges) requireEqualLengths(edges[0] as BlockEdge, edge);
    return new QuorumNode({
      name: context.nodeName,
      readOnly,
      edges,
      rules,
      reports: new QuorumReports(context.nodeName, context.emit),
      logger: context.logger,
    });
  },
};

function requireEqualLengths(first: BlockEdge, other: BlockEdge): void {
  if (first.node.lengthBytes === other.node.lengthBytes) return;
  throw new UsageError(
    `Could not refresh total sector count: Input/output error; node '${other.node.name}' has ` +
      `${other.node.lengthBytes} bytes and node '${first.node.name}' has ${first.node.lengthBytes}`,
  );
}
